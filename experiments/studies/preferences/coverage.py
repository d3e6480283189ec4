"""How often the study's 95 % intervals hold the truth, and how often it finds what is not there, in drawn worlds.

``python -m experiments.studies.preferences.coverage``: a table of Markdown, a row a design.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import beta, binomtest

from experiments.studies.preferences.coding import Attribute, Coded
from experiments.studies.preferences.model import Cells, Laplace, fit
from experiments.studies.preferences.part_worths import contrasts, design_of

Array = NDArray[np.float64]
BASE, SPREAD = 0.02, 0.3
TRUTH = {"none": 0.0, "rare": 0.2, "small": 0.1, "large": 0.4, "tied": 0.0, "three": 0.3, "nothing": 0.0}
"""What the second level of each attribute is worth beside the first, in logits; the third of three as much again."""
_SHARES = {"none": 0.5, "rare": 0.06, "small": 0.3, "large": 0.5, "tied": 0.5, "three": 0.5, "nothing": 0.25}


@dataclass(frozen=True)
class Design:
    """How clicks come about.

    Parameters
    ----------
    name : str
    tests, texts, rounds, impressions : int
        Tests; texts of each; rounds of each test, and impressions of one.
    allocation : {"alike", "thompson", "greedy"}
        Thompson sampling with a Beta prior a text; greedy shows the three best so far and one drawn.
    """

    name: str
    tests: int
    texts: int
    rounds: int
    impressions: int
    allocation: str


DESIGNS = (
    Design("150 tests of 4 texts, 1,000 impressions a text", 150, 4, 1, 4000, "alike"),
    Design("one pool of 60 texts, all shown alike, 60,000 impressions", 1, 60, 1, 60_000, "alike"),
    Design("the same, Thompson sampling in 40 rounds", 1, 60, 40, 1500, "thompson"),
    Design("the same, the best so far in 40 rounds", 1, 60, 40, 1500, "greedy"),
    Design("one pool of 30 texts, Thompson sampling, 10,000 impressions", 1, 30, 20, 500, "thompson"),
)


def world(design: Design, rng: np.random.Generator) -> tuple[Coded, Cells]:
    """Return texts of a drawn world and their clicks, a stratum a test and round."""
    many = design.tests * design.texts
    attributes: list[Attribute] = []
    levels: list[NDArray[np.int64]] = []
    for name in TRUTH:
        if name == "tied":  # with the one before it, four times in five
            drawn = np.where(rng.random(many) < 0.8, levels[-1], rng.integers(2, size=many))
        elif name == "three":
            drawn = rng.integers(3, size=many)
        else:
            drawn = (rng.random(many) < _SHARES[name]).astype(np.int64)
            drawn[:2] = 0, 1
        attributes.append(Attribute(name, tuple("abc"[: 3 if name == "three" else 2]), ("b", "a"), ""))
        levels.append(drawn)
    worth = sum(TRUTH[name] * drawn for name, drawn in zip(TRUTH, levels, strict=True))
    intercepts = logit(BASE) + rng.normal(0, 0.4, design.tests)
    rates = expit(np.repeat(intercepts, design.texts) + worth + rng.normal(0, SPREAD, many))
    coded = Coded(tuple(attributes), np.array(levels), "rules", np.zeros(many), (0, 0), 1.0)
    cells = [np.stack(one) for one in _shown(design, rates.reshape(design.tests, design.texts), rng)]
    texts, strata, impressions, clicks = np.concatenate(cells, axis=1)
    return coded, Cells(texts, strata, impressions, clicks).telling()


def _shown(design: Design, rates: Array, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.int64], ...]]:
    numbers = np.arange(design.texts)
    for test, own in enumerate(rates):
        shown, clicked = np.zeros((2, design.texts), dtype=np.int64)
        for step in range(design.rounds):
            impressions = rng.multinomial(design.impressions, _chances(design, shown, clicked, rng))
            clicks = rng.binomial(impressions, own)
            shown, clicked = shown + impressions, clicked + clicks
            strata = np.full(design.texts, test * design.rounds + step)
            yield test * design.texts + numbers, strata, impressions, clicks


def _chances(design: Design, shown: NDArray[np.int64], clicked: NDArray[np.int64], rng: np.random.Generator) -> Array:
    if design.allocation == "alike" or (design.allocation == "greedy" and not shown.any()):
        return np.full(design.texts, 1 / design.texts)
    if design.allocation == "thompson":
        drawn = beta.rvs(1 + clicked, 49 + shown - clicked, size=(200, design.texts), random_state=rng)
        return np.bincount(drawn.argmax(1), minlength=design.texts) / len(drawn)
    best = np.argsort(-(clicked + 1) / (shown + 50))[:3]
    found = np.full(design.texts, 0.1 / design.texts)
    found[best] += 0.3
    return found


def measure(design: Design, worlds: int, seed: int = 0) -> dict[str, float]:
    """Return shares of intervals that hold the truth, with and without the texts' own effects, and of false alarms."""
    held, bare, wrong, errors = [], [], [], []
    for number in range(worlds):
        coded, cells = world(design, np.random.default_rng([seed, number]))
        basis = design_of(coded)
        posterior = fit(cells, basis.design)
        found = contrasts(posterior, coded, basis, cells)
        alone = Laplace(cells, basis.design).mode(1e-3)
        for row, truth in zip(found, TRUTH.values(), strict=True):
            held.append(row["low"] <= truth <= row["high"])
            errors.append(row["difference"] - truth)
            places = basis.weights(row["attribute"], row["contrast"])
            middle, width = places @ alone.coefficients, 1.96 * np.sqrt(places @ alone.covariance @ places)
            bare.append(abs(middle - truth) <= width)
        wrong.append(any(row["p_holm"] < 0.05 for row, truth in zip(found, TRUTH.values(), strict=True) if not truth))
    bounds = binomtest(sum(held), len(held)).proportion_ci(method="wilson")
    return {"held": float(np.mean(held)), "held_low": float(bounds.low), "held_high": float(bounds.high),
            "held_without": float(np.mean(bare)), "bias": float(np.mean(errors)),
            "false_alarms": float(np.mean(wrong))}  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200, help="drawn worlds of each design")
    worlds = parser.parse_args().worlds
    print(
        "| design | intervals that hold the truth | without texts' own effects | mean error, logits | a false alarm |"
    )
    print("|---|---|---|---|---|")
    for design in DESIGNS:
        found = measure(design, worlds)
        held = "{:.1%} ({:.1%} to {:.1%})".format(*(found[name] for name in ("held", "held_low", "held_high")))
        print(f"| {design.name} | {held} | {found['held_without']:.1%} | {found['bias']:+.3f} | "
              f"{found['false_alarms']:.1%} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
