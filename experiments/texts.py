"""Reading stored texts: the shipped claims, or a person's own file."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from importlib import resources
from math import isnan
from pathlib import Path

from copyloom import InputError
from copyloom.columns import is_missing
from copyloom.numbers import parse_numbers
from copyloom.tables import Reading, open_table, say
from copyloom.texts import gather_texts
from generator.models import SHIPPED, WRITER
from generator.record import ProductRecord
from generator.settings import read_yaml
from generator.words import UNSPACED

MAX_TEXTS = 200
"""Texts of one pool in a study; more are sampled, and the study says so."""


def shipped_claims() -> tuple[list[str], ProductRecord]:
    """Return the claims written for this project, about one subject and other products, and the subject's record."""
    data = read_yaml(resources.files("experiments").joinpath("data/claims.yaml"))
    return [*data["about_subject"], *data["about_other_products"]], ProductRecord(**data["subject"])


def read_texts(path: Path, column: str | None = None, reading: Reading | None = None) -> list[str]:
    """Return the distinct texts of a file in order, white space made single; see `read_lines`.

    Raises
    ------
    InputError
        As `read_lines`, and if there are fewer than two.
    """
    found = gather_texts(path, column, reading, distinct=True)
    say(str(found))
    if len(found.texts) < 2:
        raise InputError(f"{found.table.name} holds one distinct text only; a mixture needs at least two")
    return found.texts


def read_lines(path: Path, column: str | None = None, reading: Reading | None = None) -> list[str]:
    """Return the texts of a file: one a line, or a column of a table; what is left out is said.

    Raises
    ------
    InputError
        If the file cannot be read, the column cannot be told, or there is no text; see `copyloom.texts.gather_texts`.
    """
    found = gather_texts(path, column, reading)
    say(str(found))
    return found.texts


def read_cells(
    path: Path, columns: Sequence[str], wanted: str, optional: Sequence[str] = (), reading: Reading | None = None
) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Return the columns of a table, and its rows as strings by those that are named; "" where nothing stands.

    Raises
    ------
    InputError
        If it cannot be read, or lacks one of `columns`; the message says what is `wanted`.
    """
    table = open_table(path, reading, columns)
    if missing := [name for name in columns if name not in table.columns]:
        there = ", ".join(table.columns) or "none"
        raise InputError(f"{table.name} has no column {missing[0]!r}; it has {there}; give {wanted}")
    if str(table) not in ("", "delimiter ','"):
        say(f"read {table.name}, {table}")
    chosen = table.table([*columns, *(name for name in optional if name in table.columns)])
    cells = [["" if cell is None else str(cell) for cell in column.to_pylist()] for column in chosen.columns]
    return table.columns, [dict(zip(chosen.column_names, row, strict=True)) for row in zip(*cells, strict=True)]


def read_labelled(
    path: Path, column: str, label_column: str, reading: Reading | None = None
) -> tuple[list[str], list[str] | list[float]]:
    """Return the texts of a table and the label of each: numbers where the column has more than two.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column, a text or a label is missing, or there is none.
    """
    _, rows = read_cells(path, [column, label_column], f"the columns {column} and {label_column}", reading=reading)
    for number, row in enumerate(rows, start=1):
        if not row[column].strip() or is_missing(row[label_column]):
            raise InputError(f"row {number} of {path} has no text or no label; leave it out")
    if not rows:
        raise InputError(f"{path} is empty; write one labelled text a row")
    found, labels = [" ".join(row[column].split()) for row in rows], [row[label_column].strip() for row in rows]
    numbers = parse_numbers(labels)
    if len(set(numbers)) > 2 and not any(map(isnan, numbers)):
        return found, numbers
    return found, labels


def script_note(model: str, texts: Sequence[str]) -> str | None:
    """Return what to expect where most letters of texts are of a script that the models that come with Copyloom lack.

    None where there is nothing to say.
    """
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    if model not in (SHIPPED, WRITER) or 2 * latin >= len(letters):
        return None
    return (
        f"{model} learned English: texts in other scripts are stored and decoded exactly, but what it writes of them "
        "is pieces side by side, seldom a sentence; the checks know English only, so read each"
    )


def name_subject(texts: Sequence[str], record: ProductRecord) -> list[str]:
    """Return those of `texts` that name the record's product.

    As whole words; in scripts that put no space between words, or endings after a name, anywhere.
    """
    names = [_plain(name).strip() if UNSPACED.search(name) else _plain(name) for name in (record.name, record.plural)]
    return [text for text in texts if any(name in _plain(text) for name in names)]


def _plain(text: str) -> str:
    """Return the words of a text in small letters, with a space around each; letters and their accents are one."""
    letters = unicodedata.normalize("NFKC", text.lower())
    words = "".join(letter if letter.isalnum() or letter in "-'" else " " for letter in letters)
    return f" {' '.join(words.split())} "
