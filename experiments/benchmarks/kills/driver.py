"""Traffic over services that are killed and started again, till enough of them were; then the proof.

Clients are threads that send what they have to another service when the one that they asked has died, till it is
acknowledged: decisions, exposures and rewards in any order, some twice, some too late. An editor changes texts and
settings meanwhile, and publishes. Each tells the history what it was told before it counts.
"""

from __future__ import annotations

import heapq
import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Overdue
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from experiments.benchmarks.kills.checker import CLICK_ABOVE, check
from experiments.benchmarks.kills.history import History
from experiments.benchmarks.kills.postgres import Postgres
from experiments.benchmarks.kills.service import SLOT, Answer, serve, work
from experiments.storefront import LiveCampaign, SlotSettings
from experiments.storefront.folding import Fault
from experiments.storefront.slots import open_storefront
from experiments.storefront.worker import Worker

TEXTS = ("Warm boots for cold days.", "Dry feet, whatever the weather.", "Boots that last ten winters.")
SETTINGS = SlotSettings(
    holdout=0.1, window_seconds=1.0, grace_seconds=0.2, activation_seconds=2.0, aggregation="sum",
    click_above=CLICK_ABOVE,
)  # fmt: skip
_SERVICES, _WORKERS, _CLIENTS, _BACKLOG = 2, 2, 8, 150
_PATIENCE_SECONDS = 60.0
_SERVER_EVERY = 5
"""Of so many kills one is the database server's, where there is one of our own."""
_context = get_context("forkserver")  # so that who starts again need not import anything anew
_context.set_forkserver_preload(["experiments.benchmarks.kills.service"])


class DiedError(Exception):
    """A service ended before it answered."""


class Service:
    """A service process, and who waits for its answers."""

    def __init__(self, database: str) -> None:
        self._pipe, theirs = _context.Pipe()
        self.process = _context.Process(target=serve, args=(database, theirs, _CLIENTS), daemon=True)
        self.process.start()
        theirs.close()
        self._lock, self._numbers = threading.Lock(), itertools.count()
        self._waiting: dict[int, Future[Answer]] = {}
        self._dead = False
        threading.Thread(target=self._listen, daemon=True).start()

    def call(self, operation: str, arguments: dict[str, Any]) -> Answer:
        """Return the answer; DiedError if there is none."""
        future: Future[Answer] = Future()
        with self._lock:
            if self._dead:
                raise DiedError
            number = next(self._numbers)
            self._waiting[number] = future
            try:
                self._pipe.send((number, operation, arguments))
            except OSError:
                raise DiedError from None
        try:
            return future.result(_PATIENCE_SECONDS)
        except Overdue:
            raise DiedError from None

    def _listen(self) -> None:
        while True:
            try:
                number, answer = self._pipe.recv()
            except (EOFError, OSError):
                break
            with self._lock:
                future = self._waiting.pop(number)
            future.set_result(answer)
        with self._lock:
            self._dead, waiting = True, list(self._waiting.values())
        for future in waiting:
            if not future.done():
                future.set_exception(DiedError())


class Closer:
    """A worker process."""

    def __init__(self, database: str) -> None:
        self.process = _context.Process(target=work, args=(database, 0.05), daemon=True)
        self.process.start()


class Traffic:
    """What is to be sent, and when; clients take it from here.

    Parameters
    ----------
    call : callable
        Asks some service.
    history : History
    rng : Random
    """

    def __init__(self, call: Callable[[str, dict[str, Any]], Answer], history: History, rng: Random) -> None:
        self._call, self._history, self._rng = call, history, rng
        self._queue: list[tuple[float, int, str, dict[str, Any]]] = []
        self._changed, self._numbers = threading.Condition(), itertools.count()
        self._busy, self._ending = 0, False
        self.events, self.done = 0, Counter[str]()
        self.failed: list[BaseException] = []

    def run(self) -> None:
        """Send what is due, make up more, and return when told to end and all is acknowledged."""
        try:
            while (due := self._next()) is not None:
                perform(self._call, self._history, *due)
                with self._changed:
                    self._busy -= 1
                    self.done[due[0]] += 1
                    self._changed.notify_all()
        except BaseException as error:
            self.failed.append(error)
            raise

    def end(self) -> None:
        """Make up no more."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def add(self, operation: str, arguments: dict[str, Any], after: float = 0.0) -> None:
        """Send something in so many seconds."""
        heapq.heappush(self._queue, (time.monotonic() + after, next(self._numbers), operation, arguments))

    def _next(self) -> tuple[str, dict[str, Any]] | None:
        with self._changed:
            while True:
                if len(self._queue) < _BACKLOG and not self._ending:
                    self._make_up()
                wait = self._queue[0][0] - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    _, _, operation, arguments = heapq.heappop(self._queue)
                    self._busy += 1
                    return operation, arguments
                if wait is None and not self._busy and self._ending:
                    return None
                self._changed.wait(wait)

    def _make_up(self) -> None:
        """Make up a shopper: what is decided, shown and clicked, each perhaps twice, in whichever order."""
        rng, event = self._rng, f"e{self.events}"
        self.events += 1
        deferred = rng.random() < 0.25
        if rng.random() > 0.02:  # else a reward comes for what nobody asked
            question = {"event": event, "unit": f"u{rng.randrange(50)}", "deferred": deferred}
            self._some("decide", question, 0.3)
        if rng.random() < (0.7 if deferred else 0.1):
            self._some("expose", {"event": event}, 0.5)
        for number in range(rng.choices([0, 1, 2, 3], [4, 3, 2, 1])[0]):
            within = 3.0 if rng.random() < 0.2 else 0.8
            self._some("reward", {"event": event, "reward": f"r{number}", "value": 0.25}, within)

    def _some(self, operation: str, arguments: dict[str, Any], within: float) -> None:
        self.add(operation, arguments, self._rng.uniform(0, within))
        while self._rng.random() < 0.3:
            self.add(operation, arguments, self._rng.uniform(0, 2 * within))


def perform(
    call: Callable[[str, dict[str, Any]], Answer], history: History, operation: str, arguments: dict[str, Any]
) -> Answer:
    """Ask till there is an answer, whoever dies meanwhile, and note it."""
    history.sent(operation, arguments)
    while True:
        try:
            answer = call(operation, arguments)
        except DiedError:
            continue
        if answer[0] != "failed":
            history.acknowledged(operation, arguments, answer)
            return answer
        time.sleep(0.05)


class Editor:
    """Writes, approves, pauses, resumes, changes settings and publishes, one after the other."""

    def __init__(self, call: Callable[[str, dict[str, Any]], Answer], history: History, rng: Random) -> None:
        self._call, self._history, self._rng = call, history, rng
        self._written, self._stop = 0, threading.Event()

    def run(self) -> None:
        """Act till told to end."""
        while not self._stop.wait(self._rng.uniform(0.05, 0.2)):
            perform(self._call, self._history, *self.act())

    def end(self) -> None:
        """Act no more."""
        self._stop.set()

    def act(self) -> tuple[str, dict[str, Any]]:
        """Return what to do next; every third text that is written is never approved."""
        rng = self._rng
        match rng.choice(["write", "approve", "pause", "resume", "publish", "publish", "set"]):
            case "write" if self._written < 30:
                self._written += 1
                return "write", {"text": f"Boots for day {self._written}."}
            case "approve" if self._written:
                number = rng.randint(1, self._written)
                return (
                    ("approve", {"text": f"Boots for day {number}."}) if number % 3 else ("publish", {"seed": number})
                )
            case "pause":
                return "pause", {"text": rng.choice(TEXTS)}
            case "resume":
                return "resume", {"text": rng.choice(TEXTS)}
            case "set":
                mode = rng.choices(["online", "frozen", "shadow", "off"], [6, 1, 1, 1])[0]
                return "set", {"mode": mode, "holdout": rng.choice([0.0, 0.1]), "sticky_days": rng.choice([0, 1])}
            case _:
                return "publish", {"seed": rng.randrange(10**6)}


def run(database: str, kills: int, history: Path, seed: int = 0, server: Postgres | None = None) -> dict[str, Any]:
    """Kill so many processes of a new shop under traffic, and return what happened and what is wrong.

    The server of the database is killed too, and started again, where it is given.
    """
    rng, began = Random(seed), time.monotonic()
    LiveCampaign.open(database, SLOT, TEXTS, settings=SETTINGS).close()
    crew: list[Service | Closer] = [Service(database) for _ in range(_SERVICES)]
    crew += [Closer(database) for _ in range(_WORKERS)]
    picked = Random(seed + 1)

    def call(operation: str, arguments: dict[str, Any]) -> Answer:
        service = crew[picked.randrange(_SERVICES)]
        return service.call(operation, arguments) if isinstance(service, Service) else ("failed", None)

    notes = History(history)
    traffic, editor = Traffic(call, notes, Random(seed + 2)), Editor(call, notes, Random(seed + 3))
    clients = [threading.Thread(target=traffic.run, daemon=True) for _ in range(_CLIENTS)]
    editing = threading.Thread(target=editor.run, daemon=True)
    for thread in (*clients, editing):
        thread.start()
    pauses = _kill(crew, database, kills, rng, server)
    editor.end()
    traffic.end()
    for thread in (editing, *clients):
        thread.join()
    for one in crew:
        one.process.kill()
    notes.close()
    faults = [Fault("history", "clients", "a client", repr(error), "none that fails") for error in traffic.failed]
    engine = open_storefront(database)
    try:
        faults += _close_all(Worker(engine, write=False))
        faults += check(history, engine)
    finally:
        engine.dispose()
    of_server = kills // _SERVER_EVERY if server else 0
    return {"kills": kills, "of the server": of_server, "pauses": pauses, "events": traffic.events,
            **dict(sorted(traffic.done.items())), "seconds": round(time.monotonic() - began, 1),
            "faults": [str(fault) for fault in faults]}  # fmt: skip


def _kill(crew: list[Service | Closer], database: str, kills: int, rng: Random, server: Postgres | None) -> int:
    """Kill one process after the other, each replaced at once; stop some for a while, which others must not mind."""
    pauses = 0
    for kill in range(1, kills + 1):
        time.sleep(rng.uniform(0.1, 0.6))
        if server is not None and kill % _SERVER_EVERY == 0:
            server.kill()
            time.sleep(rng.uniform(0, 1))
            server.start()
            continue
        number = rng.randrange(len(crew))
        process = crew[number].process
        if rng.random() < 0.2 and process.pid is not None:
            pauses += 1
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(rng.uniform(0.2, 1.5))
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(rng.uniform(0, 0.1))
        process.kill()
        crew[number] = type(crew[number])(database)
        process.join()
    return pauses


def _close_all(worker: Worker) -> list[Fault]:
    """Close all windows, as they end, and say if that fails."""
    time.sleep(SETTINGS.activation_seconds + SETTINGS.grace_seconds)
    failed = [said for _ in range(3) for said in worker.round().values() if isinstance(said, Exception)]
    return [Fault("history", "worker", "the last rounds", repr(error), "none that fails") for error in failed]
