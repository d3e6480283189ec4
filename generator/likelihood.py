"""How likely a model finds a text: what it expects after each token, in one pass over the whole text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from generator.decoding import MAX_TOKENS
from generator.language_model import LanguageModel

_ROWS, _STEP = 16, 8
"""Texts of one pass, and what lengths are padded to multiples of: its shape depends on a text's own length alone."""


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
        Tokens, without end-of-text. The first `MAX_TOKENS` places are read: L is at most one less.

    Notes
    -----
    Texts come by their length, not in their order; none depends on the others.
    """
    buckets: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        buckets.setdefault(-(-min(len(text) + 1, MAX_TOKENS) // _STEP) * _STEP, []).append(number)
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
                inputs = torch.cat([embeddings[rows].to(model.device.torch, model.model.dtype), model.embed(ids)], 1)
                logits = model.logits(inputs)[:, embeddings.shape[1] - 1 : -1]
            if not known:  # every shape from here on would be compiled
                logits = logits.cpu()
            for row, number in enumerate(chunk):
                yield number, logits[row, : min(len(texts[number]), length - 1) + 1].float().log_softmax(-1)


def surprisals(model: LanguageModel, embeddings: Tensor, texts: Sequence[Sequence[int]]) -> Tensor:
    """Return the mean surprisal (B,) of each text's tokens, end-of-text included, in nats a token.

    Parameters are those of `expectations`; of longer texts, the places that it reads count.
    """
    found = torch.zeros(len(texts))
    for number, likely in expectations(model, embeddings, texts):
        own = torch.tensor([*texts[number], model.end], device=likely.device)[: len(likely), None]
        found[number] = -likely.gather(1, own).mean().cpu()
    return found


def surprisals_alone(model: LanguageModel, texts: Sequence[str]) -> Tensor:
    """Return the mean surprisal (B,) of each text where nothing but the model's token for a beginning comes before it.

    In nats a token, as `surprisals` returns it.
    """
    beginning = model.embed(torch.tensor([model.beginning])).float()[None]
    return surprisals(model, beginning.expand(len(texts), -1, -1), [model.tokenize(text) for text in texts])
