"""Counts to belief: Bayesian logistic regression on the texts that were shown, by Laplace's method."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import finite_tensor
from bandits.numbers import check_number
from bandits.posterior import Posterior
from bandits.rewards.laplace import LogPosterior, Point, find_mode
from bandits.rewards.statistics import check_most, checked_rows, same_rows
from copyloom import InputError


@dataclass(frozen=True)
class RewardPrior:
    """What is believed about click rates before a click; at shop traffic this decides (design, section 4.7).

    Use what `bandits.rewards.empirical_bayes.learn_prior` finds instead of guesses, where past campaigns are on record.

    Parameters
    ----------
    base_rate : float
        Click rate of an average text, a probability strictly between 0 and 1.
    logit_sd : float
        Standard deviation over texts of x . theta, when the features are whitened (each has variance 1).
    text_effect_sd : float
        Standard deviation of what features do not explain of a text's logit; 0 switches text effects off.
    intercept_sd : float
        How far, in logits, the campaign's own base rate may lie from `base_rate`.

    Examples
    --------
    >>> round(RewardPrior(base_rate=0.02).base_logit, 3)
    -3.892
    """

    base_rate: float
    logit_sd: float = 0.4
    text_effect_sd: float = 0.15
    intercept_sd: float = 0.5

    def __post_init__(self) -> None:
        check_number("base_rate", self.base_rate, least=0, above=True)
        if self.base_rate >= 1:
            raise InputError(f"base_rate is {self.base_rate}; pass a probability strictly between 0 and 1")
        check_number("logit_sd", self.logit_sd, least=0, above=True)
        check_number("text_effect_sd", self.text_effect_sd, least=0)
        check_number("intercept_sd", self.intercept_sd, least=0, above=True)

    @property
    def base_logit(self) -> float:
        """Logit of the base rate."""
        return math.log(self.base_rate / (1 - self.base_rate))


class LogisticRewardModel:
    """Clicks as binomial counts, with a logit linear in the realised text's features plus an effect per text.

    c_i ~ Binomial(n_i, sigmoid(b + x_i . theta + u_i)) with b ~ N(logit(base_rate), intercept_sd^2), theta
    ~ N(0, (logit_sd^2 / d) I) and u_i ~ N(0, text_effect_sd^2). The posterior is Laplace's: the Gaussian at
    the mode with the inverse of the negative Hessian there (Bishop 2006, section 4.5.1, with text effects
    eliminated by a Schur complement).

    Curvature and context come in by maps of the features (`bandits.rewards.features`). Use `OnlineThompson` instead
    where each outcome should move the next decision.

    Parameters
    ----------
    prior : RewardPrior
        Scales of the unknowns.
    theta_mean, theta_sd : array of shape (d,), optional
        Prior mean and standard deviation of each coefficient, instead of 0 and logit_sd / sqrt(d).

    Raises
    ------
    InputError
        If a mean is not finite, or a standard deviation not finite and above 0.

    Examples
    --------
    >>> import torch
    >>> model = LogisticRewardModel(RewardPrior(base_rate=0.02))
    >>> features = torch.tensor([[1.0], [-1.0]])
    >>> posterior = model.fit(features, impressions=[5000, 5000], clicks=[150, 60])
    >>> mean, variance = posterior.logits()
    >>> [round(rate, 3) for rate in torch.sigmoid(mean).tolist()]
    [0.03, 0.012]
    """

    def __init__(self, prior: RewardPrior, *, theta_mean: Any = None, theta_sd: Any = None) -> None:
        self.prior = prior
        self.theta_mean = None if theta_mean is None else finite_tensor("theta_mean", theta_mean)
        self.theta_sd = None if theta_sd is None else finite_tensor("theta_sd", theta_sd)
        if self.theta_sd is not None and (self.theta_sd <= 0).any():
            raise InputError(f"theta_sd is {self.theta_sd.tolist()}; pass standard deviations above 0")

    def fit(self, features: Any, impressions: Any, clicks: Any, present: Any = None) -> Posterior:
        """Posterior after these counts: a pure function of them, in which every campaign stands alone.

        Parameters
        ----------
        features : array of shape (..., N, d)
            Whitened features of the texts as realised. N may be 0: the prior.
        impressions, clicks : array of shape (..., N)
            Totals per text, with 0 <= clicks <= impressions; they need not be whole (discounted counts).
        present : array of shape (..., N), bool, optional
            False in padding rows, whose other values are ignored, NaN included.

        Returns
        -------
        Posterior
            Leading dimensions are those of the arguments, broadcast.

        Raises
        ------
        InputError
            If shapes do not fit, a value is not finite, counts are impossible, or features are so large
            that the mode cannot be found.
        """
        design, present, counts = checked_rows(features, present, impressions=impressions, clicks=clicks)
        problem = self._problem(design, *counts)
        mean = problem.prior_mean.expand(len(problem.design), -1)
        return self._fit(problem, design, present, problem.at(mean, torch.zeros_like(problem.clicks)))

    def refit(self, posterior: Posterior, impressions: Any, clicks: Any) -> Posterior:
        """Posterior of the same texts after other totals: what `fit` returns, sooner.

        The search starts where the last one ended, and the texts are not checked again. The mode is found to
        1e-10 posterior standard deviations from either start.

        Parameters
        ----------
        posterior : Posterior
            What `fit` or `refit` returned for these texts, under whatever prior.
        impressions, clicks : array of shape (..., N)
            New totals; nothing is added to what the posterior knows.
        """
        problem, start = self._problem_at(posterior, impressions, clicks)
        return self._fit(problem, posterior.design, posterior.present, start)

    def log_evidence(self, posterior: Posterior, impressions: Any, clicks: Any) -> Tensor:
        """Log probability of the counts under the prior, less their log binomial coefficients, by Laplace.

        Differences of it say how well the model predicted: the evidence of all counts less that of earlier
        ones is the log predictive probability of the later ones (less their binomial coefficients).

        Parameters
        ----------
        posterior : Posterior
            What `fit` of this model returned for these counts.
        impressions, clicks : array of shape (..., N)
            The counts it was fitted to.

        Returns
        -------
        Tensor of shape (...)
        """
        problem, mode = self._problem_at(posterior, impressions, clicks)
        return problem.log_evidence(mode, problem.curvature(mode.logits)).reshape(posterior.leading)

    def _problem(self, design: Tensor, impressions: Tensor, clicks: Tensor) -> LogPosterior:
        """The problem with all leading dimensions as one."""
        check_most("clicks", clicks, "impressions", impressions)
        *leading, N, p = design.shape
        B = math.prod(leading)
        mean, precision = self._prior_moments(design)
        counts = impressions.reshape(B, N), clicks.reshape(B, N)
        return LogPosterior(design.reshape(B, N, p), *counts, mean, precision, self.prior.text_effect_sd)

    def _prior_moments(self, design: Tensor) -> tuple[Tensor, Tensor]:
        """Prior mean and precision of (intercept, theta): (1 + d,) each, on the device of the design."""
        d = design.shape[-1] - 1
        for name, given in (("theta_mean", self.theta_mean), ("theta_sd", self.theta_sd)):
            if given is not None and given.shape != (d,):
                raise InputError(f"{name} has shape {tuple(given.shape)} but features have {d} columns; pass ({d},)")
        mean = design.new_zeros(1 + d)
        precision = design.new_full((1 + d,), d / self.prior.logit_sd**2)
        mean[0], precision[0] = self.prior.base_logit, 1 / self.prior.intercept_sd**2
        if self.theta_mean is not None:
            mean[1:] = self.theta_mean
        if self.theta_sd is not None:
            precision[1:] = self.theta_sd**-2
        return mean, precision

    def _problem_at(self, posterior: Posterior, impressions: Any, clicks: Any) -> tuple[LogPosterior, Point]:
        """The problem of these counts for the posterior's texts, and the point where the posterior has its mean."""
        counts = same_rows(posterior.present, impressions=impressions, clicks=clicks)
        problem = self._problem(posterior.design, *counts)
        B, N, p = problem.design.shape
        effects = posterior.text_effects.reshape(B, N) / (self.prior.text_effect_sd or 1.0)
        return problem, problem.at(posterior.coefficients.reshape(B, p), effects)

    def _fit(self, problem: LogPosterior, design: Tensor, present: Tensor, start: Point) -> Posterior:
        """Posterior at the mode, looked for from a point on."""
        *leading, N, p = design.shape
        mode = find_mode(problem, start)
        curvature = problem.curvature(mode.logits)
        sd = self.prior.text_effect_sd
        return Posterior(
            design=design,
            present=present,
            coefficients=mode.coefficients.reshape(*leading, p),
            text_effects=(sd * mode.effects).reshape(*leading, N),
            precision_cholesky=curvature.factor.reshape(*leading, p, p),
            openness=curvature.openness.reshape(*leading, N),
            text_effect_variance=sd**2,
        )
