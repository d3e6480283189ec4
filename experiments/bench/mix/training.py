"""Training a small language model on whole texts, for the benchmark: its judge, and the entrant without adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence


def train_language_model(
    model: Any, tokenizer: Any, drawn: Callable[[], Sequence[str]], steps: int, rate: float, length: int,
    report: Callable[[float, int], None],
) -> None:  # fmt: skip
    """Train `model` by plain cross-entropy, in bfloat16, on the texts that `drawn` returns at each step.

    Each text stands between end-of-text tokens and is cut to `length` tokens; `report` hears the recent loss and the
    number of the step.
    """
    end, recent = tokenizer.eos_token_id, list[float]()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.05)
    for step in range(steps):
        rows = [torch.tensor([end, *tokenizer(text)["input_ids"], end][:length]) for text in drawn()]
        ids = pad_sequence(rows, batch_first=True, padding_value=-100)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids.clamp_min(0)).logits[:, :-1]
        loss = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        recent = [*recent[-49:], loss.item()]
        report(sum(recent) / len(recent), step + 1)
