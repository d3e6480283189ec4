"""What a conjoint analyst reports: zero-centred part-worths, differences between levels, importance, what is tied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import helmert
from scipy.special import expit, logit
from scipy.stats import chi2

from experiments.bootstrap import bounds
from experiments.studies.preferences.coding import Attribute, Coded
from experiments.studies.preferences.model import PRIOR_SD, Cells, Posterior

Array = NDArray[np.float64]
TIED = 10.0
"""Variance inflation (of one degree of freedom) from which an attribute cannot be told apart from others."""
RARE = 5
"""A level of fewer texts says nothing about the choice: it may be the texts."""
LEVEL = 0.05
"""Of all attributes together (Holm)."""


@dataclass(frozen=True, eq=False)
class Basis:
    """Effects coding of A attributes in K columns, orthonormal for each, so that no level is the one that is left out.

    Parameters
    ----------
    design : array of shape (N, K)
    levels : dict of str to array of shape (L, K)
        What turns coefficients into an attribute's part-worths, which sum to 0.
    places : dict of str to array
        The columns of an attribute.
    names : dict of str to tuple of str
        Its levels.
    """

    design: Array
    levels: dict[str, Array]
    places: dict[str, NDArray[np.int64]]
    names: dict[str, tuple[str, ...]]

    def weights(self, attribute: str, contrast: Sequence[str]) -> Array:
        """Return what turns coefficients (K,) into the difference of two levels."""
        names = self.names[attribute]
        high, low = (self.levels[attribute][names.index(level)] for level in contrast)
        found: Array = high - low
        return found


def design_of(coded: Coded) -> Basis:
    """Return the design of texts whose attributes have two levels or more."""
    ends = np.cumsum([0, *(len(one.levels) - 1 for one in coded.attributes)])
    columns, levels, places = [], {}, {}
    for number, (attribute, own) in enumerate(zip(coded.attributes, coded.levels, strict=True)):
        turned = helmert(len(attribute.levels)).T  # (L, L - 1)
        place = np.arange(ends[number], ends[number + 1])
        levels[attribute.name] = np.zeros((len(attribute.levels), ends[-1]))
        levels[attribute.name][:, place] = turned
        places[attribute.name] = place
        columns.append(turned[own])
    names = {attribute.name: attribute.levels for attribute in coded.attributes}
    return Basis(np.concatenate(columns, axis=1), levels, places, names)


def contrasts(posterior: Posterior, coded: Coded, basis: Basis, cells: Cells) -> list[dict[str, Any]]:
    """Return a row an attribute: the difference of two of its levels, its importance, and whether it can be told.

    Parameters
    ----------
    posterior : Posterior
    coded : Coded
    basis : Basis
    cells : Cells
        Whose texts count, and at whose click rate changes are stated.
    """
    shares, chance = _importance(posterior, basis)
    tests = [_p_value(posterior, basis.places[one.name]) for one in coded.attributes]
    shown, rows = np.unique(cells.texts), []
    for number, (attribute, adjusted) in enumerate(zip(coded.attributes, holm(tests), strict=True)):
        weights = basis.weights(attribute.name, attribute.contrast)
        low, high = bounds(posterior.draws @ weights)
        difference = float(weights @ posterior.mean)
        factor, partner = _inflation(posterior.information, attribute, coded.attributes, basis)
        texts = np.bincount(coded.levels[number][shown], minlength=len(attribute.levels))
        compared = min(int(texts[attribute.levels.index(level)]) for level in attribute.contrast)
        row = {
            "attribute": attribute.name, "contrast": list(attribute.contrast), "rule": attribute.rule,
            "difference": difference, "low": low, "high": high,
            **on_rates((difference, low, high), cells.rate),
            "importance": float(shares[:, number].mean()), "importance_interval": bounds(shares[:, number]),
            "importance_by_chance": float(chance[number]), "p": tests[number], "p_holm": adjusted,
            "vif": factor, "tied_with": partner if factor > TIED else None, "texts": compared,
        }  # fmt: skip
        rows.append(row | {"verdict": verdict(row)})
    return rows


def part_worths(posterior: Posterior, coded: Coded, basis: Basis, cells: Cells) -> list[dict[str, Any]]:
    """Return a row a level: its part-worth, zero-centred within its attribute, and what was counted of it."""
    rows = []
    for attribute, own in zip(coded.attributes, coded.levels, strict=True):
        for place, level in enumerate(attribute.levels):
            weights = basis.levels[attribute.name][place]
            low, high = bounds(posterior.draws @ weights)
            chosen = own[cells.texts] == place
            impressions, clicks = int(cells.impressions[chosen].sum()), int(cells.clicks[chosen].sum())
            value = float(weights @ posterior.mean)
            rows.append({
                "attribute": attribute.name, "level": level, "texts": len(np.unique(cells.texts[chosen])),
                "impressions": impressions, "clicks": clicks, "rate": clicks / impressions if impressions else None,
                "part_worth": value, "low": low, "high": high,
                **on_rates((value, low, high), cells.rate),
            })  # fmt: skip
    return rows


def on_rates(logits: Sequence[float | None], rate: float) -> dict[str, float | None]:
    """Return a change in logits, and the ends of its interval, as changes of the click rate, at the base rate."""
    changes = [None if one is None else float(expit(logit(rate) + one) - rate) for one in logits]
    return dict(zip(("rate_change", "rate_change_low", "rate_change_high"), changes, strict=True))


def _importance(posterior: Posterior, basis: Basis) -> tuple[Array, Array]:
    """Return draws of each attribute's share in the ranges of part-worths, and the share that noise would give."""

    def shares(draws: Array) -> Array:
        ranges = np.stack([np.ptp(draws @ levels.T, axis=1) for levels in basis.levels.values()], axis=1)
        found: Array = ranges / ranges.sum(1, keepdims=True)
        return found

    return shares(posterior.draws), shares(posterior.draws - posterior.draws.mean(0)).mean(0)


def _p_value(posterior: Posterior, places: NDArray[np.int64]) -> float:
    """Return the level at which the clicks contradict that an attribute's part-worths are all 0 (Wald's test)."""
    mean, covariance = posterior.mean[places], posterior.covariance[np.ix_(places, places)]
    return float(chi2.sf(mean @ np.linalg.solve(covariance, mean), len(places)))


def holm(levels: Sequence[float]) -> list[float]:
    """Return levels of tests such that a false alarm among all of them is as rare as each says (Holm 1979)."""
    order = np.argsort(levels)
    raised = np.maximum.accumulate(np.asarray(levels)[order] * np.arange(len(levels), 0, -1))
    found = np.empty(len(levels))
    found[order] = np.minimum(raised, 1.0)
    return [float(one) for one in found]


def _inflation(
    information: Array, attribute: Attribute, everyone: Sequence[Attribute], basis: Basis
) -> tuple[float, str | None]:
    """Return an attribute's variance inflation, and the attribute that it is most tied with.

    The generalised factor of Fox and Monette (1992) to the power 1 / degrees of freedom, so that it reads as one of a
    single column; strata, and the weight of what was shown, are taken into account.
    """
    whole = information + 1e-6 * PRIOR_SD**-2 * np.eye(len(information))
    own = basis.places[attribute.name]

    def log_determinant(places: NDArray[np.int64]) -> float:
        return float(np.linalg.slogdet(whole[np.ix_(places, places)])[1])

    others = np.setdiff1d(np.arange(len(whole)), own)
    total = log_determinant(np.arange(len(whole)))
    factor = np.exp((log_determinant(own) + log_determinant(others) - total) / len(own)) if len(others) else 1.0
    shared = {}
    for other in everyone:
        if other.name != attribute.name:
            places = basis.places[other.name]
            joint = log_determinant(np.concatenate([own, places]))
            shared[other.name] = log_determinant(own) + log_determinant(places) - joint
    return float(factor), max(shared, key=lambda name: shared[name]) if shared else None


def verdict(row: dict[str, Any]) -> str:
    """Return what can be said of a difference."""
    if row["tied_with"]:
        return "cannot be told apart"
    if row["low"] is None or row["texts"] < RARE or row["p_holm"] >= LEVEL or row["low"] <= 0 <= row["high"]:
        return "not enough evidence yet"
    return "more clicks" if row["difference"] > 0 else "fewer clicks"
