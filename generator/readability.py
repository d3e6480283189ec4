"""Whether a text reads as people write: by a language model that knows no prompt, and by a grammar checker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from generator.language_model import LanguageModel
from generator.likelihood import expectations

_KINDS = frozenset(
    ["Agreement", "Grammar", "Repetition", "Nonstandard", "Malapropism", "Eggcorn", "Usage", "BoundaryError"]
)
_ARTICLE = "Incorrect indefinite article."
"""What the grammar checker finds that no copy editor lets stand; style, spelling and capitals are left to others."""


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
    ids = [model.tokenize(text) for text in texts]
    beginning = model.embed(torch.tensor([model.beginning])).float()[None].cpu()
    mean, worst = torch.zeros(len(texts)), torch.zeros(len(texts))
    for number, likely in expectations(model, beginning.expand(len(texts), -1, -1), ids):
        own = torch.tensor(ids[number][: len(likely)], device=likely.device)
        nats = -likely[: len(own)].gather(1, own[:, None])[1:, 0]
        if len(nats):
            mean[number], worst[number] = nats.mean().cpu(), nats.max().cpu()
    return Strangeness(mean, worst)


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
