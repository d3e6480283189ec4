"""What became of texts: the wish, their meaning, their facts, their fluency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from embeddings.directions import label_direction
from embeddings.space import Space
from experiments.explorer.reading import fluency_model
from generator.checks import normalised
from generator.decoding import Decoded
from generator.grammar import Claim, Grammar
from generator.likelihood import surprisals_alone
from generator.reader import GrammarReader, words_of

_USUAL, _BEYOND = 0.95, 0.5
"""Share of the grammar's claims that set the limit of readable texts; nats a token that lie still within it."""


@dataclass(frozen=True)
class Outcome:
    """What became of one text.

    Parameters
    ----------
    text : str
    finished : bool
        Whether it came to its end.
    read : bool
        Whether the grammar's reader reads the wished style.
    readable : bool
        Whether it is finished, and surprises the judge hardly more than claims of the grammar do.
    achieved : bool
        Both: words of a style one after the other are no text in it.
    along : float
        How far it went along a classifier that no method has learnt from: 0 where the text was that was left, 1 for the
        mean distance of claims in the wished style from those of other styles.
    cosine : float
        Of its sentence vector to that of the text that was left.
    product : bool
        Whether the product is still named.
    true : bool
        And no attribute that the record lacks, as the grammar reads it.
    loss : float
        Nats a token, end-of-text included, under a model that no method touched.
    excess : float
        Less that of the text that was left.
    unchanged : bool
    words : int
    """

    text: str
    finished: bool
    read: bool
    readable: bool
    achieved: bool
    along: float
    cosine: float
    product: bool
    true: bool
    loss: float
    excess: float
    unchanged: bool
    words: int

    @property
    def row(self) -> dict[str, object]:
        """As a row of a table."""
        return asdict(self)


class Judge:
    """What texts are measured with; none of it was used to find a direction.

    Parameters
    ----------
    space : Space
    claims : sequence of Claim
        One in each style about each of some products, in frames that no method has learnt from.
    wishes : sequence of str
    """

    def __init__(self, space: Space, claims: Sequence[Claim], wishes: Sequence[str]) -> None:
        self.model, self.name = fluency_model(space)
        self._encoder, self._grammar = space.encoder, Grammar.load()
        vectors, styles = space.encoder.encode([claim.text for claim in claims]), [c.frame.style for c in claims]
        frames = [claim.frame.text for claim in claims]
        self._known: dict[str, tuple[Tensor, float]] = {}
        self._normals: dict[str, Tensor] = {}
        self.accuracy: dict[str, float] = {}
        for wish in wishes:
            found = label_direction(vectors, styles, wish, frames, space.encoder.name)
            mine, along = torch.tensor([style == wish for style in styles]), vectors @ found.normal
            gap = float(along[mine].mean() - along[~mine].mean())
            self._normals[wish], self.accuracy[wish] = found.normal / gap, found.score
        self.limit = float(self.losses([claim.text for claim in claims]).quantile(_USUAL)) + _BEYOND

    def losses(self, texts: Sequence[str]) -> Tensor:
        """Return nats a token (B,) of texts on their own."""
        return surprisals_alone(self.model, texts)

    def outcomes(self, claims: Sequence[Claim], wish: str, decoded: Sequence[Decoded]) -> list[Outcome]:
        """Return what became of claims that were asked for a wish."""
        self._learn_of([*(one.text for one in decoded), *(claim.text for claim in claims)])
        found = []
        for claim, one in zip(claims, decoded, strict=True):
            (new, loss), (old, loss_before) = self._known[one.text], self._known[claim.text]
            reading = GrammarReader(self._grammar, claim.record).read(one.text)
            readable = one.finished and loss <= self.limit
            in_style = reading.style == wish and reading.words > 0
            found.append(Outcome(
                one.text, one.finished, in_style, readable, in_style and readable,
                float((new - old) @ self._normals[wish]), float(new @ old), reading.names_subject,
                reading.names_subject and not reading.foreign, loss, loss - loss_before,
                normalised(one.text) == normalised(claim.text), len(words_of(one.text)),
            ))  # fmt: skip
        return found

    def _learn_of(self, texts: Sequence[str]) -> None:
        """Keep the sentence vector and the loss of texts that are not known yet."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        vectors, losses = self._encoder.encode([text or " " for text in fresh]), self.losses(fresh).tolist()
        self._known.update(zip(fresh, zip(vectors, losses, strict=True), strict=True))
