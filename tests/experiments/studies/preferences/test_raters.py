"""Sheets for raters, and what comes back."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from copyloom import InputError
from experiments.studies.preferences.coding import code
from experiments.studies.preferences.raters import (
    CHECKS,
    QUESTIONS,
    compare,
    intended,
    read_ratings,
    sheet_id,
    write_sheets,
)

TEXTS = [
    *(f"Feel the love of the {thing}" for thing in ("mug", "kettle", "lamp", "boat", "chair", "tent")),
    *(f"The {thing} is made of steel and tested" for thing in ("mug", "kettle", "lamp", "boat", "chair", "tent")),
    *(f"The {thing} again" for thing in ("mug", "kettle", "lamp", "boat", "chair", "tent", "bag", "box", "bed", "car")),
]
CODED = code(TEXTS, "rules")
NAMES = [question.name for question in QUESTIONS]


def filled(path: Path, change: dict | None = None, noise: int = 0, alike: bool = False, read: bool = True) -> Path:
    rng = np.random.default_rng(noise)
    kinds = dict(zip(map(sheet_id, TEXTS), intended(CODED), strict=True))
    checks = {sheet_id(one.texts[0]): int(one.expected["factual"]) if read else 4 for one in CHECKS}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *NAMES])
        for key, kind in [*kinds.items(), *checks.items()]:
            mark = 6 if kind == "emotional" else 2
            marks = [checks.get(key, 4 if alike else int(np.clip(mark + rng.integers(-noise, noise + 1), 1, 7)))] * 4
            writer.writerow([key, *((change or {}).get(key, marks))])
    return path


def test_sheets_are_balanced_blind_and_each_in_its_own_order(tmp_path: Path) -> None:
    files = write_sheets(TEXTS, CODED, tmp_path / "sheet.csv", raters=2, many=12)
    assert [file.name for file in files] == ["sheet-1.csv", "sheet-2.csv", "sheet-instructions.txt"]
    sheets = [list(csv.DictReader(file.open(encoding="utf-8-sig"))) for file in files[:2]]
    kinds = dict(zip(TEXTS, intended(CODED), strict=True))
    assert Counter(kinds[row["text"]] for row in sheets[0] if row["text"] in kinds) == {
        "emotional": 4, "factual": 4, "neither": 4}  # fmt: skip
    assert [row["id"] for row in sheets[0]] != [row["id"] for row in sheets[1]]
    assert {row["id"] for row in sheets[0]} == {row["id"] for row in sheets[1]}
    assert list(sheets[0][0]) == ["id", "text", *NAMES]
    assert all(row["id"].isalpha() for row in sheets[0])
    (page,) = write_sheets(["<b>Tea</b>", *TEXTS], code(["<b>Tea</b>", *TEXTS], "rules"), tmp_path / "s.html", many=40)
    assert "<b>" not in page.read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"ends in \.csv or \.html"):
        write_sheets(TEXTS, CODED, tmp_path / "sheet.xlsx")


def test_raters_who_agree_and_see_what_was_meant(tmp_path: Path) -> None:
    found = compare(read_ratings([filled(tmp_path / "a.csv"), filled(tmp_path / "b.csv")], TEXTS), CODED)
    assert [row["alpha"] for row in found["agreement"]] == pytest.approx([1.0] * 4)
    emotional = found["perceived"][0]
    assert (emotional["difference"], emotional["verdict"]) == (4.0, "perceived so")
    assert found["perceived"][1]["verdict"] == "perceived the other way round"  # they marked all questions alike
    assert found["rank_correlation"]["value"] > 0.7


def test_noise_lowers_agreement_and_one_rater_has_none(tmp_path: Path) -> None:
    noisy = compare(read_ratings([filled(tmp_path / f"{n}.csv", noise=n) for n in (2, 3, 4)], TEXTS), CODED)
    low, high = noisy["agreement"][0]["interval"]
    assert low < noisy["agreement"][0]["alpha"] < high
    assert noisy["agreement"][0]["alpha"] < 0.95
    alone = compare(read_ratings([filled(tmp_path / "2.csv")], TEXTS), CODED)
    assert alone["agreement"][0]["alpha"] is None


def test_raters_who_do_not_count(tmp_path: Path) -> None:
    files = [filled(tmp_path / "good.csv"), filled(tmp_path / "lazy.csv", alike=True),
             filled(tmp_path / "asleep.csv", read=False)]  # fmt: skip
    found = read_ratings(files, TEXTS)
    assert found.raters == ("good",)
    assert found.left_out["lazy"] == "marked 4 everywhere"
    assert "failed" in found.left_out["asleep"]
    with pytest.raises(InputError, match="nobody is left who counts: lazy marked 4 everywhere"):
        read_ratings(files[1:2], TEXTS)


def test_missing_answers_are_counted(tmp_path: Path) -> None:
    key = sheet_id(TEXTS[0])
    found = read_ratings([filled(tmp_path / "a.csv", {key: ["", "2", "", "3"]})], TEXTS)
    assert found.missing == {"a": 2}
    assert np.isnan(found.marks["emotional"][0, 0])


@pytest.mark.parametrize(("marks", "said"), [([9, 1, 1, 1], "emotional is '9'"), ([1, 2.5, 1, 1], "factual is '2.5'"),
                                             (["x", 1, 1, 1], "whole number from 1 to 7")])  # fmt: skip
def test_marks_that_are_not_on_the_scale(marks: list, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_ratings([filled(tmp_path / "a.csv", {sheet_id(TEXTS[0]): marks})], TEXTS)


def test_sheets_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no text"):
        read_ratings([filled(tmp_path / "a.csv")], TEXTS[3:])
    (tmp_path / "b.csv").write_text("id,stars\nA,3\n")
    with pytest.raises(InputError, match="is no filled-in sheet"):
        read_ratings([tmp_path / "b.csv"], TEXTS)
    lines = filled(tmp_path / "c.csv").read_text().splitlines()
    (tmp_path / "c.csv").write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(InputError, match="twice of c"):
        read_ratings([tmp_path / "c.csv"], TEXTS)
