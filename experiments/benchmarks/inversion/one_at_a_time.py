"""The baseline of inversion: one text at a time with AdamW, as published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from generator.language_model import LanguageModel

PUBLISHED_RATE = 1e-2
RATES = (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0)


@dataclass(frozen=True)
class Solved:
    """Vectors (P, D) found for a text, and the steps taken."""

    vectors: Tensor
    steps: int


def invert_one(
    model: LanguageModel, text: str, start: Tensor, rate: float = PUBLISHED_RATE, max_steps: int = 5000
) -> Solved:
    """Return vectors under which every token of the text is the likeliest one.

    AdamW with learning rate 1e-2, betas 0.9 and 0.9 and weight decay 0.01, until all tokens are right under teacher
    forcing (Kuratov et al., ACL 2025, and the code published with it). Unlike that code, the loss covers the first
    token and end-of-text, without which no text would be exact, and the model is loaded once.

    Parameters
    ----------
    start : Tensor of shape (P, D)
    """
    device = model.device.torch
    ids = torch.tensor([*model.tokenize(text), model.end], device=device)
    embedded = model.embed(ids[None, :-1])
    vectors = start[None].to(device, copy=True).requires_grad_(True)
    optimiser = torch.optim.AdamW([vectors], lr=rate, betas=(0.9, 0.9), weight_decay=0.01)
    steps = 0
    while steps < max_steps:
        logits = model.logits(torch.cat([vectors, embedded], 1))[0, len(start) - 1 :]
        if bool((logits.argmax(-1) == ids).all()):
            break
        optimiser.zero_grad()
        cross_entropy(logits, ids).backward()
        optimiser.step()
        steps += 1
    return Solved(vectors.detach()[0].cpu(), steps)


def best_rate(model: LanguageModel, texts: Sequence[str], starts: Tensor) -> float:
    """Return that of `RATES` with which the baseline takes the fewest steps over `texts`, (B, P, D) being starts."""

    def steps(rate: float) -> int:
        return sum(invert_one(model, text, start, rate, 200).steps for text, start in zip(texts, starts, strict=True))

    return min(RATES, key=steps)
