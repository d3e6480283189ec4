"""How sure a mean is: bootstrap intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000


def interval(values: NDArray[np.float64], seed: int = 0) -> list[float]:
    """Return the 95 % bootstrap interval of the mean over pairs (percentile method)."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
    return bounds(means)


def bounds(samples: NDArray[np.float64]) -> list[float]:
    """Return between which two values 95 % of bootstrap samples (n,) lie, as many below as above."""
    return [float(bound) for bound in np.quantile(samples, (0.025, 0.975))]
