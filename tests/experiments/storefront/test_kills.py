"""Processes that are killed under traffic lose nothing; and the checker that says so finds every kind of loss."""

import json
import re
import shutil
from random import Random

import pytest

from embeddings.database import open_database, writing
from experiments.benchmarks.kills.__main__ import main
from experiments.benchmarks.kills.checker import check
from experiments.benchmarks.kills.driver import SETTINGS, TEXTS, Editor, perform
from experiments.benchmarks.kills.history import History
from experiments.benchmarks.kills.postgres import programs
from experiments.benchmarks.kills.service import answer
from experiments.storefront import LiveCampaign
from experiments.storefront.worker import Worker

from .conftest import Hands

KILLS = 5


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed: apt-get install postgresql")
def test_nothing_is_lost_where_services_workers_and_the_database_server_are_killed(tmp_path, monkeypatch):
    """The short form of ``python -m experiments.benchmarks.kills``."""
    options = [f"--kills={KILLS}", "--own-postgres", f"--database={tmp_path / 'shop.db'}",
               f"--out={tmp_path / 'found.json'}"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["kills", *options])
    assert main() == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert {name: said["of the server"] for name, said in found.items()} == {"sqlite": 0, "killed postgresql": 1}
    for said in found.values():
        assert said["faults"] == []
        assert said["kills"] == KILLS
        assert min(said["decide"], said["reward"]) > 5  # however busy the machine


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """A history and the database of it, in which nothing is wrong and all windows are closed."""
    folder, clock = tmp_path_factory.mktemp("traffic"), Hands()
    history, rng = History(folder / "history.jsonl"), Random(0)
    with LiveCampaign.open(folder / "shop.db", "hero", TEXTS, settings=SETTINGS, clock=clock) as hero:

        def call(operation, arguments):
            return answer(hero, operation, arguments)

        editor = Editor(call, history, rng)
        for number in range(60):
            event = {"event": f"e{number}"}
            operations = [("decide", {**event, "deferred": number % 5 == 0}), ("expose", event)]
            operations += [("reward", {**event, "reward": f"r{each}", "value": 0.25}) for each in range(number % 4)]
            operations += rng.sample(operations, 2)
            rng.shuffle(operations)
            for operation, arguments in operations:
                perform(call, history, operation, arguments)
            if number % 10 == 0:
                perform(call, history, *editor.act())
                clock.turn(5)
                Worker(hero.engine, clock=clock, write=False).round()
                perform(call, history, "reward", {**event, "reward": "late", "value": 0.25})
        perform(call, history, "write", {"text": "Never approved."})
        clock.turn(10)
        assert not isinstance(Worker(hero.engine, clock=clock, write=False).round()["default/hero"], Exception)
        assert answer(hero, "decide", {"event": "e0", "deferred": False})[0] == "conflict"
    history.close()
    return folder


@pytest.fixture
def copied(traffic, tmp_path):
    for name in ("shop.db", "history.jsonl"):
        shutil.copy(traffic / name, tmp_path / name)
    engine = open_database(tmp_path / "shop.db", create=False)
    yield tmp_path / "history.jsonl", engine
    engine.dispose()


def found(copied):
    return {fault.rule for fault in check(*copied) if fault.slot == "history"}


def test_a_history_in_which_nothing_is_wrong(copied):
    assert check(*copied) == []


@pytest.mark.parametrize(("statement", "rule"), [
    ("DELETE FROM rewards WHERE key = <e3> AND reward_id = 'r1'", "reward"),
    ("UPDATE rewards SET late = 1 WHERE key = <e3> AND reward_id = 'r1'", "reward"),
    ("UPDATE rewards SET value = 0.5 WHERE key = <e3> AND reward_id = 'r1'", "reward"),
    ("INSERT INTO rewards SELECT key, 'made up', value, kind, happened_at, at, late FROM rewards LIMIT 1", "reward"),
    ("UPDATE outcomes SET value = value * 2, clicked = 1 WHERE key = <e1>", "outcome"),
    ("UPDATE outcomes SET value = 0, clicked = 0 WHERE key = <e3>", "outcome"),
    ("UPDATE events SET body = replace(body, '[0,0,', '[1,0,') WHERE kind = 'closed'", "counts"),
    ("DELETE FROM outcomes WHERE key = <e3>", "closing"),
    ("INSERT INTO pending SELECT key, slot_id, at FROM outcomes WHERE key = <e3>", "closing"),
    ("DELETE FROM decisions WHERE event_id = 'e3'", "record"),
    ("DELETE FROM exposures WHERE key = <e3>", "record"),
    ("UPDATE decisions SET propensity = propensity / 2 WHERE event_id = 'e3'", "answer"),
    ("UPDATE decisions SET place = (place + 1) % 3 WHERE event_id = 'e3'", "answer"),
    ("UPDATE outcomes SET why = 'void' WHERE key = <e3>", "counts"),
    ("UPDATE events SET body = replace(body, 'Never approved', 'Never known') WHERE kind = 'written'", "record"),
])  # fmt: skip
def test_what_was_acknowledged_and_is_gone_is_found(copied, statement, rule):
    statement = re.sub(r"<(.*?)>", r"(SELECT key FROM decisions WHERE event_id = '\1')", statement)
    with writing(copied[1]) as connection:
        assert connection.exec_driver_sql(statement).rowcount
    assert rule in found(copied)


@pytest.mark.parametrize(("change", "rule"), [
    (lambda line: line["answer"][1].update(text="Never approved."), "approval"),
    (lambda line: line["answer"][1].update(snapshot=99), "answer"),
    (lambda line: line.update(answer=["conflict", "said"]), "answer"),
])  # fmt: skip
def test_an_answer_that_differs_is_found(copied, change, rule):
    path, _ = copied
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change([line for line in lines if line.get("acknowledged") == "decide"][-1])
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert rule in found(copied)


def test_two_joined_answers_to_one_reward_are_found(copied):
    path, _ = copied
    line = next(
        line for line in path.read_text().splitlines() if '"acknowledged": "reward"' in line and "dup" not in line
    )
    path.write_text(path.read_text() + line + "\n")
    assert "reward" in found(copied)


def test_a_client_asks_again_till_there_is_an_answer(tmp_path):
    from experiments.benchmarks.kills.driver import DiedError

    said = iter([DiedError(), ("failed", "try again"), ("ok", "joined")])

    def call(operation, arguments):
        answer = next(said)
        if isinstance(answer, Exception):
            raise answer
        return answer

    history = History(tmp_path / "history.jsonl")
    assert perform(call, history, "reward", {"event": "e"}) == ("ok", "joined")
    history.close()
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert lines == [{"sent": "reward", "event": "e"},
                     {"acknowledged": "reward", "event": "e", "answer": ["ok", "joined"]}]  # fmt: skip
