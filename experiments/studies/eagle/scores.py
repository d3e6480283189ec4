"""What edited films are worth, by audience and method, with intervals over seeds and films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.bootstrap import bounds, drawn_counts
from experiments.studies.eagle.audiences import Audience
from experiments.studies.eagle.methods import BEST_OF, DESIGN, OPTIMISTIC, READS, REFERENCES, UNIFORM, Edited, agent
from experiments.studies.eagle.stage import Stage

Array = NDArray[np.float64]
GAIN, UTILITY, STARS, SECOND, STRANGE = "gain", "utility", "stars", "second opinion", "surprisal"
KEPT, NEAR, CHANGED, CALLS = "cosine to start", "cosine to known", "changed", "calls"
MEASURES = {
    GAIN: "utility gained, in standard deviations over known films, less what reads oddly: what is optimised",
    UTILITY: "utility gained alone",
    STARS: "stars that the audience is foretold to give more",
    SECOND: "rating gained as a language model's states foretell it, in standard deviations: nothing optimises it",
    STRANGE: "nats a token by which another model, which nothing is chosen by, finds it stranger than the film's own",
    KEPT: "cosine of its sentence vector to the film's own",
    NEAR: "cosine to the nearest known film",
    CHANGED: "share of films that became another text",
    CALLS: "changes asked for",
}
COMPARED = (GAIN, SECOND)


def score(stage: Stage, audience: Audience, edited: Sequence[Edited]) -> dict[str, Array]:
    """Return what a method's texts are worth: arrays (seeds, films) by measure."""
    second = stage.second_opinion(audience)
    known = stage.plots.semantic[list(stage.plots.known)]
    starts, found = list(stage.starts), dict[str, list[list[float]]]()
    for one in edited:
        texts, table = list(one.texts), stage.table(audience)
        vectors, before = stage.encode(texts), stage.encode(starts)
        values: dict[str, Tensor] = {
            GAIN: table.gains(starts, texts),
            UTILITY: audience.utility(vectors) - audience.utility(before),
            STARS: audience.stars(vectors) - audience.stars(before),
            SECOND: second(texts) - second(starts),
            STRANGE: stage.judged(texts) - stage.judged(starts),
            KEPT: (vectors * before).sum(1),
            NEAR: (vectors @ known.T).amax(1),
            CHANGED: torch.tensor([float(text != start) for text, start in zip(texts, starts, strict=True)]),
            CALLS: torch.tensor(one.calls),
        }
        for name, row in values.items():
            found.setdefault(name, []).append(row.double().tolist())
    return {name: np.array(rows) for name, rows in found.items()}


class Crossed:
    """Bootstrap samples of seeds and of films, drawn apart from each other and the same ones for every method.

    Parameters
    ----------
    seeds, films : int
    """

    def __init__(self, seeds: int, films: int) -> None:
        self._seeds, self._films = (drawn_counts(np.arange(count), seed=place) / count
                                    for place, count in enumerate((seeds, films)))  # fmt: skip

    def row(self, values: Array) -> dict[str, float]:
        """Return the mean of values (seeds, films) with its 95 % interval."""
        samples = ((self._seeds @ values) * self._films).sum(1)
        low, high = bounds(samples)
        return {"value": float(values.mean()), "low": low, "high": high}


def rows_of(scored: Mapping[str, Mapping[str, Mapping[str, Array]]]) -> list[dict[str, Any]]:
    """Return a row for each audience, method and measure."""
    return [{"audience": audience, "method": method, "measure": measure, **_crossed(values).row(values)}
            for audience, methods in scored.items() for method, one in methods.items()
            for measure, values in one.items()]  # fmt: skip


def compared(scored: Mapping[str, Mapping[str, Mapping[str, Array]]]) -> list[dict[str, Any]]:
    """Return how far methods are above others, paired by seed and film: for each audience, and in the mean of all."""
    methods = list(next(iter(scored.values())))
    agents = [agent(one) for one in REFERENCES]
    pairs = [
        *((agent(one), one) for one in REFERENCES),
        *((agent(DESIGN), agent(one)) for one in (UNIFORM, OPTIMISTIC)),
        *((DESIGN, one) for one in (UNIFORM, OPTIMISTIC)),
        *((one, other) for other in (BEST_OF, READS) for one in agents),
    ]
    found = []
    for measure in COMPARED:
        for one, other in pairs:
            if not {one, other} <= set(methods):
                continue
            apart = {audience: some[one][measure] - some[other][measure] for audience, some in scored.items()}
            if len(apart) > 1:
                apart["all"] = np.mean(list(apart.values()), axis=0)
            found += [{"audience": audience, "measure": measure, "method": one, "above": other,
                       **_crossed(values).row(values)} for audience, values in apart.items()]  # fmt: skip
    return found


def _crossed(values: Array) -> Crossed:
    return Crossed(*values.shape)


def spread(values: Array, seeds: int) -> Array:
    """Return values (1, films) of a method that draws nothing as those of every seed."""
    return np.repeat(values, seeds, axis=0) if len(values) == 1 else values
