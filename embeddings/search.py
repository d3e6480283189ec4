"""Search: the new text that says best what a mixture should, by changing drafts and re-embedding what comes of it.

A decoded mixture only roughly means what was wanted. Re-embedding tells by how much (the corrector of vec2text, Morris
et al., EMNLP 2023, works on the same), and the language model knows which other words could stand in the text. So
drafts, decoded around the mixture, and the parents themselves are changed, the new texts re-embedded, and the best of
all changed again. There are two kinds of change: another word, and what the model then goes on to write
(`generator.rewriting`), or a phrase of a parent in place of one of the text's (`generator.splicing`).

What is best is not the nearest alone, which would be words of both parents thrown together: a text loses for each nat
that it surprises a critic more than the parents do, and for leaning further to one of the parents than the wanted point
does. The critic is a language model that reads nothing before a text; to one that reads the mixture, words of both
parents are no surprise. Every step is deterministic, and no case depends on the others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from embeddings.effort import Effort
from generator.checks import STRAYS, Checker, WritingRules
from generator.decoding import decode
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone
from generator.reader import mixed_facts
from generator.record import slots_of
from generator.rewriting import Rewriting, rewrite
from generator.splicing import materials, splices

CASES = 16
"""Mixtures that are searched for together."""
_SURPRISAL = 0.22
"""Cosine that a nat a token is worth, beyond the parents'."""
_LEANING, _LEANING_ALLOWED = 1.0, 0.3
"""Cosine that leaning to a parent is worth, where 1 is the way from the middle to it; and what may be for nothing."""
_CLOSE = 0.05
"""One minus the cosine of parents, at least: the same text has no middle."""


@dataclass(frozen=True)
class Case:
    """One text to be found.

    Parameters
    ----------
    drafts : Tensor of shape (n, P, D)
        Vectors to begin with, the mixture itself first.
    wanted : Tensor of shape (S,)
        The wanted point, of unit length.
    parents : tuple of str
        The texts that are mixed. None may come back, nor a text that holds one whole.
    any_style : bool
        Whether another style than the parents' will do.
    house : Checker, optional
        Further checks that the text must pass: a brand's.
    """

    drafts: Tensor
    wanted: Tensor
    parents: tuple[str, ...]
    any_style: bool = False
    house: Checker | None = None


@dataclass(frozen=True)
class Means:
    """What a search works with.

    Parameters
    ----------
    model : LanguageModel
    encode : callable
        From texts to sentence vectors (B, S).
    critic : LanguageModel
        Knows how likely texts are on their own.
    """

    model: LanguageModel
    encode: Callable[[Sequence[str]], Tensor]
    critic: LanguageModel


@dataclass(eq=False)
class _Text:
    """A text met on the way: what it is worth, whether it strays, and whether others were made of it already."""

    text: str
    score: float
    strays: bool
    changed: bool = False


class _Found:
    """What was found for one case so far, by text, and what a text must be.

    Parameters
    ----------
    model : LanguageModel
    case : Case
    vectors : Tensor of shape (K, S)
        Sentence vectors of the parents.
    usual : float
        The parents' mean surprisal, in nats a token.
    """

    def __init__(self, model: LanguageModel, case: Case, vectors: Tensor, usual: float) -> None:
        self.case, self.parents, self.usual = case, vectors, usual
        known = Grammar.load()
        grammar = None if any(mixed_facts(parent, known) for parent in case.parents) else known
        rules = WritingRules.like(case.parents)
        self.checker = Checker(rules, case.parents, grammar=grammar, family=case.parents, any_style=case.any_style)
        written = (text for parent in case.parents for text in (parent, f" {parent}"))
        self.favoured = frozenset(token for text in written for token in model.tokenize(text))
        self.texts: dict[str, _Text] = {}
        self.refused: set[str] = set()

    def admits(self, text: str) -> bool:
        """Say whether a text is new and may be shown; one that only strays, while there is no better one."""
        if text in self.texts or text in self.refused or not text.strip() or slots_of(text):
            return False
        codes = {refusal.code for refusal in self.checker.refusals(text)}
        strays = any(not known.strays for known in self.texts.values()) or not codes <= STRAYS
        if (codes and strays) or (self.case.house is not None and self.case.house.refusals(text)):
            self.refused.add(text)
            return False
        self.texts[text] = _Text(text, -math.inf, bool(codes))
        return True

    def score(self, vector: Tensor, surprisal: float) -> float:
        """Return what a text is worth, of a sentence vector (S,) and a surprisal in nats a token."""
        off = vector - self.case.wanted
        leanings = [
            abs(float(off @ (other - one))) / max(1 - float(one @ other), _CLOSE)
            for one, other in itertools.combinations(self.parents, 2)
        ]
        leaning = max(max(leanings, default=0.0) - _LEANING_ALLOWED, 0.0)
        return float(vector @ self.case.wanted) - _LEANING * leaning - _SURPRISAL * max(surprisal - self.usual, 0.0)

    def next(self, width: int, first: bool) -> list[str]:
        """Return the texts to change: the best not yet changed; at `first` the parents, and the best."""
        unchanged = sorted((text for text in self.texts.values() if not text.changed), key=_by_score)
        chosen = unchanged[: 1 if first else width]
        for text in chosen:
            text.changed = True
        parents = list(dict.fromkeys(self.case.parents)) if first else []
        return parents + [text.text for text in chosen]

    def best(self) -> str | None:
        """Return the best text; one that strays from its parents where there is no other; or None."""
        best = min(self.texts.values(), key=lambda text: (text.strays, _by_score(text)), default=None)
        return None if best is None else best.text


def _by_score(text: _Text) -> float:
    return -text.score


def search(means: Means, cases: Sequence[Case], effort: Effort) -> Iterator[str | None]:
    """Yield for each case the best acceptable text; None where there is none.

    Notes
    -----
    Acceptable is what `generator.checks.Checker` accepts beside the parents: new, finished, without repetition, of a
    like length, no two products in one, and of a parent's product and style, as far as the grammar knows them. Where
    no text is all of that, the best stands that only strays from its parents (`generator.checks.STRAYS`).
    """
    for first in range(0, len(cases), CASES):
        yield from _Search(means, cases[first : first + CASES], effort).run()


class _Search:
    """A search for some cases together."""

    def __init__(self, means: Means, cases: Sequence[Case], effort: Effort) -> None:
        self.model, self.means, self.effort = means.model, means, effort
        self.mixtures = torch.stack([case.drafts[0] for case in cases])
        counts = [len(case.parents) for case in cases]
        vectors, nats = (read.split(counts) for read in self._read([text for case in cases for text in case.parents]))
        self.cases = [_Found(self.model, case, its, float(usual.mean()))
                      for case, its, usual in zip(cases, vectors, nats, strict=True)]  # fmt: skip

    def run(self) -> list[str | None]:
        """Return the best text of each case."""
        drafts = decode(self.model, torch.cat([one.case.drafts for one in self.cases]))  # says so where it has no room
        owners = [row for row, one in enumerate(self.cases) for _ in one.case.drafts]
        self._add((row, draft.text) for row, draft in zip(owners, drafts, strict=True) if draft.finished)
        for number in range(self.effort.rounds):
            width, first = self.effort.width, not number
            chosen = [(row, text) for row, one in enumerate(self.cases) for text in one.next(width, first)]
            self._add([*self._rewritten(chosen), *self._spliced(chosen)])
        return [one.best() for one in self.cases]

    def _rewritten(self, chosen: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        jobs = [Rewriting(row, tuple(self.model.tokenize(text)), self.cases[row].favoured) for row, text in chosen]
        every = zip(jobs, rewrite(self.model, self.mixtures, jobs, self.effort.rewritings), strict=True)
        return [(job.row, text.text) for job, texts in every for text in texts if text.finished]

    def _spliced(self, chosen: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
        parents = ((row, text) for row, one in enumerate(self.cases) for text in one.case.parents)
        every = list(dict.fromkeys([*chosen, *parents]))
        read = materials(self.model, self.mixtures[[row for row, _ in every]], [text for _, text in every])
        known = dict(zip(every, read, strict=True))
        pairs = [(row, known[row, text], known[row, parent]) for row, text in chosen
                 for parent in dict.fromkeys(self.cases[row].case.parents) if parent != text]  # fmt: skip
        return [(row, new) for row, one, other in pairs if one and other
                for new in splices(one, other, self.effort.splices)]  # fmt: skip

    def _add(self, found: Iterable[tuple[int, str]]) -> None:
        """Note texts, by case, that are new and may be shown, and what they are worth."""
        admitted = [(row, text) for row, text in found if self.cases[row].admits(text)]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(text for _, text in admitted))}
        vectors, surprisals = self._read(list(distinct))
        for row, text in admitted:
            place = distinct[text]
            self.cases[row].texts[text].score = self.cases[row].score(vectors[place], float(surprisals[place]))

    def _read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the sentence vectors (n, S) of texts and how far they surprise the critic (n,)."""
        return self.means.encode(texts), surprisals_alone(self.means.critic, texts)
