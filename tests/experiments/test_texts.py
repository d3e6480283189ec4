"""Reading stored texts: what is accepted, and that bad files say what is wrong."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from copyloom import InputError
from experiments.texts import name_subject, read_lines, read_texts, shipped_claims
from generator.checks import WritingRules
from generator.record import ProductRecord


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lines_are_trimmed_and_duplicates_dropped_in_order(tmp_path: Path) -> None:
    file = write(tmp_path / "claims.txt", "\ufeffSoft  tea.\n\n  Warm mug. \nSoft tea.\nÜber cosy 😀\n")
    assert read_texts(file) == ["Soft tea.", "Warm mug.", "Über cosy 😀"]


def test_column_of_csv_and_parquet(tmp_path: Path) -> None:
    csv = write(tmp_path / "a.csv", 'id,claim\n1,"Soft, warm"\n2,Light\n')
    assert read_texts(csv, "claim") == ["Soft, warm", "Light"]
    pq.write_table(pa.table({"claim": ["One mug", None, "Two mugs"]}), tmp_path / "a.parquet")
    assert read_texts(tmp_path / "a.parquet") == ["One mug", "Two mugs"]


@pytest.mark.parametrize(
    ("name", "content", "column", "says"),
    [
        ("empty.txt", "", None, "is empty"),
        ("blank.txt", "\n \n", None, "is empty"),
        ("one.txt", "only one\n", None, "at least two"),
        ("same.txt", "same\nsame\n", None, "at least two"),
        ("binary.txt", b"\x89PNG\r\n\xff\xfe\x00", None, "not a text file"),
        ("nul.txt", b"a\x00b\nc\n", None, "binary"),
        ("bad.parquet", b"not parquet", None, "cannot be read as a table"),
        ("two.csv", "a,b\n1,2\n", None, "--column"),
        ("cyrillic.csv", "text\nКофе\nЧай\n".encode("cp1251"), None, "not a text file in UTF-8 .*--encoding"),
        ("unsure.csv", "a\nCafé\nThé\n", None, "--header or --no-header"),
        ("numbers.csv", "a\n1\n2\n", None, "holds numbers such as '1', not text"),
        ("two.csv", "a,b\n1,2\n", "c", "no column 'c'; it has a, b"),
    ],
)
def test_bad_files_say_what_is_wrong(
    tmp_path: Path, name: str, content: str | bytes, column: str | None, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        read_texts(write(tmp_path / name, content), column)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError, match="there is no file"):
            read_lines(path)


def test_subject_is_named_as_words_not_letters() -> None:
    record = ProductRecord(name="mug", plural="mugs")
    marked = ProductRecord(name="ÉcoKettle™ & Co")
    assert name_subject(["Buy the ÉcoKettle™ & Co today", "Buy tea"], marked) == ["Buy the ÉcoKettle™ & Co today"]
    assert name_subject(["A mug!", "Our Mugs.", "A smug look", "Tea"], record) == ["A mug!", "Our Mugs."]


@pytest.mark.parametrize(
    ("name", "texts", "named"),
    [
        ("Café-Kanne", ["Die CAFE\u0301-KANNE kocht.", "Die Caf\u00e9-Kanne.", "Cafe-Kanne"], 2),
        ("Cafe\u0301-Kanne", ["Die Caf\u00e9-Kanne.", "Café Kanne"], 1),
        ("水筒", ["この水筒は漏れない。", "早起きの人の水筒", "マグカップ"], 2),
        ("マグ カップ", ["漏れないマグ カップです。", "水筒"], 1),
        ("주전자", ["조용한 주전자는 차를 데운다.", "머그"], 1),
    ],
)
def test_names_are_found_however_their_letters_are_put_together(name: str, texts: list[str], named: int) -> None:
    assert name_subject(texts, ProductRecord(name=name)) == texts[:named]


def test_shipped_claims_are_about_sixty_distinct_and_twenty_name_the_subject() -> None:
    texts, subject = shipped_claims()
    assert len(texts) == len(set(texts)) == 60
    assert name_subject(texts, subject) == texts[:20]


def test_rules_follow_the_texts() -> None:
    assert WritingRules.like(["A short one.", "Another one!"]).full_stop
    assert not WritingRules.like(["Headline without stop", "Another headline"]).full_stop
