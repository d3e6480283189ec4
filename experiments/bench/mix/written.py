"""Measure texts that are written already, as ``copyloom mix --pairs FILE --out FILE`` writes them, or anybody else."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from copyloom import InputError
from embeddings.encoder import SentenceEncoder
from embeddings.mixing import is_new, wanted_point
from experiments import console
from experiments.bench.mix.inventions import inventions
from experiments.bench.mix.judge import Judge
from experiments.bench.mix.measures import interval, is_concatenation
from generator.readability import grammar_faults

_COLUMNS = ("a", "b", "text")
_Row = tuple[str, str, str, float]
"""Two parents, the text, and the weight of the first."""


def measure_written(
    files: Sequence[Path], report: Callable[[str, int, int], None], judge: Judge | None = None
) -> dict[str, Any]:
    """Return what the mixtures of some files are worth, for each file as one JSON object.

    Parameters
    ----------
    files : sequence of Path
        CSV files with the columns a, b, text and perhaps weight, of a; where there was no text, it is empty.
    report : callable
        Called with a stage, the files done and those in all.
    judge : Judge, optional

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
    usual = dict(zip(parents, judge.bits_per_byte(parents).tolist(), strict=True))
    bits = judge.bits_per_byte(texts).double().numpy()
    excess = bits - np.array([np.mean([usual[parent] for parent in family]) for family in families])
    sides = encoder.encode([parent for family in families for parent in family]).unflatten(0, (-1, 2))
    wanted = wanted_point(sides, torch.tensor([(weight, 1 - weight) for *_, weight in written]))
    reached = (encoder.encode(texts) * wanted).sum(1).double().numpy()
    nearer = (sides * wanted[:, None]).sum(2).amax(1).double().numpy()
    return {
        "mixtures": len(rows), "written_share": len(written) / len(rows),
        "excess_bits_per_byte": float(excess.mean()), "excess_interval": interval(excess),
        "grammatical_share": _share(not grammar_faults(text) for text in texts),
        "parents_grammatical_share": _share(not grammar_faults(parent) for parent in parents),
        "new_share": _share(is_new(text, family) for text, family in zip(texts, families, strict=True)),
        "concatenation_share": _share(
            is_concatenation(text, family) for text, family in zip(texts, families, strict=True)
        ),
        "invented_share": _share(bool(inventions(text, family)) for text, family in zip(texts, families, strict=True)),
        "semantic_consistency": float(reached.mean()), "nearer_parent": float(nearer.mean()),
    }  # fmt: skip


def _share(flags: Any) -> float:
    return float(np.mean(list(flags)))


def _read(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            lines, columns = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV file in UTF-8 ({error})") from error
    if missing := [name for name in _COLUMNS if name not in columns]:
        there = ", ".join(columns) or "none"
        raise InputError(
            f"{path} has no column {missing[0]!r}; it has {there}; give what `copyloom mix --pairs --out` writes"
        )
    try:
        rows = [
            (line["a"], line["b"], (line["text"] or "").strip(), float(line.get("weight") or 0.5)) for line in lines
        ]
    except ValueError as error:
        raise InputError(f"{path} has a weight that is none ({error}); give numbers") from error
    if not any(text for *_, text, _ in rows):
        raise InputError(f"{path} holds no text; give what `copyloom mix --pairs --out` writes")
    return rows


def show(found: dict[str, Any]) -> None:
    """Print what `measure_written` returned."""
    columns = ["", "mixtures", "written", "excess", "grammar", "parents' grammar", "new", "glued", "invents", "cosine",
               "nearer parent"]  # fmt: skip
    shares = ("written", "grammatical", "parents_grammatical", "new", "concatenation", "invented")
    rows = []
    for one in found["files"]:
        written, *others = (f"{one[f'{name}_share']:.0%}" for name in shares)
        low, high = one["excess_interval"]
        excess = f"{one['excess_bits_per_byte']:+.2f} ({low:+.2f} to {high:+.2f})"
        cosines = (f"{one['semantic_consistency']:.3f}", f"{one['nearer_parent']:.3f}")
        rows.append([one["file"], str(one["mixtures"]), written, excess, *others, *cosines])
    console.table("Texts that were written, at their pairs", columns, rows)
    console.out.print(
        "excess: bits a byte by which a text surprises Gemma 3 more than its parents do; grammar: without a fault;\n"
        "invents: holds a number or name that no parent holds; cosine: to the wanted point, beside the nearer parent's."
    )
