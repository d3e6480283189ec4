"""Training examples: a sentence vector, perhaps a subject, and the tokens that the model should write."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from embeddings.subject import SUBJECT_SLOTS, subject_phrases
from experiments.training.tiny.mixtures import MixedClaim, frames_in_style
from generator.grammar import Claim, Frame, Grammar, fits
from generator.record import KINDS, ProductRecord


@dataclass(frozen=True)
class Example:
    """What one row of a batch is made of: sentence vector (S,), target text with slots, subject or None."""

    vector: Tensor
    target: str
    subject: ProductRecord | None = None


class Claims:
    """Grammar texts with their sentence vectors and those of all phrases, and examples drawn from them.

    Parameters
    ----------
    grammar : Grammar
    claims : sequence of Claim
        Of a like length, so that a batch of them is little padding.
    vectors : Tensor of shape (B, S)
        Sentence vectors of the claims' texts.
    phrase_vectors : dict of str to Tensor of shape (S,)
        Of every phrase in the claims' records.
    mixed : sequence of MixedClaim
        Targets of mixtures without a subject; the numbers are those of `claims`.
    """

    def __init__(
        self, grammar: Grammar, claims: Sequence[Claim], vectors: Tensor, phrase_vectors: dict[str, Tensor],
        mixed: Sequence[MixedClaim],
    ) -> None:  # fmt: skip
        self.grammar, self.claims, self.vectors, self.mixed = grammar, claims, vectors, mixed
        self.phrase_vectors = phrase_vectors

    def of_forms(self, *forms: str) -> Claims:
        """Return those of the given forms, with the mixtures among them."""
        kept = [i for i, claim in enumerate(self.claims) if claim.frame.form in forms]
        place = {number: position for position, number in enumerate(kept)}
        mixed = [replace(m, first=place[m.first], second=place[m.second]) for m in self.mixed if m.first in place]
        claims = [self.claims[i] for i in kept]
        return Claims(self.grammar, claims, self.vectors[kept], self.phrase_vectors, mixed)

    def plain(self, rng: random.Random) -> Example:
        """Return a text to be written from its own vector."""
        i = rng.randrange(len(self.claims))
        return Example(self.vectors[i], self.claims[i].text)

    def mixture(self, rng: random.Random) -> Example:
        """Return a mixture of two texts, to be written as the faithful text nearest to it."""
        mixed = rng.choice(self.mixed)
        return Example(self._mixed(mixed.first, mixed.second, mixed.weight), mixed.text)

    def about_subject(self, rng: random.Random) -> Example:
        """Return a text to be written about another product, or with its own record's slots."""
        i = rng.randrange(len(self.claims))
        claim = self.claims[i]
        return self._about(rng, self.vectors[i], claim.frame, (claim.record,))

    def mixture_about_subject(self, rng: random.Random) -> Example:
        """Return a mixture of two texts to be written about a subject in the heavier one's frame.

        Which phrases of the record go into the slots is decided later, by the wanted point (`choose_slots`): there the
        lighter parent's angle comes in.
        """
        i, j = rng.sample(range(len(self.claims)), 2)
        a, b = self.claims[i], self.claims[j]
        return self._about(rng, self._mixed(i, j, rng.uniform(0.5, 1.15)), a.frame, (a.record, b.record))

    def subject_vectors(self, record: ProductRecord) -> Tensor:
        """Return the sentence vectors (slots, S) of a record's phrases, zeros where there is none."""
        size = self.vectors.shape[1]
        return torch.stack(
            [torch.zeros(size) if p is None else self.phrase_vectors[p] for p in subject_phrases(record)]
        )

    def _mixed(self, first: int, second: int, weight: float) -> Tensor:
        return normalize(weight * self.vectors[first] + (1 - weight) * self.vectors[second], dim=0)

    def _record(self, rng: random.Random) -> ProductRecord:
        """Return the record of a random text; one in four takes each kind of attributes from another category."""
        record = rng.choice(self.claims).record
        changes: dict[str, tuple[str, ...]] = {}
        if rng.random() < 0.25:
            changes = {kind: getattr(rng.choice(self.claims).record, kind) for kind in KINDS}
        if rng.random() < 0.3:  # a short record
            changes |= {kind: () for kind in rng.sample(KINDS, rng.randrange(1, 5))}
        return record.model_copy(update=changes) if changes else record

    def _about(
        self, rng: random.Random, vector: Tensor, frame: Frame, own: Sequence[ProductRecord]
    ) -> Example:  # fmt: skip
        """Return `frame`, or another in its style that fits, about a subject, with slots numbered as they come.

        The subject is one of the texts' `own` records in three of ten cases, and where a short record fits no frame.
        """
        record = rng.choice(own) if rng.random() < 0.3 else self._record(rng)
        if not (frames := frames_in_style(self.grammar, frame, record)):
            record = own[0]
            frames = frames_in_style(self.grammar, frame, record)
        chosen = frame if fits(frame, record) else rng.choice(frames)
        numbers = [chosen.kinds[: place + 1].count(kind) for place, kind in enumerate(chosen.kinds)]
        return Example(vector, chosen.slotted(numbers), record)


def phrases_of(grammar: Grammar, claims: Sequence[Claim]) -> list[str]:
    """Return the distinct phrases of the claims' records and of all categories, sorted."""
    found = {phrase for claim in claims for slot, phrase in claim.record.phrases().items() if slot in SUBJECT_SLOTS}
    found.update(p for category in grammar.categories for phrases in category.attributes.values() for p in phrases)
    return sorted(found)
