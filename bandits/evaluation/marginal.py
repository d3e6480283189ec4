"""Marginalised weights: only what the reward depends on, a text's cluster or embedding, has to be covered."""

from typing import Any

import numpy as np

from bandits.evaluation.estimate import Estimate
from bandits.evaluation.rounds import float_array, index_array
from bandits.evaluation.target import RoundPolicy
from copyloom import InputError


def marginal_weights(
    embedding_probabilities: Any, embeddings: Any, target: RoundPolicy, logger: RoundPolicy
) -> np.ndarray:
    """Weights w(x, e) = p(e | x, target) / p(e | x, logger) of MIPS (Saito and Joachims 2022, section 3).

    IPS with them is unbiased if a text acts on rewards through its embedding alone, and every embedding of
    the target's texts is one that the logger's show.

    Parameters
    ----------
    embedding_probabilities : array of shape (N, E)
        p(e | text), over E discrete embeddings. Clusters have a single 1 a row: ``np.eye(E)[clusters]``.
    embeddings : array of shape (n,)
        Which embedding was seen in each round, in 0 to E - 1.
    target, logger : RoundPolicy

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    InputError
        If shapes do not fit, a row is no distribution, or the logger could not have shown what was seen.
    """
    given = float_array("embedding_probabilities", embedding_probabilities)
    N = target.probabilities.shape[1]
    distributions = given.ndim == 2 and len(given) == N and bool((given >= 0).all())
    if not distributions or (np.abs(given.sum(axis=1) - 1) > 1e-6).any():
        raise InputError(f"embedding_probabilities has shape {given.shape}; pass ({N}, E), one distribution a row")
    seen = index_array("embeddings", embeddings, len(target.groups), given.shape[1])
    above = (target.probabilities @ given)[target.groups, seen]
    below = (logger.probabilities @ given)[logger.groups, seen]
    if not (below > 0).all():
        raise InputError(
            f"round {int(np.flatnonzero(below <= 0)[0]) + 1} saw an embedding that the logger never shows; "
            "pass the logger's own probabilities"
        )
    return above / below


def marginal_ips(rewards: np.ndarray, weights: np.ndarray, clusters: Any) -> Estimate:
    """MIPS without a model: the weights of a cluster's rounds are replaced by their mean.

    w(e) = E[w(x, a) | e] (Saito and Joachims 2022, section 3), estimated by the mean over the log. Right
    where context does not tie weights and rewards together within a cluster, as for policies without context;
    needs no more than the logged propensities. Use `ips` with `marginal_weights` where the logger's
    probabilities of all texts are known. The standard error allows for the estimated weights.

    Parameters
    ----------
    rewards, weights : array of shape (n,)
    clusters : array of shape (n,)
        Cluster of the text that was shown, in 0 to E - 1.

    Examples
    --------
    >>> import numpy as np
    >>> marginal_ips(np.array([1.0, 0.0, 1.0]), np.array([0.0, 2.0, 1.0]), [0, 0, 1]).value
    0.6666666666666666
    """
    cluster = index_array("clusters", clusters, len(rewards))
    count = np.maximum(np.bincount(cluster), 1)
    mean_weight = (np.bincount(cluster, weights) / count)[cluster]
    mean_reward = (np.bincount(cluster, rewards) / count)[cluster]
    # The second term has mean 0 in each cluster; it is what the estimated weight adds to a round's pull.
    return Estimate.mean_of(mean_weight * rewards + mean_reward * (weights - mean_weight))
