"""What a point says, how sure the model is of each token, and which stored texts lie nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.mixing import adapt
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from experiments.explorer.point import Point
from experiments.explorer.reading import logits_of, piece, read
from generator.reader import words_of

NEAREST, _RIVALS = 8, 3
_FEWEST = 3
"""Stored texts."""


@dataclass(frozen=True)
class Token:
    """How sure the model is of a token that it wrote.

    Parameters
    ----------
    text : str, optional
        What it adds; None for the end of the text.
    probability : float
    lead : float
        In logits, over its best rival: greedy decoding writes another token when this falls below 0.
    entropy : float
        Of the next token, in bits: 0 where nothing else could come.
    rivals : tuple of (str or None, float)
        What the likeliest other tokens would add, and their probabilities.
    """

    text: str | None
    probability: float
    lead: float
    entropy: float
    rivals: tuple[tuple[str | None, float], ...]


@dataclass(frozen=True)
class Near:
    """A stored text beside a point.

    Parameters
    ----------
    text : str
    meaning : float
        Cosine of the sentence vectors: of the point's meaning, or, where it has none, of what it decodes to.
    vectors : float
        Cosine of the summary embeddings, all their numbers in a row, less the mean of the stored ones: without that
        all lie close together.
    """

    text: str
    meaning: float
    vectors: float


@dataclass(frozen=True)
class Sense:
    """What a point says.

    Parameters
    ----------
    decoded : str
    finished : bool
        Whether the text came to its end.
    ids : tuple of int
        The tokens that were written, end-of-text included where it came.
    tokens : tuple of Token
        How sure each is.
    reached : float, optional
        Cosine of the decoded text's sentence vector to what is meant; None where nothing is.
    nearest : tuple of Near
        By meaning, the nearest first.
    nearest_vectors : tuple of Near
        By summary embedding.
    shared : tuple of str
        Words of the decoded text that a parent, or of a point without parents a nearest text, has.
    own : tuple of str
        Its other words.
    """

    decoded: str
    finished: bool
    ids: tuple[int, ...]
    tokens: tuple[Token, ...]
    reached: float | None
    nearest: tuple[Near, ...]
    nearest_vectors: tuple[Near, ...]
    shared: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def least_lead(self) -> float:
        """The least lead of a token: how far the text is from being another."""
        return min((token.lead for token in self.tokens), default=float("inf"))


@dataclass(frozen=True, eq=False)
class Shelf:
    """Stored texts that points are seen beside.

    Parameters
    ----------
    texts : tuple of str
    meanings : Tensor of shape (M, S)
    vectors : Tensor of shape (M, P, D)
    """

    texts: tuple[str, ...]
    meanings: Tensor
    vectors: Tensor

    @classmethod
    def of_texts(cls, space: Space, texts: Sequence[str]) -> Shelf:
        """Return texts as they lie in a space: with the adapter's vectors, or inverted where there is no adapter."""
        known = list(dict.fromkeys(texts))
        _check_enough(known)
        if space.adapter is None:
            return cls.of_stored(space.invert(known))
        meanings = space.encoder.encode(known)
        return cls(tuple(known), meanings, adapt(space.adapter, meanings))

    @classmethod
    def of_stored(cls, stored: Sequence[SummaryEmbedding]) -> Shelf:
        """Return what is stored of texts, of equal ones once."""
        distinct = list({one.text: one for one in stored}.values())
        _check_enough(distinct)
        return cls(tuple(one.text for one in distinct), torch.stack([one.sentence_vector for one in distinct]),
                   torch.stack([one.vectors for one in distinct]))  # fmt: skip


def _check_enough(stored: Sequence[object]) -> None:
    if len(stored) < _FEWEST:
        raise InputError(
            f"{len(stored)} different stored texts were given to lay the point beside; give {_FEWEST} or more, "
            "as vectors are compared less their mean"
        )


def sense_of(space: Space, point: Point, shelf: Shelf) -> Sense:
    """Return what a point says.

    Parameters
    ----------
    space : Space
    point : Point
        Of this space.
    shelf : Shelf
        Stored texts of this space.
    """
    (found,) = read(space, point.vectors[None], point.room)
    said = space.encoder.encode([found.text or " "])[0]
    meaning = said if point.meaning is None else point.meaning
    by_meaning = shelf.meanings @ meaning
    centre = shelf.vectors.flatten(1).mean(0)
    beside, here = shelf.vectors.flatten(1) - centre, point.vectors.flatten() - centre
    by_vectors = beside @ here / (beside.norm(dim=1) * here.norm()).clamp_min(1e-12)
    every = [Near(*row) for row in zip(shelf.texts, by_meaning.tolist(), by_vectors.tolist(), strict=True)]
    others = [near for near in every if near.text != point.text]
    nearest = sorted(others, key=lambda near: -near.meaning)[:NEAREST]
    written = list(dict.fromkeys(words_of(found.text)))
    known = {word for text in (point.parents if point.kind != "text" else ()) or [near.text for near in nearest[:3]]
             for word in words_of(text)}  # fmt: skip
    ids = (*found.ids, *[space.model.end] * found.finished)
    return Sense(
        found.text, found.finished, ids, tokens_of(space, point.vectors, ids),
        None if point.meaning is None else float(said @ point.meaning),
        tuple(nearest), tuple(sorted(others, key=lambda near: -near.vectors)[:NEAREST]),
        tuple(word for word in written if word in known), tuple(word for word in written if word not in known),
    )  # fmt: skip


@torch.no_grad()
def tokens_of(space: Space, vectors: Tensor, ids: Sequence[int]) -> tuple[Token, ...]:
    """Return how sure the model is of tokens that follow vectors (P, D), end-of-text included if it is among them."""
    if not ids:
        return ()
    logits = logits_of(space, vectors[None], ids)[0].cpu()
    logs = logits.log_softmax(-1)
    entropies = -(logs.exp() * logs).nan_to_num(0.0).sum(-1) / torch.log(torch.tensor(2.0))
    found = []
    for step, token in enumerate(ids):
        rivals = [int(one) for one in logits[step].topk(_RIVALS + 1).indices if int(one) != token][:_RIVALS]
        own, *others = (piece(space, ids[:step], one) for one in (token, *rivals))
        chances = logs[step, [token, *rivals]].exp().tolist()
        lead = float(logits[step, token] - logits[step, rivals[0]])
        found.append(Token(own, chances[0], lead, float(entropies[step]), tuple(zip(others, chances[1:], strict=True))))
    return tuple(found)
