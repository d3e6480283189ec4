"""A click model of one's own: found by name, refused in words, and held to what the protocol promises."""

from pathlib import Path

import numpy as np
import pytest

from copyloom import InputError
from simulator import (
    ClickModelConfig,
    ShopperConfig,
    SimulatedFeed,
    Snapshot,
    check_click_model,
    click_model,
    draw_shoppers,
)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "click_model" / "shoppers.py"


class Plain:
    """Clicks depend on length alone."""

    def __init__(self, seed=0, rate=0.001):
        self.shares, self.rate = np.array([0.5, 0.5]), rate

    def segment_probabilities(self, texts, snapshot=0):
        return np.array([[min(self.rate * len(text), 1.0)] * 2 for text in texts])


def test_the_example_of_the_documentation_holds():
    assert len(check_click_model(f"{EXAMPLE}:ShortTexts")) == 5
    assert len(check_click_model(f"{EXAMPLE}:ShortTexts", settings={"slope": 0.5}, seed=9)) == 5


def test_drawn_shoppers_hold():
    def features(texts):
        return np.array([[len(text), text.count("e"), text.count("a")] for text in texts], dtype=float)

    def make(seed):
        config = ShopperConfig(drift={"half_life": 2})
        return draw_shoppers(config, features, ["a mug", "everyone", "a lamp and a bed"], np.random.default_rng(seed))

    assert check_click_model(make)


def batch_mean(self, texts, snapshot=0):
    found = Plain.segment_probabilities(self, texts)
    return found / max(found.mean(), 1e-9) / 100


def remembering(self, texts, snapshot=0):
    self.rate *= 0.9
    return Plain.segment_probabilities(self, texts)


def random_now(self, texts, snapshot=0):
    return np.random.rand(len(texts), 2)


def by_place(self, texts, snapshot=0):
    return np.full((len(texts), 2), 0.1) + np.arange(len(texts))[:, None] / 1000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (batch_mean, "asked together with others and alone"),
        (remembering, "asked together with others and alone|asked again"),
        (random_now, "made twice with seed 0"),
        (by_place, "asked together with others and alone"),
        (lambda self, texts, snapshot=0: np.full((len(texts), 2), np.nan), "give numbers from 0 to 1"),
        (lambda self, texts, snapshot=0: np.full((len(texts), 2), 1.2), "give numbers from 0 to 1"),
        (lambda self, texts, snapshot=0: np.full(len(texts), 0.1), r"must be \(8, 2\)"),
        (lambda self, texts, snapshot=0: np.array([["a", "b"]] * len(texts)), "give numbers from 0 to 1"),
        (lambda self, texts, snapshot=0: 1 / 0, "ZeroDivisionError"),
        (lambda self, texts: np.full((len(texts), 2), 0.1), "failed: TypeError"),
    ],
)  # fmt: skip
def test_what_breaks_a_promise_is_found(wrong, message):
    kind = type("Wrong", (Plain,), {"segment_probabilities": wrong})
    with pytest.raises(InputError, match=message):
        check_click_model(kind)


@pytest.mark.parametrize("shares", [[0.5, 0.6], [], [1.5, -0.5], "half", [[0.5, 0.5]]])
def test_shares_that_are_none_are_refused(shares):
    model = Plain()
    model.shares = shares
    with pytest.raises(InputError, match="has shares"):
        SimulatedFeed(model, 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Model", "module 'nowhere' cannot be imported"),
        ("nowhere.py:Model", "no file nowhere.py"),
        ("shoppers", "names no class"),
        ("{folder}/mine.py:Shoppers", "no class 'Shoppers'; its classes are .*Shopper"),
        ("{folder}/mine.py:Empty", r"cannot be made as Empty\(seed\): TypeError"),
        ("{folder}/mine.py:NoMethod", "NoMethod has no shares and no segment_probabilities"),
        ("{folder}/broken.py:Any", "broken.py cannot be run: NameError"),
    ],
)
def test_errors_say_what_to_do(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "class Shopper: pass\nclass Empty: pass\nclass NoMethod:\n    def __init__(self, seed): pass\n"
    )
    (tmp_path / "broken.py").write_text("ever = never\n")
    with pytest.raises(InputError, match=message):
        click_model(name.format(folder=tmp_path), 0)


def test_a_module_in_the_current_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_shoppers_of_a_test.py").write_text(EXAMPLE.read_text())
    config = ClickModelConfig.model_validate("own_shoppers_of_a_test:ShortTexts")
    assert config.made(3).segments == ("phone", "desk")


def test_effects_are_added_to_a_model_of_ones_own():
    model = click_model(f"{EXAMPLE}:ShortTexts", 0)
    feed = SimulatedFeed(model, 0, ShopperConfig(bots={"share": 1, "rate": 1}))
    feed.publish(Snapshot(0, ("one", "two"), np.array([0.5, 0.5]), 100))
    (outcome,) = feed.closed()
    assert outcome.clicks.sum() == 100
    assert feed.segments == ("phone", "desk")
    friday, monday = (feed.true_rates(["free shipping"], number) for number in (4, 0))
    assert friday > monday
