"""Training runs: adapters for copyloom-tiny's language model that differ in one setting each."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from copyloom import Report
from embeddings.adapter import ADAPTER_SETTINGS
from embeddings.training.config import AdapterTraining
from embeddings.training.train import MODEL, train_adapter
from experiments.held_out import is_held_out
from generator.grammar import Grammar

TEXTS = 1000


@dataclass(frozen=True)
class Run:
    """One training of an adapter; the language model stays as it is.

    Parameters
    ----------
    per_text : int
        P.
    noise : float
        On sentence vectors, as a share of their length.
    steps : int
    """

    per_text: int = 8
    noise: float = 0.25
    steps: int = 120

    @property
    def name(self) -> str:
        """What tables and folders call it."""
        return f"run P={self.per_text}, noise {self.noise:g}, {self.steps} steps"

    @property
    def training(self) -> AdapterTraining:
        """Its settings."""
        return AdapterTraining(
            stage="adapter", per_text=self.per_text, noise=self.noise, adapter_steps=self.steps, width=512, rows=24,
            warmup=15, held_out=0.03, judged=8, evaluate_every=self.steps, patience=None,
        )  # fmt: skip


RUNS = (Run(), Run(per_text=4), Run(per_text=2), Run(noise=0.0), Run(noise=0.75), Run(steps=30))


def train_all(folder: Path, device: str, report: Report) -> dict[str, Path]:
    """Train what `folder` does not hold yet, and return the model of each run by its name.

    A training that was stopped goes on where it was.

    Parameters
    ----------
    folder : Path
    device : str
    report : Report
    """
    found = {run.name: folder / _folder_name(run) / MODEL for run in RUNS}
    if all(map(_is_whole, found.values())):
        return found
    texts = training_claims(TEXTS)
    for number, run in enumerate(RUNS):
        if not _is_whole(found[run.name]):
            train_adapter(run.training, texts, folder / _folder_name(run), device=device,
                          report=lambda stage, done, total, number=number:  # type: ignore[misc]
                          report(f"training run {number + 1} of {len(RUNS)}, {stage}", done, total))  # fmt: skip
    return found


def training_claims(count: int) -> list[str]:
    """Return distinct claims of the grammar that are not held out."""
    grammar, rng = Grammar.load(), random.Random("training runs of the study of spaces")
    found: dict[str, None] = {}
    while len(found) < count:
        text = grammar.claim(rng, grammar.record(rng)).text
        if not is_held_out(text):
            found.setdefault(text)
    return list(found)


def _folder_name(run: Run) -> str:
    return f"p{run.per_text}-noise{run.noise:g}-steps{run.steps}"


def _is_whole(model: Path) -> bool:
    return (model / ADAPTER_SETTINGS).is_file()  # written last
