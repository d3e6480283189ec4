"""Vowpal Wabbit's slates: one text a slot, one reward for all, learned like any other bandit."""

from importlib import util

import numpy as np
import pytest

from bandits.online.bandit import Decision
from bandits.online.vowpal_wabbit import VowpalWabbitSlates
from copyloom import InputError

pytestmark = pytest.mark.skipif(util.find_spec("vowpalwabbit") is None, reason="Vowpal Wabbit is not installed")
SLOTS = [np.eye(3), np.eye(4)]
WORTH = [np.array([0.0, 0.1, 0.4]), np.array([0.4, 0.0, 0.1, 0.0])]


def play(bandit, rounds, seed=0):
    """Slates shown; a reward comes with the sum of what their texts are worth."""
    rng, shown = np.random.default_rng(seed), []
    for _ in range(rounds):
        shown.append(bandit.choose())
        worth = sum(values[decision.text] for values, decision in zip(WORTH, shown[-1], strict=True))
        bandit.learn(shown[-1], float(rng.random() < worth))
    return shown


def test_it_learns_the_best_text_of_each_slot():
    late = play(VowpalWabbitSlates(SLOTS, seed=1), 3000)[2000:]
    for slot, best in ((0, 2), (1, 0)):
        assert np.mean([slate[slot].text == best for slate in late]) > 0.8


def test_propensities_are_realised_frequencies():
    bandit = VowpalWabbitSlates(SLOTS, epsilon=0.5, seed=2)
    play(bandit, 200)
    slates = [bandit.choose() for _ in range(4000)]
    for slot, texts in enumerate((3, 4)):
        stated = {slate[slot].text: slate[slot].propensity for slate in slates}
        counts = np.bincount([slate[slot].text for slate in slates], minlength=texts)
        expected = 4000 * np.array([stated[text] for text in range(texts)])
        assert expected.sum() == pytest.approx(4000)
        assert ((counts - expected) ** 2 / expected).sum() < 16.3  # chi-square, a false alarm of 0.1 %


def test_bad_input_is_refused_and_changes_nothing():
    bandit, twin = VowpalWabbitSlates(SLOTS), VowpalWabbitSlates(SLOTS)
    with pytest.raises(InputError, match="1 decisions were given for 2 slots"):
        bandit.learn([Decision(0, 0.5)], 1.0)
    with pytest.raises(InputError, match="text 3 is unknown"):
        bandit.learn([Decision(3, 0.5), Decision(3, 0.5)], 1.0)
    with pytest.raises(InputError, match="reward is 2"):
        bandit.learn([Decision(0, 0.5), Decision(3, 0.5)], 2.0)
    with pytest.raises(InputError, match="seed is -1"):
        VowpalWabbitSlates(SLOTS, seed=-1)
    with pytest.raises(InputError, match="one of 2 slots has no text"):
        VowpalWabbitSlates([np.zeros((0, 3)), np.ones((2, 3))])
    assert play(bandit, 20) == play(twin, 20)
