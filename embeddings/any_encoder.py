"""Sentence vectors of any sentence-transformers model; and what stands in where no encoder makes the vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from embeddings.adapter import AdapterSettings
from embeddings.encoder import ENCODER_ID, Encoder, SentenceEncoder
from generator.language_model import hash_of, own_code
from generator.paths import expanded


class AnyEncoder:
    """Texts to unit vectors, by a sentence-transformers model.

    Parameters
    ----------
    source : str
        A folder or hub id.
    device : torch.device or str
    trust_remote_code : bool
        Run the code that a model brings with it, where it does.

    Raises
    ------
    InputError
        If there is no such model, the package is not installed, or the model brings code that is not trusted.

    Notes
    -----
    Texts are padded to the longest beside them: in the last digits a vector depends on its company.
    """

    def __init__(self, source: str, device: torch.device | str = "cpu", trust_remote_code: bool = False) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise InputError(
                f"encoder {source!r} needs the package sentence-transformers: pip install 'copyloom[adapters]'"
            ) from error
        if source.startswith((".", "/", "~")) and not expanded(source).is_dir():
            raise InputError(
                f"no encoder folder at {source!r}; give {ENCODER_ID}, a folder, or the hub id of a "
                "sentence-transformers model"
            )
        folder = expanded(source)
        self.source = str(folder.resolve()) if folder.is_dir() else source
        if not trust_remote_code and (code := _own_parts(folder)):
            raise InputError(
                f"encoder {source!r} brings code of its own ({code[0]}), which would run on this machine with your "
                "rights; read it, and if you trust it give --trust-remote-code, or choose another encoder"
            )
        try:
            self._model: Any = SentenceTransformer(
                self.source, device=str(device), trust_remote_code=trust_remote_code
            ).eval()
        except Exception as error:  # any part of another's model may fail in its own way
            first = str(error).strip().partition("\n")[0]
            raise InputError(f"encoder {source!r} cannot be loaded: {first}") from error
        self.parameters = hash_of(self._model.state_dict()) + own_code(self._model)
        self.name = f"{Path(self.source).name if folder.is_dir() else source} (parameters {self.parameters})"
        self.size = len(self.encode(["."])[0])

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the sentence vectors (B, S) of `texts`: float32, unit length, on the CPU.

        Raises
        ------
        InputError
            If the model makes no finite vector of a text.
        """
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        if not distinct:
            return torch.empty(0, self.size)
        found = self._model.encode(list(distinct), convert_to_tensor=True, show_progress_bar=False)
        vectors = normalize(found.detach().float().cpu(), dim=-1)
        if not bool(vectors.isfinite().all()):
            text = next(text for text, row in distinct.items() if not bool(vectors[row].isfinite().all()))
            raise InputError(f"encoder {self.source!r} makes NaN or infinite values of {text[:30]!r}; choose another")
        return vectors[[distinct[text] for text in texts]]


class NoEncoder:
    """Stands where an adapter reads vectors that no encoder makes of a text: it knows their size, and makes none.

    Parameters
    ----------
    vectors_of : str
        What they are.
    size : int
        S.
    """

    def __init__(self, vectors_of: str, size: int) -> None:
        self.name, self.size = f"none: vectors of {vectors_of}", size
        self._vectors_of = vectors_of

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return no vectors, (0, S), for no texts.

        Raises
        ------
        InputError
            For any text.
        """
        if not texts:
            return torch.empty(0, self.size)
        raise InputError(
            f"the adapter of this model reads vectors of {self._vectors_of}, which no encoder makes of a text such as "
            f"{texts[0][:30]!r}; decode vectors with space.writer.write_from, or take a model whose adapter was "
            "trained with --encoder"
        )


def load_encoder(name: str, device: torch.device | str = "cpu", trust_remote_code: bool = False) -> Encoder:
    """Return all-MiniLM-L6-v2, or the sentence-transformers model in a folder or of a hub id.

    Raises
    ------
    InputError
        If it is not there.
    """
    return SentenceEncoder(device) if name == ENCODER_ID else AnyEncoder(name, device, trust_remote_code)


def encoder_of(
    settings: AdapterSettings, device: torch.device | str = "cpu", trust_remote_code: bool = False
) -> Encoder:
    """Return the encoder that an adapter was trained with, or a `NoEncoder`.

    Raises
    ------
    InputError
        If it is not there, or has other parameters now.
    """
    if settings.encoder is None:
        return NoEncoder(settings.vectors_of, settings.sentence_size)
    encoder = load_encoder(settings.encoder, device, trust_remote_code)
    if isinstance(encoder, AnyEncoder) and encoder.parameters != settings.encoder_parameters:
        raise InputError(
            f"encoder {settings.encoder!r} has the parameters {encoder.parameters}, but the adapter was trained with "
            f"{settings.encoder_parameters}; put that version there, or train the adapter again"
        )
    return encoder


def _own_parts(folder: Path) -> list[str]:
    """Return the classes of an encoder that are not sentence-transformers' own, which it would run unasked."""
    try:
        parts = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        return [kind for part in parts if not (kind := str(part["type"])).startswith("sentence_transformers.")]
    except FileNotFoundError:
        return []  # a hub id, of which it runs none, or a plain model
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"modules.json in {folder} cannot be read ({error}); save the encoder again") from error
