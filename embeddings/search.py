"""Search: the new text that is nearest to a wanted point, by rewriting drafts and re-embedding what comes of it.

A decoded mixture only roughly means what was wanted. Re-embedding tells by how much (the corrector of vec2text, Morris
et al., EMNLP 2023, works on the same), and the language model knows which other words could stand in the text. So
drafts, decoded around the mixture, and the parents themselves are rewritten (`generator.rewriting`), the rewritings
re-embedded, and the best of all rewritten again. Every step is deterministic, and no case depends on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from embeddings.effort import Effort
from generator.checks import BrandRules, Checker
from generator.decoding import Decoded, decode
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.reader import mixed_facts
from generator.record import slots_of
from generator.rewriting import Draft, rewrite

CASES = 16
"""Mixtures that are searched for together."""


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
    """

    drafts: Tensor
    wanted: Tensor
    parents: tuple[str, ...]


@dataclass
class _Text:
    """A text met on the way: its tokens, its cosine to the wanted point, and what may be done with it."""

    decoded: Decoded
    cosine: float
    acceptable: bool
    rewritten: bool = False


@dataclass
class _Progress:
    """What was found for one case so far, by text, and what a text must be."""

    case: Case
    checker: Checker
    favoured: frozenset[int]
    texts: dict[str, _Text] = field(default_factory=dict)

    def next(self, width: int) -> list[_Text]:
        """Return the nearest texts not yet rewritten."""
        waiting = sorted((t for t in self.texts.values() if not t.rewritten), key=lambda t: -t.cosine)[:width]
        for text in waiting:
            text.rewritten = True
        return waiting

    def best(self) -> Decoded | None:
        """Return the nearest acceptable text; None where there is none."""
        found = max((t for t in self.texts.values() if t.acceptable), key=lambda t: t.cosine, default=None)
        return None if found is None else found.decoded


def search(
    model: LanguageModel, encode: Callable[[Sequence[str]], Tensor], cases: Sequence[Case], effort: Effort
) -> Iterator[Decoded | None]:
    """Yield for each case the nearest acceptable text; None where there is none.

    Parameters
    ----------
    model : LanguageModel
    encode : callable
        From texts to sentence vectors (B, S).
    cases : sequence of Case
    effort : Effort

    Notes
    -----
    Acceptable is what `generator.checks.Checker` accepts beside the parents: new, finished, without repetition, of a
    like length, and no two products in one, as far as the grammar knows them.
    """
    for first in range(0, len(cases), CASES):
        yield from _search(model, encode, cases[first : first + CASES], effort)


def _search(
    model: LanguageModel, encode: Callable[[Sequence[str]], Tensor], cases: Sequence[Case], effort: Effort
) -> list[Decoded | None]:
    progress = [_begin(model, case) for case in cases]
    drafts = torch.cat([case.drafts for case in cases])
    owners = [row for row, case in enumerate(cases) for _ in case.drafts]
    found = list(zip(owners, decode(model, drafts), strict=True))
    if effort.rounds:
        found += [(row, _decoded(model, text)) for row, case in enumerate(cases) for text in case.parents]
    _add(progress, found, encode)
    mixtures = torch.stack([case.drafts[0] for case in cases])
    for _ in range(effort.rounds):
        chosen = [(row, text) for row, one in enumerate(progress) for text in one.next(effort.width)]
        jobs = [Draft(row, text.decoded.ids, progress[row].favoured) for row, text in chosen]
        rewritings = rewrite(model, mixtures, jobs, effort.rewritings)
        _add(progress, [(job.row, d) for job, texts in zip(jobs, rewritings, strict=True) for d in texts], encode)
    return [one.best() for one in progress]


def _begin(model: LanguageModel, case: Case) -> _Progress:
    tokens = (token for text in case.parents for written in (text, f" {text}") for token in model.tokenize(written))
    known = Grammar.load()
    grammar = None if any(mixed_facts(parent, known) for parent in case.parents) else known
    checker = Checker(BrandRules.like(case.parents), case.parents, grammar=grammar)
    return _Progress(case, checker, frozenset(tokens))


def _decoded(model: LanguageModel, text: str) -> Decoded:
    return Decoded(text, tuple(model.tokenize(text)), True, 0.0)


def _add(
    progress: Sequence[_Progress], found: Sequence[tuple[int, Decoded]], encode: Callable[[Sequence[str]], Tensor]
) -> None:
    """Note the texts found for each case, by row, that are whole and not known yet."""
    fresh: dict[tuple[int, str], Decoded] = {}
    for row, decoded in found:
        if decoded.finished and decoded.text.strip() and decoded.text not in progress[row].texts:
            fresh.setdefault((row, decoded.text), decoded)
    vectors = encode([text for _, text in fresh])
    for ((row, text), decoded), vector in zip(fresh.items(), vectors, strict=True):
        one = progress[row]
        acceptable = not slots_of(text) and not one.checker.refusals(text)
        one.texts[text] = _Text(decoded, float(vector @ one.case.wanted), acceptable)
