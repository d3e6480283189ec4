"""Two runs beside each other: the same shoppers pair by pair where they met the same, else two groups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from copyloom import InputError
from experiments.nested import flat
from experiments.simulation.arms import OPEN
from experiments.simulation.results import last_share, student_interval
from experiments.simulation.runs import finished, true_campaigns

_SAME_SHOPPERS = ("seed", "shoppers", "world", "click_model")
"""Settings that must be alike so that a seed's shoppers are the same ones; files may lie elsewhere."""
_WRITES_FIRST = ("rules", "inversion", "device", "proposer.warm_up", "proposer.effort")
"""Settings that change what is written before the first impression."""


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Return how the second run's expected CTR at the end differs from the first's, with a 95 % interval.

    Compared are campaigns with mixing under the runs' own policies. Where settings say that seeds are of the same
    shoppers, and texts' reference is the same, differences are taken seed by seed (paired Student interval); else the
    two groups are compared as they are (Welch 1947).

    Returns
    -------
    dict
        ``ctr`` of both, ``difference`` relative to the first and its ``interval`` (None if a run has one seed),
        ``paired`` and ``why`` not, ``settings`` that differ, as (first, second) by name.

    Raises
    ------
    InputError
        If one folder holds no finished run.
    """
    runs = [finished(path) for path in (first, second)]
    a, b = (_ends(path) for path in (first, second))
    settings = [dict(flat(run["summary"]["config"])) for run in runs]
    both = {name: (settings[0].get(name), settings[1].get(name)) for name in sorted({*settings[0], *settings[1]})}
    differ = {name: pair for name, pair in both.items() if pair[0] != pair[1]}
    why = _not_paired(runs, differ, set(a) & set(b))
    if why is None:
        seeds = sorted(set(a) & set(b))
        x, y = (np.array([side[seed] for seed in seeds]) for side in (a, b))
        interval = student_interval(y / x - 1)
        difference = float((y / x - 1).mean())
    else:
        x, y = (np.array(list(side.values())) for side in (a, b))
        difference, interval = float(y.mean() / x.mean() - 1), _welch(x, y)
    return {"runs": [str(first), str(second)], "ctr": [float(x.mean()), float(y.mean())],
            "seeds": [len(x), len(y)], "difference": difference, "interval": interval, "paired": why is None,
            "why": why, "settings": {name: list(pair) for name, pair in differ.items()}}  # fmt: skip


def _ends(run: Path) -> dict[int, float]:
    """Return the expected CTR at the end of each seed's campaign with mixing under the run's own policy."""
    campaigns = list(true_campaigns(run).values())
    if not campaigns:
        raise InputError(f"{run} was played by an older Copyloom, which did not keep each campaign's expected CTR; "
                         "play it again with --force")  # fmt: skip
    main = campaigns[0]["policy"]
    chosen = [one for one in campaigns if one["world"] == OPEN and one["mixing"] and one["policy"] == main]
    return {one["seed"]: last_share(np.array(one["expected_ctr"])) for one in chosen}


def _not_paired(runs: list[dict[str, Any]], differ: Mapping[str, Any], common: set[int]) -> str | None:
    """Return why the seeds of two runs are not of the same shoppers; None where they are."""
    held, others = (run["summary"].get("files", {}) for run in runs)
    alike = {name for name in held if held[name] == others.get(name)}
    other = [name for name in differ if name.split(".")[0] in _SAME_SHOPPERS and name not in alike]
    if other:
        return f"{other[0]} differs, so the shoppers do"
    given = [(run["summary"]["world"], run["summary"]["subject"], run["stored"]) for run in runs]
    if given[0] != given[1]:
        return "the stored texts or the subject differ, so the shoppers' tastes do"
    if "model" in differ:
        return "the model differs, and with it what shoppers can read"
    written = [name for name in differ if name.startswith(_WRITES_FIRST)]
    if given[0][0] != "grammar" and written:
        return f"{written[0]} differs, and with it what was written first, over which tastes are scaled"
    return None if common else "they have no seed in common"


def _welch(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[float] | None:
    """Return the interval of the difference of means, relative to the first mean."""
    if min(len(x), len(y)) < 2:
        return None
    found = stats.ttest_ind(y, x, equal_var=False).confidence_interval(0.95)
    return [float(found.low / x.mean()), float(found.high / x.mean())]
