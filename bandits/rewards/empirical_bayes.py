"""A prior learned from past campaigns: the one under which what happened in them was likeliest."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from bandits.inputs import Array
from bandits.numbers import check_number
from bandits.rewards.reward_model import LogisticRewardModel, RewardPrior
from bandits.rewards.statistics import check_most, checked_rows
from copyloom import CopyloomError, InputError

_SCALES = ("logit_sd", "text_effect_sd", "intercept_sd")
_LEAST_SD, _MOST_SD = 1e-3, 20.0
_STEP = 1e-3  # of finite differences; the evidence is exact to about 1e-11
_CONFIDENCE = 1.959964  # standard errors in a 95 % interval


@dataclass(frozen=True)
class LearnedPrior:
    """A prior and how well past campaigns determine it.

    Attributes
    ----------
    prior : RewardPrior
    standard_errors : dict of str to float
        By parameter: of the logit of `base_rate` and of the logarithm of each scale, where they are near normal.
    intervals : dict of str to (float, float)
        95 % intervals of the parameters themselves.
    log_evidence : float
        Log probability of all clicks under the prior, less log binomial coefficients.
    campaigns : int
    """

    prior: RewardPrior
    standard_errors: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    log_evidence: float
    campaigns: int


def learn_prior(
    features: Any,
    impressions: Any,
    clicks: Any,
    present: Any = None,
    *,
    guess: RewardPrior | None = None,
    guess_sd: float = 1.0,
) -> LearnedPrior:
    """The prior that makes the clicks of past campaigns likeliest (empirical Bayes, type-II maximum likelihood).

    It maximises the sum over campaigns of Laplace's log evidence (MacKay 1992; Bishop 2006, section 4.4.1), plus a
    weak normal prior around the guess, so that few campaigns do not give a scale of 0 or a base rate of none. Laplace's
    error hardly shows: with half a click to two clicks a text on average, 4,000 campaigns with text effects of sd 0.2
    gave 0.23, 0.17 and 0.17 (standard errors 0.03, 0.02, 0.01), with four clicks 0.20.

    Parameters
    ----------
    features : array of shape (..., N, d)
        Whitened features of the texts; all leading dimensions together are the campaigns.
    impressions, clicks : array of shape (..., N)
    present : array of shape (..., N), bool, optional
        False in padding rows.
    guess : RewardPrior, optional
        What is believed of the prior beforehand; by default the pooled click rate and the defaults of
        `RewardPrior`.
    guess_sd : float
        Standard deviation of the guess: of the base rate in logits, of each scale in its logarithm. At 1, the
        guess of `intercept_sd` counts half as much as one campaign whose own rate is known exactly.

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, counts are impossible, or there is no impression at all.

    Examples
    --------
    >>> import torch
    >>> stream = torch.Generator().manual_seed(0)
    >>> base = -3 + 0.8 * torch.randn(400, 1, generator=stream, dtype=torch.float64)
    >>> impressions = torch.full((400, 3), 5000.0, dtype=torch.float64)
    >>> clicks = torch.binomial(impressions, base.expand(400, 3).sigmoid(), generator=stream)
    >>> learned = learn_prior(torch.zeros(400, 3, 1), impressions, clicks)
    >>> round(learned.prior.base_rate, 2), round(learned.prior.intercept_sd, 1)
    (0.05, 0.8)
    """
    check_number("guess_sd", guess_sd, least=0, above=True)
    design, mask, (n, c) = checked_rows(features, present, impressions=impressions, clicks=clicks)
    check_most("clicks", c, "impressions", n)
    if not n.sum() > 0:
        raise InputError("the campaigns have no impressions; pass at least one that was shown")
    guess = guess or RewardPrior(base_rate=((c.sum() + 0.5) / (n.sum() + 1)).item())
    centre = _coordinates(guess)
    posterior = LogisticRewardModel(guess).fit(design[..., 1:], n, c, mask)

    def log_evidence(place: Array) -> float:
        nonlocal posterior
        model = LogisticRewardModel(_prior(place))
        posterior = model.refit(posterior, n, c)  # starts from the last one
        return model.log_evidence(posterior, n, c).sum().item()

    def loss(place: Array) -> float:
        return 0.5 * float(((place - centre) ** 2).sum()) / guess_sd**2 - log_evidence(place)

    low, high = math.log(_LEAST_SD), math.log(_MOST_SD)
    found = minimize(
        loss,
        np.clip(centre, [-20, low, low, low], [20, high, high, high]),
        jac=lambda place: _gradient(loss, place),
        method="L-BFGS-B",
        bounds=[(-20, 20)] + 3 * [(low, high)],
    )
    if not found.success:
        raise CopyloomError(f"no prior was found ({found.message}); check the counts, or pass another guess")
    variances = np.diag(np.linalg.inv(_hessian(loss, found.x)))
    if not (variances > 0).all():
        raise CopyloomError("these campaigns leave a scale of the prior open; pass more of them, or a lower guess_sd")
    return _learned(found.x, np.sqrt(variances), log_evidence(found.x), math.prod(posterior.leading))


def _coordinates(prior: RewardPrior) -> Array:
    """Logit of the base rate and logarithms of the scales, the least one in place of 0: (4,)."""
    scales = [math.log(max(getattr(prior, name), _LEAST_SD)) for name in _SCALES]
    return np.array([prior.base_logit, *scales])


def _prior(place: Array) -> RewardPrior:
    return RewardPrior(float(expit(place[0])), **dict(zip(_SCALES, np.exp(place[1:]).tolist(), strict=True)))


def _learned(place: Array, errors: Array, log_evidence: float, campaigns: int) -> LearnedPrior:
    names = ("base_rate", *_SCALES)
    low, high = (_prior(place + sign * _CONFIDENCE * errors) for sign in (-1, 1))
    return LearnedPrior(
        prior=_prior(place),
        standard_errors=dict(zip(names, errors.tolist(), strict=True)),
        intervals={name: (getattr(low, name), getattr(high, name)) for name in names},
        log_evidence=log_evidence,
        campaigns=campaigns,
    )


def _gradient(function: Callable[[Array], float], place: Array) -> Array:
    """Central differences: (4,)."""
    return np.array([(function(place + h) - function(place - h)) / (2 * _STEP) for h in _STEP * np.eye(len(place))])


def _hessian(function: Callable[[Array], float], place: Array) -> Array:
    """Central differences of the gradient, made symmetric: (4, 4)."""
    steps = 10 * _STEP * np.eye(len(place))
    rows = [(_gradient(function, place + h) - _gradient(function, place - h)) / (20 * _STEP) for h in steps]
    return 0.5 * (np.array(rows) + np.array(rows).T)
