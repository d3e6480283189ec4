"""Where the study's entrants take new texts from, in the place of mixing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from bandits import Posterior
from embeddings.mixing import moved
from embeddings.prompt import about
from embeddings.summary import Lineage
from experiments.asking import Asked, line_of
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft
from experiments.campaigns.workshop import Workshop
from experiments.campaigns.writer import Writer
from generator.checks import Checker
from generator.record import ProductRecord

EXAMPLES, TOGETHER = 3, 32
"""Texts that a language model is shown, and answers that it gives to one question, at most."""
_LATER = 100_000
"""Seeds of what is written after the first impression begin here."""
_ROWS = 64
_PEOPLE = Lineage((), ())
"""Of texts that no other text was taken for."""


@dataclass(eq=False)
class SampleAgain:
    """Writes anew from one text: from its embedding, moved a little each time.

    Before the first impression, when nobody knows which is the best, all of one's own texts have their turn; then it
    is the parent that is believed best.

    Parameters
    ----------
    writer : Writer
    own : sequence of str
    count : int
        Times that it writes before the first impression.
    """

    writer: Writer
    own: Sequence[str]
    count: int
    _known: dict[tuple[str, int], tuple[Draft, ...]] = field(default_factory=dict)

    def first(self) -> list[Draft]:
        """Return what is written anew of all of one's own texts in turn."""
        many = len(self.own)
        return self._written([(self.own[number % many], number // many) for number in range(self.count)])

    def more(self, shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> list[list[Draft]]:
        """Return what is written anew of each campaign's best parent."""
        wanted = [[(best, _LATER + len(campaign.state.snapshots) * _ROWS + number)
                   for best in texts for number in range(shop.config.proposer.shortlist)]
                  for campaign, texts in zip(campaigns, best_parents(campaigns, belief, 1), strict=True)]  # fmt: skip
        self._written([one for mine in wanted for one in mine])
        return [self._written(mine) for mine in wanted]

    def _written(self, wanted: Sequence[tuple[str, int]]) -> list[Draft]:
        fresh = [one for one in dict.fromkeys(wanted) if one not in self._known]
        for first in range(0, len(fresh), _ROWS):
            group = fresh[first : first + _ROWS]
            parents = [self.writer.embeddings[text] for text, _ in group]
            vectors, points = moved(
                torch.stack([parent.vectors for parent in parents]),
                torch.stack([parent.sentence_vector for parent in parents]),
                [seed for _, seed in group],
                self.writer.space.adapter,
            )
            lineages = [Lineage((text,), (1.0,)) for text, _ in group]
            self._known.update(zip(group, self.writer.worded(lineages, vectors[:, None], points[:, None]), strict=True))
        return [draft for one in wanted for draft in self._known[one]]


@dataclass(frozen=True, eq=False)
class Prompted:
    """Asks a language model, in words, for a text like some of one's own.

    Before the first impression it is shown one's own texts at random; then the parents that are believed best.

    Parameters
    ----------
    asked : Asked
    subject : ProductRecord
    own : sequence of str
    checker : Checker
    count : int
        Texts that it is asked for before the first impression.
    seed : int
        Of the examples.
    """

    asked: Asked
    subject: ProductRecord
    own: Sequence[str]
    checker: Checker
    count: int
    seed: int

    def first(self) -> list[Draft]:
        """Return what the model writes after one's own texts, drawn at random for each question."""
        rng, found = random.Random(f"{self.seed} prompted"), list[Draft]()
        while len(found) < self.count:
            shown = rng.sample(list(self.own), min(EXAMPLES, len(self.own)))
            found += self._written(shown, min(TOGETHER, self.count - len(found)), len(found))
        return found

    def more(self, shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> list[list[Draft]]:
        """Return what the model writes after each campaign's best parents."""
        count = shop.config.proposer.shortlist
        best = zip(campaigns, best_parents(campaigns, belief, EXAMPLES), strict=True)
        return [self._written(texts, count, _LATER + len(campaign.state.snapshots))
                for campaign, texts in best]  # fmt: skip

    def _written(self, shown: Sequence[str], count: int, seed: int) -> list[Draft]:
        lineage = Lineage(tuple(shown), (1 / len(shown),) * len(shown))
        answers = self.asked.answers(question(self.subject, shown), count, seed)
        return [_draft(lineage, line_of(answer), self.checker) for answer in answers]


@dataclass(frozen=True, eq=False)
class HumanTexts:
    """Hands over texts that somebody else wrote, all of them before the first impression.

    Parameters
    ----------
    texts : sequence of str
    checker : Checker
    """

    texts: Sequence[str]
    checker: Checker

    def first(self) -> list[Draft]:
        """Return all texts."""
        return [_draft(_PEOPLE, text, self.checker) for text in self.texts]

    def more(self, shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> list[list[Draft]]:
        """Return nothing: people do not write while a campaign runs."""
        return [[] for _ in campaigns]


def best_parents(campaigns: Sequence[Campaign], belief: Posterior, count: int) -> Iterator[list[str]]:
    """Yield the texts of each campaign's slate that are parents and believed best, the best first."""
    for campaign, logits in zip(campaigns, belief.logits()[0].tolist(), strict=True):
        state, parents = campaign.state, set(campaign.state.parents)
        rated = [(-logit, text) for logit, text in zip(logits, state.slate, strict=False) if text in parents]
        yield [text for _, text in sorted(rated)[:count]]


def question(subject: ProductRecord, shown: Sequence[str]) -> str:
    """Return what a language model is asked."""
    longest = max(len(text.split()) for text in shown)
    lines = "\n".join(f"- {text}" for text in shown)
    return (
        f"{about(subject)}\n\nOur best advertising lines for the {subject.name}:\n{lines}\n\n"
        f"Write one new advertising line for the {subject.name}, in the manner of these, with at most {longest} words. "
        "Use only facts and numbers that stand above. Answer with the line alone."
    )


def _draft(lineage: Lineage, text: str, checker: Checker) -> Draft:
    return Draft(lineage, text, tuple(checker.refusals(text)))
