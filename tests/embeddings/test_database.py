import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec

import pytest
import torch
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select, update

from copyloom import InputError, SpaceError
from embeddings.database import (
    REVISION,
    Base,
    RevisionRow,
    TextRow,
    _engine,
    open_database,
    reading,
    text_id,
    writing,
)
from embeddings.migrations import upgrade
from embeddings.pool import Pool
from embeddings.summary import SpaceIdentity, SummaryEmbedding
from experiments.campaigns import tables as _ledger  # noqa: F401  so that its tables are known


def test_a_new_file_is_made_with_its_folders_and_opens_again(tmp_path):
    path = tmp_path / "runs" / "ünïcode %41?x=1" / "copyloom.db"
    open_database(path).dispose()
    engine = open_database(str(path), create=False)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
        assert connection.scalar(select(RevisionRow.version_num)) == REVISION
    engine.dispose()


def test_tables_defined_later_are_added_to_an_existing_database(tmp_path):
    path = tmp_path / "copyloom.db"
    open_database(path).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE lineage")
    connection.close()
    open_database(path, create=False).dispose()
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert names >= set(Base.metadata.tables)


def test_many_may_create_one_database_at_once(tmp_path):
    path = tmp_path / "copyloom.db"
    with ThreadPoolExecutor(8) as threads:
        for engine in threads.map(lambda _: open_database(path), range(16)):
            engine.dispose()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM alembic_version").fetchall() == [(REVISION,)]
    connection.close()


def test_another_version_is_refused_by_name(tmp_path):
    path = tmp_path / "copyloom.db"
    engine = open_database(path)
    with writing(engine) as connection:
        connection.execute(update(RevisionRow).values(version_num="7"))
    engine.dispose()
    with pytest.raises(SpaceError, match=r"copyloom\.db' has schema version 7, this Copyloom knows 1, 2; open it"):
        open_database(path)


@pytest.mark.parametrize("content", [b"x", b"x" * 511, b"x" * 512, b"claims\n" * 500, bytes(range(256)) * 40])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "claims.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"claims\.txt' cannot be used \(file is not a database\); give the path"):
        open_database(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("table", ["bookmarks (url)", "meta (id, version)"])
def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path, table):
    path = tmp_path / "places.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE {table}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="is another program's"):
        open_database(path)
    assert path.read_bytes() == before


def test_missing_empty_and_impossible_paths_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no database at"):
        open_database(tmp_path / "copyloom.db", create=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="is a folder"):
        open_database(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="is empty"):
        open_database(tmp_path / "empty", create=False)
    with pytest.raises(InputError, match="cannot be reached"):
        open_database(tmp_path / "empty" / "folder" / "copyloom.db")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="give a path in a folder that can be written"):
        open_database(tmp_path / "copyloom.db")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder where not even root can write")
def test_a_folder_that_nobody_can_write_is_refused():
    with pytest.raises(InputError, match="give a path in a folder that can be written"):
        open_database("/proc/self/copyloom.db")


def test_urls_that_cannot_be_used_are_refused_without_their_password():
    for url in (
        "://",
        "nothing+at-all://me:secret@host/name",
        "postgresql+psycopg://me:secret@host:port/name",
    ):
        with pytest.raises(InputError) as error:
            open_database(url)
        assert "secret" not in str(error.value)


@pytest.mark.skipif(find_spec("psycopg") is not None, reason="the driver is there")
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_without_postgresqls_driver_the_extra_is_named(scheme):
    with pytest.raises(InputError, match=r"pip install 'copyloom\[postgres\]'") as error:
        open_database(f"{scheme}://me:secret@host/name")
    assert "psycopg'" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_locked_database_says_so(tmp_path):
    engine = open_database(tmp_path / "copyloom.db", busy_seconds=0.01)
    with (
        writing(engine),
        pytest.raises(InputError, match="another program is writing to it"),
        writing(engine),
    ):
        pass
    engine.dispose()


def test_times_come_back_in_utc():
    engine = open_database("sqlite://")
    noon = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=5)))
    with writing(engine) as connection:
        connection.execute(insert(TextRow).values(id=text_id("a"), text="a", created_at=noon))
    with reading(engine) as connection:
        found = connection.scalar(select(TextRow.created_at))
    assert found == noon
    assert found.tzinfo is UTC


def older(path, ledger=True):
    """Make a database of the first revision, with a pool of one text, as the Copyloom of then would have."""
    space = SpaceIdentity("tiny", "a1", "b2", "minilm", "", vectors=4, hidden_size=8)
    embedding = SummaryEmbedding("Tea.", torch.ones(4, 8), torch.ones(3), space, True, 1.0, 0, "adapter")
    engine = _engine(path)
    with writing(engine) as connection:
        upgrade(connection, "", "1")
        connection.exec_driver_sql("DROP TABLE alembic_version")
        for table in () if ledger else ("campaigns", "runs"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    Pool(engine, "claims", space).add([embedding])
    engine.dispose()
    return space


@pytest.mark.parametrize("ledger", [True, False])
def test_a_database_of_the_first_copyloom_is_upgraded_with_all_that_it_holds(tmp_path, ledger):
    path = tmp_path / "old.sqlite"
    space = older(path, ledger)
    engine = open_database(path)
    (member,) = Pool(engine, "claims", space).members()
    assert (member.text, member.vectors.tolist()) == ("Tea.", torch.ones(4, 8).tolist())
    with reading(engine) as connection:
        assert connection.scalar(select(RevisionRow.version_num)) == REVISION
        tables = set(inspect(connection).get_table_names())
    assert tables >= set(Base.metadata.tables)
    assert "meta" not in tables
    engine.dispose()
    open_database(path, create=False).dispose()


def test_many_may_upgrade_one_database_at_once(tmp_path):
    path = tmp_path / "old.sqlite"
    space = older(path)
    with ThreadPoolExecutor(4) as threads:
        engines = list(threads.map(lambda _: open_database(path), range(6)))
    assert [len(Pool(engine, "claims", space).members()) for engine in engines] == [1] * 6


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "old.sqlite"
    older(path)
    monkeypatch.setattr("embeddings.database.insert", None)
    monkeypatch.setattr(Base.metadata, "create_all", lambda connection: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_database(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT * FROM meta").fetchall() == [("schema_version", "1")]
    connection.close()


def test_the_chain_of_revisions_ends_in_the_tables_of_today(tmp_path):
    ours = {mapper.class_.__tablename__ for mapper in Base.registry.mappers
            if mapper.class_.__module__ == "embeddings.database"}  # fmt: skip
    engine = _engine(tmp_path / "chain.sqlite")
    with writing(engine) as connection:
        upgrade(connection, "")
        compared = {"include_name": lambda name, kind, parents: kind != "table" or name in ours,
                    "include_object": lambda what, name, kind, *others: kind != "table" or name in ours}  # fmt: skip
        differences = compare_metadata(MigrationContext.configure(connection, opts=compared), Base.metadata)
    assert differences == []
