"""Marginalised weights: only what the reward depends on, a text's cluster, has to be covered."""

from typing import Any

import numpy as np

from bandits.evaluation.estimate import Estimate
from bandits.evaluation.rounds import index_array


def marginal_ips(rewards: np.ndarray, weights: np.ndarray, clusters: Any) -> Estimate:
    """MIPS without a model: the weights of a cluster's rounds are replaced by their mean.

    w(e) = E[w(x, a) | e] (Saito and Joachims 2022, section 3), estimated by the mean over the log. Right
    where context does not tie weights and rewards together within a cluster, as for policies without context;
    needs no more than the logged propensities. The standard error allows for the estimated weights. Use `ips` instead
    where every text of the target was shown often: it needs nothing of clusters.

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
