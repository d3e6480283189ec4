"""From a table to rounds: which column is what, and which rows cannot be used."""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bandits.evaluation.rounds import LoggedRounds, propensity_problems, reward_problems
from bandits.evaluation.tables import ColumnReader, read_table
from copyloom import InputError
from copyloom.problems import Problem, problems_where, raise_if_any
from copyloom.tables import Reading

_MOST_FEATURE = 1e100  # its square is finite
_MOST_NAMES = 1000


@dataclass(frozen=True)
class Columns:
    """Names of a log's columns; None where there is no such column.

    Attributes
    ----------
    text : str
        The text that was shown, or its id.
    reward : str
    propensity : str
        Probability with which the logger showed that text.
    position : str, optional
        Place on the page.
    decision : str, optional
        Id of the decision: each once, or once a position.
    cluster : str, optional
        What kind of text was shown, for MIPS.
    target : str, optional
        Probability with which the target would have shown that text.
    features : tuple of str
        What was known before; strings become one column a value.
    visitor : str, optional
        Who was shown the text: rounds of one visitor are not independent, and intervals allow for that.
    """

    text: str = "text"
    reward: str = "reward"
    propensity: str = "propensity"
    position: str | None = None
    decision: str | None = None
    cluster: str | None = None
    target: str | None = None
    features: tuple[str, ...] = ()
    visitor: str | None = None

    @property
    def but_features(self) -> list[str]:
        """The columns that a log must have, features aside."""
        named = [self.text, self.reward, self.propensity, self.position, self.decision, self.cluster, self.target,
                 self.visitor]  # fmt: skip
        return [column for column in named if column is not None]


@dataclass(frozen=True, eq=False)
class LogTable:
    """The columns of a log that was read, and what is wrong with them.

    Attributes
    ----------
    texts : string array of length n
    rewards, propensities : array of shape (n,)
    positions : array of shape (n,)
        Index into `position_names`.
    position_names : tuple of str
    clusters : array of shape (n,) or None
    target : array of shape (n,) or None
        The target's probability of the text that was shown.
    features : array of shape (n, d)
    visitors : array of shape (n,) or None
    reward_range : pair of float
    problems : tuple of Problem
        Empty if the log can be used.
    """

    texts: pa.ChunkedArray
    rewards: np.ndarray
    propensities: np.ndarray
    positions: np.ndarray
    position_names: tuple[str, ...]
    clusters: np.ndarray | None
    target: np.ndarray | None
    features: np.ndarray
    visitors: np.ndarray | None
    reward_range: tuple[float, float]
    problems: tuple[Problem, ...]

    @property
    def names(self) -> list[str]:
        """The distinct texts, sorted."""
        return sorted(self.texts.drop_null().unique().to_pylist())

    def rounds(self, names: Sequence[str]) -> LoggedRounds:
        """The rounds, their texts as indices into the names."""
        raise_if_any(self.problems)
        return LoggedRounds(
            texts=pc.index_in(self.texts, value_set=pa.array(names, pa.string())).to_numpy(),
            rewards=self.rewards,
            propensities=self.propensities,
            text_count=len(names),
            positions=self.positions,
            features=self.features,
            reward_range=self.reward_range,
        )


def read_log(
    source: Any,
    columns: Columns | None = None,
    *,
    reward_range: tuple[float, float] = (0.0, 1.0),
    texts: Sequence[str] | None = None,
    reading: Reading | None = None,
) -> LogTable:
    """Read a log and list what is wrong with it, all rows and kinds at once.

    Parameters
    ----------
    source : table or path
        As for `read_table`.
    columns : Columns, optional
    reward_range : pair of float
        Least and most that a reward can be.
    texts : sequence of str, optional
        All texts that may stand in the log; any by default.
    reading : Reading, optional
        What a person says of the file.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or is empty.

    Examples
    --------
    >>> log = read_log({"text": ["a", "b"], "reward": [0, 7], "propensity": [0.5, 0.5]})
    >>> print(log.problems[0])
    column 'reward' is out of range in 1 row: row 2 (7.0); allowed: 0 to 1, as declared
    """
    columns = columns or Columns()
    reader = ColumnReader(read_table(source, columns.but_features, typed=columns.features, reading=reading))
    names = reader.labels(columns.text)
    _find_nearly_equal(reader, names, columns.text, texts or ())
    if texts is not None:
        unknown = pc.invert(pc.is_in(names, value_set=pa.array([*texts, None], pa.string()))).to_numpy()
        allowed = f"one of the {len(texts):,} texts given"
        reader.problems += problems_where(unknown, names, columns.text, "is unknown", allowed)
    rewards, propensities = reader.numbers(columns.reward), reader.numbers(columns.propensity)
    reader.problems += reward_problems(rewards, columns.reward, reward_range)
    reader.problems += propensity_problems(propensities, columns.propensity)
    positions, position_names = _codes(reader, columns.position)
    clusters, _ = _codes(reader, columns.cluster)
    target = _target(reader, columns.target)
    features = _features(reader, columns.features)
    visitors, _ = _codes(reader, columns.visitor)
    _find_repeated(reader, columns, positions)
    return LogTable(
        texts=names,
        rewards=rewards,
        propensities=propensities,
        positions=positions,
        position_names=position_names,
        clusters=clusters if columns.cluster else None,
        target=target,
        features=features,
        visitors=visitors if columns.visitor else None,
        reward_range=reward_range,
        problems=tuple(reader.problems),
    )


def _codes(reader: ColumnReader, column: str | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Indices of a column's names, or one name for all rounds."""
    return (np.zeros(reader.table.num_rows, np.int64), ("",)) if column is None else reader.codes(column)


def _target(reader: ColumnReader, column: str | None) -> np.ndarray | None:
    if column is None:
        return None
    values = reader.numbers(column)
    reader.problems += problems_where((values < 0) | (values > 1), values, column, "is out of range", "0 to 1")
    return values


def _features(reader: ColumnReader, columns: Sequence[str]) -> np.ndarray:
    """Numbers as they are, names as one column each: (n, d)."""
    found = [np.empty((reader.table.num_rows, 0))]
    for column in columns:
        kind = reader.table[column].type
        kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
        if any(is_kind(kind) for is_kind in kinds):
            values = reader.numbers(column)
            large = np.abs(values) > _MOST_FEATURE
            reader.problems += problems_where(large, values, column, "is too large", f"at most {_MOST_FEATURE:g}")
            found.append(values[:, None])
        else:
            codes, names = reader.codes(column)
            if len(names) > _MOST_NAMES:
                raise InputError(
                    f"feature {column!r} has {len(names):,} different values, each of which would be a column; pass "
                    f"numbers, or names of at most {_MOST_NAMES:,} kinds"
                )
            found.append((codes[:, None] == np.arange(len(names))).astype(np.float64))
    return np.hstack(found)


def _find_nearly_equal(reader: ColumnReader, texts: pa.ChunkedArray, column: str, known: Collection[str]) -> None:
    """Note every text that differs from another in spaces or stored accents alone: nobody means two texts by them."""
    spellings: dict[str, list[str]] = {}
    for name in texts.drop_null().unique().to_pylist():
        spellings.setdefault(_spelling(name), []).append(name)
    other: dict[str, str] = {}
    for plain, names in spellings.items():
        kept = min(names, key=lambda name: (name != plain, name))
        other |= {name: kept for name in names if name != kept and not {name, kept} <= set(known)}
    if not other:
        return
    bad = pc.fill_null(pc.is_in(texts, value_set=pa.array(list(other), pa.string())), False).to_numpy()
    given = [f"{name!a} and {other[name]!a}" if name in other else "" for name in texts.to_pylist()]
    allowed = "one spelling of a text"
    reader.problems += problems_where(bad, given, column, "is nearly equal to another text", allowed)


def _spelling(text: str) -> str:
    """A text with white space made single and accents joined to their letters (NFC)."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _find_repeated(reader: ColumnReader, columns: Columns, positions: np.ndarray) -> None:
    """Note every row whose decision has stood in an earlier one, at the same position."""
    if columns.decision is None:
        return
    decisions, _ = reader.codes(columns.decision)
    pairs = decisions * (positions.max() + 2) + positions + 1
    repeated = np.ones(len(pairs), dtype=bool)
    repeated[np.unique(pairs, return_index=True)[1]] = False
    repeated &= decisions >= 0
    allowed = "each decision once" if columns.position is None else "each decision once a position"
    given = reader.table[columns.decision]
    reader.problems += problems_where(repeated, given, columns.decision, "is given again", allowed)
