"""How far raters agree beyond chance: Krippendorff's alpha."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from copyloom import InputError
from experiments.bootstrap import bounds

Array = NDArray[np.float64]
Level = Literal["interval", "nominal"]
_RESAMPLES = 500


def agreement(
    marks: Array, rng: np.random.Generator, level: Level = "interval", groups: ArrayLike | None = None
) -> dict[str, Any]:
    """Return Krippendorff's alpha (``alpha``) and its 95 % interval by resampling what was rated (``interval``).

    1: all agree; 0: as far as by chance; below: less than that. Both are None where nobody rated what another did, or
    all marks are alike, when there is nothing to agree on. Raters are not drawn anew for the interval: one who is
    drawn twice would agree with himself. (Krippendorff, Content Analysis, chapter 12; Zapf et al., BMC Medical
    Research Methodology 16:93, 2016, for the resampling.)

    Parameters
    ----------
    marks : array of shape (R, N)
        Of R raters for N units; NaN where there is none.
    rng : numpy.random.Generator
    level : str
        interval: marks that are far apart disagree more; nominal: choices that are equal or not.
    groups : array of shape (N,), optional
        What is of one group is drawn together.

    Raises
    ------
    InputError
        If the package krippendorff is not installed.
    """
    domain, counts = _counts(marks)
    found = _alpha(counts, domain, level)
    if not np.isfinite(found):
        return {"alpha": None, "interval": None}
    places = np.unique(np.arange(len(counts)) if groups is None else groups, return_inverse=True)[1].reshape(-1)
    members = [np.flatnonzero(places == group) for group in range(places.max() + 1)]
    samples = np.array([
        _alpha(counts[np.concatenate([members[group] for group in rng.integers(len(members), size=len(members))])],
               domain, level)
        for _ in range(_RESAMPLES)])  # fmt: skip
    samples = samples[np.isfinite(samples)]
    return {"alpha": found, "interval": bounds(samples) if len(samples) else None}


def _counts(marks: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return the different marks (V,), and how often each unit has each (N, V)."""
    domain = np.unique(marks[np.isfinite(marks)])
    return domain, np.stack([(marks == mark).sum(0) for mark in domain], axis=1) if len(domain) else np.zeros(
        (0, 0), np.int64
    )


def _alpha(counts: NDArray[np.int64], domain: Array, level: Level) -> float:
    """Return alpha; NaN where it is not defined."""
    try:
        from krippendorff import alpha
    except ImportError:
        raise InputError(
            "agreement of raters needs krippendorff; install it with: pip install 'copyloom[raters]'"
        ) from None
    paired = counts[counts.sum(1) > 1]
    if (paired.sum(0) > 0).sum() < 2:
        return float("nan")
    return float(alpha(value_counts=paired, value_domain=domain, level_of_measurement=level))
