"""How well texts come back from their vectors alone: by meaning, and letter for letter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from embeddings.adapter import AnyAdapter
from embeddings.context import room_for
from embeddings.encoder import Encoder
from embeddings.mixing import adapt
from generator.decoding import decode
from generator.language_model import LanguageModel


@dataclass(frozen=True)
class Quality:
    """What free greedy decoding of the adapter's output makes of texts.

    Parameters
    ----------
    texts : int
    consistency : float
        Mean cosine of the decoded text's sentence vector to the true text's: ELM's semantic consistency.
    unrelated : float
        The same between the true texts and one another, for comparison.
    exact : float
        Share that comes back letter for letter.
    written : tuple of str
        The decoded texts.
    """

    texts: int
    consistency: float
    unrelated: float
    exact: float
    written: tuple[str, ...]


def measure(
    model: LanguageModel, adapter: AnyAdapter, texts: Sequence[str], vectors: Tensor, meanings: Tensor, encoder: Encoder
) -> Quality:
    """Return how well texts come back from their vectors.

    Parameters
    ----------
    model : LanguageModel
    adapter : AnyAdapter
    texts : sequence of str
    vectors : Tensor of shape (B, S)
        Of the kind that the adapter reads.
    meanings : Tensor of shape (B, S)
        The texts' vectors by `encoder`; the same, unless the adapter reads behavioural vectors.
    encoder : Encoder
        Which re-embeds what is decoded.
    """
    longest = max(len(model.tokenize(text)) for text in texts) + 1
    decoded = decode(model, adapt(adapter, vectors), max_tokens=room_for(model, longest, adapter.vectors))
    written = encoder.encode([result.text for result in decoded])
    exact = [result.finished and result.text == text for result, text in zip(decoded, texts, strict=True)]
    return Quality(
        texts=len(texts),
        consistency=float((meanings * written).sum(-1).mean()),
        unrelated=float((meanings * meanings.roll(1, 0)).sum(-1).mean()),
        exact=sum(exact) / len(exact),
        written=tuple(result.text for result in decoded),
    )
