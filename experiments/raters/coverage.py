"""How often the intervals hold the truth: ``python -m experiments.raters.coverage --worlds 300``.

Raters, items and what they do to each other are drawn anew in each world; sources have known effects; raters get drawn
sheets as people do, and what they mark is read back as theirs is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from copyloom import Report
from experiments.raters.answers import Answers, answers_of
from experiments.raters.comparing import UNSURE, compare
from experiments.raters.key import Key
from experiments.raters.making import Plan, draw
from experiments.raters.questions import TIE, A, B, asked_of
from experiments.raters.units import Entry

SOURCES = {"a": 0.0, "b": 0.0, "c": 0.4}
"""By how much each source is better, in marks."""
DESIGNS = ((4, 20, 2), (6, 20, 2), (6, 20, 3), (12, 30, 3))
"""Raters, texts and pairs on a sheet, overlap."""


@dataclass(frozen=True)
class World:
    """How raters mark.

    Parameters
    ----------
    rater, taste, item, noise : float
        Standard deviations, in marks: of raters; of raters' tastes for each source; of items; of what remains.
    ties : float
        How close two texts must seem for a rater to prefer neither.
    """

    rater: float = 0.5
    taste: float = 0.2
    item: float = 0.4
    noise: float = 0.7
    ties: float = 0.3


def simulated(key: Key, world: World, rng: np.random.Generator) -> Answers:
    """Return what drawn raters answer: one for each sheet, who reads it.

    A mark is 3 and what source, rater, taste and item add to it, rounded and held to the scale; the text of a pair is
    preferred that seems better.
    """
    names = sorted({unit.item for unit in key.units})
    items = dict(zip(names, rng.normal(0, world.item, len(names)), strict=True))
    given: dict[str, dict[str, dict[str, str]]] = {}
    for sheet in range(1, key.sheets + 1):
        level, taste = rng.normal(0, world.rater), dict(zip(SOURCES, rng.normal(0, world.taste, 3), strict=True))
        own = given.setdefault(f"rater {sheet}", {})
        for line in key.lines:
            if line.sheet != sheet or line.unit is None:
                continue
            unit = key.units[line.unit]
            seem = [3 + SOURCES[side[0]] + taste[side[0]] + level + items[unit.item] + rng.normal(0, world.noise)
                    for side in unit.sources]  # fmt: skip
            seem = seem[::-1] if line.turned else seem
            own[line.id] = {name: _answer(name, seem, world.ties) for name in key.asked(line)}
    return answers_of(given, key)


def _answer(name: str, seem: Sequence[float], ties: float) -> str:
    if len(seem) == 1:
        return str(int(np.clip(round(seem[0]), 1, 5)))
    return TIE if abs(seem[0] - seem[1]) < ties else A if seem[0] > seem[1] else B


def entries(items: int = 60) -> list[Entry]:
    """Return texts of all sources for some items."""
    return [Entry(f"text {source} {item}", source, f"item {item}") for item in range(items) for source in SOURCES]


def truth(world: World, many: int = 500_000) -> dict[str, float]:
    """Return the difference of marks of a beside c, and how often a is preferred to c, over all raters and items."""
    rng = np.random.default_rng(0)
    alike = rng.normal(0, world.rater, many) + rng.normal(0, world.item, many)
    own = {source: 3 + SOURCES[source] + alike + rng.normal(0, world.taste, many) + rng.normal(0, world.noise, many)
           for source in ("a", "c")}  # fmt: skip
    marks = {source: np.clip(np.rint(seem), 1, 5).mean() for source, seem in own.items()}
    more = own["a"] - own["c"]
    return {"differences": float(marks["a"] - marks["c"]),
            "wins": float(np.where(np.abs(more) < world.ties, 0.5, more > 0).mean())}  # fmt: skip


def measure(
    worlds: int, report: Report, designs: Sequence[tuple[int, int, int]] = DESIGNS, world: World | None = None
) -> Iterator[dict[str, Any]]:
    """Yield, for each design, how often intervals of a and c hold the truth and tell them apart, and a from b."""
    world = world or World()
    true, questions = truth(world), asked_of(["quality", "preference"])
    for raters, many, overlap in designs:
        found: dict[str, list[tuple[bool, float, bool, bool]]] = {"differences": [], "wins": []}
        for number in range(worlds):
            report(f"{raters} raters, {many} texts, overlap {overlap}", number, worlds)
            key = draw(entries(), Plan(questions, raters, many, overlap, number)).key
            rows = compare(simulated(key, world, np.random.default_rng(number)), key, number, alphas=False)
            for what, own in found.items():
                by_two = {(row["source"], row["other"]): row for row in rows[what]}
                (low, high), apart = by_two["a", "c"]["interval"], by_two["a", "c"]["verdict"] != UNSURE
                own.append((low <= true[what] <= high, high - low, apart, by_two["a", "b"]["verdict"] != UNSURE))
        for what, own in found.items():
            held, width, apart, false = np.mean(own, axis=0).tolist()
            told = {"raters": raters, "texts": many, "overlap": overlap, "worlds": worlds, "of": what}
            yield {**told, "true": true[what], "held": held, "width": width, "told_apart": apart, "false_alarms": false}


def main() -> None:
    """Print a line of JSON for each design."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=300)
    for row in measure(parser.parse_args().worlds, lambda stage, done, total: None):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
