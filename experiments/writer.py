"""Writes mixtures: mix, decode, check; each recipe once, whichever campaign asks first."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from embeddings.effort import Effort
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from embeddings.writing import NOTHING_FIT
from generator.checks import Checker, Refusal
from generator.record import ProductRecord

_TOGETHER = 64
"""Mixtures that a search works on together."""


@dataclass(frozen=True)
class Recipe:
    """Parents, by text, and their weights."""

    parents: tuple[str, ...]
    weights: tuple[float, ...]


def _parents(recipe: Recipe) -> int:
    return len(recipe.parents)


def _size(recipe: Recipe) -> tuple[int, int]:
    """Return how many parents there are, and their letters: recipes of a size are written together soonest."""
    return _parents(recipe), sum(map(len, recipe.parents))


@dataclass(frozen=True)
class Draft:
    """What a recipe decoded to, and every reason against showing it."""

    recipe: Recipe
    text: str
    refusals: tuple[Refusal, ...]
    others: tuple[Draft, ...] = ()
    """What else was written to the recipe and may be shown."""

    @property
    def every(self) -> tuple[Draft, ...]:
        """The draft and its others."""
        return (self, *self.others)


class Writer:
    """Turns recipes into drafts and remembers them, and the sentence vectors of all texts seen.

    Parameters
    ----------
    space : Space
    stored : sequence of SummaryEmbedding
        Possible parents; promoted texts join them later.
    subject : ProductRecord, optional
    checker : Checker
    effort : Effort, optional
        How far to search without a subject; as far as `Space.mix` unless given.
    """

    def __init__(
        self,
        space: Space,
        stored: Sequence[SummaryEmbedding],
        subject: ProductRecord | None,
        checker: Checker,
        effort: Effort | None = None,
    ) -> None:
        self.space, self.subject, self.checker, self.effort = space, subject, checker, effort or Effort()
        self.embeddings = {embedding.text: embedding for embedding in stored}
        self.drafts: dict[Recipe, Draft] = {}
        self._vectors = {embedding.text: embedding.sentence_vector for embedding in stored}

    def write(
        self, recipes: Sequence[Recipe], progress: Callable[[int, int], None] = lambda done, total: None
    ) -> list[Draft]:
        """Return the draft of each recipe, writing those not yet written; `progress` hears of them, and of all."""
        fresh = sorted((one for one in dict.fromkeys(recipes) if one not in self.drafts), key=_size)
        together = _TOGETHER if self.space.composer is None else 2 * self.effort.together
        done = 0
        for _, group in itertools.groupby(fresh, key=_parents):
            family = list(group)
            for first in range(0, len(family), together):
                progress(done, len(fresh))
                self._write_fresh(family[first : first + together])
                done += len(family[first : first + together])
        progress(done, len(fresh))
        return [self.drafts[recipe] for recipe in recipes]

    def remember(self, drafts: Sequence[Draft]) -> None:
        """Take back what an earlier process wrote: of each recipe the first draft, then its others."""
        for draft in drafts:
            known = self.drafts.setdefault(draft.recipe, draft)
            if draft.text not in [one.text for one in known.every]:
                self.drafts[draft.recipe] = replace(known, others=(*known.others, draft))

    def _write_fresh(self, recipes: Sequence[Recipe]) -> None:
        parents = [[self.embeddings[text] for text in recipe.parents] for recipe in recipes]
        vectors = torch.stack([torch.stack([parent.vectors for parent in row]) for row in parents])
        sentence_vectors = torch.stack([torch.stack([parent.sentence_vector for parent in row]) for row in parents])
        weights = torch.tensor([recipe.weights for recipe in recipes])
        mixtures = (vectors, sentence_vectors, weights, [recipe.parents for recipe in recipes])
        if self.subject:
            texts = self.space.write_about(self.subject, *mixtures, self.effort)
        else:
            texts = [written for written, _ in self.space.write_nearest(*mixtures, self.effort)]
        for recipe, written in zip(recipes, texts, strict=True):
            if written.fault:
                refusals = [Refusal("unfit" if written.fault == NOTHING_FIT else "slot", written.fault)]
            else:
                refusals = self.checker.refusals(written.text, written.finished)
            others = tuple(Draft(recipe, text, tuple(self.checker.refusals(text))) for text in written.others)
            self.drafts[recipe] = Draft(recipe, written.text, tuple(refusals), others)

    def sentence_vectors(self, texts: Sequence[str]) -> Tensor:
        """Return the sentence vectors (n, S) of texts, each encoded once."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(zip(fresh, self.space.encoder.encode(fresh), strict=True))
        return torch.stack([self._vectors[text] for text in texts])

    def base_points(self, texts: Sequence[str]) -> Tensor:
        """Return the points (n, S) between which mixtures are wanted.

        Without a subject a text's point is its sentence vector. With one, a stored text about another product stands
        where it lands when it is rewritten for the subject.
        """
        return self.sentence_vectors([self._landing(text) for text in texts])

    def _landing(self, text: str) -> str:
        draft = self.drafts.get(Recipe((text,), (1.0,)))
        return text if self.subject is None or draft is None or draft.refusals else draft.text

    def embed(self, texts: Sequence[str]) -> list[SummaryEmbedding]:
        """Return the summary embeddings of written texts that become parents, inverting those not yet inverted."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self.embeddings]
        self.embeddings.update(zip(fresh, self.space.invert(fresh), strict=True))
        return [self.embeddings[text] for text in texts]
