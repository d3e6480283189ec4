"""``copyloom evaluate``: JSON for programs, a verdict for people, one clear line for logs that cannot be used."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from tests.experiments.commands.test_cli import fails, run

CLAIMS = {
    "A quiet kettle for calm mornings.": 0.02,
    "This kettle brings calm to cold mornings.": 0.03,
    "Hurry, only ten mugs left!": 0.2,
    "Last chance: buy the mug today!": 0.22,
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log of 4,000 rounds in a compressed CSV file."""
    rng = np.random.default_rng(0)
    shares, rates = np.array([0.4, 0.3, 0.2, 0.1]), np.array(list(CLAIMS.values()))
    shown = rng.choice(4, 4000, p=shares)
    table = {"claim": np.array(list(CLAIMS))[shown], "click": (rng.random(4000) < rates[shown]).astype(int),
             "p": shares[shown], "mood": np.array(["calm", "loud"])[shown // 2], "wanted": np.full(4000, 0.25),
             "visit": np.arange(4000), "hour": rng.integers(24, size=4000)}  # fmt: skip
    path = tmp_path_factory.mktemp("log") / "log.csv.gz"
    with pa.CompressedOutputStream(str(path), "gzip") as file:
        pacsv.write_csv(pa.table(table), file)
    return str(path)


COLUMNS = ("--text", "claim", "--reward", "click", "--propensity", "p")


def found(*arguments: str) -> dict[str, dict[str, float]]:
    result = run("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    return data | {"rows": {row["estimator"]: row for row in data["estimates"]}}


def test_all_texts_alike_by_default(log: str) -> None:
    data = found(log, *COLUMNS, "--cluster", "mood", "--decision", "visit")
    assert list(data["rows"]) == ["IPS", "SNIPS", "MIPS", "DM", "DR", "Switch-DR", "DRos"]
    assert (data["rounds"], data["texts"], data["verdict"]) == (4000, 4, "enough evidence")
    truth = np.mean(list(CLAIMS.values()))
    for name in ("IPS", "SNIPS", "DR"):
        assert data["rows"][name]["low"] < truth < data["rows"][name]["high"]
    column = found(log, *COLUMNS, "--target-column", "wanted")
    assert column["rows"]["IPS"] == data["rows"]["IPS"]


def test_a_target_from_a_file_and_other_ways_of_reckoning(log: str, tmp_path: Path) -> None:
    path = tmp_path / "target.csv"
    pacsv.write_csv(pa.table({"claim": list(CLAIMS), "probability": [0.0, 0.0, 0.5, 0.5]}), path)
    data = found(log, *COLUMNS, "--target", str(path))
    assert data["rows"]["SNIPS"]["low"] < 0.21 < data["rows"]["SNIPS"]["high"]
    normal = found(log, *COLUMNS, "--target", str(path), "--normal")
    assert (data["interval"], normal["interval"]) == ("bootstrap", "normal")
    assert normal["rows"]["IPS"]["value"] == data["rows"]["IPS"]["value"]
    assert normal["rows"]["IPS"]["low"] != data["rows"]["IPS"]["low"]
    with_hours = found(log, *COLUMNS, "--target", str(path), "--feature", "hour")
    assert with_hours["rows"]["DM"]["low"] is None
    assert with_hours["rows"]["DR"]["value"] == pytest.approx(data["rows"]["DR"]["value"], abs=0.01)


def test_texts_never_shown_are_judged_by_their_embeddings(log: str, tmp_path: Path) -> None:
    path = tmp_path / "target.csv"
    path.write_text('claim,probability\n"Hurry: today is the last chance for a mug!",1\n')
    data = found(log, *COLUMNS, "--target", str(path), "--embed")
    assert list(data["rows"]) == ["kernel"]
    assert data["rows"]["kernel"]["value"] > 2 * data["logger"]["value"]
    assert data["verdict"] == "not enough evidence"
    assert data["support"]["unsupported"] == 1


def test_people_read_a_table_and_a_verdict(log: str) -> None:
    result = run("evaluate", log, *COLUMNS)
    assert result.exit_code == 0, result.output
    for words in ("logger", "SNIPS", "effective rounds", "mean weight", "Verdict: enough evidence"):
        assert words in result.stdout
    few = run("evaluate", log, *COLUMNS, "--most", "1000")
    assert "Verdict: enough evidence" in few.stdout


def test_check_lists_what_is_wrong(log: str, tmp_path: Path) -> None:
    result = run("evaluate", log, *COLUMNS, "--check")
    assert result.exit_code == 0
    assert "every row can be used" in result.stdout
    bad = tmp_path / "bad.csv"
    bad.write_text("text,reward,propensity\na,0,0.5\nb,2,0.5\na,1,50\n")
    result = run("evaluate", str(bad), "--check", "--json")
    assert result.exit_code == 1
    problems = json.loads(result.stdout)["problems"]
    assert [(problem["column"], problem["count"], problem["rows"]) for problem in problems] == [
        ("reward", 1, [2]),
        ("propensity", 1, [3]),
    ]
    assert "row 2 (2.0); allowed: 0 to 1" in " ".join(run("evaluate", str(bad), "--check").stdout.split())
    assert "row 3 (50.0); allowed: 1e-12 to 1" in fails("evaluate", str(bad))
    assert "is unknown" in fails("evaluate", str(bad), "--texts", _listed(tmp_path, "b", "c"))


def _listed(folder: Path, *texts: str) -> str:
    path = folder / "texts.txt"
    path.write_text("\n".join(texts))
    return str(path)


def test_it_says_what_does_not_fit(log: str) -> None:
    assert "no column 'propensity'; it has claim, click, p" in fails("evaluate", log)
    assert "say which is which with --propensity" in fails("evaluate", log)
    assert "there is no file" in fails("evaluate", "nowhere.parquet")
    both = ("--target", "t.csv", "--target-column", "wanted")
    assert "give one of them" in fails("evaluate", log, *COLUMNS, *both)
    assert "give `target`" in fails("evaluate", log, *COLUMNS, "--target-column", "wanted", "--embed")


def test_texts_with_numbers_for_names(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("id,reward,propensity\n" + "1,0,0.5\n2,1,0.5\n" * 200)
    (tmp_path / "ids.csv").write_text("id\n1\n2\n3\n")
    data = found(str(tmp_path / "log.csv"), "--text", "id", "--texts", str(tmp_path / "ids.csv"))
    assert data["texts"] == 3
    assert "give --embed" in fails("evaluate", str(tmp_path / "log.csv"), "--bandwidth", "1")
    assert "leave --target out" in fails("evaluate", str(tmp_path / "log.csv"), "--check", "--target", "x.csv")


def test_intervals_allow_for_rounds_of_one_visitor(tmp_path: Path) -> None:
    """Each round stands there ten times: as news of rounds, but not of visitors."""
    rng = np.random.default_rng(0)
    table = {"text": np.array(["a", "b"])[rng.integers(2, size=500)], "reward": (rng.random(500) < 0.2).astype(int)}
    repeated = {name: np.tile(column, 10) for name, column in table.items()}
    repeated |= {"propensity": np.full(5000, 0.5), "who": np.tile(np.arange(500), 10)}
    pacsv.write_csv(pa.table(repeated), tmp_path / "log.csv")
    rounds, visitors = (found(str(tmp_path / "log.csv"), "--normal", *more) for more in ((), ("--visitor", "who")))
    for name in ("IPS", "SNIPS", "DR"):
        one, other = (data["rows"][name] for data in (rounds, visitors))
        assert one["value"] == pytest.approx(other["value"])
        assert other["standard_error"] == pytest.approx(np.sqrt(10) * one["standard_error"], rel=0.02)
