"""What one model makes of held-out texts of one register: reads, stores, mixes and steers them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import Report
from embeddings.context import decode_texts, decode_vectors, room_for
from embeddings.inversion_config import InversionConfig
from embeddings.mixing import adapt, mix
from embeddings.space import Space
from embeddings.steering import adapter_of, towards
from embeddings.summary import SummaryEmbedding
from experiments.studies.registers.split import MAX_TOKENS
from experiments.studies.registers.wishes import Wish
from generator.decoding import Decoded
from generator.likelihood import surprisals

STRENGTH = 0.6
"""Share of the trust region by which texts are steered: by 36 degrees."""
_LN2 = 0.6931471805599453


@dataclass(frozen=True)
class Written:
    """A text that was written, and what it was written from.

    Parameters
    ----------
    text : str
    finished : bool
        Whether it came to its end.
    sources : tuple of str
        One text that was steered, or two that were mixed.
    wish : str
        What was asked for; empty for mixtures.
    """

    text: str
    finished: bool
    sources: tuple[str, ...]
    wish: str = ""


@dataclass(frozen=True, eq=False)
class Made:
    """All that one model makes of some texts, in their order.

    Parameters
    ----------
    stored : list of SummaryEmbedding
    straight : list of str
        What the adapter's output decodes to.
    bits : list of float
        Bits a byte of each text, read after the adapter's output.
    mixed, steered : list of Written
    """

    stored: list[SummaryEmbedding]
    straight: list[str]
    bits: list[float]
    mixed: list[Written]
    steered: list[Written]


def make(space: Space, texts: Sequence[str], wishes: Sequence[Wish], steps: int, report: Report) -> Made:
    """Return what a model makes of texts.

    Parameters
    ----------
    space : Space
        With an adapter.
    texts : sequence of str
    wishes : sequence of Wish
        Each text that lacks a trait is asked for it.
    steps : int
        Most steps in which a text is stored.
    report : callable
    """
    config = InversionConfig(max_steps=steps, precision="auto")
    stored = space.invert(texts, config, lambda done, total: report("inverting", done, total))
    straight = adapt(adapter_of(space), _points(stored))
    report("decoding", 0, 1)
    found = Made(
        stored, decode_texts(space.model, list(straight), texts), _bits(space, straight, texts),
        _mixed(space, stored), [one for wish in wishes for one in _steered(space, stored, wish)],
    )  # fmt: skip
    report("decoding", 1, 1)
    return found


def pairs_of(count: int) -> list[tuple[int, int]]:
    """Return for each of some texts, by their numbers, another one at random that it is mixed with."""
    order = random.Random("pairs of registers").sample(range(count), count)
    other = dict(zip(order, [*order[1:], order[0]], strict=True))
    return [(row, other[row]) for row in range(count)]


def _bits(space: Space, vectors: Tensor, texts: Sequence[str]) -> list[float]:
    ids = [space.model.tokenize(text) for text in texts]
    nats = surprisals(space.model, vectors, ids).tolist()
    return [loss * (len(own) + 1) / _LN2 / len(text.encode())
            for loss, own, text in zip(nats, ids, texts, strict=True)]  # fmt: skip


def _mixed(space: Space, stored: Sequence[SummaryEmbedding]) -> list[Written]:
    """Return what equal mixtures of each text with another decode to, greedily and at once."""
    rows = torch.tensor(pairs_of(len(stored)))
    vectors = mix(_vectors(stored)[rows], _points(stored)[rows], torch.full(rows.shape, 0.5), space.adapter)
    return [Written(one.text, one.finished, (stored[first].text, stored[second].text))
            for one, (first, second) in zip(_read(space, vectors), rows.tolist(), strict=True)]  # fmt: skip


def _steered(space: Space, stored: Sequence[SummaryEmbedding], wish: Wish) -> list[Written]:
    """Return what the texts that lack a trait become where their points are turned to it; each keeps its residual."""
    lacking = [one for one in stored if not wish.holds(one.text)]
    if not lacking:
        return []
    adapter, points = adapter_of(space), _points(lacking)
    moved = adapt(adapter, towards(lacking, wish.direction, STRENGTH)) - adapt(adapter, points)
    return [Written(said.text, said.finished, (one.text,), wish.name)
            for said, one in zip(_read(space, _vectors(lacking) + moved), lacking, strict=True)]  # fmt: skip


def _read(space: Space, vectors: Tensor) -> list[Decoded]:
    return decode_vectors(space.model, vectors, room_for(space.model, MAX_TOKENS + 1, space.prefix))


def _points(stored: Sequence[SummaryEmbedding]) -> Tensor:
    return torch.stack([one.sentence_vector for one in stored])


def _vectors(stored: Sequence[SummaryEmbedding]) -> Tensor:
    return torch.stack([one.vectors for one in stored])
