"""What comes back from raters: who counts, what was said of which text, what is missing, what is refused."""

import csv
from pathlib import Path

import numpy as np
import pytest

from copyloom import InputError
from experiments.raters.answers import read_answers
from experiments.raters.making import Plan, draw
from experiments.raters.questions import asked_of
from experiments.raters.units import Entry

UNKNOWN = "there is no line {}"
KEY = draw(
    [Entry(f"{source} {item}", source, str(item), "about") for item in range(40) for source in ("high", "low")],
    Plan(asked_of(["quality", "similarity", "preference"]), 3, 10, 2),
).key
NAMES = [question.name for question in KEY.questions]


def honest(line):
    """Marks 5 for a text of high and 2 for one of low, and prefers the better one, on whatever side it stands."""
    if line.unit is None:
        return dict(line.expected)
    unit = KEY.units[line.unit]
    if unit.of == "text":
        return {"quality": 5 if unit.sources[0] == ("high",) else 2}
    first = unit.sources[0] if not line.turned else unit.sources[1]
    return {"similarity": 3 + line.unit % 2, "preference": "A" if first == ("high",) else "B"}


def filled(path: Path, sheet: int, answer=honest, lines=None, rater: str | None = None) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", *NAMES, *(["rater"] if rater else [])])
        writer.writeheader()
        for line in lines or [line for line in KEY.lines if line.sheet == sheet]:
            writer.writerow({"id": line.id, **answer(line), **({"rater": rater} if rater else {})})
    return path


def test_answers_come_to_their_texts_whatever_the_side_and_the_order(tmp_path: Path) -> None:
    found = read_answers([filled(tmp_path / f"{sheet}.csv", sheet) for sheet in (1, 2, 3)], KEY, UNKNOWN)
    assert (found.raters, found.left_out, found.absent) == (("1", "2", "3"), {}, ())
    assert found.missing == {"1": 0, "2": 0, "3": 0}
    for number, unit in enumerate(KEY.units):
        values = {name: own[:, number][np.isfinite(own[:, number])].tolist() for name, own in found.marks.items()}
        if unit.of == "text":
            assert values == {"quality": [5.0 if unit.sources[0] == ("high",) else 2.0] * 2, "similarity": [],
                              "preference": []}  # fmt: skip
        else:
            assert values["preference"] == [1.0] * 2  # high, the first by name
    first = found.shown_first["preference"]
    assert np.nanmean(first) == pytest.approx(0.5)


def test_a_line_left_open_or_cut_out_is_missing_and_a_sheet_may_be_absent(tmp_path: Path) -> None:
    lines = [line for line in KEY.lines if line.sheet == 2]
    pair = next(line for line in lines if line.unit is not None and KEY.units[line.unit].of == "pair")
    kept = [line for line in lines if line != pair]
    found = read_answers([filled(tmp_path / "a.csv", 2, lines=kept), filled(tmp_path / "b.csv", 3)], KEY, UNKNOWN)
    assert found.missing == {"a": 2, "b": 0}
    assert found.absent == (1,)


def on_one_side(line):
    return {name: "A" if name == "preference" else value for name, value in honest(line).items()}


def all_alike(line):
    return {name: value if name == "preference" else 4 for name, value in honest(line).items()}


def unread(line):
    amiss = {name: "A" if name == "preference" else 3 for name in line.expected}
    return amiss if line.unit is None else honest(line)


@pytest.mark.parametrize(("answer", "why"), [
    (on_one_side, "chose text A everywhere"), (all_alike, "marked 4 everywhere"),
    (unread, "failed the lines that check"), (lambda line: {}, "rated nothing"),
])  # fmt: skip
def test_raters_who_do_not_count(tmp_path: Path, answer, why) -> None:
    files = [filled(tmp_path / "good.csv", 1), filled(tmp_path / "bad.csv", 2, answer)]
    found = read_answers(files, KEY, UNKNOWN)
    assert found.raters == ("good",)
    assert found.left_out["bad"].startswith(why)
    with pytest.raises(InputError, match="nobody is left who counts: bad"):
        read_answers(files[1:], KEY, UNKNOWN)


def test_choices_are_read_as_people_write_them(tmp_path: Path) -> None:
    written = {"A": " a", "B": "b ", "tie": "Tie"}
    found = read_answers([filled(tmp_path / "a.csv", 1, lambda line: {
        name: written.get(value, value) for name, value in honest(line).items()})], KEY, UNKNOWN)  # fmt: skip
    assert np.nanmin(found.marks["preference"]) == 1


def test_what_cannot_be_read(tmp_path: Path) -> None:
    one = filled(tmp_path / "one.csv", 1)
    cases = {
        "of the sheets 1 and 2, and a rater must not": [filled(tmp_path / f"{n}.csv", n, rater="Anna") for n in (1, 2)],
        "twice of one": [one, one],
        "there is no line 'NONE'": [one, tmp_path / "none.csv"],
        "is no filled-in sheet: it needs the columns id and quality or": [tmp_path / "text.csv"],
        "preference is 'left'; give A, B or tie": [filled(tmp_path / "left.csv", 1, lambda line: {
            name: "left" if name == "preference" else value for name, value in honest(line).items()})],
        "quality is '6'; give a whole number from 1 to 5": [filled(tmp_path / "six.csv", 1, lambda line: {
            name: 6 if name == "quality" else value for name, value in honest(line).items()})],
    }  # fmt: skip
    (tmp_path / "none.csv").write_text("id,quality\nNONE,3\n")
    (tmp_path / "text.csv").write_text("id,stars\nNONE,3\n")
    for said, files in cases.items():
        with pytest.raises(InputError, match=said):
            read_answers(files, KEY, UNKNOWN)


def test_one_sheet_may_be_filled_in_by_two_people(tmp_path: Path) -> None:
    found = read_answers([filled(tmp_path / "a.csv", 1), filled(tmp_path / "b.csv", 1)], KEY, UNKNOWN)
    assert found.raters == ("a", "b")
    assert np.array_equal(*found.marks["quality"], equal_nan=True)
