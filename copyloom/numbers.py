"""Numbers as people and spreadsheets write them: decimal commas, thousands separators, percentages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import nan

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WRITTEN = re.compile(r"[+-]?\d[\d.,'’]*")
_THOUSANDS = {mark: re.compile(rf"[+-]?[1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+") for mark in ",."}
_SPACES = re.compile(r"[\s\u00a0\u2009\u202f]")
_WORDS = {"true": "1", "false": "0"}
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?")


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, however it is written; a percentage is one."""
    return bool(_PLAIN.fullmatch(cell.strip()) or _WRITTEN.fullmatch(_bare(cell)[0]))


def is_value(cell: str) -> bool:
    """Return whether a cell is a number or a date."""
    return is_number(cell) or bool(_DATE.fullmatch(cell.strip()))


def parse_numbers(cells: Sequence[str | None], whole: bool = False) -> list[float]:
    """Return the numbers of a column, NaN for a cell that is none or could be two.

    The column decides what its commas and points mean: "0,5" or "1.234,5" make the comma its decimal mark, "1,234.5"
    or "1,234,567" its thousands separator. "1,234" alone could be either and is NaN.

    Parameters
    ----------
    cells : sequence of str or None
        True and false are 1 and 0; "50%" is 0.5.
    whole : bool
        Whether all are whole numbers, such as clicks: then "1,234" can only be 1234, and so can "1.234" unless
        another has a point elsewhere.

    Examples
    --------
    >>> parse_numbers(["1,234.5", "2,000", "50%"])
    [1234.5, 2000.0, 0.5]
    >>> parse_numbers(["0,25", "1.000,5", "7"])
    [0.25, 1000.5, 7.0]
    >>> parse_numbers(["1,234", "7"])
    [nan, 7.0]
    """
    bare = [("", 1.0) if cell is None else _bare(cell) for cell in cells]
    decimal = _decimal_mark([number for number, _ in bare], whole)
    return [_number(number, decimal) / scale for number, scale in bare]


def _bare(cell: str) -> tuple[str, float]:
    """A cell without spaces and percent sign, and what to divide by."""
    number = _SPACES.sub("", _WORDS.get(cell.strip().lower(), cell)).replace("\u2212", "-")
    return (number[:-1], 100.0) if number.endswith("%") else (number, 1.0)


def _decimal_mark(numbers: Sequence[str], whole: bool) -> str | None:
    """The decimal mark of a column: "." or ","; None if commas may be either."""
    if not any("," in number for number in numbers):
        pointed = [number for number in numbers if "." in number]
        groups = [number for number in pointed if _THOUSANDS["."].fullmatch(number)]
        return "," if any(number.count(".") > 1 for number in groups) or (whole and groups == pointed != []) else "."
    told = {mark for number in numbers if _WRITTEN.fullmatch(number) and (mark := _told(number))}
    if whole and not told:
        return "."
    return told.pop() if len(told) == 1 else None


def _told(number: str) -> str | None:
    """The decimal mark that a number alone proves."""
    comma, point = number.rfind(","), number.rfind(".")
    if comma < 0:
        return "," if number.count(".") > 1 else None if point < 0 or _THOUSANDS["."].fullmatch(number) else "."
    if point >= 0:
        return "," if comma > point else "."
    if number.count(",") > 1:
        return "."
    return None if _THOUSANDS[","].fullmatch(number) else ","


def _number(number: str, decimal: str | None) -> float:
    number = re.sub(r"(?<=\d)['’](?=\d{3})", "", number)
    if decimal is None:
        return float(number) if _PLAIN.fullmatch(number) else nan
    grouping = "," if decimal == "." else "."
    integer, mark, fraction = number.partition(decimal)
    if grouping in integer:
        if not _THOUSANDS[grouping].fullmatch(integer):
            return nan
        integer = integer.replace(grouping, "")
    plain = integer + ("." + fraction if mark else "")
    return float(plain) if _PLAIN.fullmatch(plain) else nan
