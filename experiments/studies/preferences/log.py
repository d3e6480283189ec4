"""What was shown and clicked: a table, the archive of headline tests, or the campaigns of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bandits.evaluation.tables import ColumnReader, read_table
from copyloom import InputError
from copyloom.columns import TEXT_NAMES, plain_name
from copyloom.tables import Reading, TableFile, open_table, say
from experiments.campaigns.state import State, replay
from experiments.simulation.runs import DATABASE, recorded
from experiments.studies.headlines.archive import NEEDED, plain, read_archive
from experiments.studies.preferences.model import Cells

_USUAL = {
    "text": TEXT_NAMES | {"variant", "arm", "item", "ad", "creative", "message"},
    "impressions": {"impressions", "impression", "impr", "shown", "views", "exposures", "sends", "trials"},
    "clicks": {"click", "clicks", "clicked", "conversions", "converted", "reward"},
}
"""Usual names of the columns that a log must have, as `plain_name` writes them."""
_COMPETE = {"test", "test id", "experiment", "experiment id", "clickability test id", "campaign", "ad group",
            "snapshot", "segment", "product", "slot", "position"}  # fmt: skip
"""Usual names of columns within whose values alone texts are compared."""
ALL = "all"
_NAMED = 4


@dataclass(frozen=True, eq=False)
class Log:
    """Texts, and what was shown and clicked of them.

    Parameters
    ----------
    source : str
        For people.
    texts : tuple of str
        Each once.
    cells : dict of str to Cells
        By campaign, whose readers have tastes of their own; one only unless a run has more.
    compared : str
        Within what texts are compared, for people.
    segments : dict of str to Cells
        Of a single campaign, by segment, where there are two or more.
    own : dict of str to tuple of str
        Attributes that somebody coded by hand, a level for each text.
    notes : tuple of str
    simulated : bool
        Whether the shoppers are.
    """

    source: str
    texts: tuple[str, ...]
    cells: dict[str, Cells]
    compared: str
    segments: dict[str, Cells] = field(default_factory=dict)
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True)
class Asked:
    """What a person says of a log.

    Parameters
    ----------
    text, impressions, clicks : str, optional
        Columns, if they have no usual names.
    within : tuple of str
        Columns within whose values alone texts are compared.
    attributes : tuple of str
        Columns that hold choices coded by hand.
    campaign : str, optional
        Of a run.
    """

    text: str | None = None
    impressions: str | None = None
    clicks: str | None = None
    within: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    campaign: str | None = None


def read_log(path: Path, asked: Asked, reading: Reading | None = None) -> Log:
    """Return what was shown and clicked.

    Parameters
    ----------
    path : Path
        A run folder; a table with the columns of the headline archive; or any table of texts, impressions and clicks,
        or of one event a row, such as `copyloom slots log` writes.
    asked : Asked
    reading : Reading, optional

    Raises
    ------
    InputError
        If it cannot be read, or what it says cannot be.
    """
    if path.is_dir():
        if given := [name for name, value in vars(asked).items() if value and name != "campaign"]:
            option = {"attributes": "attribute"}.get(given[0], given[0])
            raise InputError(f"{path} is a run folder; --{option} is of tables: leave it out")
        return _of_run(path, asked.campaign)
    if asked.campaign:
        raise InputError(f"{path} is no run folder, and --campaign is of runs; leave it out")
    file = open_table(path, reading, wanted=[name for name in (asked.text, asked.clicks) if name])
    if not any(vars(asked).values()) and set(NEEDED) <= set(file.columns):
        return _of_archive(path, reading)
    return _of_table(file, asked)


def _of_run(path: Path, campaign: str | None) -> Log:
    if not (path / DATABASE).is_file():
        raise InputError(f"{path} holds no run ({DATABASE} is missing); give a run folder, or a table of texts, "
                         "impressions and clicks")  # fmt: skip
    with recorded(path) as ledger:
        names = ledger.names()
        mixing = [name for name in names if name.startswith("open") and name.endswith(", mixing")]
        if campaign is not None and campaign not in (ALL, *names):
            near = get_close_matches(campaign, names, _NAMED, cutoff=0)
            raise InputError(f"there is no campaign {campaign!r} among the {len(names)} of {path}; it has "
                             f"{'; '.join(near)}; give one, or all")  # fmt: skip
        chosen = (mixing or names) if campaign in (None, ALL) else [str(campaign)]
        states = {name: replay(event.what for event in ledger.events(name)) for name in chosen}
    numbers: dict[str, int] = {}
    cells = {name: _of_state(state, numbers) for name, state in states.items() if state.closed}
    if not cells:
        raise InputError(f"nothing was shown yet in {path}")
    segments, notes, source = {}, [], str(path)
    if len(cells) == 1:
        (name,) = cells
        state, source = states[name], f"{path}: {name}"
        segments = {segment: _of_state(state, numbers, number) for number, segment in enumerate(state.opening.segments)}
    else:
        notes.append(f"{len(cells)} campaigns, each with shoppers of its own taste: what holds on average, with "
                     "intervals over campaigns. --campaign NAME studies one of them.")  # fmt: skip
    return Log(source, tuple(numbers), cells, "campaign, snapshot and segment",
               segments if len(segments) > 1 else {}, notes=tuple(notes), simulated=True)  # fmt: skip


def _of_state(state: State, numbers: dict[str, int], segment: int | None = None) -> Cells:
    """Return the cells of a campaign, a stratum a snapshot and segment; new texts are numbered."""
    own = np.array([numbers.setdefault(text, len(numbers)) for text in state.slate])
    histories = state.histories if segment is None else state.histories[..., [segment]]
    shown, clicked = histories  # (T, N, G)
    rounds, texts, segments = np.nonzero(shown)
    strata = rounds * shown.shape[2] + segments
    return Cells(own[texts], strata, shown[rounds, texts, segments], clicked[rounds, texts, segments])


def _of_archive(path: Path, reading: Reading | None) -> Log:
    archive = read_archive(path, reading)
    numbers: dict[str, int] = {}
    texts = [numbers.setdefault(plain(headline), len(numbers)) for headline in archive.headlines]
    first = dict(zip(reversed(texts), reversed(archive.headlines), strict=True))
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in archive.left_out.items())
    cells = Cells(np.array(texts), archive.tests, archive.impressions, archive.clicks)
    notes = (f"Read as an archive of headline tests: {archive.count:,} tests. Left out: {left_out or 'nothing'}.",)
    return Log(str(path), tuple(first[number] for number in range(len(numbers))), {ALL: cells}, "test", notes=notes)


def _of_table(file: TableFile, asked: Asked) -> Log:
    roles = {"text": asked.text, "impressions": asked.impressions, "clicks": asked.clicks}
    named = {role: _column(file, role, given) for role, given in roles.items()}
    taken = [name for name in named.values() if name]
    usual = [name for name in file.columns if plain_name(name) in _COMPETE and name not in taken]
    within = list(asked.within) or usual
    if within and not asked.within:
        say(f"texts are compared within {', '.join(within)} only; --within names other columns")
    visitor = [name for name in file.columns if plain_name(name) == "visitor" and not named["impressions"]]
    columns = ColumnReader(read_table(file, list(dict.fromkeys([*taken, *within, *asked.attributes, *visitor]))))
    codes, texts = columns.codes(str(named["text"]))
    _refuse_missing(codes, file, str(named["text"]))
    impressions, clicks = _shown_and_clicked(columns, file, named["impressions"], str(named["clicks"]))
    own = {name: _hand_coded(columns, file, name, codes, texts) for name in asked.attributes}
    places = [columns.codes(name)[0] for name in within]
    strata = np.unique(np.stack([*places, np.zeros_like(codes)]), axis=1, return_inverse=True)[1].reshape(-1)
    notes = [] if named["impressions"] else ["No column of impressions: each row is one."]
    counts = np.ones(len(codes), dtype=bool)
    if visitor:
        counts = _first_of_visitors(columns.codes(visitor[0])[0], codes)
    if left := int((~counts).sum()):
        notes.append(f"Only the first time that a visitor saw a text counts: {left:,} rows are others.")

    def pooled(chosen: NDArray[np.bool_]) -> Cells:
        rows = Cells(codes, strata, impressions, clicks).only(chosen & counts)
        pairs, cells = np.unique(np.stack([rows.texts, rows.strata]), axis=1, return_inverse=True)
        sums = [np.bincount(cells.reshape(-1), values, pairs.shape[1]).astype(np.int64)
                for values in (rows.impressions, rows.clicks)]  # fmt: skip
        return Cells(*pairs, *sums)

    segments = {}
    for name in [name for name in within if plain_name(name) == "segment"]:
        numbers, labels = columns.codes(name)
        segments = {label: pooled(numbers == place) for place, label in enumerate(labels)}
    return Log(file.name, texts, {ALL: pooled(counts)}, ", ".join(within) or "log",
               segments if len(segments) > 1 else {}, own, tuple(notes))  # fmt: skip


def _shown_and_clicked(
    columns: ColumnReader, file: TableFile, shown: str | None, clicked: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return impressions and clicks of each row; a row is one impression where no column says how many."""
    clicks = _counts(columns, file, clicked)
    if shown is None and clicks.max(initial=0) > 1:
        row = int(clicks.argmax())
        raise InputError(f"{file.name} has no column of impressions, and row {row + 1} has {clicks[row]} clicks; say "
                         "which column has them with --impressions")  # fmt: skip
    impressions = np.ones(len(clicks), dtype=np.int64) if shown is None else _counts(columns, file, shown)
    if (more := np.flatnonzero(clicks > impressions)).size:
        row = int(more[0])
        raise InputError(f"{file.name}, row {row + 1}: {clicks[row]} clicks on {impressions[row]} impressions; an "
                         "impression has one click at most")  # fmt: skip
    return impressions, clicks


def _column(file: TableFile, role: str, given: str | None) -> str | None:
    """Return the column of a role: the one that is named, or has a usual name, which is said."""
    if given is not None:
        return given
    usual = [name for name in file.columns if plain_name(name) in _USUAL[role]]
    exact = [name for name in usual if plain_name(name) == role]
    if role == "clicks" and len(usual) > 1 and len(exact) != 1:
        exact = [name for name in usual if plain_name(name) in ("click", "clicked")]
    found = exact if len(exact) == 1 else usual
    if len(found) == 1:
        if found[0] != role:
            say(f"{role}: column {found[0]!r} of {file.name}; --{role} names another")
        return found[0]
    if role == "impressions" and not found:
        return None
    could = f", it could be {' or '.join(map(repr, found))}" if found else ""
    raise InputError(f"{file.name} has no column {role!r}{could}; it has {', '.join(file.columns)}: say which with "
                     f"--{role}")  # fmt: skip


def _counts(columns: ColumnReader, file: TableFile, name: str) -> NDArray[np.int64]:
    values = columns.numbers(name)
    wrong = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"{file.name}, row {row + 1}: {name} is {columns.table[name][row].as_py()!r}; give a whole "
                         "number from 0")  # fmt: skip
    return values.astype(np.int64)


def _refuse_missing(codes: NDArray[np.int64], file: TableFile, name: str) -> None:
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise InputError(f"{file.name}, row {row + 1} has no {name}; leave such rows out, or fill them in")


def _hand_coded(
    columns: ColumnReader, file: TableFile, name: str, codes: NDArray[np.int64], texts: Sequence[str]
) -> tuple[str, ...]:
    own, labels = columns.codes(name)
    _refuse_missing(own, file, name)
    found: dict[int, int] = {}
    for row, (text, level) in enumerate(zip(codes.tolist(), own.tolist(), strict=True)):
        if found.setdefault(text, level) != level:
            raise InputError(f"{file.name}, row {row + 1}: {name} is {labels[level]!r}, and {labels[found[text]]!r} in "
                             "another row of the same text; give a text one level of it")  # fmt: skip
    return tuple(labels[found[number]] for number in range(len(texts)))


def _first_of_visitors(visitors: NDArray[np.int64], texts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each row whether it is the first of its visitor and text; rows without a visitor are."""
    first = np.unique(np.stack([visitors, texts]), axis=1, return_index=True)[1]
    found = visitors < 0
    found[first] = True
    return found
