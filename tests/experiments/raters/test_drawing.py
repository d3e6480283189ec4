"""Who judges what, on which side, and what a sheet tells: balance by enumeration, blindness by bytes."""

import csv
import json
import random
import re
from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyloom import InputError
from experiments.raters.allotment import allot
from experiments.raters.key import read_key
from experiments.raters.making import Plan, draw, write
from experiments.raters.questions import asked_of
from experiments.raters.sides import sides
from experiments.raters.units import Entry, pair_units, text_units

ALL = asked_of(["consistency", "quality", "similarity", "preference"])
HIDDEN = ("elmwriter", "nearestone", "mixture9")


def entries(sources=HIDDEN, items=30, text="Words {item}, {number}."):
    rng = random.Random(1)
    return [Entry(text.format(item=item, number=rng.randrange(10**9)), source, f"item {item}", f"about {item}")
            for item in range(items) for source in sources]  # fmt: skip


def spread(counts, labels):
    many = [counts[label] for label in labels]
    return max(many) - min(many)


@pytest.mark.parametrize("make", [text_units, lambda some: pair_units(some)[0]], ids=["texts", "pairs"])
@pytest.mark.parametrize("sources", [2, 3])
def test_sheets_are_balanced_whatever_the_seed(make, sources):
    """Units by as many raters, sheets of one length, sources within one (two if they do not divide), no item twice."""
    units = make(entries(HIDDEN[:sources]))
    labels = {unit.sources for unit in units}
    for seed, raters, overlap, many in product(range(3), (2, 4, 7), (1, 2, 3), (6, 11, 20)):
        if overlap > raters:
            continue
        sheets = allot(units, raters, many, overlap, random.Random(seed))
        times = Counter(number for sheet in sheets for number in sheet)
        assert set(times.values()) == {overlap}
        assert len(times) == min(raters * many // overlap, 30 * min(raters // overlap, len(labels)))
        assert max(map(len, sheets)) <= many
        assert max(map(len, sheets)) - min(map(len, sheets)) <= 1
        for sheet in sheets:
            assert len({units[number].item for number in sheet}) == len(sheet)
            uneven = spread(Counter(units[number].sources for number in sheet), labels)
            assert uneven <= (1 if len(times) % len(labels) == 0 else 2), (seed, raters, overlap, many)


def test_the_same_items_carry_all_sources_where_raters_suffice():
    sheets = allot(units := text_units(entries(HIDDEN[:2])), 4, 10, 2, random.Random(0))
    judged = Counter(units[number].item for number in {number for sheet in sheets for number in sheet})
    assert set(judged.values()) == {2}


def test_a_text_that_two_items_share_is_seen_once():
    some = [Entry("The same." if item < 4 else f"Other {item}.", source, f"{item} {source}")
            for item in range(12) for source in "ab"]  # fmt: skip
    units = text_units(some)
    for sheet in allot(units, 2, 12, 1, random.Random(0)):
        assert sum(units[number].texts == ("The same.",) for number in sheet) <= 1


def test_texts_that_two_sources_wrote_are_neither_sought_nor_avoided():
    """A tenth of the items; of 200 draws of 20 items about a tenth (false alarm below 1 in 10,000)."""
    some = entries(("a", "b"), 50)
    some = [
        Entry("Both.", *(one.source, one.item)) if one.item in [f"item {n}" for n in range(5)] else one for one in some
    ]
    units = text_units([Entry(f"{one.text} {one.item}", one.source, one.item) for one in some])
    draws = [allot(units, 2, 20, 1, random.Random(seed)) for seed in range(200)]
    drawn = Counter(len(units[number].sources[0]) for sheets in draws for sheet in sheets for number in sheet)
    share = drawn[2] / (drawn[2] + drawn[1] / 2)
    assert share == pytest.approx(0.1, abs=0.03)


def test_as_many_of_a_rare_source_as_there_are():
    some = [*entries(("often",), 40), *(Entry(f"rare {n}", "rare", f"rare {n}") for n in range(4))]
    units = text_units(some)
    for sheet in allot(units, 2, 10, 2, random.Random(0)):
        assert Counter(units[number].sources[0][0] for number in sheet) == {"often": 6, "rare": 4}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), unique=True, max_size=28), st.integers(0, 99))
def test_sides_differ_by_one_at_most(seen, seed):
    """On each sheet, over the raters of a pair, and over all sheets for each two sources."""
    seen = [(rater, unit % 3, unit) for rater, unit in seen]  # a pair is of two sources, whoever sees it
    turned = sides(seen, random.Random(seed))
    for key in (lambda one: one[:2], lambda one: one[2], lambda one: one[1]):
        for kind in {key(one) for one in seen}:
            of_kind = [side for one, side in zip(seen, turned, strict=True) if key(one) == kind]
            assert abs(len(of_kind) - 2 * sum(of_kind)) <= 1


@pytest.mark.parametrize("ending", ["csv", "html"])
def test_nothing_on_a_sheet_says_who_wrote_a_text(tmp_path: Path, ending: str) -> None:
    *sheets, key = write(draw(entries(), Plan(ALL, 4, 10)), tmp_path / f"sheet.{ending}")
    for file in sheets:
        assert not any(source in file.read_text(encoding="utf-8") for source in HIDDEN)
    assert HIDDEN[0] in key.read_text(encoding="utf-8")
    stored = read_key(key)
    assert [line.id for line in stored.lines] == sorted({line.id for line in stored.lines}, key=[
        line.id for line in stored.lines].index)  # fmt: skip
    assert all(re.fullmatch("[A-Z]{7}", line.id) for line in stored.lines)


def test_neither_ids_nor_places_go_with_a_source():
    """Means over 60 draws of what a source's lines have; a standard error is about 0.01 (false alarm 1 in 10,000)."""
    letter, place = {source: [] for source in HIDDEN}, {source: [] for source in HIDDEN}
    for seed in range(60):
        drawn = draw(entries(), Plan(asked_of(["quality"]), 2, 15, 1, seed))
        for sheet in drawn.sheets:
            units = {line.id: line.unit for line in drawn.key.lines}
            for position, block in enumerate(sheet):
                if units[block.id] is not None:
                    (source,) = drawn.key.units[units[block.id]].sources[0]
                    letter[source].append((ord(block.id[0]) - ord("A")) / 25)
                    place[source].append(position / (len(sheet) - 1))
    for found in (letter, place):
        for values in found.values():
            assert sum(values) / len(values) == pytest.approx(0.5, abs=0.05)


def test_each_rater_has_an_order_and_a_first_part_of_their_own(tmp_path: Path) -> None:
    drawn = draw(entries(), Plan(ALL, 4, 10, 4))
    orders = [[block.texts for block in sheet if len(block.texts) == 1] for sheet in drawn.sheets]
    assert len({frozenset(map(tuple, order)) for order in orders}) == 1
    assert len({tuple(order) for order in orders}) == 4
    assert [len(sheet[0].texts) for sheet in drawn.sheets] == [1, 2, 1, 2]


def test_the_same_seed_writes_the_same_bytes_and_both_forms_have_one_key(tmp_path: Path) -> None:
    plan = Plan(ALL, 2, 5)
    first, again = (write(draw(entries(), plan), tmp_path / name / "sheet.html") for name in "ab")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    *_, key = write(draw(entries(), plan), tmp_path / "a" / "sheet.csv")
    assert key == first[-1]
    with pytest.raises(InputError, match=r"sheet-key\.json is the key of other sheets"):
        write(draw(entries(), Plan(ALL, 2, 5, seed=1)), tmp_path / "a" / "sheet.csv")


def test_texts_of_all_kinds_stand_on_a_sheet_as_they_are(tmp_path: Path) -> None:
    odd = [
        "=SUM(A1:A9)",
        "-1 off",
        "Line one\nline two",
        'Größe 尺寸 "🌲"',
        "<script>alert(1)</script>",
        "a,b;c\td",
        "half \ud800",
    ]
    some = [Entry(text, "s", str(number)) for number, text in enumerate(odd)]
    plan = Plan(asked_of(["quality"], 7), 1, 9, 1)
    file = write(draw(some, plan), tmp_path / "s.csv")[0]
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    shown = {row["text"] for row in rows}
    assert {"'=SUM(A1:A9)", "'-1 off", *odd[2:6], "half ?"} < shown
    assert len(rows) == len(odd) + 2
    page = write(draw(some, plan), tmp_path / "s.html")[0].read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "Line one\nline two" in page
    assert read_key(tmp_path / "s-key.json").questions[0].highest == 7
    with pytest.raises(InputError, match="40,000 letters, and a cell of a spreadsheet holds 32,767"):
        write(draw([*some, Entry("x" * 40_000, "s", "long")], plan), tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"ends in \.csv or \.html"):
        write(draw(some, plan), tmp_path / "s.pdf")


def test_pairs_of_equal_texts_are_counted_and_not_shown():
    some = [*entries(("a", "b"), 5), Entry("Same  words.", "a", "x"), Entry("Same words.", "b", "x")]
    units, equal = pair_units(some)
    assert (len(units), equal) == (5, 1)
    assert {unit.sources for unit in units} == {(("a",), ("b",))}
    three, equal = pair_units([Entry("One.", "a", "x"), Entry("One.", "c", "x"), Entry("Two.", "b", "x")])
    assert (three[0].sources, equal) == ((("a", "c"), ("b",)), 1)
    assert pair_units([Entry("One.", "b", "x", other="Two.", other_source="a")])[0][0].texts == ("Two.", "One.")
    with pytest.raises(InputError, match="no two sources wrote for one item"):
        pair_units([Entry("One.", "a", "x"), Entry("Two.", "a", "x"), Entry("Three.", "b", "y")])
    with pytest.raises(InputError, match="all 1 pairs are of equal texts"):
        pair_units(some[-2:])


def test_what_is_less_than_asked_for_is_said():
    few = draw(entries(("a", "b"), 4), Plan(asked_of(["quality"]), 3, 20)).notes
    assert few[0].startswith("a sheet has 2 or 3 texts, not 20")
    assert "4 raters would compare sources on the same items" in few[1]
    named = draw([Entry("An Elmwriter text.", "elmwriter", "1")], Plan(asked_of(["quality"]), 1, 1, 1)).notes
    assert named == ("'elmwriter' stands in a text, by which raters may guess its source",)
    assert draw(entries(), Plan(ALL, 4, 10)).notes == ()
    rare = draw([*entries(("a",), 40), Entry("b's", "b", "b")], Plan(asked_of(["quality"]), 2, 20)).notes
    assert "up to 18 texts more than another" in rare[0]


@pytest.mark.parametrize(("some", "plan", "said"), [
    ([], {"questions": ALL[1:2]}, "there is no text to judge"),
    ([Entry("One.", "a", "x")], {"questions": ALL[:1]}, "1 of 1 texts have no 'about', such as 'One.'"),
    (entries(), {"questions": ALL, "raters": 1}, "an overlap of 2 needs as many raters"),
    (entries(), {"questions": ALL, "many": 0}, "a sheet of 0 texts says nothing"),
])  # fmt: skip
def test_what_cannot_be_drawn(some, plan, said):
    with pytest.raises(InputError, match=re.escape(said)):
        draw(some, Plan(**plan))


def test_questions_that_are_not_asked():
    assert [question.name for question in asked_of(["preference", "quality", "quality"])] == ["quality", "preference"]
    for names, highest, said in (([], 5, "no question was given"), (["taste"], 5, "'taste' is no question"),
                                 (["quality"], 10, "a scale from 1 to 10")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            asked_of(names, highest)


def test_a_key_that_is_none(tmp_path: Path) -> None:
    write(draw(entries(), Plan(ALL, 2, 5)), tmp_path / "s.csv")
    whole = json.loads((tmp_path / "s-key.json").read_text(encoding="utf-8"))
    for content, said in (("", "cannot be read as a key"), ("[]", "is no key of this version"),
                          (json.dumps(whole | {"units": 3}), "is damaged"),
                          (json.dumps(whole | {"units": []}), "lines of nothing")):  # fmt: skip
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(InputError, match=said):
            read_key(tmp_path / "bad.json")
