"""A state comes back to the last bit, or not at all."""

import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits import LogisticRewardModel, RewardPrior, seeded_generators
from bandits.persistence import load_posterior, load_state, save_posterior, save_state
from bandits.rewards.linear_gaussian import LinearPrior, LinearRewardModel
from copyloom import InputError

MODEL = LogisticRewardModel(RewardPrior(base_rate=0.025, logit_sd=0.5, text_effect_sd=0.2))

#: Saves two states over each other for ever; each holds one number only.
WRITER = """
import sys, torch
from bandits.persistence import save_state
states = [{"a": torch.full((300_000,), value)} for value in (1.0, 2.0)]
save_state(sys.argv[1], "numbers", 1, states[0], {})
print("started", flush=True)
while True:
    for state in states:
        save_state(sys.argv[1], "numbers", 1, state, {})
"""


def bits(tensor):
    return tensor.numpy().tobytes()


def test_a_posterior_comes_back_to_the_last_bit(tmp_path, counts):
    posterior = MODEL.fit(*counts, present=torch.arange(7) < 5)
    save_posterior(tmp_path / "belief.safetensors", posterior)
    again = load_posterior(tmp_path / "belief.safetensors")
    for name in ("design", "present", "coefficients", "text_effects", "precision_cholesky", "openness"):
        assert torch.equal(getattr(again, name), getattr(posterior, name)), name
    assert again.text_effect_variance == posterior.text_effect_variance
    assert isinstance(again.text_effect_variance, float)
    draws = [belief.sample_logits(5, seeded_generators(1, 3)) for belief in (posterior, again)]
    assert torch.equal(*draws)


def test_a_belief_in_mean_rewards_comes_back_too(tmp_path, counts):
    model = LinearRewardModel(LinearPrior(noise_sd=1.0, reward_sd=1.0, text_effect_sd=0.5, noise_strength=3.0))
    posterior = model.fit(*counts, counts[2])
    save_posterior(tmp_path / "belief", posterior)
    again = load_posterior(tmp_path / "belief")
    assert torch.equal(again.text_effect_variance, posterior.text_effect_variance)
    assert torch.equal(again.covariance, posterior.covariance)


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.floats(), max_size=5),  # NaN, infinities, subnormal numbers and -0.0 among them
    setting=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    ),
)
def test_any_state_comes_back_to_the_last_bit(tmp_path_factory, numbers, setting):
    path = tmp_path_factory.mktemp("states") / "state"
    column = torch.tensor(numbers, dtype=torch.float64)
    tensors = {
        "": column,
        "spread": column.expand(2, -1).mT,  # not contiguous, and memory shared with the one above
        "one": torch.tensor(2**62),
        "flags": column > 0,
    }
    save_state(path, "any", 3, tensors, {"setting": setting})
    first = path.read_bytes()
    loaded, loaded_settings = load_state(path, "any", 3)
    assert loaded_settings == {"setting": setting}
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].shape == tensor.shape
        assert loaded[name].dtype == tensor.dtype
        assert bits(loaded[name]) == bits(tensor)
    save_state(path, "any", 3, dict(reversed(loaded.items())), loaded_settings)
    assert path.read_bytes() == first


def test_another_kind_or_version_is_refused_by_name(tmp_path, counts):
    path = tmp_path / "state"
    save_state(path, "numbers", 2, {"a": torch.ones(2)}, {})
    with pytest.raises(InputError, match="holds 'numbers' version 2, not 'letters' version 2"):
        load_state(path, "letters", 2)
    with pytest.raises(InputError, match="holds 'numbers' version 2, not 'numbers' version 1"):
        load_state(path, "numbers", 1)
    with pytest.raises(InputError, match="not 'posterior' version 1"):
        load_posterior(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"no such thing as a state" * 10,
        lambda data: data.replace(b"copyloom", b"somebody"),
        lambda data: data[:-30] + bytes([data[-30] ^ 4]) + data[-29:],  # one bit of a number
        lambda data: data.replace(rb"\"b\": 1", rb"\"b\": 2"),
    ],
)
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "state"
    save_state(path, "numbers", 1, {"a": torch.ones(20)}, {"b": 1})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="damaged"):
        load_state(path, "numbers", 1)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "state"
    save_state(path, "numbers", 1, {"a": torch.ones(2)}, {})
    for setting in (math.nan, math.inf, torch.ones(1), {1, 2}):
        with pytest.raises(InputError, match="cannot be written as JSON"):
            save_state(path, "numbers", 1, {}, {"b": setting})
    assert load_state(path, "numbers", 1)[0]["a"].tolist() == [1, 1]
    assert os.listdir(tmp_path) == ["state"]
    with pytest.raises(InputError, match="cannot be written"):
        save_state(tmp_path / "nowhere" / "state", "numbers", 1, {}, {})
    with pytest.raises(InputError, match="cannot be read"):
        load_state(tmp_path / "nothing", "numbers", 1)


@pytest.mark.parametrize("delay", [0.003, 0.03])
def test_a_kill_while_writing_leaves_a_whole_file(tmp_path, delay):
    path = tmp_path / "state"
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    numbers = load_state(path, "numbers", 1)[0]["a"]
    assert numbers.shape == (300_000,)
    assert numbers.unique().tolist() in ([1.0], [2.0])


def test_a_kill_before_the_new_file_is_whole_leaves_the_old_one(tmp_path):
    """The process dies at the flush, the new file half-written beside the old one."""
    path = tmp_path / "state"
    save_state(path, "numbers", 1, {"a": torch.ones(3)}, {})
    dying = (
        "import os, signal, sys, torch; from bandits.persistence import save_state\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "save_state(sys.argv[1], 'numbers', 1, {'a': torch.zeros(3)}, {})"
    )
    assert subprocess.run([sys.executable, "-c", dying, str(path)]).returncode == -signal.SIGKILL
    assert load_state(path, "numbers", 1)[0]["a"].tolist() == [1, 1, 1]
    assert len(os.listdir(tmp_path)) == 2  # and the remains of the new one
