"""Counts to belief: Bayesian logistic regression on the texts that were shown, by Laplace's method."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bandits.inputs import as_tensor, check_number, finite_tensor, mask_tensor
from bandits.posterior import Posterior, with_intercept
from copyloom import InputError

#: Newton stops one (quadratic) step after the mode is known to this many posterior standard deviations.
_TOLERANCE = 1e-8
_MOST_STEPS = 100
_MOST_HALVINGS = 40


@dataclass(frozen=True)
class RewardPrior:
    """What is believed about click rates before a click; at shop traffic this decides (design, section 4.7).

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

    Raises
    ------
    InputError
        If a value is out of range.

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

    Parameters
    ----------
    prior : RewardPrior
        Scales of the unknowns.

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

    def __init__(self, prior: RewardPrior) -> None:
        self.prior = prior

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
        design, impressions, clicks, present = _checked(features, impressions, clicks, present)
        *leading, N, p = design.shape
        problem = self._problem(
            design.reshape(math.prod(leading), N, p),
            impressions.reshape(math.prod(leading), N),
            clicks.reshape(math.prod(leading), N),
        )
        coefficients, effects = _mode(problem)
        openness, cholesky = problem.curvature(coefficients, effects)
        sd = self.prior.text_effect_sd
        return Posterior(
            design=design,
            present=present,
            coefficients=coefficients.reshape(*leading, p),
            text_effects=(sd * effects).reshape(*leading, N),
            precision_cholesky=cholesky.reshape(*leading, p, p),
            openness=openness.reshape(*leading, N),
            text_effect_variance=sd**2,
        )

    def _problem(self, design: Tensor, impressions: Tensor, clicks: Tensor) -> "_LogPosterior":
        prior, d = self.prior, design.shape[-1] - 1
        mean = design.new_zeros(d + 1)
        mean[0] = prior.base_logit
        precision = design.new_full((d + 1,), d / prior.logit_sd**2)
        precision[0] = 1 / prior.intercept_sd**2
        return _LogPosterior(design, impressions, clicks, mean, precision, prior.text_effect_sd)


@dataclass(frozen=True, eq=False)
class _LogPosterior:
    """Log posterior of (beta, v) for B campaigns, where v = u / text_effect_sd, so that the sd may be 0."""

    design: Tensor  # (B, N, p)
    impressions: Tensor  # (B, N)
    clicks: Tensor  # (B, N)
    prior_mean: Tensor  # (p,)
    prior_precision: Tensor  # (p,)
    effect_sd: float

    def value(self, coefficients: Tensor, effects: Tensor) -> Tensor:
        """Log posterior up to a constant: (B,)."""
        logits = self._logits(coefficients, effects)
        misses = self.impressions - self.clicks
        likelihood = self.clicks * logsigmoid(logits) + misses * logsigmoid(-logits)
        prior = self.prior_precision * (coefficients - self.prior_mean).square()
        return likelihood.sum(-1) - 0.5 * prior.sum(-1) - 0.5 * effects.square().sum(-1)

    def curvature(self, coefficients: Tensor, effects: Tensor) -> tuple[Tensor, Tensor]:
        """Conditional variance of v, (B, N), and Cholesky factor of beta's marginal precision, (B, p, p)."""
        weights = self._weights(coefficients, effects)
        openness = 1 / (1 + self.effect_sd**2 * weights)
        precision = self.design.mT @ ((weights * openness)[..., None] * self.design)
        factor, failures = torch.linalg.cholesky_ex(precision + torch.diag(self.prior_precision))
        if failures.any():
            raise InputError("the posterior precision is not positive definite; whiten the features (variance 1)")
        return openness, factor

    def newton_step(self, coefficients: Tensor, effects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Newton step in beta and v, and the squared distance to the mode it sees, in posterior sds, (B,)."""
        openness, factor = self.curvature(coefficients, effects)
        logits, misses = self._logits(coefficients, effects), self.impressions - self.clicks
        residual = self.clicks * (-logits).sigmoid() - misses * logits.sigmoid()  # c - n p without cancellation
        slope = _left(self.design, residual) - self.prior_precision * (coefficients - self.prior_mean)
        effect_slope = self.effect_sd * residual - effects
        coupling = self.effect_sd * self._weights(coefficients, effects)  # diagonal of the cross Hessian, per row
        reduced = slope - _left(self.design, coupling * openness * effect_slope)
        step = torch.cholesky_solve(reduced[..., None], factor)[..., 0]
        effect_step = openness * (effect_slope - coupling * _right(self.design, step))
        decrement = (slope * step).sum(-1) + (effect_slope * effect_step).sum(-1)
        return step, effect_step, decrement

    def _logits(self, coefficients: Tensor, effects: Tensor) -> Tensor:
        return _right(self.design, coefficients) + self.effect_sd * effects

    def _weights(self, coefficients: Tensor, effects: Tensor) -> Tensor:
        """What each text's data weighs, n p (1 - p): (B, N)."""
        logits = self._logits(coefficients, effects)
        return self.impressions * logits.sigmoid() * (-logits).sigmoid()


def _mode(problem: _LogPosterior) -> tuple[Tensor, Tensor]:
    """Mode of the (strictly concave) log posterior by damped Newton; a converged campaign stays put."""
    B, N, _ = problem.design.shape
    coefficients = problem.prior_mean.expand(B, -1).clone()
    effects = problem.design.new_zeros(B, N)
    done = torch.zeros(B, dtype=torch.bool, device=effects.device)
    for _ in range(_MOST_STEPS):
        if done.all():
            return coefficients, effects
        step, effect_step, decrement = problem.newton_step(coefficients, effects)
        size = _step_size(problem, coefficients, effects, step, effect_step)
        size = torch.where(done, 0.0, size)[:, None]
        coefficients, effects = coefficients + size * step, effects + size * effect_step
        done = done | (decrement <= _TOLERANCE**2)
    raise InputError(
        f"no posterior mode in {_MOST_STEPS} Newton steps for campaigns {(~done).nonzero()[:, 0].tolist()}; "
        "whiten the features (variance 1) and check the counts"
    )


def _step_size(
    problem: _LogPosterior,
    coefficients: Tensor,
    effects: Tensor,
    step: Tensor,
    effect_step: Tensor,
) -> Tensor:
    """Best of 1, 1/2, 1/4, ...: halved as long as that gains more than the rounding of the values, (B,).

    The first size that gains at all would do in theory. In practice it may leap to and fro between the flat
    ends of saturated logits.
    """

    def value(size: Tensor) -> Tensor:
        return problem.value(coefficients + size[:, None] * step, effects + size[:, None] * effect_step)

    size = torch.ones_like(step[:, 0])
    best = value(size)
    halving = torch.ones_like(size, dtype=torch.bool)
    for _ in range(_MOST_HALVINGS):
        half = value(size / 2)
        halving = halving & ~(half <= best + 1e-12 * (1 + best.abs()))  # concave: no better now, no better later
        if not halving.any():
            break
        size, best = torch.where(halving, size / 2, size), torch.where(halving, half, best)
    return size


def _right(design: Tensor, vector: Tensor) -> Tensor:
    """Design times vector: (B, N)."""
    return (design @ vector[..., None])[..., 0]


def _left(design: Tensor, vector: Tensor) -> Tensor:
    """Transposed design times vector: (B, p)."""
    return (design.mT @ vector[..., None])[..., 0]


def _checked(features: Any, impressions: Any, clicks: Any, present: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Design with zeros in absent rows, counts and mask, with leading dimensions broadcast."""
    features = as_tensor("features", features)
    impressions, clicks = as_tensor("impressions", impressions), as_tensor("clicks", clicks)
    if features.ndim < 2 or features.shape[-1] < 1:
        raise InputError(f"features has shape {tuple(features.shape)}; pass (..., N, d) with d at least 1")
    shape = _count_shape(features.shape, impressions.shape, clicks.shape, present)
    present = mask_tensor("present", present, shape).to(features.device)
    rows = present[..., None]
    features = finite_tensor("features", torch.where(rows, features, 0).expand(*shape, features.shape[-1]))
    impressions = finite_tensor("impressions", torch.where(present, impressions, 0))
    clicks = finite_tensor("clicks", torch.where(present, clicks, 0))
    _check_counts(impressions, clicks)
    return torch.where(rows, with_intercept(features), 0), impressions, clicks, present


def _count_shape(features: torch.Size, impressions: torch.Size, clicks: torch.Size, present: Any) -> torch.Size:
    """The broadcast shape (..., N) of the counts."""
    shapes = [features[:-1], impressions, clicks]
    if present is not None:
        shapes.append(as_tensor("present", present).shape)
    given = f"features {tuple(features)}, others {', '.join(str(tuple(shape)) for shape in shapes[1:])}"
    if any(shape[-1:] != features[-2:-1] for shape in shapes):
        raise InputError(f"shapes do not fit: {given}; pass one number per row of features, (..., {features[-2]})")
    try:
        return torch.Size(torch.broadcast_shapes(*shapes))
    except RuntimeError as error:
        raise InputError(f"leading dimensions do not broadcast: {given}") from error


def _check_counts(impressions: Tensor, clicks: Tensor) -> None:
    bad = (clicks < 0) | (clicks > impressions)
    if bad.any():
        where = tuple(bad.nonzero()[0].tolist())
        raise InputError(
            f"text {where} has {clicks[where].item():g} clicks on {impressions[where].item():g} impressions; "
            "pass counts with 0 <= clicks <= impressions"
        )
