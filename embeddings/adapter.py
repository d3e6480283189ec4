"""The adapter: from a sentence vector to the summary embedding that a language model decodes; and its files."""

from __future__ import annotations

import copy
import hashlib
import lzma
from collections.abc import Mapping
from functools import lru_cache
from lzma import LZMAError
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor, nn

from copyloom import InputError
from embeddings.encoder import ENCODER_ID
from embeddings.subject import SubjectAdapter
from generator import low_rank, models
from generator.device import Device
from generator.eight_bits import unpacked
from generator.language_model import SHIPPED_FOLDER, LanguageModel, hash_of
from generator.models import SHIPPED
from generator.paths import expanded

ADAPTER_FILE = "adapter.safetensors"
PACKED_ADAPTER = f"{ADAPTER_FILE}.xz"
"""The same, compressed: of writers, whose low-rank updates are large."""
ADAPTER_SETTINGS = "adapter.json"
WRITER_FOLDER = SHIPPED_FOLDER.parent / "smollm2_writer"
"""The adapter and low-rank updates that make a writer of `generator.models.WRITER`."""

_UPDATES = "low_rank."


class Adapter(nn.Module):
    """Map sentence vectors (B, S) to summary embeddings (B, P, D) with a two-layer perceptron.

    The method is the adapter of ELM (Tennenholtz et al., ICLR 2024, section 3), trained with the language model by
    plain cross-entropy.

    Parameters
    ----------
    sentence_size : int
        S.
    vectors : int
        P.
    hidden_size : int
        D of the language model.
    width : int
        Of the hidden layer.
    """

    def __init__(self, sentence_size: int, vectors: int, hidden_size: int, width: int) -> None:
        super().__init__()
        self.sentence_size, self.vectors, self.hidden_size, self.width = sentence_size, vectors, hidden_size, width
        self.inner = nn.Linear(sentence_size, width)
        self.outer = nn.Linear(width, vectors * hidden_size)

    def forward(self, sentence_vectors: Tensor) -> Tensor:
        """Return summary embeddings of shape (B, P, D) for unit sentence vectors of shape (B, S)."""
        scaled = sentence_vectors * self.sentence_size**0.5  # unit variance per coordinate
        hidden = nn.functional.gelu(self.inner(scaled))
        return self.outer(hidden).unflatten(-1, (self.vectors, self.hidden_size))


class SlotAdapter(nn.Module):
    """Map sentence vectors (B, S) to summary embeddings (B, P, D) that lie among a pretrained model's token embeddings.

    A linear map to P slots, so that mixing sentence vectors mixes slots; each slot brought to one length; and a small
    residual network that all slots share, which begins as nothing.

    Parameters
    ----------
    sentence_size, vectors, hidden_size, width : int
        As `Adapter` takes them; the width is that of the residual network.
    """

    def __init__(self, sentence_size: int, vectors: int, hidden_size: int, width: int) -> None:
        super().__init__()
        self.sentence_size, self.vectors, self.hidden_size, self.width = sentence_size, vectors, hidden_size, width
        self.slots = nn.Linear(sentence_size, vectors * hidden_size)
        self.length = nn.Parameter(torch.ones(vectors, 1))
        self.inner, self.outer = nn.Linear(hidden_size, width), nn.Linear(width, hidden_size)
        nn.init.normal_(self.slots.bias, std=0.5)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, sentence_vectors: Tensor) -> Tensor:
        """Return summary embeddings of shape (B, P, D) for sentence vectors of shape (B, S), of unit length or zero.

        Zeros are the null prefix: it says nothing of what is to be written.
        """
        slots = self.slots(sentence_vectors * self.sentence_size**0.5).unflatten(-1, (self.vectors, self.hidden_size))
        slots = nn.functional.normalize(slots, dim=-1) * self.hidden_size**0.5
        return self.length * (slots + self.outer(nn.functional.gelu(self.inner(slots))))


AnyAdapter = Adapter | SlotAdapter


class AdapterSettings(BaseModel):
    """What ``adapter.json`` says; it may say more, about the training.

    Parameters
    ----------
    sentence_size, vectors, hidden_size, width : int
        See `Adapter`.
    encoder : str, optional
        all-MiniLM-L6-v2, or the folder or hub id of a sentence-transformers model. None where the adapter reads vectors
        that no encoder makes of a text.
    encoder_parameters : str
        Hash of that encoder's parameters; empty for all-MiniLM-L6-v2.
    vectors_of : str
        What the vectors are, where there is no encoder.
    base_model : str
        The language model, where it does not lie beside the adapter.
    base_parameters : str
        Hash of its parameters.
    kind : {"mlp", "slots"}
        `Adapter` or `SlotAdapter`.
    rank : int
        Of the low-rank updates of the language model that lie beside the adapter; 0 where there are none.
    """

    model_config = ConfigDict(frozen=True)

    sentence_size: PositiveInt
    vectors: PositiveInt
    hidden_size: PositiveInt
    width: PositiveInt
    encoder: str | None = ENCODER_ID
    encoder_parameters: str = ""
    vectors_of: str = ""
    base_model: str = ""
    base_parameters: str = ""
    kind: Literal["mlp", "slots"] = "mlp"
    rank: NonNegativeInt = 0

    def adapter(self) -> AnyAdapter:
        """Return an untrained adapter of these sizes."""
        kind = Adapter if self.kind == "mlp" else SlotAdapter
        return kind(self.sentence_size, self.vectors, self.hidden_size, self.width)


def load_settings(folder: Path) -> AdapterSettings | None:
    """Return the settings of the adapter in `folder`, or None if there is none."""
    try:
        return AdapterSettings.model_validate_json((folder / ADAPTER_SETTINGS).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unusable(folder, error) from error


def is_composing(name: str) -> bool:
    """Say whether a model writes by composing, before it is loaded: see `embeddings.space.Space.composes`."""
    settings = load_settings(folder_of(name))
    return settings is not None and bool(settings.base_model) and settings.rank > 0


def load_adapters(folder: Path) -> tuple[AnyAdapter, SubjectAdapter | None]:
    """Return the adapter, and the subject adapter if there is one, that lie beside a model.

    Raises
    ------
    InputError
        If their files are damaged or do not fit together.
    """
    try:
        return _read_adapters(folder)
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError, LZMAError) as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: Exception) -> InputError:
    return InputError(f"the adapter in {folder} cannot be used ({error}); train it again, or remove its files")


def _read_adapters(folder: Path) -> tuple[AnyAdapter, SubjectAdapter | None]:
    settings = AdapterSettings.model_validate_json((folder / ADAPTER_SETTINGS).read_bytes())
    tensors = unpacked(_saved_tensors(folder))
    adapter = settings.adapter()
    adapter.load_state_dict({k.removeprefix("adapter."): v for k, v in tensors.items() if k.startswith("adapter.")})
    subject_state = {k.removeprefix("subject."): v for k, v in tensors.items() if k.startswith("subject.")}
    if not subject_state:
        return adapter, None
    subject = SubjectAdapter(settings.sentence_size, settings.hidden_size)
    subject.load_state_dict(subject_state)
    return adapter, subject


def _saved_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the tensors that lie beside an adapter's settings as they were saved, perhaps compressed."""
    if (packed := folder / PACKED_ADAPTER).is_file():
        return _decompressed(packed, packed.stat().st_mtime_ns)
    return load_file(folder / ADAPTER_FILE)


@lru_cache(maxsize=1)
def _decompressed(file: Path, changed_at: int) -> dict[str, Tensor]:
    """Return the tensors of a file, kept as adapter and low-rank updates are asked for one after the other."""
    return load(lzma.decompress(file.read_bytes()))


def folder_of(name: str) -> Path:
    """Return the folder in which the adapter of a model lies, if it has one: those that are shipped go by name."""
    return {SHIPPED: SHIPPED_FOLDER, models.WRITER: WRITER_FOLDER}.get(name) or expanded(name)


def load_language_model(
    name: str, device: Device, trust_remote_code: bool = False
) -> tuple[LanguageModel, LanguageModel | None]:
    """Return the language model that the adapter of `name` was trained for, or the one at a folder or hub id.

    Low-rank updates that lie beside the adapter are merged into it; the second model is then the one without them.

    Raises
    ------
    InputError
        If it is not there, or has other parameters than the adapter was trained for.
    """
    settings = load_settings(folder := folder_of(name))
    if settings is None or not settings.base_model:
        return LanguageModel.load(name, device, trust_remote_code=trust_remote_code), None
    base = LanguageModel.load(settings.base_model, device, trust_remote_code=trust_remote_code)
    if base.identity.parameters != settings.base_parameters:
        raise InputError(
            f"the adapter in {name} was trained for {settings.base_model!r} with parameters "
            f"{settings.base_parameters}; that model has {base.identity.parameters} now: get that model again, or "
            "train the adapter again"
        )
    if not settings.rank:
        return LanguageModel(base.model, base.tokenizer, name, device), None
    updated, updates = copy.deepcopy(base.model), updates_beside(folder)
    low_rank.merge(updated, updates)
    together = hashlib.sha256(f"{base.identity.parameters} {hash_of(updates)}".encode()).hexdigest()[:16]
    return LanguageModel(updated, base.tokenizer, name, device, together), base


def updates_beside(folder: Path) -> dict[str, Tensor]:
    """Return the low-rank updates that lie beside an adapter, as `generator.low_rank.merge` takes them."""
    try:
        tensors = unpacked(_saved_tensors(folder))
    except (OSError, SafetensorError, LZMAError) as error:
        raise _unusable(folder, error) from error
    return {name.removeprefix(_UPDATES): value for name, value in tensors.items() if name.startswith(_UPDATES)}


def named_tensors(adapter: nn.Module, updates: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return an adapter's parameters and low-rank updates by the names that they are saved under."""
    named = {f"adapter.{name}": value for name, value in adapter.state_dict().items()}
    return named | {f"{_UPDATES}{name}": value for name, value in updates.items()}


def adapter_hash(adapter: AnyAdapter) -> str:
    """Return a hash of the adapter's parameters."""
    digest = hashlib.sha256()
    for value in adapter.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
