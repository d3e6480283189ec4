"""How many processors a process may use, and how its threads wait: to be chosen before torch is imported."""

from __future__ import annotations

import math
import os
from pathlib import Path

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""What OpenMP's libraries read: torch's on Linux is GNU's, which knows the first two."""


def choose_threads() -> None:
    """Set, for all that is imported later, as many threads as there is room for, and let those that wait sleep.

    Unless told otherwise, threads that wait for one another spin for a while. Where other programs want the same
    processors too, they spin instead of the thread that they wait for: a mixture took 151 to 221 seconds by default on
    two processors with a load of six, 22 to 26 with threads that sleep, and 12 with one. The number of threads does not
    follow the load, for with another number the last digits are others.
    """
    if (most := processors()) < _bound():
        os.environ.setdefault("OMP_NUM_THREADS", str(most))
    if not any(os.environ.get(name) for name in _WAITING):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processors this process may use: those that it is bound to, or fewer by its container's quota."""
    return math.ceil(max(1, min(_bound(), _quota(cgroup))))


def waiting() -> str:
    """Return in words how threads wait here."""
    chosen = next((f"{name}={os.environ[name]}" for name in _WAITING if os.environ.get(name)), "")
    return chosen or "by spinning, which is slow beside other programs: set OMP_WAIT_POLICY=passive"


def _bound() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota(cgroup: Path) -> float:
    """Return the processors that a control group (version 2 or 1) leaves, infinitely many without one."""
    try:
        if (limit := cgroup / "cpu.max").is_file():
            quota, period = limit.read_text().split()
        else:
            quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError):  # there is none, or it says "max"
        return math.inf
