"""Vectors of headlines that need no learning: of the sentence encoder, and the pretrained writer's states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from copyloom import Report
from embeddings.encoder import SentenceEncoder
from embeddings.folders import replacing
from experiments.studies.headlines.states import states_of
from experiments.studies.headlines.words import Array
from experiments.versions import source_hash
from generator.language_model import LanguageModel
from generator.models import WRITER, is_there


def vectors_of(headlines: Sequence[str], folder: Path, report: Report) -> dict[str, Array]:
    """Return sentence vectors of the headlines and, if it is on this machine, the writer's states, kept in `folder`."""
    found = {"sentence": _kept(folder, "sentence-vectors", headlines, lambda: _sentences(headlines, report))}
    if is_there(WRITER):
        found["states"] = _kept(
            folder, f"{WRITER}-states-{source_hash(states_of)}", headlines,
            lambda: states_of(headlines, LanguageModel.load(WRITER), report),
        )  # fmt: skip
    return found


def _kept(folder: Path, name: str, headlines: Sequence[str], make: Callable[[], NDArray[np.float32]]) -> Array:
    letters = sha256("\0".join(headlines).encode()).hexdigest()[:16]
    path = folder / f"{name}-{letters}.npy"
    if not path.exists():
        made = make()
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new, new.open("wb") as file:
            np.save(file, made)
    return np.load(path).astype(np.float64)


def _sentences(headlines: Sequence[str], report: Report) -> NDArray[np.float32]:
    encoder, found = SentenceEncoder(), []
    for first in range(0, len(headlines), 512):
        report("reading headlines", first, len(headlines))
        found.append(encoder.encode(headlines[first : first + 512]).numpy())
    report("reading headlines", len(headlines), len(headlines))
    return np.concatenate(found)
