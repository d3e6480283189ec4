"""Reading stored texts: the shipped claims, or a person's own file."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import regex

from copyloom import InputError
from generator.record import ProductRecord
from generator.settings import read_yaml

MAX_TEXTS = 200
"""Texts of one pool in a study; more are sampled, and the study says so."""
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
"""Letters of languages in which a word may follow another, or an ending a name, without a space."""


def shipped_claims() -> tuple[list[str], ProductRecord]:
    """Return the claims written for this project, about one subject and other products, and the subject's record."""
    data = read_yaml(resources.files("experiments").joinpath("data/claims.yaml"))
    return [*data["about_subject"], *data["about_other_products"]], ProductRecord(**data["subject"])


def read_texts(path: Path, column: str | None = None) -> list[str]:
    """Return the distinct texts of a file in order, white space made single; see `read_lines`.

    Raises
    ------
    InputError
        As `read_lines`, and if there are fewer than two.
    """
    texts = list(dict.fromkeys(" ".join(line.split()) for line in read_lines(path, column)))
    if len(texts) < 2:
        raise InputError(f"{path} holds one distinct text only; a mixture needs at least two")
    return texts


def read_table(path: Path, needed: Sequence[str], wanted: str) -> tuple[Sequence[str], list[dict[str | None, Any]]]:
    """Return the columns of a CSV file, and its rows by column; more cells than columns stand under None.

    Raises
    ------
    InputError
        If it cannot be read, or lacks a column that is `needed`; the message says what is `wanted`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows: list[dict[str | None, Any]] = [dict(row) for row in reader]
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV file in UTF-8 ({error})") from error
    if missing := [name for name in needed if name not in columns]:
        there = ", ".join(columns) or "none"
        raise InputError(f"{path} has no column {missing[0]!r}; it has {there}; give {wanted}")
    return columns, rows


def read_lines(path: Path, column: str | None = None) -> list[str]:
    """Return the texts of a file that are not empty: one a line, or a column of a CSV or Parquet file.

    Raises
    ------
    InputError
        If the file cannot be read, is binary, lacks the column, or holds no text.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}; give a text file with one text a line, a CSV or a Parquet file")
    try:
        if path.suffix.lower() in {".csv", ".parquet"}:
            lines = _column(path, column)
        else:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8 (byte {error.start}); save it as UTF-8 text") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if any("\0" in line for line in lines):
        raise InputError(f"{path} is a binary file; give a text file with one text a line, a CSV or a Parquet file")
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise InputError(f"{path} is empty; write one text a line")
    return texts


def read_labelled(path: Path, column: str, label_column: str) -> tuple[list[str], list[str] | list[float]]:
    """Return the texts of a CSV or Parquet file and the label of each: numbers where the column has more than two.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column, a text or a label is missing, or there is none.
    """
    if not path.is_file() or path.suffix.lower() not in {".csv", ".parquet"}:
        raise InputError(f"there is no CSV or Parquet file {path}; labelled texts need one with a column of each")
    table = _table(path)
    texts, labels = _chosen(table, path, column), table[_known(table, path, label_column)]
    pairs = list(zip(texts.to_pylist(), labels.to_pylist(), strict=True))
    for row, (text, label) in enumerate(pairs):
        if not (text or "").strip() or label is None or label == "" or label != label:
            raise InputError(f"row {row + 1} of {path} has no text or no label; leave it out")
    if not pairs:
        raise InputError(f"{path} is empty; write one labelled text a row")
    found = [" ".join(text.split()) for text, _ in pairs]
    if _is_number(labels.type) and len({label for _, label in pairs}) > 2:
        return found, [float(label) for _, label in pairs]
    return found, [str(label) for _, label in pairs]


def read_past(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return earlier texts with their impressions and clicks, from columns of those names in a CSV or Parquet file.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column, a row has no text or counts that cannot be, or there is no click.
    """
    if not path.is_file() or path.suffix.lower() not in {".csv", ".parquet"}:
        raise InputError(f"there is no CSV or Parquet file {path}; earlier texts need one with the columns text, "
                         "impressions and clicks")  # fmt: skip
    table, found = _table(path), []
    names = [_known(table, path, column) for column in ("text", "impressions", "clicks")]
    for row, (text, shown, clicked) in enumerate(zip(*(table[name].to_pylist() for name in names), strict=True)):
        whole = all(isinstance(count, (int, float)) and count == int(count) for count in (shown, clicked))
        if not isinstance(text, str) or not text.strip() or not whole or not 0 <= clicked <= shown:
            raise InputError(f"row {row + 1} of {path} has no text, or {clicked} clicks of {shown} impressions; "
                             "give whole numbers, with clicks from 0 to the impressions")  # fmt: skip
        found.append((" ".join(text.split()), int(shown), int(clicked)))
    if not any(clicked for _, _, clicked in found):
        raise InputError(f"{path} holds no click in {len(found)} rows; a prior opinion needs texts that were clicked")
    return tuple(found)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _column(path: Path, column: str | None) -> list[str]:
    return [value for value in _chosen(_table(path), path, column).to_pylist() if value is not None]


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path) if path.suffix.lower() == ".parquet" else pacsv.read_csv(path)
    except (pa.ArrowException, pa.ArrowInvalid) as error:
        raise InputError(f"{path} cannot be read as {path.suffix[1:].upper()}: {error}") from error


def _known(table: pa.Table, path: Path, column: str) -> str:
    if column not in table.column_names:
        raise InputError(f"{path} has no column {column!r}; it has {', '.join(table.column_names)}")
    return column


def _chosen(table: pa.Table, path: Path, column: str | None) -> pa.ChunkedArray:
    names = table.column_names
    if column is None and len(names) != 1:
        raise InputError(f"{path} has the columns {', '.join(names)}; say which holds the texts with --column")
    chosen = table[_known(table, path, column or names[0])]
    if not (pa.types.is_string(chosen.type) or pa.types.is_large_string(chosen.type) or pa.types.is_null(chosen.type)):
        raise InputError(
            f"column {column or names[0]!r} of {path} holds {chosen.type}, not text in UTF-8; "
            "choose another with --column, or save the file as UTF-8"
        )
    return chosen


def name_subject(texts: Sequence[str], record: ProductRecord) -> list[str]:
    """Return those of `texts` that name the record's product.

    As whole words; in scripts that put no space between words, or endings after a name, anywhere.
    """
    names = [_plain(name).strip() if _UNSPACED.search(name) else _plain(name) for name in (record.name, record.plural)]
    return [text for text in texts if any(name in _plain(text) for name in names)]


def _plain(text: str) -> str:
    """Return the words of a text in small letters, with a space around each; letters and their accents are one."""
    letters = unicodedata.normalize("NFKC", text.lower())
    words = "".join(letter if letter.isalnum() or letter in "-'" else " " for letter in letters)
    return f" {' '.join(words.split())} "
