"""Every text of a file comes out, as it stands there and in its place."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from copyloom import InputError
from embeddings.sources import stream_texts

TEXTS = ["A quiet kettle.", "", "007", '½ off, "today" ☕', "two\nlines", "NA", " edge "]


def test_parquet_and_csv_keep_every_text(tmp_path):
    table = pa.table({"id": range(len(TEXTS)), "text": TEXTS})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    quoted = "\n".join(f'{n},"{text.replace(chr(34), 2 * chr(34))}"' for n, text in enumerate(TEXTS))
    (tmp_path / "b.csv").write_text(f"id,text\n{quoted}\n", encoding="utf-8")
    assert list(stream_texts(tmp_path / "a.parquet")) == TEXTS
    assert list(stream_texts(tmp_path / "b.csv")) == TEXTS
    assert list(stream_texts(tmp_path)) == 2 * TEXTS


def test_lines_are_texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffone\r\n\n two\u2028still two\nlast".encode())
    assert list(stream_texts(path)) == ["one", "", " two\u2028still two", "last"]


def test_missing_values_are_empty_texts(tmp_path):
    pq.write_table(pa.table({"claim": ["a", None, "b"]}), tmp_path / "a.parquet")
    assert list(stream_texts(tmp_path / "a.parquet", "claim")) == ["a", "", "b"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("gone.txt", None, "there is no text at .*gone.txt; give a Parquet, CSV or text file"),
        ("a.csv", b"id,claim\n1,a\n", r"a.csv has no column 'text'; it has id, claim"),
        ("a.txt", b"fine\n\xff", r"a.txt is not a text file in UTF-8 \(byte 5\)"),
        ("a.csv", b"text\n\xff\n", r"a.csv is not a text file in UTF-8 \(byte 5\)"),
        ("a.parquet", b"no parquet", "a.parquet cannot be read as a table: "),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        list(stream_texts(tmp_path / name))


def test_numbers_are_no_texts(tmp_path):
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"column 'text' of .* holds int64, not text; choose another column"):
        list(stream_texts(tmp_path / "a.parquet"))
