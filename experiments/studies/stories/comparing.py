"""Written headlines beside people's: how likely one is better, and by how much, for all that words do not tell.

The click model's own error counts in full. What words promise of a headline is the mean of a distribution whose width
is that of people's headlines around what was promised of them, chance in the counts taken out; the story's counts say
where its rates lie and how wide it is there; and of people's headlines the counts themselves are known. So a text
that was chosen because much was promised of it is not believed more than people's headlines of such promise deserve.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.bootstrap import Resampled, bounds
from experiments.studies.headlines.words import Array
from experiments.studies.stories.scoring import GLUED, HUMAN, SHUFFLED, WRITTEN, Scored

BY_WORDS, BY_CLICKS, AT_RANDOM, ANY = "best by words", "best by clicks", "by lot", "best of all"
"""How one is chosen of a story's written or human headlines: as words promise most of it; as it has the highest rate by
words and clicks; by lot; as its rate is highest, which nobody knows."""
COMPARED = ((BY_WORDS, BY_WORDS), (BY_WORDS, BY_CLICKS), (BY_WORDS, ANY), (AT_RANDOM, AT_RANDOM),
            (AT_RANDOM, BY_CLICKS), (ANY, ANY))  # fmt: skip
"""Choices among the written and among people's that are held beside each other."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One story: rates that may be behind what is known, and what words promise.

    Parameters
    ----------
    written, human : arrays of shape (S, n) and (S, m)
        Rates.
    promised_written, promised_human : arrays of shape (n,) and (m,)
    """

    written: Array
    human: Array
    promised_written: Array
    promised_human: Array


def drawn_rates(scored: Scored, count: int, seed: int) -> Array:
    """Return rates (S, R) of all the stories' texts that words and clicks leave possible."""
    rates = np.zeros((count, len(scored.promised)))
    folds = scored.folds[scored.of_stories][scored.stories.tests]
    for number, prior in enumerate(scored.priors):
        mine = np.flatnonzero(folds == number)
        places = np.unique(scored.stories.tests[mine], return_inverse=True)[1]
        rates[:, mine] = prior.draw(places, scored.stories.impressions[mine], scored.stories.clicks[mine],
                                    np.random.default_rng([seed, number]), scored.promised[mine], count)  # fmt: skip
    return rates


def compare(scored: Scored, rates: Array, shown: NDArray[np.bool_]) -> dict[str, Any]:
    """Return what is to be said of the written headlines that are `shown` (R,), some, and of people's beside them.

    Returns
    -------
    dict
        ``tests``, ``written`` and ``human`` headlines a test, ``promised_more`` (the share of tests in which words
        promise more of the best written one than of the best human one, error or not), and ``rows``: for each choice
        of `COMPARED` how likely the written one is ``better``, mean over tests; what is gained by showing it, all
        clicks together and each story shown alike (``gain``), and by showing it only where it is expected to be better
        (``gain_if_better``); all with 95 % intervals; and the share of tests in which it is likelier better than not.
    """
    human = np.array(scored.kinds) == HUMAN
    numbers = np.unique(scored.stories.tests[shown])
    stories = [_drawn(scored, rates, np.flatnonzero(mine & shown), np.flatnonzero(mine & human))
               for mine in (scored.stories.tests == number for number in numbers)]  # fmt: skip
    groups = Resampled(scored.stories.groups[numbers])
    above = np.array([one.promised_written.max() > one.promised_human.max() for one in stories], dtype=float)
    return {
        "tests": len(stories), "written": float(np.mean([one.written.shape[1] for one in stories])),
        "human": float(np.mean([one.human.shape[1] for one in stories])), **mean_of("promised_more", above, groups),
        "rows": [_row(*pair, stories, groups) for pair in COMPARED],
    }  # fmt: skip


def _drawn(scored: Scored, rates: Array, written: NDArray[np.int64], human: NDArray[np.int64]) -> Drawn:
    return Drawn(rates[:, written], rates[:, human], scored.promised[written], scored.promised[human])


def _row(written: str, human: str, stories: Sequence[Drawn], groups: Resampled) -> dict[str, Any]:
    better, rates = np.zeros(len(stories)), np.zeros((2, len(stories)))
    for number, story in enumerate(stories):
        mine = _CHOICES[written](story.written, story.promised_written)  # (S, some), one of which is drawn
        theirs = _CHOICES[human](story.human, story.promised_human)
        better[number] = (mine[:, :, None] > theirs[:, None]).mean()
        rates[:, number] = mine.mean(), theirs.mean()
    kept = np.maximum(*rates)
    return {"written": written, "human": human, **mean_of("better", better, groups),
            **gain_of("gain", rates[0], rates[1], groups), **gain_of("gain_if_better", kept, rates[1], groups),
            "tests_better": float((better > 0.5).mean())}  # fmt: skip


_CHOICES: dict[str, Callable[[Array, Array], Array]] = {
    BY_WORDS: lambda rates, promised: rates[:, [promised.argmax()]],
    BY_CLICKS: lambda rates, promised: rates[:, [rates.mean(0).argmax()]],
    AT_RANDOM: lambda rates, promised: rates,
    ANY: lambda rates, promised: rates.max(1, keepdims=True),
}


def spoilt(scored: Scored) -> list[dict[str, Any]]:
    """Return what words promise of spoilt and of written texts beside people's headlines of the same story."""
    kinds, rows = np.array(scored.kinds), []
    for kind in (WRITTEN, SHUFFLED, GLUED):
        of_kind = kinds == kind
        tests = np.unique(scored.stories.tests[of_kind])
        if not tests.size:
            continue
        means = np.bincount(scored.stories.tests[of_kind], scored.promised[of_kind])[tests]
        means = means / np.bincount(scored.stories.tests[of_kind])[tests] - 1
        rows.append({"kind": kind, "texts": int(of_kind.sum()),
                     **mean_of("promised", means, Resampled(scored.stories.groups[tests]))})  # fmt: skip
    return rows


def mean_of(name: str, values: Array, groups: Resampled) -> dict[str, Any]:
    """Return the mean of values (n,) and its 95 % interval, by name."""
    return {name: float(values.mean()), f"{name}_interval": bounds(groups.means(values))}


def gain_of(name: str, rates: Array, others: Array, groups: Resampled) -> dict[str, Any]:
    """Return by what share rates (n,) are above others, all clicks together, and its 95 % interval, by name.

    Not the mean of shares: that is above 0 where nothing is gained.
    """
    found = groups.means(rates) / groups.means(others) - 1
    return {name: float(rates.sum() / others.sum() - 1), f"{name}_interval": bounds(found)}
