import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select

from copyloom import InputError, SpaceError
from embeddings.database import EmbeddingRow, PoolEventRow, SpaceRow, TextRow, open_database, reading
from embeddings.pool import Pool
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding

ROOT = Path(__file__).parents[2]
SPACE = SpaceIdentity("tiny", "a1", "b2", "minilm", "c3", vectors=2, hidden_size=3)
OTHER = replace(SPACE, parameters="a9")


def embedding(text, seed=0, lineage=None, space=SPACE, vectors=None):
    generator = torch.Generator().manual_seed(seed)
    if vectors is None:
        vectors = torch.randn(space.vectors, space.hidden_size, generator=generator)
    return SummaryEmbedding(
        text,
        vectors,
        torch.randn(5, generator=generator),
        space,
        seed % 2 == 0,
        1.0 + seed / 3,
        seed,
        "adapter",
        lineage,
    )


def texts(pool):
    return [member.text for member in pool.members()]


def versions(pool):
    """Return the version that each change made, as the table has it."""
    with reading(pool.engine) as connection:
        return list(connection.scalars(select(PoolEventRow.version).order_by(PoolEventRow.version)))


def assert_same(found, given_):
    for field in fields(SummaryEmbedding):
        one, other = getattr(found, field.name), getattr(given_, field.name)
        if isinstance(one, torch.Tensor):
            assert one.dtype == other.dtype == torch.float32
            assert one.shape == other.shape
            assert one.numpy().tobytes() == other.numpy().tobytes()
        else:
            assert one == other, field.name


@pytest.fixture
def engine(tmp_path):
    engine = open_database(tmp_path / "copyloom.db")
    yield engine
    engine.dispose()


@pytest.fixture
def pool(engine):
    return Pool(engine, "claims", SPACE)


def test_the_space_table_has_every_field_of_a_space():
    assert {column.name for column in SpaceRow.__table__.columns} - {"id"} == {
        field.name for field in fields(SpaceIdentity)
    }


def test_members_come_back_byte_for_byte_in_the_order_of_first_addition(pool):
    odd = torch.tensor([[-0.0, 1e-45, 3.4028235e38], [0.1, -1e-30, 0.0]])
    given_ = [
        embedding("b", 1),
        embedding("", 2),
        embedding("Zu spät? “Nein” – 猫 🛒\n\tend\u0000.", 3, vectors=odd),
        embedding("é", 4),
        embedding("e\u0301", 5),  # the same to the eye, another text
        embedding("x" * 10_000, 6),
        embedding("a", 7, Lineage(("b", "a parent that is stored nowhere", "b"), (1 / 3, 1.0, -1 / 3))),
    ]
    assert pool.add(given_) == 7
    again = Pool(pool.engine, "claims", SPACE)
    for found, wanted in zip(again.members(), given_, strict=True):
        assert_same(found, wanted)
    again.members()[0].vectors.add_(1)  # the tensors are the caller's own


@settings(max_examples=10, deadline=None)
@given(st.lists(st.text(), unique=True))
def test_any_unicode_survives(given_):
    engine = open_database("sqlite://")
    pool = Pool(engine, "claims", SPACE)
    assert pool.add([embedding(text) for text in given_]) == len(given_)
    assert texts(pool) == given_
    engine.dispose()


def test_promotion_needs_a_lineage_and_happens_once(pool):
    pool.add([embedding("a"), embedding("b")])
    mixed = embedding("c", 1, Lineage(("a", "b"), (0.25, 0.75)))
    with pytest.raises(InputError, match="'c' has no lineage"):
        pool.promote(embedding("c"), "CTR")
    assert pool.promote(mixed, "CTR") is True
    assert pool.promote(mixed, "CTR") is False
    assert versions(pool) == [1, 1, 2]
    assert_same(pool.members()[-1], mixed)


def test_an_empty_pool(pool):
    assert pool.members() == []
    assert pool.add([]) == 0
    assert versions(pool) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4)))
def test_members_are_what_a_plain_list_says(calls):
    engine = open_database("sqlite://")
    pool, seen = Pool(engine, "claims", SPACE), []
    for letters in calls:
        fresh = [letter for letter in dict.fromkeys(letters) if letter not in seen]
        assert pool.add([embedding(letter) for letter in letters]) == len(fresh)
        seen += fresh
    assert texts(pool) == seen
    engine.dispose()


def test_the_vectors_stored_first_are_kept(pool, caplog):
    other = Pool(pool.engine, "other", SPACE)
    with caplog.at_level(logging.WARNING):
        assert pool.add([embedding("a", 1), embedding("b", 1), embedding("a", 2)]) == 2
        assert pool.add([embedding("b", 3)]) == 0
        assert other.add([embedding("b", 1)]) == 1
        assert not caplog.records
        other.add([embedding("a", 2)])
        assert "'a' keeps the vectors stored first" in caplog.text
    assert texts(other) == ["b", "a"]
    assert_same(other.members()[1], embedding("a", 1))


def test_another_space_is_an_error_that_names_both(pool):
    with pytest.raises(SpaceError, match=r"tiny \(parameters a1.*'b' in tiny \(parameters a9.*a1 and a9.*invert"):
        pool.add([embedding("a"), embedding("b", space=OTHER)])
    assert versions(pool) == []
    pool.add([embedding("a")])
    with pytest.raises(SpaceError, match=r"'claims' is stored in tiny \(parameters a1.*opened in tiny \(parameters a9"):
        Pool(pool.engine, "claims", OTHER)


def test_two_pools_in_two_spaces_share_texts_and_keep_apart(pool):
    other = Pool(pool.engine, "other", OTHER)
    mixed = embedding("a", 2, Lineage(("b",), (1.0,)), OTHER)
    pool.add([embedding("a", 1)])
    other.promote(mixed, "CTR")
    assert_same(pool.members()[0], embedding("a", 1))
    assert_same(other.members()[0], mixed)
    with reading(pool.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(TextRow)) == 2
        assert connection.scalar(select(func.count()).select_from(EmbeddingRow)) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vectors": torch.zeros(3, 3)}, r"vectors of shape \(3, 3\)"),
        ({"sentence_vector": torch.zeros(1, 5)}, r"sentence vector of shape \(1, 5\)"),
        ({"vectors": torch.zeros(2, 3, dtype=torch.float64)}, "float64"),
        ({"vectors": torch.full((2, 3), torch.nan)}, "not finite"),
        ({"margin": float("nan")}, "not finite"),
        ({"text": "half \ud83d"}, "not valid Unicode"),
        ({"lineage": Lineage(("b", "c"), (1.0,))}, "2 parents"),
        ({"lineage": Lineage(("b",), (float("inf"),))}, "1 parents"),
        ({"lineage": Lineage(("half \ud83d",), (1.0,))}, "not valid Unicode"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_written(pool, wrong, message):
    with pytest.raises(InputError, match=message):
        pool.add([embedding("good"), replace(embedding("a"), **wrong)])
    assert versions(pool) == []
    with reading(pool.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(TextRow)) == 0


@pytest.mark.parametrize("table", ["texts", "embeddings", "lineage", "pool_events"])
def test_an_error_half_way_leaves_the_old_version(pool, table):
    pool.add([embedding("a")])

    def fail(connection, cursor, statement, *rest):
        if statement.startswith(f"INSERT INTO {table} "):
            raise OSError("unplugged")

    event.listen(pool.engine, "after_cursor_execute", fail)
    with pytest.raises(OSError, match="unplugged"):
        pool.promote(embedding("b", 1, Lineage(("a", "c"), (0.5, 0.5))), "CTR")
    event.remove(pool.engine, "after_cursor_execute", fail)
    assert (versions(pool), texts(pool)) == ([1], ["a"])
    with reading(pool.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(TextRow)) == 1
        assert connection.scalar(select(func.count()).select_from(EmbeddingRow)) == 1


def test_threads_that_add_at_once_all_succeed(pool):
    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(lambda i: pool.add([embedding("shared"), embedding(str(i), i)]), range(24)))
    assert sum(added) == 25  # "shared" once
    assert sorted({*versions(pool)}) == list(range(1, 25))


WRITER = """
import os, sys, torch
from sqlalchemy import event
from embeddings.database import open_database
from embeddings.pool import Pool
from embeddings.summary import SpaceIdentity, SummaryEmbedding
space = SpaceIdentity("tiny", "a1", "b2", "minilm", "c3", vectors=2, hidden_size=3)
pool = Pool(open_database(sys.argv[1]), "claims", space)
def add(text):
    pool.add([SummaryEmbedding(text, torch.zeros(2, 3), torch.zeros(5), space, True, 1.0, 0, "adapter")])
def die(connection, cursor, statement, *rest):
    if statement.startswith("INSERT INTO pool_events"):
        os._exit(9)
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    add(f"theirs {number}")
event.listen(pool.engine, "after_cursor_execute", die)
add("half-way")
"""


def test_processes_that_add_at_once_succeed_and_one_that_is_killed_leaves_nothing(pool):
    path, pipe = str(pool.engine.url.database), subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as writer:
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("go\n")
        writer.stdin.flush()
        for number in range(20):
            assert pool.add([embedding(f"ours {number}")]) == 1
        writer.communicate(timeout=60)
    assert writer.returncode == 9
    assert sorted(texts(pool)) == sorted(f"{who} {number}" for who in ("ours", "theirs") for number in range(20))
    assert versions(pool) == list(range(1, 41))
    assert pool.add([embedding("half-way")]) == 1
