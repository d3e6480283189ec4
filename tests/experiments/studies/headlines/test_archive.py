"""Archives of headline tests: what is pooled, what is left out and what is refused."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from copyloom import InputError
from experiments.studies.headlines.archive import RATIO, SINGLE, UNSEEN, WINDOW, WORDLESS, read_archive, read_whole

NAMES = ("clickability_test_id", "headline", "impressions", "clicks", "eyecatcher_id", "created_at")
ROWS = [
    ("a", "Cats sleep all day", 1000, 10, "1", "2014-05-01"), ("a", "cats  Sleep all day", 1010, 12, "1", "2014-05-01"),
    ("a", "Why cats sleep", 990, 20, "1", "2014-05-01"), ("a", "Why cats sleep", 1000, 30, "2", "2014-05-01"),
    ("b", "Dogs run", 500, 5, "3", "2014-05-02"), ("b", "Dogs run far", 510, 9, "3", "2014-05-02"),
    ("c", "Cows eat", 500, 5, "4", "2013-07-01"), ("c", "Cows eat grass", 500, 6, "4", "2013-07-01"),
    ("d", "Hens lay", 500, 5, "5", "2014-05-03"), ("d", "Hens lay eggs", 900, 6, "5", "2014-05-03"),
    ("e", "Pigs", 500, 5, "6", "2014-05-04"), ("e", "Pigs dig", 0, 0, "6", "2014-05-04"),
    ("e", " ", 9, 0, "6", "2014-05-04"),
    ("f", "Dogs run", 700, 7, "7", "2014-05-05"), ("f", "Dogs sit", 690, 3, "7", "2014-05-05"),
]  # fmt: skip


def written(folder: Path, rows: Sequence[tuple[object, ...]] = ROWS, names: Sequence[str] = NAMES) -> Path:
    path = folder / "archive.csv"
    lines = [",".join(names), *(",".join(f'"{cell}"' for cell in row[: len(names)]) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_equal_headlines_of_one_picture_are_pooled_and_what_is_left_out_is_counted(tmp_path):
    whole = read_whole(written(tmp_path))
    assert whole.sound.tolist() == [True, True, False, False, True]
    assert whole.groups[1] == whole.groups[4] != whole.groups[0]  # both have the headline "Dogs run"
    found = read_archive(written(tmp_path))
    assert found.headlines == (
        "Cats sleep all day",
        "Why cats sleep",
        "Dogs run",
        "Dogs run far",
        "Dogs run",
        "Dogs sit",
    )
    assert found.tests.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.impressions.tolist() == [2010, 990, 500, 510, 700, 690]
    assert found.clicks.tolist() == [22, 20, 5, 9, 7, 3]
    assert found.left_out == {WINDOW: 1, RATIO: 1, SINGLE: 2, UNSEEN: 1, WORDLESS: 1}


def test_faulty_tests_can_be_taken_for_sound_and_without_pictures_a_test_is_whole(tmp_path):
    assert read_archive(written(tmp_path), keep_faulty=True).count == 5
    found = read_archive(written(tmp_path, names=NAMES[:4]))
    assert found.headlines[:2] == ("Cats sleep all day", "Why cats sleep")
    assert found.impressions[:2].tolist() == [2010, 1990]


def test_weeks_tell_of_the_faulty_days_where_days_are_not_there(tmp_path):
    rows = [(*row[:5], "201330" if row[0] == "c" else "201420") for row in ROWS]
    assert read_archive(written(tmp_path, rows, (*NAMES[:5], "test_week"))).left_out[WINDOW] == 1


def test_parquet_and_other_encodings_give_the_same(tmp_path):
    columns = {name: [row[place] for row in ROWS] for place, name in enumerate(NAMES)}
    pq.write_table(pa.table(columns), tmp_path / "archive.parquet")
    plain = read_archive(written(tmp_path))
    (tmp_path / "wide.csv").write_bytes(written(tmp_path).read_text().encode("utf-16"))
    for name in ("archive.parquet", "wide.csv"):
        other = read_archive(tmp_path / name)
        assert other.headlines == plain.headlines
        assert np.array_equal(other.clicks, plain.clicks)


def test_some_of_the_tests_are_an_archive_too(tmp_path):
    some = read_archive(written(tmp_path)).only([2, 0])
    assert some.headlines == ("Cats sleep all day", "Why cats sleep", "Dogs run", "Dogs sit")
    assert (some.tests.tolist(), some.count, some.arms.tolist()) == ([0, 0, 1, 1], 2, [2, 2])


@pytest.mark.parametrize(
    ("rows", "names", "said"),
    [
        (ROWS, NAMES[:3], "clicks"),
        ([*ROWS, ("g", "x", 10, 11, "1", "2014-05-01")], NAMES, "row 16: 11 clicks on 10 impressions"),
        ([*ROWS, ("g", "x", "many", 1, "1", "2014-05-01")], NAMES, "row 16: impressions is 'many'"),
        ([*ROWS, ("g", "x", 10, -1, "1", "2014-05-01")], NAMES, "row 16: clicks is '-1'"),
        ([*ROWS, ("g", "x", 10.5, 1, "1", "2014-05-01")], NAMES, "row 16: impressions is '10.5'"),
        (ROWS[6:10], NAMES, "no test with two headlines"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_its_row(tmp_path, rows, names, said):
    with pytest.raises(InputError, match=said):
        read_archive(written(tmp_path, rows, names))
