"""Whether a space's qualities go with what people want of it: rank correlations over spaces, models and runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from experiments.bootstrap import RESAMPLES, bounds
from experiments.studies.space.resampling import Array
from experiments.studies.space.spaces import ADAPTER, SUMMARY

QUALITIES = ("mean_cosine", "isoscore", "effective_dimension", "rank_agreement", "agreement")
WANTED = ("exact_straight", "exact_refined", "reached_straight", "mixtures_true", "learned_linear", "learned_pairwise")
FEWEST = 5
"""Spaces, at least, over which a correlation is taken."""


def correlations(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return Spearman's correlation of each quality with each thing wanted: over all spaces, and within two kinds.

    Parameters
    ----------
    rows : sequence of mapping
        Of spaces: ``model``, ``space``, qualities and what is wanted; None where it was not measured.

    Returns
    -------
    list of dict
        ``over``, ``quality``, ``wanted``, ``spaces``, ``models``, ``correlation``, ``low``, ``high``. The interval is a
        bootstrap over models and runs, whose spaces are drawn together; None where there are fewer than five, and no
        correlation where fewer than five spaces have both numbers or one number is the same for all.
    """
    parts = {"all spaces": list(rows), **{kind: [row for row in rows if row["space"] == kind]
                                          for kind in (ADAPTER, SUMMARY)}}  # fmt: skip
    return [_correlation(over, some, quality, wanted)
            for over, some in parts.items() for wanted in WANTED for quality in QUALITIES]  # fmt: skip


def _correlation(over: str, rows: Sequence[Mapping[str, Any]], quality: str, wanted: str) -> dict[str, Any]:
    known = [row for row in rows if row.get(quality) is not None and row.get(wanted) is not None]
    values = np.array([[row[quality], row[wanted]] for row in known], dtype=np.float64).reshape(-1, 2)
    clusters = np.unique([row["model"] for row in known], return_inverse=True)[1] if known else np.zeros(0, np.int64)
    models = len(set(clusters.tolist()))
    found: dict[str, Any] = {"over": over, "quality": quality, "wanted": wanted, "spaces": len(known),
                             "models": models, "correlation": None, "low": None, "high": None}  # fmt: skip
    if len(known) < FEWEST or not np.ptp(values, axis=0).all():
        return found
    found["correlation"] = float(spearmanr(*values.T).statistic)
    if models >= FEWEST:
        found["low"], found["high"] = bounds(clustered_samples(values, clusters))
    return found


def clustered_samples(values: Array, clusters: np.ndarray[Any, Any], seed: int = 0) -> Array:
    """Return bootstrap samples of Spearman's correlation of the columns of values (n, 2), clusters drawn whole.

    Samples in which a column is the same for all are left out.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of such samples
        for drawn in rng.integers(len(members), size=(RESAMPLES // 2, len(members))):
            rows = np.concatenate([members[place] for place in drawn])
            found.append(float(spearmanr(*values[rows].T).statistic))
    kept: Array = np.array(found)
    return kept[np.isfinite(kept)]
