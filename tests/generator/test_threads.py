"""Threads: no more than there is room for, asleep while they wait, and as a person says where one does."""

import os
import subprocess
import sys

import pytest
import torch

from generator import threads


@pytest.mark.parametrize(
    ("files", "expected"),
    [({}, 8), ({"cpu.max": "max 100000\n"}, 8), ({"cpu.max": "150000 100000\n"}, 2), ({"cpu.max": "5000 100000\n"}, 1),
     ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
     ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3)],
)  # fmt: skip
def test_a_containers_quota_limits_the_processors(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(threads, "_bound", lambda: 8)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert threads.processors(tmp_path) == expected


@pytest.mark.parametrize(
    ("given", "chosen"),
    [({}, "GOMP_SPINCOUNT=2000"), ({"OMP_WAIT_POLICY": "active"}, "OMP_WAIT_POLICY=active"),
     ({"GOMP_SPINCOUNT": "1000"}, "GOMP_SPINCOUNT=1000")],
)  # fmt: skip
def test_a_command_soon_lets_waiting_threads_sleep_before_torch_is_there(given, chosen):
    clean = {name: value for name, value in os.environ.items() if name not in threads._WAITING} | given
    asked = (
        "import sys, experiments.commands.cli\nfrom generator.threads import waiting\n"
        "assert 'torch' not in sys.modules\nprint(waiting())"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, env=clean, check=True)
    assert done.stdout == f"{chosen}\n"


def test_more_threads_than_there_is_room_for_are_not_started(monkeypatch):
    monkeypatch.setattr(threads, "processors", lambda: 2)
    monkeypatch.setattr(threads, "_bound", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    threads.choose_threads()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    threads.choose_threads()
    assert os.environ["OMP_NUM_THREADS"] == "5"


def test_others_have_as_many_threads_afterwards_as_before():
    before = torch.get_num_threads()
    with threads.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with threads.threads():
        torch.set_num_threads(before + 1)  # as numba does
    assert torch.get_num_threads() == before
