"""Interventions: what a model's layers and attention heads hand on is recorded, or shifted, while it reads and writes.

Both are forward hooks that last as long as a ``with`` block. They run wherever the model itself does: in one pass over
a whole text and in decoding with a cache alike, and they treat each row by itself, so that what is decoded still
depends on its own embedding alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from copyloom import InputError
from generator.language_model import LanguageModel

_PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "wo")
"""What architectures call the matrix that reads the heads of a layer, one beside the other."""
_HOOKED = "the Llama, Qwen, Mistral, GPT-2 or GPT-NeoX family"


@dataclass(frozen=True, eq=False)
class Shift:
    """What is added to the states that a layer hands on, or to the outputs of its attention heads.

    Parameters
    ----------
    site : {"layer", "heads"}
        The layer's output, after its residual connections; or what its heads put out, before they are projected.
    layer : int
        From 0.
    vector : Tensor of shape (H,) or (A, h), or (P, H) or (P, A, h)
        Of A heads of size h for ``heads``. With P in front, one for each of the first P positions.
    keeps_length : bool
        Whether the vector is in units of a state's length, and the moved state is scaled back to that length.
    positions : {"all", "last", "front"}
        All that are read; of each reading the last alone, at which a token is chosen; or the first P of two or more, of
        readings of so many: of a summary embedding, which is read at once and before all else.
    """

    site: Literal["layer", "heads"]
    layer: int
    vector: Tensor
    keeps_length: bool = False
    positions: Literal["all", "last", "front"] = "all"

    def of(self, states: Tensor) -> Tensor:
        """Return states (B, T, H) moved; they stay as they are themselves."""
        if self.positions == "all":
            return self._moved(states, self.vector.reshape(-1))
        if self.positions == "last":
            return torch.cat([states[:, :-1], self._moved(states[:, -1:], self.vector.reshape(-1))], 1)
        front = len(self.vector)
        if front < 2:
            raise InputError(
                "a front of one vector cannot be told from a token that is being written; give two, or shift all"
            )
        if states.shape[1] < front:
            return states
        return torch.cat([self._moved(states[:, :front], self.vector.flatten(1)), states[:, front:]], 1)

    def _moved(self, part: Tensor, vector: Tensor) -> Tensor:
        vector = vector.to(part)
        if not self.keeps_length:
            return part + vector
        length = part.norm(dim=-1, keepdim=True)
        moved = part + length * vector
        scaled: Tensor = moved * (length / moved.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(part.dtype).tiny))
        return scaled


@dataclass(eq=False)
class Recorded:
    """What the last pass through a model handed on.

    Parameters
    ----------
    layers : dict of int to Tensor of shape (B, T, H)
        The states after each layer.
    heads : dict of int to Tensor of shape (B, T, A, h)
        What each layer's heads put out.
    """

    layers: dict[int, Tensor] = field(default_factory=dict)
    heads: dict[int, Tensor] = field(default_factory=dict)


def layers_of(model: LanguageModel) -> list[nn.Module]:
    """Return the layers of a model's decoder, the first one first.

    Raises
    ------
    InputError
        If it keeps no list of as many layers as its configuration names.
    """
    count = getattr(_config(model), "num_hidden_layers", None)
    for part in model.model.base_model.modules():
        if isinstance(part, nn.ModuleList) and len(part) == count:
            return list(part)
    raise InputError(
        f"model {model.name!r} ({model.model.config.model_type}) has no list of {count} decoder layers whose states "
        f"can be shifted; choose a model of {_HOOKED}"
    )


def head_projections(model: LanguageModel) -> list[nn.Module]:
    """Return for each layer the module that reads its heads' outputs (B, T, A * h).

    Raises
    ------
    InputError
        If a layer has none of the known names inside its attention, or one that reads no whole number of heads.
    """
    return [_projection(model, number, layer) for number, layer in enumerate(layers_of(model))]


def heads_of(model: LanguageModel) -> int:
    """Return A, the attention heads of a layer."""
    return int(_config(model).num_attention_heads)


@contextmanager
def intervening(model: LanguageModel, shifts: Sequence[Shift]) -> Iterator[None]:
    """Shift what layers and heads hand on as long as the block lasts; no hook is left after it, errors or not.

    Shifts of one place follow each other in order.

    Parameters
    ----------
    model : LanguageModel
    shifts : sequence of Shift

    Raises
    ------
    InputError
        If the model lacks what a shift needs, there is no such layer, or a vector does not fit or is not finite.

    Examples
    --------
    >>> from generator.decoding import decode
    >>> model = LanguageModel.load()
    >>> with intervening(model, [Shift("layer", 3, torch.zeros(model.hidden_size))]):
    ...     found = decode(model, torch.zeros(1, 8, model.hidden_size))
    >>> found == decode(model, torch.zeros(1, 8, model.hidden_size))
    True
    """
    places = [_place(model, shift) for shift in shifts]
    with ExitStack() as hooks:
        for place, shift in zip(places, shifts, strict=True):
            if shift.site == "layer":
                hooks.callback(place.register_forward_hook(_after(shift)).remove)
            else:
                hooks.callback(place.register_forward_pre_hook(_before(shift)).remove)
        yield


@contextmanager
def recording(model: LanguageModel, heads: bool = True) -> Iterator[Recorded]:
    """Record what layers and heads hand on, pass by pass, as long as the block lasts.

    Parameters
    ----------
    model : LanguageModel
    heads : bool
        Whether to record heads too, which not every model lets one see.

    Raises
    ------
    InputError
        If the model has no layers or heads that can be seen.
    """
    found, layers = Recorded(), layers_of(model)
    projections, count = (head_projections(model), heads_of(model)) if heads else ([], 1)
    with ExitStack() as hooks:
        for number, layer in enumerate(layers):
            hooks.callback(layer.register_forward_hook(_keep_layer(found, number)).remove)
        for number, projection in enumerate(projections):
            hooks.callback(projection.register_forward_pre_hook(_keep_heads(found, number, count)).remove)
        yield found


def _config(model: LanguageModel) -> Any:
    return model.model.config.get_text_config(decoder=True)


def _projection(model: LanguageModel, number: int, layer: nn.Module) -> nn.Module:
    for name, part in layer.named_modules():
        *above, own = name.split(".")
        if own in _PROJECTIONS and any("attn" in one or "attention" in one for one in above) and _inputs(part):
            if _inputs(part) % heads_of(model):
                raise InputError(
                    f"{name!r} in layer {number} of model {model.name!r} reads {_inputs(part)} numbers, not a whole "
                    f"number for each of {heads_of(model)} heads; choose a model of {_HOOKED}"
                )
            return part
    raise InputError(
        f"layer {number} of model {model.name!r} ({model.model.config.model_type}) has no attention with one of "
        f"{', '.join(_PROJECTIONS)}, so its heads cannot be seen; choose a model of {_HOOKED}, or shift layers"
    )


def _inputs(projection: nn.Module) -> int:
    """Return how many numbers a projection reads; 0 of what is none."""
    if isinstance(projection, nn.Linear):
        return projection.in_features
    weight = getattr(projection, "weight", None)  # GPT-2 keeps it the other way round
    return int(weight.shape[0]) if isinstance(weight, Tensor) and weight.ndim == 2 else 0


def _place(model: LanguageModel, shift: Shift) -> nn.Module:
    places = layers_of(model) if shift.site == "layer" else head_projections(model)
    if not 0 <= shift.layer < len(places):
        raise InputError(f"there is no layer {shift.layer}; model {model.name!r} has layers 0 to {len(places) - 1}")
    place = places[shift.layer]
    if shift.site == "layer":
        shape: tuple[int, ...] = (int(_config(model).hidden_size),)
    else:
        shape = (heads_of(model), _inputs(place) // heads_of(model))
    given = tuple(shift.vector.shape)
    fits = given == shape if shift.positions != "front" else len(given) > 1 and given[0] and given[1:] == shape
    if not fits or not bool(shift.vector.isfinite().all()):
        before = "(P, " if shift.positions == "front" else "("
        raise InputError(
            f"a shift of layer {shift.layer} at {shift.positions} positions has a vector of shape {given}, or NaN; "
            f"model {model.name!r} needs a finite one of shape {before}{', '.join(map(str, shape))})"
        )
    return place


def _after(shift: Shift) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        return (shift.of(output[0]), *output[1:]) if isinstance(output, tuple) else shift.of(output)

    return hook


def _before(shift: Shift) -> Any:
    def hook(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shift.of(inputs[0]), *inputs[1:])

    return hook


def _keep_layer(found: Recorded, number: int) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        found.layers[number] = (output[0] if isinstance(output, tuple) else output).detach()

    return hook


def _keep_heads(found: Recorded, number: int, count: int) -> Any:
    def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        found.heads[number] = inputs[0].detach().unflatten(-1, (count, -1))

    return hook
