"""A copy of a SQLite database that is in use: whole, of one moment, and checked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine

from copyloom import InputError, Report
from embeddings.database import open_database, shown
from embeddings.folders import replacing
from experiments.storefront.folding import Fault
from experiments.storefront.verify import verify

_PAGES = 256
"""Of a step: a megabyte."""


def backup(engine: Engine, copy: Path, report: Report = lambda what, done, total: None) -> list[Fault]:
    """Copy the database of one moment to a new file, check the copy, and return what is wrong with it.

    Services and workers go on meanwhile. To restore it, stop them and put the copy in the place of the database; what
    was written since is lost.

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


def _copy(source: str, target: Path, report: Report) -> None:
    """Copy a database in steps, so that nobody waits; a transaction that reads keeps it at one moment all the while."""
    with closing(sqlite3.connect(source, isolation_level=None)) as old, closing(sqlite3.connect(target)) as new:
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()  # or others' writes would begin it anew for ever
        old.backup(
            new, pages=_PAGES, progress=lambda _, left, total: report("copying", total - left, total), sleep=0.01
        )
        if (said := new.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            raise InputError(f"the copy of {source!r} is not whole ({said}); look at the disk")
