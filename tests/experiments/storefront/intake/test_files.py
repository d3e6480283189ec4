"""Files: JSON lines as they come, gzip, standard input, Parquet; what is wrong with a line, and where it stands."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from copyloom import InputError
from embeddings.database import reading
from experiments.commands.cli import app
from experiments.storefront.decide import DamagedError, Slot
from experiments.storefront.intake.files import Files
from experiments.storefront.intake.lines import Intake
from experiments.storefront.tables import RewardRow

from .conftest import POISON, Ledger

COPYLOOM = [sys.executable, "-c", "from experiments.commands.start import main; main()"]


@pytest.fixture
def ledger(tmp_path):
    return Ledger(str(tmp_path / "shop.db"), 30)


def fed(ledger, *words, status=0, **more):
    result = CliRunner().invoke(app, ["feed", *map(str, words), "--database", ledger.database, "--json"], **more)
    assert result.exit_code == status, result.output
    return json.loads(result.stdout) if status < 2 else result.stderr


@pytest.mark.parametrize("form", ["plain", "gzip", "windows", "stdin"])
def test_lines_are_counted_once_however_often_a_file_is_read(ledger, tmp_path, form):
    whole = b"\n".join(ledger.lines(poison=False))
    path, more = tmp_path / "events.jsonl", {}
    if form == "windows":
        whole = b"\xef\xbb\xbf" + whole.replace(b"\n", b"\r\n\r\n") + b"\r\n"
    path.write_bytes(gzip.compress(whole) if form == "gzip" else whole)
    if form == "stdin":
        path, more = "-", {"input": whole}
    first = fed(ledger, path, **more)
    assert (first["lines"], first["joined"], first["duplicate"], first["refused"]) == (80, 60, 20, 0)
    again = fed(ledger, path, **more)
    assert (again["joined"], again["duplicate"]) == (0, 80)
    ledger.check()


def test_refused_lines_are_named_kept_and_can_be_given_again(ledger, tmp_path):
    path, rejects = tmp_path / "events.jsonl", tmp_path / "rejects.jsonl"
    big = b'{"type": "expose", "event_id": "' + b"x" * 200_000 + b'"}'
    wrong = [*POISON, big, b"\xff", b'{"type": "expose", "event_id": "e1", "at": 1}', b"[" * 5000]
    path.write_bytes(b"\n".join([*wrong, *ledger.lines(poison=False)]))
    found = fed(ledger, path, "--rejects", rejects, status=1)
    assert (found["refused"], found["joined"]) == (7, 60)
    kept = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [one["line"] for one in kept] == [1, 2, 3, 4, 5, 6, 7]
    assert kept[0]["given"] == "{"
    what = [one["problem"] for one in kept]
    assert "Invalid JSON" in what[0]
    assert what[1] == "reward.reward_id is missing; reward.value is missing"
    assert what[2] == "there is no slot 'none'; the slots are: hero"
    assert "more than 65,536 bytes" in what[3]
    assert what[5] == "at: there is no such field of expose; it has event_id, shown_at, type"
    assert found["problems"][5] == {"where": f"{path}:6", "why": what[5]}
    ledger.check()


def test_a_reward_id_with_another_value_and_a_late_one_are_told_apart(ledger, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(ledger.lines(poison=False)))
    fed(ledger, path)
    ledger.check()  # closes all windows
    path.write_text('{"type": "reward", "event_id": "e1", "reward_id": "r", "value": 0.5}\n'
                    '{"type": "reward", "event_id": "e1", "reward_id": "s", "value": 1}\n'
                    '{"type": "reward", "event_id": "new", "reward_id": "s", "value": 1}\n')  # fmt: skip
    found = fed(ledger, path, status=1)
    assert (found["late"], found["dangling"], found["refused"]) == (1, 1, 1)
    assert "was used for the value 1" in found["problems"][0]["why"]


def test_parquet_is_read_and_its_types_are_those_of_events(ledger, tmp_path):
    path = tmp_path / "events.parquet"
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    rows = [
        {"type": "reward", "event_id": f"e{n}", "reward_id": "r", "value": Decimal("0.5"), "at": at} for n in range(29)
    ]
    rows.append({"type": "decide", "event_id": "d", "slot": "hero", "context": '{"device": "mobile"}', "defer": True})
    rows.append({"type": "expose", "event_id": "e0", "shown_at": at})
    rows.append({"type": "reward", "event_id": "e0", "reward_id": "r2", "value": None})
    names = ("type", "event_id", "reward_id", "slot", "context", "defer", "value", "at", "shown_at")
    types = {"value": pa.decimal128(5, 2), "at": pa.timestamp("us", "UTC"), "shown_at": pa.timestamp("ms", "UTC"),
             "defer": pa.bool_()}  # fmt: skip
    schema = pa.schema([(name, types.get(name, pa.dictionary(pa.int32(), pa.string()))) for name in names])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    found = fed(ledger, path, "--answers", tmp_path / "answers.jsonl", status=1)
    assert (found["joined"], found["refused"]) == (31, 1)
    assert found["problems"] == [{"where": f"{path}:32", "why": "reward.value is missing"}]
    (answer,) = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    assert answer["event_id"] == "d"
    with reading(ledger.engine) as connection:
        assert connection.scalars(select(RewardRow.happened_at).distinct()).all() == [at]


@pytest.mark.parametrize(
    ("whole", "what"),
    [
        (None, "there is no file"),
        (b'[{"type": "expose"}]', "jq -c"),
        ("é".encode("utf-16"), "UTF-16"),
        (b"PAR1 and no more", "as Parquet"),
        (gzip.compress(b"{}\n" * 9000, mtime=0)[:-20], "cannot be unpacked"),
    ],
)
def test_a_file_that_is_none_of_events_is_refused(ledger, tmp_path, whole, what):
    path = tmp_path / "events"
    if whole is not None:
        path.write_bytes(whole)
    assert what in fed(ledger, path, status=2)


def test_what_makes_no_sense_together_is_refused(ledger, tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("")
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({"kind": ["reward"], "id": [1]}), table)
    assert "those of events are type" in fed(ledger, table, status=2)
    assert "to be read and to be written" in fed(ledger, path, "--rejects", path, status=2)
    assert "fed alone" in fed(ledger, "redis://h/s?group=g", path, status=2)
    assert "no stream that can be fed" in fed(ledger, "amqp://h/s", status=2)
    assert "there is no tenant 'x'; there are: default" in fed(ledger, path, "--tenant", "x", status=2)
    assert fed(ledger, path)["lines"] == 0


def test_a_feeder_that_is_killed_is_started_again(tmp_path, quiet):
    ledger = Ledger(str(tmp_path / "shop.db"), 1000)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(ledger.lines(poison=False)))
    command = [*COPYLOOM, "feed", "-", "--database", ledger.database]
    feeder = subprocess.Popen(command, env=quiet, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = path.read_bytes().splitlines(keepends=True)
    feeder.stdin.writelines(lines[:1200])
    feeder.stdin.flush()
    while not ledger.rewards() and feeder.poll() is None:
        pass
    feeder.kill()
    feeder.communicate()
    before = ledger.rewards()
    assert 0 < before < 1000
    summary = Files([str(path)], lambda *_: None)
    intake = Intake(ledger.engine, ledger.slots)
    taken = [one.state for batch in summary.batches() for one in intake.take("default", [line.body for line in batch])]
    assert taken.count("duplicate") > len(lines) - 2000
    ledger.check()


def test_a_question_that_leaves_no_text_is_refused_with_the_slots_reason(ledger, monkeypatch):
    def none(slot, question):
        raise InputError("no live text may stand on that page")

    monkeypatch.setattr(Slot, "choose", none)
    line = b'{"type": "decide", "event_id": "q", "slot": "hero", "product_id": "boots"}'
    (taken,) = Intake(ledger.engine, ledger.slots).take("default", [line])
    assert (taken.state, taken.status, taken.why) == ("refused", 422, "no live text may stand on that page")


def test_a_slot_that_is_damaged_stops_no_feed(ledger, monkeypatch):
    def damaged(slot, question):
        raise DamagedError("it holds no chances that sum to 1")

    monkeypatch.setattr(Slot, "choose", damaged)
    question = b'{"type": "decide", "event_id": "q", "slot": "hero"}'
    reward = b'{"type": "reward", "event_id": "e", "reward_id": "r", "value": 1}'
    taken = Intake(ledger.engine, ledger.slots).take("default", [question, reward])
    assert [(one.state, one.status) for one in taken] == [("refused", 503), ("dangling", 202)]
