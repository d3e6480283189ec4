"""Whether a space's qualities go with what people want of it: rank correlations over spaces, models and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.bootstrap import bounds
from experiments.studies.space.resampling import (
    Array,
    Groups,
    drawn_counts,
    rank_correlation,
    weighted_rank_correlations,
)
from experiments.studies.space.spaces import ADAPTER, REFINED_MEAN, SENTENCE, SUMMARY

QUALITIES = ("mean_cosine", "isoscore", "effective_dimension", "rank_agreement", "agreement")
WANTED = ("exact_straight", "exact_refined", "reached_straight", "mixtures_true", "learned_linear", "learned_pairwise")
FEWEST = 5
"""Spaces and models, at least, over which a correlation is taken, and different values of both numbers."""
_BY_CONSTRUCTION = ("exact_straight", "reached_straight")
"""What refined vectors have because they were refined until they had it."""


def correlations(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return Spearman's correlation of each quality with each thing wanted: over all spaces, and within two kinds.

    Parameters
    ----------
    rows : sequence of mapping
        Of spaces: ``model``, ``space``, qualities and what is wanted; None where it was not measured.

    Returns
    -------
    list of dict
        ``over``, ``quality``, ``wanted``, ``spaces``, ``models``, ``correlation``, ``low``, ``high``, and ``least`` and
        ``most``: the extremes where one model or run is left out. The interval is a bootstrap over models and runs,
        whose spaces are drawn together. All are None where fewer than five models have both numbers, or one of the
        numbers has fewer than five different values: one model that differs from all others is no correlation.
    """
    rows = _each_once(rows)
    parts = {"all spaces": list(rows), **{kind: [row for row in rows if row["space"] == kind]
                                          for kind in (ADAPTER, SUMMARY)}}  # fmt: skip
    return [_correlation(over, some, quality, wanted)
            for over, some in parts.items() for wanted in WANTED for quality in QUALITIES]  # fmt: skip


def _each_once(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the spaces without sentence embeddings that another model has already, from the same encoder."""
    found: list[Mapping[str, Any]] = []
    for row in rows:
        known = [one for one in found if one["space"] == SENTENCE and one["isoscore"] == row["isoscore"]]
        if row["space"] != SENTENCE or not known:
            found.append(row)
    return found


def _correlation(over: str, rows: Sequence[Mapping[str, Any]], quality: str, wanted: str) -> dict[str, Any]:
    known = [row for row in rows if _is_known(row, quality, wanted)]
    values = np.array([[row[quality], row[wanted]] for row in known], dtype=np.float64).reshape(-1, 2)
    names = np.array([row["model"] for row in known])
    models = sorted(set(names.tolist()))
    found: dict[str, Any] = {"over": over, "quality": quality, "wanted": wanted, "spaces": len(known),
                             "models": len(models)}  # fmt: skip
    if len(models) < FEWEST or min(len(np.unique(column)) for column in values.T) < FEWEST:
        return found | dict.fromkeys(("correlation", "low", "high", "least", "most"))
    low, high = bounds(clustered_samples(values, np.searchsorted(models, names)))
    without = [rank_correlation(*values[names != model].T) for model in models]
    return found | {"correlation": rank_correlation(*values.T), "low": low, "high": high, "least": min(without),
                    "most": max(without)}  # fmt: skip


def _is_known(row: Mapping[str, Any], quality: str, wanted: str) -> bool:
    if wanted in _BY_CONSTRUCTION and row["space"] in (SUMMARY, REFINED_MEAN):
        return False
    return row.get(quality) is not None and row.get(wanted) is not None


def clustered_samples(values: Array, clusters: Groups) -> Array:
    """Return bootstrap samples of Spearman's correlation of the columns of values (n, 2), clusters drawn whole."""
    counts = drawn_counts(clusters)
    return weighted_rank_correlations(counts / counts.sum(1, keepdims=True), *values.T)
