"""Write a trained copyloom-tiny to the folder that the package ships: model, tokenizer, adapters."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from embeddings.adapter import ADAPTER_FILE, ADAPTER_SETTINGS
from embeddings.encoder import ENCODER_ID
from embeddings.folders import replacing
from experiments.training.tiny.train import TinyConfig, TinyModel
from generator.eight_bits import packed
from generator.grammar import FORMS, Grammar

MAX_BYTES = 25_000_000


def write_package(
    model: TinyModel, tokenizer: PreTrainedTokenizerFast, config: TinyConfig, folder: Path, real_texts: int = 0
) -> int:
    """Write the model's files to `folder` and return their bytes; it was trained on so many `real_texts`.

    The language model's parameters are bfloat16; matrices of the adapters have 8 bits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    language_model = model.language_model.cpu()
    language_model.config.dtype = torch.bfloat16
    language_model.config.save_pretrained(folder)
    weights = {name: value for name, value in language_model.state_dict().items() if name != "lm_head.weight"}
    _save({name: value.to(torch.bfloat16) for name, value in weights.items()}, folder / "model.safetensors")
    adapters = {f"{part}.{name}": value for part in ("adapter", "subject")
                for name, value in getattr(model, part).state_dict().items()}  # fmt: skip
    _save(packed(adapters), folder / ADAPTER_FILE)
    tokenizer.save_pretrained(folder)
    settings = {
        "encoder": ENCODER_ID,
        "sentence_size": model.adapter.sentence_size,
        "vectors": config.vectors,
        "hidden_size": config.hidden_size,
        "width": config.adapter_width,
        "training": config.model_dump(),
        "grammar": _grammar_counts(),
        "real_texts": real_texts,
    }
    (folder / ADAPTER_SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _grammar_counts() -> dict[str, int]:
    """Return what the card says of the grammar that the model was trained on, which may grow after that."""
    grammar = Grammar.load()
    frames = {f"{form}_frames": len(grammar.frames_of(form)) for form in FORMS}
    return {**frames, "styles": len(grammar.styles), "categories": len(grammar.categories)}


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replacing(path) as partial:
        save_file(kept, partial, {"format": "pt"})
