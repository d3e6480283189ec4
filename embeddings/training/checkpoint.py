"""What a training leaves in its folder, so that the same command goes on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from copyloom import InputError
from embeddings.folders import replacing

CHECKPOINT = "checkpoint.safetensors"
RUN = "run.json"
_FREE = ("versions", "device")
"""What may differ when a training goes on."""


@dataclass
class Looked:
    """What one look at the held-out texts found.

    Parameters
    ----------
    stage : str
    step : int
        Of the stage; 0 before the first.
    loss : float, optional
        Mean of the steps since the last look, in nats a token.
    held_out_loss : float
        In nats a token, without noise.
    consistency, exact : float
        Of the texts that are decoded at a look; see `embeddings.training.quality.Quality`.
    """

    stage: str
    step: int
    loss: float | None
    held_out_loss: float
    consistency: float
    exact: float


@dataclass
class TrainingState:
    """Where a training stands: stage and step, the lowest held-out loss and looks since it, and what was found."""

    stage: int = 0
    step: int = 0
    lowest: float | None = None
    waited: int = 0
    losses: list[float] = field(default_factory=list)
    looks: list[Looked] = field(default_factory=list)


def save_checkpoint(
    path: Path, state: TrainingState, parameters: Mapping[str, Tensor], optimiser: torch.optim.Optimizer | None
) -> None:
    """Write where a training stands, all or nothing."""
    tensors = {f"parameter.{name}": value.detach() for name, value in parameters.items()}
    kept = {} if optimiser is None else optimiser.state_dict()["state"]
    for number, values in kept.items():
        tensors |= {f"optimiser.{number}.{key}": torch.as_tensor(value) for key, value in values.items()}
    whole = {name: value.contiguous().clone() for name, value in tensors.items()}
    with replacing(path) as partial:
        save_file(whole, partial, {"state": json.dumps(asdict(state))})


def load_checkpoint(path: Path) -> tuple[TrainingState, dict[str, Tensor], dict[int, dict[str, Tensor]]]:
    """Return what `save_checkpoint` wrote: the state, parameters, and the optimiser's tensors of each."""
    if not path.exists():
        return TrainingState(), {}, {}
    try:
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()["state"])
        tensors = load_file(path)
        state = TrainingState(**{**values, "looks": [Looked(**look) for look in values["looks"]]})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it to begin again") from error
    parameters: dict[str, Tensor] = {}
    kept: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "parameter":
            parameters[rest] = value
        else:
            number, _, key = rest.partition(".")
            kept.setdefault(int(number), {})[key] = value
    return state, parameters, kept


def check_same_run(path: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Write down what is trained, or return what an earlier run of the same wrote.

    Raises
    ------
    InputError
        If it was another configuration, other texts, vectors, models or versions of them.
    """
    if not path.exists():
        with replacing(path) as partial:
            partial.write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return run
    try:
        earlier = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); train into an empty folder") from error
    mine, theirs = _flat(run), _flat(earlier)
    other = [f"{key}: {theirs.get(key)} there, {mine.get(key)} now"
             for key in sorted(mine | theirs) if mine.get(key) != theirs.get(key)]  # fmt: skip
    if other:
        raise InputError(
            f"{path.parent} holds a training of another configuration ({'; '.join(other)}); train into an empty folder,"
            " or with that one"
        )
    return earlier


def _flat(run: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in run.items() if key not in (*_FREE, "config", "precision")}
    return {**run.get("config", {}), **rest}
