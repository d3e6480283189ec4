"""The adapter: from a sentence vector to the summary embedding that a language model decodes."""

from __future__ import annotations

from torch import Tensor, nn


class Adapter(nn.Module):
    """Map sentence vectors (B, S) to summary embeddings (B, P, D) with a two-layer perceptron.

    The method is the adapter of ELM (Tennenholtz et al., ICLR 2024, section 3), trained with the language model by
    plain cross-entropy.

    Parameters
    ----------
    sentence_size : int
        S.
    vectors : int
        P.
    hidden_size : int
        D of the language model.
    width : int
        Of the hidden layer.
    """

    def __init__(self, sentence_size: int, vectors: int, hidden_size: int, width: int) -> None:
        super().__init__()
        self.sentence_size, self.vectors, self.hidden_size, self.width = (
            sentence_size,
            vectors,
            hidden_size,
            width,
        )
        self.inner = nn.Linear(sentence_size, width)
        self.outer = nn.Linear(width, vectors * hidden_size)

    def forward(self, sentence_vectors: Tensor) -> Tensor:
        """Return summary embeddings of shape (B, P, D) for unit sentence vectors of shape (B, S)."""
        scaled = sentence_vectors * self.sentence_size**0.5  # unit variance per coordinate
        hidden = nn.functional.gelu(self.inner(scaled))
        return self.outer(hidden).unflatten(-1, (self.vectors, self.hidden_size))
