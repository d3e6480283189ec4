"""``copyloom study headlines``: what each rule would have earned in real tests of headlines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.rewards.pooled_rates import RatePrior
from copyloom import InputError, Report
from copyloom.tables import Reading
from embeddings.encoder import SentenceEncoder
from embeddings.folders import replacing
from experiments.bootstrap import RESAMPLES, bounds
from experiments.studies.headlines.archive import Archive, read_archive
from experiments.studies.headlines.replay import Group, Replayed, replay
from experiments.studies.headlines.rules import Array, Known
from experiments.studies.headlines.settings import CEILING, TRUTHS, HeadlineStudy
from experiments.studies.headlines.words import accuracy, folds_of, learn
from experiments.versions import packages

PUBLISHED = {
    50: {"ucb": 0.0695, "words alone": 0.0009, "explore then commit": 0.0869},
    100: {"ucb": 0.0638, "words alone": 0.0103, "explore then commit": 0.0772},
    200: {"ucb": 0.0498, "words alone": 0.0178, "explore then commit": 0.0816},
    400: {"ucb": 0.0396, "words alone": 0.0302, "explore then commit": 0.0576},
    600: {"ucb": 0.0304, "words alone": 0.0349, "explore then commit": 0.0483},
    800: {"ucb": 0.0235, "words alone": 0.0420, "explore then commit": 0.0536},
    1000: {"ucb": 0.0223, "words alone": 0.0502, "explore then commit": 0.0508},
}
"""By how much LOLA earned more than others in its authors' stored runs: a larger archive, a larger model's words."""
_EXACT = 1000
"""Counts that are so many times as large say that rates are the truth."""
_CELLS = 20_000
"""Headlines of all seeds that are replayed side by side: those that fit a core's cache."""


@dataclass(frozen=True, eq=False)
class _Ground:
    """An archive in folds, with what each fold's tests learn from the others."""

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


def measure(
    path: Path | str, settings: HeadlineStudy, folder: Path, report: Report, reading: Reading | None = None
) -> dict[str, Any]:
    """Return all that the command prints.

    What an entrant earned is kept in `folder` when it is known, so that a study that was stopped goes on.

    Parameters
    ----------
    path : Path or str
        The archive.
    settings : HeadlineStudy
    folder : Path
    report : callable
    reading : Reading, optional

    Raises
    ------
    InputError
        If the archive cannot be used.
    """
    archive = read_archive(path, reading, settings.keep_faulty)
    if int(archive.groups.max()) + 1 < settings.folds:
        raise InputError(f"{path} has {archive.count} tests of which {int(archive.groups.max()) + 1} share nothing; "
                         f"give at least {settings.folds} of them, or fewer folds")  # fmt: skip
    ground, words = _prepared(archive, settings, folder, report)
    earned = _earned(ground, settings, folder / _identity(archive, settings), report)
    groups = _Resampled(archive.groups)
    rows = [
        row for truth in settings.truths for tau in settings.taus for row in _rows(earned, truth, tau, settings, groups)
    ]
    return {
        "tests": archive.count, "headlines": len(archive.headlines), "arms": float(archive.arms.mean()),
        "left_out": archive.left_out, "settings": asdict(settings), "truths": {t: TRUTHS[t] for t in settings.truths},
        "words": words, "rows": rows, "ceiling_share": _shares(rows, settings),
        "published": {str(tau): PUBLISHED[tau] for tau in settings.taus if tau in PUBLISHED},
    }  # fmt: skip


def _prepared(
    archive: Archive, settings: HeadlineStudy, folder: Path, report: Report
) -> tuple[_Ground, dict[str, Any]]:
    vectors = _vectors(archive, folder, report)
    ground = _Ground(archive, folds_of(archive, settings.folds))
    everyone = RatePrior.fit(archive.tests, archive.impressions, archive.clicks)
    drawn = [everyone.draw(archive.tests, archive.impressions, archive.clicks, np.random.default_rng([seed, 7]))
             for seed in range(settings.seeds)]  # fmt: skip
    ground.truths.update(corrected=np.array(drawn), raw=np.tile(archive.rates, (settings.seeds, 1)))
    factors, chosen = np.ones(len(archive.headlines)), []
    for fold in range(settings.folds):
        report("learning from other tests", fold, settings.folds)
        promise = learn(archive, ground.folds == fold, {"sentence": vectors})
        own = (ground.folds == fold)[archive.tests]
        factors[own] = promise.factors[own]
        chosen.append({"features": promise.features, "penalty": promise.penalty})
        past = archive.only(np.flatnonzero(ground.folds != fold))
        for truth in settings.truths:
            times = _EXACT if truth == "raw" else 1
            counts = past.tests, past.impressions * times, past.clicks * times
            worded, unworded = RatePrior.fit(*counts, promise.factors[~own]), RatePrior.fit(*counts)
            rates = past.rates if truth == "raw" else drawn[0][~own]
            mean, variance = float(rates.mean()), float(rates.var())
            strength = mean * (1 - mean) / variance - 1
            ground.known[truth, fold] = (
                promise.factors,
                worded,
                unworded,
                mean,
                (mean * strength, (1 - mean) * strength),
            )
    report("learning from other tests", settings.folds, settings.folds)
    return ground, {**accuracy(archive, factors), "chosen": chosen}


def _vectors(archive: Archive, folder: Path, report: Report) -> Array:
    """Return the sentence vectors of the headlines, kept in `folder`."""
    letters = sha256("\0".join(archive.headlines).encode()).hexdigest()[:16]
    path = folder / f"sentence-vectors-{letters}.npy"
    if not path.exists():
        encoder, found = SentenceEncoder(), []
        for first in range(0, len(archive.headlines), 512):
            report("reading headlines", first, len(archive.headlines))
            found.append(encoder.encode(archive.headlines[first : first + 512]).numpy())
        report("reading headlines", len(archive.headlines), len(archive.headlines))
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as new, new.open("wb") as file:
            np.save(file, np.concatenate(found))
    return np.load(path).astype(np.float64)


def _earned(
    ground: _Ground, settings: HeadlineStudy, folder: Path, report: Report
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


_SLOW = ("ours", "ours without words", CEILING, "thompson")
_ground: tuple[_Ground, int] | None = None


def _begin(ground: _Ground, seeds: int) -> None:
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


def _identity(archive: Archive, settings: HeadlineStudy) -> str:
    """Return the name of the folder of what was earned: for the same tests, seeds, folds and versions of packages."""
    counts = archive.clicks.tolist(), archive.impressions.tolist()
    said = json.dumps([settings.seeds, settings.folds, archive.headlines, *counts, packages()])
    return f"replayed-{sha256(said.encode()).hexdigest()[:16]}"


class _Resampled:
    """Bootstrap samples of groups of tests, the same ones for all entrants, so that differences are paired."""

    def __init__(self, groups: NDArray[np.int64]) -> None:
        count = int(groups.max()) + 1
        drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        self._weights = drawn[:, groups].astype(np.float64)
        self._weights /= self._weights.sum(1, keepdims=True)

    def means(self, values: Array) -> Array:
        """Return the mean of values (n,) in each sample."""
        found: Array = self._weights @ values
        return found


def _rows(
    earned: dict[tuple[str, int, str], Replayed], truth: str, tau: int, settings: HeadlineStudy, groups: _Resampled
) -> list[dict[str, Any]]:
    """Return a row an entrant: clicks a test and period, how far from uniform to the ceiling, and what ours gains."""
    values = {name: earned[truth, tau, name].clicks.mean(0) for name in settings.names}
    means = {name: groups.means(value) for name, value in values.items()}
    way = values[CEILING].mean() - values["uniform"].mean()
    rows = []
    for name in settings.names:
        own, kept = means[name], earned[truth, tau, name]
        share = (own - means["uniform"]) / (means[CEILING] - means["uniform"])
        rows.append({
            "truth": truth, "tau": tau, "entrant": name,
            "clicks": float(values[name].mean()), "interval": bounds(own),
            "ceiling_share": float((values[name].mean() - values["uniform"].mean()) / way),
            "ceiling_share_interval": bounds(share),
            "ours_gains": float(values["ours"].mean() / values[name].mean() - 1),
            "ours_gains_interval": bounds(means["ours"] / own - 1),
            "best_kept": float(kept.found.mean()), "kept_rate": float(kept.kept.mean()),
        })  # fmt: skip
    return rows


def _shares(rows: Sequence[dict[str, Any]], settings: HeadlineStudy) -> dict[str, dict[str, float]]:
    return {
        truth: {
            str(row["tau"]): row["ceiling_share"] for row in rows if row["truth"] == truth and row["entrant"] == "ours"
        }
        for truth in settings.truths
    }
