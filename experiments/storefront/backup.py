"""A copy of a SQLite database that is in use: whole, of one moment, and checked; and the way back to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, delete, select

from copyloom import InputError, Report
from embeddings.database import open_database, shown, writing
from embeddings.folders import replacing
from experiments.storefront.folding import Fault
from experiments.storefront.journal import Clock, now
from experiments.storefront.slots import audit
from experiments.storefront.tables import SessionRow, TenantRow
from experiments.storefront.verify import verify

_PAGES = 256
"""Of a step: a megabyte."""


def backup(engine: Engine, copy: Path, report: Report = lambda what, done, total: None) -> list[Fault]:
    """Copy the database of one moment to a new file, check the copy, and return what is wrong with it.

    Services and workers go on meanwhile. `restore` puts the copy in the place of the database.

    Raises
    ------
    InputError
        If the database is no file of SQLite, or the copy exists or cannot be written.
    """
    source = engine.url.database if engine.dialect.name == "sqlite" else None
    if not source:
        raise InputError(f"the database {shown(engine)} is no file of SQLite; copy it with its own tools: pg_dump")
    if copy.exists():
        raise InputError(f"{str(copy)!r} exists; give the name of a new file")
    with replacing(copy) as partial:
        _copy(source, partial, report)
    of_copy = open_database(copy, create=False)
    try:
        return verify(of_copy)
    finally:
        of_copy.dispose()


def restore(
    copy: Path, database: Path, by: str, report: Report = lambda what, done, total: None, clock: Clock = now
) -> tuple[Path | None, list[Fault]]:
    """Put a copy in the place of a database that nobody uses, and return where that is kept now; None if it was none.

    The copy is checked first, and is not touched itself. If anything is wrong with it, what that is is returned and
    nothing changes. At every moment the database is either the old one or the new one. What was written since the copy
    was made is lost with the old one.

    Raises
    ------
    InputError
        If the copy is no ledger, is not whole, or somebody uses the database.
    """
    for path in (copy, database):
        if path.is_dir() or (path == copy and not path.exists()):
            raise InputError(f"{str(path)!r} is no file of a database; give the copy, then the database")
    database = Path(os.path.realpath(database))  # a link stays
    try:
        with TemporaryDirectory(dir=database.parent, prefix=".copyloom-restore-") as folder:
            _copy(str(copy), fresh := Path(folder, "new.db"), report)
            if faults := _checked(fresh, copy, by, clock):
                return None, faults
            with _alone(database):
                kept = _put_aside(database, fresh, f"{clock():%Y%m%dT%H%M%S}")
                os.replace(fresh, database)
    except OSError as error:
        raise InputError(
            f"{str(database)!r} cannot be written ({error}); free some space, or mend its folder"
        ) from error
    return kept, []


def _checked(path: Path, copy: Path, by: str, clock: Clock) -> list[Fault]:
    """Return what is wrong with a copy of a copy; where that is nothing, it says itself that it was restored."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"slots", "decisions"} <= tables:
        raise InputError(f"{str(copy)!r} is no copy of a storefront's ledger; give one of `copyloom ledger backup`")
    engine = open_database(path, create=False)
    try:
        faults = verify(engine)
        with writing(engine) as connection:
            for tenant in connection.scalars(select(TenantRow.name)).all() if not faults else ():
                audit(connection, tenant, by, "ledger restored", "", None, {"copy": copy.name}, "", clock())
            connection.execute(delete(SessionRow))  # somebody may have signed out since
    finally:
        engine.dispose()
    return faults


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Hold a database while nobody else may use it, with all that was written in its one file.

    One that is damaged cannot be held: nobody can use it either.
    """
    if not database.exists():
        yield
        return
    with closing(sqlite3.connect(database, timeout=1.0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()  # which needs all others to have closed it
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise InputError(
                f"somebody uses {str(database)!r} ({error}); stop its services and workers, then restore it"
            ) from None
        except sqlite3.DatabaseError:
            pass
        yield


def _put_aside(database: Path, fresh: Path, stamp: str) -> Path | None:
    """Give a database a second name, which it keeps when the new one takes its place, as its owner's; return that."""
    if not database.exists():
        return None
    of_old = database.stat()
    fresh.chmod(of_old.st_mode & 0o777)
    if hasattr(os, "chown") and os.geteuid() == 0:
        os.chown(fresh, of_old.st_uid, of_old.st_gid)
    kept = database.with_name(f"{database.name}.before-{stamp}")
    os.link(database, kept)
    for suffix in ("-wal", "-shm"):  # of a damaged one: they must not be taken for those of the new one
        if (log := database.with_name(database.name + suffix)).exists():
            log.rename(kept.with_name(kept.name + suffix))
    return kept


def _copy(source: str, target: Path, report: Report) -> None:
    """Copy a database in steps, so that nobody waits; a transaction that reads keeps it at one moment all the while."""
    with closing(sqlite3.connect(source, isolation_level=None)) as old, closing(sqlite3.connect(target)) as new:
        try:
            old.execute("BEGIN")
            old.execute(
                "SELECT count(*) FROM sqlite_master"
            ).fetchone()  # or others' writes would begin it anew for ever
            old.backup(
                new, pages=_PAGES, progress=lambda _, left, total: report("copying", total - left, total), sleep=0.01
            )
            said = new.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.Error as error:
            raise InputError(f"{source!r} cannot be copied ({error}); look at the file and the disk") from error
        if said != "ok":
            raise InputError(f"the copy of {source!r} is not whole ({said}); look at the disk")
