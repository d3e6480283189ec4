"""What raters answered, read back: whose sheets count, what they said of each text or pair, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bandits.evaluation.tables import read_table
from copyloom import InputError
from copyloom.columns import is_missing
from copyloom.numbers import parse_numbers
from copyloom.tables import TableFile, open_table
from experiments.raters.checks import failed
from experiments.raters.key import Key, Line
from experiments.raters.questions import TIE, A, B, Question

Array = NDArray[np.float64]
Given = dict[str, str]
"""What was answered on a line, by question."""
_ALIKE = 8
"""From so many answers on, all alike are no answers."""
_UNREAD = "failed the lines that check whether the sheet is read"
_CHOSEN = {A.casefold(): A, B.casefold(): B, TIE: TIE}
_WORTH = {A: 1.0, TIE: 0.5, B: 0.0}


@dataclass(frozen=True, eq=False)
class Answers:
    """What R raters said of U units.

    Parameters
    ----------
    raters : tuple of str
        Those who count.
    marks : dict of str to array of shape (R, U)
        By question, NaN where one was not answered: marks; or, where one of two texts is chosen, 1 for the unit's
        first, 0 for its second, 0.5 for neither.
    shown_first : dict of str to array of shape (R, U)
        By question with a choice: 1 where the text was chosen that stood first on the sheet.
    left_out : dict of str to str
        Raters who do not count, and why.
    missing : dict of str to int
        By rater who counts, answers that are missing.
    absent : tuple of int
        Sheets that nobody brought back.
    """

    raters: tuple[str, ...]
    marks: dict[str, Array]
    shown_first: dict[str, Array]
    left_out: dict[str, str]
    missing: dict[str, int]
    absent: tuple[int, ...] = ()

    @property
    def answered(self) -> NDArray[np.int64]:
        """Numbers of the units of which something was said."""
        return np.flatnonzero(np.any([np.isfinite(own).any(0) for own in self.marks.values()], axis=0))


def read_answers(files: Sequence[Path], key: Key, unknown: str) -> Answers:
    """Return what raters answered.

    Parameters
    ----------
    files : sequence of Path
        Tables with the column id and one or more of the questions; a file is one rater's, unless its column ``rater``
        says whose a row is. Empty cells are not answered.
    key : Key
    unknown : str
        What to do about an id that the key does not have, for the message.

    Raises
    ------
    InputError
        If an id is unknown or there twice, an answer is none, a rater has lines of two sheets, or nobody is left who
        counts.
    """
    lines = {line.id: line for line in key.lines}
    given: dict[str, dict[str, Given]] = {}
    columns: dict[str, set[str]] = {}
    for path in files:
        rows, asked = _rows(path, key, lines, unknown)
        for rater, id, said in rows:
            own = given.setdefault(rater, {})
            if id in own:
                raise InputError(f"{path.name} has {id} twice of {rater}; leave one, or name the raters in a column "
                                 "'rater'")  # fmt: skip
            own[id] = said
            columns.setdefault(rater, set()).update(asked)
    return answers_of(given, key, columns)


def answers_of(
    given: Mapping[str, Mapping[str, Given]], key: Key, columns: Mapping[str, set[str]] | None = None
) -> Answers:
    """Return what raters answered, by rater and line.

    Parameters
    ----------
    given : mapping of str to mapping of str to dict
    key : Key
    columns : mapping of str to set of str, optional
        The questions that each rater's sheet has; all of them unless given.

    Raises
    ------
    InputError
        If a rater has lines of two sheets, or nobody is left who counts.
    """
    lines = {line.id: line for line in key.lines}
    every = {question.name for question in key.questions}
    sheets = {rater: _sheet_of(rater, own, lines) for rater, own in given.items()}
    left_out = {rater: why for rater, own in given.items() if (why := _why_not(own, lines, key))}
    raters = tuple(rater for rater in given if rater not in left_out)
    if not raters:
        raise InputError(f"nobody is left who counts: {'; '.join(f'{rater} {why}' for rater, why in left_out.items())}")
    marks, shown = _marks([given[rater] for rater in raters], lines, key)
    missing = {
        rater: _missing(given[rater], sheets[rater], columns[rater] if columns else every, key) for rater in raters
    }
    absent = tuple(sheet for sheet in range(1, key.sheets + 1) if sheet not in sheets.values())
    return Answers(raters, marks, shown, left_out, missing, absent)


def _rows(
    path: Path, key: Key, lines: Mapping[str, Line], unknown: str
) -> tuple[list[tuple[str, str, Given]], list[str]]:
    """Return (rater, id, answers by question) of a file's rows, and the questions it has columns for."""
    file = open_table(path, wanted=["id"])
    asked = [question for question in key.questions if question.name in file.columns]
    if "id" not in file.columns or not asked:
        names = " or ".join(question.name for question in key.questions)
        raise InputError(f"{file.name} is no filled-in sheet: it needs the columns id and {names}; it has "
                         f"{', '.join(file.columns)}")  # fmt: skip
    table = read_table(file, ["id", *(question.name for question in asked)], optional=["rater"])
    cells = {name: [None if value is None else str(value) for value in table[name].to_pylist()]
             for name in table.column_names}  # fmt: skip
    whose = cells.get("rater", [path.stem] * table.num_rows)
    answers = {question.name: _answers(question, cells[question.name], file) for question in asked}
    found = []
    for row, id in enumerate(cells["id"]):
        if id not in lines:
            raise InputError(f"{file.name}, row {row + 1}: {unknown.format(repr(id))}")
        wanted = key.asked(lines[str(id)])
        said = {name: answer for name, own in answers.items() if name in wanted and (answer := own[row])}
        found.append((whose[row] or path.stem, str(id), said))
    return found, list(answers)


def _answers(question: Question, cells: Sequence[str | None], file: TableFile) -> list[str | None]:
    """Return the cells of a question as answers, None where there is none."""
    numbers = [] if question.choice else parse_numbers(cells, whole=True)
    found: list[str | None] = []
    for row, cell in enumerate(cells):
        if cell is None or is_missing(cell):
            found.append(None)
            continue
        if question.choice:
            answer = _CHOSEN.get(cell.strip().casefold())
        else:
            answer = str(int(numbers[row])) if numbers[row] in range(1, question.highest + 1) else None
        if answer is None:
            rule = question.rule if question.choice else f"a whole number from 1 to {question.highest}"
            raise InputError(f"{file.name}, row {row + 1}: {question.name} is {cell!r}; give {rule}, or leave it empty")
        found.append(answer)
    return found


def _sheet_of(rater: str, own: Mapping[str, Given], lines: Mapping[str, Line]) -> int | None:
    """Return the number of a rater's sheet; None where lines belong to no sheet."""
    sheets = sorted({sheet for id in own if (sheet := lines[id].sheet)})
    if len(sheets) > 1:
        raise InputError(f"{rater} has lines of the sheets {' and '.join(map(str, sheets))}, and a rater must not "
                         "see an item twice; if these are two people, give each a name of their own in the column "
                         "'rater'")  # fmt: skip
    return sheets[0] if sheets else None


def _why_not(own: Mapping[str, Given], lines: Mapping[str, Line], key: Key) -> str | None:
    """Return why a rater does not count; None if there is no reason."""
    choices = {question.name for question in key.questions if question.choice}
    said = [(name, answer) for id, given in own.items() if lines[id].unit is not None for name, answer in given.items()]
    if not said:
        return "rated nothing"
    marks = Counter(answer for name, answer in said if name not in choices)
    if len(marks) == 1 and marks.total() >= _ALIKE:
        return f"marked {next(iter(marks))} everywhere"
    chosen = Counter(answer for name, answer in said if name in choices)
    if len(chosen) == 1 and chosen.total() >= _ALIKE and TIE not in chosen:
        return f"chose text {next(iter(chosen))} everywhere"
    return _UNREAD if any(failed(lines[id].expected, given) for id, given in own.items()) else None


def _marks(
    given: Sequence[Mapping[str, Given]], lines: Mapping[str, Line], key: Key
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return marks and choices of the texts shown first, each (R, U) by question."""
    shape = len(given), len(key.units)
    marks: dict[str, Array] = {question.name: np.full(shape, np.nan) for question in key.questions}
    shown: dict[str, Array] = {question.name: np.full(shape, np.nan) for question in key.questions if question.choice}
    for row, own in enumerate(given):
        for id, said in own.items():
            if (unit := lines[id].unit) is None:
                continue
            for name, answer in said.items():
                if name in shown:
                    shown[name][row, unit] = _WORTH[answer]
                    marks[name][row, unit] = 1 - _WORTH[answer] if lines[id].turned else _WORTH[answer]
                else:
                    marks[name][row, unit] = float(answer)
    return marks, shown


def _missing(own: Mapping[str, Given], sheet: int | None, columns: set[str], key: Key) -> int:
    """Return how many answers a rater's lines lack; of questions without a column, none."""
    asked = [line for line in key.lines if line.unit is not None
             and (line.id in own if sheet is None else line.sheet == sheet)]  # fmt: skip
    return sum(name in columns and name not in own.get(line.id, {}) for line in asked for name in key.asked(line))
