"""The mode of the log posterior of clicks and the curvature there: damped Newton on many campaigns at once."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from copyloom import InputError

#: Distances from the mode in posterior standard deviations. From here on the curvature is not computed anew: each step
#: still multiplies the distance by about this.
_CLOSE = 1e-3
#: How far off the mode may be: a step is the last if at the present pace the next would be no longer.
_TOLERANCE = 1e-12
#: A whole step is taken unseen if it gains this many squared distances to the mode; a parabola's gains half of one.
_ENOUGH = 0.4
_ROUNDING = 1e-12
_MOST_STEPS = 100
_MOST_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class Point:
    """Values of (beta, v) in B campaigns, or a step in them, and what they make of the texts' logits."""

    coefficients: Tensor  # (B, p)
    effects: Tensor  # (B, N), v = u / effect_sd
    logits: Tensor  # (B, N)

    def plus(self, size: Tensor, step: "Point") -> "Point":
        """Where `size`, (B,), times the step leads; logits are linear, so no design is asked."""
        size = size[:, None]
        return Point(
            torch.addcmul(self.coefficients, size, step.coefficients),
            torch.addcmul(self.effects, size, step.effects),
            torch.addcmul(self.logits, size, step.logits),
        )


@dataclass(frozen=True, eq=False)
class Curvature:
    """The negative Hessian in (beta, v), v eliminated by a Schur complement."""

    weights: Tensor  # (B, N), what each text's data weighs, n p (1 - p)
    openness: Tensor  # (B, N), conditional variance of v given beta
    factor: Tensor  # (B, p, p), lower Cholesky factor of beta's marginal precision


@dataclass(frozen=True, eq=False)
class LogPosterior:
    """Log posterior of (beta, v) for B campaigns, where v = u / effect_sd, so that the sd may be 0."""

    design: Tensor  # (B, N, p)
    impressions: Tensor  # (B, N)
    clicks: Tensor  # (B, N)
    prior_mean: Tensor  # (p,)
    prior_precision: Tensor  # (p,)
    effect_sd: float

    @cached_property
    def misses(self) -> Tensor:
        """Impressions without a click: (B, N)."""
        return self.impressions - self.clicks

    def at(self, coefficients: Tensor, effects: Tensor) -> Point:
        """The point with these (beta, v)."""
        return Point(coefficients, effects, right(self.design, coefficients) + self.effect_sd * effects)

    def value(self, point: Point) -> Tensor:
        """Log likelihood (without binomial coefficients) less half the squared distances to the prior: (B,)."""
        prior = self.prior_precision * (point.coefficients - self.prior_mean).square()
        return self._log_likelihood(point.logits) - 0.5 * prior.sum(-1) - 0.5 * point.effects.square().sum(-1)

    def log_evidence(self, mode: Point, curvature: Curvature) -> Tensor:
        """Laplace's log of the integral of likelihood times prior: (B,)."""
        volume = 0.5 * curvature.openness.log().sum(-1)
        volume = volume - curvature.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return self.value(mode) + volume + 0.5 * self.prior_precision.log().sum()

    def curvature(self, logits: Tensor) -> Curvature:
        """What the curvature is where the texts have these logits.

        Raises
        ------
        InputError
            If it is not positive definite in floating point.
        """
        weights = self.impressions * logits.sigmoid() * (-logits).sigmoid()
        openness = 1 / (1 + self.effect_sd**2 * weights)
        precision = self.design.mT @ ((weights * openness)[..., None] * self.design)
        precision.diagonal(dim1=-2, dim2=-1).add_(self.prior_precision)
        factor, failures = torch.linalg.cholesky_ex(precision)
        if failures.any():
            raise InputError("the posterior precision is not positive definite; whiten the features (variance 1)")
        return Curvature(weights, openness, factor)

    def newton_step(self, point: Point, curvature: Curvature) -> tuple[Point, Tensor]:
        """Newton step and the squared distance to the mode that it sees, in posterior sds, (B,)."""
        residual = self.clicks * (-point.logits).sigmoid() - self.misses * point.logits.sigmoid()
        if self.effect_sd == 0:
            step, decrement = self._coefficient_step(point, residual, curvature.factor)
            return Point(step, torch.zeros_like(point.effects), right(self.design, step)), decrement
        effect_slope = self.effect_sd * residual - point.effects
        coupling = self.effect_sd * curvature.weights  # diagonal of the cross Hessian, per row of the design
        own = curvature.openness * effect_slope
        step, decrement = self._coefficient_step(point, residual - coupling * own, curvature.factor)
        change = right(self.design, step)
        effect_step = own - curvature.openness * coupling * change
        decrement = decrement + (own * effect_slope).sum(-1)
        return Point(step, effect_step, change + self.effect_sd * effect_step), decrement

    def _coefficient_step(self, point: Point, residual: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """Newton step in beta, (B, p), and the squared distance that it sees, (B,)."""
        slope = left(self.design, residual) - self.prior_precision * (point.coefficients - self.prior_mean)
        step = torch.cholesky_solve(slope[..., None], factor)[..., 0]
        return step, (slope * step).sum(-1)

    def _log_likelihood(self, logits: Tensor) -> Tensor:
        """Sum of c log p + (n - c) log (1 - p), no term of which cancels another: (B,)."""
        far = self.clicks * logits.clamp(max=0) - self.misses * logits.clamp(min=0)
        return (far - self.impressions * (-logits.abs()).exp().log1p()).sum(-1)


def find_mode(problem: LogPosterior, start: Point) -> Point:
    """Mode of the (strictly concave) log posterior by damped Newton; a converged campaign stays put.

    Raises
    ------
    InputError
        If it is not found: features far from white, at enormous counts.
    """
    point, value = start, problem.value(start)
    done, before = torch.zeros_like(value, dtype=torch.bool), torch.ones_like(value)
    curvature = problem.curvature(point.logits)
    for _ in range(_MOST_STEPS):
        step, decrement = problem.newton_step(point, curvature)
        point, value = _moved(problem, point, step, value + _ENOUGH * decrement, done)
        done = done | (decrement.square() <= _TOLERANCE**2 * before)
        if done.all():
            return point
        last, furthest = before.max().item(), decrement.max().item()
        before = decrement.clamp(max=1)
        if furthest <= _CLOSE**2 < last:
            point = problem.at(point.coefficients, point.effects)  # sheds the rounding of larger steps
        if furthest > min(_CLOSE**2, last / 100):
            curvature = problem.curvature(point.logits)
    raise InputError(
        f"no posterior mode in {_MOST_STEPS} Newton steps for campaigns {(~done).nonzero()[:, 0].tolist()}; "
        "whiten the features (variance 1) and check the counts"
    )


def _moved(problem: LogPosterior, point: Point, step: Point, enough: Tensor, done: Tensor) -> tuple[Point, Tensor]:
    """The point a whole step on where its value is `enough`, else at the best of 1, 1/2, 1/4, ... steps; its value.

    There the step is halved as long as that gains more than the rounding of the values. The first size that gains
    at all would do in theory. In practice it may leap to and fro between the flat ends of saturated logits.
    """
    size = (~done).to(enough)
    there = point.plus(size, step)
    best = problem.value(there)
    halving = ~(done | (best >= enough - _ROUNDING * (1 + enough.abs())))
    if not halving.any():
        return there, best
    for _ in range(_MOST_HALVINGS):
        half = problem.value(point.plus(size / 2, step))
        halving = halving & ~(half <= best + _ROUNDING * (1 + best.abs()))  # concave: no better now, no better later
        if not halving.any():
            break
        size, best = torch.where(halving, size / 2, size), torch.where(halving, half, best)
    return point.plus(size, step), best


def right(design: Tensor, vector: Tensor) -> Tensor:
    """Design times vector: (B, N)."""
    return (design @ vector[..., None])[..., 0]


def left(design: Tensor, vector: Tensor) -> Tensor:
    """Transposed design times vector: (B, p)."""
    return (design.mT @ vector[..., None])[..., 0]
