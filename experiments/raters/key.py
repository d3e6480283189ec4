"""What the lines of sheets stand for: the file that stays with whoever made them, and without which none is read."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from copyloom import InputError, in_words
from embeddings.folders import replacing
from experiments.raters.questions import Question
from experiments.raters.units import Unit

VERSION = 1
_LETTERS = 7


@dataclass(frozen=True)
class Line:
    """A line of a sheet.

    Parameters
    ----------
    id : str
        By which it is known on the sheet.
    unit : int or None
        The number of what is judged; None for a check.
    turned : bool
        Whether the two texts of a pair have changed places.
    expected : mapping of str to str
        What a check asks for, by question.
    sheet : int or None
        From 1; None where a line may stand on any.
    """

    id: str
    unit: int | None
    turned: bool = False
    expected: Mapping[str, str] = field(default_factory=dict)
    sheet: int | None = None


@dataclass(frozen=True)
class Key:
    """What the lines of sheets stand for.

    Parameters
    ----------
    questions : tuple of Question
    units : tuple of Unit
    lines : tuple of Line
        Sheet by sheet, in the order in which they stand there.
    equal : int
        Pairs that were not shown because their texts are equal.
    """

    questions: tuple[Question, ...]
    units: tuple[Unit, ...]
    lines: tuple[Line, ...]
    equal: int = 0

    @property
    def sheets(self) -> int:
        """How many there are."""
        return max((line.sheet or 0 for line in self.lines), default=0)

    def asked(self, line: Line) -> list[str]:
        """Return the names of the questions that a line is asked."""
        if line.unit is None:
            return list(line.expected)
        return [question.name for question in self.questions if question.of == self.units[line.unit].of]


_KEY = TypeAdapter(Key)


def new_ids(many: int, rng: random.Random) -> list[str]:
    """Return different ids of letters drawn at random; no figures, or spreadsheets would make numbers of them."""
    found: dict[str, None] = {}
    while len(found) < many:
        found["".join(rng.choices(string.ascii_uppercase, k=_LETTERS))] = None
    return list(found)


def write_key(key: Key, path: Path) -> None:
    """Write a key to a JSON file.

    Raises
    ------
    InputError
        If another key is there: without it the sheets that belong to it could not be read.
    """
    whole = json.dumps({"version": VERSION, **asdict(key)}, indent=1, ensure_ascii=False)
    whole = whole.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair
    if path.exists() and path.read_text(encoding="utf-8") != whole:
        raise InputError(f"{path} is the key of other sheets, which cannot be read without it; choose another --out, "
                         "or delete it if nobody has those sheets")  # fmt: skip
    with replacing(path) as partial:
        partial.write_text(whole, encoding="utf-8")


def read_key(path: Path) -> Key:
    """Return a key that `write_key` wrote.

    Raises
    ------
    InputError
        If the file is none.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a key ({error}); give the file ending in -key.json that was "
                         "written beside the sheets") from error  # fmt: skip
    if not isinstance(found, dict) or found.pop("version", None) != VERSION:
        raise InputError(f"{path} is no key of this version of Copyloom; give the file ending in -key.json that was "
                         "written beside the sheets")  # fmt: skip
    try:
        key = _KEY.validate_python(found)
    except ValidationError as error:
        raise InputError(f"{path} is damaged ({in_words(error)}); give the key as it was written") from error
    _check_lines(key.lines, len(key.units), path)
    return key


def _check_lines(lines: Sequence[Line], units: int, path: Path) -> None:
    ids = [line.id for line in lines]
    if len(set(ids)) < len(ids) or any(line.unit is not None and not 0 <= line.unit < units for line in lines):
        raise InputError(f"{path} is damaged (ids twice, or lines of nothing); give the key as it was written")
