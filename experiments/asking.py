"""Language models that are asked in words: one on this machine, or an endpoint that speaks OpenAI's protocol."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.folders import replacing
from generator.device import Device
from generator.language_model import LanguageModel

if TYPE_CHECKING:
    from openai import OpenAI

TEMPERATURE, NUCLEUS, LONGEST = 0.8, 0.95, 40
"""Sampling temperature, share of the likeliest tokens that are drawn from, and tokens of a line of copy, at most."""
_BEFORE = re.compile(r"^\s*(?:[-*•–]|\d+[.)])\s+")
_QUOTES = "\"'“”«»*`"


class Asked(Protocol):
    """Answers what it is asked."""

    @property
    def name(self) -> str:
        """What tells it from all others."""
        ...

    @property
    def longest(self) -> int:
        """Tokens of an answer, at most."""
        ...

    def answers(self, question: str, count: int, seed: int) -> list[str]:
        """Return `count` answers to a question, drawn with a seed."""
        ...


@dataclass(eq=False)
class LocalModel:
    """A causal language model on this machine: a folder or hub id, or smollm2 for what that writer was made of.

    It is loaded when it is asked first. Where its tokenizer has a chat template, the question is put as a user's.

    Parameters
    ----------
    name : str
    device : str
    longest : int
    """

    name: str
    device: str = "auto"
    longest: int = LONGEST

    @cached_property
    def _model(self) -> LanguageModel:
        return LanguageModel.load(self.name, Device.choose(self.device))

    def answers(self, question: str, count: int, seed: int) -> list[str]:
        """Return `count` answers, the same for a seed whatever else was asked."""
        tokenizer, model, where = self._model.tokenizer, self._model.model, self._model.device.torch
        ids = chat_ids(tokenizer, question).to(where)
        with torch.random.fork_rng([where] if where.type == "cuda" else []), torch.no_grad():
            torch.manual_seed(seed)
            found = model.generate(
                ids.expand(count, -1), attention_mask=torch.ones_like(ids).expand(count, -1), do_sample=True,
                temperature=TEMPERATURE, top_p=NUCLEUS, max_new_tokens=self.longest, pad_token_id=self._model.end,
                **_read(model, ids, count),
            )  # fmt: skip
        answers: list[str] = tokenizer.batch_decode(found[:, ids.shape[1] :], skip_special_tokens=True)
        return answers


def chat_ids(tokenizer: Any, question: str) -> Tensor:
    """Return the token ids (1, L) of a question: put as a user's where the tokenizer has a chat template."""
    if not getattr(tokenizer, "chat_template", None):
        plain: Tensor = tokenizer(f"{question}\n", return_tensors="pt")["input_ids"]
        return plain
    said = [{"role": "user", "content": question}]
    asked = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    ids: Tensor = asked["input_ids"]
    return ids


def _read(model: Any, ids: Tensor, count: int) -> dict[str, Any]:
    """Return what a model keeps of a question (1, T) read once, for each of `count` answers, where it can do so."""
    cache: Any = getattr(model(ids[:, :-1], use_cache=True), "past_key_values", None)
    if not hasattr(cache, "batch_repeat_interleave"):
        return {}
    cache.batch_repeat_interleave(count)
    return {"past_key_values": cache}


@dataclass(eq=False)
class Endpoint:
    """A model behind the chat completions of OpenAI's protocol; the key, if it needs one, is in ``OPENAI_API_KEY``.

    Parameters
    ----------
    model : str
        As the endpoint calls it.
    url : str
        Up to and with the version: ``http://localhost:8000/v1``.
    longest : int
    retries : int
        Times that it is asked again where it fails or is slow, with growing pauses.
    timeout_seconds : float
        How long one answer may take.
    """

    model: str
    url: str
    longest: int = LONGEST
    retries: int = 5
    timeout_seconds: float = 60.0

    @property
    def name(self) -> str:
        """Where it is, and what it is called there."""
        return f"{self.url.rstrip('/')} {self.model}"

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI

        key = os.environ.get("OPENAI_API_KEY") or "none"
        return OpenAI(base_url=self.url, api_key=key, max_retries=self.retries, timeout=self.timeout_seconds)

    def answers(self, question: str, count: int, seed: int) -> list[str]:
        """Return `count` answers; one that gives fewer at a time is asked again, with further seeds.

        Raises
        ------
        InputError
            If the endpoint cannot be reached, refuses, or says nothing.
        """
        client = self._client
        from openai import OpenAIError

        found: list[str] = []
        while len(found) < count:
            try:
                said = client.chat.completions.create(
                    model=self.model, messages=[{"role": "user", "content": question}], n=count - len(found),
                    temperature=TEMPERATURE, top_p=NUCLEUS, max_tokens=self.longest, seed=seed * 1_000 + len(found),
                )  # fmt: skip
            except OpenAIError as error:
                raise InputError(f"{self.name} does not answer ({error}); check address, model and OPENAI_API_KEY, "
                                 "then give the same command again: what was answered is kept") from error  # fmt: skip
            if not (fresh := [choice.message.content or "" for choice in said.choices or ()]):
                raise InputError(f"{self.name} gave no answer; an endpoint must return choices with a message")
            found += fresh
        return found[:count]


@dataclass(frozen=True, eq=False)
class AskedOnce:
    """Keeps answers on disk: no question is asked a second time.

    Parameters
    ----------
    asked : Asked
    folder : Path
    """

    asked: Asked
    folder: Path

    @property
    def name(self) -> str:
        """The model's."""
        return self.asked.name

    @property
    def longest(self) -> int:
        """The model's."""
        return self.asked.longest

    def answers(self, question: str, count: int, seed: int) -> list[str]:
        """Return the answers that are kept, or those of the model."""
        key: dict[str, Any] = {
            "model": self.name, "question": question, "count": count, "seed": seed,
            "temperature": TEMPERATURE, "top_p": NUCLEUS, "max_tokens": self.longest,
        }  # fmt: skip
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        file = self.folder / f"{digest}.json"
        if file.exists():
            found: list[str] = json.loads(file.read_text(encoding="utf-8"))["answers"]
            return found
        found = self.asked.answers(question, count, seed)
        with replacing(file) as partial:
            partial.write_text(json.dumps({**key, "answers": found}, ensure_ascii=False, indent=1), encoding="utf-8")
        return found


def line_of(answer: str) -> str:
    r"""Return the line that an answer holds, without what models put around it.

    Examples
    --------
    >>> line_of('Here is a new line:\n\n1. "Buy the **knife** that lasts."\n2. "Cut more."')
    'Buy the knife that lasts.'
    """
    lines = [line.strip() for line in answer.replace("**", "").splitlines() if line.strip()]
    chosen = next((line for line in lines if not line.endswith(":")), "")
    return " ".join(_BEFORE.sub("", chosen).strip().strip(_QUOTES).split())
