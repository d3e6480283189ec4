"""Parts of a study come to the same wherever they run."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from copyloom import InputError
from experiments.engines import Engine


def squared(shared: Path, item: int) -> tuple[float, int, int]:
    """Return a number that hangs on the item, how many threads there are, and in which process."""
    (shared / str(item)).touch()
    if item == 13:
        raise ValueError("thirteen")
    return float(np.random.default_rng(item).normal() ** 2), torch.get_num_threads(), os.getpid()


@pytest.mark.parametrize("engine", [Engine(processes=1), Engine(processes=2)])
def test_parts_come_to_the_same_on_one_thread_each(engine: Engine, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    found = dict(engine.spread(squared, tmp_path, range(4)))
    assert {item: value[0] for item, value in found.items()} == {
        item: float(np.random.default_rng(item).normal() ** 2) for item in range(4)
    }
    assert {value[1] for value in found.values()} == {1}
    assert (os.getpid() in {value[2] for value in found.values()}) == (engine.processes == 1)
    assert torch.get_num_threads() == before


def test_an_error_of_a_part_ends_all(tmp_path: Path) -> None:
    for processes in (1, 2):
        with pytest.raises(ValueError, match="thirteen"):
            list(Engine(processes=processes).spread(squared, tmp_path, [13, 1, 2]))


def failing_or_slow(shared: Path, item: int) -> None:
    """Fail in the first item; of the others, leave a trace that they began."""
    if item == 0:
        raise ValueError("zero")
    (shared / str(item)).touch()
    time.sleep(2)


def killed(shared: Path, item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_after_an_error_no_further_part_begins(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zero"):
        list(Engine(processes=2).spread(failing_or_slow, tmp_path, range(9)))
    assert not any((tmp_path / str(item)).exists() for item in range(4, 9))


def test_a_process_that_dies_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the command again with fewer --processes"):
        list(Engine(processes=2).spread(killed, tmp_path, range(3)))


def test_ray_is_asked_for_by_name_and_said_where_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert Engine().name == "processes"
    with pytest.raises(InputError, match=r"--engine ray needs ray; install it with: pip install 'copyloom\[ray\]'"):
        Engine("ray")
    with pytest.raises(InputError, match="no engine 'dask'; give processes or ray"):
        Engine("dask")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="0 processes"):
        Engine(processes=0)


@pytest.mark.slow
def test_ray_comes_to_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'copyloom[ray]'")
    found = dict(Engine("ray", processes=2).spread(squared, tmp_path, range(4)))
    assert found.keys() == set(range(4))
    here = dict(Engine(processes=1).spread(squared, tmp_path, range(4)))
    assert {item: value[:2] for item, value in found.items()} == {item: value[:2] for item, value in here.items()}
