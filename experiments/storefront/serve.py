"""Runs the service: uvicorn around the application, and for a demo a database and a worker of its own."""

from __future__ import annotations

import contextlib
import gc
import http.client
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from copyloom import CopyloomError, InputError
from experiments.campaigns.given import given_texts
from experiments.storefront.app import create_app
from experiments.storefront.auth import SCOPES, make_key, revoke
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.gate import service_log
from experiments.storefront.service import BUSY_SECONDS, Options
from experiments.storefront.slots import DEFAULT_TENANT, open_slot, open_storefront
from experiments.storefront.slow_clients import ImpatientProtocol
from experiments.storefront.tracing import export

DEMO_SLOT = "demo"
_DEMO_SETTINGS = SlotSettings(window_seconds=60, grace_seconds=1)
_EVERY_SECONDS = 2.0
Tell = Callable[[str], None]


def serve_database(database: str, host: str, port: int, options: Options, level: str, tell: Tell) -> None:
    """Serve a database until the process is told to stop; `tell` hears the base URL once the service is ready."""
    engine = open_storefront(database, create=False, busy_seconds=BUSY_SECONDS)
    try:
        run(engine, host, port, options, level, tell)
    finally:
        engine.dispose()


def serve_demo(
    folder: Path | None,
    model: str | None,
    host: str,
    port: int,
    options: Options,
    level: str,
    tell: Callable[[str], Tell],
) -> None:
    """Serve the shipped claims about the shipped subject as a slot, with a worker in a process of its own.

    `tell` takes the key, and returns what hears the base URL once the service is ready.
    """
    with contextlib.ExitStack() as ends:
        place = folder or Path(
            ends.enter_context(TemporaryDirectory(prefix="copyloom-demo-", ignore_cleanup_errors=True))
        )
        database = str(place / "demo.db")
        engine = open_storefront(database, busy_seconds=BUSY_SECONDS)
        ends.callback(engine.dispose)
        config = SlotConfig(impressions=200, **({"model": model} if model else {}))
        open_slot(engine, DEFAULT_TENANT, DEMO_SLOT, config, given_texts(config), _DEMO_SETTINGS, "the demo")
        key, kept = make_key(engine, DEFAULT_TENANT, "demo", SCOPES, "the demo")
        ends.callback(_revoke, engine, kept.prefix)
        ends.enter_context(_working(database))
        run(engine, host, port, options, level, tell(key))


def run(engine: Engine, host: str, port: int, options: Options, level: str, tell: Tell) -> None:
    """Serve until the process is told to stop."""
    export("copyloom serve")
    app = create_app(engine, options, log=service_log(level))
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}"
    server = server_of(app, options.proxies)
    threading.Thread(target=_tell_when_ready, args=(server, listening, lambda: tell(url)), daemon=True).start()
    signal.signal(signal.SIGTERM, _end)  # uvicorn ends in peace first
    steady()
    with listening, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def server_of(app: Any, proxies: Sequence[str] = ()) -> uvicorn.Server:
    """Return what serves the application: uvicorn, which waits for nobody for ever, and believes these proxies."""
    config = uvicorn.Config(app, http=ImpatientProtocol, access_log=False, log_level="warning", server_header=False,
                            forwarded_allow_ips=list(proxies))  # fmt: skip
    return uvicorn.Server(config)


def steady() -> None:
    """Keep what is loaded by now away from the garbage collector: to look at all of it takes a quarter of a second."""
    gc.collect()
    gc.freeze()


def work(database: str, every: float) -> None:
    """Work for a database as long as the process lives that began this one."""
    from experiments.storefront.worker import Worker, give_way

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends this
    give_way()
    end_with_parent()
    export("copyloom worker")
    Worker(open_storefront(database)).run(every, threading.Event())


def end_with_parent() -> None:
    """End this process when that has ended which began it: a worker may die at any moment."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _revoke(engine: Engine, prefix: str) -> None:
    """Let a demo's key end with it: the next start makes another."""
    with contextlib.suppress(CopyloomError, DatabaseError):
        revoke(engine, DEFAULT_TENANT, prefix, "the demo", "the demo has ended")


@contextlib.contextmanager
def _working(database: str) -> Iterator[None]:
    """Have a worker in a process of its own meanwhile."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(database, _EVERY_SECONDS), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, proto)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
    except OSError as error:
        raise InputError(
            f"the service cannot listen at {host}:{port} ({error.strerror}); give another --host or --port"
        ) from None
    return found


def _tell_when_ready(server: uvicorn.Server, listening: socket.socket, tell: Callable[[], None]) -> None:
    """Call `tell` once the service answers that it is ready, as a client sees it."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    while not server.should_exit:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", "/ready")
            if server.started and connection.getresponse().status == 200:
                tell()
                return
        time.sleep(0.05)


def _end(*_: Any) -> None:
    sys.exit(0)
