"""A shop of its own for a study: the real service on loopback, the real worker, and a clock that is turned by hand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import update

from copyloom import Report
from embeddings.database import writing
from experiments.campaigns.given import Given
from experiments.storefront.app import create_app
from experiments.storefront.auth import make_key
from experiments.storefront.client import Client, ServiceError
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Slot
from experiments.storefront.gate import service_log
from experiments.storefront.service import Options, Service
from experiments.storefront.slots import DEFAULT_TENANT, Slots, change_settings, open_slot, open_storefront
from experiments.storefront.tables import TenantRow
from experiments.storefront.worker import Worker

SLOT = "hero"
CONNECTIONS = 3
_LINES = 250
"""Lines of one request."""
_OPTIONS = Options(rate_limit="100000000/minute", timeout_seconds=60.0, every_seconds=3600.0)
"""Nobody waits for a page here; and the slots are read again where the clock is turned."""
_BY = "the study"


@dataclass
class TurnedClock:
    """A clock that says the time that it was turned to."""

    at: datetime = datetime(2026, 1, 5, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


class Shop:
    """A slot behind HTTP. `open_shop` makes one.

    Parameters
    ----------
    service : Service
        In the same process, so that nobody waits until it has seen what the worker did.
    worker : Worker
    clients : sequence of Client
        The connections.
    clock : TurnedClock
    """

    def __init__(self, service: Service, worker: Worker, clients: Sequence[Client], clock: TurnedClock) -> None:
        self.service, self.worker, self.clients, self.clock = service, worker, clients, clock
        self._pool = ThreadPoolExecutor(len(clients))

    @property
    def slot(self) -> Slot:
        """The slot as the service sees it."""
        return self.service.slots.get(DEFAULT_TENANT, SLOT)

    def ask(self, events: Sequence[str], units: Sequence[str], defer: bool = False) -> list[Mapping[str, Any]]:
        """Return what the service answers to each of many events: text, reason, propensity, snapshot."""
        lines = [{"type": "decide", "event_id": event, "slot": SLOT, "unit_id": unit, "defer": defer}
                 for event, unit in zip(events, units, strict=True)]  # fmt: skip
        return [said["decision"] for said in self._send(lines)]

    def expose(self, events: Sequence[str]) -> None:
        """Tell that pages showed the texts of events."""
        self._send([{"type": "expose", "event_id": event} for event in events])

    def reward(self, events: Sequence[str]) -> None:
        """Tell that events were clicked."""
        lines = [{"type": "reward", "event_id": event, "reward_id": "click", "value": 1, "kind": "click"}
                 for event in events]  # fmt: skip
        wrong = [said for said in self._send(lines) if said["reward"]["state"] != "joined"]
        if wrong:
            raise ServiceError(f"{len(wrong)} rewards were not joined: {wrong[0]}")

    def close_windows(self) -> None:
        """Let the windows of all events end, and the worker do what is due."""
        settings = self.slot.settings
        self.clock.turn(settings.window_seconds + settings.grace_seconds + 1)
        _work(self.worker)
        self.service.slots.refresh()

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        for client in self.clients:
            client.close()

    def _send(self, lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        parts = [lines[first : first + _LINES] for first in range(0, len(lines), _LINES)]
        turns = [self.clients[number % len(self.clients)] for number in range(len(parts))]
        found = [said for some in self._pool.map(Client.send, turns, parts) for said in some]
        failed = [said for said in found if said["problem"]]
        if failed:
            raise ServiceError(f"{len(failed)} of {len(found)} lines failed, the first: {failed[0]['problem']}")
        return found


def prepare(database: Path, given: Given, config: SlotConfig, write: bool, report: Report) -> None:
    """Open a slot in a new database, and let its worker `write` the first mixtures, which wait for approval.

    It stands as a pattern: `open_shop` works on copies, so that what every campaign begins with is written once.
    """
    clock = TurnedClock()
    engine = open_storefront(str(database))
    try:
        open_slot(engine, DEFAULT_TENANT, SLOT, config, given, SlotSettings(), _BY, clock)
        _work(Worker(engine, report, clock, write))
    finally:
        engine.dispose()


def secret_of(seed: int) -> bytes:
    """Return the secret with which shops of a seed draw."""
    return sha256(f"study {seed}".encode()).digest()


@contextmanager
def open_shop(database: Path, seed: int, settings: Mapping[str, Any]) -> Iterator[Shop]:
    """Serve the slot of a copied database on loopback, and have a worker at hand.

    Parameters
    ----------
    database : Path
    seed : int
        Of who is held out and what is drawn: the same event meets the same draw in each shop of a seed.
    settings : mapping
        Settings of the slot that are changed first, on record as everyone's are.
    """
    clock = TurnedClock()
    with ExitStack() as ends:
        engine = open_storefront(str(database), create=False)
        ends.callback(engine.dispose)
        with writing(engine) as connection:  # before anyone was seen
            connection.execute(update(TenantRow).values(secret=secret_of(seed)))
        change_settings(engine, Slots(engine).get(DEFAULT_TENANT, SLOT), dict(settings), _BY, "as studied", clock)
        key, _ = make_key(engine, DEFAULT_TENANT, _BY, ("decide", "reward"), _BY)
        app = create_app(engine, _OPTIONS, clock, service_log("critical"))
        url = ends.enter_context(_served(app))
        clients = [Client(url, key, timeout=60.0) for _ in range(CONNECTIONS)]
        shop = Shop(app.state.service, Worker(engine, clock=clock), clients, clock)
        ends.callback(shop.close)
        yield shop


def _work(worker: Worker) -> None:
    for done in worker.round().values():
        if isinstance(done, Exception):
            raise done


@contextmanager
def _served(app: Any) -> Iterator[str]:
    """Serve an application meanwhile, in a thread, and yield its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
