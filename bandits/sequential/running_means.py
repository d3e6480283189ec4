"""Means of weighted rewards with intervals that hold at all times at once, while probabilities and rates move.

References
----------
.. [Howard2021] S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon. Time-uniform, nonparametric, nonasymptotic
   confidence sequences. Annals of Statistics 49(2), 2021: the empirical-Bernstein supermartingale and the
   gamma-exponential mixture.
.. [WaudbySmith2022] I. Waudby-Smith, L. Wu, A. Ramdas, N. Karampatziakis, P. Mineiro. Anytime-valid off-policy
   inference for contextual bandits. arXiv 2210.10768, 2022: the same under moving propensities.
"""

import math
from typing import Any

import numpy as np
from scipy.optimize.elementwise import find_root
from scipy.special import gammainc, gammaln

from bandits.inputs import Array, finite_tensor
from bandits.numbers import check_number
from bandits.sequential.counts import whole_counts
from copyloom import InputError


def running_mean_interval(
    totals: Any,
    squares: Any,
    rows: Any,
    *,
    least: float,
    most: float,
    means: tuple[float, float] | None = None,
    alpha: float = 0.05,
    tightest_at: float = 100.0,
) -> tuple[Array, Array]:
    """Confidence sequence of the average over all rows so far of what each was expected to be.

    Rows may depend on earlier ones in any way (adaptive propensities), and their expectations may move; the
    target is their running average. For a text's click rate a row is weight * click with weight 1 / propensity
    where that text was shown and 0 elsewhere; for a difference it is one text's row less the other's. Use
    `rate_interval` instead where a text's rate stays put: it needs no propensities and is narrower.

    A row Y of mean mu, a guess g made before it and 0 <= lambda < 1 satisfy E exp(lambda (Y - mu) + (log(1 -
    lambda) + lambda) (Y - g)^2) <= 1 when Y - g >= -1 [Howard2021]_. Mixed over lambda, the product over rows
    has a closed form in the sums of Y - mu and of (Y - g)^2, here `_log_mixture`.

    Parameters
    ----------
    totals, squares, rows : array of shape (..., T)
        For each step (a snapshot, or a single row) the sum of its rows, of their squares, and how many there
        are. The guess is the mean so far and moves only from step to step.
    least, most : float
        What a row can be at the least and at the most, known beforehand; either may be infinite, and the
        bound on the other side is then vacuous.
    means : (float, float), optional
        Bounds on the rows' expectations, known beforehand; (least, most) unless given. For weighted clicks
        they are (0, 1), whatever the weights.
    alpha : float
        Probability, above 0 and at most 0.5, of ever being wrong; half of it for each side.
    tightest_at : float
        Sum of squared deviations at which the interval is narrowest: for weighted clicks, their sum of squares.

    Returns
    -------
    lower, upper : array of shape (..., T)

    Raises
    ------
    InputError
        If shapes do not fit, values are not finite, or a step's sums cannot come from rows within the bounds.

    Examples
    --------
    >>> lower, upper = running_mean_interval([20, 180], [20, 180], [1000, 9000], least=0, most=1)
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.0026, 0.0153], [0.0374, 0.0247])
    """
    low, high = means or (least, most)
    check_number("alpha", alpha, least=0, above=True, most=0.5)
    check_number("tightest_at", tightest_at, least=0, above=True)
    sums = _checked_steps(totals, squares, rows, least, most)
    if not (least <= low < high <= most and math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"means is ({low}, {high}); pass finite bounds within [{least}, {most}]")
    lower = _lower_bound(*sums, least, (low, high), alpha / 2, tightest_at)
    upper = -_lower_bound(-sums[0], sums[1], sums[2], -most, (-high, -low), alpha / 2, tightest_at)
    return lower, upper


def _lower_bound(
    totals: Array,
    squares: Array,
    rows: Array,
    least: float,
    means: tuple[float, float],
    alpha: float,
    tightest_at: float,
) -> Array:
    """Lower confidence sequence, by rows scaled so that no row lies more than 1 below its guess: (..., T)."""
    low, high = means
    if least == -math.inf:
        return np.full(totals.shape, low)
    scale = high - least
    seen, total = rows.cumsum(-1), totals.cumsum(-1)
    before, sum_before = seen - rows, total - totals
    guess = np.clip(np.where(before > 0, sum_before / np.maximum(before, 1), 0), low, high)
    deviation = (squares - 2 * guess * totals + rows * guess**2) / scale**2
    boundary = scale * _boundary(np.maximum(deviation, 0).cumsum(-1), alpha, tightest_at / scale**2)
    return np.where(seen > 0, np.clip((total - boundary) / np.maximum(seen, 1), low, high), low)


def _boundary(variance: Array, alpha: float, tightest_at: float) -> Array:
    """Sum of deviations that is never exceeded, with probability 1 - alpha, at any accumulated variance."""
    level = math.log(1 / alpha)
    rho = tightest_at / (2 * level + math.log(1 + 2 * level))  # nearly best there ([Howard2021]_, section 3.5)
    high = np.sqrt(2 * (variance + rho) * level) + level
    while (short := _log_mixture(high, variance, rho) < level).any():
        high = np.where(short, 2 * high, high)
    bracket = (np.zeros_like(high), high)
    root = find_root(
        lambda s, v: _log_mixture(s, v, rho) - level, bracket, args=(variance,), tolerances={"fatol": 1e-8}
    )
    return np.asarray(root.x)


def _log_mixture(deviation: Array, variance: Array, rho: float) -> Array:
    """Log of the integral over lambda in [0, 1) of exp(lambda s + (log(1 - lambda) + lambda) v) f(lambda).

    f is the density of 1 - lambda ~ Gamma(rho, rate rho), cut off at 1 ([Howard2021]_, Proposition 9).
    """
    shape, rate = variance + rho, deviation + variance + rho
    prior = rho * math.log(rho) - gammaln(rho) - math.log(gammainc(rho, rho))
    return prior + gammaln(shape) + np.log(gammainc(shape, rate)) - shape * np.log(rate) + deviation + variance


def _checked_steps(totals: Any, squares: Any, rows: Any, least: float, most: float) -> tuple[Array, Array, Array]:
    """Sums, sums of squares and numbers of rows, where they can come from rows within the bounds."""
    sums: Array = finite_tensor("totals", totals).cpu().numpy()
    powers: Array = finite_tensor("squares", squares).cpu().numpy()
    counts = whole_counts("rows", rows)
    if sums.ndim == 0 or not sums.shape == powers.shape == counts.shape:
        raise InputError(
            f"totals have shape {sums.shape}, squares {powers.shape} and rows {counts.shape}; pass equal ones, (..., T)"
        )
    slack = 1e-9 * (counts + powers)
    lowest = np.where(counts > 0, least * np.maximum(counts, 1), 0)
    highest = np.where(counts > 0, most * np.maximum(counts, 1), 0)
    bad = (sums < lowest - slack) | (sums > highest + slack) | (sums**2 > counts * powers + slack * (1 + powers))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"step {where} has {counts[where]:g} rows with sum {sums[where]:g} and sum of squares {powers[where]:g}, "
            f"which rows within [{least:g}, {most:g}] cannot have; check the bounds"
        )
    return sums, powers, counts
