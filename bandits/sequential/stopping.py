"""Which text is best, and whether that is known yet: a stopping rule whose error holds at all times at once.

References
----------
.. [Turner2024] R. Turner, A. Ly, P. Grünwald. Generic E-variables for exact sequential k-sample tests that allow
   for optional stopping. Journal of Statistical Planning and Inference 230, 2024 (arXiv 2106.02693).
.. [LindonMalek2022] M. Lindon, A. Malek. Anytime-valid inference for multinomial count data. NeurIPS 2022
   (arXiv 2011.03567): which arm the next click comes from tells rates apart whatever drift they share.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from bandits.inputs import Array, mask_tensor
from bandits.numbers import check_number
from bandits.sequential.counts import clicks_on_impressions, snapshot_probabilities
from bandits.sequential.ratios import LOG_RATIOS
from copyloom import InputError


@dataclass(frozen=True, eq=False)
class BestText:
    """What the snapshots so far say about which text is best; `identify_best` makes it.

    Attributes
    ----------
    evidence : array of shape (..., N)
        Greatest log e-value so far against each text being the best; it rules a text out from log(1 / delta) on.
    in_running : array of shape (..., N), bool
        Texts not ruled out: with probability 1 - delta the best is among them, at all times.
    best : array of shape (...), int
        The text named at the first snapshot that settled it; -1 if none has yet.
    decided_at : array of shape (...), int
        Index of that snapshot; -1 if none has yet.
    verdict : array of shape (...), str
        `ONE_LEFT` or `CLOSE_ENOUGH`, as at that snapshot; `NOT_YET` or `NONE_LEFT`.
    """

    evidence: Array
    in_running: NDArray[np.bool_]
    best: NDArray[np.int64]
    decided_at: NDArray[np.int64]
    verdict: NDArray[np.str_]


ONE_LEFT = "all other texts are ruled out"
CLOSE_ENOUGH = "no other text is better by more than the margin"
NOT_YET = "not enough evidence yet"
NONE_LEFT = "all texts are ruled out: which is best has changed on the way"


def identify_best(
    impressions: Any,
    clicks: Any,
    probabilities: Any = None,
    *,
    delta: float = 0.05,
    margin: float = 0.0,
    present: Any = None,
) -> BestText:
    """Which texts can still be the best, and the first snapshot at which one could be named.

    With probability 1 - delta, over all snapshots and all texts, the best text stays in the running and none
    is named that it beats by more than the margin; where all texts are equal and the margin is 0, one is named
    with probability at most delta. Allocations may follow earlier clicks in any way, base rates may drift, and
    one may look after every snapshot and stop: needed is only that the best text is at least as good as each other
    in each snapshot, and that the impressions of a snapshot are alike and do not depend on its own clicks.

    Text k is ruled out when the mean over rivals i of an e-process for "k is at least as good as i" is large.
    Only the best text's own e-process can err, so nothing is divided by the number of texts twice. With n_i
    and n_k exposures and ratio r > 1, a snapshot multiplies the pair's e-process by (r w)^(clicks of i)
    w^(clicks of k), w = (n_i + n_k) / (r n_i + n_k). Proof: an impression's factor has expectation f_i = 1 +
    p_i (r w - 1) or f_k = 1 + p_k (w - 1). Since r w >= 1 >= w, these rise when p_i and p_k >= p_i are both
    replaced by a rate between them, and then their mean weighted with n_i and n_k is 1; so the product over
    impressions is at most 1, as means go. This is the limit of rare clicks of [Turner2024]_, exact at all
    rates. The ratio is mixed over `LOG_RATIOS`. A margin multiplies n_k by 1 + margin.

    Parameters
    ----------
    impressions, clicks : array of shape (..., T, N)
        Whole counts of each snapshot, oldest first. Totals will not do where allocations moved. Columns are
        all texts that may ever be compared: zeros where one was not shown.
    probabilities : array of shape (..., T, N), optional
        The snapshots' propensities, to be used as exposures where impressions were drawn from them. Better
        than impressions where a snapshot has few, but wrong where traffic does not follow the probabilities
        (`check_sample_ratio`).
    delta : float
        Probability of an error, above 0 and at most 0.5.
    margin : float
        Relative: 0.1 accepts a text if no other has a rate more than 10 % above its own.
    present : array of shape (..., N), bool, optional
        False in the padding columns of ragged slates.

    Raises
    ------
    InputError
        If shapes do not fit, counts are not whole or impossible, probabilities are none or a shown text's is
        0, or delta or margin is out of range.

    Examples
    --------
    >>> found = identify_best([[4000, 4000]] * 3, [[60, 100], [70, 90], [60, 110]])
    >>> found.in_running.tolist(), int(found.best), int(found.decided_at), str(found.verdict)
    ([False, True], 1, 1, 'all other texts are ruled out')
    """
    check_number("delta", delta, least=0, above=True, most=0.5)
    check_number("margin", margin, least=0)
    clicks, exposures, present = _checked(impressions, clicks, probabilities, present)
    shape, bar = present.shape, math.log(1 / delta)
    evidence, leads = np.full(shape, -np.inf), np.full((*shape, shape[-1]), -np.inf)
    best, decided_at = np.full(shape[:-1], -1), np.full(shape[:-1], -1)
    verdict = np.full(shape[:-1], NOT_YET)
    in_running = present.copy()
    for snapshot, (exact, close) in enumerate(_pair_evidence(exposures, clicks, margin)):
        evidence = np.maximum(evidence, logsumexp(_with_rivals(exact, present), axis=-2))
        leads = np.maximum(leads, _with_rivals(close, present))
        in_running = present & (evidence < bar)
        named = _named(in_running, evidence, leads >= bar)
        new = (best < 0) & (named >= 0)
        best, decided_at = np.where(new, named, best), np.where(new, snapshot, decided_at)
        verdict = np.where(new, np.where(in_running.sum(-1) == 1, ONE_LEFT, CLOSE_ENOUGH), verdict)
    verdict = np.where((best < 0) & ~in_running.any(-1), NONE_LEFT, verdict)
    return BestText(np.where(present, evidence, np.nan), in_running, best, decided_at, verdict)


def _named(in_running: NDArray[np.bool_], evidence: Array, leads: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The text in the running that all others are ruled out or shown not to beat by the margin; -1 if none is."""
    settled = ~in_running[..., None, :] | leads | np.eye(in_running.shape[-1], dtype=bool)
    good = in_running & settled.all(-1)
    return np.where(good.any(-1), np.where(good, evidence, np.inf).argmin(-1), -1)


def _with_rivals(pairs: Array, present: NDArray[np.bool_]) -> Array:
    """Each rival's part of the mean: log e-values less log N, or -inf for the text itself and absent ones.

    Divided by N, not N - 1: so that of N equal texts one is named with probability at most delta. Each is
    ruled out with probability at most delta (N - 1) / N, and N - 1 of them have to be.
    """
    rival = present[..., :, None] & present[..., None, :] & ~np.eye(present.shape[-1], dtype=bool)
    texts = np.maximum(present.sum(-1), 1)[..., None, None]
    return np.where(rival, pairs - np.log(texts), -np.inf)


def _pair_evidence(exposures: Array, clicks: Array, margin: float) -> Iterator[tuple[Array, Array]]:
    """After each snapshot, log e-values that text i (rows) leads text k (columns), without and with the margin."""
    exact = _leads(exposures, clicks, 0.0)
    if margin == 0:
        yield from ((values, values) for values in exact)
    else:
        yield from zip(exact, _leads(exposures, clicks, margin), strict=True)


def _leads(exposures: Array, clicks: Array, margin: float) -> Iterator[Array]:
    """After each snapshot, log e-values against text k being at least 1 + margin times as good as text i."""
    *leading, T, N = clicks.shape
    price = np.zeros((*leading, N, N, len(LOG_RATIOS)))
    total = np.zeros((*leading, N))
    for snapshot in range(T):
        shown, clicked = exposures[..., snapshot, :], clicks[..., snapshot, :]
        both = shown[..., :, None] + (1 + margin) * shown[..., None, :]
        share = shown[..., :, None] / np.where(both > 0, both, 1)
        pair_clicks = clicked[..., :, None] + clicked[..., None, :]
        price += pair_clicks[..., None] * np.log1p(share[..., None] * np.expm1(LOG_RATIOS))
        total += clicked
        yield logsumexp(LOG_RATIOS * total[..., :, None, None] - price, axis=-1) - math.log(len(LOG_RATIOS))


def _checked(impressions: Any, clicks: Any, probabilities: Any, present: Any) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Clicks (..., T, N), exposures (..., T, N) and mask (..., N)."""
    clicks, impressions = clicks_on_impressions(clicks, impressions)
    if clicks.ndim < 2 or clicks.shape[-1] < 1:
        raise InputError(f"clicks have shape {clicks.shape}; pass (..., T, N) with at least one text")
    shape = torch.Size((*clicks.shape[:-2], clicks.shape[-1]))
    present = mask_tensor("present", present, shape).numpy()
    if probabilities is None:
        return clicks, impressions, present
    exposures = snapshot_probabilities(probabilities, impressions.shape)
    if ((exposures == 0) & (impressions > 0)).any():
        raise InputError("a text with probability 0 was shown; leave probabilities out, so that impressions count")
    return clicks, exposures, present
