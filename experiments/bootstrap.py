"""How sure a mean is: bootstrap intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 2000


def interval(values: NDArray[np.float64], seed: int = 0) -> list[float]:
    """Return the 95 % bootstrap interval of the mean over pairs (percentile method)."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(_RESAMPLES, len(values)))].mean(1)
    return [float(bound) for bound in np.quantile(means, (0.025, 0.975))]
