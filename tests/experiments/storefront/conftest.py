"""Databases of both kinds, and a clock that a test turns."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

TEXTS = ("Warm boots for cold days.", "Dry feet, whatever the weather.", "Boots that last ten winters.")


@dataclass
class Hands:
    """A clock: it says the time that it was turned to."""

    at: datetime = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Hands:
    return Hands()


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs, as Debian has it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    known = shutil.which("initdb")
    return Path(known).parent if known else None


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server of the tests' own, on loopback, that ends with them."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("postgres")
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres")
        for parent in (folder, *folder.parents):
            if parent.stat().st_uid == 0 and parent not in (Path("/"), Path("/tmp")):
                parent.chmod(0o755)
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}
    data = folder / "data"
    subprocess.run([programs / "initdb", "-D", data, "-U", "copyloom", "-A", "trust", "--no-sync"],
                   check=True, capture_output=True, **as_user)  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user,
    )  # fmt: skip
    try:
        _wait_for(port)
        yield f"postgresql://copyloom@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # waits for nobody's connection
        server.wait()


def _wait_for(port: int) -> None:
    import psycopg

    for _ in range(100):
        try:
            psycopg.connect(f"postgresql://copyloom@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("PostgreSQL does not answer")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database: a file of SQLite, or one of the tests' own server."""
    if request.param == "sqlite":
        return str(tmp_path / "shop.db")
    import psycopg

    server, name = request.getfixturevalue("postgres"), f"t{time.time_ns()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"
