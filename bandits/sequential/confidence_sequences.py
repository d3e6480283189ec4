"""Click rates with intervals that hold at all times at once, so that looking early and often costs nothing.

References
----------
.. [Robbins1970] H. Robbins. Statistical methods related to the law of the iterated logarithm. Annals of
   Mathematical Statistics 41(5), 1970: the mixture martingale.
.. [LindonMalek2022] M. Lindon, A. Malek. Anytime-valid inference for multinomial count data. NeurIPS 2022
   (arXiv 2011.03567): the same martingale, with a Dirichlet mixture.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from scipy.optimize.elementwise import find_root
from scipy.special import betaln, rel_entr, xlogy

from bandits.inputs import Array
from bandits.numbers import check_number
from bandits.sequential.counts import clicks_on_impressions
from copyloom import InputError

#: Beta(1/2, 1/2), Jeffreys' prior: never far off, whatever the rate.
JEFFREYS = (0.5, 0.5)
#: In nats of evidence; one of the ends themselves would be coarse next to 0 and 1.
_TOLERANCES = {"fatol": 1e-8}

#: Clicks and impressions.
_Counts: TypeAlias = tuple[Array, Array]


def rate_interval(
    clicks: Any, impressions: Any, alpha: float = 0.05, prior: tuple[float, float] = JEFFREYS
) -> tuple[Array, Array]:
    """Confidence sequence of click rates: with probability 1 - alpha the rate is inside at all times.

    The interval holds every p at which the beta-binomial martingale B(a + c, b + n - c) / (B(a, b) p^c
    (1 - p)^(n - c)) is below 1 / alpha. It has mean 1 at the true rate whenever its text is shown, so
    impressions may be allocated by any rule that looks at earlier clicks. Only totals matter: not their
    order, nor the batches they came in. The rate itself must not move; use `running_mean_interval` where it
    does.

    Along a path of totals the bounds may be intersected over time, with `np.maximum.accumulate(lower)` and
    `np.minimum.accumulate(upper)`. Should they cross, the rate has moved (false alarm rate: alpha).

    Parameters
    ----------
    clicks, impressions : array of shape (...)
        Whole totals so far, with 0 <= clicks <= impressions.
    alpha : float
        Probability, above 0 and at most 0.5, of ever being wrong; for N texts at once pass alpha / N.
    prior : (float, float)
        Beta distribution (a, b) that is mixed over, fixed before the first click. The statement holds with
        any; where clicks look as it says (`matched_beta`), the interval is narrower.

    Returns
    -------
    lower, upper : array of shape (...)
        Probabilities; exactly 0 at no click, exactly 1 where every impression was clicked.

    Raises
    ------
    InputError
        If counts are not whole or impossible, or alpha or the prior is out of range.

    Examples
    --------
    >>> lower, upper = rate_interval(clicks=[0, 20, 200], impressions=[1000, 1000, 10000])
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.0, 0.0078, 0.015], [0.007, 0.0406, 0.026])
    """
    check_number("alpha", alpha, least=0, above=True, most=0.5)
    clicks, impressions = clicks_on_impressions(clicks, impressions)
    budget = _regret(clicks, impressions, prior) - math.log(alpha)
    upper = _highest_rate(clicks, impressions, budget)
    return _lowest_rate(clicks, impressions, budget), upper


def difference_interval(
    first_clicks: Any,
    first_impressions: Any,
    second_clicks: Any,
    second_impressions: Any,
    alpha: float = 0.05,
    prior: tuple[float, float] = JEFFREYS,
) -> tuple[Array, Array]:
    """Confidence sequence of the second rate less the first, at all times at once.

    The product of both texts' martingales (see `rate_interval`) is a martingale at the true pair of rates,
    however impressions move between them. The pairs where it is below 1 / alpha form a convex set; the
    interval is its extent. Much narrower than subtracting two intervals at alpha / 2. Use `identify_best`
    instead to find out which text is best: that takes less evidence and allows a common drift; and
    `running_mean_interval`, which is narrower where probabilities were logged and stayed near even.

    Parameters
    ----------
    first_clicks, first_impressions, second_clicks, second_impressions : array of shape (...)
        Whole totals so far.
    alpha, prior
        As in `rate_interval`; the prior is that of either text.

    Returns
    -------
    lower, upper : array of shape (...)
        Within [-1, 1].

    Raises
    ------
    InputError
        As `rate_interval`, or if the two texts' shapes do not broadcast.

    Examples
    --------
    >>> lower, upper = difference_interval(200, 10_000, 300, 10_000, prior=matched_beta(0.02, 0.5))
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.0015, 0.0187)
    """
    check_number("alpha", alpha, least=0, above=True, most=0.5)
    first = clicks_on_impressions(first_clicks, first_impressions)
    second = clicks_on_impressions(second_clicks, second_impressions)
    try:
        np.broadcast_shapes(first[0].shape, second[0].shape)
    except ValueError as error:
        raise InputError(
            f"the texts' counts have shapes {first[0].shape} and {second[0].shape}; pass shapes that broadcast"
        ) from error
    budget = _regret(*first, prior) + _regret(*second, prior) - math.log(alpha)
    return -_greatest_lead(second, first, budget), _greatest_lead(first, second, budget)


def log_martingale(clicks: Any, impressions: Any, rate: Any, prior: tuple[float, float] = JEFFREYS) -> Array:
    """Log evidence against a click rate: the logarithm of the beta-binomial martingale of `rate_interval`.

    Parameters
    ----------
    clicks, impressions : array of shape (...)
        Whole totals so far.
    rate : array of shape (...)
        Probabilities in [0, 1].
    prior
        As in `rate_interval`.

    Returns
    -------
    array of shape (...)
        Reaches log(1 / alpha) with probability at most alpha if the rate is right.

    Raises
    ------
    InputError
        As `rate_interval`, or if a rate is no probability.

    Examples
    --------
    >>> round(float(log_martingale(30, 1000, 0.02)), 2)
    -1.47
    """
    clicks, impressions = clicks_on_impressions(clicks, impressions)
    rates = np.asarray(rate, dtype=float)
    if not ((rates >= 0) & (rates <= 1)).all():
        raise InputError("rate holds values outside [0, 1]; pass probabilities")
    return _cost(rates, clicks, impressions) - _regret(clicks, impressions, prior)


def matched_beta(base_rate: float, logit_sd: float) -> tuple[float, float]:
    """Beta distribution with the mean and, by the delta method, the variance of rates around a base rate.

    Parameters
    ----------
    base_rate : float
        In (0, 1).
    logit_sd : float
        Standard deviation of logits around that of the base rate, doubt about the base rate included.

    Returns
    -------
    a, b : float

    Raises
    ------
    InputError
        If a value is out of range, or no Beta distribution is so wide.

    Examples
    --------
    >>> [round(value, 2) for value in matched_beta(base_rate=0.02, logit_sd=0.5)]
    [4.06, 199.02]
    """
    check_number("base_rate", base_rate, least=0, above=True)
    check_number("logit_sd", logit_sd, least=0, above=True)
    strength = 1 / (base_rate * (1 - base_rate) * logit_sd**2) - 1 if base_rate < 1 else -1
    if strength <= 0:
        raise InputError(
            f"base_rate is {base_rate} and logit_sd is {logit_sd}; pass a rate below 1 and an sd below "
            "1 / sqrt(p (1 - p))"
        )
    return base_rate * strength, (1 - base_rate) * strength


def _regret(clicks: Array, impressions: Array, prior: tuple[float, float]) -> Array:
    """Log likelihood that the mixture loses to the best rate in hindsight; 0 before the first impression."""
    a, b = prior
    check_number("prior", a, least=0, above=True)
    check_number("prior", b, least=0, above=True)
    misses, shown = impressions - clicks, np.maximum(impressions, 1)
    best = xlogy(clicks, clicks / shown) + xlogy(misses, misses / shown)
    return best - betaln(a + clicks, b + misses) + betaln(a, b)


def _cost(rate: Array, clicks: Array, impressions: Array) -> Array:
    """Log likelihood that a rate loses to the observed one: n KL(c / n || rate)."""
    return rel_entr(clicks, impressions * rate) + rel_entr(impressions - clicks, impressions * (1 - rate))


def _overspent(rate: Any, clicks: Any, impressions: Any, budget: Any) -> Array:
    return _cost(rate, clicks, impressions) - budget


def _highest_rate(clicks: Array, impressions: Array, budget: Array) -> Array:
    """Greatest rate whose cost is within the budget; 1 where that is free."""
    free = clicks == impressions
    c, n = np.where(free, 0, clicks), np.where(free, 1, impressions)
    # Outside for certain: the cost of 1 - p = (1 - q) / x is at least (n - c) (log(x) - 1).
    outside = -np.expm1(np.log1p(-c / n) - 2 - budget / (n - c))
    root = find_root(_overspent, (c / n, outside), args=(c, n, budget), tolerances=_TOLERANCES)
    return np.where(free, 1.0, root.x)


def _lowest_rate(clicks: Array, impressions: Array, budget: Array) -> Array:
    """Least rate whose cost is within the budget; 0 where that is free."""
    free = clicks == 0
    c, n = np.where(free, 1, clicks), np.where(free, 1, impressions)
    outside = c / n * np.exp(-2 - budget / c)  # the cost of p = q / x is at least c (log(x) - 1)
    root = find_root(_overspent, (outside, c / n), args=(c, n, budget), tolerances=_TOLERANCES)
    return np.where(free, 0.0, root.x)


def _greatest_lead(first: _Counts, second: _Counts, budget: Array) -> Array:
    """Greatest lead of the second rate over the first among the pairs whose joint cost is within the budget.

    By Lagrange: for each weight of the lead against the cost, the best pair has a closed form, and what it
    costs rises with the weight, which is sought on a log scale.
    """

    def surplus(log_weight: Any, c: Any, n: Any, d: Any, m: Any, K: Any) -> Array:
        return _cost(_lowered(c, n, log_weight), c, n) + _cost(_raised(d, m, log_weight), d, m) - K

    arguments = (*first, *second, budget)
    low = np.log(budget / 4)  # a pair costs at most its weight times the growth of the lead, which is at most 2
    high = np.minimum(_most_weight(first[1], first[0], budget), _most_weight(second[1], second[1] - second[0], budget))
    root = find_root(surplus, (low, high), args=arguments, tolerances=_TOLERANCES)
    weight = np.where(surplus(high, *arguments) < 0, high, root.x)  # no limit within floating point
    return _raised(*second, weight) - _lowered(*first, weight)


def _most_weight(impressions: Array, events: Array, budget: Array) -> Array:
    """Log of a weight at which one text alone costs more than the budget, for the side where it had `events`."""
    some = np.maximum(events, 1)
    bound = 2 * np.log(np.maximum(impressions, 1)) - np.log(some) + 3 + budget / some
    return np.where(events > 0, np.minimum(bound, 300.0), 300.0)


def _raised(clicks: Any, impressions: Any, log_weight: Any) -> Array:
    """Rate p that is best for weight * p - cost(p): weight p (1 - p) = n (p - q), p >= q."""
    weight = np.exp(log_weight)
    gap = impressions - weight
    root = np.sqrt(gap**2 + 4 * weight * clicks)
    rate = np.where(gap > 0, 2 * clicks / np.where(gap > 0, gap + root, 1), (root - gap) / (2 * weight))
    return np.clip(rate, 0, 1)  # outside by rounding, the cost would be infinite


def _lowered(clicks: Any, impressions: Any, log_weight: Any) -> Array:
    """Rate p that is best for -weight * p - cost(p): weight p (1 - p) = n (q - p), p <= q."""
    total = impressions + np.exp(log_weight)
    root = np.sqrt(np.maximum(total**2 - 4 * np.exp(log_weight) * clicks, 0))
    return np.minimum(2 * clicks / (total + root), 1)
