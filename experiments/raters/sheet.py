"""A rater's sheet as a table to fill in, or as one page that works without a network."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from copyloom import InputError
from embeddings.folders import replacing
from experiments.raters.questions import Question
from experiments.reports.report import environment, write_page

ENDINGS = (".csv", ".html")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute."""
_NOT_ASKED = "-"
_CELL = 32_767
"""Letters that a cell of a spreadsheet holds."""


@dataclass(frozen=True)
class Block:
    """What a rater sees at a time.

    Parameters
    ----------
    id : str
    texts : tuple of str
        One, or two in the order in which they are shown.
    questions : tuple of Question
    about : str
        What they were to say; "" where that is not shown.
    """

    id: str
    texts: tuple[str, ...]
    questions: tuple[Question, ...]
    about: str = ""


def check_ending(path: Path) -> None:
    """Raise `InputError` unless a sheet can be written under this name."""
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"a rater sheet cannot be written to {path}; give a name that ends in .csv or .html")


def write_sheets(
    sheets: Sequence[Sequence[Block]], questions: Sequence[Question], instructions: str, path: Path
) -> list[Path]:
    """Write a file for each rater, CSV or HTML by the ending, and return the files; instructions stand beside CSV.

    Parameters
    ----------
    sheets : sequence of sequences of Block
    questions : sequence of Question
        All that are asked.
    instructions : str
    path : Path
        ``sheet.html`` becomes ``sheet-1.html`` and so on where there are many raters.

    Raises
    ------
    InputError
        If the ending is another, a text is too long for a table, or a file cannot be written.
    """
    check_ending(path)
    table = path.suffix.lower() == ".csv"
    if table:
        _check_lengths(sheets)
    files = []
    for number, blocks in enumerate(sheets, start=1):
        file = path if len(sheets) == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        _write_table(blocks, questions, file) if table else _write_page(blocks, questions, instructions, file)
        files.append(file)
    if table:
        files.append(path.with_name(f"{path.stem}-instructions.txt"))
        with replacing(files[-1]) as partial:
            asked = "\n".join(f"{question.name}: {question.words} ({question.rule})" for question in questions)
            partial.write_text(f"{instructions}\n\n{asked}\n", encoding="utf-8")
    return files


def _write_table(blocks: Sequence[Block], questions: Sequence[Question], path: Path) -> None:
    pairs, about = any(len(block.texts) > 1 for block in blocks), any(block.about for block in blocks)
    shown = [*(["about"] if about else []), *(["text A", "text B"] if pairs else ["text"])]
    with replacing(path) as partial, partial.open("w", encoding="utf-8-sig", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *shown, *(question.name for question in questions)])
        for block in blocks:
            texts = [*([block.about] if about else []), *block.texts, *([""] * (pairs and len(block.texts) == 1))]
            asked = ["" if question in block.questions else _NOT_ASKED for question in questions]
            writer.writerow([block.id, *map(_harmless, texts), *asked])


def _harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _check_lengths(sheets: Sequence[Sequence[Block]]) -> None:
    longest = max((text for blocks in sheets for block in blocks for text in (*block.texts, block.about)), key=len)
    if len(longest) >= _CELL:
        raise InputError(f"the text {longest[:40]!r}... has {len(longest):,} letters, and a cell of a spreadsheet "
                         f"holds {_CELL:,}; write the sheets as .html")  # fmt: skip


def _write_page(blocks: Sequence[Block], questions: Sequence[Question], instructions: str, path: Path) -> None:
    page = environment().get_template("rater_sheet.html.j2")
    answers = sum(len(block.questions) for block in blocks)
    names = [question.name for question in questions]
    write_page(page.render(blocks=blocks, names=names, instructions=instructions, answers=answers), path)
