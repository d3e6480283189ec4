"""Learning from rewards: what is rewarded grows, a heavy penalty holds it back, and it goes on to the bit."""

import math
import random
from dataclasses import replace

import pytest
import torch

from copyloom import InputError
from experiments.elm import feedback
from experiments.elm.feedback import FeedbackTraining, leave_one_out, train_on_rewards
from experiments.elm.model import Elm, pieces_of, written
from experiments.elm.questions import TEXT, Place, Question, Task
from experiments.elm.reading import Row, expected
from experiments.elm.rewards import ConsistencyReward
from experiments.elm.training import ElmTraining, Questions, train_elm
from generator.device import Device
from generator.models import SHIPPED

SMALL = {"questions": 2, "drafts": 4, "tokens": 6, "checkpoint_seconds": 0}


def asked(number, rng):
    vector = torch.nn.functional.normalize(torch.randn(384, generator=torch.Generator().manual_seed(number)), dim=-1)
    return Question(
        "{film}\nSay something.", {"film": Place(TEXT, vector)}, "A lamp.", lambda text: 0.0, (number,), vector
    )


QUESTIONS = Questions([(Task("say", asked), list(range(20)))])


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    config = ElmTraining(model=SHIPPED, adapter_steps=1, steps=1, rows=2, rank=2)
    return train_elm(config, QUESTIONS, {TEXT: 384}, tmp_path_factory.mktemp("elm"), lambda *_: None, "cpu")


def share_of_a(questions, answers):
    return [text.lower().count("a") / max(len(text), 1) for text in answers]


def trained(start, out, report=lambda *_: None, **changes):
    config = FeedbackTraining(**{"steps": 4, **SMALL, **changes})
    return train_on_rewards(config, start, QUESTIONS, share_of_a, "share of a", out, report, "cpu")


def mean_reward(folder):
    elm = Elm.load(folder, Device.choose("cpu"))
    some = [asked(number, random.Random(0)) for number in range(20, 36)]
    return sum(share_of_a(some, elm.answers(some, max_tokens=6))) / len(some)


def test_each_is_compared_with_the_mean_of_the_others():
    rewards = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    above = leave_one_out(rewards)
    assert torch.allclose(above.sum(1), torch.zeros(5), atol=1e-6)
    assert torch.allclose(above, 1.5 * (rewards - rewards.mean(1, keepdim=True)), atol=1e-6)


def test_what_is_rewarded_grows(start, tmp_path):
    heard = []
    found = trained(start, tmp_path, lambda stage, done, total: heard.append(stage), steps=25, rate=5e-3, beta=0.0)
    assert mean_reward(found) > mean_reward(start) + 0.02
    assert heard[-1].startswith("learning from rewards (mean 0.")


@torch.no_grad()
def moved(start, folder):
    """Return by how many nats a token an ELM expects otherwise than the one it began as."""
    some = [asked(number, random.Random(0)) for number in range(20, 24)]
    before, after = (Elm.load(one, Device.choose("cpu")) for one in (start, folder))
    rows = [
        Row(pieces_of(before.model, one, told=False), before.model.tokenize("A lamp for late readers.")) for one in some
    ]
    likely = [expected(one.model, one.adapters, rows).logits.log_softmax(-1) for one in (after, before)]
    return float((likely[0].exp() * (likely[0] - likely[1])).sum(-1).mean())


def test_a_heavy_penalty_holds_it_where_it_was(start, tmp_path):
    free, held = (trained(start, tmp_path / str(beta), steps=12, rate=3e-3, beta=beta) for beta in (0.0, 100.0))
    assert moved(start, held) < 0.3 * moved(start, free)


def test_a_stopped_training_ends_as_one_that_was_not(start, tmp_path):
    def stop(stage, done, total):
        raise KeyboardInterrupt

    whole = trained(start, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(start, tmp_path / "parts", stop)
    parts = trained(start, tmp_path / "parts")
    assert (parts / "elm.safetensors").read_bytes() == (whole / "elm.safetensors").read_bytes()
    with pytest.raises(InputError, match="another configuration"):
        trained(start, tmp_path / "parts", beta=0.5)


def test_no_token_is_learnt_that_was_not_drawn(start, tmp_path, monkeypatch):
    learnt, drawn = [], []

    def seen(model, adapters, rows):
        learnt.append([row.target for row in rows])
        return expected(model, adapters, rows)

    def heard(*args):
        drawn.append(written(*args))
        return drawn[-1]

    monkeypatch.setattr(feedback, "expected", seen)
    monkeypatch.setattr(feedback, "written", heard)
    trained(start, tmp_path, steps=1, tokens=2)
    end = Elm.load(start, Device.choose("cpu")).model.end
    assert learnt[0] == [[*one.ids, *[end] * one.finished] for one in drawn[0]]
    assert not all(one.finished for one in drawn[0])


def test_a_reward_that_is_no_number_is_named(start, tmp_path):
    with pytest.raises(InputError, match="a reward of step 0 is not finite"):
        train_on_rewards(FeedbackTraining(**SMALL, steps=2), start, QUESTIONS, lambda _, said: [math.nan] * len(said),
                         "nothing", tmp_path, lambda *_: None, "cpu")  # fmt: skip


def test_what_reads_oddly_is_worth_less(space):
    one = asked(3, random.Random(0))
    reward = ConsistencyReward(space.encoder.encode, space.model)
    plain, odd = "A lamp for late readers.", "Lamp readers late a for for zq."
    worth = reward([one, one, one], [one.target, plain, odd])
    near = space.encoder.encode([one.target, plain, odd]) @ one.point
    assert worth[0] == pytest.approx(float(near[0]) / 2, abs=1e-5)  # the check's 0 counts as much
    assert worth[2] < float(near[2]) / 2 - 0.05
    moved = replace(one, start=-one.point)
    assert reward([moved], [one.target])[0] == pytest.approx(float(near[0]), abs=1e-5)  # and what was gained
    listed = Question(one.asked, one.places, "A lamp.", lambda text: 0.75, (3,))
    assert reward([listed], ["A lamp."]) == [0.75]
