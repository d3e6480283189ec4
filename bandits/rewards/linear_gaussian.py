"""Sums to belief: Bayesian linear regression on rewards of any size, such as revenue, in closed form."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import check_number
from bandits.posterior import Posterior
from bandits.rewards.coefficient_prior import CoefficientPrior
from bandits.rewards.statistics import checked_rows, same_rows
from copyloom import InputError

_LEAST = 1e-300  # stands in for a count of 0, whose total is 0
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class LinearPrior:
    """What is believed about mean rewards before a reward, in units of the reward.

    Parameters
    ----------
    noise_sd : float
        Standard deviation of one reward about its text's mean.
    reward_sd : float
        Standard deviation over texts of x . theta, when the features are whitened (each has variance 1).
    text_effect_sd : float
        Standard deviation of what features do not explain of a text's mean reward; 0 switches text effects off.
    base_reward, intercept_sd : float
        Mean reward of an average text, and how far the campaign's own may lie from it.
    noise_strength : float
        How many rewards the guess of `noise_sd` is worth. By default the noise is taken as known; if this is
        finite, its variance is learned under an inverse gamma prior of mean noise_sd^2.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    noise_sd: float
    reward_sd: float
    text_effect_sd: float = 0.0
    base_reward: float = 0.0
    intercept_sd: float = 1.0
    noise_strength: float = math.inf

    def __post_init__(self) -> None:
        check_number("noise_sd", self.noise_sd, least=0, above=True)
        check_number("reward_sd", self.reward_sd, least=0, above=True)
        check_number("text_effect_sd", self.text_effect_sd, least=0)
        check_number("base_reward", self.base_reward, least=-math.inf)
        check_number("intercept_sd", self.intercept_sd, least=0, above=True)
        if self.noise_strength != math.inf:
            check_number("noise_strength", self.noise_strength, least=0, above=True)


class LinearRewardModel:
    """Rewards about a mean that is linear in the realised text's features, plus an effect per text.

    y_ij = b + x_i . theta + u_i + e_ij with b ~ N(base_reward, intercept_sd^2), theta ~ N(0, (reward_sd^2 / d) I),
    u_i ~ N(0, text_effect_sd^2) and e_ij ~ N(0, s^2), where s is noise_sd. If the noise is learned, s^2 = tau
    noise_sd^2 with tau ~ IG(k / 2 + 1, k / 2), k the noise_strength, and the other prior variances are multiplied by
    tau too: the normal-inverse-gamma conjugate (Gelman et al. 2013, section 14.2). The belief is then Student's t;
    the posterior returned is the Gaussian with its mean and covariance.

    The posterior's linear predictor, which its methods call logits, is here the mean reward itself.

    Use `LogisticRewardModel` instead for clicks: near a rate of 2 % their noise depends on the rate.

    Parameters
    ----------
    prior : LinearPrior
        Scales of the unknowns.
    theta_mean, theta_sd : array of shape (d,), optional
        Prior mean and standard deviation of each coefficient, instead of 0 and reward_sd / sqrt(d).

    Raises
    ------
    InputError
        If a mean is not finite, or a standard deviation not finite and above 0.

    Examples
    --------
    >>> import torch
    >>> model = LinearRewardModel(LinearPrior(noise_sd=2.0, reward_sd=0.5, intercept_sd=5.0))
    >>> features, n = torch.tensor([[1.0], [-1.0]]), [400, 400]
    >>> posterior = model.fit(features, n, totals=[880, 720], squares=[3600, 2900])
    >>> mean, variance = posterior.logits()
    >>> [round(reward, 2) for reward in mean.tolist()], [round(sd, 2) for sd in variance.sqrt().tolist()]
    ([2.2, 1.8], [0.1, 0.1])
    """

    def __init__(self, prior: LinearPrior, *, theta_mean: Any = None, theta_sd: Any = None) -> None:
        self.prior = prior
        self.coefficient_prior = CoefficientPrior(
            intercept_mean=prior.base_reward,
            intercept_sd=prior.intercept_sd,
            predictor_sd=prior.reward_sd,
            theta_mean=theta_mean,
            theta_sd=theta_sd,
        )

    def fit(self, features: Any, counts: Any, totals: Any, squares: Any, present: Any = None) -> Posterior:
        """Posterior after these rewards: a pure function of their sums, in which every campaign stands alone.

        Parameters
        ----------
        features : array of shape (..., N, d)
            Whitened features of the texts as realised. N may be 0: the prior.
        counts, totals, squares : array of shape (..., N)
            Number, sum and sum of squares of each text's rewards; counts need not be whole (discounted).
        present : array of shape (..., N), bool, optional
            False in padding rows, whose other values are ignored, NaN included.

        Returns
        -------
        Posterior
            Leading dimensions are those of the arguments, broadcast.

        Raises
        ------
        InputError
            If shapes do not fit, a value is not finite, sums are impossible, or features are so large that the
            posterior precision is not positive definite.
        """
        design, present, sums = checked_rows(features, present, counts=counts, totals=totals, squares=squares)
        problem = self._problem(design, *sums)
        openness, factor = problem.curvature()
        coefficients, effects = problem.mean(openness, factor)
        noise = self._noise(sums[0].sum(-1), problem.misfit(coefficients, effects))[..., None]
        variance = self.prior.text_effect_sd**2
        return Posterior(
            design=design,
            present=present,
            coefficients=coefficients,
            text_effects=effects,
            precision_cholesky=factor / noise.sqrt()[..., None],
            openness=openness,
            text_effect_variance=variance * noise if self._learns_noise else variance,
        )

    def log_evidence(self, posterior: Posterior, counts: Any, totals: Any, squares: Any) -> Tensor:
        """Log marginal density of the rewards under the prior, exactly.

        Parameters
        ----------
        posterior : Posterior
            What `fit` of this model returned for these sums.
        counts, totals, squares : array of shape (..., N)
            The sums it was fitted to.

        Returns
        -------
        Tensor of shape (...)

        Raises
        ------
        InputError
            If shapes differ, a value is not finite or sums are impossible.
        """
        sums = same_rows(posterior.present, counts=counts, totals=totals, squares=squares)
        problem, n = self._problem(posterior.design, *sums), sums[0].sum(-1)
        misfit = problem.misfit(posterior.coefficients, posterior.text_effects)
        volume = problem.log_volume() - 0.5 * n * math.log(2 * math.pi * self.prior.noise_sd**2)
        if not self._learns_noise:
            return volume - 0.5 * misfit
        shape, scale = self.prior.noise_strength / 2 + 1, self.prior.noise_strength / 2  # of the inverse gamma
        spread = (shape + n / 2).lgamma() - (shape + n / 2) * (scale + misfit / 2).log()
        return volume + spread + shape * math.log(scale) - math.lgamma(shape)

    @property
    def _learns_noise(self) -> bool:
        return self.prior.noise_strength != math.inf

    def _problem(self, design: Tensor, counts: Tensor, totals: Tensor, squares: Tensor) -> "_Problem":
        within, unit = _within(counts, totals, squares), self.prior.noise_sd**2
        moments = self.coefficient_prior.moments(design)
        return _Problem(design, counts / unit, totals / unit, within / unit, *moments, self.prior.text_effect_sd)

    def _noise(self, n: Tensor, misfit: Tensor) -> Tensor:
        """Posterior mean of the noise variance, in units of noise_sd^2: (...)."""
        if not self._learns_noise:
            return torch.ones_like(n)
        return (self.prior.noise_strength + misfit) / (self.prior.noise_strength + n)


@dataclass(frozen=True, eq=False)
class _Problem:
    """The regression at s = noise_sd, all sums divided by its square."""

    design: Tensor  # (..., N, p)
    weights: Tensor  # (..., N)
    totals: Tensor  # (..., N)
    within: Tensor  # (..., N), squared deviations of each text's rewards from their mean
    prior_mean: Tensor  # (p,)
    prior_precision: Tensor  # (p,)
    effect_sd: float

    def curvature(self) -> tuple[Tensor, Tensor]:
        """Openness (..., N) and Cholesky factor (..., p, p) of beta's marginal precision."""
        openness = 1 / (1 + self.effect_sd**2 * self.weights)
        precision = self.design.mT @ ((self.weights * openness)[..., None] * self.design)
        precision.diagonal(dim1=-2, dim2=-1).add_(self.prior_precision)
        factor, failures = torch.linalg.cholesky_ex(precision)
        if failures.any():
            raise InputError("the posterior precision is not positive definite; whiten the features (variance 1)")
        return openness, factor

    def mean(self, openness: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean of the coefficients, (..., p), and of the text effects, (..., N)."""
        surprise = self.totals - self.weights * self._fitted(self.prior_mean)
        slope = self.design.mT @ (openness * surprise)[..., None]
        coefficients = self.prior_mean + torch.cholesky_solve(slope, factor)[..., 0]
        unexplained = self.totals - self.weights * self._fitted(coefficients)
        return coefficients, self.effect_sd**2 * openness * unexplained

    def misfit(self, coefficients: Tensor, effects: Tensor) -> Tensor:
        """Squared distances of rewards from fit and of fit from prior, in variances: (...)."""
        fitted = self._fitted(coefficients) + effects
        rewards = self.within + self.weights * (self.totals / self.weights.clamp(min=_LEAST) - fitted).square()
        prior = self.prior_precision * (coefficients - self.prior_mean).square()
        own = (effects / (self.effect_sd or 1.0)).square()  # 0 where there are no effects
        return (rewards + own).sum(-1) + prior.sum(-1)

    def log_volume(self) -> Tensor:
        """Log of the posterior's sds over the prior's, all multiplied: (...)."""
        openness, factor = self.curvature()
        posterior = 0.5 * openness.log().sum(-1) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return posterior + 0.5 * self.prior_precision.log().sum()

    def _fitted(self, coefficients: Tensor) -> Tensor:
        return (self.design @ coefficients[..., None])[..., 0]


def _within(counts: Tensor, totals: Tensor, squares: Tensor) -> Tensor:
    """Squared deviations of each text's rewards from their mean, (..., N); refuses sums that no rewards have."""
    within = squares - totals.square() / counts.clamp(min=_LEAST)
    nothing = (counts == 0) & ((totals != 0) | (squares != 0))
    bad = (counts < 0) | nothing | (within < -_ROUNDING * squares)
    if bad.any():
        where = tuple(bad.nonzero()[0].tolist())
        n, total, square = (tensor[where].item() for tensor in (counts, totals, squares))
        raise InputError(
            f"text {where} has {n:g} rewards of sum {total:g} and sum of squares {square:g}, as no rewards have; "
            "pass counts of at least 0 and squares of at least totals^2 / counts"
        )
    return within.clamp(min=0)
