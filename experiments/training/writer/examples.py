"""Training examples of a writer: what stands in front, a sentence vector, and the text to be written."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embeddings.prompt import FACTS, prompt
from experiments.training.tiny.mixtures import recombined
from experiments.training.writer.config import WriterTraining
from experiments.training.writer.corpus import Corpus
from experiments.training.writer.written import Blend
from generator.grammar import Claim, Frame, Grammar, draw_picks, fits
from generator.record import KINDS, ProductRecord, fill
from generator.words import free_words, inventions, unheld

_TRIES = 6
_ALONE, _BESIDE = 0.5, 0.4
"""Share of texts that say only what one parent says whose other parent is left out of the prompt; and of those about a
record, in the manner of one parent, beside which another stands."""


@dataclass(frozen=True)
class Example:
    """One row of a batch: what stands in front as text, a sentence vector (S,), and the target.

    The vector is of unit length, or zeros: the null prefix.
    """

    context: str
    vector: NDArray[np.float32]
    target: str


class Examples:
    """Draws examples of all kinds.

    Parameters
    ----------
    config : WriterTraining
    corpus : Corpus
    blends : sequence of Blend
    blend_vectors : Tensor of shape (blends, 2, S)
        Sentence vectors of their parents.
    """

    def __init__(self, config: WriterTraining, corpus: Corpus, blends: Sequence[Blend], blend_vectors: Tensor) -> None:
        self.config, self.corpus, self.blends = config, corpus, blends
        self._vectors, self._claim_vectors = corpus.vectors.numpy(), corpus.claim_vectors.numpy()
        everything = range(len(blends))
        self._with_record = [number for number in everything if blends[number].record] or everything
        self._without = [number for number in everything if not blends[number].record] or everything
        self._blend_vectors, self._neighbours = blend_vectors.numpy(), corpus.neighbours.numpy()
        self._grammar, self._free = Grammar.load(), free_words()
        shares = {self.own: config.own, self.null: config.null_prefix, self.mixture: config.neighbours}
        shares = shares if corpus.texts else {}
        self._kinds, self._shares = zip(*(shares | {self.claim: config.grammar}).items(), strict=True)

    def draw(self, rng: random.Random, step: int) -> Example:
        """Return an example for one step."""
        if self.blends and step >= self.config.written_from and rng.random() < self.config.written:
            return self.blend(rng)
        kind = rng.choices(self._kinds, self._shares)[0]
        return kind(rng)

    def own(self, rng: random.Random) -> Example:
        """Return a real text to be written from its own vector."""
        number = rng.randrange(len(self.corpus.texts))
        return Example("", self._noisy(rng, self._vectors[number]), self.corpus.texts[number])

    def null(self, rng: random.Random) -> Example:
        """Return a text to be written from nothing."""
        text = rng.choice(self.corpus.texts)
        return Example("", np.zeros(self._vectors.shape[1], np.float32), text)

    def mixture(self, rng: random.Random) -> Example:
        """Return a real text to be written from a mixture of two or three neighbours that hold all its names.

        Where none are found it is written from its own vector.
        """
        number = rng.randrange(len(self.corpus.texts))
        text = self.corpus.texts[number]
        for _ in range(_TRIES):
            chosen = rng.sample(self._neighbours[number].tolist(), 2 if rng.random() < 0.75 else 3)
            parents = [self.corpus.texts[i] for i in chosen]
            if inventions(text, parents, self.corpus.ordinary):
                continue
            weights = _simplex_weights(self._vectors[chosen], self._vectors[number])
            mixed = _unit(weights @ self._vectors[chosen])
            if mixed @ self._vectors[number] >= self.config.near_enough:
                told = parents if rng.random() < self.config.context else []
                return Example(prompt(told), self._noisy(rng, mixed), text)
        return Example("", self._noisy(rng, self._vectors[number]), text)

    def claim(self, rng: random.Random) -> Example:
        """Return a text of the grammar: from its own vector, from a mixture of two, or about a subject."""
        draw = rng.random()
        i, j = rng.sample(range(len(self.corpus.claims)), 2)
        first, second = self.corpus.claims[i], self.corpus.claims[j]
        if draw < 0.2:
            return Example("", self._noisy(rng, self._claim_vectors[i]), first.text)
        if draw < 0.5 and first.frame.form == second.frame.form:
            return self._recombined(rng, i, j)
        return self._about(rng, i, j)

    def blend(self, rng: random.Random) -> Example:
        """Return a text that was written by hand between two others; its parents stand in front, mostly.

        Where one of them holds all that the text says, it stands there alone, half of the time: the text says it anew.
        A text about a record in the manner of one parent often has another beside it, which does not show.
        """
        number = rng.choice(self._with_record if rng.random() < self.config.about else self._without)
        blend, vectors = self.blends[number], self._blend_vectors[number]
        weight, said = rng.uniform(*blend.weights), blend.parents
        if blend.rewritten and blend.record is not None and rng.random() < _BESIDE:
            other = rng.randrange(len(self.blends))
            said = (said[0], self.blends[other].parents[0])
            vectors = np.stack([vectors[0], self._blend_vectors[other][0]])
            weight = rng.uniform(0.5, 0.9)
        mixed = _unit(weight * vectors[0] + (1 - weight) * vectors[1])
        parents = [parent for parent, share in zip(said, (weight, 1 - weight), strict=True) if share]
        alone = [parent for parent in parents if blend.record is None and self._holds_all(parent, blend.text)]
        if alone and rng.random() < _ALONE:
            parents = [rng.choice(alone)]
        rng.shuffle(parents)
        told = parents if rng.random() < 0.9 else []
        record = None if blend.record is None else _part_of(rng, blend.record, blend.text)
        return Example(prompt(told, record), self._noisy(rng, mixed), blend.text)

    def _holds_all(self, parent: str, text: str) -> bool:
        """Say whether a parent holds all words of a text but those that people use freely."""
        return all(word in self._free for word in unheld(text, [parent]))

    def _recombined(self, rng: random.Random, i: int, j: int) -> Example:
        """Return a text about the product of one claim in the style of another, of nearly equal weight."""
        first, second = self.corpus.claims[i], self.corpus.claims[j]
        weight = rng.uniform(0.4, 0.7)
        texts = recombined(rng, self._grammar, first, second, lambda phrase: rng.random() + 2 * (phrase in first.text))
        mixed = _unit(weight * self._claim_vectors[i] + (1 - weight) * self._claim_vectors[j])
        told = [first.text, second.text] if rng.random() < self.config.context else []
        rng.shuffle(told)
        return Example(prompt(told), self._noisy(rng, mixed), rng.choice(texts) if texts else first.text)

    def _about(self, rng: random.Random, i: int, j: int) -> Example:
        """Return a claim about another product in the frame or style of one text, which another may be mixed with."""
        first, second = self.corpus.claims[i], self.corpus.claims[j]
        record = self._record(rng)
        frame = self._frame(rng, first, record)
        if frame is None:
            record = first.record
            frame = first.frame
        text = fill(frame.slotted(draw_picks(rng, frame, record)), record)
        parents, mixed = [first.text], self._claim_vectors[i]
        if rng.random() < 0.6:
            weight = rng.uniform(0.5, 0.9)
            parents.append(second.text)
            mixed = _unit(weight * mixed + (1 - weight) * self._claim_vectors[j])
        rng.shuffle(parents)
        told = parents if rng.random() < 0.75 else []
        return Example(prompt(told, _part_of(rng, record, text)), self._noisy(rng, mixed), text)

    def _frame(self, rng: random.Random, claim: Claim, record: ProductRecord) -> Frame | None:
        """Return the frame of `claim`, or another of its style and form, that `record` fills."""
        if fits(claim.frame, record):
            return claim.frame
        frames = [frame for frame in self._grammar.frames_of(claim.frame.form)
                  if frame.style == claim.frame.style and fits(frame, record)]  # fmt: skip
        return rng.choice(frames) if frames else None

    def _record(self, rng: random.Random) -> ProductRecord:
        """Return a random record; half of them have some kinds of attributes of other categories, or lack some."""
        record = rng.choice(self.corpus.claims).record
        changes: dict[str, tuple[str, ...]] = {}
        if rng.random() < 0.3:
            changes = {kind: getattr(rng.choice(self.corpus.claims).record, kind) for kind in KINDS}
        if rng.random() < 0.4:
            changes |= {kind: () for kind in rng.sample(KINDS, rng.randrange(1, 5))}
        return record.model_copy(update=changes) if changes else record

    def _noisy(self, rng: random.Random, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a unit vector with noise that keeps its variance; some are left clean."""
        if rng.random() < self.config.clean:
            return vector
        share = self.config.noise * rng.random()
        noise = np.random.default_rng(rng.getrandbits(63)).standard_normal(len(vector)) / len(vector) ** 0.5
        return _unit((1 - share) ** 0.5 * vector + share**0.5 * noise)


def _part_of(rng: random.Random, record: ProductRecord, text: str) -> ProductRecord:
    """Return a record with the facts that `text` tells, and some others, at most `FACTS` in all."""
    told = [(slot, phrase) for slot, phrase in record.attributes() if _told(phrase, text)]
    rest = [fact for fact in record.attributes() if fact not in told]
    most = max(FACTS - len(told), 0)
    kept = [*told, *rng.sample(rest, rng.randint(0, min(most, len(rest))))]
    rng.shuffle(kept)
    kinds = {kind: tuple(phrase for slot, phrase in kept if slot[1:-1].split()[0] == kind) for kind in KINDS}
    return record.model_copy(update=kinds)


def _told(phrase: str, text: str) -> bool:
    """Say whether most of the longer words of a phrase stand in a text, or begin one of its words alike."""
    words = [word for word in phrase.lower().split() if len(word) > 3] or phrase.lower().split()
    return sum(word[:5] in text.lower() for word in words) >= 0.5 * len(words)


def _simplex_weights(parents: NDArray[np.float32], target: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the non-negative weights (k,), summing to 1, whose mixture of parents (k, S) is nearest to a target."""
    from scipy.optimize import nnls

    weights = nnls(parents.T.astype(float), target.astype(float))[0]
    total = float(weights.sum())
    return (weights / total if total > 0 else np.full(len(parents), 1 / len(parents))).astype(np.float32)


def _unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    return (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)


def parents_of(blends: Sequence[Blend]) -> list[str]:
    """Return the parents of all blends, two each, in order."""
    return [parent for blend in blends for parent in blend.parents]


def as_pairs(vectors: Tensor) -> Tensor:
    """Return the vectors (blends, 2, S) of what `parents_of` returns."""
    return vectors.unflatten(0, (-1, 2)) if len(vectors) else torch.zeros(0, 2, vectors.shape[-1])
