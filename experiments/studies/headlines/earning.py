"""What each entrant earns in an archive: over processes, and what is known already is read from a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bandits.rewards.pooled_rates import RatePrior
from copyloom import Report
from embeddings.folders import replacing
from experiments.studies.headlines.archive import Archive
from experiments.studies.headlines.replay import Group, Replayed, replay
from experiments.studies.headlines.rules import Array, Known
from experiments.studies.headlines.settings import CEILING, HeadlineStudy

_CELLS = 20_000
"""Headlines of all seeds that are replayed side by side: those that fit a core's cache."""


@dataclass(frozen=True, eq=False)
class Ground:
    """The sound tests of an archive in folds, with what each fold's tests learn from the others."""

    archive: Archive
    folds: NDArray[np.int64]
    truths: dict[str, Array] = field(default_factory=dict)
    """Rates of the headlines, (S, N)."""
    known: dict[tuple[str, int], tuple[Array, RatePrior, RatePrior, float, tuple[float, float]]] = field(
        default_factory=dict
    )

    def tests(self, truth: str) -> Iterator[Group]:
        """Yield the tests in groups of one fold and one number of headlines."""
        starts = np.searchsorted(self.archive.tests, np.arange(self.archive.count))
        for fold in np.unique(self.folds):
            factors, worded, unworded, rate, beta = self.known[truth, int(fold)]
            for arms in np.unique(self.archive.arms):
                places = np.flatnonzero((self.folds == fold) & (self.archive.arms == arms))
                if places.size:
                    headlines = starts[places][:, None] + np.arange(arms)
                    known = Known(factors[headlines], worded, unworded, rate, beta)
                    yield Group(places, self.truths[truth][:, headlines], known)


def earned_by(
    ground: Ground, settings: HeadlineStudy, folder: Path, report: Report
) -> dict[tuple[str, int, str], Replayed]:
    """Return what each entrant earned, (S, n), by truth, impressions and name; what is in `folder` is not replayed."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(truth, tau, name) for tau in settings.taus for truth in settings.truths for name in settings.names]
    found = {job: _kept(path) for job in jobs if (path := folder / _file(job)).exists()}
    left = [job for job in jobs if job not in found]
    report("replaying", len(found), len(jobs))
    if not left:
        return found
    workers = min(len(left), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (ground, settings.seeds)) as pool:
        # the longest first, so that no core waits at the end
        running: dict[Future[Replayed], tuple[str, int, str]] = {
            pool.submit(_replayed, job): job for job in sorted(left, key=lambda job: (-job[1], job[2] not in _SLOW))
        }
        try:
            for future in as_completed(running):
                job, earned = running[future], future.result()
                with replacing(folder / _file(job)) as new, new.open("wb") as file:
                    np.savez(file, clicks=earned.clicks, kept=earned.kept, found=earned.found)
                found[job] = earned
                report("replaying", len(found), len(jobs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


_SLOW = ("thompson", CEILING, "ours", "ours without words", "ours to name the best")
_ground: tuple[Ground, int] | None = None


def _begin(ground: Ground, seeds: int) -> None:
    global _ground
    _ground = ground, seeds


def _replayed(job: tuple[str, int, str]) -> Replayed:
    assert _ground is not None
    ground, count = _ground
    truth, tau, name = job
    shape = (count, ground.archive.count)
    whole = Replayed(np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool))
    for tests in ground.tests(truth):
        size = max(1, _CELLS // tests.known.factors.size)
        for first in range(0, count, size):
            seeds = np.arange(first, min(first + size, count))
            part = replay(Group(tests.places, tests.rates[seeds], tests.known), name, tau, seeds)
            for values, all_of_them in zip(vars(part).values(), vars(whole).values(), strict=True):
                all_of_them[np.ix_(seeds, tests.places)] = values
    return whole


def _file(job: tuple[str, int, str]) -> str:
    truth, tau, name = job
    return f"{truth}-{tau}-{name.replace(' ', '-')}.npz"


def _kept(path: Path) -> Replayed:
    with np.load(path) as kept:
        return Replayed(kept["clicks"], kept["kept"], kept["found"])
