"""Where inversion may start, other than at the adapter's output."""

from __future__ import annotations

import torch
from torch import Tensor

from generator.language_model import LanguageModel


def token_mean_start(model: LanguageModel, text: str, vectors: int) -> Tensor:
    """Return the mean of the text's token embeddings, `vectors` times: a Tensor of shape (P, D)."""
    mean = model.embed(torch.tensor(model.tokenize(text))).float().mean(0)
    return mean.expand(vectors, -1).cpu().clone()


def random_start(model: LanguageModel, seed: int, vectors: int) -> Tensor:
    """Return Gaussian vectors with the spread of the token embeddings, a Tensor of shape (P, D).

    The start of Kuratov et al. (ACL 2025).
    """
    table = model.model.get_input_embeddings().weight
    noise = torch.randn(vectors, model.hidden_size, generator=torch.Generator().manual_seed(seed))
    return noise * float(table.float().std())
