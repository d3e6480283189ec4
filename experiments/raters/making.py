"""Sheets for raters and their key, drawn from texts: balanced over sources, sides and raters, and blind."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from copyloom import InputError
from experiments.raters.allotment import allot
from experiments.raters.checks import Check, checks_for
from experiments.raters.key import Key, Line, new_ids, write_key
from experiments.raters.questions import Of, Question
from experiments.raters.sheet import Block, check_ending, write_sheets
from experiments.raters.sides import sides
from experiments.raters.units import Entry, Unit, pair_units, text_units

_TEXTS = "Please judge each text by itself, whatever came before it."
_PAIRS = "Where two texts stand beside each other, read both before you answer."
_ALL = ("There is no right answer: go by your own impression, use the whole scale, and do not go back to compare. Some "
        "lines only check that the sheet is read: they say what to mark.")  # fmt: skip
_LEAST = 3
"""Letters of a source's name below which it is no sign of anything if it stands in a text."""


@dataclass(frozen=True)
class Plan:
    """How sheets are drawn.

    Parameters
    ----------
    questions : tuple of Question
    raters : int
        Sheets.
    many : int
        Texts on a sheet, and as many pairs, where there are questions about them.
    overlap : int
        Raters who judge the same.
    seed : int
    """

    questions: tuple[Question, ...]
    raters: int = 3
    many: int = 20
    overlap: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.overlap <= self.raters:
            raise InputError(
                f"an overlap of {self.overlap} needs as many raters, for none sees a text twice, and there are "
                f"{self.raters}; give an overlap from 1 to {self.raters}, or more raters"
            )
        if self.many < 1:
            raise InputError(f"a sheet of {self.many} texts says nothing; give 1 or more")


@dataclass(frozen=True)
class Drawn:
    """Sheets that were drawn.

    Parameters
    ----------
    key : Key
    sheets : list of lists of Block
    notes : tuple of str
        What is less than was asked for, or may tell raters more than it should.
    """

    key: Key
    sheets: list[list[Block]]
    notes: tuple[str, ...]


def draw(entries: Sequence[Entry], plan: Plan) -> Drawn:
    """Return sheets for raters and what their lines stand for; the same seed draws the same.

    Each rater has an order of their own, texts and pairs apart, and every second one the pairs first.

    Parameters
    ----------
    entries : sequence of Entry
    plan : Plan

    Raises
    ------
    InputError
        If there is no text, no pair where pairs are asked about, or no description where one is needed.
    """
    rng = random.Random(plan.seed)
    _check_about(entries, plan.questions)
    units, equal = _units(entries, {question.of for question in plan.questions})
    sheets = _allotted(units, plan, rng)
    used = sorted({number for sheet in sheets for number in sheet})
    places = {number: place for place, number in enumerate(used)}
    chosen = [units[number] for number in used]
    lines = _lines([[places[number] for number in sheet] for sheet in sheets], chosen, plan.questions, rng)
    key = Key(plan.questions, tuple(chosen), tuple(line for line, _ in lines), equal)
    blocks = [[_block(key, line, check) for line, check in lines if line.sheet == sheet + 1]
              for sheet in range(plan.raters)]  # fmt: skip
    return Drawn(key, blocks, tuple(_notes(entries, plan, units, sheets)))


def write(drawn: Drawn, path: Path) -> list[Path]:
    """Write the sheets and, ending in ``-key.json``, their key, and return the files, the key last.

    Raises
    ------
    InputError
        If they cannot be written, or the key of other sheets stands there.
    """
    check_ending(path)
    key = path.with_name(f"{path.stem}-key.json")
    write_key(drawn.key, key)
    return [*write_sheets(drawn.sheets, drawn.key.questions, instructions(drawn.key.questions), path), key]


def instructions(questions: Sequence[Question]) -> str:
    """Return what raters are told before they begin."""
    asked = {question.of for question in questions}
    return " ".join([*([_TEXTS] if "text" in asked else []), *([_PAIRS] if "pair" in asked else []), _ALL])


def _check_about(entries: Sequence[Entry], questions: Sequence[Question]) -> None:
    needing = [question.name for question in questions if question.needs_about]
    without = [entry for entry in entries if not entry.about]
    if needing and without:
        raise InputError(f"{needing[0]} is judged beside what a text was to say, and {len(without):,} of "
                         f"{len(entries):,} texts have no 'about', such as {without[0].text[:40]!r}; give it to all, "
                         "or ask something else")  # fmt: skip


def _units(entries: Sequence[Entry], asked: set[Of]) -> tuple[list[Unit], int]:
    """Return what can be judged, texts before pairs, and how many pairs are of equal texts."""
    texts = text_units(entries) if "text" in asked else []
    pairs, equal = pair_units(entries) if "pair" in asked else ([], 0)
    if not texts and not pairs:
        raise InputError("there is no text to judge; give a table with the columns text and source")
    return [*texts, *pairs], equal


def _allotted(units: Sequence[Unit], plan: Plan, rng: random.Random) -> list[list[int]]:
    """Return the numbers of the units on each sheet; an item is for texts or for pairs where both are asked about."""
    kinds: dict[Of, list[int]] = {}
    for number, unit in enumerate(units):
        kinds.setdefault(unit.of, []).append(number)
    if len(kinds) > 1:
        kinds = _apart(units, kinds, plan.raters // plan.overlap, rng)
    sheets: list[list[int]] = [[] for _ in range(plan.raters)]
    for own in kinds.values():
        found = allot([units[number] for number in own], plan.raters, plan.many, plan.overlap, rng)
        for sheet, places in zip(sheets, found, strict=True):
            sheet += [own[place] for place in places]
    return sheets


def _apart(
    units: Sequence[Unit], kinds: Mapping[Of, Sequence[int]], each: int, rng: random.Random
) -> dict[Of, list[int]]:
    """Return texts and pairs of different items, of either as many items as fill its part of the sheets.

    Parameters
    ----------
    units : sequence of Unit
    kinds : mapping of str to sequence of int
        Numbers of the texts and of the pairs.
    each : int
        How many units of an item can be judged.
    rng : random.Random
    """
    counts = {of: Counter(units[number].item for number in numbers) for of, numbers in kinds.items()}
    need = {of: 1 / min(each, max(own.values())) for of, own in counts.items()}
    both = sorted(counts["text"].keys() & counts["pair"].keys())
    rng.shuffle(both)
    cut = round(len(both) * need["text"] / (need["text"] + need["pair"]))
    other = {"text": set(both[cut:]), "pair": set(both[:cut])}
    return {of: [number for number in numbers if units[number].item not in other[of]] for of, numbers in kinds.items()}


def _lines(
    sheets: Sequence[Sequence[int]], units: Sequence[Unit], questions: Sequence[Question], rng: random.Random
) -> list[tuple[Line, Check | None]]:
    """Return the lines of all sheets in their order, those that are checks with what they say."""
    checks: dict[Of, list[Check]] = {"text": checks_for(questions, "text"), "pair": checks_for(questions, "pair")}
    pairs = [
        (sheet, number) for sheet, numbers in enumerate(sheets) for number in numbers if units[number].of == "pair"
    ]
    turned = dict(
        zip(pairs, sides([(sheet, units[number].sources, number) for sheet, number in pairs], rng), strict=True)
    )
    ids = iter(new_ids(sum(map(len, sheets)) + len(sheets) * sum(map(len, checks.values())), rng))
    found: list[tuple[Line, Check | None]] = []
    orders = [("text", "pair"), ("pair", "text")]
    for sheet, numbers in enumerate(sheets):
        for of in orders[sheet % 2]:
            own: list[int | Check] = [number for number in numbers if units[number].of == of]
            own += checks[of]  # type: ignore[index]
            for one in rng.sample(own, len(own)):
                if isinstance(one, Check):
                    found.append((Line(next(ids), None, expected=one.expected, sheet=sheet + 1), one))
                else:
                    found.append((Line(next(ids), one, turned.get((sheet, one), False), sheet=sheet + 1), None))
    return found


def _block(key: Key, line: Line, check: Check | None) -> Block:
    asked = key.asked(line)
    questions = tuple(question for question in key.questions if question.name in asked)
    if line.unit is None:
        return Block(line.id, check.texts if check else (), questions)
    unit = key.units[line.unit]
    return Block(line.id, unit.texts[::-1] if line.turned else unit.texts, questions, unit.about)


def _notes(
    entries: Sequence[Entry], plan: Plan, units: Sequence[Unit], sheets: Sequence[Sequence[int]]
) -> Iterator[str]:
    """Yield what is less than was asked for, or may tell raters more than it should."""
    for of in dict.fromkeys(unit.of for unit in units):
        counts = [sum(units[number].of == of for number in sheet) for sheet in sheets]
        if min(counts) < plan.many:
            few = str(min(counts)) if min(counts) == max(counts) else f"{min(counts)} or {max(counts)}"
            yield (f"a sheet has {few} {of}s, not {plan.many}: there are no more that {plan.overlap} raters can judge "
                   "without that one sees an item twice")  # fmt: skip
        uneven = max(_unevenness(units, sheet, of) for sheet in sheets)
        if uneven > max(2, plan.many // 5):
            yield (f"on a sheet one source has up to {uneven} {of}s more than another: they did not write for the same "
                   "items, or not as many texts")  # fmt: skip
    if plan.raters < 2 * plan.overlap and any(many > 1 for many in Counter(unit.item for unit in units).values()):
        yield (f"with {plan.raters} raters and an overlap of {plan.overlap} one text or pair of an item is judged; "
               f"{2 * plan.overlap} raters would compare sources on the same items")  # fmt: skip
    for source in sorted({entry.source for entry in entries if len(entry.source) >= _LEAST}):
        if any(_named(source, text) for entry in entries for text in (entry.text, entry.about)):
            yield f"{source!r} stands in a text, by which raters may guess its source"


def _unevenness(units: Sequence[Unit], sheet: Sequence[int], of: Of) -> int:
    """Return by how much more often one source, or two, is on a sheet than another."""
    counts = Counter({names: 0 for unit in units if unit.of == of for names in unit.labels})
    counts.update(names for number in sheet if units[number].of == of for names in units[number].labels)
    return max(counts.values()) - min(counts.values())


def _named(source: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(source)}(?!\w)", text, re.IGNORECASE) is not None
