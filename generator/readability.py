"""Whether a text reads as people write: by a language model that knows no prompt, and by a grammar checker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.language_model import LanguageModel
from generator.likelihood import expectations

_KINDS = frozenset(
    ["Agreement", "Grammar", "Repetition", "Nonstandard", "Malapropism", "Eggcorn", "Usage", "BoundaryError"]
)
_ARTICLE = "Incorrect indefinite article."
"""What the grammar checker finds that no copy editor lets stand; style, spelling and capitals are left to others."""


ORDINARY = 3.0
"""Nats a token that no text is blamed for, whatever the others: of one word, a model has nothing to say."""
_USUAL = 0.95
"""Share of people's texts that the others are measured against."""
READABLE = 0.5
"""Share of its clicks from which on a text counts as readable."""


@dataclass(frozen=True)
class Strangeness:
    """How far texts surprise a model that reads nothing before them.

    Parameters
    ----------
    mean : Tensor of shape (B,)
        Nats a token, end-of-text left out: headlines end where sentences would not.
    worst : Tensor of shape (B,)
        Nats of the most surprising token but the first.
    """

    mean: Tensor
    worst: Tensor


def strangeness(model: LanguageModel, texts: Sequence[str]) -> Strangeness:
    """Return how strange a language model finds each text.

    The first token counts in neither figure: with nothing before it, it says how texts begin and not how they read.
    """
    mean, worst = torch.zeros(len(texts)), torch.zeros(len(texts))
    for number, nats in _surprises(model, [model.tokenize(text) for text in texts]):
        if len(nats) > 1:
            mean[number], worst[number] = nats[1:].mean(), nats[1:].max()
    return Strangeness(mean, worst)


def strange_words(model: LanguageModel, text: str) -> list[tuple[str, float]]:
    """Return each word of a text but the first, and how strange a language model finds it there: the nats of all of it.

    Use `strangeness` for a whole text.
    """
    ids = model.tokenize(text)
    words: list[list[int]] = []
    for place, token in enumerate(ids):
        if not words or model.tokenizer.decode([token])[:1].isspace():
            words.append([])
        words[-1].append(place)
    ((_, nats),) = _surprises(model, [ids])
    return [(model.tokenizer.decode([ids[place] for place in word]).strip(), float(nats[word].sum()))
            for word in words[1:] if word[-1] < len(nats)]  # fmt: skip


def _surprises(model: LanguageModel, ids: Sequence[Sequence[int]]) -> Iterator[tuple[int, Tensor]]:
    """Yield each text's number and the nats (L,) of its tokens to a model that reads nothing before them."""
    beginning = model.embed(torch.tensor([model.beginning])).float()[None].cpu()
    for number, likely in expectations(model, beginning.expand(len(ids), -1, -1), ids):
        own = torch.tensor(ids[number][: len(likely)], device=likely.device)
        yield number, -likely[: len(own)].gather(1, own[:, None])[:, 0].cpu()


class Readability:
    """How much of its clicks a text keeps, beside what people wrote: 1 where it reads like them, 0 where nobody can.

    A text that is no stranger than 95 of 100 of theirs keeps all; each nat a token beyond takes as much again, and one
    nat takes everything.

    Parameters
    ----------
    model : LanguageModel
        Of texts that were chosen by the same model, it says little ill: a share of unreadable ones is then a floor.
    usual : sequence of str
        Texts by people. They keep all their clicks.
    sound : sequence of str, optional
        Texts that need no judge.
    """

    def __init__(self, model: LanguageModel, usual: Sequence[str], sound: Sequence[str] = ()) -> None:
        self._model = model
        found = strangeness(model, usual).mean
        self._limit = max(ORDINARY, float(found.quantile(_USUAL))) if len(usual) else ORDINARY
        self._known = dict.fromkeys([*usual, *sound], 1.0)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the share of its clicks that each text keeps (n,)."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        beyond = (strangeness(self._model, fresh).mean - self._limit).tolist()
        self._known.update((text, 1 - min(max(nats, 0.0), 1.0)) for text, nats in zip(fresh, beyond, strict=True))
        return np.array([self._known[text] for text in texts])


@dataclass(frozen=True)
class Fault:
    """A fault of grammar: the words that have it, and what the checker says of them."""

    words: str
    message: str


def grammar_faults(text: str) -> list[Fault]:
    """Return what the grammar checker Harper finds wrong with an English text, spelling and style left out.

    Examples
    --------
    >>> grammar_faults("An knife that cuts.")
    [Fault(words='An', message='Incorrect indefinite article.')]
    >>> grammar_faults("A knife that cuts.")
    []
    """
    found = _linter().lint(text, language="plaintext")
    return [Fault(lint.problem_text, lint.message) for lint in found
            if lint.lint_kind in _KINDS or lint.message == _ARTICLE]  # fmt: skip


@cache
def _linter() -> Any:
    from harper import Linter

    return Linter()
