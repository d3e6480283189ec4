"""Pairs of a writer's drafts, one of which readers would print and the other not, for preference optimisation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from embeddings.prompt import prompt
from experiments.training.editor import Judged
from experiments.training.writer.examples import Example
from generator.words import free_words, unheld

_MENDED = 0.4
"""Share of the preferences for a mended draft, where there is one."""
_ALONE = 0.4
"""Share of the drafts that say one parent anew that are shown to the writer with that parent alone."""


@dataclass(frozen=True)
class Preferences:
    """What readers preferred, to be drawn from.

    Parameters
    ----------
    judged : sequence of Judged
        Each with a mended draft, or with one that is fit to print and belongs and others that broke a rule.
    vectors : dict of str to ndarray of shape (S,)
        Unit sentence vectors of their parents.
    """

    judged: Sequence[Judged]
    vectors: dict[str, NDArray[np.float32]]

    @classmethod
    def of(cls, judged: Sequence[Judged], vectors: Tensor) -> Preferences:
        """Return the preferences that groups hold, with the vectors (N, S) of what `parents_judged` returns.

        Of groups that only readers judged none are taken: a writer that learns from what broke no rule forgets the
        rules.
        """
        known = dict(zip(parents_judged(judged), vectors.numpy(), strict=True))
        return cls([one for one in judged if one.mended or (one.refused and any(one.printable))], known)

    def draw(self, rng: random.Random) -> tuple[Example, Example]:
        """Return what is to be said rather, and what rather not, both to the same prompt and vectors.

        That is a mended draft and the draft, or one that may be printed and another that may not, or that broke a rule.
        """
        one = rng.choice(self.judged)
        fit = [draft for draft, right in zip(one.drafts, one.printable, strict=True) if right]
        worse = [drafts for drafts in ([d for d in one.drafts if d not in fit], one.refused) if drafts]
        if one.mended and (not fit or not worse or rng.random() < _MENDED):
            place = rng.choice(sorted(one.mended))
            return self._asked(rng, one, one.mended[place], one.drafts[place])
        return self._asked(rng, one, rng.choice(fit), rng.choice(rng.choice(worse)))

    def _asked(self, rng: random.Random, one: Judged, better: str, worse: str) -> tuple[Example, Example]:
        """Return two texts as answers to one prompt, of all parents or of the one that they say anew."""
        parents = rng.sample(one.parents, len(one.parents))
        if rng.random() < _ALONE:
            parents = [min(parents, key=lambda parent: _beyond(better, parent) + _beyond(worse, parent))]
        mixed = np.sum([self.vectors[parent] for parent in parents], 0)
        vector = (mixed / np.linalg.norm(mixed)).astype(np.float32)
        asked = prompt(parents, one.record)
        return Example(asked, vector, better), Example(asked, vector, worse)


def preference_loss(policy: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Return the loss of direct preference optimisation (Rafailov et al. 2023, equation 7).

    Parameters
    ----------
    policy, reference : Tensor of shape (2B,)
        Log-probabilities of the better texts and then of the worse ones, of the writer trained and as it was.
    beta : float
        How strongly the writer is held to what it was.
    """
    better, worse = (policy - reference).chunk(2)
    return -logsigmoid(beta * (better - worse)).mean()


def parents_judged(judged: Sequence[Judged]) -> list[str]:
    """Return the parents of all groups, each once, in order."""
    return list(dict.fromkeys(parent for one in judged for parent in one.parents))


def _beyond(draft: str, parent: str) -> int:
    return sum(word not in free_words() for word in unheld(draft, [parent]))
