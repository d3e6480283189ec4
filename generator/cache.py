"""What a model has read so far: its keys and values, or its recurrent states, in shapes that depend on the step alone.

Where each new shape of a tensor costs a compilation, the cache has its full length from the start. Elsewhere it shows
as many positions as have been read: attention then costs what it must, and needs no mask.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, StaticCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionCacheLayerMixin

from generator.language_model import LanguageModel

_ROOM = 32


class CachedModel:
    """Lets a model read vectors, a few positions at a time, as many rows each time as it was last told to go on with.

    Parameters
    ----------
    model : LanguageModel
    length : int
        The most positions that it will read.
    """

    def __init__(self, model: LanguageModel, length: int) -> None:
        self.model, self.seen = model, 0
        self._fixed = model.device.compiles_shapes
        self._cache = _cache(model, length)
        self._present = torch.ones(1, length, device=model.device.torch)
        self._gaps = False
        self._next = torch.zeros(1, dtype=torch.long, device=model.device.torch)  # a number would be compiled in

    @property
    def is_recurrent(self) -> bool:
        """Whether the model keeps a state, which takes more than one position only at the start."""
        return any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in self._cache.layers)

    def read(self, inputs: Tensor, present: Tensor | None = None) -> Tensor:
        """Return the logits after the last position.

        Parameters
        ----------
        inputs : Tensor of shape (R, T, D)
        present : Tensor of shape (T,) or (R, T), optional
            bool; positions that are False are never attended to.

        Returns
        -------
        Tensor of shape (R, V)
            Of the model's type; the caller may overwrite it.
        """
        first, self.seen = self.seen, self.seen + inputs.shape[1]
        if present is not None and not bool(present.all()):
            self._gaps = True
            if present.ndim == 2 and len(self._present) < len(present):
                self._present = self._present.repeat(len(present), 1)
            self._present[:, first : self.seen] = present.to(self._present)
        positions = (torch.arange(inputs.shape[1], device=inputs.device) + self._next).expand(len(inputs), -1)
        self._next += inputs.shape[1]
        last = torch.tensor([inputs.shape[1] - 1], device=inputs.device)  # a slice would have the head's matrix copied
        optional = {"position_ids": positions, "logits_to_keep": last}
        logits: Tensor = self.model.model(
            inputs_embeds=inputs,
            attention_mask=self._mask(len(inputs)),
            use_cache=True,
            **{self.model.cache_name: self._cache},
            **{name: value for name, value in optional.items() if name in self.model.takes},
        ).logits
        return logits[:, -1]

    def take(self, rows: Tensor) -> None:
        """Let row i go on from what row ``rows[i]`` has read."""
        self._cache.reorder_cache(rows)
        if len(self._present) > 1:
            self._present = self._present[rows]

    def _mask(self, rows: int) -> Tensor | None:
        if self._fixed and not self.is_recurrent:
            return self._present.expand(rows, -1)  # the model adds that nothing attends to what comes later
        return self._present[:, : self.seen].expand(rows, -1) if self._gaps else None


def _cache(model: LanguageModel, length: int) -> Any:
    if model.device.compiles_shapes:
        return StaticCache(config=model.model.config, max_cache_len=length)
    cache = DynamicCache(config=model.model.config)
    cache.layers = [
        _RoomyLayer() if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) else layer for layer in cache.layers
    ]
    return cache


class _RoomyLayer(DynamicLayer):
    """Keys and values with room for more, so that few steps copy them. A sliding window is left to the mask."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Return all keys and values (R, heads, seen, head size), the new ones appended."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        first = self.get_seq_length()
        last = first + key_states.shape[2]
        if not self._buffers or last > self._buffers[0].shape[2]:
            self._buffers = [_with_room(self.keys, key_states, first), _with_room(self.values, value_states, first)]
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, first:last] = new
        shown = [buffer[:, :, :last] for buffer in self._buffers]
        self.keys, self.values = shown
        return shown[0], shown[1]

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Replace row i by row ``beam_idx[i]``; room stays."""
        seen = self.get_seq_length()
        self._buffers = [buffer.index_select(0, beam_idx) for buffer in self._buffers]
        if self._buffers:
            self.keys, self.values = (buffer[:, :, :seen] for buffer in self._buffers)


def _with_room(old: Tensor | None, new: Tensor, first: int) -> Tensor:
    """Return a buffer which begins with `old`'s `first` positions and has room for `new` and `_ROOM` more."""
    buffer = new.new_empty(*new.shape[:2], first + new.shape[2] + _ROOM, new.shape[3])
    if old is not None and first:
        buffer[:, :, :first] = old
    return buffer
