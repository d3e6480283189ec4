"""Short trials that fit inversion to a model: the fastest trust radius, and the fewest vectors that hold its texts."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from copyloom import InputError, Progress
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
from embeddings.starts import starts_of
from embeddings.summary import SummaryEmbedding, exact_share, mean_steps

RADII = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
SAMPLE = 24
"""Texts on which radii are tried."""


@dataclass(frozen=True)
class RadiusTrial:
    """How a sample was inverted with one trust radius.

    Parameters
    ----------
    radius : float
        See `InversionConfig`.
    exact_share : float
    steps : float
        Mean number a text; those of second and third attempts, with half and twice the radius, are counted too.
    moved : float
        Root mean square of vectors minus starts, as a share of that of the starts. From the adapter, this is the
        residual's share: what moves far no longer mixes well (design 4.3).
    seconds : float
        Measured, so it takes no part in the choice or in comparisons.
    """

    radius: float
    exact_share: float
    steps: float
    moved: float
    seconds: float = field(compare=False)


@dataclass(frozen=True)
class RadiusProbe:
    """The chosen radius, and all that were tried in rising order."""

    radius: float
    trials: tuple[RadiusTrial, ...]


@dataclass(frozen=True)
class VectorsTrial:
    """The exact share of a pool, and the mean number of steps a text, with so many vectors."""

    vectors: int
    exact_share: float
    steps: float


@dataclass(frozen=True)
class VectorsProbe:
    """The smallest number of vectors that holds every text, None if the limit does not, and all trials in order."""

    vectors: int | None
    trials: tuple[VectorsTrial, ...]


def probe_radius(
    space: Space,
    texts: Sequence[str],
    config: InversionConfig | None = None,
    radii: Sequence[float] = RADII,
    sample: int = SAMPLE,
    progress: Progress = lambda done, total: None,
) -> RadiusProbe:
    """Return the trust radius that makes most of a sample exact, and of several such the one with the fewest steps.

    Parameters
    ----------
    space : Space
    texts : sequence of str
    config : InversionConfig, optional
        Its ``max_steps`` bounds a trial; its ``radius`` is not used. By default the space's own, with 100 steps.
    radii : sequence of float
        To be tried, each once.
    sample : int
        So many of `texts` are tried, drawn with a fixed seed; all where there are no more.
    progress : callable
        Called with the number of trials done and of all.

    Raises
    ------
    InputError
        If there are no texts, a radius is not positive, a text cannot be inverted, or the start does not fit.
    """
    if not texts or sample < 1:
        raise InputError(f"{len(texts)} texts and a sample of {sample} were given; give at least one of each")
    if not radii or min(radii) <= 0:
        raise InputError(f"radii are {list(radii)}; give one or more, all above 0")
    config = config or space.default_inversion.model_copy(update={"max_steps": 100})
    drawn = random.Random(0).sample(list(texts), min(sample, len(texts)))
    trials: list[RadiusTrial] = []
    for radius in sorted(set(radii)):
        trials.append(_try_radius(space, drawn, config, radius))
        progress(len(trials), len(set(radii)))
    best = max(trials, key=lambda trial: (trial.exact_share, -trial.steps, -trial.radius))
    return RadiusProbe(best.radius, tuple(trials))


def _try_radius(space: Space, texts: Sequence[str], config: InversionConfig, radius: float) -> RadiusTrial:
    began = time.perf_counter()
    found = space.invert(texts, config.model_copy(update={"radius": radius}))
    seconds = time.perf_counter() - began
    return RadiusTrial(radius, exact_share(found), mean_steps(found), _moved(space, found, config), seconds)


def _moved(space: Space, found: Sequence[SummaryEmbedding], config: InversionConfig) -> float:
    """Return how far vectors lie from where they started, as a share of the starts' root mean square."""
    sentence_vectors = torch.stack([embedding.sentence_vector for embedding in found])
    starts = starts_of(space, [embedding.text for embedding in found], sentence_vectors, config.start)
    moves = torch.stack([embedding.vectors for embedding in found]) - starts
    return float(moves.square().mean().sqrt() / starts.square().mean().sqrt())


def smallest_vectors(
    space: Space,
    texts: Sequence[str],
    config: InversionConfig | None = None,
    limit: int = 64,
    progress: Progress = lambda done, total: None,
) -> VectorsProbe:
    """Return the smallest number of vectors P with which every text is exact, by doubling and then bisection.

    More vectors are taken to hold whatever fewer hold; where chance within the step budget breaks this, the answer
    still holds every text, but may not be the smallest.

    Parameters
    ----------
    space : Space
        Without adapter.
    texts : sequence of str
    config : InversionConfig, optional
    limit : int
        The most vectors tried.
    progress : callable
        Called with the number of trials done, and the most there can be.

    Raises
    ------
    InputError
        If the space has an adapter, there are no texts or the limit is below 1, or a text cannot be inverted.
    """
    if space.adapter is not None:
        raise InputError(
            f"model {space.model.name!r} has an adapter, which fixes the number of vectors at {space.vectors}; "
            "probe a model without one"
        )
    if not texts or limit < 1:
        raise InputError(f"{len(texts)} texts and a limit of {limit} vectors were given; give at least one of each")
    trials: dict[int, VectorsTrial] = {}

    def holds(vectors: int) -> bool:
        trials[vectors] = _try_vectors(space, texts, config, vectors)
        progress(len(trials), 2 * limit.bit_length())
        return trials[vectors].exact_share == 1

    below, enough = 0, 1
    while not holds(enough):
        below, enough = enough, min(2 * enough, limit)
        if below == limit:
            return VectorsProbe(None, _in_order(trials))
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (below, middle) if holds(middle) else (middle, enough)
    return VectorsProbe(enough, _in_order(trials))


def _try_vectors(space: Space, texts: Sequence[str], config: InversionConfig | None, vectors: int) -> VectorsTrial:
    other = Space(space.model, space.encoder, vectors=vectors, context=space.context)
    found = other.invert(texts, config)
    return VectorsTrial(vectors, exact_share(found), mean_steps(found))


def _in_order(trials: dict[int, VectorsTrial]) -> tuple[VectorsTrial, ...]:
    return tuple(trials[vectors] for vectors in sorted(trials))
