"""What each world sees in a text, and that it learns the tastes that made its data."""

import numpy as np
import pytest

from copyloom import InputError
from simulator import ShopperConfig, check_click_model
from simulator.worlds import Crowd, HeadlineTaste, WordFeatures, headline_world, rating_world, word_world
from simulator.worlds.headlines import click_logits, within_variance

WORDS = "free soft warm quick quiet green small bright dry cold sweet new old long cheap".split()  # noqa: SIM905
RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, 4, replace=False)) for _ in range(400)]


@pytest.fixture(scope="module")
def taste():
    """150 tests of four texts with a million impressions each: who says "free" is clicked half as often again."""
    rng = np.random.default_rng(1)
    texts = [TEXTS[number] for number in rng.integers(len(TEXTS), size=600)]
    tests = np.repeat(np.arange(150), 4)
    level = rng.normal(-4, 0.8, 150)[tests]
    liked = 0.4 * np.array([("free" in text) - ("cold" in text) for text in texts])
    shown = np.full(600, 1_000_000)
    clicks = rng.binomial(shown, 1 / (1 + np.exp(-(level + liked))))
    return HeadlineTaste.fit(texts, tests, shown, clicks, hashed=512)


@pytest.fixture(scope="module")
def crowd():
    """120 people, half of whom like "soft" things and the others "cold" ones; all like "cheap"."""
    rng = np.random.default_rng(2)
    users, items = np.repeat(np.arange(120), 60), rng.integers(len(TEXTS), size=7200)
    soft, cold, cheap = (np.array([word in text for text in TEXTS], float) for word in ("soft", "cold", "cheap"))
    side = np.where(users % 2 == 0, 1.0, -1.0)
    ratings = 3 + side * (soft - cold)[items] + 0.7 * cheap[items] + rng.normal(0, 0.3, 7200)
    return Crowd.fit(users, items, ratings, TEXTS, hashed=512)


def worlds(taste, crowd):
    return [word_world(TEXTS), headline_world(taste, TEXTS), rating_world(crowd, TEXTS)]


@pytest.mark.parametrize("number", range(3))
def test_shoppers_of_every_world_are_a_click_model_of_the_rate_asked_for(number, taste, crowd):
    world = worlds(taste, crowd)[number]
    config = ShopperConfig(base_rate=0.03, segment_spread=0)

    def make(seed):
        return world.shoppers(config, np.random.default_rng(seed))

    assert check_click_model(make)
    rates = make(0).click_probability(TEXTS)
    assert rates.mean() == pytest.approx(0.03)
    assert np.log(rates / (1 - rates)).std() == pytest.approx(0.4)


def test_words_see_what_texts_share():
    one, same, near, far = WordFeatures()(["a soft bed", "A  SOFT bed", "a soft bag", "quick green tea"])
    np.testing.assert_array_equal(one, same)
    assert one @ near > one @ far + 0.2
    assert np.linalg.norm(far) == pytest.approx(1)


def test_headlines_teach_what_was_clicked(taste):
    assert taste.facts["explained"] > 0.6
    shoppers = headline_world(taste, TEXTS).shoppers(ShopperConfig(segment_spread=0), np.random.default_rng(0))
    liked, plain, disliked = shoppers.click_probability(["free warm tea", "long warm tea", "cold warm tea"])
    assert liked > plain > disliked


def test_each_seed_is_a_crowd_that_the_tests_leave_possible(taste):
    """3,000 draws: their mean is the posterior's within 5 standard errors of each weight, their spread its own."""
    draws = np.array([taste.draw(np.random.default_rng(seed), len(taste.weights), 1)[0] for seed in range(3000)])
    deviation = np.sqrt(np.diag(np.linalg.inv(taste.precision)))
    assert (np.abs(draws.mean(0) - taste.weights) < 5 * deviation / 3000**0.5).all()
    np.testing.assert_allclose(draws.std(0), deviation, rtol=0.08)


def test_spread_within_tests_is_measured_without_noise():
    """2,000 tests of four texts, logits that differ by 0.3 within tests, some 40 clicks each: within 5 %."""
    rng = np.random.default_rng(3)
    tests = np.repeat(np.arange(2000), 4)
    logits = rng.normal(-4, 1, 2000)[tests] + rng.normal(0, 0.3, 8000)
    shown = rng.integers(1000, 4000, 8000)
    clicks = rng.binomial(shown, 1 / (1 + np.exp(-logits)))
    assert within_variance(tests, *click_logits(shown, clicks)) ** 0.5 == pytest.approx(0.3, rel=0.05)


def test_ratings_teach_segments_that_like_opposite_things(crowd):
    assert crowd.facts["explained"] > 0.5
    assert crowd.facts["text_explained"] > 0.3
    config = ShopperConfig(segment_shares=(1, 1), segment_spread=2)
    shoppers = rating_world(crowd, TEXTS).shoppers(config, np.random.default_rng(0))
    soft, cold = shoppers.segment_probabilities(["soft long old", "cold long old"])
    assert (soft[0] > cold[0]) != (soft[1] > cold[1])
    cheap, plain = shoppers.click_probability(["cheap long old", "small long old"])
    assert cheap > plain


def test_too_little_data_teaches_nothing():
    few = np.arange(4)
    with pytest.raises(InputError, match="teach no taste; give 10 or more"):
        HeadlineTaste.fit(TEXTS[:4], few // 2, few + 100, few)
    with pytest.raises(InputError, match="give 40 things and 16 people"):
        Crowd.fit(few, few, few + 1.0, TEXTS[:4])
