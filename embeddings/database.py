"""The database of texts and embeddings: its tables, and the only way to open it."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Dialect,
    Double,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Row,
    Select,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from torch import Tensor

from copyloom import InputError, SpaceError
from embeddings.migrations import upgrade
from generator.paths import expanded

Action = Literal["add", "promote"]

REVISION = "2"
"""Of the tables as they are here: the newest of `embeddings.migrations`."""
_KNOWN = ("1", REVISION)
BUSY_SECONDS = 30.0  # how long a writer waits for another before it gives up
_AGAIN_SECONDS = 0.02  # between two tries of what SQLite does not wait for

_log = logging.getLogger(__name__)
_LOOKUP = 500  # keys a query; every database takes so many parameters
_LEAST_BYTES = 512  # of a file of SQLite that is not empty
_ADVICE = {
    sqlite3.SQLITE_NOTADB: "give the path of a Copyloom database, or of a file that does not exist yet",
    sqlite3.SQLITE_CORRUPT: "restore it from a copy, or give the path of a new file",
    sqlite3.SQLITE_CANTOPEN: "give a path in a folder that can be written",
    sqlite3.SQLITE_READONLY: "give a file and folder that can be written",
    sqlite3.SQLITE_PERM: "give a file and folder that can be written",
    sqlite3.SQLITE_IOERR: "check the disk, or give another path",
    sqlite3.SQLITE_FULL: "free some space on the disk, nothing was written",
    sqlite3.SQLITE_BUSY: "another program is writing to it; try again when that has finished",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, also where the database knows no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return `value` in UTC, for the database."""
        if value is not None and value.tzinfo is None:
            raise InputError(f"{value} has no time zone; pass datetime.now(UTC)")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what the database holds with its time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The root of all tables of a Copyloom database, those of other modules too."""

    type_annotation_map = {datetime: UtcDateTime, float: Double, bytes: LargeBinary}  # noqa: RUF012


class RevisionRow(Base):
    """The revision of the tables, in alembic's own table."""

    __tablename__ = "alembic_version"
    version_num: Mapped[str] = mapped_column(String(32), primary_key=True)


class SpaceRow(Base):
    """A `SpaceIdentity`, field by field."""

    __tablename__ = "spaces"
    __table_args__ = (
        UniqueConstraint(
            *("model", "parameters", "tokenizer", "encoder", "adapter"),
            *("vectors", "hidden_size", "dtype", "decoding"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str]
    parameters: Mapped[str]
    tokenizer: Mapped[str]
    encoder: Mapped[str]
    adapter: Mapped[str]
    vectors: Mapped[int]
    hidden_size: Mapped[int]
    dtype: Mapped[str]
    decoding: Mapped[str]


class TextRow(Base):
    """A text; its key is its hash, because PostgreSQL cannot index a text of 10,000 characters itself."""

    __tablename__ = "texts"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class EmbeddingRow(Base):
    """What `SummaryEmbedding` holds of a text in a space; vectors are little-endian float32, row by row."""

    __tablename__ = "embeddings"
    text_id: Mapped[str] = mapped_column(ForeignKey("texts.id"), primary_key=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id"), primary_key=True)
    vectors: Mapped[bytes]
    vector_count: Mapped[int]  # P
    hidden_size: Mapped[int]  # D
    sentence_vector: Mapped[bytes]
    sentence_size: Mapped[int]  # S
    exact: Mapped[bool]
    margin: Mapped[float]
    steps: Mapped[int]
    start: Mapped[str]
    created_at: Mapped[datetime]


class SentenceVectorRow(Base):
    """The sentence vector of a text by an encoder, little-endian float32, where no embedding keeps it."""

    __tablename__ = "sentence_vectors"
    text_id: Mapped[str] = mapped_column(ForeignKey("texts.id"), primary_key=True)
    encoder: Mapped[str] = mapped_column(String(200), primary_key=True)
    vector: Mapped[bytes]


class LineageRow(Base):
    """One parent of a mixed text; of a text in a space, because weights mean nothing in another."""

    __tablename__ = "lineage"
    __table_args__ = (ForeignKeyConstraint(["text_id", "space_id"], ["embeddings.text_id", "embeddings.space_id"]),)
    text_id: Mapped[str] = mapped_column(primary_key=True)
    space_id: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[str] = mapped_column(ForeignKey("texts.id"))
    weight: Mapped[float]


class PoolRow(Base):
    """A pool and the one space of its embeddings."""

    __tablename__ = "pools"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    space_id: Mapped[int] = mapped_column(ForeignKey("spaces.id"))


class PoolEventRow(Base):
    """A change of a pool; rows are only ever added."""

    __tablename__ = "pool_events"
    __table_args__ = (
        UniqueConstraint("pool_id", "version", "text_id"),
        Index("pool_events_by_text", "pool_id", "text_id"),  # so that adding takes no longer in a large pool
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    pool_id: Mapped[int] = mapped_column(ForeignKey("pools.id"))
    version: Mapped[int]
    text_id: Mapped[str] = mapped_column(ForeignKey("texts.id"))
    action: Mapped[Action] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


def text_id(text: str) -> str:
    """Return the key under which `text` is stored: the SHA-256 of its UTF-8 bytes, 64 characters.

    Raises
    ------
    InputError
        If `text` holds half a surrogate pair, which UTF-8 cannot write.
    """
    try:
        return sha256(text.encode()).hexdigest()
    except UnicodeEncodeError as error:
        raise InputError(f"{text[:60]!r} is not valid Unicode ({error.reason}); remove those characters") from None


def matching(
    connection: Connection, query: Select[*tuple[Any, ...]], column: Any, keys: Sequence[Any]
) -> Iterator[Row[*tuple[Any, ...]]]:
    """Run `query` for the rows whose `column` is among `keys`, however many these are."""
    for first in range(0, len(keys), _LOOKUP):
        yield from connection.execute(query.where(column.in_(keys[first : first + _LOOKUP])))


def store_texts(connection: Connection, texts: Iterable[str], now: datetime) -> None:
    """Write the texts that the database does not hold yet."""
    fresh = {text_id(text): text for text in texts}
    for row in matching(connection, select(TextRow.id), TextRow.id, list(fresh)):
        del fresh[row.id]
    if fresh:
        rows = [{"id": key, "text": text, "created_at": now} for key, text in fresh.items()]
        connection.execute(insert(TextRow), rows)


def to_bytes(array: Tensor) -> bytes:
    """Return what the database holds of an array: little-endian float32, row by row."""
    return array.detach().cpu().numpy().astype("<f4").tobytes()


def from_bytes(stored: bytes, *shape: int) -> Tensor:
    """Return the array of a shape that `to_bytes` stored."""
    return torch.from_numpy(np.frombuffer(stored, "<f4").astype(np.float32).reshape(shape))


def open_database(path_or_url: str | Path, *, create: bool = True, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return the opened database, with all tables in place.

    The tables are those that `Base` knows at the time of the call: import the modules that define them
    first (`experiments.campaigns.tables` for the ledger). Tables that an existing database lacks are added, and
    those of an older Copyloom upgraded.

    Parameters
    ----------
    path_or_url : str or Path
        A path means a file of SQLite; a string with ``://`` is a URL for SQLAlchemy.
    create : bool
        Make the file, and the folders that lead to it, where they do not exist.
    busy_seconds : float
        How long a writer of SQLite waits for another before it gives up, and who connects to a server for that.

    Raises
    ------
    SpaceError
        If the database is of a newer Copyloom.
    InputError
        If it cannot be read or written, does not exist (with ``create=False``), or is not Copyloom's.
    """
    engine = _engine(path_or_url, busy_seconds)
    is_sqlite = engine.dialect.name == "sqlite"
    try:
        if is_sqlite and engine.url.database not in (None, "", ":memory:"):
            _check_file(Path(str(engine.url.database)), create)
        with reading(engine) as connection:
            present, found = _revision(connection)
        if not present and not create:
            raise InputError(f"the database {shown(engine)} is empty; check the path")
        if is_sqlite:
            _write_ahead(engine, busy_seconds)
        if found != REVISION or not present >= set(Base.metadata.tables):
            _bring_up_to_date(engine)
    except OperationalError as error:  # a server that does not answer, say
        engine.dispose()
        raise InputError(f"the database {shown(engine)} cannot be opened: {error.orig}") from error
    except Exception:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: all of it is kept, or after an exception nothing.

    On SQLite it takes the lock at its start, so that what it reads cannot change before it writes.
    """
    with (
        _explained(engine),
        engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads: all its statements see one state, whoever writes meanwhile."""
    with _explained(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # whose statements see a state each unless told otherwise
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    """Turn the errors of SQLite that a person can do something about into `InputError`."""
    try:
        yield
    except DatabaseError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the higher bytes are details
        if code not in _ADVICE:
            raise
        raise InputError(f"the database {shown(engine)} cannot be used ({error.orig}); {_ADVICE[code]}") from error


def shown(engine: Engine) -> str:
    """Return what to call the database in messages; passwords stay out."""
    return repr(engine.url.database) if engine.dialect.name == "sqlite" else repr(engine.url)


def _engine(path_or_url: str | Path, busy_seconds: float = BUSY_SECONDS) -> Engine:
    if isinstance(path_or_url, Path) or "://" not in path_or_url:
        url = URL.create("sqlite", database=str(expanded(path_or_url)))
    else:
        try:
            url = make_url(path_or_url)
        except (ArgumentError, ValueError):
            raise InputError(
                "the database's URL cannot be read; write a path, or postgresql://user:password@host/name"
            ) from None
        if url.drivername in ("postgresql", "postgres"):  # SQLAlchemy would take the older driver
            url = url.set(drivername="postgresql+psycopg")
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(url, connect_args=_patience(url, busy_seconds))
    except (NoSuchModuleError, ImportError) as error:
        raise InputError(
            f"{url!r} needs a driver that is not installed ({error}); install it, PostgreSQL's with pip install "
            "'copyloom[postgres]', or give a path"
        ) from None
    if is_sqlite:
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
    return engine


def _patience(url: URL, seconds: float) -> dict[str, Any]:
    """Return how long to wait for another writer, or a server that says nothing (a dead network); a URL may differ."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": seconds}
    if "psycopg" not in url.drivername:
        return {}
    found = {"connect_timeout": max(2, round(seconds)), "keepalives_idle": 10, "keepalives_interval": 5,
             "keepalives_count": 3, "tcp_user_timeout": 25_000}  # fmt: skip
    return {name: value for name, value in found.items() if name not in url.query}


def _configure(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # or the driver would begin transactions itself, later than we ask
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    if mode is not None:
        connection.exec_driver_sql(f"BEGIN {mode}")


def _check_file(path: Path, create: bool) -> None:
    """Raise `InputError` unless `path` is a file or may become one; make its folder if it is to be made."""
    try:
        if path.is_dir():
            raise InputError(f"{str(path)!r} is a folder; give the path of a database file in it")
        if path.exists():
            # SQLite takes a file this short for an empty database and writes over it. Its size is enough to
            # know; to open and close the file here would drop the locks of this process's other connections.
            if 0 < path.stat().st_size < _LEAST_BYTES:
                raise InputError(
                    f"the database {str(path)!r} cannot be used (file is not a database); "
                    f"{_ADVICE[sqlite3.SQLITE_NOTADB]}"
                )
        elif create:
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            raise InputError(f"there is no database at {str(path)!r}; check the path, or create one first")
    except OSError as error:
        raise InputError(
            f"the database {str(path)!r} cannot be reached ({error.strerror}); give another path"
        ) from None


def _revision(connection: Connection) -> tuple[set[str], str]:
    """Return the names of the tables and their revision: none and "" for a new database.

    Raises
    ------
    InputError
        If the database is another program's.
    SpaceError
        If it is of a newer Copyloom.
    """
    inspector, where = inspect(connection), shown(connection.engine)
    tables = set(inspector.get_table_names())
    if not tables:
        return tables, ""
    if "alembic_version" in tables and "pools" in tables:
        found = connection.scalar(select(RevisionRow.version_num))
    else:  # the first Copyloom's own way of saying it
        columns = inspector.get_columns("meta") if "meta" in tables else []
        if {column["name"] for column in columns} != {"key", "value"}:
            raise InputError(f"the database {where} is another program's; give the path of a new file")
        found = connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'schema_version'").scalar()
    if found not in _KNOWN:
        raise SpaceError(
            f"the database {where} has schema version {found}, this Copyloom knows {', '.join(_KNOWN)}; "
            "open it with the Copyloom that wrote it, or give the path of a new database"
        )
    return tables, str(found)


def _write_ahead(engine: Engine, busy_seconds: float) -> None:
    """Let readers and a writer work at once; the file remembers it.

    Where others do so at the same time, SQLite says at once that the file is locked, and is asked again.
    """
    last = time.monotonic() + busy_seconds
    with _explained(engine), engine.connect() as connection:
        connection.execution_options(sqlite_begin=None)  # SQLite refuses this inside a transaction
        while True:
            try:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            except OperationalError as error:
                code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
                if code != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                    raise
                time.sleep(_AGAIN_SECONDS)
            else:
                return


def _bring_up_to_date(engine: Engine) -> None:
    """Upgrade older tables, and make those that are missing."""
    with writing(engine) as connection:
        present, found = _revision(connection)  # another process may have been first
        if found and found != REVISION:
            _log.info("upgrading the database %s from revision %s to %s", shown(engine), found, REVISION)
            upgrade(connection, found)
        Base.metadata.create_all(connection)
        if not present:
            connection.execute(insert(RevisionRow).values(version_num=REVISION))
