"""The adapter: from a sentence vector to the summary embedding that a language model decodes; and its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from copyloom import InputError
from embeddings.subject import SubjectAdapter

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
        raise InputError(
            f"the adapter in {folder} cannot be used ({error}); train it again, or remove its files"
        ) from error


def _read_adapters(folder: Path) -> tuple[Adapter, SubjectAdapter | None]:
    settings = json.loads((folder / ADAPTER_SETTINGS).read_text())
    tensors = {name: value.float() for name, value in load_file(folder / ADAPTER_FILE).items()}
    adapter = Adapter(settings["sentence_size"], settings["vectors"], settings["hidden_size"], settings["width"])
    adapter.load_state_dict({k.removeprefix("adapter."): v for k, v in tensors.items() if k.startswith("adapter.")})
    subject_state = {k.removeprefix("subject."): v for k, v in tensors.items() if k.startswith("subject.")}
    if not subject_state:
        return adapter, None
    subject = SubjectAdapter(settings["sentence_size"], settings["hidden_size"])
    subject.load_state_dict(subject_state)
    return adapter, subject


def adapter_hash(adapter: Adapter) -> str:
    """Return a hash of the adapter's parameters."""
    digest = hashlib.sha256()
    for value in adapter.state_dict().values():
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
