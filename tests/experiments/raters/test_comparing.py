"""Agreement, intervals and comparisons against published examples, closed forms and worlds that are known."""

import numpy as np
import pytest
from scipy.stats import binomtest, sem, t

from experiments.raters.agreement import agreement
from experiments.raters.answers import answers_of
from experiments.raters.comparing import UNSURE, compare
from experiments.raters.coverage import measure
from experiments.raters.crossed import LEAST, Crossed
from experiments.raters.making import Plan, draw
from experiments.raters.questions import asked_of
from experiments.raters.units import Entry

NAN = np.nan
FOUR_OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
])  # fmt: skip
"""Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C."""
TWO_OBSERVERS = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], float)
"""The same, section A."""


def alpha(marks, level):
    return agreement(marks, np.random.default_rng(0), level)["alpha"]


def test_alpha_is_that_of_krippendorffs_own_examples():
    assert alpha(FOUR_OBSERVERS, "nominal") == pytest.approx(0.743, abs=5e-4)
    assert alpha(FOUR_OBSERVERS, "interval") == pytest.approx(0.849, abs=5e-4)
    assert alpha(TWO_OBSERVERS, "nominal") == pytest.approx(0.095, abs=5e-4)


def test_alpha_needs_two_raters_of_one_text_and_two_marks():
    alone = np.where(np.eye(3, dtype=bool), 3.0, NAN)
    for marks in (alone, np.full((2, 4), 3.0), np.full((2, 4), NAN)):
        assert agreement(marks, np.random.default_rng(0)) == {"alpha": None, "interval": None}


def test_the_interval_of_alpha_is_wider_where_items_are_drawn_together():
    marks = np.repeat(np.random.default_rng(1).integers(1, 6, (3, 12)).astype(float), 4, axis=1)
    apart, together = (agreement(marks, np.random.default_rng(0), groups=groups)["interval"]
                       for groups in (None, np.repeat(np.arange(12), 4)))  # fmt: skip
    assert together[1] - together[0] > 1.5 * (apart[1] - apart[0])


@pytest.mark.parametrize("axis", [0, 1], ids=["raters", "items"])
def test_where_only_raters_or_only_items_differ_the_interval_is_students(axis):
    values = np.random.default_rng(2).normal(3, 1, 12)
    marks = np.tile(values[:, None], (1, 10)) if axis == 0 else np.tile(values, (10, 1))
    found = Crossed(marks.shape[0], range(marks.shape[1])).mean(marks)
    half = sem(values) * t.ppf(0.975, 11)
    assert found.interval == pytest.approx([values.mean() - half, values.mean() + half], abs=0.05 * half)


def test_independent_marks_count_once():
    """Neither raters nor items differ: the variance is that of single marks, not the sum of both ways to draw."""
    widths = []
    for seed in range(20):
        marks = np.random.default_rng(seed).normal(3, 1, (40, 40))
        low, high = Crossed(40, range(40), seed).mean(marks).interval
        widths.append((high - low) / (2 * 1.96 / 40))
    assert np.mean(widths) == pytest.approx(1.08, abs=0.1)  # the larger of two variances is the least


def test_what_raters_and_items_share_cancels_in_a_difference():
    rng = np.random.default_rng(3)
    level, item = rng.normal(0, 5, (8, 1)), np.repeat(rng.normal(0, 5, 20), 2)
    marks = level + item + np.tile([1.0, 0.0], 20) + rng.normal(0, 0.1, (8, 40))
    first = np.tile([True, False], 20)
    crossed = Crossed(8, np.repeat(np.arange(20), 2))
    difference, mean = crossed.difference(marks, first, ~first), crossed.mean(marks, first)
    assert difference.value == pytest.approx(1, abs=0.05)
    assert np.ptp(difference.interval) < 0.2 < 3 < np.ptp(mean.interval)


def test_one_rater_or_one_item_has_no_interval_and_nothing_no_mean():
    assert Crossed(1, range(9)).mean(np.ones((1, 9))).interval is None
    assert Crossed(9, [0]).mean(np.ones((9, 1))).interval is None
    assert Crossed(2, range(3)).mean(np.full((2, 3), NAN)) is None


def chosen(answer, items, raters=2, sources=("a", "b"), other=""):
    """What raters say who answer each pair so, by its sources."""
    some = [Entry(f"{source} {item}", source, f"{item:03}", "", f"{other} {item}" if other else "", other)
            for item in range(items) for source in sources]  # fmt: skip
    key = draw(some, Plan(asked_of(["preference"]), raters, items, raters)).key
    given = {f"rater {sheet}": {line.id: {"preference": answer(key.units[line.unit], line)} for line in key.lines
                                if line.sheet == sheet and line.unit is not None}
             for sheet in range(1, raters + 1)}  # fmt: skip
    return compare(answers_of(given, key), key)


def prefers(source):
    return lambda unit, line: "AB"[(unit.sources[1] == (source,)) ^ line.turned]


def test_choices_that_are_all_alike_are_as_sure_as_as_many_items():
    for items in (3, LEAST - 1, LEAST, 30):
        (row,) = chosen(prefers("b"), items)["wins"]
        assert (row["win_rate"], row["wins"], row["losses"], row["items"]) == (0.0, 0, 2 * items, items)
        exact = binomtest(0, items).proportion_ci(method="exact")
        assert row["interval"] == pytest.approx([exact.low, exact.high])
        assert row["verdict"] == (UNSURE if items < LEAST else "less preferred")


def test_ties_are_half_a_win_and_of_three_sources_each_is_held_beside_all_others():
    (row,) = chosen(lambda unit, line: "tie" if int(unit.item) % 2 else prefers("a")(unit, line), 20)["wins"]
    assert (row["win_rate"], row["wins"], row["ties"], row["losses"]) == (0.75, 20, 20, 0)
    rows = chosen(lambda unit, line: prefers(min(unit.sources)[0])(unit, line), 30, sources="abc")["wins"]
    assert {(row["source"], row["other"]): row["win_rate"] for row in rows} == {
        ("a", "b"): 1, ("a", "c"): 1, ("b", "c"): 1, ("a", "all others"): 1, ("b", "all others"): pytest.approx(0.5),
        ("c", "all others"): 0,
    }  # fmt: skip


def test_a_rater_who_looks_at_sides_alone_says_nothing_of_sources_and_is_seen():
    found = chosen(lambda unit, line: "A" if int(unit.item) % 5 else "B", 40)
    assert found["sides"][0]["first_chosen"] == pytest.approx(0.8)
    assert found["sides"][0]["verdict"] == "the first is chosen more often"
    assert found["wins"][0]["win_rate"] == pytest.approx(0.5, abs=0.02)
    assert found["wins"][0]["verdict"] == UNSURE
    assert found["agreement"][0]["alpha"] < -0.3  # the two saw each pair on other sides


def test_agreement_of_choices_is_about_texts_not_about_sources():
    """Whoever prefers the same texts agrees, though the source is the same each time."""
    assert chosen(prefers("a"), 20)["agreement"][0]["alpha"] == 1


def test_a_column_of_other_texts_is_a_source():
    (row,) = chosen(prefers("gold"), 10, sources="a", other="gold")["wins"]
    assert (row["source"], row["other"], row["win_rate"]) == ("a", "gold", 0)


def test_a_text_of_two_sources_counts_for_both():
    some = [
        Entry("Both." if item < 5 else f"{source} {item}", source, str(item)) for item in range(10) for source in "ab"
    ]
    some = [Entry(f"{one.text} {one.item}", one.source, one.item) for one in some]
    key = draw(some, Plan(asked_of(["quality"]), 4, 10, 2)).key
    given = {f"r{sheet}": {line.id: {"quality": str(3 + (sheet + index) % 2)} for index, line in enumerate(key.lines)
                           if line.sheet == sheet and line.unit is not None} for sheet in range(1, 5)}  # fmt: skip
    found = compare(answers_of(given, key), key)
    assert {row["source"]: row["items"] for row in found["means"]} == {"a": 10, "b": 10}
    assert found["judged"] == {"texts": 15, "pairs": 0}


def test_effects_of_drawn_worlds_lie_in_their_intervals():
    """40 worlds; of 40 fewer than 34 hold by chance once in 1,000 if 95 % do; a false alarm likewise."""
    for row in measure(40, lambda *_: None, [(6, 20, 2)]):
        assert row["held"] >= 33 / 40
        assert row["false_alarms"] <= 7 / 40
        assert row["told_apart"] > row["false_alarms"]
