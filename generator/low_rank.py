"""Low-rank updates of a language model's matrices, trained beside and merged into them (LoRA: Hu et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from copyloom import SpaceError

SCALE = 2.0
"""What an update is multiplied by, whatever its rank."""


class LowRank(nn.Module):
    """A frozen linear layer W with an update: ``W x + SCALE * up (down x)``.

    Parameters
    ----------
    frozen : nn.Linear
    rank : int
    generator : torch.Generator
        Of the first values of ``down``; ``up`` begins as zeros, so that nothing changes yet.
    """

    def __init__(self, frozen: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.frozen = frozen
        first = torch.randn(rank, frozen.in_features, generator=generator) / frozen.in_features**0.5
        self.down = nn.Parameter(first)
        self.up = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs (..., out) for inputs (..., in), computed in their type; the update's masters may be finer."""
        down, up = self.down.to(inputs.dtype), (SCALE * self.up).to(inputs.dtype)
        updated: Tensor = self.frozen(inputs) + linear(linear(inputs, down), up)
        return updated


def put_in(model: nn.Module, rank: int, seed: int) -> None:
    """Put updates that change nothing yet beside every linear layer of `model` but its head; they alone are trained.

    Raises
    ------
    SpaceError
        If there is no such layer.
    """
    generator = torch.Generator().manual_seed(seed)
    find_head = getattr(model, "get_output_embeddings", None)
    head = find_head() if callable(find_head) else None
    model.requires_grad_(False)
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear) and layer is not head:
                setattr(parent, name, LowRank(layer, rank, generator).to(layer.weight.device))
    if not updates_of(model):
        raise SpaceError(f"{type(model).__name__} has no linear layers that take updates; choose a Llama-class model")


def updates_of(model: nn.Module) -> dict[str, Tensor]:
    """Return what `put_in` put in, by the name of the layer and ``.down`` or ``.up``."""
    found: dict[str, Tensor] = {}
    for name, layer in model.named_modules():
        if isinstance(layer, LowRank):
            name = name.replace("_orig_mod.", "")
            found |= {f"{name}.down": layer.down.detach(), f"{name}.up": layer.up.detach()}
    return found


@torch.no_grad()
def restore(model: nn.Module, updates: Mapping[str, Tensor]) -> None:
    """Give the updates that `put_in` put in the values that `updates_of` returned."""
    mine = updates_of(model)
    shapes = {name: tuple(value.shape) for name, value in mine.items()}
    if shapes != {name: tuple(value.shape) for name, value in updates.items()}:
        raise SpaceError("the low-rank updates are of another kind of model or of another rank; take those of this one")
    for name, value in mine.items():
        value.copy_(updates[name])


@torch.no_grad()
def merge(model: nn.Module, updates: Mapping[str, Tensor]) -> None:
    """Add updates to the matrices of `model`, which has none put in."""
    layers = dict(model.named_modules())
    for name in sorted({key.rpartition(".")[0] for key in updates}):
        down, up, layer = updates.get(f"{name}.down"), updates.get(f"{name}.up"), layers.get(name)
        if down is None or up is None or not isinstance(layer, nn.Linear):
            raise SpaceError(f"the update of {name!r} does not fit this model; use the model it was trained for")
        if layer.weight.shape != (len(up), down.shape[1]):
            raise SpaceError(
                f"the low-rank update of {name!r} has shape {(len(up), down.shape[1])}, the layer "
                f"{tuple(layer.weight.shape)}; use the model it was trained for"
            )
        layer.weight += SCALE * (up.float() @ down.float()).to(layer.weight)
