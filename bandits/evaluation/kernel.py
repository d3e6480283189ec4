"""Texts that the logger never showed: their probability goes to shown texts that are like them."""

from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax

from bandits.evaluation.rounds import float_array, index_array
from bandits.evaluation.target import RoundPolicy
from bandits.numbers import check_number
from copyloom import InputError

_GRID = np.geomspace(0.1, 10, 13)  # bandwidths tried, in units of the median distance to the nearest text


def smoothed(target: RoundPolicy, vectors: Any, supported: Any, bandwidth: float) -> RoundPolicy:
    """The target with the probability of each text spread over the texts that the logger shows.

    Text b gives the share K(b, a) / sum_a' K(b, a') to each supported text a, with the Gaussian kernel
    K(b, a) = exp(-|z_b - z_a|^2 / (2 bandwidth^2)). IPS is unbiased for the smoothed policy's value, which
    is the target's own as far as texts that lie close earn alike: the discrete counterpart of the kernel
    estimator of Kallus and Zhou 2018, in the space of sentences (Kiyohara et al. 2025). Only what the logger
    does not show is spread; supported texts keep their probability.

    Parameters
    ----------
    target : RoundPolicy
    vectors : array of shape (N, S)
        Embeddings of all texts.
    supported : array of shape (N,), bool
        Which texts the logger shows.
    bandwidth : float
        Distance at which likeness fades, above 0; see `chosen_bandwidth`.

    Returns
    -------
    RoundPolicy
        0 for texts without support.

    Raises
    ------
    InputError
        If shapes do not fit, vectors are not finite, or no text is supported.
    """
    check_number("bandwidth", bandwidth, least=1e-100, most=1e100)
    vectors, shown = _checked(vectors, supported, target.probabilities.shape[1])
    squared = cdist(vectors[~shown], vectors[shown], "sqeuclidean")
    shares = softmax(-squared / (2 * bandwidth**2), axis=1)  # the nearest takes all where others underflow
    probabilities = np.zeros_like(target.probabilities)
    probabilities[:, shown] = target.probabilities[:, shown] + target.probabilities[:, ~shown] @ shares
    return RoundPolicy(probabilities, target.groups)


def chosen_bandwidth(texts: Any, rewards: np.ndarray, vectors: Any) -> float:
    """The bandwidth under which shown texts predict each other's mean reward best.

    Rule: leave one text out; predict its mean reward as the kernel-weighted mean of the other texts' means;
    take, of 13 bandwidths from a tenth to ten times the median distance to the nearest shown text, the one
    with the least squared error over rounds. A tie goes to the widest, which is the cautious one: it predicts
    the overall mean.

    Parameters
    ----------
    texts : array of shape (n,)
        Index of the text that each round showed.
    rewards : array of shape (n,)
    vectors : array of shape (N, S)
        Embeddings of all texts.

    Raises
    ------
    InputError
        If fewer than 3 texts were shown, or all of them lie in one place.
    """
    vectors = float_array("vectors", vectors)
    texts = index_array("texts", texts, len(rewards), len(vectors))
    shown, rows = np.unique(texts, return_inverse=True)
    vectors, _ = _checked(vectors, np.isin(np.arange(len(vectors)), shown), len(vectors))
    if len(shown) < 3:
        raise InputError(f"the log shows {len(shown)} texts; choosing a bandwidth needs at least 3: give one")
    counts = np.bincount(rows)
    means = np.bincount(rows, rewards) / counts
    squared = cdist(vectors[shown], vectors[shown], "sqeuclidean")
    np.fill_diagonal(squared, np.inf)
    nearest = float(np.median(np.sqrt(squared.min(axis=1))))
    if nearest == 0:
        raise InputError("most shown texts have the same embedding as another; give a bandwidth")

    def error(bandwidth: float) -> float:
        predicted = softmax(-squared / (2 * bandwidth**2), axis=1) @ means
        return float((counts * (means - predicted) ** 2).sum())

    return float(min(nearest * _GRID[::-1], key=error))


def _checked(vectors: Any, supported: Any, N: int) -> tuple[np.ndarray, np.ndarray]:
    vectors, shown = float_array("vectors", vectors), np.asarray(supported)
    if vectors.ndim != 2 or len(vectors) != N or not np.isfinite(vectors).all():
        raise InputError(f"vectors has shape {vectors.shape} or is not finite; pass finite numbers of shape ({N}, S)")
    if shown.dtype != bool or shown.shape != (N,) or not shown.any():
        raise InputError(f"supported has shape {shown.shape}; pass booleans of shape ({N},), at least one of them True")
    return vectors, shown
