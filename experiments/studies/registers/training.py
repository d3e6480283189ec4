"""Small language models of one size: each learns from nothing, from the texts of one register, or of all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from copyloom import Report
from embeddings.adapter import ADAPTER_SETTINGS
from embeddings.training.checkpoint import check_same_run
from embeddings.training.config import AdapterTraining
from embeddings.training.train import MODEL, train_adapter
from experiments.studies.registers.settings import HEAD_SIZE, RegisterStudy
from experiments.studies.registers.split import MAX_TOKENS, Split

MODELS = "models.json"
"""What all models of a folder are trained with."""
_LOOKS = 4
_ROWS = 32
"""Texts of a step, at least: of fewer, rounding would let models see other numbers of them."""
_NOT_TRAINED_WITH = {"texts", "trainings", "judged", "inversion_steps", "judge"}


@dataclass(frozen=True)
class Training:
    """One model to train.

    Parameters
    ----------
    register : str
        What it learns from.
    number : int
        From 0; models of one number start from the same random language model.
    """

    register: str
    number: int

    @property
    def name(self) -> str:
        """What folders call it."""
        return f"{self.register}-{self.number}"


def steps_of(texts: Mapping[str, Sequence[str]], settings: RegisterStudy) -> int:
    """Return the steps of each training: those asked for, or fewer where texts are few."""
    return max(min(settings.steps, int(settings.passes * min(map(len, texts.values())) / _ROWS)), 1)


def train_all(
    parts: Split, settings: RegisterStudy, tokenizer: PreTrainedTokenizerBase, folder: Path, device: str, report: Report
) -> dict[Training, Path]:
    """Train what `folder` does not hold yet, and return where each model is, those of one number together.

    A training that was stopped goes on where it was.

    Raises
    ------
    InputError
        If the folder holds models of other settings or texts.
    """
    texts = {name: _hash(some) for name, some in parts.training.items()}
    asked = settings.model_dump(exclude=_NOT_TRAINED_WITH)
    folder.mkdir(parents=True, exist_ok=True)
    check_same_run(folder / MODELS, {"config": asked, **{f"texts of {name}": some for name, some in texts.items()}})
    steps = steps_of(parts.training, settings)
    every = [Training(name, number) for number in range(settings.trainings) for name in parts.training]
    for place, one in enumerate(every):
        out, some = folder / one.name, parts.training[one.register]
        if not (out / MODEL / ADAPTER_SETTINGS).is_file():  # written last
            start = _untrained(settings, one.number, tokenizer, folder)
            said = _saying(f"training {one.register} ({place + 1} of {len(every)})", report)
            training = _training(settings, start, steps, len(some), one.number)
            train_adapter(training, some, out, device=device, report=said)
    return {one: folder / one.name / MODEL for one in every}


def _hash(texts: Sequence[str]) -> str:
    return sha256(json.dumps(list(texts)).encode()).hexdigest()[:16]


def _saying(before: str, report: Report) -> Callable[[str, int, int], None]:
    return lambda stage, done, total: report(f"{before}, {stage}", done, total)


def _training(settings: RegisterStudy, start: Path, steps: int, texts: int, number: int) -> AdapterTraining:
    return AdapterTraining(
        model=str(start), stage="model", per_text=settings.vectors, width=settings.width, held_out=0.01,
        max_tokens=MAX_TOKENS, rows=max(round(settings.passes * texts / steps), 1), noise=settings.noise,
        adapter_steps=0, joint_steps=steps, joint_adapter_rate=settings.rate, model_rate=settings.rate,
        warmup=max(steps // 20, 1), evaluate_every=max(steps // _LOOKS, 1), judged=8, patience=None,
        precision="auto", seed=_seed(settings, number),
    )  # fmt: skip


def _seed(settings: RegisterStudy, number: int) -> int:
    return settings.seed * 1000 + number


def _untrained(settings: RegisterStudy, number: int, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    """Return the folder of a language model with random parameters."""
    path = folder / ".untrained" / str(number)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=settings.hidden_size, intermediate_size=8 * settings.hidden_size // 3,
        num_hidden_layers=settings.layers, num_attention_heads=settings.hidden_size // HEAD_SIZE,
        num_key_value_heads=settings.hidden_size // HEAD_SIZE, max_position_embeddings=256, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(_seed(settings, number))
        model = LlamaForCausalLM(config)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path.resolve()
