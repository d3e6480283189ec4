"""Small language models of one size: each learns from nothing, from the texts of one register, or of all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from copyloom import InputError, Report
from embeddings.adapter import ADAPTER_SETTINGS
from embeddings.training.config import AdapterTraining
from embeddings.training.train import MODEL, train_adapter
from experiments.held_out import hashed
from experiments.studies.registers.settings import FEWEST, HEAD_SIZE, MIXED, RegisterStudy
from generator.language_model import SHIPPED_FOLDER

MAX_TOKENS = 63
"""Of a text; longer ones are left out."""
_LOOKS = 4


@dataclass(frozen=True)
class Split:
    """Texts of the registers, by name.

    Parameters
    ----------
    training : dict of str to list of str
        As many tokens of each, and of the mixed one.
    held_out : dict of str to list of str
        Seen by no model.
    tokens : int
        Of each training part, end-of-text included, but for what a whole text is more or less.
    """

    training: dict[str, list[str]]
    held_out: dict[str, list[str]]
    tokens: int


@dataclass(frozen=True)
class Training:
    """One model to train.

    Parameters
    ----------
    register : str
        What it learns from.
    number : int
        From 0; models of one number start from the same random parameters.
    """

    register: str
    number: int

    @property
    def name(self) -> str:
        """What folders call it."""
        return f"{self.register}-{self.number}"


def tokenizer_of(texts: Mapping[str, Sequence[str]], vocabulary: int) -> PreTrainedTokenizerBase:
    """Return a byte-pair tokenizer, learnt from equally many texts of each register: any text comes back exactly."""
    fewest = min(map(len, texts.values()))
    shipped = AutoTokenizer.from_pretrained(SHIPPED_FOLDER)
    rows = (text for some in texts.values() for text in some[:fewest])
    found: PreTrainedTokenizerBase = shipped.train_new_from_iterator(rows, vocabulary, show_progress=False)
    return found


def split(texts: Mapping[str, Sequence[str]], settings: RegisterStudy, tokenizer: PreTrainedTokenizerBase) -> Split:
    """Return the registers' texts, divided: held-out ones by a hash of their letters, the others of one size in tokens.

    Raises
    ------
    InputError
        If a register has too few texts.
    """
    held_out, others = {}, {}
    for name, some in texts.items():
        short = [text for text in dict.fromkeys(some) if len(tokenizer.tokenize(text)) <= MAX_TOKENS]
        if len(short) < settings.judged + FEWEST:
            raise InputError(
                f"{len(short)} texts of {name!r} have at most {MAX_TOKENS} tokens; give {settings.judged + FEWEST} or "
                "more: those that are held out, and some to learn from"
            )
        held_out[name] = sorted(short, key=lambda text: hashed(text, "registers"))[: settings.judged]
        others[name] = short
    kept_apart = {text for some in held_out.values() for text in some}
    others = {name: [text for text in some if text not in kept_apart] for name, some in others.items()}
    sizes = {name: [len(tokenizer.tokenize(text)) + 1 for text in some] for name, some in others.items()}
    tokens = min(map(sum, sizes.values()))
    training = {name: _first(some, sizes[name], tokens) for name, some in others.items()}
    parts = [_first(some, sizes[name], tokens / len(others)) for name, some in others.items()]
    mixed = [text for part in parts for text in part]
    random.Random("mixed registers").shuffle(mixed)
    return Split(training | {MIXED: list(dict.fromkeys(mixed))}, held_out, tokens)


def _first(texts: Sequence[str], sizes: Sequence[int], tokens: float) -> list[str]:
    """Return the first texts that have so many tokens together, or a few more."""
    before = accumulate(sizes, initial=0)
    return [text for text, read in zip(texts, before, strict=False) if read < tokens]


def trainings(texts: Split, settings: RegisterStudy) -> list[Training]:
    """Return all models to train, those of one number together."""
    return [Training(name, number) for number in range(settings.trainings) for name in texts.training]


def train_all(
    texts: Split, settings: RegisterStudy, tokenizer: PreTrainedTokenizerBase, folder: Path, device: str, report: Report
) -> dict[Training, Path]:
    """Train what `folder` does not hold yet, and return where each model is.

    A training that was stopped goes on where it was.
    """
    found, every = {}, trainings(texts, settings)
    for place, one in enumerate(every):
        out = folder / one.name
        if not (out / MODEL / ADAPTER_SETTINGS).is_file():  # written last
            start = _untrained(settings, one.number, tokenizer, folder)
            said = _saying(f"training {one.register} ({place + 1} of {len(every)})", report)
            some = texts.training[one.register]
            train_adapter(_training(settings, start, len(some)), some, out, device=device, report=said)
        found[one] = out / MODEL
    return found


def _saying(before: str, report: Report) -> Callable[[str, int, int], None]:
    return lambda stage, done, total: report(f"{before}, {stage}", done, total)


def _training(settings: RegisterStudy, start: Path, texts: int) -> AdapterTraining:
    return AdapterTraining(
        model=str(start), stage="model", per_text=settings.vectors, width=settings.width, held_out=0.01,
        max_tokens=MAX_TOKENS, rows=max(round(settings.passes * texts / settings.steps), 1), noise=settings.noise,
        adapter_steps=0, joint_steps=settings.steps, joint_adapter_rate=settings.rate, model_rate=settings.rate,
        warmup=max(settings.steps // 20, 1), evaluate_every=max(settings.steps // _LOOKS, 1), judged=8, patience=None,
        precision="auto", seed=settings.seed,
    )  # fmt: skip


def _untrained(settings: RegisterStudy, number: int, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """Return the folder of a language model with random parameters."""
    path = folder / f"untrained-{number}"
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=settings.hidden_size, intermediate_size=8 * settings.hidden_size // 3,
        num_hidden_layers=settings.layers, num_attention_heads=settings.hidden_size // HEAD_SIZE,
        num_key_value_heads=settings.hidden_size // HEAD_SIZE, max_position_embeddings=256, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed * 1000 + number)
        model = LlamaForCausalLM(config)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
