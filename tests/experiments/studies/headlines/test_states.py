"""The writer's states of headlines: each its own, whatever stands beside it."""

import numpy as np
import pytest

from experiments.studies.headlines.states import states_of
from generator.language_model import LanguageModel


def test_a_headline_has_the_same_states_alone_and_among_longer_ones():
    model, stages = LanguageModel.load(), []
    texts = ["a mug", "a mug that keeps coffee warm for hours", "a mug", "warm"]
    found = states_of(texts, model, lambda stage, done, total: stages.append((done, total)))
    assert found.shape == (4, model.hidden_size)
    assert np.array_equal(found[0], found[2])
    assert states_of(texts[:1], model, lambda *_: None)[0] == pytest.approx(found[0], abs=0.05)
    assert np.abs(found[0] - found[3]).max() > 0.1
    assert stages[-1] == (3, 3)
