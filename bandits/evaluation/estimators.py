"""What the target policy would have earned, from rounds that another policy chose: estimators and their weights.

Names and hyper-parameters mean what they mean in Open Bandit Pipeline (Saito et al. 2021), and the numbers
agree with it. `weights` are importance weights w_i = target probability / propensity of the text that was
shown, `predictions` what a reward model says of it and of the target.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bandits.evaluation.estimate import Estimate
from bandits.evaluation.rounds import index_array
from bandits.numbers import check_number


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a reward model predicts for each round.

    Attributes
    ----------
    logged : array of shape (n,)
        Reward of the text that was shown, q(x_i, a_i).
    target : array of shape (n,)
        Mean reward of the target's texts, sum_a pi(a | x_i) q(x_i, a).
    model_error : array of shape (n,), optional
        As in `Estimate`; None where it is not known, as for a logistic model.
    """

    logged: np.ndarray
    target: np.ndarray
    model_error: np.ndarray | None = None


def ips(rewards: np.ndarray, weights: np.ndarray) -> Estimate:
    """Inverse propensity scoring: mean of w r (Horvitz and Thompson 1952). Unbiased where propensities are right.

    Examples
    --------
    >>> import numpy as np
    >>> ips(np.array([1.0, 0.0]), np.array([0.5, 2.0])).value
    0.25
    """
    return Estimate.mean_of(rewards * weights)


def snips(rewards: np.ndarray, weights: np.ndarray) -> Estimate:
    """Self-normalised IPS: sum of w r over sum of w (Swaminathan and Joachims 2015).

    Consistent, within the range of the rewards, and mostly of less variance than `ips`.

    Raises
    ------
    InputError
        If all weights are 0.
    """
    return Estimate(rewards * weights, weights, np.zeros_like(rewards))


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


def direct_method(predictions: Predictions) -> Estimate:
    """Mean of what the reward model predicts for the target; as biased as the model is.

    The standard error is NaN where the model's own error is not known: without it, it would be far too small.
    """
    error = predictions.model_error
    return Estimate.mean_of(predictions.target, np.full_like(predictions.target, np.nan) if error is None else error)


def doubly_robust(
    rewards: np.ndarray, weights: np.ndarray, predictions: Predictions, kept: np.ndarray | None = None
) -> Estimate:
    """The direct method, corrected by the weighted residuals (Dudík, Langford and Li 2011, section 2).

    Unbiased where the propensities are right, whatever the predictions, as long as those of a round were made
    without its reward.

    Parameters
    ----------
    rewards, weights : array of shape (n,)
    predictions : Predictions
    kept : array of shape (n,), optional
        Weights to use instead, of less variance: those of `switched` make it Switch-DR, those of `shrunk` DRos.
        They bias the estimate by what they leave to the model; as the log knows of that bias only what it
        knows without the model, the interval holds the one of the uncut weights.
    """
    residuals = rewards - predictions.logged
    robust = Estimate.mean_of(predictions.target + weights * residuals)
    return robust if kept is None else Estimate.mean_of(predictions.target + kept * residuals, unbiased=robust)


def switched(weights: np.ndarray, threshold: float) -> np.ndarray:
    """Weights of Switch-DR: those above the threshold (tau) become 0, and the model stands in.

    Wang, Agarwal and Dudík 2017, section 4; a weight that equals the threshold stays.

    Raises
    ------
    InputError
        If the threshold is negative or NaN.
    """
    _check_hyper_parameter("threshold", threshold)
    return np.where(weights <= threshold, weights, 0.0)


def shrunk(weights: np.ndarray, shrinkage: float) -> np.ndarray:
    """Weights of DRos, lambda w / (w^2 + lambda): 0 leaves the direct method, infinity the doubly robust one.

    Su, Dimakopoulou, Krishnamurthy and Dudík 2020, section 4. A weight of sqrt(lambda) is halved.

    Raises
    ------
    InputError
        If the shrinkage (lambda) is negative or NaN.
    """
    _check_hyper_parameter("shrinkage", shrinkage)
    if shrinkage == 0:
        return np.zeros_like(weights)
    return weights / (1 + weights**2 / shrinkage)


def _check_hyper_parameter(name: str, value: float) -> None:
    if value != np.inf:
        check_number(name, value, least=0)
