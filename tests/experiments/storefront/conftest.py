"""Databases of both kinds, and a clock that a test turns."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
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
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of the tests' own, on loopback, that ends with them."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with TemporaryDirectory(prefix="copyloom-postgres-") as folder:  # pytest tidies its own away, of other runs too
        yield from _server(programs, Path(folder))


def _server(programs: Path, folder: Path) -> Iterator[str]:
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres")
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


@dataclass
class Shop:
    """A service over a database with the slot "hero", as a client of its own sees it."""

    engine: Any
    app: Any
    client: Any

    def key(self, *scopes: str, tenant: str = "default", name: str = "tests") -> dict[str, str]:
        """The header with a new key, of all scopes unless some are given."""
        from experiments.storefront.auth import SCOPES, make_key

        presented, _ = make_key(self.engine, tenant, name, scopes or SCOPES, by="tests")
        self.app.state.service.keys.refresh()
        return {"Authorization": f"Bearer {presented}"}


@pytest.fixture
def make_shop(clock: Hands) -> Iterator[Any]:
    """Make a service over a database: SlotSettings of its slot "hero", and options of the service."""
    from fastapi.testclient import TestClient

    from experiments.campaigns.given import Given
    from experiments.storefront.app import create_app
    from experiments.storefront.config import SlotConfig, SlotSettings
    from experiments.storefront.gate import service_log
    from experiments.storefront.service import Options
    from experiments.storefront.slots import open_slot, open_storefront

    with ExitStack() as ends:

        def make(database: str, *, tenants: tuple[str, ...] = ("default",), log: Any = None, settings: Any = None,
                 busy_seconds: float = 0.2, **options: Any) -> Shop:  # fmt: skip
            engine = open_storefront(database, busy_seconds=busy_seconds)
            ends.callback(engine.dispose)
            for tenant in tenants:
                given = Given(list(TEXTS), None, list(TEXTS), [])
                open_slot(engine, tenant, "hero", SlotConfig(), given, settings or SlotSettings(), "tests", clock)
            app = create_app(engine, Options(**options), clock, log or service_log("critical"))
            return Shop(engine, app, ends.enter_context(TestClient(app)))

        yield make


@pytest.fixture
def shop(make_shop: Any, tmp_path: Path) -> Shop:
    return make_shop(str(tmp_path / "shop.db"))  # type: ignore[no-any-return]
