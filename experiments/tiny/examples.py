"""Training examples: a sentence vector, perhaps a subject, and the tokens that the model should write."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from embeddings.subject import SUBJECT_SLOTS, subject_phrases
from generator.grammar import Claim, Grammar, draw_picks, fits
from generator.record import KINDS, ProductRecord, fill

_RECOMBINE_BELOW = 0.8
"""Up to this weight of the heavier parent, a mixture takes its attributes from the lighter one."""


@dataclass(frozen=True)
class Example:
    """What one row of a batch is made of: sentence vector (S,), target text with slots, subject or None."""

    vector: Tensor
    target: str
    subject: ProductRecord | None = None


class Claims:
    """Grammar claims with their sentence vectors and those of all their phrases, and examples drawn from them.

    Parameters
    ----------
    grammar : Grammar
    claims : sequence of Claim
    vectors : Tensor of shape (B, S)
        Sentence vectors of the claims' texts.
    phrase_vectors : dict of str to Tensor of shape (S,)
        Of every phrase in the claims' records.
    """

    def __init__(
        self, grammar: Grammar, claims: Sequence[Claim], vectors: Tensor, phrase_vectors: dict[str, Tensor]
    ) -> None:
        self.grammar, self.claims, self.vectors, self.phrase_vectors = (
            grammar,
            claims,
            vectors,
            phrase_vectors,
        )

    def plain(self, rng: random.Random) -> Example:
        """Return a claim to be written from its own vector."""
        i = rng.randrange(len(self.claims))
        return Example(self.vectors[i], self.claims[i].text)

    def mixture(self, rng: random.Random) -> Example:
        """Return a mixture of two claims to be written as the heavier one's frame about the lighter one's product."""
        (a, b), weight, vector = self._pair(rng)
        if weight > _RECOMBINE_BELOW:
            return Example(vector, a.text)
        return Example(vector, fill(self._transfer(rng, a, b.record, b), b.record))

    def about_subject(self, rng: random.Random) -> Example:
        """Return a claim to be written about another product, or with its own record's slots."""
        i = rng.randrange(len(self.claims))
        claim = self.claims[i]
        record = claim.record if rng.random() < 0.3 else self._record(rng)
        return Example(self.vectors[i], self._transfer(rng, claim, record, claim), record)

    def mixture_about_subject(self, rng: random.Random) -> Example:
        """Return a mixture of two claims to be written about a subject: the heavier one's frame, the other's angle."""
        (a, b), weight, vector = self._pair(rng)
        record = rng.choice((a.record, b.record)) if rng.random() < 0.3 else self._record(rng)
        return Example(vector, self._transfer(rng, a, record, a if weight > _RECOMBINE_BELOW else b), record)

    def subject_vectors(self, record: ProductRecord) -> Tensor:
        """Return the sentence vectors (slots, S) of a record's phrases, zeros where there is none."""
        size = self.vectors.shape[1]
        return torch.stack(
            [torch.zeros(size) if p is None else self.phrase_vectors[p] for p in subject_phrases(record)]
        )

    def _pair(self, rng: random.Random) -> tuple[tuple[Claim, Claim], float, Tensor]:
        i, j = rng.sample(range(len(self.claims)), 2)
        weight = rng.uniform(0.5, 1.15)
        vector = normalize(weight * self.vectors[i] + (1 - weight) * self.vectors[j], dim=0)
        return (self.claims[i], self.claims[j]), weight, vector

    def _record(self, rng: random.Random) -> ProductRecord:
        """Return the record of a random claim; one in four takes each kind of attributes from another category."""
        record = rng.choice(self.claims).record
        changes: dict[str, tuple[str, ...]] = {}
        if rng.random() < 0.25:
            changes = {kind: getattr(rng.choice(self.claims).record, kind) for kind in KINDS}
        if rng.random() < 0.3:  # a short record
            changes |= {kind: () for kind in rng.sample(KINDS, rng.randrange(1, 5))}
        return record.model_copy(update=changes) if changes else record

    def _transfer(self, rng: random.Random, claim: Claim, record: ProductRecord, angle: Claim) -> str:
        """Return `claim`'s frame with slots of `record`, for the phrases that `angle` or else `claim` mentions."""
        frame = claim.frame
        if not fits(frame, record):
            frames = [f for f in self.grammar.frames_of(frame.form) if fits(f, record)]
            frame = rng.choice([f for f in frames if f.style == frame.style] or frames)
        picks = list(draw_picks(rng, frame, record))
        for position, kind in enumerate(frame.kinds):
            wanted = angle.phrase(kind) or claim.phrase(kind)
            if wanted is not None and frame.kinds.index(kind) == position:
                picks[position] = self._nearest(wanted, getattr(record, kind))
            elif frame.kinds.index(kind) != position and picks[position] == picks[frame.kinds.index(kind)]:
                others = set(range(1, len(getattr(record, kind)) + 1)) - {picks[position]}
                picks[position] = min(others)
        return frame.slotted(picks)

    def _nearest(self, phrase: str, phrases: Sequence[str]) -> int:
        """Return the number, from 1, of the one of `phrases` that means most nearly the same."""
        if phrase in phrases:
            return phrases.index(phrase) + 1
        vectors = torch.stack([self.phrase_vectors[p] for p in phrases])
        return int((vectors @ self.phrase_vectors[phrase]).argmax()) + 1


def phrases_of(claims: Sequence[Claim]) -> list[str]:
    """Return the distinct phrases of the claims' records, sorted."""
    found = {phrase for claim in claims for slot, phrase in claim.record.phrases().items() if slot in SUBJECT_SLOTS}
    return sorted(found)
