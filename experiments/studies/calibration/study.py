"""``copyloom study calibration``: simulated tests beside those of an archive, both measured in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from copyloom import Report
from copyloom.tables import Reading
from experiments.bootstrap import bounds
from experiments.studies.headlines.archive import Archive, read_archive
from simulator import ShopperConfig, SimulatedFeed, Snapshot
from simulator.config import ProductConfig
from simulator.drift import segment_shares
from simulator.worlds import World, word_world
from simulator.worlds.headlines import click_logits, within_variance

MEASURES = {
    "base_rate": "clicks an impression, mean over texts",
    "between_logit_sd": "click logit between tests, standard deviation without noise",
    "within_logit_sd": "click logit between texts of a test, standard deviation without noise",
    "between_rate_sd": "click rate between tests, standard deviation without noise",
    "within_rate_sd": "click rate between texts of a test, standard deviation without noise",
    "arms": "texts a test, mean",
    "impressions": "impressions a text, median",
}
REFERENCE, TESTS = 400, 600
"""Headlines over which simulated tastes are scaled and among which simulated tests choose; simulated tests at most."""
_RESAMPLES = 200


def measure(
    path: Path | str, report: Report, reading: Reading | None = None, shoppers: ShopperConfig | None = None
) -> dict[str, Any]:
    """Return all that the command prints.

    Parameters
    ----------
    path : Path or str
        The archive.
    report : callable
    reading : Reading, optional
    shoppers : ShopperConfig, optional
        Those that are held beside the archive; as usual unless given.

    Returns
    -------
    dict
        ``rows``: each measure of the archive with its interval, of tests ``simulated`` with the settings, and of those
        that are ``calibrated``; ``settings`` that calibrate, as in YAML.

    Raises
    ------
    InputError
        If the archive cannot be used.
    """
    archive = read_archive(path, reading)
    report("measuring the archive", 0, 3)
    real = measures(archive.tests, archive.impressions, archive.clicks)
    intervals = _intervals(archive)
    given, fitted = shoppers or ShopperConfig(), calibrated(real)
    found = {}
    for done, (name, config) in enumerate({"simulated": given, "calibrated": fitted}.items(), start=1):
        report("simulating tests", done, 3)
        found[name] = simulated(archive, config)
    report("simulating tests", 3, 3)
    rows = [
        {"measure": name, "meaning": meaning, "archive": real[name], "interval": intervals[name]}
        | {side: values[name] for side, values in found.items()}
        for name, meaning in MEASURES.items()
    ]
    return {"tests": archive.count, "headlines": len(archive.headlines), "left_out": archive.left_out, "rows": rows,
            "arms_shares": _shares(archive.arms), "impressions_quartiles": _quartiles(archive.impressions),
            "settings": {"shoppers": fitted.model_dump(exclude_defaults=True)}}  # fmt: skip


def calibrated(real: dict[str, float]) -> ShopperConfig:
    """Return settings of shoppers that are as measures say: segments' own tastes add to the spread of all."""
    usual = ShopperConfig()
    shares = segment_shares(usual)
    more = (1 + usual.segment_spread**2 * float(shares @ shares)) ** 0.5
    return ShopperConfig(
        base_rate=round(real["base_rate"], 4), logit_sd=round(real["within_logit_sd"] / more, 2),
        product=ProductConfig(logit_sd=round(real["between_logit_sd"], 2)),
    )  # fmt: skip


def measures(tests: NDArray[np.int64], impressions: NDArray[np.int64], clicks: NDArray[np.int64]) -> dict[str, float]:
    """Return the measures of tests by name, as `MEASURES` lists them.

    The variance of logits within tests is DerSimonian and Laird's (1986); between tests, whose precision goes with
    their level, and of rates, it is that of what was seen less that of the noise.

    Parameters
    ----------
    tests : array of shape (N,)
        From 0, of n tests.
    impressions, clicks : array of shape (N,)
    """
    logits, noise = click_logits(impressions, clicks)
    within = within_variance(tests, logits, noise)
    weight = 1 / (noise + within)
    precision = np.bincount(tests, weight)
    levels = np.bincount(tests, weight * logits) / precision
    between = max(float(levels.var(ddof=1) - (1 / precision).mean()), 0.0) if len(levels) > 1 else 0.0
    arms, rates = np.bincount(tests), clicks / impressions
    level = np.bincount(tests, rates) / arms
    chance = rates * (1 - rates) / np.maximum(impressions - 1, 1)
    rest = np.bincount(tests, (rates - level[tests]) ** 2) / np.maximum(arms - 1, 1)
    within_rate = float((rest - np.bincount(tests, chance) / arms).mean())
    between_rate = float(level.var() - (rest / arms).mean())
    return {
        "base_rate": float(rates.mean()), "between_logit_sd": between**0.5, "within_logit_sd": within**0.5,
        "between_rate_sd": max(between_rate, 0.0) ** 0.5, "within_rate_sd": max(within_rate, 0.0) ** 0.5,
        "arms": float(arms.mean()), "impressions": float(np.median(impressions)),
    }  # fmt: skip


def simulated(archive: Archive, config: ShopperConfig, tests: int = TESTS) -> dict[str, float]:
    """Return the measures of simulated tests with as many texts and impressions as real ones.

    Each has shoppers and a product of its own, in the world of words; its texts are drawn among headlines of the
    archive, over which their tastes are scaled.
    """
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(archive.count, min(tests, archive.count), replace=False))
    some = archive.only(chosen)
    texts = [archive.headlines[row] for row in rng.permutation(len(archive.headlines))[:REFERENCE].tolist()]
    world = _read_once(word_world(list(dict.fromkeys(texts))))
    starts = np.searchsorted(some.tests, np.arange(some.count + 1))
    impressions, clicks = np.zeros_like(some.impressions), np.zeros_like(some.clicks)
    for test in range(some.count):
        rows = slice(starts[test], starts[test + 1])
        shown = some.impressions[rows]
        arms = tuple(world.reference[place] for place in rng.choice(len(world.reference), len(shown), replace=False))
        feed = SimulatedFeed(world.shoppers(config, np.random.default_rng([1, test])), test, config)
        feed.publish(Snapshot(0, arms, shown / shown.sum(), int(shown.sum())))
        for outcome in feed.closed():
            impressions[rows] += outcome.impressions.sum(1)
            clicks[rows] += outcome.clicks.sum(1)
    kept = impressions > 0
    return measures(some.tests[kept], impressions[kept], clicks[kept])


def _read_once(world: World) -> World:
    """Return a world that keeps the features of its reference texts."""
    known = dict(zip(world.reference, world.features(world.reference), strict=True))
    return World(world.name, lambda texts: np.stack([known[text] for text in texts]), world.reference)


def _intervals(archive: Archive) -> dict[str, list[float]]:
    """Return 95 % bootstrap intervals of the measures, over tests that share nothing."""
    rng, groups = np.random.default_rng(0), int(archive.groups.max()) + 1
    group = archive.groups[archive.tests]
    drawn = []
    for _ in range(_RESAMPLES):
        times = np.bincount(rng.integers(groups, size=groups), minlength=groups)
        rows = np.repeat(np.arange(len(group)), times[group])
        copies = np.concatenate([np.arange(count) for count in times[group]])
        tests = np.unique(archive.tests[rows] * (int(times.max()) + 1) + copies, return_inverse=True)[1]
        drawn.append(measures(tests, archive.impressions[rows], archive.clicks[rows]))
    return {name: bounds(np.array([one[name] for one in drawn])) for name in MEASURES}


def _shares(arms: NDArray[np.int64]) -> dict[str, float]:
    return {str(count): float((arms == count).mean()) for count in np.unique(arms)}


def _quartiles(values: NDArray[np.int64]) -> list[float]:
    return [float(value) for value in np.quantile(values, (0.25, 0.5, 0.75))]
