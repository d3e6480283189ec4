"""Search: the new text that says best what a mixture should, by changing drafts and re-embedding what comes of it.

A decoded mixture only roughly means what was wanted. Re-embedding tells by how much (the corrector of vec2text, Morris
et al., EMNLP 2023, works on the same), and the language model knows which other words could stand in the text. So
drafts, decoded around the mixture, and the parents themselves are changed, the new texts re-embedded, and the best of
all changed again. There are two kinds of change: another word, and what the model then goes on to write
(`generator.rewriting`), or a phrase of a parent in place of one of the text's (`generator.splicing`).

What is best is not the nearest alone, which would be words of both parents thrown together: a text loses for each nat
that it surprises the model more than the parents do, read from the mixture and read from its own meaning, and for
leaning further to one of the parents than the wanted point does. Every step is deterministic, and no case depends on
the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from embeddings.effort import Effort
from generator.checks import STRAYS, BrandRules, Checker
from generator.decoding import decode
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.likelihood import surprisals
from generator.reader import mixed_facts
from generator.record import slots_of
from generator.rewriting import Draft, rewrite
from generator.splicing import materials, splices

CASES = 16
"""Mixtures that are searched for together."""
_IN_MIXTURE, _IN_ITSELF = 0.2, 0.5
"""Cosine that a nat of surprisal is worth, beyond that of the parents."""
_LEANING, _LEANING_ALLOWED = 0.2, 0.1
"""Cosine that leaning to a parent is worth, where 1 is the way from the middle to it; and what may be for nothing."""
_JUDGED, _CHECKED = 16, 64
"""Texts of a round whose surprisals are measured, the most promising and as many that are acceptable; and those, the
most promising too, that are checked for that."""
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
    """

    drafts: Tensor
    wanted: Tensor
    parents: tuple[str, ...]
    any_style: bool = False


@dataclass(frozen=True)
class Means:
    """What a search works with.

    Parameters
    ----------
    model : LanguageModel
    encode : callable
        From texts to sentence vectors (B, S).
    express : callable, optional
        From sentence vectors (B, S) to what the model reads to write a text that means that, (B, P, D): the adapter.
    """

    model: LanguageModel
    encode: Callable[[Sequence[str]], Tensor]
    express: Callable[[Tensor], Tensor] | None = None


@dataclass(eq=False)
class _Text:
    """A text met on the way, and what is known of it so far.

    Parameters
    ----------
    text : str
    vector : Tensor of shape (S,)
    nearness : float
        Its cosine to the wanted point, less what its leaning costs.
    in_mixture, in_itself : float
        Its surprisal, in nats a token: read from the mixture, and from its own meaning. Estimates before it is scored.
    score : float, optional
        None until its surprisals are measured.
    refused : frozenset of str, optional
        Codes of refusals; None until it is checked.
    changed : bool
        Whether others were made of it already.
    """

    text: str
    vector: Tensor
    nearness: float
    in_mixture: float = 0.0
    in_itself: float = 0.0
    score: float | None = None
    refused: frozenset[str] | None = None
    changed: bool = False


class _Progress:
    """What was found for one case so far, by text, and what a text must be."""

    def __init__(self, model: LanguageModel, case: Case, vectors: Tensor) -> None:
        self.case, self.parents = case, vectors
        known = Grammar.load()
        grammar = None if any(mixed_facts(parent, known) for parent in case.parents) else known
        rules = BrandRules.like(case.parents)
        self.checker = Checker(rules, case.parents, grammar=grammar, family=case.parents, any_style=case.any_style)
        written = (text for parent in case.parents for text in (parent, f" {parent}"))
        self.favoured = frozenset(token for text in written for token in model.tokenize(text))
        parents = zip(case.parents, vectors, strict=True)
        self.texts = {text: _Text(text, vector, self.nearness(vector)) for text, vector in parents}

    def nearness(self, vector: Tensor) -> float:
        """Return the cosine of a sentence vector (S,) to the wanted point, less what its leaning costs."""
        off = vector - self.case.wanted
        leanings = [
            abs(float(off @ (other - one))) / max(1 - float(one @ other), _CLOSE)
            for one, other in itertools.combinations(self.parents, 2)
        ]
        most = max(leanings, default=0.0)
        return float(vector @ self.case.wanted) - _LEANING * max(most - _LEANING_ALLOWED, 0.0)

    def score(self, text: _Text) -> float:
        """Return what a text is worth whose surprisals are measured, as the parents' are."""
        return text.nearness - self._oddness(text) - _IN_ITSELF * max(text.in_itself - self._own, 0.0)

    def promising(self, texts: Sequence[_Text]) -> list[_Text]:
        """Return the texts whose surprisals are worth measuring, checking some of them on the way."""
        chosen: list[_Text] = []
        acceptable = 0
        ranked = sorted(texts, key=lambda text: self._oddness(text) - text.nearness)
        for place, text in enumerate(ranked[:_CHECKED]):
            refusals = self.checker.refusals(text.text)
            text.refused = frozenset(["slot"] if slots_of(text.text) else (refusal.code for refusal in refusals))
            if place < _JUDGED or (not text.refused and acceptable < _JUDGED):
                chosen.append(text)
                acceptable += not text.refused
        return chosen

    def next(self, width: int, first: bool) -> list[_Text]:
        """Return the best texts not yet changed; at `first` the parents, and the best."""
        parents = [self.texts[text] for text in dict.fromkeys(self.case.parents)] if first else []
        others = [t for t in self.texts.values() if t.score is not None and not t.changed and t not in parents]
        chosen = parents + sorted(others, key=_by_score)[: 1 if first else width]
        for text in chosen:
            text.changed = True
        return chosen

    def best(self) -> str | None:
        """Return the best acceptable text; one that strays from its parents where there is no other; or None."""
        scored = sorted((text for text in self.texts.values() if text.score is not None), key=_by_score)
        for allowed in (frozenset[str](), STRAYS):
            for text in scored:
                if text.refused is not None and text.refused <= allowed:
                    return text.text
        return None

    def _oddness(self, text: _Text) -> float:
        return _IN_MIXTURE * max(text.in_mixture - self._usual, 0.0)

    @cached_property
    def _usual(self) -> float:
        return sum(self.texts[text].in_mixture for text in self.case.parents) / len(self.case.parents)

    @cached_property
    def _own(self) -> float:
        return max(self.texts[text].in_itself for text in self.case.parents)


def _by_score(text: _Text) -> float:
    return -(text.score or 0.0)


def search(means: Means, cases: Sequence[Case], effort: Effort) -> Iterator[str | None]:
    """Yield for each case the best acceptable text; None where there is none.

    Parameters
    ----------
    means : Means
    cases : sequence of Case
    effort : Effort

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
        vectors = means.encode([text for case in cases for text in case.parents])
        parts = vectors.split([len(case.parents) for case in cases])
        self.cases = [_Progress(self.model, case, part) for case, part in zip(cases, parts, strict=True)]

    def run(self) -> list[str | None]:
        """Return the best text of each case."""
        drafts = decode(self.model, torch.cat([one.case.drafts for one in self.cases]))  # says so where it has no room
        self._judge([(row, text) for row, one in enumerate(self.cases) for text in one.texts.values()])
        owners = [row for row, one in enumerate(self.cases) for _ in one.case.drafts]
        self._add(self._read((row, draft.text) for row, draft in zip(owners, drafts, strict=True) if draft.finished))
        for number in range(self.effort.rounds):
            width, first = self.effort.width, not number
            chosen = [(row, text.text) for row, one in enumerate(self.cases) for text in one.next(width, first)]
            self._add([*self._rewritten(chosen), *self._spliced(chosen)])
        return [one.best() for one in self.cases]

    def _rewritten(self, chosen: Sequence[tuple[int, str]]) -> list[tuple[int, str, float]]:
        jobs = [Draft(row, tuple(self.model.tokenize(text)), self.cases[row].favoured) for row, text in chosen]
        every = zip(jobs, rewrite(self.model, self.mixtures, jobs, self.effort.rewritings), strict=True)
        return self._read((job.row, text.text) for job, texts in every for text in texts if text.finished)

    def _spliced(self, chosen: Sequence[tuple[int, str]]) -> list[tuple[int, str, float]]:
        parents = ((row, text) for row, one in enumerate(self.cases) for text in one.case.parents)
        every = list(dict.fromkeys([*chosen, *parents]))
        read = materials(self.model, self.mixtures[[row for row, _ in every]], [text for _, text in every])
        known = dict(zip(every, read, strict=True))
        pairs = [(row, known[row, text], known[row, parent]) for row, text in chosen
                 for parent in dict.fromkeys(self.cases[row].case.parents) if parent != text]  # fmt: skip
        return [(row, new.text, new.surprisal) for row, one, other in pairs if one and other
                for new in splices(one, other, self.effort.splices)]  # fmt: skip

    def _read(self, found: Iterable[tuple[int, str]]) -> list[tuple[int, str, float]]:
        """Return texts, by case, with their surprisals read from the mixture."""
        texts = list(dict.fromkeys((row, text) for row, text in found if text not in self.cases[row].texts))
        return [(*text, value) for text, value in zip(texts, self._in_mixture(texts), strict=True)]

    def _in_mixture(self, texts: Sequence[tuple[int, str]]) -> list[float]:
        ids = [self.model.tokenize(text) for _, text in texts]
        values: list[float] = surprisals(self.model, self.mixtures[[row for row, _ in texts]], ids).tolist()
        return values

    def _add(self, found: Sequence[tuple[int, str, float]]) -> None:
        """Note texts, by case and with their surprisals, that are not known yet; measure the most promising."""
        fresh: dict[tuple[int, str], float] = {}
        for row, text, surprisal in found:
            if text.strip() and text not in self.cases[row].texts:
                fresh.setdefault((row, text), surprisal)
        vectors = self.means.encode([text for _, text in fresh])
        new: list[list[_Text]] = [[] for _ in self.cases]
        for ((row, text), surprisal), vector in zip(fresh.items(), vectors, strict=True):
            one = _Text(text, vector, self.cases[row].nearness(vector), surprisal)
            self.cases[row].texts[text] = one
            new[row].append(one)
        self._judge([(row, text) for row, texts in enumerate(new) for text in self.cases[row].promising(texts)])

    def _judge(self, chosen: Sequence[tuple[int, _Text]]) -> None:
        """Measure how far texts, by case, surprise the model, and score them."""
        if not chosen:
            return
        in_mixture = self._in_mixture([(row, text.text) for row, text in chosen])
        in_itself = [0.0] * len(chosen)
        if self.means.express is not None:
            vectors = self.means.express(torch.stack([text.vector for _, text in chosen]))
            in_itself = surprisals(self.model, vectors, [self.model.tokenize(text.text) for _, text in chosen]).tolist()
        for (_, text), mixed, own in zip(chosen, in_mixture, in_itself, strict=True):
            text.in_mixture, text.in_itself = mixed, own
        for row, text in chosen:
            text.score = self.cases[row].score(text)
