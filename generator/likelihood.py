"""How likely a model finds a text: what it expects after each token, in one pass over the whole text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from generator.decoding import MAX_TOKENS
from generator.language_model import LanguageModel

_ROWS = 32
_LENGTHS = 16
"""Texts are padded to a multiple of this: the shape of a pass depends on a text's own length alone."""


def expectations(
    model: LanguageModel, embeddings: Tensor, texts: Sequence[Sequence[int]]
) -> Iterator[tuple[int, Tensor]]:
    """Yield each text's number and the log-probabilities (L + 1, V) of what comes at its places and after its end.

    Parameters
    ----------
    model : LanguageModel
    embeddings : Tensor of shape (B, P, D)
        What the model reads before each text.
    texts : sequence of sequence of int
        L tokens each, without end-of-text; what goes beyond `MAX_TOKENS` is not read.

    Notes
    -----
    Those of like length come together, whatever their order; none depends on the others.
    """
    buckets: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        buckets.setdefault(-(-min(len(text) + 1, MAX_TOKENS) // _LENGTHS) * _LENGTHS, []).append(number)
    known = not model.device.compiles_shapes
    for length, numbers in sorted(buckets.items()):
        for first in range(0, len(numbers), _ROWS):
            chunk = numbers[first : first + _ROWS]
            ids = torch.full((_ROWS, length), model.end)
            for row, number in enumerate(chunk):
                tokens = texts[number][: length - 1]
                ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            rows = chunk + chunk[-1:] * (_ROWS - len(chunk))
            with torch.no_grad(), torch.inference_mode(known):
                likely = _read(model, embeddings[rows], ids)
            for row, number in enumerate(chunk):
                yield number, likely[row, : min(len(texts[number]), length - 1) + 1]


def surprisals(model: LanguageModel, embeddings: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    """Return the mean surprisal (B,) of each text's tokens, end-of-text included, in nats a token.

    Parameters are those of `expectations`.
    """
    found = torch.zeros(len(texts))
    for number, likely in expectations(model, embeddings, texts):
        own = torch.tensor([*texts[number][: len(likely) - 1], model.end])
        found[number] = -likely.gather(1, own[:, None].to(likely.device)).mean().cpu()
    return found


def _read(model: LanguageModel, embeddings: Tensor, ids: Tensor) -> Tensor:
    """Return the log-probabilities (R, L, V) at every place of token ids (R, L) after embeddings (R, P, D)."""
    inputs = torch.cat([embeddings.to(model.device.torch, model.model.dtype), model.embed(ids)], 1)
    logits: Tensor = model.model(inputs_embeds=inputs, use_cache=False).logits
    return logits[:, embeddings.shape[1] - 1 : -1].float().log_softmax(-1)
