"""A language model like copyloom-tiny that never saw an adapter: in which the idea, as first stated, would mix."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

from embeddings.space import Space
from experiments.tiny.real_texts import is_held_out, is_judges, real_texts
from experiments.tiny.train import TinyConfig, training_claims
from generator.grammar import Grammar
from generator.language_model import SHIPPED_FOLDER

_STEPS, _ROWS, _RATE, _LENGTH = 600, 96, 2e-3, 48


def plain_space(
    folder: Path, data: Path | None, vectors: int, device: str, report: Callable[[str, int, int], None]
) -> Space:
    """Return the space of the model in `folder`, trained first if there is none: about ten minutes on two cores."""
    if not (folder / "config.json").exists():
        _train(folder, data, report)
    return Space.load(str(folder), device, vectors)


def _train(folder: Path, data: Path | None, report: Callable[[str, int, int], None]) -> None:
    claims = [claim.text for claim in training_claims(TinyConfig(), Grammar.load())]
    real = [text for text in real_texts(data) if not is_held_out(text) and not is_judges(text)] if data else claims
    tokenizer, rng = AutoTokenizer.from_pretrained(SHIPPED_FOLDER), random.Random("plain")
    torch.manual_seed(2)
    model, end = LlamaForCausalLM(AutoConfig.from_pretrained(SHIPPED_FOLDER)).float(), tokenizer.eos_token_id
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=_STEPS, pct_start=0.05)
    for step in range(_STEPS):
        drawn = [*rng.sample(real, 2 * _ROWS // 3), *rng.sample(claims, _ROWS // 3)]
        rows = [torch.tensor([end, *tokenizer(text)["input_ids"], end][:_LENGTH]) for text in drawn]
        ids = pad_sequence(rows, batch_first=True, padding_value=-100)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids.clamp_min(0)).logits[:, :-1]
        cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=-100).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        report("training a model without adapter", step + 1, _STEPS)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
