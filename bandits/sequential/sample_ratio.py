"""Whether impressions were drawn from the probabilities that were published, though those moved.

References
----------
.. [LindonMalek2022] M. Lindon, A. Malek. Anytime-valid inference for multinomial count data. NeurIPS 2022
   (arXiv 2011.03567), section 2: the multinomial-Dirichlet mixture, and its use against sample-ratio mismatch.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp, xlogy
from scipy.stats import chi2

from bandits.inputs import Array
from bandits.numbers import ROUNDING, check_number
from bandits.sequential.counts import snapshot_probabilities, whole_counts
from copyloom import InputError

_TILTS = np.log1p(np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 9.0]))
"""By how much the log odds of a text may be off, either way."""


@dataclass(frozen=True, eq=False)
class SampleRatio:
    """How well impressions follow the probabilities of their snapshots; `check_sample_ratio` makes it.

    Attributes
    ----------
    mismatch : array of shape (...), bool
        Whether they depart; false alarm rate over all snapshots at most alpha.
    alarm_at : array of shape (...), int
        Index of the first snapshot that showed it; -1 if none has yet.
    log_evidence : array of shape (...)
        Greatest log e-value so far; an alarm from log(1 / alpha) on.
    departing : array of shape (..., N), bool
        Texts that depart on their own; false alarm rate over all texts and snapshots at most alpha.
    observed, expected : array of shape (..., N)
        Impressions in all, and the sum of those that each snapshot's probabilities lead one to expect.
    residual : array of shape (..., N)
        Their difference over its standard deviation; 0 where probabilities leave nothing open.
    p_value : array of shape (...)
        Of the chi-square statistic of all residuals. For a single look at the end: peeking spoils it.
    """

    mismatch: NDArray[np.bool_]
    alarm_at: NDArray[np.int64]
    log_evidence: Array
    departing: NDArray[np.bool_]
    observed: Array
    expected: Array
    residual: Array
    p_value: Array


def check_sample_ratio(
    impressions: Any, probabilities: Any, alpha: float = 0.01, prior_impressions: float = 1000.0
) -> SampleRatio:
    """Test that each snapshot's impressions were drawn from its probabilities, at all times at once.

    A chi-square test of totals against one share each raises false alarms once probabilities move. Here each
    snapshot's counts are compared with its own probabilities pi_i: the numerator of the e-process predicts them by a
    Dirichlet-multinomial whose mean is proportional to pi_i (k pi_i + n_i) / (k pi_i + e_i), where n_i
    impressions were seen and e_i expected in earlier snapshots and k is `prior_impressions`. With constant
    probabilities this is the martingale of [LindonMalek2022]_ exactly. The evidence is half that of the
    whole slate and half the mean over texts of the same with two categories, the text and the rest: the
    latter finds a single text that goes astray among many.

    Parameters
    ----------
    impressions : array of shape (..., T, N)
        Whole counts of each snapshot, oldest first.
    probabilities : array of shape (..., T, N)
        The snapshots' propensities; each row sums to 1. They may depend on all earlier snapshots.
    alpha : float
        False alarm rate over all time, above 0 and at most 0.5.
    prior_impressions : float
        The more, the smaller the departures that are looked for: relative ones of about 1 / sqrt(pi k).

    Raises
    ------
    InputError
        If counts are not whole, shapes differ, a row of probabilities does not sum to 1, or an option is out of range.

    Examples
    --------
    >>> moving = [[0.5, 0.5], [0.8, 0.2]]
    >>> found = check_sample_ratio([[5030, 4970], [7950, 2050]], moving)
    >>> bool(found.mismatch), found.expected.tolist()
    (False, [13000.0, 7000.0])
    >>> lost = check_sample_ratio([[5030, 4970], [7950, 1550]], moving)  # 500 impressions were never logged
    >>> bool(lost.mismatch), int(lost.alarm_at), lost.departing.tolist()
    (True, 1, [True, True])
    """
    check_number("alpha", alpha, least=0, above=True, most=0.5)
    check_number("prior_impressions", prior_impressions, least=0, above=True, most=1e12)
    counts = whole_counts("impressions", impressions)
    if counts.ndim < 2 or 0 in counts.shape[-2:]:
        raise InputError(f"impressions have shape {counts.shape}; pass (..., T, N) with at least one snapshot and text")
    shares = snapshot_probabilities(probabilities, counts.shape)
    if (wrong := np.abs(shares.sum(-1) - 1) > ROUNDING).any():
        total = shares.sum(-1)[wrong][0]
        raise InputError(f"a row of probabilities sums to {total:.10g}; pass those of all texts of the snapshot")
    shares = shares / shares.sum(-1, keepdims=True)  # rounding would look like a mismatch in large counts
    return _compared(counts, shares, math.log(1 / alpha), prior_impressions)


def tilt_evidence(impressions: Any, probabilities: Any) -> Array:
    """Evidence that a text is not drawn from its probabilities, in whichever order impressions close.

    Use it instead of `check_sample_ratio` where impressions of older snapshots go on closing beside those of newer
    ones, so that rows grow between two looks. A text k whose odds are w times those published has the likelihood ratio
    w^{n_ik} / (1 + pi_ik (w - 1))^{n_i} in row i; each impression multiplies it by a factor of mean 1 when
    probabilities are as published, so the product over rows, averaged over some w, is an e-process in any order.

    Parameters
    ----------
    impressions : array of shape (T, N)
        Whole counts so far.
    probabilities : array of shape (T, N)
        Of each row; they sum to 1.

    Returns
    -------
    array of shape (N,)
        Log e-values. The chance that one ever reaches log(1 / alpha) is at most alpha; the mean of the e-values of all
        texts is one too.

    Raises
    ------
    InputError
        If counts are not whole, or probabilities do not fit.

    Examples
    --------
    >>> tilt_evidence([[5030, 4970], [7950, 2050]], [[0.5, 0.5], [0.8, 0.2]]).round(1).tolist()
    [-2.8, -2.8]
    >>> tilt_evidence([[5030, 4970], [7950, 1550]], [[0.5, 0.5], [0.8, 0.2]]).round(1).tolist()
    [15.3, 15.3]
    """
    counts = whole_counts("impressions", impressions)
    shares = snapshot_probabilities(probabilities, counts.shape)
    tilts = np.concatenate([-_TILTS, _TILTS])[:, None, None]  # (W, 1, 1)
    totals = counts.sum(-1, keepdims=True)
    ratios = (tilts * counts - totals * np.log1p(shares * np.expm1(tilts))).sum(1)  # (W, N)
    evidence = logsumexp(ratios, axis=0) - math.log(len(ratios))
    return np.where(((shares == 0) & (counts > 0)).any(0), np.inf, evidence)


def _compared(counts: Array, shares: Array, bar: float, prior_impressions: float) -> SampleRatio:
    whole = _log_evidence(counts, shares, prior_impressions)  # (..., T)
    rest = counts.sum(-1, keepdims=True) - counts
    pairs = np.stack([counts, rest], -1).swapaxes(-3, -2)  # (..., N, T, 2)
    each = _log_evidence(pairs, np.stack([shares, 1 - shares], -1).swapaxes(-3, -2), prior_impressions)
    each -= math.log(counts.shape[-1])  # (..., N, T)
    both = np.logaddexp(whole, np.logaddexp.reduce(each, axis=-2)) - math.log(2)
    alarms = both >= bar
    mismatch = np.asarray(alarms.any(-1))
    observed, expected, residual, p_value = _chi_square(counts, shares)
    return SampleRatio(
        mismatch=mismatch,
        alarm_at=np.where(mismatch, alarms.argmax(-1), -1),
        log_evidence=both.max(-1),
        departing=np.asarray((each >= bar).any(-1)),
        observed=observed,
        expected=expected,
        residual=residual,
        p_value=p_value,
    )


def _log_evidence(counts: Array, shares: Array, prior_impressions: float) -> Array:
    """Log e-process after each snapshot: (..., T) from counts and probabilities (..., T, C)."""
    shown = counts.sum(-1, keepdims=True)
    seen = counts.cumsum(-2) - counts
    expected = (shown * shares).cumsum(-2) - shown * shares
    possible = shares > 0
    prior = prior_impressions * shares
    tilted = shares * (prior + seen) / np.where(possible, prior + expected, 1)
    strength = prior_impressions + seen.sum(-1, keepdims=True)
    pseudo = np.where(possible, strength * tilted / tilted.sum(-1, keepdims=True), 1)
    gain = gammaln(pseudo + counts) - gammaln(pseudo) - xlogy(counts, np.where(possible, shares, 1))
    terms = np.where(possible, gain, np.where(counts > 0, np.inf, 0))
    return (terms.sum(-1) + (gammaln(strength) - gammaln(strength + shown))[..., 0]).cumsum(-1)


def _chi_square(counts: Array, shares: Array) -> tuple[Array, Array, Array, Array]:
    """Totals, their expectations, standardised residuals and the p-value of all together."""
    shown = counts.sum(-1, keepdims=True)
    observed, expected = counts.sum(-2), (shown * shares).sum(-2)
    covariance = -(shown * shares).swapaxes(-1, -2) @ shares
    N = counts.shape[-1]
    covariance[..., range(N), range(N)] += expected
    variance = np.maximum(covariance.diagonal(axis1=-2, axis2=-1), 0)
    sd = np.sqrt(np.where(variance > 1e-9 * expected, variance, np.inf))
    residual = (observed - expected) / sd
    correlation = covariance / sd[..., :, None] / sd[..., None, :]
    inverse = np.linalg.pinv(correlation, rcond=1e-9, hermitian=True)
    statistic = (residual[..., None, :] @ inverse @ residual[..., :, None])[..., 0, 0]
    degrees = np.linalg.matrix_rank(correlation, rtol=1e-9, hermitian=True)
    never = ((shares == 0) & (counts > 0)).any((-1, -2))
    p_value = np.where(degrees > 0, chi2.sf(statistic, np.maximum(degrees, 1)), 1.0)
    return observed, expected, residual, np.where(never, 0.0, p_value)
