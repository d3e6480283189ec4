"""The stopping rule against a loop over pairs, enumeration, and campaigns whose allocations follow the clicks."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bandits.sequential.ratios import LOG_RATIOS
from bandits.sequential.stopping import CLOSE_ENOUGH, NONE_LEFT, NOT_YET, ONE_LEFT, identify_best
from copyloom import InputError

STREAM = np.random.default_rng(11)
IMPRESSIONS = STREAM.integers(0, 400, (3, 6, 4))
CLICKS = STREAM.binomial(IMPRESSIONS, [0.02, 0.05, 0.03, 0.05])


def by_hand(exposures, clicks, margin=0.0):
    """Log e-values of one campaign that text i leads text k, after each snapshot."""
    T, N = clicks.shape
    values = np.full((T, N, N), -np.inf)
    for i, k in itertools.permutations(range(N), 2):
        processes = np.ones(len(LOG_RATIOS))
        for s in range(T):
            for g, ratio in enumerate(np.exp(LOG_RATIOS)):
                n_i, n_k = exposures[s, i], (1 + margin) * exposures[s, k]
                w = (n_i + n_k) / (ratio * n_i + n_k) if n_i + n_k else 1.0
                processes[g] *= (ratio * w) ** clicks[s, i] * w ** clicks[s, k]
            values[s, i, k] = math.log(processes.mean())
    return values


def test_the_evidence_is_the_mean_over_rivals_of_products_over_snapshots():
    found = identify_best(IMPRESSIONS, CLICKS)
    for campaign in range(3):
        pairs = np.exp(by_hand(IMPRESSIONS[campaign], CLICKS[campaign]))
        assert_allclose(found.evidence[campaign], np.log(pairs.sum(1) / 4).max(0), rtol=1e-9)


@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("exposures", [(3, 5), (4, 1), (0.3, 0.6)])
def test_no_snapshot_gains_where_the_text_is_as_good(exposures, margin):
    """By enumeration: mean at most 1 for impressions, 1 exactly for probabilities and clicks of one impression."""
    rate = 0.2
    first, second = exposures
    for ratio in np.exp(LOG_RATIOS):
        w = (first + (1 + margin) * second) / (ratio * first + (1 + margin) * second)
        for lead in (1 + margin, 1.5 + margin):  # the text on trial is better than the other by that
            factors = 1 + rate * (ratio * w - 1), 1 + lead * rate * (w - 1)
            if first >= 1:
                assert factors[0] ** first * factors[1] ** second <= 1 + 1e-12
            else:
                mean = first * factors[0] + second * factors[1] + 1 - first - second
                assert mean <= 1 + 1e-12
                if lead == 1 + margin:
                    assert_allclose(mean, 1, rtol=1e-12)


def test_probabilities_make_batches_equal_to_their_parts():
    probabilities = np.tile(STREAM.dirichlet(np.ones(4), (3, 1)), (1, 6, 1))
    whole = identify_best(IMPRESSIONS.sum(1, keepdims=True), CLICKS.sum(1, keepdims=True), probabilities[:, :1])
    last = [by_hand(probabilities[s], CLICKS[s])[-1] for s in range(3)]
    assert_allclose(whole.evidence, np.log(np.exp(last).sum(1) / 4), rtol=1e-9)


def test_texts_in_another_order_are_judged_alike():
    order = [2, 0, 3, 1]
    found, again = identify_best(IMPRESSIONS, CLICKS), identify_best(IMPRESSIONS[..., order], CLICKS[..., order])
    assert_allclose(again.evidence, found.evidence[..., order], rtol=1e-12)
    assert_array_equal(again.decided_at, found.decided_at)


def test_campaigns_in_a_batch_are_judged_as_alone():
    found = identify_best(IMPRESSIONS, CLICKS)
    for campaign in range(3):
        alone = identify_best(IMPRESSIONS[campaign], CLICKS[campaign])
        assert_array_equal(alone.evidence, found.evidence[campaign])
        assert alone.best == found.best[campaign]
        assert alone.verdict == found.verdict[campaign]


def test_padding_changes_nothing():
    padded = [np.concatenate([x, np.zeros((3, 6, 2), dtype=int)], axis=-1) for x in (IMPRESSIONS, CLICKS)]
    present = np.array([True] * 4 + [False] * 2)
    found, again = identify_best(IMPRESSIONS, CLICKS), identify_best(*padded, present=np.tile(present, (3, 1)))
    assert_allclose(again.evidence[:, :4], found.evidence, rtol=1e-12)
    assert np.isnan(again.evidence[:, 4:]).all()
    assert not again.in_running[:, 4:].any()


def test_a_clear_winner_is_named_and_a_text_without_clicks_waits():
    impressions = np.tile([[5000, 5000, 0]], (4, 1))
    clicks = np.tile([[200, 100, 0]], (4, 1))
    waiting = identify_best(impressions, clicks)
    assert waiting.in_running.tolist() == [True, False, True]  # nothing is known of the third
    assert waiting.verdict == NOT_YET
    assert waiting.best == waiting.decided_at == -1
    found = identify_best(impressions[:, :2], clicks[:, :2])
    assert (found.best, found.decided_at, found.verdict) == (0, 0, ONE_LEFT)


def test_a_margin_settles_a_tie():
    impressions, clicks = np.full((10, 3), 20_000), np.tile([[400, 402, 200]], (10, 1))
    tied = identify_best(impressions, clicks)
    assert tied.verdict == NOT_YET
    assert tied.in_running.tolist() == [True, True, False]
    settled = identify_best(impressions, clicks, margin=0.3)
    assert settled.best == 1
    assert settled.verdict == CLOSE_ENOUGH
    assert_array_equal(settled.evidence, tied.evidence)


def campaigns(rates, count, snapshots, batch, seed, drift=0.0):
    """Allocations that follow the clicks, with common drift in the rates."""
    rng, N = np.random.default_rng(seed), len(rates)
    impressions, clicks = np.zeros((count, snapshots, N)), np.zeros((count, snapshots, N))
    probabilities, shares = np.zeros((count, snapshots, N)), np.full((count, N), 1 / N)
    for s in range(snapshots):
        probabilities[:, s] = shares
        impressions[:, s] = rng.multinomial(batch, shares)
        swing = 1 + drift * math.sin(s / 3)
        clicks[:, s] = rng.binomial(impressions[:, s].astype(int), np.asarray(rates) * swing)
        rate = (clicks.sum(1) + 1) / (impressions.sum(1) + 1 / np.mean(rates))
        score = (rate / rate.sum(1, keepdims=True)) ** 6
        shares = 0.05 + (1 - 0.05 * N) * score / score.sum(1, keepdims=True)
    return impressions, clicks, probabilities


def test_a_wider_margin_and_a_larger_error_never_decide_later():
    impressions, clicks, _ = campaigns([0.03, 0.04, 0.02], 50, 30, 3000, 1)

    def when(**options):
        at = identify_best(impressions, clicks, **options).decided_at
        return np.where(at < 0, 99, at)

    margins, deltas = [0.0, 0.1, 0.5, 2.0], [1e-6, 0.001, 0.05]
    for later in [when(margin=margin) for margin in margins], [when(delta=delta) for delta in deltas]:
        assert (np.diff(later, axis=0) <= 0).all()
        assert (later[0] != later[-1]).any()


def test_a_best_text_that_changes_is_owned_up_to():
    """The first verdict stands; where the texts fall all at once, there is none."""
    overtaken = identify_best(np.full((8, 2), 20_000), [[600, 400], *[[400, 900]] * 7])
    assert not overtaken.in_running.any()
    assert (overtaken.best, overtaken.decided_at, overtaken.verdict) == (0, 0, ONE_LEFT)
    fallen = identify_best([[20_000, 20_000, 0], [20_000] * 3], [[900, 400, 0], [300, 1500, 900]])
    assert not fallen.in_running.any()
    assert (fallen.best, fallen.decided_at, fallen.verdict) == (-1, -1, NONE_LEFT)


@pytest.mark.parametrize("drift", [0.0, 0.6])
@pytest.mark.parametrize("use_probabilities", [False, True])
def test_equal_texts_are_seldom_told_apart(drift, use_probabilities):
    """2,000 campaigns, 40 looks: at the stated 20 %, more than 457 have chance below 0.001."""
    impressions, clicks, probabilities = campaigns([0.03] * 3, 2000, 40, 600, 7, drift)
    found = identify_best(impressions, clicks, probabilities if use_probabilities else None, delta=0.2)
    assert (found.best >= 0).sum() <= 457
    assert (~found.in_running).sum(0).max() <= 457
    assert (~found.in_running).any()


@pytest.mark.parametrize("margin", [0.0, 0.15])
def test_the_best_text_is_hardly_ever_ruled_out(margin):
    """1,000 campaigns with a close second: at the stated 20 %, more than 242 have chance below 0.001."""
    impressions, clicks, _ = campaigns([0.03, 0.033, 0.024, 0.015], 1000, 40, 2000, 8, 0.5)
    found = identify_best(impressions, clicks, delta=0.2, margin=margin)
    worse = np.isin(found.best, [2, 3] if margin else [0, 2, 3])  # 0.03 is within 15 % of 0.033
    assert worse.sum() <= 242
    assert (~found.in_running[:, 1]).sum() <= 242
    assert (found.best >= 0).mean() > (0.5 if margin else 0.1)  # and it does find something


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[10, 10]], [[1, 11]]), {}, "11 clicks on 10"),
        (([10, 10], [1, 1]), {}, r"pass \(..., T, N\)"),
        (([[10, 10]], [[1, 1]], [[0.5, 0.6]]), {}, "sum to more than 1"),
        (([[10, 10]], [[1, 1]], [[0.5, -0.1]]), {}, "negative"),
        (([[10, 10]], [[1, 1]], [[0.0, 1.0]]), {}, "probability 0 was shown"),
        (([[10, 10]], [[1, 1]], [0.5, 0.5]), {}, "one for each count"),
        (([[10, 10]], [[1, 1.5]]), {}, "whole counts"),
        (([[10, 10]], [[1, math.inf]]), {}, "infinite"),
        (([[10, 10]], [[1, 1]]), {"delta": 0}, "delta is 0"),
        (([[10, 10]], [[1, 1]]), {"margin": -0.1}, "margin is -0.1"),
        (([[10, 10]], [[1, 1]]), {"present": [True, True, True]}, "present has shape"),
    ],
)
def test_unusable_input_is_refused(arguments, options, message):
    with pytest.raises(InputError, match=message):
        identify_best(*arguments, **options)
