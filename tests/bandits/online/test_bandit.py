"""What holds for every bandit that decides one text at a time; a new one joins the list and is held to it."""

import math
from importlib import util

import numpy as np
import pytest

from bandits import OnlineThompson, RewardPrior
from bandits.online.bandit import Decision
from bandits.online.vowpal_wabbit import VowpalWabbit
from bandits.online.vowpal_wabbit_config import VowpalWabbitConfig
from bandits.rewards.text_prior import TextPrior
from copyloom import CopyloomError, InputError

FEATURES = np.random.default_rng(0).standard_normal((8, 3))
RATES = 1 / (1 + np.exp(2 - FEATURES @ [1.0, -0.8, 0.6]))
HAVE_VW = util.find_spec("vowpalwabbit") is not None
needs_vw = pytest.mark.skipif(not HAVE_VW, reason="Vowpal Wabbit is not installed (extra vw)")


def thompson(**options):
    prior = RewardPrior(0.1, logit_sd=1.0, text_effect_sd=options.pop("text_effect_sd", 0.5))
    return OnlineThompson(FEATURES, prior, refit_every=25, seed=3, **options)


def vowpal(floor=0.0, **options):
    return VowpalWabbit(FEATURES, VowpalWabbitConfig(**options), floor=floor, seed=3)


MAKERS = {
    "thompson": thompson,
    "thompson without text effects": lambda: thompson(text_effect_sd=0.0),
    "thompson that forgets": lambda: thompson(half_life=200),
    "thompson with a text prior": lambda: OnlineThompson(
        FEATURES, TextPrior(trust=0.5, trust_sd=1.0).model(RewardPrior(0.1, logit_sd=1.0), d=2), refit_every=25, seed=3
    ),
    "thompson with a floor": lambda: thompson(floor=0.05, scale=1.0, final_scale=0.2, horizon=500),
    "squarecb": lambda: vowpal(strength=10.0),
    "softmax": lambda: vowpal(explore="softmax", strength=3.0),
    "epsilon": lambda: vowpal(explore="epsilon", strength=0.2),
    "epsilon decay": lambda: vowpal(explore="epsilon", strength=0.2, epsilon_decay=True),
    "large action space": lambda: vowpal(strength=10.0, large_action_space=4),
    "squarecb with a floor": lambda: vowpal(strength=10.0, floor=0.05),
}
OURS = [name for name in MAKERS if name.startswith("thompson")]
VW = [name for name in MAKERS if name not in OURS]
every = pytest.mark.parametrize("name", [*OURS, *(pytest.param(name, marks=needs_vw) for name in VW)])


def play(bandit, rounds, seed=0):
    """Play rounds against `RATES`; return the decisions."""
    rng, decisions = np.random.default_rng(seed), []
    for _ in range(rounds):
        decisions.append(bandit.choose())
        bandit.learn(decisions[-1], float(rng.random() < RATES[decisions[-1].text % 8]))
    return decisions


@every
def test_it_learns_to_show_better_texts(name):
    decisions = play(MAKERS[name](), 2000)
    assert np.mean([RATES[decision.text] for decision in decisions[1000:]]) > RATES.mean() + 0.05


@every
def test_the_same_seed_gives_the_same_decisions(name):
    assert play(MAKERS[name](), 60) == play(MAKERS[name](), 60)


@every
def test_propensities_are_realised_frequencies(name):
    """Inverse propensities average to the number of texts that have any.

    Each decision is drawn from the propensities it states, so that over decisions of one state the mean of
    1[text = i] / propensity is 1 for every text i that can be shown: 800 decisions, 4.5 standard errors, at most
    8 texts: a false alarm of less than 0.01 % a case.
    """
    bandit = MAKERS[name]()
    play(bandit, 40)
    weights = np.zeros((800, 8))
    for row in range(800):
        decision = bandit.choose()
        weights[row, decision.text] = 1 / decision.propensity
    for text in np.flatnonzero((weights > 0).sum(0) >= 40):
        mine = weights[:, text]
        assert abs(mine.mean() - 1) < 4.5 * mine.std() / math.sqrt(800) + 1e-6


@every
def test_retired_and_ineligible_texts_are_not_chosen_and_their_outcomes_still_count(name):
    bandit = MAKERS[name]()
    old = Decision(4, 0.5)
    bandit.retire([4, 5])
    assert {bandit.choose().text for _ in range(100)}.isdisjoint({4, 5})
    assert {bandit.choose([1, 2, 4]).text for _ in range(100)} <= {1, 2}
    bandit.learn(old, 1.0)
    with pytest.raises(InputError, match="no text may be shown"):
        bandit.choose([4])
    with pytest.raises(InputError, match="no text may be shown"):
        bandit.choose([])


@every
def test_texts_can_be_added(name):
    bandit = MAKERS[name]()
    play(bandit, 30)
    assert bandit.add(FEATURES[:2] + 1) == [8, 9]
    assert bandit.choose([9]).text == 9
    bandit.learn(Decision(9, 1.0), 1.0)


@every
def test_bad_input_is_refused_and_changes_nothing(name):
    bandit, twin = MAKERS[name](), MAKERS[name]()
    decision = Decision(1, 0.5)
    for reward in (math.nan, math.inf, -0.1, 1.1):
        with pytest.raises(InputError, match="reward"):
            bandit.learn(decision, reward)
    with pytest.raises(InputError, match="text 8 is unknown"):
        bandit.learn(Decision(8, 0.5), 1.0)
    with pytest.raises(InputError, match="propensity"):
        bandit.learn(Decision(1, 0.0), 1.0)
    with pytest.raises(InputError, match="text -1 is unknown"):
        bandit.choose([-1])
    with pytest.raises(InputError, match="text 8 is unknown"):
        bandit.retire([0, 8])
    with pytest.raises(InputError, match="NaN"):
        bandit.add([[1.0, math.nan, 0.0]])
    with pytest.raises(InputError, match=r"pass \(N, 3\)"):
        bandit.add([[1.0, 2.0]])
    for texts in (np.array([True, False] * 4), [6.9], ["a"]):
        with pytest.raises(InputError, match="pass their numbers"):
            bandit.choose(texts)
        with pytest.raises(InputError, match="pass their numbers"):
            bandit.retire(texts)
    for decision, reward in ((Decision(1.5, 0.5), 1.0), (Decision(1, 0.5), None), (Decision(1, None), 1.0)):
        with pytest.raises(InputError, match="pass"):
            bandit.learn(decision, reward)
    assert play(bandit, 30) == play(twin, 30)


def test_floors_hold_and_are_refused_where_they_cannot():
    for bandit in [thompson(floor=0.125), *([vowpal(floor=0.125)] if HAVE_VW else [])]:
        assert bandit.choose().propensity == pytest.approx(0.125)
        bandit.add(FEATURES[:1])
        with pytest.raises(InputError, match="sums to more than 1"):
            bandit.choose()


def test_settings_are_checked():
    with pytest.raises(InputError, match="explore is 'magic'"):
        VowpalWabbitConfig(explore="magic")
    with pytest.raises(InputError, match="epsilon_decay goes with"):
        VowpalWabbitConfig(epsilon_decay=True)
    with pytest.raises(InputError, match="strength"):
        VowpalWabbitConfig(strength=-1.0)
    with pytest.raises(InputError, match="bag needs a strength"):
        VowpalWabbitConfig(explore="bag", strength=None)
    with pytest.raises(InputError, match="bag needs a strength"):
        VowpalWabbitConfig(explore="bag", strength=2.5)
    with pytest.raises(InputError, match="epsilon, is 2"):
        VowpalWabbitConfig(explore="epsilon", strength=2.0)
    with pytest.raises(InputError, match="cb_type is 'zzz'"):
        VowpalWabbitConfig(cb_type="zzz")
    with pytest.raises(InputError, match="horizon"):
        thompson(horizon=0)
    with pytest.raises(InputError, match="draws"):
        thompson(draws=0)
    with pytest.raises(InputError, match="no array of numbers"):
        OnlineThompson([["a"]], RewardPrior(0.1))


def test_without_vowpal_wabbit_the_error_says_what_to_install(monkeypatch):
    import builtins

    whole = builtins.__import__

    def importing(name, *rest):
        if name == "vowpalwabbit":
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(CopyloomError, match=r"copyloom\[vw\]"):
        VowpalWabbit(FEATURES)


def test_vowpal_wabbit_learns_of_counts_as_well_as_one_by_one():
    """Ten snapshots of 2,000 impressions in twelve worlds: the mean rate of what is then shown, within 10 %."""
    reached = {"counts": [], "one by one": []}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(6, 3))
        rates = 1 / (1 + np.exp(3 - features @ np.array([0.5, -0.3, 0.2])))
        batch, single = (VowpalWabbit(features, VowpalWabbitConfig(explore="bag", strength=10)) for _ in range(2))
        for _ in range(10):
            shown = rng.multinomial(2000, np.full(6, 1 / 6))
            clicks = rng.binomial(shown, rates)
            batch.learn_counts([(i, 1 / 6, int(shown[i]), int(clicks[i])) for i in range(6)], 6)
            rewards = [(i, float(c < clicks[i])) for i in range(6) for c in range(shown[i])]
            for place in rng.permutation(len(rewards)).tolist():
                single.learn(Decision(rewards[place][0], 1 / 6), rewards[place][1])
        for name, bandit in (("counts", batch), ("one by one", single)):
            reached[name].append(bandit.probabilities(range(6)) @ rates / rates.max())
    assert np.mean(reached["counts"]) > 0.9 * np.mean(reached["one by one"])
    for wrong in ((9, 0.5, 10, 1), (0, 0.0, 10, 1), (0, 0.5, 10, 11), (0, 0.5, 0, 0)):
        with pytest.raises(InputError):
            batch.learn_counts([wrong], 6)
