"""How many processors a process may use, and how its threads wait: to be chosen before torch is imported."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""What OpenMP's libraries read: torch's on Linux is GNU's, which knows the first two."""
_TURNS = 2000
"""That a waiting thread spins before it sleeps: longer than the pauses inside a model, shorter than another's turn."""


def choose_threads() -> None:
    """Set, for all that is imported later, as many threads as there is room for, and let those that wait soon sleep.

    Unless told otherwise, a thread that waits for another spins for milliseconds. Where other programs want the same
    processors, it spins instead of the thread that it waits for. The number of threads does not follow the load, for
    with another number the last digits are others.

    Notes
    -----
    copyloom-tiny read 8 texts of 30 tokens on two processors, milliseconds in the median, idle and beside two programs
    that never wait: as it comes 22 and 3,600; 3,000 turns 22 and 75; 2,000 turns 64 beside them; 1,000 turns 24 and 52
    to 81; none (``OMP_WAIT_POLICY=passive``) 32 and 119; one thread 39 and 39.
    """
    if (most := processors()) < _bound():
        os.environ.setdefault("OMP_NUM_THREADS", str(most))
    if not any(os.environ.get(name) for name in _WAITING):
        os.environ["GOMP_SPINCOUNT"] = str(_TURNS)


def processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processors this process may use: those that it is bound to, or fewer by its container's quota."""
    return math.ceil(max(1, min(_bound(), _quota(cgroup))))


@contextmanager
def threads(count: int | None = None) -> Iterator[None]:
    """Let torch use so many threads, and afterwards as many as before, whoever set another number meanwhile.

    Parameters
    ----------
    count : int, optional
        As many as there are, unless given.
    """
    import torch  # here, as this module is read before torch is

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def waiting() -> str:
    """Return in words how threads wait here."""
    chosen = next((f"{name}={os.environ[name]}" for name in _WAITING if os.environ.get(name)), "")
    return chosen or f"by spinning, which is slow beside other programs: set GOMP_SPINCOUNT={_TURNS}"


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
