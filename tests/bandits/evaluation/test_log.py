"""Tables of any make become the same rounds; what is wrong with them is listed by row, column and kind."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from bandits.evaluation import Columns, read_log
from copyloom import InputError

DATA = {
    "id": ["b", "a", "b", "c"],
    "click": [0, 1, 0, 1],
    "p": [0.5, 0.25, 0.5, 0.25],
    "place": [2, 1, 2, 10],
    "age": [30.5, 20.0, 41.0, 8.0],
    "site": ["x", "y", "x", "x"],
}
COLUMNS = Columns("id", "click", "p", position="place", features=("age", "site"))


@pytest.fixture(params=["dict", "arrays", "arrow", "chunks", "pandas", "categories", "parquet", "csv", "csv.gz"])
def source(request, tmp_path):
    table, kind = pa.table(DATA), request.param
    if kind == "dict":
        return DATA
    if kind == "arrays":
        return {name: np.array(values) for name, values in DATA.items()}
    if kind == "arrow":
        return table
    if kind == "chunks":
        return pa.concat_tables([table.slice(0, 1), table.slice(1)])
    if kind in ("pandas", "categories"):
        frame = pytest.importorskip("pandas").DataFrame(DATA)
        return frame.astype({"id": "category", "site": "category"}) if kind == "categories" else frame
    path = tmp_path / f"log.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
        return str(path)
    pacsv.write_csv(table, tmp_path / "plain.csv")
    written = (tmp_path / "plain.csv").read_bytes()
    path.write_bytes(gzip.compress(written) if kind == "csv.gz" else written)
    return path


def test_every_make_of_table_gives_the_same_rounds(source):
    log = read_log(source, COLUMNS)
    assert log.problems == ()
    assert log.names == ["a", "b", "c"]
    assert log.position_names == ("1", "10", "2")
    rounds = log.rounds(["a", "b", "c", "never shown"])
    assert rounds.texts.tolist() == [1, 0, 1, 2]
    assert rounds.rewards.tolist() == [0, 1, 0, 1]
    assert rounds.propensities.tolist() == DATA["p"]
    assert rounds.positions.tolist() == [2, 0, 2, 1]
    assert rounds.text_count == 4
    np.testing.assert_array_equal(rounds.features, np.column_stack([DATA["age"], [1, 0, 1, 1], [0, 1, 0, 0]]))


BAD = {
    "decision": ["1", "2", "2", None, "1", "5"],
    "text": ["a", "", "zzz", None, "a", "b"],
    "reward": ["1", "yes", "", "3", "-1", "nan"],
    "propensity": ["0.5", "0", "1.5", "-0.1", "", "0.25"],
}


@pytest.mark.parametrize("make", ["dict", "csv"])
def test_all_that_is_wrong_is_listed(make, tmp_path):
    source = BAD
    if make == "csv":
        source = tmp_path / "bad.csv"
        rows = zip(*([value or "" for value in values] for values in BAD.values()), strict=True)
        source.write_text("\n".join([",".join(BAD), *map(",".join, rows)]))
    log = read_log(source, Columns(decision="decision"), texts=["a", "b"])
    found = {(problem.column, problem.what): (problem.count, problem.rows) for problem in log.problems}
    assert found == {
        ("text", "is missing"): (2, (2, 4)),
        ("text", "is unknown"): (1, (3,)),
        ("reward", "is missing or no number"): (3, (2, 3, 6)),
        ("reward", "is out of range"): (2, (4, 5)),
        ("propensity", "is missing or no number"): (1, (5,)),
        ("propensity", "is out of range"): (3, (2, 3, 4)),
        ("decision", "is missing"): (1, (4,)),
        ("decision", "is given again"): (2, (3, 5)),
    }
    given = {problem.column: problem.given for problem in log.problems if problem.what == "is missing or no number"}
    assert given["reward"][0] == "yes"
    with pytest.raises(InputError, match=r"column 'text' is missing in 2 rows: row 2 .*; column 'reward' .*mend"):
        log.rounds(["a", "b"])


def test_a_decision_may_fill_several_positions():
    table = {"text": ["a", "b", "a"], "reward": [0, 0, 0], "propensity": [0.5] * 3, "d": [7, 7, 7], "place": [1, 2, 2]}
    assert len(read_log(table, Columns(decision="d")).problems) == 1
    (problem,) = read_log(table, Columns(decision="d", position="place")).problems
    assert (problem.rows, problem.given) == ((3,), ("7",))


def test_other_ranges_can_be_declared():
    table = {"text": ["a", "b"], "reward": [-3.0, 250.0], "propensity": [0.5, 0.5]}
    assert len(read_log(table).problems) == 1
    assert read_log(table, reward_range=(-3, 250)).problems == ()


def test_clicks_may_be_true_and_false(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("text,reward,propensity\na,True,0.5\nb,false,0.5\n")
    for source in (path, {"text": ["a", "b"], "reward": [True, False], "propensity": [0.5, 0.5]}):
        assert read_log(source).rewards.tolist() == [1, 0]


def test_ids_of_a_csv_file_keep_their_zeros(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("text,reward,propensity\n007,0,0.5\n7,1,0.5\n")
    assert read_log(path).names == ["007", "7"]


def test_features_are_checked():
    table = {"text": ["a", "b"], "reward": [0, 1], "propensity": [0.5, 0.5], "f": [np.inf, np.nan], "s": ["x", None]}
    found = {(problem.column, problem.what) for problem in read_log(table, Columns(features=("f", "s"))).problems}
    assert found == {("f", "is too large"), ("f", "is missing or no number"), ("s", "is missing")}


def test_long_texts_are_quoted_in_short():
    table = {"text": ["word " * 500, "b"], "reward": [0, 1], "propensity": [0.5, 0.5]}
    (problem,) = read_log(table, texts=["b"]).problems
    assert len(str(problem)) < 200


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"text": [], "reward": [], "propensity": []}, "table is empty"),
        ({"text": ["a"], "click": [1]}, "no column 'reward', 'propensity'; it has 'text', 'click'"),
        ({"text": ["a"], "reward": [1, 2], "propensity": [1]}, "is no table"),
        (7, "a int is no table"),
        ({"text": [["a"]], "reward": [1], "propensity": [1]}, "column 'text' holds list"),
        ("nowhere.csv", "no file nowhere.csv"),
    ],
)
def test_what_is_no_log_is_refused(source, message):
    with pytest.raises(InputError, match=message):
        read_log(source)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    for name, content, message in (
        ("log.parquet", b"no parquet", "cannot be read as a table"),
        ("log.csv", b"", "cannot be read as a table"),
        ("log.csv.gz", b"no gzip", "cannot be read as a table"),
        ("log.csv", b"text,reward,propensity\n", "table is empty"),
        ("log.csv", b"text,reward,propensity\na,1\n", "cannot be read as a table"),
        ("log.txt", b"text", "no table by its name"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_log(path)
