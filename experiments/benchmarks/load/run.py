"""Decisions, exposures and rewards a second over HTTP, durable, beside a route of the same service that does nothing.

Service, worker and load generator (wrk, from Debian's packages) run on this machine together, on loopback. Latency is
what the client sees. Requests come at a steady rate: each connection sends, waits for the answer, and pauses; so a slow
answer lowers the rate, which is reported.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from copyloom import InputError, Report

SCRIPT = Path(__file__).with_name("traffic.lua")
CONNECTIONS = 30
PAUSE_MS = 90
"""On average between two requests of a connection: above 300 a second of 30 connections, if answers come at once."""


@dataclass(frozen=True)
class Load:
    """What a run of the load generator saw.

    Parameters
    ----------
    what : str
        nothing, decide, or all: decisions, exposures and rewards in turn.
    while_ : str
        idle, or writing: what the worker did meanwhile.
    per_second : float
        Requests that were answered.
    p50, p95, p99, most : float
        Milliseconds.
    failed : int
        Requests that were refused or broke off.
    """

    what: str
    while_: str
    per_second: float
    p50: float
    p95: float
    p99: float
    most: float
    failed: int


def measure(database: str | None, seconds: int, report: Report, *, most: bool = True) -> dict[str, Any]:
    """Return what a service takes: at 300 requests a second, as many as it can (`most`), and while its worker writes.

    Parameters
    ----------
    database : str, optional
        URL of an empty PostgreSQL database; a new file of SQLite unless given.
    seconds : int
        Of each run.
    report : callable
    most : bool

    Raises
    ------
    InputError
        If the load generator is not installed, or the service does not start.
    """
    if shutil.which("wrk") is None:
        raise InputError("the load generator wrk is not installed; apt-get install wrk")
    found: list[Load] = []
    kinds = ("nothing", "decide", "all")
    with TemporaryDirectory() as folder:
        with _service(database or f"{folder}/shop.db", write=False) as (url, key):
            for number, what in enumerate(kinds):
                report(f"load: {what}", number, 2 * len(kinds) + 2)
                found.append(_load(url, key, what, PAUSE_MS, seconds, "idle"))
            for number, what in enumerate(kinds if most else ()):
                report(f"load: {what}, as much as it takes", len(kinds) + number, 2 * len(kinds) + 2)
                found.append(_load(url, key, what, 0, seconds, "as many as it takes"))
        report("load: while the worker writes", 2 * len(kinds), 2 * len(kinds) + 2)
        other = f"{folder}/writing.db"
        with _service(other, write=True) as (url, key):
            found.append(_load(url, key, "decide", PAUSE_MS, seconds, "writing"))
    return {"seconds": seconds, "connections": CONNECTIONS, "cores": os.cpu_count(),
            "database": "postgresql" if database else "sqlite", "loads": [asdict(load) for load in found]}  # fmt: skip


def show(found: dict[str, Any]) -> None:
    """Print the table, as Markdown."""
    print(f"{found['database']}, {found['connections']} connections, {found['cores']} cores, {found['seconds']} s each")
    print("| what | worker | requests/s | p50 ms | p95 ms | p99 ms | most ms | failed |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for load in found["loads"]:
        print(f"| {load['what']} | {load['while_']} | {load['per_second']:.0f} | {load['p50']:.1f} | {load['p95']:.1f} "
              f"| {load['p99']:.1f} | {load['most']:.0f} | {load['failed']} |")  # fmt: skip


def _load(url: str, key: str, what: str, pause: int, seconds: int, while_: str) -> Load:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT), url, "--",
               key, what, str(pause)]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    got = json.loads(said.strip().splitlines()[-1])
    return Load(what, while_, got["requests"] / got["seconds"], got["p50"], got["p95"], got["p99"], got["most"],
                got["errors"] + got["refused"])  # fmt: skip


@contextmanager
def _service(database: str, write: bool) -> Iterator[tuple[str, str]]:
    """Run a service of a new slot with its worker, which writes its first mixtures, or closes windows only."""
    command = [sys.executable, "-m", "experiments.benchmarks.load.service", database, *(["--write"] if write else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise InputError("the service did not start; see its message above")
        said = json.loads(line)
        time.sleep(1)
        yield said["url"], said["key"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
