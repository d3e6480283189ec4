"""A language model like copyloom-tiny that never saw an adapter: in which the idea, as first stated, would mix."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

from copyloom import Report
from embeddings.space import Space
from experiments.corpora.real_texts import real_texts, training_share
from experiments.training.tiny.train import TinyConfig, training_claims
from experiments.training.tiny.whole_texts import train_on_whole_texts
from generator.grammar import Grammar
from generator.language_model import SHIPPED_FOLDER

_STEPS, _ROWS, _RATE, _LENGTH = 600, 96, 2e-3, 48


def plain_space(folder: Path, data: Path | None, vectors: int, device: str, report: Report) -> Space:
    """Return the space of the model in `folder`, trained first if there is none: about ten minutes on two cores."""
    if not (folder / "config.json").exists():
        _train(folder, data, report)
    return Space.load(str(folder), device, vectors)


def _train(folder: Path, data: Path | None, report: Report) -> None:
    claims = [claim.text for claim in training_claims(TinyConfig(), Grammar.load())]
    real = training_share(real_texts(data)) if data else claims
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED_FOLDER)
    torch.manual_seed(2)
    model = LlamaForCausalLM(AutoConfig.from_pretrained(SHIPPED_FOLDER)).float()

    def drawn(step: int) -> list[str]:
        rng = random.Random(f"plain {step}")
        return [*rng.sample(real, 2 * _ROWS // 3), *rng.sample(claims, _ROWS // 3)]

    checkpoint = folder.with_name(f"{folder.name}.checkpoint.safetensors")
    train_on_whole_texts(
        model, tokenizer, drawn, [torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)], _STEPS, _LENGTH,
        checkpoint, lambda loss, step: report(f"training a model without adapter (loss {loss:.3f})", step, _STEPS),
    )  # fmt: skip
    partial = folder.with_name(f".{folder.name}.partial")
    tokenizer.save_pretrained(partial)
    model.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    checkpoint.unlink(missing_ok=True)
