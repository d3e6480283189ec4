"""Where the parts of a study run: one after the other, over processes, or on Ray; with the same digits everywhere."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from copyloom import InputError
from generator.threads import processors, threads

Item = TypeVar("Item")
Shared = TypeVar("Shared")
Found = TypeVar("Found")
Work = Callable[[Shared, Item], Found]
"""From what all parts share, and a part, to what came of it; a function of a module, which other processes can find."""

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Engine:
    """Where parts run: each on one thread, as with another number of threads the last digits are others.

    Parameters
    ----------
    name : {"processes", "ray"}
        Ray (extra ``ray``) uses the cluster of ``RAY_ADDRESS``, or this machine; all its nodes must see the folder that
        a study is kept in.
    processes : int, optional
        Parts that run at a time; one a core of this machine, or of the cluster, unless given.

    Raises
    ------
    InputError
        If Ray is asked for and not installed, or there are no processes.
    """

    name: Literal["processes", "ray"] = "processes"
    processes: int | None = None

    def __post_init__(self) -> None:
        if self.name not in ("processes", "ray"):
            raise InputError(f"there is no engine {self.name!r}; give processes or ray")
        if self.processes is not None and self.processes < 1:
            raise InputError(f"{self.processes} processes were given; give at least 1")
        if self.name == "ray":
            _ray()

    def spread(
        self, work: Work[Shared, Item, Found], shared: Shared, items: Sequence[Item]
    ) -> Iterator[tuple[Item, Found]]:
        """Yield each item with what came of it, as they are finished; an error of one ends all."""
        if self.name == "ray":
            return self._over_ray(work, shared, items)
        if self.stays(len(items)):
            return _here(work, shared, items)
        return _over_processes(work, shared, items, min(self.processes or processors(), len(items)))

    def stays(self, items: int) -> bool:
        """Say whether so many items are all worked on in this process."""
        return self.name == "processes" and min(self.processes or processors(), items) == 1

    def _over_ray(
        self, work: Work[Shared, Item, Found], shared: Shared, items: Sequence[Item]
    ) -> Iterator[tuple[Item, Found]]:
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            ray.init(log_to_driver=False, include_dashboard=False, runtime_env={"env_vars": _ONE_THREAD})
        try:
            kept, task = ray.put(shared), ray.remote(num_cpus=1)(_on_one_thread)
            most = self.processes or int(ray.cluster_resources().get("CPU", 1))
            left, running = list(reversed(items)), dict[Any, Item]()
            while left or running:
                while left and len(running) < most:
                    item = left.pop()
                    running[task.remote(work, kept, item)] = item
                (done,), _ = ray.wait(list(running))
                yield running.pop(done), ray.get(done)
        finally:
            if ours:
                ray.shutdown()


def _here(work: Work[Shared, Item, Found], shared: Shared, items: Sequence[Item]) -> Iterator[tuple[Item, Found]]:
    for item in items:
        yield item, _on_one_thread(work, shared, item)


def _over_processes(
    work: Work[Shared, Item, Found], shared: Shared, items: Sequence[Item], many: int
) -> Iterator[tuple[Item, Found]]:
    with _environment(_ONE_THREAD):  # read when a process starts
        pool = ProcessPoolExecutor(many, multiprocessing.get_context("spawn"), _share, (work, shared))
        with pool:
            try:
                running = {pool.submit(_part, item): item for item in items}
                for future in as_completed(running):
                    yield running[future], future.result()
            except BaseException as error:
                workers = list(pool._processes.values())  # what waits in their queue cannot be taken back
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in workers:
                    worker.terminate()
                if isinstance(error, BrokenProcessPool):
                    raise InputError("a process of the study died, for want of memory perhaps; what is finished is "
                                     "kept: give the command again with fewer --processes") from error  # fmt: skip
                raise


_shared: tuple[Work[Any, Any, Any], Any] | None = None


def _share(work: Work[Shared, Item, Found], shared: Shared) -> None:
    """Give a process what all its parts need, once."""
    global _shared
    _shared = work, shared


def _part(item: Any) -> Any:
    assert _shared is not None
    return _on_one_thread(*_shared, item)


def _on_one_thread(work: Work[Shared, Item, Found], shared: Shared, item: Item) -> Found:
    with threads(1):
        return work(shared, item)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError(f"--engine ray needs {error.name}; install it with: pip install 'copyloom[ray]'") from None
    return ray
