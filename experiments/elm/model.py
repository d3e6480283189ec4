"""ELM: a language model that reads vectors of several kinds anywhere in a question, and its files.

Tennenholtz et al. (ICLR 2024, section 3): adapters bring vectors of a domain's spaces among a language model's token
embeddings. Here there is an adapter for each kind of vector, and low-rank updates take the place of a full fine-tuning.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from copyloom import InputError
from embeddings.adapter import AnyAdapter, SlotAdapter, folder_of, load_adapters, load_language_model, load_settings
from embeddings.folders import replacing
from experiments.elm.questions import PLACE, TEXT, Place, Question
from generator import low_rank
from generator.decoding import MAX_TOKENS, Choice, Decoded, Prefix, decode
from generator.device import Device
from generator.language_model import LanguageModel, hash_of

SETTINGS, TENSORS = "elm.json", "elm.safetensors"
BEHAVIOURAL = 4
"""Vectors that a behavioural vector becomes."""
_WIDTH = 256
"""Of the residual network of an adapter that is made new."""
_TOLD = 96
"""Tokens of what is told in words at a place, at most."""
_END = "\n"
"""What stands between a question and its answer."""
_ROUNDED = 32
"""Prompts are padded to a multiple of this, so that few shapes occur."""

Piece = Tensor | tuple[str, Tensor]
"""Token ids (L,), or a kind and the vector (size,) that its adapter reads."""


class ElmSettings(BaseModel):
    """What ``elm.json`` says; it may say more, about the training.

    Parameters
    ----------
    base_model : str
        The writer that it was made of.
    base_parameters : str
        Hash of its parameters.
    rank : int
        Of the low-rank updates.
    sizes : mapping of str to int
        Numbers of a vector of each kind.
    """

    model_config = ConfigDict(frozen=True)

    base_model: str
    base_parameters: str
    rank: PositiveInt
    sizes: Mapping[str, PositiveInt]


def adapters_of(
    base: str, sizes: Mapping[str, int], hidden_size: int, length: float, seed: int
) -> dict[str, AnyAdapter]:
    """Return an adapter for each kind of vector: a writer's own for sentence vectors, where it has one of that size.

    Parameters
    ----------
    base : str
        The writer.
    sizes : mapping of str to int
        Numbers of a vector of each kind.
    hidden_size : int
        D.
    length : float
        Root mean square of token embeddings.
    seed : int
        Of the parameters of new adapters.
    """
    found: dict[str, AnyAdapter] = {}
    for number, (kind, size) in enumerate(sorted(sizes.items())):
        own = load_adapters(folder_of(base))[0] if kind == TEXT and load_settings(folder_of(base)) else None
        if own is None or own.sentence_size != size:
            torch.manual_seed(seed * 100 + number)
            own = SlotAdapter(size, 8 if kind == TEXT else BEHAVIOURAL, hidden_size, _WIDTH)
            nn.init.constant_(own.length, length)
        found[kind] = own
    return found


@dataclass(eq=False)
class Elm:
    """A language model with adapters.

    Parameters
    ----------
    model : LanguageModel
        With its updates.
    adapters : mapping of str to Adapter
        By kind of vector.
    """

    model: LanguageModel
    adapters: Mapping[str, AnyAdapter]

    @classmethod
    def load(cls, folder: Path, device: Device) -> Elm:
        """Return the ELM in a folder; see `read_elm`."""
        _, base, adapters, updates = read_elm(folder, device)
        return cls.of(base, adapters, updates)

    @classmethod
    def of(cls, base: LanguageModel, adapters: Mapping[str, AnyAdapter], updates: Mapping[str, Tensor]) -> Elm:
        """Return the ELM that a writer becomes by updates, in bfloat16 where the device has it."""
        updated, fast = copy.deepcopy(base.model), base.device.has_bfloat16
        low_rank.merge(updated, updates)
        model = LanguageModel(updated.bfloat16() if fast else updated, base.tokenizer, base.name, base.device)
        return cls(model, {kind: one.to(base.device.torch).eval() for kind, one in adapters.items()})

    @cached_property
    def digest(self) -> str:
        """A hash of all its parameters."""
        return hash_of({**self.model.model.state_dict(), **saved_adapters(self.adapters)})

    def check(self, question: Question) -> None:
        """Raise `InputError` where a vector is not one that an adapter reads, or is not finite."""
        for name, place in question.places.items():
            if place.kind not in self.adapters:
                raise InputError(f"{name} is a {place.kind!r} vector; this model reads {', '.join(self.adapters)}")
            size = self.adapters[place.kind].sentence_size
            if place.vector.shape != (size,) or not bool(place.vector.isfinite().all()):
                raise InputError(
                    f"{name} is a {place.kind} vector of shape {tuple(place.vector.shape)}, or not finite; this model "
                    f"reads finite ones of {size} numbers"
                )

    @torch.no_grad()
    def answers(self, questions: Sequence[Question], told: bool = False, max_tokens: int = MAX_TOKENS) -> list[str]:
        """Return an answer to each question, greedily; `told` says places in words instead of vectors, if it can."""
        for one in questions:
            self.check(one)
        read = [embedded(self.model, self.adapters, pieces_of(self.model, one, told)) for one in questions]
        return [told_plainly(one) for one in written(self.model, read, max_tokens)]


def read_elm(
    folder: Path, device: Device
) -> tuple[ElmSettings, LanguageModel, dict[str, AnyAdapter], dict[str, Tensor]]:
    """Return what lies in a folder: settings, the writer that the ELM was made of, adapters and low-rank updates.

    Raises
    ------
    InputError
        If there is none, its files are damaged, or its language model has other parameters now.
    """
    try:
        settings = ElmSettings.model_validate_json((folder / SETTINGS).read_bytes())
        tensors = load_file(folder / TENSORS)
    except (OSError, ValidationError, SafetensorError) as error:
        raise InputError(f"there is no ELM in {folder} ({error}); train one: copyloom study elm") from error
    base = load_language_model(settings.base_model, device)[0]
    if base.identity.parameters != settings.base_parameters:
        raise InputError(
            f"the ELM in {folder} was trained on {settings.base_model!r} with parameters {settings.base_parameters}; "
            f"it has {base.identity.parameters} now: train the ELM again"
        )
    adapters = adapters_of(settings.base_model, settings.sizes, base.hidden_size, base.embedding_rms, 0)
    nn.ModuleDict(adapters).load_state_dict(_named(tensors, "adapters."))
    return settings, base, adapters, _named(tensors, "low_rank.")


def embedded(model: LanguageModel, adapters: Mapping[str, AnyAdapter], pieces: Sequence[Piece]) -> Tensor:
    """Return what a model reads of a question, (L, D), on the CPU."""
    where = model.device.torch
    return torch.cat([
        model.embed(piece).float().cpu() if isinstance(piece, Tensor)
        else adapters[piece[0]](piece[1][None].to(where))[0].float().cpu()
        for piece in pieces
    ])  # fmt: skip


def saved_adapters(adapters: Mapping[str, AnyAdapter]) -> dict[str, Tensor]:
    """Return the parameters of adapters by the names that they are saved under."""
    return {f"adapters.{name}": value for name, value in nn.ModuleDict(adapters).state_dict().items()}


def save_elm(
    folder: Path, settings: ElmSettings, adapters: Mapping[str, AnyAdapter], updates: Mapping[str, Tensor],
    more: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write an ELM into a folder; `more` is said of its training."""
    tensors = saved_adapters(adapters) | {f"low_rank.{name}": value for name, value in updates.items()}
    with replacing(folder / TENSORS) as partial:
        save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, partial)
    with replacing(folder / SETTINGS) as partial:
        said = json.dumps({**settings.model_dump(), **more}, indent=2, ensure_ascii=False)
        partial.write_text(f"{said}\n", encoding="utf-8")


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, without that."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def pieces_of(model: LanguageModel, question: Question, told: bool) -> list[Piece]:
    """Return what a model reads of a question, in order; `told` says places in words, where there are any."""
    found: list[Piece] = []
    for number, part in enumerate(PLACE.split(question.asked)):  # text, name, text, ...
        place: Place | None = question.places[part] if number % 2 else None
        if place is not None and not (told and place.words):
            found.append((place.kind, place.vector))
        elif words := (place.words if place is not None else part):
            ids = model.tokenize(words)
            found.append(torch.tensor(ids[:_TOLD] if place is not None else ids))
    return [*found, torch.tensor(model.tokenize(_END))]


def length_of(piece: Piece, adapters: Mapping[str, AnyAdapter]) -> int:
    """Return how many positions a piece takes."""
    return len(piece) if isinstance(piece, Tensor) else adapters[piece[0]].vectors


@torch.no_grad()
def written(
    model: LanguageModel, prompts: Sequence[Tensor], max_tokens: int, choice: Choice | None = None
) -> list[Decoded]:
    """Return what a model writes to each prompt (L_i, D), of two positions or more; prompts of a length together."""
    rows, order = model.device.decode_rows, sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    found: dict[int, Decoded] = {}
    for first in range(0, len(order), rows):
        chunk = order[first : first + rows]
        padded = [prompts[number][:-1] for number in chunk + chunk[-1:] * (rows - len(chunk))]
        last = torch.stack([prompts[number][-1:] for number in chunk])
        found |= dict(zip(chunk, decode(model, last, _prefix(padded), max_tokens, choice=choice), strict=True))
    return [found[number] for number in range(len(prompts))]


def told_plainly(answer: Decoded) -> str:
    """Return an answer in one line."""
    return " ".join(answer.text.split())


def _prefix(read: Sequence[Tensor]) -> Prefix:
    """Return prompts (L_i, D) as a prefix each, filled up on the left."""
    longest = -(-(max(map(len, read)) + 1) // _ROUNDED) * _ROUNDED  # a gap always: without one, another kernel runs
    vectors = torch.zeros(len(read), longest, read[0].shape[1])
    present = torch.zeros(len(read), longest, dtype=torch.bool)
    for row, values in enumerate(read):
        vectors[row, longest - len(values) :] = values
        present[row, longest - len(values) :] = True
    return Prefix(vectors, present)
