"""What is wrong with a table, row by row: found all at once, counted by kind, the first few named."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copyloom import InputError

_NAMED = 5
_LONGEST = 40  # letters of what is quoted


@dataclass(frozen=True)
class Problem:
    """Rows of one column that are wrong in the same way.

    Attributes
    ----------
    column : str
    what : str
        What is wrong, such as "is missing".
    allowed : str
        What may stand there.
    count : int
        In how many rows.
    rows : tuple of int
        The first few of them, counted from 1; a file's header does not count.
    given : tuple of str
        What stands in those.

    Examples
    --------
    >>> print(Problem("reward", "is out of range", "0 to 1", 2, (3, 8), ("1.5", "-2.0")))
    column 'reward' is out of range in 2 rows: row 3 (1.5), row 8 (-2.0); allowed: 0 to 1
    """

    column: str
    what: str
    allowed: str
    count: int
    rows: tuple[int, ...]
    given: tuple[str, ...]

    def __str__(self) -> str:
        named = ", ".join(f"row {row} ({given})" for row, given in zip(self.rows, self.given, strict=True))
        more = ", ..." if self.count > len(self.rows) else ""
        rows = "1 row" if self.count == 1 else f"{self.count:,} rows"
        return f"column {self.column!r} {self.what} in {rows}: {named}{more}; allowed: {self.allowed}"


def problems_where(bad: np.ndarray, values: Any, column: str, what: str, allowed: str) -> list[Problem]:
    """One problem if any row is bad, else none.

    Parameters
    ----------
    bad : array of shape (n,), bool
    values : indexable of length n
        What stands in the rows.
    column, what, allowed : str
        As in `Problem`.
    """
    rows = np.flatnonzero(bad)
    if not rows.size:
        return []
    first = rows[:_NAMED].tolist()
    given = tuple(textwrap.shorten(str(values[row]), _LONGEST, placeholder="...") for row in first)
    return [Problem(column, what, allowed, rows.size, tuple(row + 1 for row in first), given)]


def raise_if_any(problems: Sequence[Problem], where: str = "the log") -> None:
    """Raise one error that names all problems."""
    if problems:
        raise InputError(f"{where} cannot be used: {'; '.join(map(str, problems))}; mend these rows or leave them out")
