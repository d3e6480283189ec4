"""The steps of a training that goes on where it was stopped, to the bit, whatever is trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from copyloom import InputError
from embeddings.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from embeddings.training.config import Schedule, share_of_rate
from generator import low_rank
from generator.language_model import LanguageModel


def put_updates_in(model: LanguageModel, rank: int, seed: int, compiled: bool) -> None:
    """Put low-rank updates into a model, in bfloat16 where there are units for it, and compile its layers if asked."""
    if model.device.has_bfloat16:
        model.model.bfloat16()
    low_rank.put_in(model.model, rank, seed)
    model.model.set_attn_implementation("eager")  # for short texts faster than fused attention
    torch._dynamo.config.recompile_limit = 64  # one a length: with fewer, the longer would run uncompiled
    for layer in model.model.base_model.layers if compiled else ():
        layer.compile(dynamic=False)


def trained_in(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return what is trained in a module, by its name there, compiled or not."""
    return {name.replace("_orig_mod.", ""): value for name, value in module.named_parameters() if value.requires_grad}


def take_steps(
    schedule: Schedule, steps: int, out: Path, named: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer,
    loss_of: Callable[[int], Tensor], log: Callable[[int, float], None], log_every: int,
) -> None:  # fmt: skip
    """Take all steps that are left of a training in a folder.

    Parameters
    ----------
    steps : int
        All there are.
    out : Path
        Holds the checkpoint.
    named : mapping of str to Parameter
        All that is trained.
    optimiser : Optimizer
        Its rates are the peak rates.
    loss_of : callable
        Returns the loss of a step, which depends on the step and the parameters alone.
    log : callable
        Hears of the steps done and the mean loss of those since it last did.

    Raises
    ------
    InputError
        If the loss is no number any more, or the checkpoint is damaged.
    """
    peaks = [group["lr"] for group in optimiser.param_groups]
    state, parameters, kept = load_checkpoint(out / CHECKPOINT)
    with torch.no_grad():
        for name, value in parameters.items():
            named[name].copy_(value)
    if kept:
        optimiser.load_state_dict({**optimiser.state_dict(), "state": kept})
    saved_at = time.monotonic()
    while state.step < steps:
        share = share_of_rate(state.step, steps, schedule.warmup, schedule.cooldown)
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * share
        loss = loss_of(state.step)
        loss.backward()
        clip_grad_norm_(named.values(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        state.losses.append(float(loss.detach()))
        state.step += 1
        if state.step % log_every == 0 or state.step == steps:
            mean, state.losses = sum(state.losses) / len(state.losses), []
            if not math.isfinite(mean):
                raise InputError(
                    f"the loss is {mean} after {state.step} steps; train into an empty folder at lower rates"
                )
            log(state.step, mean)
        if time.monotonic() - saved_at > schedule.checkpoint_seconds or state.step == steps:
            save_checkpoint(out / CHECKPOINT, state, named, optimiser)
            saved_at = time.monotonic()
