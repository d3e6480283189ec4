"""The adapter: from a sentence vector to the summary embedding that a language model decodes; and its files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from copyloom import InputError
from embeddings.encoder import ENCODER_ID
from embeddings.subject import SubjectAdapter
from generator.device import Device
from generator.language_model import LanguageModel

ADAPTER_FILE = "adapter.safetensors"
ADAPTER_SETTINGS = "adapter.json"


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
        self.sentence_size, self.vectors, self.hidden_size, self.width = (
            sentence_size,
            vectors,
            hidden_size,
            width,
        )
        self.inner = nn.Linear(sentence_size, width)
        self.outer = nn.Linear(width, vectors * hidden_size)

    def forward(self, sentence_vectors: Tensor) -> Tensor:
        """Return summary embeddings of shape (B, P, D) for unit sentence vectors of shape (B, S)."""
        scaled = sentence_vectors * self.sentence_size**0.5  # unit variance per coordinate
        hidden = nn.functional.gelu(self.inner(scaled))
        return self.outer(hidden).unflatten(-1, (self.vectors, self.hidden_size))


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

    def adapter(self) -> Adapter:
        """Return an untrained adapter of these sizes."""
        return Adapter(self.sentence_size, self.vectors, self.hidden_size, self.width)


def load_settings(folder: Path) -> AdapterSettings | None:
    """Return the settings of the adapter in `folder`, or None if there is none.

    Raises
    ------
    InputError
        If they are damaged.
    """
    try:
        return AdapterSettings.model_validate_json((folder / ADAPTER_SETTINGS).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unusable(folder, error) from error


def load_adapters(folder: Path) -> tuple[Adapter, SubjectAdapter | None]:
    """Return the adapter, and the subject adapter if there is one, that lie beside a model.

    Raises
    ------
    InputError
        If their files are damaged or do not fit together.
    """
    try:
        return _read_adapters(folder)
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: Exception) -> InputError:
    return InputError(f"the adapter in {folder} cannot be used ({error}); train it again, or remove its files")


def _read_adapters(folder: Path) -> tuple[Adapter, SubjectAdapter | None]:
    settings = AdapterSettings.model_validate_json((folder / ADAPTER_SETTINGS).read_bytes())
    tensors = {name: value.float() for name, value in load_file(folder / ADAPTER_FILE).items()}
    adapter = settings.adapter()
    adapter.load_state_dict({k.removeprefix("adapter."): v for k, v in tensors.items() if k.startswith("adapter.")})
    subject_state = {k.removeprefix("subject."): v for k, v in tensors.items() if k.startswith("subject.")}
    if not subject_state:
        return adapter, None
    subject = SubjectAdapter(settings.sentence_size, settings.hidden_size)
    subject.load_state_dict(subject_state)
    return adapter, subject


def load_language_model(name: str, device: Device) -> LanguageModel:
    """Return the language model at a folder or hub id, or the one that the adapter in this folder was trained for.

    Raises
    ------
    InputError
        If it is not there, or has other parameters than the adapter was trained for.
    """
    settings = load_settings(Path(name).expanduser())
    if settings is None or not settings.base_model:
        return LanguageModel.load(name, device)
    base = LanguageModel.load(settings.base_model, device)
    if base.identity.parameters != settings.base_parameters:
        raise InputError(
            f"the adapter in {name} was trained for {settings.base_model!r} with parameters "
            f"{settings.base_parameters}; that model has {base.identity.parameters} now: train the adapter again"
        )
    return LanguageModel(base.model, base.tokenizer, name, device)


def adapter_hash(adapter: Adapter) -> str:
    """Return a hash of the adapter's parameters."""
    digest = hashlib.sha256()
    for value in adapter.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
