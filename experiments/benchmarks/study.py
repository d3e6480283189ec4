"""How long a study of several policies takes, and how that grows with seeds and rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from copyloom import Report
from experiments.commands import console
from experiments.simulation.config import RunConfig
from experiments.simulation.runs import run_study
from experiments.versions import versions
from generator.threads import processors

POLICIES = ("thompson", "ucb", "uniform", "epsilon-greedy", "top-two")
SHARES = (0.25, 0.5, 1.0)
"""Of the seeds, and of the rounds, with which time is fitted."""


def measure(seeds: int, rounds: int, impressions: int, model: str, report: Report) -> dict[str, Any]:
    """Return what studies of five policies take, by seeds and by rounds.

    Each is played twice: first nothing is kept, then what the first decoded and inverted is
    (`experiments.campaigns.memo`).

    Parameters
    ----------
    seeds : int
        Tastes; each is met by campaigns of all policies with mixing, and of the first without, and where mixing cannot
        help.
    rounds : int
        Snapshots of a campaign.
    impressions : int
        Of a campaign.
    model : str
        What writes.
    """
    by_seeds = [(_part(seeds, share), rounds) for share in SHARES]
    by_rounds = [(seeds, _part(rounds, share)) for share in SHARES]
    sizes = list(dict.fromkeys([*by_seeds, *by_rounds]))
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for number, (some, length) in enumerate(sizes):
        report("playing studies", number, len(sizes))
        config = RunConfig(seeds=some, rounds=length, impressions=max(impressions // rounds, 1), model=model,
                           policy=POLICIES[0], beside=POLICIES[1:])  # fmt: skip
        rows[some, length] = {"seeds": some, "rounds": length, **_timed(config)}
    report("playing studies", len(sizes), len(sizes))
    return {
        "policies": list(POLICIES), "impressions": impressions, "processors": processors(),
        "rows": list(rows.values()),
        "exponents": {name: {when: exponent([row[name] for row in some], [row[f"cpu_seconds_{when}"] for row in some])
                             for when in ("first", "again")}
                      for name, some in (("seeds", [rows[size] for size in by_seeds]),
                                         ("rounds", [rows[size] for size in by_rounds]))},
        "model": model, "versions": versions(),
    }  # fmt: skip


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return how time grows: 1 where it does as sizes do, by least squares over their logarithms.

    Examples
    --------
    >>> round(exponent([1, 2, 4], [3, 6, 12]), 6)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def show(found: dict[str, Any]) -> None:
    """Print what `measure` returned."""
    title = f"{len(found['policies'])} policies, {found['impressions']:,} impressions a campaign, {found['model']}"
    console.table(f"{title}, {found['processors']} processors", [
        "seeds", "rounds", "campaigns", "seconds", "of processors", "again, seconds", "again, of processors"], [
        [str(row["seeds"]), str(row["rounds"]), str(row["campaigns"]),
         *(f"{row[f'{name}_{when}']:.0f}" for when in ("first", "again") for name in ("seconds", "cpu_seconds"))]
        for row in found["rows"]])  # fmt: skip
    for name, power in found["exponents"].items():
        console.out.print(f"Seconds of processors grow as {name} to the power of {power['first']:.2f}; "
                          f"with what was decoded kept, of {power['again']:.2f}.")  # fmt: skip


def _part(whole: int, share: float) -> int:
    return max(round(whole * share), 1)


def _timed(config: RunConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        for when in ("first", "again"):
            began, used = time.perf_counter(), _cpu_seconds()
            data = run_study(config, Path(folder) / when, lambda *_: None, memo=Path(folder) / "memo")
            found |= {f"seconds_{when}": time.perf_counter() - began, f"cpu_seconds_{when}": _cpu_seconds() - used}
            found |= {"campaigns": len(data["campaigns"]), "texts_written": data["summary"]["texts_written"]}
    return found


def _cpu_seconds() -> float:
    """Return what this process and its threads have used: other programs on the machine change it little."""
    times = os.times()
    return times.user + times.system
