"""Training small language models on whole texts: the critic, and the mix benchmark's entrant without adapter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from copyloom import InputError
from embeddings.training.config import share_of_rate
from experiments.training.tiny import checkpoints

_WARMUP, _COOLDOWN = 0.05, 0.5
_CHECKPOINT_SECONDS = 60.0


def train_on_whole_texts(
    model: Any, tokenizer: Any, drawn: Callable[[int], Sequence[str]], optimisers: Sequence[torch.optim.Optimizer],
    steps: int, length: int, checkpoint: Path, report: Callable[[float, int], None],
) -> None:  # fmt: skip
    """Train `model` by plain cross-entropy, in bfloat16, on the texts that `drawn` returns for each step.

    Parameters
    ----------
    model, tokenizer
        Of Transformers.
    drawn : callable
        Returns the same texts whenever it is asked for the same step.
    optimisers : sequence of Optimizer
        Their rates rise over the first 5 % of the steps and fall over the second half.
    length : int
        Tokens that a text is cut to; each stands between end-of-text tokens.
    checkpoint : Path
        A training that was stopped goes on from there.
    report : callable
        Hears the recent loss and the number of the step.

    Raises
    ------
    InputError
        If the checkpoint is of another training.
    """
    end, recent = tokenizer.eos_token_id, list[float]()
    rates, first = [optimiser.param_groups[0]["lr"] for optimiser in optimisers], 0
    config = repr((model.config.to_dict(), steps, rates, length))
    if checkpoint.exists():
        first, theirs = checkpoints.described(checkpoint)
        if theirs != config:
            raise InputError(f"{checkpoint} is of another training; train into another folder, or remove it")
        checkpoints.load(checkpoint, model, optimisers)
    saved_at = time.monotonic()
    for step in range(first, steps):
        for optimiser, rate in zip(optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * share_of_rate(
                step, steps, max(round(_WARMUP * steps), 1), _COOLDOWN
            )
        rows = [torch.tensor([end, *tokenizer(text)["input_ids"], end][:length]) for text in drawn(step)]
        ids = pad_sequence(rows, batch_first=True, padding_value=-100)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids.clamp_min(0)).logits[:, :-1]
        loss = cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        recent = [*recent[-49:], loss.item()]
        report(sum(recent) / len(recent), step + 1)
        if time.monotonic() - saved_at > _CHECKPOINT_SECONDS:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            checkpoints.save(checkpoint, model, optimisers, config, step + 1)
            saved_at = time.monotonic()
