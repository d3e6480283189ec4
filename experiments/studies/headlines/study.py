"""``copyloom study headlines``: what each rule would have earned in real tests of headlines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.online.horizon_index import horizon_index
from bandits.rewards.pooled_rates import RatePrior
from copyloom import InputError, Report
from copyloom.tables import Reading
from embeddings.folders import replacing
from experiments.bootstrap import Resampled, bounds
from experiments.studies.headlines.archive import Archive, read_whole
from experiments.studies.headlines.best_rule import earned
from experiments.studies.headlines.earning import Ground, earned_by
from experiments.studies.headlines.replay import Replayed
from experiments.studies.headlines.rules import Array, Pooled
from experiments.studies.headlines.settings import CEILING, ORACLE, TRUTHS, HeadlineStudy
from experiments.studies.headlines.states import states_of
from experiments.studies.headlines.vectors import vectors_of
from experiments.studies.headlines.words import Promise, accuracy, folds_of, learn
from experiments.versions import packages, source_hash

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
_DRAWN = 2000
"""Samples of tests, with replacement, for the intervals of the best rule."""
_EXACT = 1000
"""Counts that are so many times as large say that rates are the truth."""


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
    everything = read_whole(path, reading, settings.keep_faulty)
    folds = folds_of(everything, settings.folds)
    archive = everything.only(np.flatnonzero(everything.sound))
    if len(np.unique(folds[everything.sound])) < settings.folds:
        raise InputError(f"{path} has {archive.count} sound tests, of which {len(np.unique(archive.groups))} share "
                         f"nothing: too few for {settings.folds} folds; give more of them, or fewer folds")  # fmt: skip
    vectors = vectors_of(everything.headlines, folder, report)
    kept = folder / _identity(everything, settings, tuple(vectors))
    ground, words = _prepared(everything, folds, vectors, settings, kept, report)
    replayed = earned_by(ground, settings, kept, report)
    groups = Resampled(archive.groups)
    rows = [
        row
        for truth in settings.truths
        for tau in settings.taus
        for row in _rows(replayed, truth, tau, settings, groups)
    ]
    return {
        "tests": archive.count, "headlines": len(archive.headlines), "arms": float(archive.arms.mean()),
        "left_out": archive.left_out, "settings": asdict(settings), "truths": {t: TRUTHS[t] for t in settings.truths},
        "words": words, "rows": rows, "ceiling_share": _shares(rows, settings),
        "best_rule": _beside_best(ground, settings, report),
        "published": {str(tau): PUBLISHED[tau] for tau in settings.taus if tau in PUBLISHED},
    }  # fmt: skip


def _prepared(
    everything: Archive, folds: NDArray[np.int64], vectors: dict[str, Array], settings: HeadlineStudy, folder: Path,
    report: Report,
) -> tuple[Ground, dict[str, Any]]:  # fmt: skip
    archive, of_sound = everything.only(np.flatnonzero(everything.sound)), everything.sound[everything.tests]
    ground = Ground(archive, folds[everything.sound])
    everyone = RatePrior.fit(archive.tests, archive.impressions, archive.clicks)
    drawn = [everyone.draw(archive.tests, archive.impressions, archive.clicks, np.random.default_rng([seed, 7]))[0]
             for seed in range(settings.seeds)]  # fmt: skip
    ground.truths.update(corrected=np.array(drawn), raw=np.tile(archive.rates, (settings.seeds, 1)))
    factors, chosen = np.ones(len(archive.headlines)), []
    for fold in range(settings.folds):
        report("learning from other tests", fold, settings.folds)
        promise = _promise(folder / f"words-{fold}.npz", lambda: learn(everything, folds == fold, vectors))  # noqa: B023
        promised = promise.factors[of_sound]
        own = (ground.folds == fold)[archive.tests]
        factors[own] = promised[own]
        chosen.append({"features": promise.features, "penalty": promise.penalty})
        past = archive.only(np.flatnonzero(ground.folds != fold))
        for truth in settings.truths:
            times = _EXACT if truth == "raw" else 1
            counts = past.tests, past.impressions * times, past.clicks * times
            worded, unworded = RatePrior.fit(*counts, promised[~own]), RatePrior.fit(*counts)
            rates = past.rates if truth == "raw" else drawn[0][~own]
            ground.known[truth, fold] = promised, worded, unworded, float(rates.mean()), _beta(rates)
    report("learning from other tests", settings.folds, settings.folds)
    return ground, {**accuracy(archive, factors), "states": "states" in vectors, "chosen": chosen}


def _promise(path: Path, make: Callable[[], Promise]) -> Promise:
    """Return what was learned, from the file if it is there."""
    if not path.exists():
        made = make()
        with replacing(path) as new, new.open("wb") as file:
            np.savez(file, factors=made.factors, features=made.features, penalty=made.penalty)
    with np.load(path) as kept:
        return Promise(kept["factors"], tuple(map(str, kept["features"])), float(kept["penalty"]))


def _beta(rates: Array) -> tuple[float, float]:
    """Return the Beta distribution with the mean and variance of rates."""
    mean = float(rates.mean())
    strength = mean * (1 - mean) / float(rates.var()) - 1
    return mean * strength, (1 - mean) * strength


def _identity(everything: Archive, settings: HeadlineStudy, features: Sequence[str]) -> str:
    """Return the name of the folder of what was earned: for the same tests, seeds, folds, features and code."""
    counts = everything.clicks.tolist(), everything.impressions.tolist(), everything.sound.tolist()
    code = source_hash(Replayed, Pooled, states_of, learn, RatePrior, horizon_index)
    said = json.dumps([settings.seeds, settings.folds, everything.headlines, *counts, *features, code, packages()])
    return f"replayed-{sha256(said.encode()).hexdigest()[:16]}"


def _rows(
    earned: dict[tuple[str, int, str], Replayed], truth: str, tau: int, settings: HeadlineStudy, groups: Resampled
) -> list[dict[str, Any]]:
    """Return a row an entrant: clicks a test and period, how far from uniform to the ceiling, and what ours gains."""
    values = {name: earned[truth, tau, name].clicks.mean(0) for name in settings.names}
    means = {name: groups.means(value) for name, value in values.items()}
    way = values[CEILING].mean() - values["uniform"].mean()
    best = earned[truth, tau, ORACLE].kept
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
            "best_kept": float(kept.found.mean()), "best_kept_interval": bounds(groups.means(kept.found.mean(0))),
            "simple_regret": float((best - kept.kept).mean()),
            "simple_regret_interval": bounds(groups.means((best - kept.kept).mean(0))),
        })  # fmt: skip
    return rows


def _beside_best(ground: Ground, settings: HeadlineStudy, report: Report) -> list[dict[str, Any]]:
    """Return for each number of impressions how far ours and the best rule come in tests of two headlines.

    If our belief is right, that is: what they earn is expected under it, not replayed. With what the first of the kinds
    of rates says of past tests; intervals are over tests.
    """
    if not settings.best_rule:
        return []
    truth = settings.truths[0]
    pairs = [(tests.known.worded, factors) for tests in ground.tests(truth)
             for factors in tests.known.factors if tests.known.factors.shape[1] == 2]  # fmt: skip
    places = np.unique(np.linspace(0, len(pairs) - 1, min(settings.best_rule, len(pairs))).astype(int))
    if len(places) < settings.best_rule:
        report(f"{len(pairs)} tests have two headlines, so the best rule is found for these alone", 0, 1)
    rows, steps = [], len(settings.taus) * len(places)
    for number, tau in enumerate(settings.taus if len(places) else ()):
        found = []
        for done, place in enumerate(places):
            report("the best of all rules", number * len(places) + done, steps)
            prior, factors = pairs[place]
            found.append(astuple(earned(prior, factors, tau, np.random.default_rng([tau, int(place)]))))
        drawn = np.random.default_rng(tau).integers(len(found), size=(_DRAWN, len(found)))
        samples = np.concatenate([np.mean(found, 0)[None], np.array(found)[drawn].mean(1)])  # the first is all of them
        uniform, _, ours, best, ceiling = samples.T
        shares = {"ours": (ours - uniform) / (ceiling - uniform), "best_rule": (best - uniform) / (ceiling - uniform),
                  "further": (best - ours) / (ceiling - uniform)}  # fmt: skip
        rows.append({"truth": truth, "tau": tau, "tests": len(found)})
        for name, values in shares.items():
            rows[-1] |= {name: float(values[0]), f"{name}_interval": bounds(values[1:])}
    report("the best of all rules", steps, steps)
    return rows


def _shares(rows: Sequence[dict[str, Any]], settings: HeadlineStudy) -> dict[str, dict[str, float]]:
    return {
        truth: {
            str(row["tau"]): row["ceiling_share"] for row in rows if row["truth"] == truth and row["entrant"] == "ours"
        }
        for truth in settings.truths
    }
