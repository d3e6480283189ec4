"""Whether a name is of something that is counted: "a mug", but no "a honey" and no "a bookkeeping"."""

from __future__ import annotations

import torch

from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone

_SENTENCES = (
    ("We sell {a} {name}.", "We sell {name}."),
    ("This is {a} {name}.", "This is {name}."),
    ("I would like {a} {name}, please.", "I would like some {name}, please."),
    ("How much does {a} {name} cost?", "How much does {name} cost?"),
    ("They make a very good {name}.", "They make very good {name}."),
)
"""With an article, and without."""
_UNCOUNTED = 2.0
"""Nats by which the sentences without one are likelier, in the mean, from which on nobody counts what is named: 40 of
71 such names, and none of 69 others."""


def is_uncounted(name: str, model: LanguageModel) -> bool:
    """Say whether a language model finds a name far likelier without an indefinite article, as of stuffs and of work.

    Of names that are used in both ways nothing is said. A plural is none of these; see `agreement.is_plural`.
    """
    a = "an" if name[:1].lower() in "aeiou" else "a"
    texts = [text.format(a=a, name=name) for pair in _SENTENCES for text in pair]
    tokens = torch.tensor([len(model.tokenize(text)) + 1 for text in texts])
    nats = (surprisals_alone(model, texts) * tokens).view(-1, 2)
    return float((nats[:, 0] - nats[:, 1]).mean()) > _UNCOUNTED
