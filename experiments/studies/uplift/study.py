"""Does mixing pay, how often, and what does it cost where it cannot? Campaigns in drawn worlds, and the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from copyloom import InputError, Report
from embeddings.adapter import folder_of, load_settings
from embeddings.folders import held
from experiments.engines import Engine
from experiments.reports.tables import write_rows, write_table
from experiments.simulation.arms import OPEN, SATURATED
from experiments.simulation.results import student_interval
from experiments.studies.uplift.measures import load_editor
from experiments.studies.uplift.play import Found, Product, stage
from experiments.studies.uplift.settings import ENTRANTS, MIX, SETTING, STORED, EntrantName, Part, UpliftStudy, parts
from experiments.versions import versions
from generator.editor import Editor
from generator.models import MODELS, is_there

GAINS = 0.01
"""A campaign gains where it ends with an expected CTR that is higher by more than this share."""
CAPTION = "New texts against the same bandit on stored texts alone: expected click rate over the last fifth"
NOTE = (
    "Refused: share of the texts written. Printed: mean probability that the program's own editor gives what was "
    "shown last of being printed; it is no person. Effective texts: how many, shown alike, were as varied."
)
SHORT = ("entrant", "CTR", "uplift", "95 %", "gain over 1 %", "lost where none can help", "refused", "printed")
"""Columns of a table that fits a terminal."""
_KEYS = [
    ("world", pa.string()), ("half_life", pa.float64()), ("impressions", pa.int64()), ("pool", pa.int64()),
    ("subject", pa.int64()), ("entrant", pa.string()), ("seed", pa.int64()), ("campaigns", pa.string()),
]  # fmt: skip
_CAMPAIGNS = pa.schema([
    *_KEYS, *((name, pa.float64()) for name in ("ctr", "ctr_whole", "uplift", "uplift_whole", "regret")),
    ("ctr_best_stored", pa.float64()), ("ctr_uniform", pa.float64()), ("written", pa.int64()), ("shown", pa.int64()),
    *((name, pa.float64())
      for name in ("refused_share", "printable_share", "new_share", "effective_texts", "distance")),
])  # fmt: skip
_CURVES = pa.schema([
    *_KEYS[:2], ("traffic", pa.int64()), *_KEYS[3:], ("snapshot", pa.int64()), ("impressions", pa.int64()),
    *((name, pa.float64()) for name in ("ctr", "new_share", "effective_texts")),
])  # fmt: skip
_MEANS = ("ctr", "ctr_whole", "regret", "written", "shown", "refused_share", "printable_share", "new_share",
          "effective_texts", "distance")  # fmt: skip

Row = dict[str, Any]


def measure(settings: UpliftStudy, folder: Path, report: Report, engine: Engine | None = None) -> dict[str, Any]:
    """Play what is not in `folder` yet, and return what new texts bring, by entrant, world, drift, traffic and pool.

    Rows of campaigns and of their snapshots are written into the folder, and the table.

    Returns
    -------
    dict
        ``uplift``, ``uplift_interval``, ``gaining_share`` and ``loss_where_mixing_cannot_help`` of mixing over all
        campaigns; the same for each of the ``entrants``; and both by ``groups``, with learning ``curves``. Uplift is
        that of the expected CTR over the last fifth of the impressions against the same policy on stored texts alone,
        which met the same shoppers: the geometric mean over campaigns, as the mean of ratios is above 1 where nothing
        is gained. Intervals are Student's over subjects: the tastes of a subject share its stored texts.

    Raises
    ------
    InputError
        If an entrant cannot play on this machine, or the folder holds campaigns with other settings, texts or versions.
    """
    for entrant in settings.entrants:
        if why := hindrance(entrant, settings):
            raise InputError(f"the entrant {entrant} cannot play: {why}; or leave it out")
    with held(folder, "study", "--folder"):
        played = _played(settings, folder, report, engine or Engine(processes=1))
    rows = [{**_told(part), **row} for part, found in played for row in found["campaigns"]]
    rows = list(_against_stored(rows))
    curves = [{**_told(part), "traffic": part.impressions, **row} for part, found in played for row in found["curves"]]
    write_rows(rows, folder / "campaigns", _CAMPAIGNS)
    write_rows(curves, folder / "curves", _CURVES)
    found = {**_answers(rows), "entrants": _by_entrant(rows), "groups": list(_groups(rows, curves)),
             "settings": settings.model_dump(mode="json"), "versions": versions()}  # fmt: skip
    table = list(in_words(found["groups"]))
    write_table(list(table[0]), [list(row.values()) for row in table], folder / "table", CAPTION, NOTE)
    return found


def hindrance(entrant: EntrantName, settings: UpliftStudy) -> str | None:
    """Return why an entrant cannot play on this machine; None where it can."""
    if entrant == "encoder" and load_settings(folder_of(settings.model)) is None:
        return f"the model {settings.model!r} has no adapter from sentence vectors; train one: copyloom train adapter"
    if entrant == "prompted" and settings.endpoint is not None:
        return None if find_spec("openai") else "an endpoint needs openai; install it: pip install 'copyloom[prompted]'"
    if entrant == "prompted" and settings.asked in MODELS and not is_there(settings.asked):
        return f"{settings.asked} is not on this machine; get it: copyloom models get {settings.asked}"
    return None


def able(settings: UpliftStudy) -> tuple[EntrantName, ...]:
    """Return all entrants that can play on this machine."""
    return tuple(name for name in ENTRANTS if hindrance(name, settings) is None)


def _played(settings: UpliftStudy, folder: Path, report: Report, engine: Engine) -> list[tuple[Part, Found]]:
    """Return each part and what it came to; those that were played before are read, the others product by product."""
    every = list(parts(settings))
    products = list(dict.fromkeys((part.subject, part.pool) for part in every))
    found: dict[Part, Found] = {}
    report("products", 0, len(products))
    shared = settings, folder, report if engine.stays(len(products)) else None
    for number, (_, some) in enumerate(engine.spread(_of_product, shared, products), start=1):
        found |= some
        report("products", number, len(products))
    return [(part, found[part]) for part in every]


def _of_product(shared: tuple[UpliftStudy, Path, Report | None], subject_pool: tuple[int, int]) -> dict[Part, Found]:
    """Return what all parts of a product came to."""
    settings, folder, report = shared
    product = Product(settings, *subject_pool, folder)
    mine = [part for part in parts(settings) if (part.subject, part.pool) == subject_pool]
    found = {part: known for part in mine if (known := product.known(part)) is not None}
    if fresh := [part for part in mine if part not in found]:
        with stage(product, _editor() if settings.editor else None, report or (lambda *_: None)) as played:
            for part in fresh:
                product.keep(part, new := played.play(part))
                found[part] = new
    return found


@cache
def _editor() -> Editor | None:
    """Return the editor, loaded once in each process."""
    return load_editor("auto")


def _told(part: Part) -> Row:
    return {**vars(part)}


def _against_stored(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield rows of campaigns with what each gains against the one on stored texts that met the same shoppers."""

    def shoppers(row: Row) -> tuple[Any, ...]:
        return (*_setting(row), row["subject"], row["seed"], row["campaigns"])

    stored = {shoppers(row): row for row in rows if row["entrant"] == STORED}
    for row in rows:
        off = stored[shoppers(row)]
        yield {**row, "uplift": row["ctr"] / off["ctr"] - 1, "uplift_whole": row["ctr_whole"] / off["ctr_whole"] - 1}


def _setting(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in SETTING)


def _answers(rows: Sequence[Row], entrant: str = MIX) -> dict[str, Any]:
    """Return what an entrant brings, from rows of campaigns."""
    own = [row for row in rows if row["entrant"] == entrant]
    mine = [row for row in own if row["campaigns"] == OPEN]
    kept = [row for row in own if row["campaigns"] == SATURATED]
    uplift = np.array([row["uplift"] for row in mine])
    lost = _mean(kept, "uplift") if kept else None
    return {
        "campaigns": len(mine),
        "uplift": _mean(mine, "uplift"),
        "uplift_interval": _interval(mine, "uplift"),
        "gaining_share": float((uplift > GAINS).mean()),
        "gaining_share_interval": _by_subject(mine, lambda row: row["uplift"] > GAINS),
        "losing_share": float((uplift < -GAINS).mean()),
        "uplift_whole": _mean(mine, "uplift_whole"),
        "uplift_whole_interval": _interval(mine, "uplift_whole"),
        "loss_where_mixing_cannot_help": None if lost is None else -lost,
        "loss_interval": [-bound for bound in reversed(_interval(kept, "uplift") or [])] or None,
        **{name: _average(mine, name) for name in (*_MEANS, "ctr_best_stored", "ctr_uniform")},
    }


def _by_entrant(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return what each entrant brings, and what mixing earns beyond it."""
    rate = {(*_setting(row), row["subject"], row["seed"], row["campaigns"]): row["ctr"]
            for row in rows if row["entrant"] == MIX}  # fmt: skip
    found = {}
    for name in dict.fromkeys(row["entrant"] for row in rows):
        beyond = [{"subject": row["subject"],
                   "gain": rate[(*_setting(row), row["subject"], row["seed"], row["campaigns"])] / row["ctr"] - 1}
                  for row in rows if row["entrant"] == name and row["campaigns"] == OPEN]  # fmt: skip
        found[name] = {**_answers(rows, name), "mix_gains": _mean(beyond, "gain"),
                       "mix_gains_interval": _interval(beyond, "gain")}  # fmt: skip
    return found


def _mean(rows: Sequence[Row], name: str) -> float:
    """Return the geometric mean of uplifts."""
    return float(np.expm1(np.mean([np.log1p(row[name]) for row in rows])))


def _average(rows: Sequence[Row], name: str) -> float | None:
    """Return the mean of what is known; regret, say, is not known where the best text is not."""
    known = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(known)) if known else None


def _interval(rows: Sequence[Row], name: str) -> list[float] | None:
    """Return the 95 % interval of the geometric mean of uplifts."""
    found = _by_subject(rows, lambda row: np.log1p(row[name]))
    return None if found is None else np.expm1(found).tolist()


def _by_subject(rows: Sequence[Row], value: Callable[[Row], float]) -> list[float] | None:
    """Return the 95 % Student interval of a mean over subjects; over seeds where there is one subject."""
    return student_interval(_subject_means(rows, value))


def _subject_means(rows: Sequence[Row], value: Callable[[Row], float]) -> NDArray[np.float64]:
    values: dict[int, list[float]] = {}
    for row in rows:
        values.setdefault(row["subject"], []).append(float(value(row)))
    return np.array(next(iter(values.values())) if len(values) == 1 else [np.mean(some) for some in values.values()])


def _groups(rows: Sequence[Row], curves: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yield what entrants bring in each world, at each drift, traffic and size of the pool."""
    for setting in dict.fromkeys(map(_setting, rows)):
        mine = [row for row in rows if _setting(row) == setting]
        own = [row for row in curves if (*_setting({**row, "impressions": row["traffic"]}),) == setting]
        yield {**dict(zip(SETTING, setting, strict=True)), **_answers(mine), "entrants": _by_entrant(mine),
               "curves": {name: _curve([row for row in own if row["entrant"] == name])
                          for name in dict.fromkeys(row["entrant"] for row in own)},
               "uplifts": {name: [row["uplift"] for row in mine if (row["entrant"], row["campaigns"]) == (name, OPEN)]
                           for name in dict.fromkeys(row["entrant"] for row in mine) if name != STORED}}  # fmt: skip


def _curve(rows: Sequence[Row]) -> dict[str, list[float | None]]:
    """Return the mean expected CTR of each snapshot where new texts may help, with its interval."""
    found: dict[str, list[float | None]] = {"impressions": [], "mean": [], "low": [], "high": []}
    some = sorted((row for row in rows if row["campaigns"] == OPEN), key=lambda row: row["snapshot"])
    for _, own in groupby(some, lambda row: row["snapshot"]):
        mine = list(own)
        low, high = _by_subject(mine, lambda row: row["ctr"]) or (None, None)
        values = (float(mine[0]["impressions"]), float(np.mean([row["ctr"] for row in mine])), low, high)
        for name, value in zip(found, values, strict=True):
            found[name].append(value)
    return found


def in_words(groups: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """Yield the entrants of each group as rows of a table, by column."""
    for group in groups:
        for name, found in group["entrants"].items():
            gains = {
                "uplift": f"{found['uplift']:+.1%}",
                "95 %": interval_in_words(found["uplift_interval"]),
                "gain over 1 %": f"{found['gaining_share']:.0%}",
                "lost where none can help": _shown(found["loss_where_mixing_cannot_help"], "+.1%"),
            }
            yield {
                "world": group["world"],
                "drift": f"half-life {group['half_life']:g}" if group["half_life"] else "none",
                "impressions": f"{group['impressions']:,}",
                "stored texts": str(group["pool"]),
                "entrant": name,
                "CTR": f"{found['ctr']:.2%}",
                **(dict.fromkeys(gains, "–") if name == STORED else gains),
                "regret": _shown(found["regret"], ",.0f"),
                "refused": _shown(found["refused_share"], ".0%"),
                "printed": _shown(found["printable_share"], ".0%"),
                "effective texts": f"{found['effective_texts']:.1f}",
                "distance": f"{found['distance']:.2f}",
            }


def interval_in_words(bounds: Sequence[float] | None) -> str:
    """Return an interval of gains."""
    return "–" if bounds is None else "{:+.1%} to {:+.1%}".format(*bounds)


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
