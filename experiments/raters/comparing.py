"""What raters' answers say of the sources: means, differences, wins, and how far raters agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from experiments.raters.agreement import agreement
from experiments.raters.answers import Answers
from experiments.raters.crossed import Crossed, Sure
from experiments.raters.key import Key
from experiments.raters.questions import Question
from experiments.raters.units import Unit

Array = NDArray[np.float64]
Units = NDArray[np.bool_]
UNSURE = "not enough evidence yet"
OTHERS = "all others"
_MARKED = {1: "higher", -1: "lower", 0: UNSURE}
_CHOSEN = {1: "preferred", -1: "less preferred", 0: UNSURE}
_SIDED = {1: "the first is chosen more often", -1: "the second is chosen more often", 0: "no sign of it"}


def compare(answers: Answers, key: Key, seed: int = 0, alphas: bool = True) -> dict[str, Any]:
    """Return what raters' answers say, as lists of rows.

    ``means`` of marks by question and source; ``differences`` of two sources, paired: the same raters and items are
    drawn for both; ``wins``: how often a source was preferred to another, ties counted as half; ``agreement``;
    ``sides``: whether the text that stands first is chosen more often; ``raters``: who counts, who does not and why,
    and what is missing. All intervals are of 95 %, by `experiments.raters.crossed`, that of alpha by `agreement`.

    Parameters
    ----------
    answers : Answers
    key : Key
    seed : int
    alphas : bool
        Whether agreement is worked out, which takes longest.
    """
    items = np.unique([unit.item for unit in key.units], return_inverse=True)[1].reshape(-1)
    crossed = Crossed(len(answers.raters), items, seed)
    marked = [question for question in key.questions if not question.choice]
    chosen = [question for question in key.questions if question.choice]
    rng = np.random.default_rng(seed)
    return {
        "judged": {f"{of}s": sum(key.units[unit].of == of for unit in answers.answered) for of in ("text", "pair")},
        "equal_pairs": key.equal, "absent_sheets": list(answers.absent),
        "raters": _raters(answers),
        "means": [row for question in marked for row in _means(question, answers, key, crossed)],
        "differences": [row for question in marked for row in _differences(question, answers, key, crossed)],
        "wins": [row for question in chosen for row in _wins(question, answers, key, crossed)],
        "agreement": [_agreed(question, answers, key, items, rng) for question in key.questions if alphas],
        "sides": [row for question in chosen for row in _sides(question, answers, crossed)],
    }  # fmt: skip


def _raters(answers: Answers) -> list[dict[str, Any]]:
    rows = [
        {"rater": rater, "counts": True, "why": None, "missing": answers.missing[rater]} for rater in answers.raters
    ]
    return [*rows, *({"rater": rater, "counts": False, "why": why, "missing": None}
                     for rater, why in answers.left_out.items())]  # fmt: skip


def labelled(units: Sequence[Unit], question: Question) -> dict[str, Units]:
    """Return which units are of each source, or of each two sources that were compared, in the order of names."""
    found: dict[str, Units] = {}
    for number, unit in enumerate(units):
        if unit.of != question.of:
            continue
        for names in unit.labels:
            found.setdefault(" and ".join(names), np.zeros(len(units), bool))[number] = True
    return dict(sorted(found.items()))


def _means(question: Question, answers: Answers, key: Key, crossed: Crossed) -> Iterator[dict[str, Any]]:
    marks = answers.marks[question.name]
    for source, units in labelled(key.units, question).items():
        found = crossed.mean(marks, units)
        if found is not None:
            judgements = int(np.isfinite(marks[:, units]).sum())
            yield {"question": question.name, "source": source, "mean": found.value,
                   "interval": _within(found.interval, 1, question.highest), "highest": question.highest,
                   "items": found.items, "judgements": judgements}  # fmt: skip


def _differences(question: Question, answers: Answers, key: Key, crossed: Crossed) -> Iterator[dict[str, Any]]:
    sources = labelled(key.units, question)
    for source, other in combinations(sources, 2):
        if (sources[source] == sources[other]).all():  # they wrote the same
            continue
        found = crossed.difference(answers.marks[question.name], sources[source], sources[other])
        if found is not None:
            yield {"question": question.name, "source": source, "other": other, "difference": found.value,
                   "interval": found.interval, "items": found.items, "verdict": _MARKED[found.beyond(0)]}  # fmt: skip


def _wins(question: Question, answers: Answers, key: Key, crossed: Crossed) -> Iterator[dict[str, Any]]:
    marks = answers.marks[question.name]
    sources = sorted({source for unit in key.units if unit.of == "pair" for side in unit.sources for source in side})
    against = [(source, other) for source, other in combinations(sources, 2)]
    against += [(source, OTHERS) for source in sources] if len(sources) > 2 else []
    for source, other in against:
        won = _of_source(marks, key.units, source, None if other == OTHERS else other)
        found = crossed.mean(won)
        if found is not None:
            sure = Sure(found.value, _of_rate(found), found.items)
            wins, ties, losses = (int((won == worth).sum()) for worth in (1, 0.5, 0))
            yield {"question": question.name, "source": source, "other": other, "win_rate": found.value,
                   "interval": sure.interval, "wins": wins, "ties": ties, "losses": losses, "items": found.items,
                   "verdict": _CHOSEN[sure.beyond(0.5)]}  # fmt: skip


def _of_source(marks: Array, units: Sequence[Unit], source: str, other: str | None) -> Array:
    """Return 1 where a source's text was chosen, 0 where another's was, NaN where it was not compared with that."""
    found = np.full_like(marks, np.nan)
    for number, unit in enumerate(units):
        if unit.of == "text":
            continue
        for own, against, value in ((0, 1, marks[:, number]), (1, 0, 1 - marks[:, number])):
            if source in unit.sources[own] and (other is None or other in unit.sources[against]):
                found[:, number] = value
    return found


def _of_rate(found: Sure) -> list[float] | None:
    """Return a rate's interval; where all choices are alike, the exact one of as many items (Clopper and Pearson).

    Drawing anew shows no spread there, and three items would be as sure as a thousand.
    """
    if found.interval is None or found.interval[0] < found.interval[1]:
        return _within(found.interval, 0, 1)
    wins, many = found.value * found.items, found.items
    low = beta.ppf(0.025, wins, many - wins + 1) if wins > 0 else 0.0
    high = beta.ppf(0.975, wins + 1, many - wins) if wins < many else 1.0
    return [float(low), float(high)]


def _within(interval: list[float] | None, lowest: float, highest: float) -> list[float] | None:
    return None if interval is None else [max(interval[0], lowest), min(interval[1], highest)]


def _agreed(
    question: Question, answers: Answers, key: Key, items: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, Any]:
    """Return alpha; that of a choice asks which text is better, not which source: every second is turned."""
    places = np.flatnonzero([unit.of == question.of for unit in key.units])
    marks = answers.marks[question.name][:, places]
    if question.choice:
        marks = np.where(np.arange(len(places)) % 2, 1 - marks, marks)
    found = agreement(marks, rng, "nominal" if question.choice else "interval", items[places])
    return {"question": question.name, **found, "judged_twice": int((np.isfinite(marks).sum(0) > 1).sum())}


def _sides(question: Question, answers: Answers, crossed: Crossed) -> Iterator[dict[str, Any]]:
    found = crossed.mean(answers.shown_first[question.name])
    if found is not None:
        sure = Sure(found.value, _of_rate(found), found.items)
        yield {"question": question.name, "first_chosen": sure.value, "interval": sure.interval,
               "verdict": _SIDED[sure.beyond(0.5)]}  # fmt: skip
