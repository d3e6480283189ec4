"""Whether a space's qualities go with what people want of it: rank correlations over spaces, models and kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.bootstrap import bounds, drawn_counts
from experiments.studies.space.resampling import (
    Array,
    Groups,
    rank_correlation,
    weighted_rank_correlations,
)
from experiments.studies.space.spaces import ADAPTER, REFINED_MEAN, SENTENCE, SUMMARY, TOKEN_MEAN, TOKENS

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
        ``most``: the extremes where one model, run or kind of vectors is left out. The interval is a bootstrap over
        models and runs and over kinds, as `clustered_samples` has it. All are None where fewer than five models have
        both numbers, or one of the numbers has fewer than five different values: one model that differs from all
        others is no correlation.
    """
    rows = _each_once(rows)
    parts = {"all spaces": list(rows), **{kind: [row for row in rows if row["space"] == kind]
                                          for kind in (ADAPTER, SUMMARY)}}  # fmt: skip
    return [_correlation(over, some, quality, wanted)
            for over, some in parts.items() for wanted in WANTED for quality in QUALITIES]  # fmt: skip


def _each_once(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the spaces without those that hold the same vectors as another.

    These are sentence embeddings that another model has already, from the same encoder, and the mean of token
    embeddings where the token-mean start is there: that is the same mean, each text's scaled to one length.
    """
    started = {row["model"] for row in rows if row["space"] == TOKEN_MEAN}
    found: list[Mapping[str, Any]] = []
    for row in rows:
        known = [one for one in found if one["space"] == SENTENCE and one["isoscore"] == row["isoscore"]]
        again = row["space"] == TOKENS and row["model"] in started
        if not again and (row["space"] != SENTENCE or not known):
            found.append(row)
    return found


def _correlation(over: str, rows: Sequence[Mapping[str, Any]], quality: str, wanted: str) -> dict[str, Any]:
    known = [row for row in rows if _is_known(row, quality, wanted)]
    values = np.array([[row[quality], row[wanted]] for row in known], dtype=np.float64).reshape(-1, 2)
    models, kinds = (_numbers([row[name] for row in known]) for name in ("model", "space"))
    found: dict[str, Any] = {"over": over, "quality": quality, "wanted": wanted, "spaces": len(known),
                             "models": len(set(models.tolist()))}  # fmt: skip
    if found["models"] < FEWEST or min(len(np.unique(column)) for column in values.T) < FEWEST:
        return found | dict.fromkeys(("correlation", "low", "high", "least", "most"))
    low, high = bounds(clustered_samples(values, models, kinds))
    without = [rank_correlation(*values[groups != one].T) for groups in (models, kinds)
               if len(set(groups.tolist())) > 1 for one in np.unique(groups)]  # fmt: skip
    return found | {"correlation": rank_correlation(*values.T), "low": low, "high": high, "least": min(without),
                    "most": max(without)}  # fmt: skip


def _is_known(row: Mapping[str, Any], quality: str, wanted: str) -> bool:
    if wanted in _BY_CONSTRUCTION and row["space"] in (SUMMARY, REFINED_MEAN):
        return False
    return row.get(quality) is not None and row.get(wanted) is not None


def _numbers(names: Sequence[str]) -> Groups:
    found: Groups = np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.int64)
    return found


def clustered_samples(values: Array, *clusters: Groups) -> Array:
    """Return bootstrap samples of Spearman's correlation of the columns of values (n, 2).

    Clusters of each kind are drawn whole, and of several kinds each by itself, a row counting as often as the product
    of its clusters' draws: the pigeonhole bootstrap (Owen, Annals of Applied Statistics 2007). Samples that draw no row
    are left out.

    Parameters
    ----------
    values : array of shape (n, 2)
    clusters : arrays of shape (n,)
        Which cluster each row is in: its model, its kind of vectors.
    """
    counts = np.prod([drawn_counts(groups, seed) for seed, groups in enumerate(clusters)], axis=0)
    counts = counts[counts.sum(1) > 0]
    return weighted_rank_correlations(counts / counts.sum(1, keepdims=True), *values.T)
