"""A device is there and says why it was chosen, or the error says what is there."""

import pytest
import torch

from copyloom import DeviceError
from generator import device
from generator.device import Device


@pytest.fixture
def only(monkeypatch):
    """Make a machine with the given devices, and the CPU."""

    def make(*kinds):
        for kind in device._AVAILABLE:
            monkeypatch.setitem(device._AVAILABLE, kind, lambda kind=kind: kind in (*kinds, "cpu"))

    return make


def test_the_cpu_is_always_there(only):
    only()
    assert Device.choose() == Device.choose("auto")
    assert Device.choose().type == Device.choose("cpu").type == "cpu"
    assert Device.choose("cpu").torch == torch.device("cpu")


@pytest.mark.parametrize(
    ("there", "best"),
    [(["cuda"], "cuda"), (["mps"], "mps"), (["neuron", "cuda"], "neuron"), (["cuda", "mps"], "cuda")],
)
def test_auto_takes_the_fastest_and_says_so(only, there, best):
    only(*there)
    chosen = Device.choose("auto")
    assert chosen.type == best
    assert "fastest" in chosen.reason
    assert best in chosen.reason
    assert chosen.decode_rows > 0


@pytest.mark.parametrize("name", ["tpu", "", "CPU", "auto:1", "gpu"])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(DeviceError, match=f"device {name!r} is unknown; use auto, neuron, cuda, mps, cpu"):
        Device.choose(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "neuron"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(only, name):
    only()
    with pytest.raises(DeviceError, match=f"device {name!r} is not there; this machine has cpu$"):
        Device.choose(name)


def test_the_number_of_a_device_is_kept(only):
    only("cuda")
    assert Device.choose("cuda:1").torch == torch.device("cuda:1")


def test_what_follows_the_colon_must_be_a_number():
    with pytest.raises(DeviceError, match="cpu:banana"):
        Device.choose("cpu:banana")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rate_of_products_is_one_of_this_century(dtype):
    assert 1e8 < Device.choose("cpu").matmul_rate(dtype) < 1e16


def test_one_shape_is_kept_where_shapes_are_compiled(only):
    only("cuda", "mps", "neuron")
    assert [kind for kind in device._AVAILABLE if Device.choose(kind).compiles_shapes] == ["neuron", "mps"]


def test_without_a_compiler_it_is_known_before_the_work(monkeypatch):
    def missing(*_):
        raise RuntimeError("No working C++ compiler found in CXX\nand more")

    monkeypatch.setattr(torch, "compile", lambda function: missing)
    with pytest.raises(DeviceError, match=r"No working C\+\+ compiler found in CXX\).*leave --compile out"):
        Device.choose("cpu").check_compiles()
