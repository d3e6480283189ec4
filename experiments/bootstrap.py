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


def drawn_counts(groups: NDArray[np.int64], seed: int = 0) -> NDArray[np.float64]:
    """Return how often each of n is drawn in each bootstrap sample, (RESAMPLES, n); what is of one group together.

    Parameters
    ----------
    groups : array of shape (n,)
    seed : int
    """
    found, places = np.unique(groups, return_inverse=True)
    count = len(found)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return drawn[:, places].astype(np.float64)


class Resampled:
    """Bootstrap samples of groups, the same ones for all values, so that differences are paired.

    Parameters
    ----------
    groups : array of shape (n,)
        What is of one group is drawn together.
    """

    def __init__(self, groups: NDArray[np.int64]) -> None:
        self._weights = drawn_counts(groups)
        self._weights /= self._weights.sum(1, keepdims=True)

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of values (n,) in each sample."""
        found: NDArray[np.float64] = self._weights @ values
        return found
