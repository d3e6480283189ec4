"""Run the bandit benchmark: tune, play, summarise. What was played is kept, so a run that stopped goes on."""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from copyloom import Report
from embeddings.folders import replacing
from experiments.benchmarks.bandits.entrants import (
    BAYESIAN,
    CEILING,
    DEFAULTS,
    GRIDS,
    MABWISER,
    OURS,
    UNIFORM,
    VW,
    Settings,
    missing,
    tuned,
)
from experiments.benchmarks.bandits.play import Replicate, one_thread, play
from experiments.benchmarks.bandits.worlds import BASE, Cell

TUNING_SEEDS, _FIRST, _LEFT = range(10_000, 10_024), 6, 5
"""All settings play the first six seeds, the best five the others as well (successive halving)."""
_QUICK_SECONDS, _QUICK_LEAST, _QUICK_MOST = 390, 20, 50
_RESAMPLES = 10_000
_DEFAULT = ", default"
_TEXT_PRIOR = ", text prior"


@dataclass(frozen=True)
class Task:
    """One replicate to play."""

    cell: Cell
    entrant: str
    settings: Settings
    seed: int

    @property
    def key(self) -> str:
        """Name of this replicate in the store: it changes with the code or package that plays it."""
        what = [asdict(self.cell), self.entrant, self.settings, self.seed, _version(self.entrant)]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]


class Store:
    """Replicates on disk, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path, self._known = path, dict[str, Replicate]()
        path.parent.mkdir(parents=True, exist_ok=True)
        names = {field.name for field in fields(Replicate)}
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue  # killed while it wrote
            self._known[row["key"]] = Replicate(**{name: row[name] for name in names})

    def __contains__(self, task: Task) -> bool:
        return task.key in self._known

    def __getitem__(self, task: Task) -> Replicate:
        return self._known[task.key]

    def add(self, task: Task, found: Replicate) -> None:
        """Keep a replicate."""
        self._known[task.key] = found
        row = {"key": task.key, "cell": task.cell.name, "entrant": task.entrant, "settings": task.settings,
               "seed": task.seed, **asdict(found)}  # fmt: skip
        with self._path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._torn() + json.dumps(row) + "\n")

    def _torn(self) -> bool:
        """Say whether the last line was never finished."""
        if not self._path.exists() or self._path.stat().st_size == 0:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def measure(
    cells: Sequence[Cell], seeds: int | None, out: Path, processes: int, report: Report, quick: bool = False
) -> dict[str, Any]:
    """Return regret, speed and shares of the ceiling, cell by cell; of the base task on top.

    Parameters
    ----------
    seeds : int, optional
        Of each cell; 50 of the base task and 20 of the others unless given.
    out : Path
        Keeps what was played.
    processes : int
        Replicates played at a time, each on one core.
    quick : bool
        The base task alone, with as many seeds as fit into some minutes, and at least 20.
    """
    store, absent = Store(out / "replicates.jsonl"), missing()
    found: dict[str, Any] = {"processes": processes, "left_out": absent, "cells": {}}
    with _pool(processes) as pool:
        for cell in [BASE] if quick else cells:
            entrants = [entry for entry in _entrants(cell, quick) if entry[1] not in absent]
            count = seeds or (50 if cell == BASE else 20)
            played = _quickly(pool, store, cell, entrants, report) if quick else range(count)
            tasks = [Task(cell, name, how, seed) for seed in played for _, name, how in entrants]
            _play(pool, store, tasks, cell.name, report)
            rows = {label: [store[Task(cell, name, how, s)] for s in played] for label, name, how in entrants}
            found["cells"][cell.name] = summary(cell, rows) | {
                "settings": {label: how for label, _, how in entrants if label in (OURS, VW, BAYESIAN, MABWISER)}
            }
    return found | next(iter(found["cells"].values()))


def tune(cells: Sequence[Cell], out: Path, processes: int, report: Report) -> dict[str, Any]:
    """Return the best of each entrant's settings in each cell, on seeds of tuning's own, and record them.

    All entrants have the same seeds and as many settings; the best is that of the least mean regret. In cells that
    are not tuned, entrants play with the settings of the base task.
    """
    store, absent = Store(out / "replicates.jsonl"), missing()
    path = Path(str(resources.files("experiments.data").joinpath("bandit_settings.json")))
    recorded: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    with _pool(processes) as pool:
        for cell in cells:
            for entrant in [name for name in GRIDS if name not in absent]:
                stage = f"{cell.name}: tuning {entrant}"
                kept, _ = _best(pool, store, cell, entrant, GRIDS[entrant], TUNING_SEEDS[:_FIRST], stage, report)
                kept, means = _best(pool, store, cell, entrant, kept[:_LEFT], TUNING_SEEDS, stage, report)
                recorded.setdefault(cell.name, {})[entrant] = {
                    "settings": kept[0], "tried": len(GRIDS[entrant]), "seeds": len(TUNING_SEEDS), "regret": means[0],
                }  # fmt: skip
                with replacing(path) as partial:
                    partial.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
    return {cell.name: recorded[cell.name] for cell in cells}


def _best(
    pool: ProcessPoolExecutor, store: Store, cell: Cell, entrant: str, settings: Sequence[Settings],
    seeds: Sequence[int], stage: str, report: Report,
) -> tuple[list[Settings], list[float]]:  # fmt: skip
    """Return the settings and their mean regrets, the least first."""
    tasks = [[Task(cell, entrant, how, seed) for seed in seeds] for how in settings]
    _play(pool, store, [task for row in tasks for task in row], stage, report)
    means = [float(np.mean([store[task].regret for task in row])) for row in tasks]
    order = np.argsort(means, kind="stable")
    return [settings[i] for i in order], [means[i] for i in order]


def summary(cell: Cell, rows: dict[str, list[Replicate]]) -> dict[str, Any]:
    """Return what a cell's replicates say, with intervals from a bootstrap over seeds.

    Parameters
    ----------
    rows : dict of lists of Replicate
        By entrant, in the order of seeds; the same seeds for all.
    """
    regrets = {label: np.array([one.regret for one in row]) for label, row in rows.items()}
    count = len(next(iter(regrets.values())))
    picks = np.random.default_rng(0).integers(count, size=(_RESAMPLES, count))
    means = {label: values[picks].mean(1) for label, values in regrets.items()}
    reach = regrets[UNIFORM].mean() - regrets[CEILING].mean()
    shares = {label: float((regrets[UNIFORM].mean() - values.mean()) / reach) for label, values in regrets.items()}
    rivals = [label for label in rows if not label.startswith(OURS) and label not in (UNIFORM, CEILING)]
    lower = [name for name in rivals if np.percentile(means[name] - means[OURS], 97.5) < 0]
    found = {
        "seeds": count,
        "regret": {label: float(values.mean()) for label, values in regrets.items()},
        "regret_interval": {label: _interval(values) for label, values in means.items()},
        "regret_over_time": {
            label: np.mean([one.curve for one in row], axis=0).tolist() for label, row in rows.items()
        },
        "rounds_per_second": {
            label: cell.horizon / float(np.mean([one.seconds for one in row]))
            for label, row in rows.items() if label not in (UNIFORM, CEILING)
        },
        "ceiling_share": shares[OURS],
        "ceiling_shares": shares,
        "less_than": {label: _interval(means[label] - means[OURS]) for label in rivals},
        "significantly_lower": lower,
    }  # fmt: skip
    best = min((label for label in rows if label.startswith(VW)), key=lambda label: regrets[label].mean(), default=None)
    return found | {
        "ratio_to_best_vw": None if best is None else float(regrets[OURS].mean() / regrets[best].mean()),
        "ratio_interval": None if best is None else _interval(means[OURS] / means[best]),
    }


def _interval(values: np.ndarray) -> list[float]:
    return [float(bound) for bound in np.percentile(values, [2.5, 97.5])]


def _entrants(cell: Cell, quick: bool) -> list[tuple[str, str, Settings]]:
    """Return label, entrant and settings of all that play in a cell."""
    playing = (OURS, VW, BAYESIAN) if quick else (OURS, VW, BAYESIAN, MABWISER)
    best = [(name, name, tuned(cell.name, name)) for name in playing]
    as_they_come = [] if quick else [(name + _DEFAULT, name, DEFAULTS[name]) for name in playing]
    if cell.hint != "none" and not cell.churn:  # texts that come later would come without their hint in logits
        as_they_come.append((OURS + _TEXT_PRIOR, OURS, {**tuned(cell.name, OURS), "text_prior": True}))
    return [*best, *as_they_come, (UNIFORM, UNIFORM, {}), (CEILING, CEILING, {})]


def _quickly(
    pool: ProcessPoolExecutor, store: Store, cell: Cell, entrants: Sequence[tuple[str, str, Settings]], report: Report
) -> range:
    """Play seed after seed while there is time; return the seeds."""
    began = time.monotonic()
    for seed in range(0, _QUICK_MOST, 2):
        if seed >= _QUICK_LEAST and time.monotonic() - began > _QUICK_SECONDS:
            return range(seed)
        tasks = [Task(cell, name, how, s) for s in (seed, seed + 1) for _, name, how in entrants]
        _play(pool, store, tasks, "", lambda *_: None)
        report("replicates of the base task", seed + 2, _QUICK_MOST)
    return range(_QUICK_MOST)


def _play(pool: ProcessPoolExecutor, store: Store, tasks: Iterable[Task], stage: str, report: Report) -> None:
    waiting = [task for task in tasks if task not in store]
    running = {pool.submit(play, task.cell, task.entrant, task.settings, task.seed): task for task in waiting}
    for done, future in enumerate(as_completed(running), 1):
        store.add(running[future], future.result())
        report(stage, done, len(waiting))


def _pool(processes: int) -> ProcessPoolExecutor:
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when a process starts
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=one_thread)


@functools.cache
def _version(entrant: str) -> str:
    """Return what an entrant's results depend on beside its settings."""
    if entrant in (VW, BAYESIAN, MABWISER):
        return metadata.version({VW: "vowpalwabbit"}.get(entrant, entrant))
    digest = hashlib.sha256()
    for path in sorted(Path(str(resources.files("bandits"))).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
