"""Databases of both kinds, and a clock that a test turns."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from experiments.benchmarks.kills.postgres import Postgres, programs

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


@contextmanager
def own_postgres(fsync: bool = False) -> Iterator[Postgres]:
    """A PostgreSQL server that runs; skips where that is not installed."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with TemporaryDirectory(prefix="copyloom-postgres-") as folder:  # pytest tidies its own away, of other runs too
        server = Postgres(Path(folder), fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server of the tests' own, on loopback, that ends with them."""
    with own_postgres() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database: a file of SQLite, or one of the tests' own server."""
    if request.param == "sqlite":
        yield str(tmp_path / "shop.db")
        return
    import psycopg

    server, name = request.getfixturevalue("postgres"), f"t{time.time_ns()}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server}/{name}"
        # At once: to delete thousands of files that have reached the disk by then takes minutes at the end.
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
