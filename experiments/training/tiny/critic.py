"""Train the critic of copyloom-tiny: how likely a text is, whatever it means.

The model itself knows texts only from vectors that say what they mean, and whatever they mean is then no surprise: two
products thrown together mean two products. The critic reads nothing before a text. It has the shipped model's
tokenizer, and is trained on the grammar's texts and the short real ones that the model saw; ``copyloom train critic``
makes it. It goes into the model's folder as ``critic``.
"""

from __future__ import annotations

import lzma
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from copyloom import Report
from experiments.corpora.real_texts import real_texts, training_share
from experiments.training.tiny.train import TinyConfig, muon_and_adamw, training_claims
from experiments.training.tiny.whole_texts import train_on_whole_texts
from generator.grammar import Grammar
from generator.language_model import PACKED, SHIPPED_FOLDER

_SHAPE: dict[str, Any] = {
    "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 512, "tie_word_embeddings": True,
}  # fmt: skip
_STEPS, _ROWS, _LENGTH = 2600, 128, 48
_CHECKPOINT = "checkpoint.safetensors"


def train_critic(data: Path | None, out: Path, report: Report) -> dict[str, Any]:
    """Train the critic on real texts in `data` and as many of the grammar, and write it to `out`.

    It takes about 20 minutes on two cores, and goes on where it was stopped.

    Parameters
    ----------
    data : Path, optional
        Folder of real texts; without them the grammar's are all.
    report : callable
        Called with a stage, the steps done and those in all.
    """
    claims = [claim.text for claim in training_claims(TinyConfig(), Grammar.load())]
    real = training_share(real_texts(data)) if data else claims
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED_FOLDER)
    torch.manual_seed(3)
    end = tokenizer.eos_token_id
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=end,
                                         pad_token_id=tokenizer.pad_token_id, **_SHAPE))  # fmt: skip

    def drawn(step: int) -> list[str]:
        rng = random.Random(f"critic {step}")
        return [*rng.sample(real, _ROWS // 2), *rng.sample(claims, _ROWS // 2)]

    train_on_whole_texts(
        model, tokenizer, drawn, muon_and_adamw(model.model.layers, model, 0.01, 0.003), _STEPS, _LENGTH,
        out / _CHECKPOINT, lambda loss, step: report(f"training the critic (loss {loss:.3f})", step, _STEPS),
    )  # fmt: skip
    module: torch.nn.Module = model
    module.to(torch.bfloat16)
    model.save_pretrained(out)
    _pack(out)
    for name in ("generation_config.json", _CHECKPOINT):
        (out / name).unlink(missing_ok=True)
    size = sum(file.stat().st_size for file in out.iterdir())
    return {"critic": str(out), "bytes": size, "real_texts": len(real) if data else 0, "grammar_texts": len(claims)}


def _pack(folder: Path) -> None:
    """Compress the tensors of a model, which makes its folder smaller by a third."""
    plain = folder / "model.safetensors"
    halves = np.frombuffer(plain.read_bytes(), dtype=np.uint8).reshape(-1, 2).T
    (folder / PACKED).write_bytes(lzma.compress(halves.tobytes(), preset=9))
    plain.unlink()
