"""Each effect does what its settings say, in numbers known in advance, and leaves the draws of all others alone."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit
from scipy.stats import chi2

from simulator import ShopperConfig, Shoppers, SimulatedFeed, Snapshot
from simulator.counting import draw_people
from simulator.effects import Fatigue, Product, mean_probability
from simulator.streams import text_uniforms

TEXTS = ("one", "two", "three", "four")
RATES = np.array([[0.02, 0.05], [0.1, 0.01], [0.2, 0.1], [0.001, 0.4]])
SHARES = np.array([0.6, 0.4])


def logits_of(texts):
    return logit(RATES[[TEXTS.index(text) for text in texts]])


SHOPPERS = Shoppers(np.eye(2), np.zeros(2), SHARES, logits_of)


def snapshot(number=0, texts=TEXTS, impressions=8000):
    return Snapshot(number, tuple(texts), np.full(len(texts), 1 / len(texts)), impressions)


def feed(seed=0, **effects):
    return SimulatedFeed(SHOPPERS, seed, ShopperConfig(**effects))


def played(effects, rounds=4, seed=0):
    """Return impressions and clicks (2, T, N, G) before the way back."""
    one = feed(seed, **effects)
    found = []
    for number in range(rounds):
        outcome = one.outcome(snapshot(number))
        found.append([outcome.impressions, outcome.clicks])
        one.publish(snapshot(number))
    return np.array(found).swapaxes(0, 1)


NEUTRAL = {
    "product": {"logit_sd": 0}, "position": {"shares": [3, 1], "logits": [0, 0]}, "fatigue": {"logit": 0},
    "novelty": {"logit": 0}, "bots": {"share": 0}, "sessions": {"correlation": 0}, "rewards": {},
}  # fmt: skip


@pytest.mark.parametrize("name", NEUTRAL)
def test_an_effect_of_no_size_changes_no_draw(name):
    np.testing.assert_array_equal(played({name: NEUTRAL[name]}), played({}))


EFFECTS = {
    "product": {}, "position": {}, "fatigue": {}, "novelty": {}, "bots": {}, "sessions": {},
    "rewards": {"delay": 1.0, "window": 3, "lost": 0.2, "doubled": 0.1, "repeated": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_beside_all_others_changes_no_draw_of_impressions(name):
    others = {other: effect for other, effect in EFFECTS.items() if other != name}
    np.testing.assert_array_equal(played(EFFECTS)[0], played(others)[0])


def test_bots_do_not_depend_on_whatever_else_is_added():
    """Nobody clicks but bots: their clicks are the same with and without every other effect."""
    with_all = EFFECTS | {"bots": {"share": 0.3, "rate": 0.4}}
    nobody = replace(SHOPPERS, intercepts=np.full(2, -1000.0))
    clicks = [
        SimulatedFeed(nobody, 3, ShopperConfig(**effects)).outcome(snapshot()).clicks
        for effects in (with_all, {"bots": with_all["bots"]})
    ]
    assert clicks[0].sum() > 0
    np.testing.assert_array_equal(*clicks)


def test_a_product_has_one_shift_in_all_campaigns_of_a_seed():
    config = ShopperConfig(product={"logit_sd": 0.8}).product
    shifts = np.array([Product(config, seed).shift for seed in range(2000)])
    assert shifts[7] == Product(config, 7).shift
    low, high = chi2.ppf([0.5e-4, 1 - 0.5e-4], 1999)
    assert low < shifts.var(ddof=1) * 1999 / 0.64 < high
    assert np.exp(shifts).mean() == pytest.approx(1, abs=4.5 * (np.expm1(0.64) / 2000) ** 0.5)
    one = feed(5, product={"logit_sd": 0.8})
    np.testing.assert_allclose(logit(one.probabilities(TEXTS)) - logit(RATES), Product(config, 5).shift)


def test_places_mix_the_probabilities_by_their_shares():
    one = feed(position={"shares": [3, 1], "logits": [0.0, -1.0]})
    expected = 0.75 * RATES + 0.25 * expit(logit(RATES) - 1)
    np.testing.assert_allclose(one.probabilities(TEXTS), expected)


def test_mixtures_are_independent_of_one_another():
    given = np.array([[0.3]])
    places = np.array([0.5, 0.5]), np.array([0.0, -1.0])
    sights = np.array([0.2, 0.8]), np.array([0.0, 2.0])
    expected = sum(
        a * b * expit(logit(0.3) + x + y) for a, x in zip(*places, strict=True) for b, y in zip(*sights, strict=True)
    )
    assert mean_probability(given, [places, sights]).item() == pytest.approx(expected)


def test_fatigue_is_the_generating_function_of_a_poisson_where_clicks_are_rare():
    """E p exp(-c K) with K ~ Poisson(m) is p exp(-m (1 - exp(-c)))."""
    config = ShopperConfig(fatigue={"audience": 1000, "logit": 0.3, "turnover": 0}).fatigue
    effect = Fatigue(config, SHARES)
    shown = np.array([[600, 400], [1200, 0]])
    effect.after(snapshot(0, TEXTS[:2]), shown)
    rare = np.full((2, 2), 1e-6)
    found = mean_probability(rare, [effect.mixture(snapshot(1, TEXTS[:2]), np.zeros((2, 2), np.int64))])
    mean = shown / (1000 * SHARES)
    np.testing.assert_allclose(found / rare, np.exp(-mean * (1 - np.exp(-0.3))), rtol=1e-4)


def test_who_leaves_takes_fatigue_with_them():
    config = ShopperConfig(fatigue={"audience": 1000, "logit": 0.3, "turnover": 1}).fatigue
    effect = Fatigue(config, SHARES)
    effect.after(snapshot(), np.full((4, 2), 10_000))
    none = np.zeros((4, 2), np.int64)
    np.testing.assert_allclose(mean_probability(RATES, [effect.mixture(snapshot(1), none)]), RATES)


def test_what_joins_later_is_new_and_what_was_there_first_is_not():
    one = feed(novelty={"logit": 0.5, "half_life": 2})
    (effect,) = one._effects
    one.publish(snapshot(0, TEXTS[:2]))
    none = np.zeros((4, 2), np.int64)
    for number, expected in enumerate([0.5, 0.5 * 2**-0.5, 0.25], start=3):
        _, shift = effect.mixture(snapshot(number), none)
        np.testing.assert_allclose(shift[0, :, 0], [0, 0, expected, expected])
        one.publish(snapshot(number))
    np.testing.assert_allclose(one.probabilities(TEXTS), RATES)  # true rates are those without novelty


def test_sessions_have_the_variance_of_correlated_clicks():
    """4,000 draws of 300 impressions at 5 %: mean within 4.5 standard errors, variance within 8 % of the stated one."""
    config = ShopperConfig(sessions={"impressions": 5, "correlation": 0.3}).sessions
    texts = [f"text {number}" for number in range(4000)]
    shown, rates = np.full((4000, 1), 300), np.full((4000, 1), 0.05)
    clicks = draw_people(config, shown, rates, lambda purpose: text_uniforms(0, purpose, 0, texts, 1))
    expected = 300 * 0.05 * 0.95 * (1 + 4 * 0.3)
    assert clicks.mean() == pytest.approx(15, abs=4.5 * (expected / 4000) ** 0.5)
    assert clicks.var() == pytest.approx(expected, rel=0.08)


def test_one_impression_is_no_session():
    config = ShopperConfig(sessions={"impressions": 5, "correlation": 0.9}).sessions
    shown, rates = np.array([[1, 0]]), np.array([[0.3, 0.3]])
    texts = [["only"]]
    draws = [draw_people(each, shown, rates, lambda purpose: text_uniforms(0, purpose, 0, texts[0], 2))
             for each in (config, None)]  # fmt: skip
    np.testing.assert_array_equal(*draws)


def test_bots_click_alike_on_every_text():
    """200 snapshots of 8,000, half of them bots' who click at 10 %: each text's rate within 4.5 standard errors."""
    one = feed(bots={"share": 0.5, "rate": 0.1})
    outcomes = [one.outcome(snapshot(number)) for number in range(200)]
    shown, clicks = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("impressions", "clicks"))
    expected = 0.5 * RATES + 0.05
    assert (np.abs(clicks / shown - expected) < 4.5 * np.sqrt(expected * (1 - expected) / shown)).all()
    np.testing.assert_allclose(one.probabilities(TEXTS), RATES)  # true rates are people's


@pytest.mark.parametrize(
    "wrong", [{"position": {"shares": [1, 1], "logits": [0]}}, {"drift": {}}, {"bots": {"share": 1.2}},
              {"fatigue": {"audience": 3}}, {"sessions": {"correlation": 1}}, {"novelty": {"logit": float("nan")}},
              {"rewards": {"delay": -1}}, {"rewards": {"delay": 101}}, {"weather": {}}]
)  # fmt: skip
def test_impossible_effects_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ShopperConfig(**wrong)
