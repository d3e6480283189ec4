"""Checkpoints of a training: parameters and the optimisers' states in one safetensors file, whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from embeddings.folders import replacing

_TIED = "lm_head"
"""What shares its parameters with the input embeddings, and is not saved."""


def save(path: Path, model: nn.Module, optimisers: Sequence[torch.optim.Optimizer], config: str, step: int) -> None:
    """Write what a training of `config`, as text, needs to go on after `step` steps."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items() if _TIED not in name}
    for i, optimiser in enumerate(optimisers):
        for parameter, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{parameter}.{key}": torch.as_tensor(value) for key, value in state.items()}
    metadata = {"step": str(step), "config": config}
    with replacing(path) as partial:
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata)


def described(path: Path) -> tuple[int, str]:
    """Return the step at which a checkpoint was taken, and the configuration that it is of."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    return int(metadata["step"]), metadata["config"]


def load(path: Path, model: nn.Module, optimisers: Sequence[torch.optim.Optimizer]) -> None:
    """Give a model and its optimisers the state of a checkpoint; parameters that are tied are tied by the caller."""
    tensors = load_file(path)
    weights = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    model.load_state_dict(weights, strict=False)
    for i, optimiser in enumerate(optimisers):
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(f"optimiser.{i}."):
                parameter, key = name.split(".", 3)[2:]
                states.setdefault(int(parameter), {})[key] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
