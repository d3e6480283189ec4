"""Shoppers have tastes of their own, hit the rates asked for, and click by what a text says alone."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit
from scipy.stats import kstest

from simulator import ShopperConfig, draw_shoppers

WORDS = ("free", "soft", "warm", "new", "quick")
REFERENCE = [
    " ".join(word for word, there in zip(WORDS, f"{number:05b}", strict=True) if there == "1") for number in range(32)
]


def features(texts):
    """Which of five words a text has, and how many."""
    rows = [[float(word in text.split()) for word in WORDS] for text in texts]
    return np.array([[*row, sum(row) / 5] for row in rows])


def drawn(seed, **config):
    return draw_shoppers(ShopperConfig(**config), features, REFERENCE, np.random.default_rng(seed))


@pytest.mark.parametrize("base_rate", [0.001, 0.02, 0.5, 0.97])
@pytest.mark.parametrize("logit_sd", [0.0, 0.4, 3.0])
def test_the_mean_rate_over_the_reference_is_the_base_rate(base_rate, logit_sd):
    for seed in range(5):
        shoppers = drawn(seed, base_rate=base_rate, logit_sd=logit_sd)
        assert shoppers.click_probability(REFERENCE).mean() == pytest.approx(base_rate, rel=1e-9)


@pytest.mark.parametrize("logit_sd", [0.0, 0.2, 1.5])
def test_the_common_taste_varies_the_logit_as_asked(logit_sd):
    shoppers = drawn(0, logit_sd=logit_sd, segment_spread=0)
    logits = logit(shoppers.segment_probabilities(REFERENCE))
    assert logits.std(axis=0) == pytest.approx([logit_sd] * 3, abs=1e-9)
    assert np.ptp(logits, axis=1).max() < 1e-9  # without spread the segments agree


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_segments_lie_as_far_from_the_common_taste_as_asked(spread):
    """The same stream draws the same common taste, so that the difference is the segments' own."""
    common, own = drawn(4, segment_spread=0), drawn(4, segment_spread=spread)
    difference = features(REFERENCE) @ (own.tastes - common.tastes).T
    assert difference.std(axis=0) == pytest.approx([0.4 * spread] * 3)
    assert np.linalg.matrix_rank(own.tastes) == 3


def test_probabilities_are_the_logistic_of_taste_and_intercept():
    shoppers = drawn(1)
    expected = expit(shoppers.intercepts + features(["soft warm"]) @ shoppers.tastes.T)
    np.testing.assert_allclose(shoppers.segment_probabilities(["soft warm"]), expected)
    np.testing.assert_allclose(shoppers.click_probability(["soft warm"]), expected @ [0.5, 0.3, 0.2])


def test_a_probability_is_the_same_to_the_last_bit_whatever_is_asked_about_beside_it():
    """A study that was stopped asks about other texts together than one that was not, and must end alike."""
    texts = [str(number) for number in range(60)]
    known = np.random.default_rng(3).normal(size=(60, 31))

    def wide(asked):
        return known[[int(text) for text in asked]]

    shoppers = draw_shoppers(ShopperConfig(), wide, texts, np.random.default_rng(4))
    together = shoppers.segment_probabilities(texts)
    for part in (1, 7, 16):
        apart = [shoppers.segment_probabilities(texts[i : i + part]) for i in range(0, 60, part)]
        assert np.array_equal(np.concatenate(apart), together)


def test_the_seed_decides():
    assert np.array_equal(drawn(2).tastes, drawn(2).tastes)
    assert not np.array_equal(drawn(2).tastes, drawn(3).tastes)


@pytest.mark.parametrize("pool", [REFERENCE[:9], REFERENCE[20:], REFERENCE[::-1]])
def test_the_taste_has_the_same_direction_whatever_is_stored(pool):
    """Stored texts set the scale and the intercept, never what shoppers like."""
    rng = np.random.default_rng
    config = ShopperConfig(segment_spread=0)
    one, other = drawn(5, segment_spread=0), draw_shoppers(config, features, pool, rng(5))
    cosine = (
        (one.tastes * other.tastes).sum(1) / np.linalg.norm(one.tastes, axis=1) / np.linalg.norm(other.tastes, axis=1)
    )
    assert cosine == pytest.approx([1, 1, 1])


def test_no_taste_is_more_likely_than_its_opposite():
    """400 seeds, six features: likes are half within 4.4 standard errors; false alarm about 6e-5."""
    likes = np.mean([drawn(seed, segment_spread=0).tastes[0] > 0 for seed in range(400)], axis=0)
    assert np.abs(likes - 0.5).max() < 4.4 * 0.5 / math.sqrt(400)


def test_the_angle_of_a_taste_is_uniform():
    """Two uncorrelated features, 500 seeds, Kolmogorov-Smirnov at 1e-4: direction knows nothing of the texts."""

    def two(texts):
        return features(texts)[:, :2]

    config = ShopperConfig(segment_spread=0)
    tastes = [draw_shoppers(config, two, REFERENCE, np.random.default_rng(seed)).tastes[0] for seed in range(500)]
    angles = [math.atan2(y, x) for x, y in tastes]
    assert kstest(angles, "uniform", args=(-math.pi, 2 * math.pi)).pvalue > 1e-4


def test_a_new_text_is_worth_what_it_says():
    """No bonus for novelty: two texts with the same features have the same rate, known or not."""
    shoppers = drawn(6)
    known, new = shoppers.click_probability([REFERENCE[3], f"never stored, {REFERENCE[3]}"])
    assert known == new


def test_one_text_has_the_base_rate():
    shoppers = draw_shoppers(ShopperConfig(base_rate=0.03), features, ["soft"], np.random.default_rng(0))
    assert shoppers.click_probability(["soft", "new"]) == pytest.approx([0.03, 0.03])


def test_features_that_do_not_vary_teach_no_taste():
    shoppers = [
        draw_shoppers(
            ShopperConfig(),
            lambda texts, seed=seed: np.full((len(texts), 3), 0.1 * seed),
            REFERENCE[:7],
            np.random.default_rng(seed),
        )
        for seed in range(1, 20)
    ]
    assert max(np.abs(s.tastes).max() for s in shoppers) < 1e6


def test_shares_need_not_sum_to_one():
    assert drawn(0, segment_shares=(5, 3, 2)).shares == pytest.approx([0.5, 0.3, 0.2])
    assert drawn(0, segment_shares=(1,)).tastes.shape == (1, 6)


@pytest.mark.parametrize(
    "config", [{"base_rate": 0}, {"base_rate": 1}, {"logit_sd": -1}, {"segment_spread": -0.1}, {"novelty": 1}]
)
def test_impossible_shoppers_are_refused(config):
    with pytest.raises(ValidationError, match=next(iter(config))):
        ShopperConfig(**config)


@pytest.mark.parametrize("shares", [(), (1, -1), (0.0,), (1.2, -0.2)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(ValidationError):
        ShopperConfig(segment_shares=shares)


def test_nobody_clicks_what_cannot_be_read():
    readable = {"soft": 1.0, "nonsense": 0.0, "odd": 0.25}
    shoppers = draw_shoppers(
        ShopperConfig(base_rate=0.03), features, ["soft"], np.random.default_rng(0),
        lambda texts: np.array([readable[text] for text in texts]),
    )  # fmt: skip
    assert shoppers.click_probability(list(readable)) == pytest.approx([0.03, 0.0, 0.0075])
