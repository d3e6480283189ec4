"""``copyloom raters``: from a table or a run to sheets, and from filled-in sheets to numbers; clear errors."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from embeddings.database import open_database
from embeddings.encoded import EncodedOnce
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted, Draft, Opened, Written
from experiments.campaigns.ledger import Ledger
from tests.experiments.commands.test_cli import fails, run

ASK = ("--ask", "quality", "--ask", "consistency", "--ask", "similarity", "--ask", "preference")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "source", "item", "about"])
        writer.writerows([f"Words {number} of {item}.", source, item, f"about {item}"]
                         for item in range(30) for number, source in enumerate(("better", "worse")))  # fmt: skip
    return path


def sheets_of(*arguments: str) -> dict[str, Any]:
    result = run("raters", "sheet", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def fill(sheet: str, answers: dict[str, str]) -> None:
    """Fill in a sheet: the first source is better by two marks, on either side; checks are read."""
    with Path(sheet).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        shown = [row["text A"], row["text B"]]
        wanted = {"text A": "A", "text B": "B"}
        if "checks" in shown[0]:
            high = "mark 5" in shown[0]
            given = dict.fromkeys(("quality", "consistency", "similarity"), "5" if high else "1") | {
                "preference": "B" if high else "A"}  # fmt: skip
        else:
            better = "Words 0" in shown[0]
            given = {"quality": "5" if better else "3", "consistency": "4", "similarity": answers["similarity"],
                     "preference": wanted["text A" if better else "text B"]}  # fmt: skip
        row |= {name: value for name, value in given.items() if row[name] != "-"}
    with Path(sheet).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_from_a_table_to_sheets_and_back(table: Path, tmp_path: Path) -> None:
    options = ("--raters", "4", "--texts", "10", "--out", str(tmp_path / "out" / "s.csv"))
    made = sheets_of(str(table), *ASK, *options)
    assert (made["texts"], made["pairs"], made["overlap"], made["notes"]) == (20, 20, 2, [])
    *sheets, _ = made["sheets"]
    for number, sheet in enumerate(sheets[:3]):
        fill(sheet, {"similarity": str(2 + number)})
    found = json.loads(
        run("raters", "read", made["key"], *sheets[:3], "--out", str(tmp_path / "read"), "--json").stdout
    )
    assert found["absent_sheets"] == [4]
    assert [row["counts"] for row in found["raters"]] == [True] * 3
    (quality,) = [row for row in found["differences"] if row["question"] == "quality"]
    assert (quality["source"], quality["difference"], quality["verdict"]) == ("better", 2.0, "higher")
    (win,) = found["wins"]
    assert (win["win_rate"], win["verdict"]) == (1.0, "preferred")
    assert {row["question"]: row["alpha"] for row in found["agreement"]} == pytest.approx(
        {"quality": 1, "preference": 1, "consistency": None, "similarity": found["agreement"][2]["alpha"]}
    )
    with (tmp_path / "read" / "means.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["question"], row["source"]) for row in rows} >= {
        ("quality", "better"),
        ("similarity", "better and worse"),
    }
    said = run("raters", "read", made["key"], *sheets[:3]).stdout
    for words in ("not back yet: sheet 4", "+2.00", "alpha", "preferred", "no sign of it"):
        assert words in said
    alone = run("raters", "read", made["key"], sheets[0]).stdout
    assert "one rater: there are no intervals and no agreement; not enough evidence yet" in alone
    assert "there is no line" in fails("raters", "read", made["key"], _other(table, tmp_path))


def _other(table: Path, folder: Path) -> str:
    made = sheets_of(str(table), "--raters", "1", "--out", str(folder / "other.csv"), "--seed", "5")
    return str(made["sheets"][0])


def test_columns_of_other_names_and_other_tables(tmp_path: Path) -> None:
    rows = [{"copy": f"text {number}", "by": "us", "gold": f"wanted {number}"} for number in range(8)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = sheets_of(str(tmp_path / "t.jsonl"), "--text", "copy", "--source", "by", "--other", "gold",
                     "--ask", "preference", "--raters", "2", "--out", str(tmp_path / "s.html"))  # fmt: skip
    assert (made["pairs"], made["texts"]) == (8, 0)
    key = json.loads(Path(made["key"]).read_text(encoding="utf-8"))
    assert {tuple(map(tuple, unit["sources"])) for unit in key["units"]} == {(("other",), ("us",))}
    said = fails("raters", "sheet", str(tmp_path / "t.jsonl"), "--out", str(tmp_path / "x.html"))
    assert "t.jsonl has no column 'text' and no column 'source'; it has 'copy', 'by', 'gold'" in said


@pytest.mark.parametrize(("arguments", "said"), [
    (["--ask", "taste"], "'taste' is no question for raters; ask consistency, quality, similarity, preference"),
    (["--scale", "6"], "a scale from 1 to 6 is not offered; give 5 or 7"),
    (["--overlap", "4"], "an overlap of 4 needs as many raters"),
    (["--out", "sheet.pdf"], "give a name that ends in .csv or .html"),
    (["--campaign", "one"], "--campaign is of a run or a database"),
    (["--item", "product"], "has no column 'product'"),
    (["--source", "about", "--about", "source"], "is about"),
])  # fmt: skip
def test_what_cannot_be_asked(table: Path, arguments: list[str], said: str, tmp_path: Path,
                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert said in fails("raters", "sheet", str(table), *arguments)


def test_rows_that_lack_something_are_named(tmp_path: Path) -> None:
    for rows, said in (("a,\n", "row 1 has no source"), ("a,s\n,s\n", "row 2 has no text")):
        (tmp_path / "t.csv").write_text(f"text,source\n{rows}")
        assert said in fails("raters", "sheet", str(tmp_path / "t.csv"), "--out", str(tmp_path / "s.html"))
    (tmp_path / "t.csv").write_text("text,source,item,about\na,s,1,x\nb,t,1,y\n")
    assert "the item '1' is about 'x' and about 'y'" in fails("raters", "sheet", str(tmp_path / "t.csv"))


def test_texts_of_a_run_are_stored_or_written_beside_the_parent_they_owe_most_to(tmp_path: Path) -> None:
    engine, mixed = open_database(tmp_path / "study.sqlite"), "a quiet mug"
    lineage = Lineage(("a jug", "a quiet lamp"), (0.3, 0.7))
    happened = [
        Opened(slate=("a mug", "a quiet lamp"), parents=("a quiet lamp", "a jug"), segments=("all",)),
        Written(drafts=(Draft(lineage, mixed),)), Admitted(texts=(mixed,)),
    ]  # fmt: skip
    encoder = SimpleNamespace(name="e", size=4, encode=lambda texts: torch.ones(len(texts), 4) / 2)
    keep = EncodedOnce(encoder)  # type: ignore[arg-type]
    with Ledger(engine, "settings").step(
        [Campaign("one", (0,))], lambda connection, _: keep.keep(connection, [mixed])
    ) as record:
        record([happened])
    engine.dispose()
    made = sheets_of(str(tmp_path), "--ask", "quality", "--raters", "1", "--out", str(tmp_path / "q.csv"))
    key = json.loads(Path(made["key"]).read_text(encoding="utf-8"))
    assert {(unit["texts"][0], *unit["sources"][0]) for unit in key["units"]} == {
        ("a mug", "stored"), ("a quiet lamp", "stored"), (mixed, "written")}  # fmt: skip
    made = sheets_of(
        str(tmp_path / "study.sqlite"), "--ask", "preference", "--raters", "1", "--out", str(tmp_path / "p.csv")
    )
    key = json.loads(Path(made["key"]).read_text(encoding="utf-8"))
    assert [unit["texts"] for unit in key["units"]] == [["a quiet lamp", mixed]]
    assert "there is no campaign 'two' among 1; there are one" in fails(
        "raters", "sheet", str(tmp_path), "--campaign", "two"
    )
    assert "have no 'about'" in fails("raters", "sheet", str(tmp_path), "--ask", "consistency")
    assert "has no columns to choose" in fails("raters", "sheet", str(tmp_path), "--text", "copy")
