"""How long a study of several policies takes, and how that grows with seeds and rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
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
    """Return what studies of five policies take, with decoding and with what was decoded kept, by seeds and by rounds.

    The whole study is played twice: first nothing is kept, then what the first decoded and inverted is. The smaller
    ones find what is theirs there too, but for mixtures that only they propose.

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
    sizes = [(seeds, rounds, "first"), (seeds, rounds, "again"),
             *((_part(seeds, share), rounds, "seeds") for share in SHARES[:-1]),
             *((seeds, _part(rounds, share), "rounds") for share in SHARES[:-1])]  # fmt: skip
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        for number, (some, length, what) in enumerate(sizes):
            report("playing studies", number, len(sizes))
            config = RunConfig(seeds=some, rounds=length, impressions=max(impressions // rounds, 1), model=model,
                               policy=POLICIES[0], beside=POLICIES[1:])  # fmt: skip
            rows.append({"what": what, "seeds": some, "rounds": length,
                         **_timed(config, Path(folder) / str(number), Path(folder) / "memo")})  # fmt: skip
    report("playing studies", len(sizes), len(sizes))
    kept = [row for row in rows if row["what"] != "first"]
    return {
        "policies": list(POLICIES), "impressions": impressions, "processors": processors(), "rows": rows,
        "exponents": {
            "seeds": _growth("seeds", [row for row in kept if row["rounds"] == rounds]),
            "rounds": _growth("rounds", [row for row in kept if row["seeds"] == seeds]),
        },
        "model": model, "versions": versions(),
    }  # fmt: skip


def _growth(name: str, rows: Sequence[Mapping[str, Any]]) -> float:
    return exponent([row[name] for row in rows], [row["cpu_seconds"] for row in rows])


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
        "seeds", "rounds", "campaigns", "decoded before", "seconds", "seconds of processors"], [
        [str(row["seeds"]), str(row["rounds"]), str(row["campaigns"]), "nothing" if row["what"] == "first" else "kept",
         f"{row['seconds']:.0f}", f"{row['cpu_seconds']:.0f}"] for row in found["rows"]])  # fmt: skip
    said = ", ".join(f"{name} to the power of {value:.2f}" for name, value in found["exponents"].items())
    console.out.print(f"Seconds of processors grow as {said}.")


def _part(whole: int, share: float) -> int:
    return max(round(whole * share), 1)


def _timed(config: RunConfig, out: Path, memo: Path) -> dict[str, Any]:
    began, used = time.perf_counter(), _cpu_seconds()
    data = run_study(config, out, lambda *_: None, memo=memo)
    return {"campaigns": len(data["campaigns"]), "texts_written": data["summary"]["texts_written"],
            "seconds": time.perf_counter() - began, "cpu_seconds": _cpu_seconds() - used}  # fmt: skip


def _cpu_seconds() -> float:
    """Return what this process and its threads have used: other programs on the machine change it little."""
    times = os.times()
    return times.user + times.system
