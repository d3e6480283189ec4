"""Measure texts that are written already, as ``copyloom mix --pairs FILE --out FILE`` writes them, or anybody else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from copyloom import InputError, Report
from embeddings.encoder import SentenceEncoder
from embeddings.mixing import is_new, wanted_point
from experiments.benchmarks.mixing.inventions import invented_words
from experiments.benchmarks.mixing.judge import Judge
from experiments.benchmarks.mixing.measures import excess, is_concatenation
from experiments.bootstrap import interval
from experiments.texts import read_cells
from generator.readability import grammar_faults

_COLUMNS = ("a", "b", "text")
_WANTED = "what `copyloom mix --pairs --out` writes"
_Row = tuple[str, str, str, float]
"""Two parents, the text, and the weight of the first."""


def measure_written(files: Sequence[Path], report: Report, judge: Judge | None = None) -> dict[str, Any]:
    """Return what the mixtures of some files are worth, for each file as one JSON object.

    Parameters
    ----------
    files : sequence of Path
        CSV files with the columns a, b, text and perhaps weight, of a; where there was no text, it is empty.
    report : callable
        Called with a stage, the files done and those in all.

    Raises
    ------
    InputError
        If a file cannot be read, lacks a column, or holds no text.
    """
    read = [_read(path) for path in files]
    judge, encoder = judge or Judge.load(), SentenceEncoder()
    found = []
    for number, (path, rows) in enumerate(zip(files, read, strict=True)):
        report("measuring texts", number, len(files))
        found.append({"file": path.name, **_measured(rows, judge, encoder)})
    report("measuring texts", len(files), len(files))
    return {"files": found}


def _measured(rows: Sequence[_Row], judge: Judge, encoder: SentenceEncoder) -> dict[str, Any]:
    written = [row for row in rows if row[2]]
    texts, families = [text for _, _, text, _ in written], [(a, b) for a, b, _, _ in written]
    parents = list(dict.fromkeys(parent for family in families for parent in family))
    beyond = excess(judge, texts, families)
    sides = encoder.encode([parent for family in families for parent in family]).unflatten(0, (-1, 2))
    wanted = wanted_point(sides, torch.tensor([(weight, 1 - weight) for *_, weight in written]))
    reached = (encoder.encode(texts) * wanted).sum(1).double().numpy()
    nearer = (sides * wanted[:, None]).sum(2).amax(1).double().numpy()
    return {
        "mixtures": len(rows), "written_share": len(written) / len(rows),
        "excess_bits_per_byte": float(beyond.mean()), "excess_interval": interval(beyond),
        "grammatical_share": _share(not grammar_faults(text) for text in texts),
        "parents_grammatical_share": _share(not grammar_faults(parent) for parent in parents),
        "new_share": _share(is_new(text, family) for text, family in zip(texts, families, strict=True)),
        "concatenation_share": _share(
            is_concatenation(text, family) for text, family in zip(texts, families, strict=True)
        ),
        "invented_share": _share(bool(invented_words(*row)) for row in zip(texts, families, strict=True)),
        "semantic_consistency": float(reached.mean()), "nearer_parent": float(nearer.mean()),
    }  # fmt: skip


def _share(flags: Any) -> float:
    return float(np.mean(list(flags)))


def _read(path: Path) -> list[_Row]:
    _, lines = read_cells(path, _COLUMNS, _WANTED, optional=["weight"])
    rows = []
    for number, line in enumerate(lines, start=1):
        a, b, text = (line[name].strip() for name in _COLUMNS)
        try:
            weight = float(line.get("weight") or 0.5)
        except ValueError as error:
            raise InputError(f"row {number} of {path} has a weight that is none ({error}); give a number") from error
        if not a or not b:
            raise InputError(f"row {number} of {path} lacks a text that was mixed; give {_WANTED}")
        rows.append((a, b, text, weight))
    if not any(text for *_, text, _ in rows):
        raise InputError(f"{path} holds no text; give {_WANTED}")
    return rows
