"""From a training's folder to a model that `Space.load` takes, and its card."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from copyloom import Report
from embeddings.adapter import ADAPTER_SETTINGS, PACKED_ADAPTER, AdapterSettings, SlotAdapter, named_tensors
from embeddings.folders import replacing
from experiments.training.writer.config import WriterTraining
from experiments.training.writer.train import train_writer
from generator.device import Device
from generator.eight_bits import packed
from generator.language_model import LanguageModel
from generator.paths import expanded


def train_to_package(
    config: WriterTraining, data: Path | None, out: Path, device: str, report: Report, compiled: bool = False
) -> dict[str, Any]:
    """Train, or go on training, in a folder, write the writer to ``writer`` in it, and say what it is."""
    adapter, updates, texts = train_writer(config, data, out, report, device, compiled)
    folder = out / "writer"
    size = write_package(config, adapter, updates, {"real_texts": texts}, folder)
    return {"writer": str(folder), "bytes": size, "texts": texts}


def write_package(
    config: WriterTraining, adapter: SlotAdapter, updates: dict[str, Tensor], trained_on: dict[str, Any], folder: Path
) -> int:
    """Write an adapter and low-rank updates, in 8 bits, and their settings; return the size in bytes."""
    base = LanguageModel.load(config.model, Device.choose("cpu"))
    given = expanded(config.model)
    settings = AdapterSettings(
        sentence_size=adapter.sentence_size, vectors=adapter.vectors, hidden_size=adapter.hidden_size,
        width=adapter.width, base_model=str(given.resolve()) if given.is_dir() else config.model,
        base_parameters=base.identity.parameters, kind="slots", rank=config.rank,
    )  # fmt: skip
    with replacing(folder / PACKED_ADAPTER) as partial:
        partial.write_bytes(lzma.compress(save(packed(named_tensors(adapter, updates)), {"format": "pt"}), preset=9))
    with replacing(folder / ADAPTER_SETTINGS) as partial:
        text = json.dumps(settings.model_dump() | {"training": config.model_dump()} | trained_on, indent=2)
        partial.write_text(text + "\n", encoding="utf-8")
    return sum(file.stat().st_size for file in (folder / PACKED_ADAPTER, folder / ADAPTER_SETTINGS))
