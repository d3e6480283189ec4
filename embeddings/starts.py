"""Where inversion may start, other than at the adapter's output."""

from __future__ import annotations

import torch
from torch import Tensor

from generator.language_model import LanguageModel

SCALE = 10.0
"""Root mean square of starts, in that of the model's token embeddings. Models normalise what they read, so the scale
is free. With copyloom-tiny, 10 takes half the steps of the plain mean, whose scale is 1/3, and mixtures keep more of
both texts."""

_PADDED = 64
"""Texts are embedded in multiples of so many tokens, as some devices compile for each length."""


def token_mean_start(model: LanguageModel, text: str, vectors: int, scale: float | None = SCALE) -> Tensor:
    """Return the mean of the text's token embeddings, `vectors` times: a Tensor of shape (P, D).

    Parameters
    ----------
    model : LanguageModel
    text : str
    vectors : int
        P.
    scale : float, optional
        Root mean square of the result, in that of the model's token embeddings; None leaves the mean as it is.
    """
    ids = model.tokenize(text)
    padded = [*ids, *[model.end] * (-len(ids) % _PADDED)]
    mean = model.embed(torch.tensor(padded)).cpu()[: len(ids)].float().mean(0)
    if scale is not None:
        mean = mean * (scale * model.embedding_rms / mean.square().mean().sqrt().clamp_min(1e-12))
    return mean.expand(vectors, -1).clone()


def random_start(model: LanguageModel, seed: int, vectors: int) -> Tensor:
    """Return Gaussian vectors, scaled as those of `token_mean_start`: a Tensor of shape (P, D).

    The start of Kuratov et al. (ACL 2025), but for the scale.
    """
    noise = torch.randn(vectors, model.hidden_size, generator=torch.Generator().manual_seed(seed))
    return noise * SCALE * model.embedding_rms
