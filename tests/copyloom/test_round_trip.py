"""A table of any texts comes back as it was written, in every form that is read."""

import csv
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from copyloom import InputError
from copyloom.tables import Reading, open_table

SPECIAL = [
    *'",;\t|\n\r\\\'<>&', "\r\n", '""', "\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\ufeff", "é", "e\u0301",
    "שלום", "مرحبا", "👨\u200d👩\u200d👧", "0", "7", "",
]  # fmt: skip
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.lists(st.one_of(st.text(LETTERS), st.lists(st.sampled_from(SPECIAL)).map("".join)), min_size=1, max_size=8)
FORMS = {
    f"{encoding} {delimiter!r}": (".csv", delimiter, encoding)
    for encoding in ("utf-8", "utf-8-sig", "utf-16")
    for delimiter in (",", ";", "\t", "|")
}
HARD = [*SPECIAL, "a\r\nb", 'say "hi"', '"', "\n", "a,b;c\td|e", "first\n\nsecond"]


def written(rows: list[tuple[str, str]], delimiter: str, encoding: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["text", "clicks"])
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def read_back(name: str, content: bytes | pa.Table, reading: Reading | None = None) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        pq.write_table(content, path) if isinstance(content, pa.Table) else path.write_bytes(content)
        return open_table(path, reading).table(["text"])["text"].to_pylist()


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, deadline=None)
@given(TEXTS)
@example(HARD)
@example([":,", "0,"])
def test_separated_cells(form: str, texts: list[str]) -> None:
    """As they are; where texts hold another delimiter so that both fit, refused until one is named."""
    suffix, delimiter, encoding = FORMS[form]
    content = written([(text, str(number)) for number, text in enumerate(texts)], delimiter, encoding)
    try:
        assert read_back(f"a{suffix}", content) == texts
    except InputError as error:
        if "could be separated by" not in str(error):
            raise
        assert read_back(f"a{suffix}", content, Reading(delimiter=delimiter)) == texts


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.booleans())
@example(HARD, True)
def test_json_lines_and_parquet(texts: list[str], as_ascii: bool) -> None:
    lines = [json.dumps({"text": text, "clicks": 1}, ensure_ascii=as_ascii) for text in texts]
    assert read_back("a.jsonl", "\n".join(lines).encode()) == texts
    assert read_back("a.parquet", pa.table({"text": texts, "clicks": [1] * len(texts)})) == texts


@settings(max_examples=30, deadline=None)
@given(TEXTS)
def test_excel(texts: list[str]) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    from openpyxl.utils.escape import escape

    book, stored = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["text", "clicks"])
    for row, text in enumerate(texts, start=2):  # as Excel stores what XML cannot hold
        cell = book.active.cell(row, 1)
        cell._value, cell.data_type = "".join(map(_stored, escape(text))), "s"
        book.active.cell(row, 2, 1)
    book.save(stored)
    assert read_back("a.xlsx", stored.getvalue()) == texts


def _stored(letter: str) -> str:
    held = letter in "\t\n" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter > "\uffff"
    return letter if held else f"_x{ord(letter):04X}_"


BLOCK = 8192
"""Letters that Python's text reader takes at a time."""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("inside", ["a\r\nb", "é\r\nü", '""\r\n'])
def test_a_line_break_in_quotes_is_whole_at_every_offset_of_a_block(tmp_path: Path, encoding: str, inside: str) -> None:
    path = tmp_path / "log.csv"
    for length in range(BLOCK - 40, BLOCK + 20):
        texts = ["x" * length, inside, "end"]
        path.write_bytes(written([(text, "1") for text in texts], ",", encoding))
        assert open_table(path).table(["text"])["text"].to_pylist() == texts


@pytest.mark.parametrize("block", [2**20, 16 * 2**20])
def test_a_line_break_in_quotes_is_whole_where_arrow_begins_a_block(tmp_path: Path, block: int) -> None:
    path = tmp_path / "log.csv"
    for length in range(block - 30, block - 10):
        path.write_bytes(written([("x" * length, "1"), ("a\r\nb", "2")], ",", "utf-8"))
        assert open_table(path).table(["text"])["text"].to_pylist()[1] == "a\r\nb"


def test_every_small_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a\r\nb", 'c\r\n"d"', "\r\n", "é\r\n\r\nf"] * 3
    (tmp_path / "a.csv").write_bytes(written([(text, "1") for text in texts], ",", "utf-8"))
    table = open_table(tmp_path / "a.csv")
    opened = io.TextIOWrapper
    for size in range(1, 40):

        def small(*arguments, size=size, **options):
            stream = opened(*arguments, **options)
            stream._CHUNK_SIZE = size
            return stream

        monkeypatch.setattr(io, "TextIOWrapper", small)
        assert table.table(["text"])["text"].to_pylist() == texts


def test_batches_join_without_a_seam(tmp_path: Path) -> None:
    texts = [f"text {number}\r\nof many" for number in range(20_000)]
    (tmp_path / "a.csv").write_bytes(written([(text, "1") for text in texts], ";", "utf-8"))
    assert open_table(tmp_path / "a.csv").table(["text"])["text"].to_pylist() == texts
