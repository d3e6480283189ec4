"""Greedy decoding of summary embeddings in constant shape.

Every step has the same number of rows and a key-value cache of the same length, whatever was asked for: a text depends
on its own embedding alone, not on the batch (numerical background: Tarasov et al. 2026, appendix on decoding), and
devices that compile or capture one graph a shape do so once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import StaticCache

from copyloom import InputError
from generator.language_model import LanguageModel

MAX_TOKENS = 64
_CHECK_EVERY = 8


@dataclass(frozen=True)
class Prefix:
    """Vectors in front of the summary embedding, one set for all rows.

    Parameters
    ----------
    vectors : Tensor of shape (L, D)
    present : Tensor of shape (L,)
        bool; positions that are False are masked.
    """

    vectors: Tensor
    present: Tensor


@dataclass(frozen=True)
class Decoded:
    """A text that a model wrote, its token ids without end-of-text, and whether it came to its end."""

    text: str
    ids: tuple[int, ...]
    finished: bool


def decode(
    model: LanguageModel, embeddings: Tensor, prefix: Prefix | None = None, max_tokens: int = MAX_TOKENS
) -> list[Decoded]:
    """Return the greedy continuation of each summary embedding.

    Parameters
    ----------
    model : LanguageModel
    embeddings : Tensor of shape (B, P, D)
    prefix : Prefix, optional
        A subject; see `embeddings.space.Space.subject`.
    max_tokens : int
        Texts that are longer come back cut, with ``finished`` False.

    Returns
    -------
    list of Decoded
        One a row. Ties go to the lowest token id.

    Raises
    ------
    InputError
        If the shape or a value of `embeddings` does not fit the model.

    Examples
    --------
    >>> model = LanguageModel.load()
    >>> decode(model, torch.zeros(0, 8, model.hidden_size))
    []
    """
    _check(model, embeddings, prefix, max_tokens)
    decoded: list[Decoded] = []
    rows = model.device.decode_rows
    for start in range(0, len(embeddings), rows):
        chunk = embeddings[start : start + rows]
        padding = chunk[-1:].expand(rows - len(chunk), -1, -1)
        ids = _greedy(model, torch.cat([chunk, padding]), prefix, max_tokens)
        decoded.extend(_texts(model, ids[: len(chunk)]))
    return decoded


@torch.inference_mode()
def _greedy(model: LanguageModel, embeddings: Tensor, prefix: Prefix | None, max_tokens: int) -> Tensor:
    """Return token ids (rows, max_tokens) for exactly `Device.decode_rows` embeddings."""
    device = model.device.torch
    inputs = embeddings.to(device, model.model.dtype)
    mask = torch.ones(len(inputs), inputs.shape[1] + (len(prefix.present) if prefix else 0) + max_tokens, device=device)
    if prefix is not None:
        front = prefix.vectors.to(device, inputs.dtype).expand(len(inputs), -1, -1)
        inputs = torch.cat([front, inputs], 1)
        mask[:, : front.shape[1]] = prefix.present.to(device).float()
    cache = StaticCache(config=model.model.config, max_cache_len=mask.shape[1])
    ids = torch.full((len(inputs), max_tokens), model.end, device=device)
    done = torch.zeros(len(inputs), dtype=torch.bool, device=device)
    seen = inputs.shape[1]
    for step in range(max_tokens):
        logits = model.model(
            inputs_embeds=inputs,
            attention_mask=mask,
            **_positions(model, len(inputs), 0 if step == 0 else seen + step - 1, inputs.shape[1]),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        token = torch.where(done, model.end, logits.float().argmax(-1))  # argmax takes the first of equals
        ids[:, step] = token
        done |= token == model.end
        if step % _CHECK_EVERY == _CHECK_EVERY - 1 and bool(done.all()):
            break
        inputs = model.embed(token[:, None])
    return ids.cpu()


def _positions(model: LanguageModel, rows: int, first: int, count: int) -> dict[str, Tensor]:
    """Return the positions of the inputs as keyword arguments, for the models that take them.

    Some, such as OPT, would otherwise count them in the mask, which covers the whole cache.
    """
    if not model.takes_positions:
        return {}
    return {"position_ids": torch.arange(first, first + count, device=model.device.torch).expand(rows, -1)}


def _texts(model: LanguageModel, ids: Tensor) -> Iterator[Decoded]:
    for row in ids.tolist():
        finished = model.end in row
        kept = row[: row.index(model.end)] if finished else row
        yield Decoded(model.detokenize(kept), tuple(kept), finished)


def _check(model: LanguageModel, embeddings: Tensor, prefix: Prefix | None, max_tokens: int) -> None:
    if embeddings.ndim != 3 or embeddings.shape[-1] != model.hidden_size:
        raise InputError(
            f"embeddings has shape {tuple(embeddings.shape)}; model {model.name!r} decodes (B, P, {model.hidden_size})"
        )
    if not bool(torch.isfinite(embeddings).all()):
        raise InputError("embeddings holds NaN or infinite values; invert the text again")
    if prefix is not None and (
        prefix.vectors.shape != (*prefix.present.shape, model.hidden_size)
        or not bool(torch.isfinite(prefix.vectors).all())
    ):
        raise InputError(
            f"the prefix has vectors of shape {tuple(prefix.vectors.shape)} and {tuple(prefix.present.shape)} flags, "
            f"or NaN; model {model.name!r} needs finite (L, {model.hidden_size}) and (L,)"
        )
    length = embeddings.shape[1] + max_tokens + (len(prefix.present) if prefix else 0)
    if length > model.positions:
        raise InputError(
            f"prefix, vectors and max_tokens={max_tokens} need {length} positions; {model.name!r} has {model.positions}"
        )
