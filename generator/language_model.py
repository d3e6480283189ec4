"""A frozen causal language model that reads vectors and writes text."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from copyloom import CopyloomError, InputError
from generator import models
from generator.constant_shape import rows_apart
from generator.device import Device
from generator.models import SHIPPED
from generator.paths import expanded

SHIPPED_FOLDER = Path(__file__).parent / "copyloom_tiny"
CRITIC = "critic"
"""Folder in a model's: a smaller one that knows how likely texts are on their own."""
PACKED = "model.safetensors.xz"
"""A model's tensors of bfloat16, compressed: first bytes of all numbers, then the second ones."""

_UNFIT = {"xlstm": "it keeps a state of its own kind"}
"""Kinds of models that cannot be decoded, and why."""

_LIMITS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""What configurations call the most positions."""

_SAMPLE = 4096
"""Tokens that stand for all of a vocabulary."""

_SPACES = "Ġ▁Ċ"
"""How tokenizers write a space before a word, or the end of a line."""

_LOUD = 1000.0
"""How much `LanguageModel.linear_head` amplifies hidden states, so that a soft cap shows."""


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


@dataclass(frozen=True)
class LinearHead:
    """The last layer of a model: ``hidden @ weight.T + bias`` are its logits.

    Parameters
    ----------
    weight : Tensor of shape (V, H)
    bias : Tensor of shape (V,), optional
    """

    weight: Tensor
    bias: Tensor | None


class LanguageModel:
    """A Hugging Face causal model with frozen parameters, and its tokenizer.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
    name : str
    device : Device
    parameters : str
        Stands for the hash of the parameters where this machine computed them, so that their last digits are its own.

    Notes
    -----
    Use `LanguageModel.load` for the shipped model, a path or a hub id.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, device: Device, parameters: str = "") -> None:
        self.name, self.device, self.tokenizer, self._parameters = name, device, tokenizer, parameters
        self.takes = frozenset(inspect.signature(model.forward).parameters)
        self.cache_name = next((kind for kind in ("past_key_values", "cache_params") if kind in self.takes), "")
        self.model = model.to(device.torch).eval().requires_grad_(False)
        self._check_kind()
        table = model.get_input_embeddings()
        self._tokens, self.hidden_size = map(int, table.weight.shape)
        self.end = _end_of_text(model, tokenizer, len(table.weight), name)
        first = getattr(tokenizer, "bos_token_id", None)
        self.beginning = first if isinstance(first, int) and 0 <= first < len(table.weight) else self.end
        self._apart: dict[tuple[int, int], bool] = {}

    @classmethod
    def load(
        cls, name: str = SHIPPED, device: Device | None = None, tokenizer: Any = None, trust_remote_code: bool = False
    ) -> LanguageModel:
        """Return the shipped model, or the one at a path, or one from the hub (or its local cache).

        Parameters
        ----------
        name : str
        device : Device, optional
        tokenizer : PreTrainedTokenizerBase, optional
            For a model that comes without.
        trust_remote_code : bool
            Run the code that a model brings with it, where it does. A hash of the code is then part of its identity.

        Raises
        ------
        InputError
            If there is no such model, or it is not a causal language model that reads vectors as it reads tokens, or
            parts of it are missing, or it brings code that is not trusted.
        """
        transformers_logging.disable_progress_bar()  # loading takes a moment; commands show their own progress
        source = str(SHIPPED_FOLDER) if name == SHIPPED else name
        if name in models.MODELS:
            source = str(models.path_of(name))
        if (folder := expanded(source)).is_dir():
            source = str(folder)
        elif source.startswith((".", "/", "~")):
            raise InputError(f"no model folder at {name!r}; give {SHIPPED!r}, a folder or a hub id such as 'gpt2'")
        device = device or Device.choose()
        try:
            model = _from_folder_or_hub(source, name, trust_remote_code)
            if tokenizer is None:
                tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
            loaded = cls(model, tokenizer, name, device)
            loaded._check_reading()
        except CopyloomError:
            raise
        except Exception as error:  # any part of another's model may fail in its own way
            raise _not_loaded(name, error) from error
        return loaded

    @cached_property
    def identity(self) -> ModelIdentity:
        """Name, hashes and hidden size of this model."""
        vocabulary = json.dumps(sorted(self.tokenizer.get_vocab().items())).encode()
        return ModelIdentity(
            self.name,
            self._parameters or hash_of(self.model.state_dict()) + own_code(self.model),
            hashlib.sha256(vocabulary).hexdigest()[:16],
            self.hidden_size,
        )

    @cached_property
    def positions(self) -> int:
        """The most positions (prefix, vectors and text together) that the model can attend to."""
        config = self.model.config.get_text_config(decoder=True)
        return int(next((limit for kind in _LIMITS if (limit := getattr(config, kind, None))), 1_000_000))

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`; names of special tokens inside it are plain letters.

        Raises
        ------
        InputError
            If `text` is not Unicode: half a surrogate pair; or a token of it has no embedding.
        """
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise InputError(
                f"{text[:30]!r} holds half a surrogate pair, so it is not Unicode text; decode its bytes again"
            )
        found = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        ids = [int(token) for token in found]
        if beyond := [token for token in ids if token >= self._tokens]:
            token = self.tokenizer.convert_ids_to_tokens(beyond[0])
            raise InputError(
                f"{text[:30]!r} holds the token {token!r}, number {beyond[0]}, but model {self.name!r} has "
                f"{self._tokens} embeddings only; resize them to its tokenizer and train "
                "them, or leave the word out"
            )
        return ids

    def detokenize(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens (the slots of copyloom-tiny) written out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    @cached_property
    def starts_word(self) -> Tensor:
        """Which tokens begin a word, a mark or nothing at all, as end-of-text does: a bool Tensor of shape (V,)."""
        size = self.model.get_output_embeddings().weight.shape[0]
        tokens = self.tokenizer.convert_ids_to_tokens(range(min(size, len(self.tokenizer))))
        flags = torch.zeros(size, dtype=torch.bool)
        flags[: len(tokens)] = torch.tensor([token[0] in _SPACES or not token[0].isalnum() for token in tokens])
        return flags

    def in_bfloat16(self) -> LanguageModel:
        """Return a copy whose parameters are bfloat16: where the device can, it writes faster."""
        copied = copy.deepcopy(self.model).bfloat16()
        return LanguageModel(copied, self.tokenizer, self.name, self.device, self._parameters)

    @property
    def fast(self) -> LanguageModel:
        """The model in bfloat16 where its device can, else itself."""
        return self.in_bfloat16() if self.device.has_bfloat16 and self.model.dtype != torch.bfloat16 else self

    def rows_apart(self, rows: int, fewer: int) -> bool:
        """Whether the first `fewer` of `rows` rows read the same, to the bit, without the others."""
        if (rows, fewer) not in self._apart:
            self._apart[rows, fewer] = rows_apart(self.model, rows, fewer)
        return self._apart[rows, fewer]

    def embed(self, ids: Tensor) -> Tensor:
        """Return the input embeddings (..., D) of token ids (...)."""
        embedded: Tensor = self.model.get_input_embeddings()(ids.to(self.device.torch))
        return embedded

    @cached_property
    def embedding_rms(self) -> float:
        """Root mean square of the input embeddings, over at most 4,096 tokens."""
        tokens = len(self.model.get_input_embeddings().weight)
        sample = torch.arange(0, tokens, -(-tokens // _SAMPLE))
        return float(self.embed(sample).float().square().mean().sqrt())

    def hidden(self, inputs_embeds: Tensor) -> Tensor:
        """Return the last hidden states (B, T, H) for inputs (B, T, D), differentiable with respect to them."""
        states: Tensor = self.model.base_model(inputs_embeds=self._as_input(inputs_embeds), use_cache=False)[0]
        return states

    def states(self, inputs_embeds: Tensor) -> tuple[Tensor, ...]:
        """Return the states (B, T, H) after the input and each layer, L + 1 in all, for inputs (B, T, D).

        Raises
        ------
        InputError
            If the model does not hand them out.
        """
        inputs = self._as_input(inputs_embeds)
        found = self.model.base_model(inputs_embeds=inputs, use_cache=False, output_hidden_states=True)
        states: tuple[Tensor, ...] = tuple(getattr(found, "hidden_states", None) or ())
        if len(states) < 2:
            raise InputError(f"model {self.name!r} does not hand out the states of its layers; choose another model")
        return states

    def logits(self, inputs_embeds: Tensor) -> Tensor:
        """Return the logits (B, T, V) for inputs (B, T, D); use `hidden` and `linear_head` where few are needed."""
        logits: Tensor = self.model(inputs_embeds=self._as_input(inputs_embeds), use_cache=False).logits
        return logits

    @cached_property
    def linear_head(self) -> LinearHead | None:
        """The layer from `hidden` to `logits`, or None where there is more between them, such as a soft cap."""
        head = self.model.get_output_embeddings()
        if head is None or self.model.base_model is self.model:
            return None
        noise = torch.randn(2, 3, self.hidden_size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            hidden = _LOUD * self.hidden(noise)
            with head.register_forward_pre_hook(lambda _, inputs: (_LOUD * inputs[0],)):
                logits = self.logits(noise)
            bias = getattr(head, "bias", None)
            if hidden.shape[-1] != head.weight.shape[-1] or logits.shape[-1] != len(head.weight):
                return None
            difference = (torch.nn.functional.linear(hidden, head.weight, bias) - logits).abs().max()
            close = difference <= 100 * torch.finfo(logits.dtype).eps * logits.abs().max()
        return LinearHead(head.weight, bias) if bool(close) else None

    def _as_input(self, inputs_embeds: Tensor) -> Tensor:
        return inputs_embeds.to(self.device.torch, self.model.dtype)

    def _check_kind(self) -> None:
        """Raise where the kind of model tells that it cannot be decoded."""
        kind = self.model.config.model_type
        reason = _UNFIT.get(kind)
        if "inputs_embeds" not in self.takes:
            reason = "its forward takes no inputs_embeds, so it cannot read vectors"
        elif not self.cache_name:
            reason = "it keeps no cache of what it has read"
        elif kind == "gpt_neo" and self.device.compiles_shapes:
            reason = f"its local attention cannot use the cache of fixed length that {self.device.type} needs"
        elif getattr(self.model.config, "is_encoder_decoder", False):
            reason = "it needs an encoder"
        if reason:
            raise _unfit(self.name, self.model.config, reason)

    @torch.no_grad()
    def _check_reading(self) -> None:
        """Raise unless vectors read as their tokens do, and no position depends on a later one."""
        tokens = len(self.model.get_input_embeddings().weight)
        ids = torch.arange(1, 5, device=self.device.torch)[None] * (tokens // 5)
        from_ids, vectors = self.model(input_ids=ids, use_cache=False).logits, self.embed(ids)
        for read, reason in (
            (self.logits(vectors), "it reads vectors otherwise than the tokens that they stand for"),
            (self.logits(vectors[:, :-1]), "it looks ahead, so it is no causal model"),
        ):
            difference = (read - from_ids[:, : read.shape[1]]).abs().max()
            if not bool(difference <= 1e-3 * from_ids.abs().max()):
                raise _unfit(self.name, self.model.config, reason)


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of named tensors, bit for bit."""
    digest = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def own_code(model: torch.nn.Module) -> str:
    """Return " and code " with a hash of the code that a model brought with it, or "" where it brought none."""
    own = {type(part) for part in model.modules() if type(part).__module__.startswith("transformers_modules")}
    if not own:
        return ""
    digest = hashlib.sha256()
    for file in sorted({file for kind in own for file in Path(inspect.getfile(kind)).parent.glob("*.py")}):
        digest.update(file.name.encode() + file.read_bytes())
    return f" and code {digest.hexdigest()[:16]}"


def _from_folder_or_hub(source: str, name: str, trust_remote_code: bool) -> Any:
    """Return a model in float32, whole."""
    place: dict[str, Any] = {"pretrained_model_name_or_path": source, "trust_remote_code": trust_remote_code}
    config = AutoConfig.from_pretrained(**place)
    if getattr(config, "is_encoder_decoder", False):  # of some, Transformers would load the decoder alone
        raise _unfit(name, config, "it needs an encoder")
    if (packed := Path(source) / PACKED).is_file():
        return _unpacked(packed, config)
    loading: Any = AutoModelForCausalLM.from_pretrained(dtype=torch.float32, output_loading_info=True, **place)
    model, report = loading
    if missing := sorted(report["missing_keys"]):
        raise InputError(f"model {name!r} lacks {len(missing)} of its tensors, such as {missing[0]}; save it whole")
    return model


def _unpacked(packed: Path, config: Any) -> Any:
    """Return a model in float32 whose tensors are compressed."""
    halves = np.frombuffer(lzma.decompress(packed.read_bytes()), dtype=np.uint8).reshape(2, -1)
    tensors = safetensors.torch.load(halves.T.tobytes())
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    report = model.load_state_dict(tensors, strict=False)  # those that are tied to others are not there
    if lacking := sorted(set(report.missing_keys) - set(model._tied_weights_keys or ())):
        raise InputError(f"{str(packed)!r} lacks {len(lacking)} tensors, such as {lacking[0]}; pack the model whole")
    model.tie_weights()
    return model.eval()


def _not_loaded(name: str, error: Exception) -> InputError:
    if "trust_remote_code" in str(error):
        return InputError(
            f"model {name!r} brings code of its own, which would run on this machine with your rights; read it, and if "
            "you trust it give --trust-remote-code (trust_remote_code=True in Python), or choose another model"
        )
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    if isinstance(error, ImportError):
        first += " (it is quantised, perhaps: give it unquantised, or install that package.)"
    if "ignore_mismatched_sizes" in first:
        first = "its weights have other shapes than its config.json says, vocab_size perhaps."
    return InputError(
        f"model {name!r} cannot be loaded: {first} Give {SHIPPED!r}, a folder with a causal model, or a hub id"
    )


def _unfit(name: str, config: Any, reason: str) -> InputError:
    return InputError(
        f"model {name!r} is of type {config.model_type}: {reason}; choose a decoder-only model, such as one of the "
        "GPT-2, Llama, Qwen or Mamba families"
    )


def _end_of_text(model: Any, tokenizer: Any, tokens: int, name: str) -> int:
    """Return the first end-of-text token that tokenizer, generation settings or configuration name, below `tokens`."""
    settings = (tokenizer, getattr(model, "generation_config", None), model.config.get_text_config(decoder=True))
    for found in (getattr(source, "eos_token_id", None) for source in settings):
        first = found[0] if isinstance(found, (list, tuple)) and found else found
        if isinstance(first, int) and 0 <= first < tokens:
            return first
    raise InputError(
        f"model {name!r} has no end-of-text token, so Copyloom cannot know where a text ends; set eos_token in its "
        "tokenizer_config.json, or eos_token_id in its config.json"
    )
