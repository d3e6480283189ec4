"""Clicks of a text depend on the seed, the snapshot's number, the text and its impressions, and on nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, chi2, kstest

from simulator import Shoppers, SimulatedFeed, Snapshot

TEXTS = tuple(f"text {number}" for number in range(6))
RATES = np.array([[0.02, 0.05], [0.01, 0.01], [0.2, 0.1], [0.5, 0.5], [0.001, 0.9], [0.03, 0.02]])


def rates_of(texts):
    """Logits of `RATES` as features: shoppers whose taste is one segment's own column each."""
    rows = RATES[[int(text.split()[1]) % 6 for text in texts]]
    return np.log(rows / (1 - rows))


SHOPPERS = Shoppers(np.eye(2), np.zeros(2), np.array([0.6, 0.4]), rates_of)


def snapshot(sequence=0, texts=TEXTS, probabilities=None, impressions=5000):
    return Snapshot(
        sequence,
        tuple(texts),
        np.full(len(texts), 1 / len(texts)) if probabilities is None else np.array(probabilities),
        impressions,
    )


def everything(probabilities, text):
    """Give all impressions to one text, whatever else is on the slate."""
    return [float(other == text) for other in probabilities]


def test_impressions_add_up_and_clicks_fit_in():
    outcomes = SimulatedFeed(SHOPPERS, 0).outcome(snapshot(3))
    assert outcomes.snapshot == 3
    assert outcomes.impressions.shape == outcomes.clicks.shape == (6, 2)
    assert outcomes.impressions.sum() == 5000
    assert outcomes.impressions.dtype == outcomes.clicks.dtype == np.int64
    assert (outcomes.clicks >= 0).all()
    assert (outcomes.clicks <= outcomes.impressions).all()


def test_each_segment_is_shown_what_the_snapshot_says_of_it():
    apart = np.array([everything(range(6), 2), everything(range(6), 4)])
    mixed = Snapshot(0, TEXTS, apart.T @ SHOPPERS.shares, 5000, apart)
    alike = snapshot(0)
    shown, before = (SimulatedFeed(SHOPPERS, 0).outcome(each) for each in (mixed, alike))
    assert shown.impressions.nonzero()[0].tolist() == [2, 4]
    assert shown.impressions.nonzero()[1].tolist() == [0, 1]
    assert shown.impressions.sum(0).tolist() == before.impressions.sum(0).tolist()  # the same shoppers come


def test_same_seed_same_outcomes_in_any_order_of_calls():
    one, other = SimulatedFeed(SHOPPERS, 7), SimulatedFeed(SHOPPERS, 7)
    forwards = [one.outcome(snapshot(number)) for number in range(4)]
    backwards = [other.outcome(snapshot(number)) for number in reversed(range(4))][::-1]
    for first, second in zip(forwards, backwards, strict=True):
        assert first.clicks.tobytes() == second.clicks.tobytes()
        assert first.impressions.tobytes() == second.impressions.tobytes()


def test_other_seeds_and_snapshots_differ():
    clicks = [
        SimulatedFeed(SHOPPERS, seed).outcome(snapshot(number)).clicks.tobytes()
        for seed in range(3)
        for number in range(3)
    ]
    assert len(set(clicks)) == 9


def test_another_text_on_the_slate_changes_no_draw_of_the_others():
    """All impressions go to one text, so that only the draws could differ."""
    feed = SimulatedFeed(SHOPPERS, 1)
    for text in TEXTS:
        alone = feed.outcome(snapshot(5, [text]))
        slate = [*TEXTS[3:], "text 99", *TEXTS[:3]]
        among = feed.outcome(snapshot(5, slate, everything(slate, text)))
        row = slate.index(text)
        np.testing.assert_array_equal(among.impressions[row], alone.impressions[0])
        np.testing.assert_array_equal(among.clicks[row], alone.clicks[0])


def test_the_uniform_draw_of_a_text_is_its_own():
    one, other = SimulatedFeed(SHOPPERS, 1), SimulatedFeed(SHOPPERS, 1)
    one.outcome(snapshot(0))
    one.outcome(snapshot(1, TEXTS[:2]))
    for text in (*TEXTS, "naïve ☕"):
        np.testing.assert_array_equal(one._uniforms(9, text), other._uniforms(9, text))


def test_more_impressions_never_cost_clicks_and_higher_rates_never_either():
    """Common random numbers: a better text, or more of it, keeps the clicks it had."""
    better = replace(SHOPPERS, intercepts=np.full(2, 0.3))
    for sequence in range(50):
        few, many = (
            SimulatedFeed(SHOPPERS, 2).outcome(snapshot(sequence, ["text 0"], impressions=n)) for n in (900, 3000)
        )
        liked = SimulatedFeed(better, 2).outcome(snapshot(sequence, ["text 0"], impressions=900))
        grown = many.impressions >= few.impressions
        assert (many.clicks >= few.clicks)[grown].all()
        assert (liked.clicks >= few.clicks).all()


def test_uniforms_are_uniform():
    """3,000 texts in two segments, Kolmogorov-Smirnov at 1e-4 each; no correlation beyond 4.5 standard errors."""
    feed = SimulatedFeed(SHOPPERS, 3)
    uniforms = np.array([feed._uniforms(0, f"text {number}") for number in range(3000)])
    assert (uniforms >= 0).all()
    assert (uniforms < 1).all()
    assert min(kstest(column, "uniform").pvalue for column in uniforms.T) > 1e-4
    assert abs(np.corrcoef(uniforms.T)[0, 1]) < 4.5 / np.sqrt(3000)
    later = np.array([feed._uniforms(1, f"text {number}")[0] for number in range(3000)])
    assert abs(np.corrcoef(uniforms[:, 0], later)[0, 1]) < 4.5 / np.sqrt(3000)


def test_clicks_agree_with_the_probabilities():
    """300 snapshots of 6,000: 12 binomial tests at 1e-5, false alarm about 1e-4 in all."""
    feed = SimulatedFeed(SHOPPERS, 4)
    outcomes = [feed.outcome(snapshot(number, impressions=6000)) for number in range(300)]
    impressions = sum(outcome.impressions for outcome in outcomes)
    clicks = sum(outcome.clicks for outcome in outcomes)
    for row in range(6):
        for column in range(2):
            test = binomtest(int(clicks[row, column]), int(impressions[row, column]), RATES[row, column])
            assert test.pvalue > 1e-5, (row, column)


def test_clicks_vary_as_a_binomial_does():
    """400 snapshots of 500 to one text at 20 %: (n - 1) s^2 / sigma^2 within the chi-squared interval of 1e-4."""
    only = replace(SHOPPERS, shares=np.array([1.0, 0.0]))
    feed = SimulatedFeed(only, 5)
    clicks = [feed.outcome(snapshot(number, ["text 2"], impressions=500)).clicks[0, 0] for number in range(400)]
    statistic = np.var(clicks, ddof=1) * 399 / (500 * 0.2 * 0.8)
    low, high = chi2.ppf([0.5e-4, 1 - 0.5e-4], 399)
    assert low < statistic < high


def test_impressions_agree_with_the_slate_and_the_segments():
    """10 snapshots of 100,000: each of 12 cells within 5 standard errors, false alarm below 1e-5."""
    probabilities = np.array([0.3, 0.3, 0.2, 0.1, 0.1, 0.0])
    feed = SimulatedFeed(SHOPPERS, 6)
    total = sum(
        feed.outcome(snapshot(n, probabilities=probabilities, impressions=100_000)).impressions for n in range(10)
    )
    expected = np.outer(probabilities, SHOPPERS.shares)
    assert (total[5] == 0).all()
    assert (np.abs(total / 1e6 - expected) <= 5 * np.sqrt(expected * (1 - expected) / 1e6)).all()


def test_no_impressions_no_clicks():
    outcomes = SimulatedFeed(SHOPPERS, 0).outcome(snapshot(impressions=0))
    assert outcomes.impressions.sum() == outcomes.clicks.sum() == 0


def test_probabilities_and_true_rates_are_the_shoppers():
    feed = SimulatedFeed(SHOPPERS, 0)
    np.testing.assert_allclose(feed.probabilities(TEXTS), RATES)
    np.testing.assert_allclose(feed.true_rates(TEXTS), RATES @ [0.6, 0.4])
    assert feed.segments == ("segment 1", "segment 2")


def test_each_text_is_read_once():
    read = []

    def counted(texts):
        read.extend(texts)
        return rates_of(texts)

    feed = SimulatedFeed(replace(SHOPPERS, features=counted), 0)
    for sequence in range(3):
        feed.outcome(snapshot(sequence))
    feed.true_rates([*TEXTS, *TEXTS])
    assert sorted(read) == sorted(TEXTS)


@pytest.mark.parametrize("impressions", [1, 17])
def test_a_text_twice_on_the_slate_is_one_text(impressions):
    """Both places draw the same uniform, so equal impressions bring equal clicks."""
    outcomes = SimulatedFeed(SHOPPERS, 8).outcome(snapshot(0, ["text 3", "text 3"], impressions=impressions))
    assert outcomes.impressions.sum() == impressions
    same = outcomes.impressions[0] == outcomes.impressions[1]
    np.testing.assert_array_equal(outcomes.clicks[0][same], outcomes.clicks[1][same])
