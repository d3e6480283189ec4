"""The ways in which a wish is carried out: what each method learns from the examples, and what it does to a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from embeddings.directions import label_direction
from embeddings.mixing import adapt
from embeddings.space import Space
from embeddings.steering import TRUST_DEGREES, adapter_of, turned
from embeddings.summary import SummaryEmbedding
from experiments.explorer.interventions import (
    Heads,
    Reading,
    States,
    activation_addition,
    differences,
    head_shift,
    in_context,
    in_context_vectors,
    probed_heads,
    random_like,
)
from experiments.studies.interventions.settings import InterventionStudy
from generator.decoding import Decoded, decode
from generator.grammar import Claim
from generator.interventions import Shift, intervening

LEFT, POINT, VECTORS, LAYER, CONTEXT, HEADS = "left", "point", "vectors", "layer", "context", "heads"
METHODS = {
    POINT: "moved point", VECTORS: "added vectors", LAYER: "activation addition", CONTEXT: "in-context vector",
    HEADS: "head shift",
}  # fmt: skip
"""What is compared; the first one is how `copyloom steer` moves a text, the second its nearest kin: the mean difference
of summary embeddings, added to the vectors themselves."""
STRENGTHS = {
    POINT: (0.3, 0.45, 0.6, 0.75, 1.0, 1.25), VECTORS: (1.0, 2.0, 3.0, 4.0, 6.0, 8.0),
    LAYER: (1.0, 2.0, 3.0, 4.0, 6.0, 10.0), CONTEXT: (0.05, 0.1, 0.15, 0.2, 0.3, 0.4),
    HEADS: (2.0, 4.0, 6.0, 8.0, 12.0, 20.0),
}  # fmt: skip
UNITS = {
    POINT: f"of {TRUST_DEGREES:.0f} degrees", VECTORS: "mean differences", LAYER: "mean differences",
    CONTEXT: "of a state's length", HEADS: "standard deviations",
}  # fmt: skip
MANY = 3
"""Strengths from which on random directions have doses too."""
_HEAD_SHARES = (1 / 3, 1 / 6, 2 / 3)


@dataclass(frozen=True)
class Way:
    """A method, where it acts and how strongly.

    Parameters
    ----------
    method : str
    place : str
        What it acts on: ``front 3`` is layer 3, read and shifted at the vectors before the text.
    strength : float
    random : bool
        Whether the direction is a random one of the same size.
    """

    method: str
    place: str
    strength: float
    random: bool = False


@dataclass(frozen=True, eq=False)
class Learnt:
    """What all methods need to know about one wish.

    Parameters
    ----------
    wish : str
    normals : dict of str to Tensor of shape (S,)
        Directions of sentence vectors: a classifier's, and the difference of means.
    vectors : Tensor of shape (P, D)
        Mean difference of the adapter's vectors.
    means : dict of str to Tensor of shape (1, L, ...)
        Mean differences of states, by reading.
    context : dict of str to Tensor of shape (L, ...)
        In-context vectors, by reading.
    heads : dict of str to Heads
        By reading.
    """

    wish: str
    normals: dict[str, Tensor]
    vectors: Tensor
    means: dict[Reading, Tensor]
    context: dict[Reading, Tensor]
    heads: dict[Reading, Heads]


def learn(space: Space, claims: Sequence[Claim], states: States, wish: str) -> Learnt:
    """Return what examples say about a wish: claims about products, one in each style about each, in order."""
    styles, frames = [claim.frame.style for claim in claims], [claim.frame.text for claim in claims]
    mine = torch.tensor([style == wish for style in styles])
    each = styles.index(styles[0], 1) if styles.count(styles[0]) > 1 else len(styles)
    own = styles[:each].index(wish)
    pairs = [(row // each * each + own, row) for row, style in enumerate(styles) if style != wish]
    meanings = space.encoder.encode([claim.text for claim in claims])
    vectors = adapt(adapter_of(space), meanings)
    steps = {reading: differences(layers, pairs) for reading, layers in states.layers.items()}
    return Learnt(
        wish,
        {"classifier": label_direction(meanings, styles, wish, frames, space.encoder.name).normal,
         "means": normalize(meanings[mine].mean(0) - meanings[~mine].mean(0), dim=0)},
        vectors[mine].mean(0) - vectors[~mine].mean(0),
        {reading: step.mean(0, keepdim=True) for reading, step in steps.items()},
        {reading: in_context_vectors(step) for reading, step in steps.items()},
        {reading: probed_heads(heads, mine.tolist(), frames) for reading, heads in states.heads.items()},
    )  # fmt: skip


def places(settings: InterventionStudy, layers: int, heads: int) -> dict[str, list[str]]:
    """Return where each method is tried in a model of so many layers and heads in all."""
    tried = sorted({int(layer) for layer in np.linspace(0, layers - 1, min(settings.layers, layers)).round()})
    ranges = ("all", "first half", "second half")[: settings.ranges]
    read = ("mean", "last") if settings.ranges > 1 else ("mean",)
    counts = [max(1, round(share * heads)) for share in _HEAD_SHARES[: settings.ranges]]
    return {
        POINT: ["classifier", "means"],
        VECTORS: ["adapter"],
        LAYER: [f"{reading} {layer}" for reading in ("front", "mean") for layer in tried],
        CONTEXT: [f"{reading} {some}" for reading in ("front", *read) for some in ranges],
        HEADS: [f"{reading} {count}" for reading in read for count in dict.fromkeys(counts)],
    }


def strengths(settings: InterventionStudy, method: str) -> list[float]:
    """Return so many strengths of a method as are measured, evenly spaced."""
    known = STRENGTHS[method]
    return [known[round(place)] for place in np.linspace(0, len(known) - 1, settings.strengths).tolist()]


def first_strengths(settings: InterventionStudy, method: str) -> list[float]:
    """Return the strengths with which places are compared: two to four, neither the least nor the largest."""
    known = STRENGTHS[method][1:-1]
    count = max(settings.strengths - 2, 2)
    return [known[round(place)] for place in np.linspace(0, len(known) - (1 if count > 2 else 2), count).tolist()]


def random_strengths(settings: InterventionStudy, way: Way) -> list[float]:
    """Return the strengths of a method's random directions: as it was set, and every other one where many are tried."""
    return sorted({way.strength, *(strengths(settings, way.method)[::2] if settings.strengths > MANY else ())})


def carry_out(space: Space, stored: Sequence[SummaryEmbedding], way: Way, learnt: Learnt, seed: int) -> list[Decoded]:
    """Return what is decoded for each stored text: greedily, once, with no search and no check behind it."""
    vectors = torch.stack([one.vectors for one in stored])
    if way.method in (POINT, VECTORS):
        moved, shifts = vectors + _moved(space, stored, way, learnt, seed), []
    else:
        moved, shifts = vectors, shifts_of(way, learnt, seed)
    with intervening(space.model, shifts):
        return decode(space.model, moved)


def shifts_of(way: Way, learnt: Learnt, seed: int) -> list[Shift]:
    """Return what a way does inside the model."""
    reading, _, where = way.place.partition(" ")
    if way.method == LEFT:
        return []
    if way.method == LAYER:
        shifts = activation_addition(learnt.means[_reading(reading)], int(where), way.strength)
    elif way.method == CONTEXT:
        vectors = learnt.context[_reading(reading)]
        layers = _range(where, len(vectors))
        shifts = in_context(vectors, layers, way.strength)
    else:
        shifts = head_shift(learnt.heads[_reading(reading)], int(where), way.strength)
    return random_like(shifts, seed) if way.random else shifts


def _moved(space: Space, stored: Sequence[SummaryEmbedding], way: Way, learnt: Learnt, seed: int) -> Tensor:
    """Return what is added to the vectors of each text, (B, P, D)."""
    generator = torch.Generator().manual_seed(seed)
    if way.method == VECTORS:
        step = learnt.vectors
        if way.random:
            step = normalize(torch.randn(step.shape, generator=generator), dim=-1) * step.norm(dim=-1, keepdim=True)
        return way.strength * step.expand(len(stored), -1, -1)
    points = torch.stack([one.sentence_vector for one in stored])
    normal = learnt.normals[way.place]
    if way.random:
        normal = normalize(torch.randn(normal.shape, generator=generator), dim=0)
    there = turned(points, normal.expand_as(points), np.radians(way.strength * TRUST_DEGREES))
    adapter = adapter_of(space)
    return adapt(adapter, there) - adapt(adapter, points)


def _range(where: str, layers: int) -> list[int]:
    middle = layers // 2
    return list({"all": range(layers), "first half": range(middle), "second half": range(middle, layers)}[where])


def _reading(name: str) -> Reading:
    found: Reading = "front" if name == "front" else "mean" if name == "mean" else "last"
    return found
