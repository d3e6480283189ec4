"""A frozen causal language model that reads vectors and writes text."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from copyloom import InputError
from generator.device import Device

SHIPPED = "copyloom-tiny"
SHIPPED_FOLDER = Path(__file__).parent / "copyloom_tiny"

_UNFIT = {
    "gpt_neo": "its local attention cannot use a cache of constant length; convert it or choose another model",
    "mamba": "it keeps a state instead of a key-value cache, which is not supported yet",
    "mamba2": "it keeps a state instead of a key-value cache, which is not supported yet",
}
"""Kinds of models that constant-shape decoding would get wrong, and why."""


@dataclass(frozen=True)
class ModelIdentity:
    """What must be equal for two sets of embeddings to live in one space.

    Parameters
    ----------
    model : str
        Name, hub id or path.
    parameters : str
        Hash of all parameters.
    tokenizer : str
        Hash of the tokenizer.
    hidden_size : int
        D.
    """

    model: str
    parameters: str
    tokenizer: str
    hidden_size: int


class LanguageModel:
    """A Hugging Face causal model with frozen parameters, and its tokenizer.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
    name : str
    device : Device

    Notes
    -----
    Use `LanguageModel.load` for the shipped model, a path or a hub id.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, device: Device) -> None:
        if tokenizer.eos_token_id is None:
            raise InputError(f"model {name!r} has no end-of-text token; Copyloom needs one to know where a text ends")
        if model.config.model_type in _UNFIT:
            raise InputError(f"model {name!r} is of type {model.config.model_type}: {_UNFIT[model.config.model_type]}")
        self.name, self.device, self.tokenizer = name, device, tokenizer
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self.model = model.to(device.torch).eval().requires_grad_(False)
        self.end = int(tokenizer.eos_token_id)
        self.hidden_size = int(model.get_input_embeddings().embedding_dim)

    @classmethod
    def load(cls, name: str = SHIPPED, device: Device | None = None) -> LanguageModel:
        """Return the shipped model, or the one at a path, or one from the hub (or its local cache).

        Raises
        ------
        InputError
            If there is no such model, or it is not a causal language model.
        """
        transformers_logging.disable_progress_bar()  # loading takes a moment; commands show their own progress
        source = str(SHIPPED_FOLDER) if name == SHIPPED else name
        if source.startswith((".", "/", "~")) and not Path(source).expanduser().is_dir():
            raise InputError(f"no model folder at {name!r}; give {SHIPPED!r}, a folder or a hub id such as 'gpt2'")
        try:
            model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(source)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            first = str(error).strip().partition("\n")[0]
            message = (
                f"model {name!r} cannot be loaded: {first} Give {SHIPPED!r}, a folder with a causal model, or a hub id"
            )
            raise InputError(message) from error
        return cls(model, tokenizer, name, device or Device.choose())

    @cached_property
    def identity(self) -> ModelIdentity:
        """Name, hashes and hidden size of this model."""
        digest = hashlib.sha256()
        for key, value in sorted(self.model.state_dict().items()):
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        vocabulary = json.dumps(sorted(self.tokenizer.get_vocab().items())).encode()
        return ModelIdentity(
            self.name, digest.hexdigest()[:16], hashlib.sha256(vocabulary).hexdigest()[:16], self.hidden_size
        )

    @cached_property
    def positions(self) -> int:
        """The most positions (prefix, vectors and text together) that the model can attend to."""
        return int(getattr(self.model.config, "max_position_embeddings", 0) or 1_000_000)

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`; names of special tokens inside it are plain letters.

        Raises
        ------
        InputError
            If `text` is not Unicode: half a surrogate pair.
        """
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise InputError(
                f"{text[:30]!r} holds half a surrogate pair, so it is not Unicode text; decode its bytes again"
            )
        ids = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [int(token) for token in ids]

    def detokenize(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens (the slots of copyloom-tiny) written out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def embed(self, ids: Tensor) -> Tensor:
        """Return the input embeddings (..., D) of token ids (...)."""
        embedded: Tensor = self.model.get_input_embeddings()(ids.to(self.device.torch))
        return embedded
