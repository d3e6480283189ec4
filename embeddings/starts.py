"""Where inversion starts: at the adapter's output, the mean of a text's token embeddings, or noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.inversion_config import InversionConfig, Start
from embeddings.mixing import adapt
from generator.language_model import LanguageModel

if TYPE_CHECKING:
    from embeddings.space import Space

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


def starts_of(space: Space, texts: Sequence[str], sentence_vectors: Tensor, start: Start) -> Tensor:
    """Return where the inversion of texts starts, (B, P, D), given their sentence vectors (B, S)."""
    if start == "adapter" and space.adapter is not None:
        return adapt(space.adapter, sentence_vectors)
    if start == "random":
        rows = [random_start(space.model, crc32(text.encode()), space.vectors) for text in texts]
    else:
        rows = [token_mean_start(space.model, text, space.vectors) for text in texts]
    return torch.stack(rows) if rows else torch.zeros(0, space.vectors, space.model.hidden_size)


def check_start(space: Space, config: InversionConfig, starts: Tensor | None = None, texts: int | None = None) -> None:
    """Raise unless the configured start is possible, and starts (B, P, D), for so many texts, are given where needed.

    Raises
    ------
    InputError
        If there is no adapter, or `starts` are missing, needless, of another shape or not finite.
    """
    if config.start == "adapter" and space.adapter is None:
        raise InputError(f"model {space.model.name!r} has no adapter; use start='token_mean'")
    if (config.start == "given") != (starts is not None):
        raise InputError(f"start is {config.start!r}; pass starts with start='given', and only with it")
    if starts is None:
        return
    shape = (len(starts) if texts is None else texts, space.vectors, space.model.hidden_size)
    if starts.shape != shape:
        needed = ", ".join(map(str, shape if texts is not None else ("any", *shape[1:])))
        raise InputError(f"starts has shape {tuple(starts.shape)}; {space.identity} needs ({needed})")
    if not bool(starts.isfinite().all()):
        raise InputError("starts holds NaN or infinite values; invert those texts from another start")
