"""What peeking does: false alarms of sequences, stopping rule and z-test in A/A streams; widths; time to a verdict."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from bandits.inputs import Array
from bandits.sequential.confidence_sequences import difference_interval, log_martingale, matched_beta, rate_interval
from bandits.sequential.planning import PlannedCampaign, plan_traffic
from bandits.sequential.running_means import running_mean_interval
from bandits.sequential.sample_ratio import check_sample_ratio
from bandits.sequential.stopping import identify_best
from copyloom import Report
from experiments.commands import console

ALPHA = 0.05
RATE = 0.02
FLOOR = 0.1
"""Least probability of a text in the A/A streams."""
PRIOR = matched_beta(RATE, 0.5)
_PART = 1000
_SLATE = 8
_LOGIT_SD = 0.29
"""Within-test spread of the Upworthy archive's headlines."""


def measure(streams: int, batches: int, seed: int, report: Report) -> dict[str, Any]:
    """Return false alarm rates, widths and times to a verdict.

    Parameters
    ----------
    streams : int
        A/A streams of two texts, each looked at after every batch.
    batches : int
        Of 500 impressions.
    """
    began = time.perf_counter()
    days = np.arange(batches) / 50
    paths = {"constant": np.full(batches, RATE), "drifting": RATE * (1 + 0.5 * np.sin(2 * np.pi * days))}
    alarms = {}
    for number, (name, path) in enumerate(paths.items()):
        report(f"A/A streams, {name} rate", number, len(paths))
        alarms[name] = _false_alarms(path, streams, np.random.default_rng([seed, number]))
    report("time to a verdict", 0, 1)
    return {"alpha": ALPHA, "streams": streams, "batches": batches, "rate": RATE, "false_alarms": alarms,
            "widths": [_widths(n) for n in (1_000, 10_000, 100_000)],
            "verdicts": _verdicts(max(streams // 40, 25), np.random.default_rng([seed, 2])),
            "seconds": round(time.perf_counter() - began, 1)}  # fmt: skip


def show(found: dict[str, Any]) -> None:
    """Print the tables of `measure` for people."""
    constant, drifting = found["false_alarms"]["constant"], found["false_alarms"]["drifting"]
    console.table(
        f"A/A: share of {found['streams']:,} streams with a false alarm at any of {found['batches']} looks "
        f"(stated: at most {found['alpha']:.0%}), probabilities following the noise",
        ["", "constant rate", "common drift"],
        [[name, console.percent(constant[name]), console.percent(drifting[name])] for name in constant],
    )
    console.table(
        "Width of 95 % intervals at a rate of 2 %, over the width for one look",
        ["", *(f"{row['impressions']:,} of each" for row in found["widths"])],
        [[title, *(f"{row[name]:.2f}" for row in found["widths"])] for name, title in _INTERVALS.items()],
    )
    console.table(
        f"Naming the best of {_SLATE} texts (logit sd {_LOGIT_SD}, 5 % error) with 600,000 impressions",
        ["allocation", "needed by half", "needed by 80 %", "named", "named wrongly"],
        [[row["allocation"], *(f"{row[name]:,}" if row[name] else "-" for name in ("median", "power")),
          console.percent(row["named"]), console.percent(row["wrong"])] for row in found["verdicts"]],
    )  # fmt: skip


_INTERVALS = {
    "rate": "rate_interval",
    "rate_matched": "rate_interval, prior (0.02, logit sd 0.5)",
    "difference": "difference_interval, same prior",
    "weighted_rate": "running_mean_interval, rate",
    "weighted_difference": "running_mean_interval, difference",
}


def _false_alarms(path: Array, streams: int, rng: np.random.Generator) -> dict[str, float | None]:
    """Share of streams with an alarm at any look, by method; None where a method makes no claim."""
    parts = [_alarms(path, min(_PART, streams - start), rng) for start in range(0, streams, _PART)]
    joined = {name: [part[name] for part in parts] for name in parts[0]}
    return {name: None if rows[0] is None else float(np.concatenate(rows).mean()) for name, rows in joined.items()}


def _alarms(path: Array, streams: int, rng: np.random.Generator) -> dict[str, Any]:
    """Whether each stream of two equal texts raises an alarm at any look, by method."""
    impressions, clicks, probabilities = _streams(path, streams, 2, rng)
    n, c = impressions.cumsum(1), clicks.cumsum(1)  # (streams, batches, 2)
    lower, upper = difference_interval(c[..., 0], n[..., 0], c[..., 1], n[..., 1], ALPHA, PRIOR)
    z = _z(c, n)
    steady = bool((path == path[0]).all())
    against = log_martingale(c[..., 0], n[..., 0], path[0]) if steady else None
    ratio = check_sample_ratio(impressions, probabilities, ALPHA)
    return {
        "z-test at every look": (np.abs(z) > norm.isf(ALPHA / 2)).any(1),
        "z-test, one look at the end": np.abs(z[:, -1]) > norm.isf(ALPHA / 2),
        "rate_interval": None if against is None else (against >= np.log(1 / ALPHA)).any(1),
        "difference_interval": ((lower > 0) | (upper < 0)).any(1) if steady else None,
        "running_mean_interval of the difference": _weighted_alarm(clicks, impressions, probabilities),
        "identify_best names a text": identify_best(impressions, clicks, delta=ALPHA).best >= 0,
        "check_sample_ratio": ratio.mismatch,
        "chi-square of the same, one look": ratio.p_value < ALPHA,
        "chi-square against half and half": np.abs(2 * n[:, -1, 0] / n[:, -1].sum(1) - 1)
        > norm.isf(ALPHA / 2) / np.sqrt(n[:, -1].sum(1)),
    }


def _streams(path: Array, streams: int, texts: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Impressions, clicks and probabilities (streams, batches, texts) of equal texts; allocation follows the noise."""
    shape = (streams, len(path), texts)
    impressions, clicks, probabilities = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    shares, n, c = np.full((streams, texts), 1 / texts), np.zeros((streams, texts)), np.zeros((streams, texts))
    for batch, rate in enumerate(path):
        probabilities[:, batch] = shares
        impressions[:, batch] = rng.multinomial(500, shares)
        clicks[:, batch] = rng.binomial(impressions[:, batch].astype(int), rate)
        n, c = n + impressions[:, batch], c + clicks[:, batch]
        pooled = c.sum(1, keepdims=True) / n.sum(1, keepdims=True)
        score = np.exp((c - n * pooled) / np.sqrt(n * pooled + 1))
        shares = FLOOR + (1 - texts * FLOOR) * score / score.sum(1, keepdims=True)
    return impressions, clicks, probabilities


def _z(clicks: Array, impressions: Array) -> Array:
    """Pooled two-proportion z statistics, 0 before the first click: (..., T)."""
    pooled = clicks.sum(-1) / impressions.sum(-1)
    variance = pooled * (1 - pooled) * (1 / np.maximum(impressions, 1)).sum(-1)
    difference = clicks[..., 0] / np.maximum(impressions[..., 0], 1) - clicks[..., 1] / np.maximum(
        impressions[..., 1], 1
    )
    return np.divide(difference, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)


def _weighted_alarm(clicks: Array, impressions: Array, probabilities: Array) -> NDArray[np.bool_]:
    """Whether the interval of the importance-weighted difference ever excludes 0."""
    weighted = clicks / probabilities
    lower, upper = running_mean_interval(
        weighted[..., 0] - weighted[..., 1], (weighted / probabilities).sum(-1), impressions.sum(-1),
        least=-1 / FLOOR, most=1 / FLOOR, means=(-1, 1), alpha=ALPHA, tightest_at=2000.0,
    )  # fmt: skip
    return np.asarray(((lower > 0) | (upper < 0)).any(1))


def _widths(n: int) -> dict[str, float]:
    """Widths at n impressions of each text and a rate of 2 %, as multiples of those for one look."""
    c = int(RATE * n)
    wilson = binomtest(c, n).proportion_ci(0.95, "wilson")
    one_look = wilson.high - wilson.low
    wald = 2 * norm.isf(ALPHA / 2) * np.sqrt(2 * RATE * (1 - RATE) / n)
    steps, rows = np.full(10, c / 5), np.full(10, n / 5)  # of both texts' impressions, shown alike: weights are 2

    def width(bounds: tuple[Array, Array]) -> float:
        return float((bounds[1] - bounds[0]).ravel()[-1])

    weighted = running_mean_interval(steps, 2 * steps, rows, least=0, most=2, means=(0, 1), tightest_at=800.0)
    lead = running_mean_interval(0 * steps, 4 * steps, rows, least=-2, most=2, means=(-1, 1), tightest_at=1600.0)
    return {"impressions": n, "one_look": float(one_look), "rate": width(rate_interval(c, n)) / one_look,
            "rate_matched": width(rate_interval(c, n, prior=PRIOR)) / one_look,
            "difference": width(difference_interval(c, n, c, n, prior=PRIOR)) / wald,
            "weighted_rate": width(weighted) / one_look, "weighted_difference": width(lead) / wald}  # fmt: skip


def _verdicts(streams: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Impressions until the best of eight texts is named, with equal shares and with two that adapt."""
    campaign = PlannedCampaign(10_000, 60, RATE, _SLATE, logit_sd=_LOGIT_SD, alpha=ALPHA)
    plan = plan_traffic(campaign)
    rates, batches, batch = campaign.rates(_LOGIT_SD, _SLATE), 60, campaign.impressions_per_day
    rows: list[dict[str, Any]] = [{"allocation": "equal shares, as planned", "median": None,
                                   "power": plan.needed, "named": plan.chance, "wrong": None}]  # fmt: skip
    for name, shares in {"equal shares": _equal, "top-two Thompson": _top_two, "Thompson": _thompson}.items():
        impressions, clicks = np.zeros((streams, batches, _SLATE)), np.zeros((streams, batches, _SLATE))
        for day in range(batches):
            n, c = impressions.sum(1), clicks.sum(1)
            impressions[:, day] = rng.multinomial(batch, 0.01 + (1 - 0.01 * _SLATE) * shares(c, n, rng))
            clicks[:, day] = rng.binomial(impressions[:, day].astype(int), rates)
        best = identify_best(impressions, clicks, delta=ALPHA)
        looks = np.where(best.best >= 0, best.decided_at + 1, batches + 1)
        half, most = (int(n) * batch for n in np.quantile(looks, [0.5, campaign.power], method="higher"))
        rows.append({"allocation": name, "median": half if half <= campaign.impressions else None,
                     "power": most if most <= campaign.impressions else None,
                     "named": float((best.best >= 0).mean()), "wrong": float((best.best > 0).mean())})  # fmt: skip
    return rows


def _equal(clicks: Array, impressions: Array, rng: np.random.Generator) -> Array:
    return np.full(clicks.shape, 1 / clicks.shape[1])


def _thompson(clicks: Array, impressions: Array, rng: np.random.Generator) -> Array:
    """Share of 200 draws from independent Beta posteriors in which each text is best: (streams, texts)."""
    a, b = PRIOR
    size = (200, *clicks.shape)
    best = rng.beta(a + clicks, b + impressions - clicks, size=size).argmax(-1)
    return np.asarray((best[..., None] == np.arange(clicks.shape[1])).mean(0))


def _top_two(clicks: Array, impressions: Array, rng: np.random.Generator) -> Array:
    """Half of Thompson's share, and half of its share when the best draw is struck out (Russo 2020)."""
    first = np.clip(_thompson(clicks, impressions, rng), 1e-6, 1 - 1e-6)
    odds = first / (1 - first)
    shares = first * (1 + odds.sum(1, keepdims=True) - odds)
    return np.asarray(shares / shares.sum(1, keepdims=True))
