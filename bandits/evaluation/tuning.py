"""How far to cut large weights: the hyper-parameter of Switch-DR or DRos with the least estimated error."""

from collections.abc import Callable, Sequence

import numpy as np

from bandits.evaluation.estimators import Predictions
from copyloom import InputError


def tuned_cut(
    rewards: np.ndarray,
    weights: np.ndarray,
    predictions: Predictions,
    cut: Callable[[np.ndarray, float], np.ndarray],
    candidates: Sequence[float],
) -> float:
    """The candidate with the least estimated mean squared error: variance plus squared bias.

    The bias that cutting brings is estimated by |mean((w - cut w)(r - q))| (Su et al. 2020, page 17). The terms
    of Bernstein's inequality that may be added to it are left out: made for rewards as large as their range,
    they dwarf click rates, and nothing would ever be cut. Ties go to the first candidate.

    Parameters
    ----------
    rewards, weights : array of shape (n,)
    predictions : Predictions
    cut : callable
        `switched` or `shrunk`.
    candidates : sequence of float
        Such as `candidates_by_quantile` gives.

    Raises
    ------
    InputError
        If there is no candidate.
    """
    if not candidates:
        raise InputError("no candidate was given; pass at least one hyper-parameter")
    residuals = rewards - predictions.logged

    def error(candidate: float) -> float:
        kept = cut(weights, candidate)
        variance = (predictions.target + kept * residuals).var() / len(rewards)
        return float(variance + ((weights - kept) * residuals).mean() ** 2)

    return min(candidates, key=error)


def candidates_by_quantile(weights: np.ndarray) -> list[float]:
    """Thresholds to try: quantiles of the weights from the median up, and infinity, which cuts nothing.

    For `shrunk`, which halves a weight of sqrt(lambda), try their squares.
    """
    return [*np.unique(np.quantile(weights, [0.5, 0.75, 0.9, 0.95, 0.99])).tolist(), np.inf]
