"""The service over HTTP: what it answers, what it records, and what it does where the database fails."""

import asyncio
import io
import json
import sqlite3
import threading
import time
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import func, select

from embeddings.database import reading, text_id
from experiments.storefront import LiveCampaign, gate
from experiments.storefront.client import Client
from experiments.storefront.config import SlotSettings
from experiments.storefront.gate import service_log
from experiments.storefront.journal import Journal
from experiments.storefront.slots import Slots
from experiments.storefront.tables import DecisionRow, RewardRow
from experiments.storefront.worker import Worker

from .conftest import TEXTS
from .test_races import admit


def count(shop, row) -> int:
    with reading(shop.engine) as connection:
        return connection.scalar(select(func.count()).select_from(row))


def problem(said, status: int) -> dict:
    """The problem that was answered, which has the whole shape of one."""
    assert said.status_code == status, said.text
    assert said.headers["content-type"] == "application/problem+json"
    found = said.json()
    assert (found["status"], found["request_id"]) == (status, said.headers["x-request-id"])
    assert found["type"]
    assert found["title"]
    assert found["detail"]
    return found


def test_a_page_asks_shows_and_tells(make_shop, database, clock):
    shop = make_shop(database, settings=SlotSettings(holdout=0))
    key = shop.key()
    body = {"event_id": "e1", "slot": "hero", "unit_id": "anna", "context": {"device": "mobile"}, "product_id": "7"}
    said = shop.client.post("/v1/decide", json=body, headers=key)
    assert said.status_code == 200
    decision = said.json()
    assert decision["text"] in TEXTS
    assert decision["text_id"] == text_id(decision["text"])
    assert decision["propensity"] == pytest.approx(1 / 3)
    assert (decision["event_id"], decision["snapshot_id"], decision["reason"]) == ("e1", 0, "bandit")
    assert shop.client.post("/v1/decide", json=body, headers=key).json() == decision
    for _ in range(2):
        assert shop.client.post("/v1/expose", json={"event_id": "e1"}, headers=key).status_code == 204
    reward = {"event_id": "e1", "reward_id": "r", "value": 1, "kind": "click", "at": "2026-11-29T12:00:01+01:00"}
    states = [shop.client.post("/v1/reward", json=reward, headers=key) for _ in range(2)]
    assert [(one.status_code, one.json()["state"]) for one in states] == [(202, "joined"), (202, "duplicate")]
    with reading(shop.engine) as connection:
        assert connection.scalar(select(RewardRow.happened_at)) == datetime(2026, 11, 29, 11, 0, 1, tzinfo=UTC)
    clock.turn(2000)
    worker = Worker(shop.engine, clock=clock, write=False)
    worker.round()
    shown, clicked = worker.slots.campaign(worker.slots.get("default", "hero")).state.totals
    assert (shown.sum(), clicked.sum()) == (1, 1)
    late = {**reward, "reward_id": "r2"}
    assert shop.client.post("/v1/reward", json=late, headers=key).json() == {"state": "late"}
    early = {**reward, "event_id": "e2"}
    assert shop.client.post("/v1/reward", json=early, headers=key).json() == {"state": "dangling"}


def test_an_id_used_for_something_else_is_a_conflict(shop):
    key = shop.key()
    assert shop.client.post("/v1/decide", json={"event_id": "e", "slot": "hero"}, headers=key).status_code == 200
    other = shop.client.post("/v1/decide", json={"event_id": "e", "slot": "hero", "defer": True}, headers=key)
    assert "another question" in problem(other, 409)["detail"]
    reward = {"event_id": "e", "reward_id": "r", "value": 1}
    assert shop.client.post("/v1/reward", json=reward, headers=key).status_code == 202
    assert "'r'" in problem(shop.client.post("/v1/reward", json={**reward, "value": 0.5}, headers=key), 409)["detail"]


def test_tenants_never_see_each_other(make_shop, database):
    shop = make_shop(database, tenants=("north", "south"))
    north, south = shop.key(tenant="north"), shop.key(tenant="south")
    body = {"event_id": "e", "slot": "hero", "unit_id": "anna"}
    assert shop.client.post("/v1/decide", json=body, headers=north).status_code == 200
    other = shop.client.post("/v1/decide", json={**body, "unit_id": "bert"}, headers=south)
    assert other.status_code == 200  # and no conflict with the other's event of that name
    reward = {"event_id": "f", "reward_id": "r", "value": 1}
    assert shop.client.post("/v1/decide", json={**body, "event_id": "f"}, headers=north).status_code == 200
    assert shop.client.post("/v1/reward", json=reward, headers=south).json() == {"state": "dangling"}
    assert shop.client.post("/v1/reward", json={**reward, "value": 0.5}, headers=north).json() == {"state": "joined"}
    shop.client.post("/v1/slots/hero/kill", json={"reason": "north's"}, headers=north)
    assert [shop.client.get("/v1/slots", headers=one).json()[0]["mode"] for one in (north, south)] == ["off", "online"]
    said = shop.client.post("/v1/texts", json={"slot": "hero", "text": "Secret boots."}, headers=north)
    assert said.status_code == 201
    assert "Secret" not in shop.client.get("/v1/texts?slot=hero", headers=south).text
    assert "Secret" not in shop.client.get("/v1/audit", headers=south).text
    path = f"/v1/texts/{said.json()['text_id']}/approve"
    problem(shop.client.post(path, json={"slot": "hero"}, headers=south), 404)
    with reading(shop.engine) as connection:
        units = set(connection.scalars(select(DecisionRow.unit).where(DecisionRow.tenant == "north")))
        assert len(units) == 1
        assert not units & set(connection.scalars(select(DecisionRow.unit).where(DecisionRow.tenant == "south")))


BAD = [
    ("/v1/decide", {}, "body.event_id"),
    ("/v1/decide", {"event_id": "", "slot": "hero"}, "body.event_id"),
    ("/v1/decide", {"event_id": "e" * 257, "slot": "hero"}, "body.event_id"),
    ("/v1/decide", {"event_id": "a\0b", "slot": "hero"}, "body.event_id"),
    ("/v1/decide", {"event_id": "a\ud800b", "slot": "hero"}, "body.event_id"),
    ("/v1/decide", {"event_id": "e", "slot": "hero", "context": {"a": "x" * 4096}}, "body.context"),
    ("/v1/decide", {"event_id": "e", "slot": "hero", "context": {"a": float("nan")}}, "body.context"),
    ("/v1/decide", {"event_id": "e", "slot": "hero", "context": {"a": "\udfff"}}, "body.context"),
    ("/v1/decide", {"event_id": "e", "slot": "hero", "defer": "yes"}, "body.defer"),
    ("/v1/decide", {"event_id": "e", "slot": "hero", "unit": "anna"}, "body.unit"),
    ("/v1/decide", {"event_id": "e", "slot": "hero", "\ud800": 1}, "body"),
    ("/v1/expose", {"event_id": "e", "shown_at": "2026-11-29T12:00:00"}, "body.shown_at"),
    ("/v1/expose", {"event_id": "e", "shown_at": 12}, "body.shown_at"),
    ("/v1/expose", {"event_id": "e", "shown_at": "0001-01-01T00:00:00+14:00"}, "body.shown_at"),
    ("/v1/reward", {"event_id": "e", "reward_id": "r", "value": 1.01}, "body.value"),
    ("/v1/reward", {"event_id": "e", "reward_id": "r", "value": float("nan")}, "body.value"),
    ("/v1/reward", {"event_id": "e", "reward_id": "r", "value": True}, "body.value"),
    ("/v1/reward", {"event_id": "e", "reward_id": "r", "value": "1"}, "body.value"),
    ("/v1/reward", {"event_id": "e", "reward_id": "r" * 257, "value": 1}, "body.reward_id"),
    ("/v1/slots/hero/settings", {"changes": {"mode": "onlin"}, "reason": "x"}, "body.changes"),
    ("/v1/slots/hero/settings", {"changes": {"holdin": 1}, "reason": "x"}, "body.changes"),
    ("/v1/slots/hero/settings", {"changes": {}, "reason": "x"}, "body.changes"),
    ("/v1/slots/hero/settings", {"changes": {"mode": "off"}, "reason": ""}, "body.reason"),
]


@pytest.mark.parametrize(("path", "body", "where"), BAD, ids=[f"{number}-{one[2]!a}" for number, one in enumerate(BAD)])
def test_what_cannot_be_used_is_named_with_what_is_allowed(shop, path, body, where):
    said = shop.client.post(path, content=json.dumps(body).encode(), headers={
        **shop.key(), "Content-Type": "application/json"})  # fmt: skip
    found = problem(said, 422)
    assert found["errors"][0]["where"].startswith(where)
    assert all(one["what"] for one in found["errors"])
    assert (count(shop, DecisionRow), count(shop, RewardRow)) == (0, 0)


@pytest.mark.parametrize(("content", "status"), [
    (b"{", 422), (b"", 422), (b"[]", 422), (b"null", 422), (b'{"event_id": "\xff"}', 400), (b"[" * 100_000, 400),
    (b'{"event_id": "e", "slot": "hero", "context": ' + b'{"a":' * 700 + b"1" + b"}" * 701, 422),
    (b'{"event_id": "e", "slot": "hero", "context": {"a": ' + b"9" * 5000 + b"}}", 400)])  # fmt: skip
def test_a_body_that_is_no_json_is_a_problem(shop, content, status):
    said = shop.client.post("/v1/decide", content=content, headers={**shop.key(), "Content-Type": "application/json"})
    assert said.status_code in (status, 400, 422)
    problem(said, said.status_code)


@pytest.mark.parametrize("name", ["'; DROP TABLE decisions; --", '" OR ""="', "\r\nSet-Cookie: a=b", "{{7*7}}", "𝔘🧦‮",
                                  "<script>", "\x01\x7f", "%00", "../../etc"])  # fmt: skip
def test_names_are_only_names(make_shop, database, name):
    shop = make_shop(database)
    key = shop.key()
    body = {"event_id": name, "slot": "hero", "unit_id": name, "context": {name: name}, "product_id": name}
    said = shop.client.post("/v1/decide", json=body, headers=key)
    assert (said.status_code, said.json()["event_id"]) == (200, name)
    reward = {"event_id": name, "reward_id": name, "value": 1, "kind": name}
    assert shop.client.post("/v1/reward", json=reward, headers=key).json() == {"state": "joined"}
    assert (count(shop, DecisionRow), count(shop, RewardRow)) == (1, 1)
    problem(shop.client.post("/v1/decide", json={**body, "slot": name[:63], "event_id": "x"}, headers=key), 404)
    sent = shop.client.get("/health", headers={"X-Request-ID": name.encode("ascii", "replace")})
    assert "set-cookie" not in sent.headers


def test_unknown_slots_paths_and_methods_are_problems(shop):
    key = shop.key()
    found = problem(shop.client.post("/v1/decide", json={"event_id": "e", "slot": "footer"}, headers=key), 404)
    assert "the slots are: hero" in found["detail"]
    problem(shop.client.get("/v1/nothing"), 404)
    assert problem(shop.client.get("/v1/decide"), 405)["title"] == "Method Not Allowed"
    problem(shop.client.get("/v1/texts?slot=hero&state=alive", headers=key), 422)


def test_a_request_keeps_its_id_or_gets_one(shop):
    said = shop.client.get("/health", headers={"X-Request-ID": "shop-7"})
    assert (said.status_code, said.headers["x-request-id"]) == (200, "shop-7")
    assert len(shop.client.get("/health").headers["x-request-id"]) == 32
    assert shop.client.get("/health", headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"


@pytest.mark.parametrize(("path", "limit"), [("/v1/decide", 1_000_000), ("/v1/events", 5_000_000)])
def test_a_body_that_is_too_large_is_refused_and_not_read(shop, path, limit):
    key = {**shop.key(), "Content-Type": "application/json"}
    problem(shop.client.post(path, content=b" " * (limit + 1), headers=key), 413)
    sent = 0

    def endless():
        nonlocal sent
        while sent < 50 * limit:
            sent += 100_000
            yield b" " * 100_000

    problem(shop.client.post(path, content=endless(), headers=key), 413)


def test_a_body_that_does_not_come_is_waited_for_only_so_long(shop, monkeypatch):
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.1)
    key = shop.key()["Authorization"].encode()
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/v1/reward",
             "raw_path": b"/v1/reward", "query_string": b"", "root_path": "", "scheme": "http", "server": ("shop", 80),
             "headers": [(b"authorization", key), (b"content-type", b"application/json")]}  # fmt: skip
    came, sent = iter([{"type": "http.request", "body": b"{", "more_body": True}]), []

    async def receive():
        for message in came:
            return message
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    asyncio.run(shop.app(scope, receive, send))
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["title"] == "Request Timeout"


def test_what_another_process_decided_of_a_newer_snapshot_is_answered(make_shop, database, clock):
    """This process last read the slots before the text that the event shows was admitted."""
    shop = make_shop(database, settings=SlotSettings(holdout=0), every_seconds=3600)
    key = shop.key()
    with LiveCampaign(shop.engine, "hero", clock=clock) as other:
        admit(other, shown := "Boots with a heart.")
        event = next(event for event in map(str, range(1000)) if other.decide(event).text == shown)
        assert shown not in shop.app.state.service.slots.get("default", "hero").state.slate
        said = shop.client.post("/v1/decide", json={"event_id": event, "slot": "hero"}, headers=key).json()
        assert (said["text"], said["snapshot_id"]) == (shown, 1)


def test_lines_of_events_each_have_a_status(shop):
    lines = [
        '{"type": "decide", "event_id": "e", "slot": "hero"}',
        '{"type": "reward", "event_id": "e", "reward_id": "r", "value": 1}',
        "", "{", '{"type": "rewind", "event_id": "e"}',
        '{"type": "expose", "event_id": "e"}',
        '{"type": "reward", "event_id": "e", "reward_id": "s", "value": 2}',
        '{"type": "decide", "event_id": "f", "slot": "footer"}',
        '{"type": "decide", "event_id": "e", "slot": "hero", "unit_id": "anna"}',
        '{"type": "decide", "event_id": "\\ud800", "slot": "hero"}',
    ]  # fmt: skip
    said = shop.client.post("/v1/events", content="\n".join(lines), headers=shop.key())
    assert said.status_code == 200
    found = said.json()
    statuses = {one["line"]: one["status"] for one in found["results"]}
    assert statuses == {1: 200, 2: 202, 4: 422, 5: 422, 6: 204, 7: 422, 8: 404, 9: 409, 10: 422}
    assert found["failed"] == 6
    assert found["results"][0]["decision"]["text"] in TEXTS
    assert found["results"][1]["reward"] == {"state": "joined"}
    assert [one["where"] for one in found["results"][5]["problem"]["errors"]] == ["value"]
    half = shop.client.post("/v1/events", content="\n".join(lines[:2]), headers=shop.key("reward")).json()
    assert [one["status"] for one in half["results"]] == [403, 202]
    problem(shop.client.post("/v1/events", content="{}\n" * 10_001, headers=shop.key()), 413)


def test_the_baseline_is_shown_and_nothing_acknowledged_while_the_database_is_locked(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), settings=SlotSettings(holdout=0, baseline=TEXTS[1]))
    key, body = shop.key(), {"event_id": "e", "slot": "hero"}
    other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    said = shop.client.post("/v1/decide", json=body, headers=key)
    assert said.status_code == 200
    assert (said.json()["text"], said.json()["reason"], said.json()["propensity"]) == (TEXTS[1], "fallback", 1.0)
    for path, sent in (
        ("/v1/expose", {"event_id": "e"}),
        ("/v1/reward", {"event_id": "e", "reward_id": "r", "value": 1}),
    ):
        refused = shop.client.post(path, json=sent, headers=key)
        assert int(refused.headers["retry-after"]) >= 1
        assert "not on record" in problem(refused, 503)["detail"]
    kill = shop.client.post("/v1/slots/hero/kill", json={}, headers=key)
    problem(kill, 503)
    problem(shop.client.get("/ready"), 503)
    assert shop.client.get("/health").status_code == 200
    told = shop.client.get("/metrics").text
    assert 'copyloom_fallbacks_total{why="database"} 1.0' in told
    assert 'copyloom_decisions_total{reason="fallback"} 1.0' in told
    other.execute("ROLLBACK")
    other.close()
    assert (count(shop, DecisionRow), count(shop, RewardRow)) == (0, 0)
    assert shop.client.post("/v1/decide", json=body, headers=key).json()["reason"] == "bandit"
    until(lambda: shop.client.get("/ready").status_code == 200)


def test_a_decision_that_waits_too_long_is_never_written(make_shop, tmp_path, monkeypatch):
    """One that is being written is answered as it was drawn; one that waits behind it is cancelled: the baseline."""
    shop = make_shop(str(tmp_path / "shop.db"), settings=SlotSettings(holdout=0), timeout_seconds=0.3)
    key = shop.key()
    write, went, opened = Journal._write, [], threading.Event()

    def slow(self, batch):
        opened.wait()
        went.extend(entry.question.event_id for entry, _ in batch)
        write(self, batch)

    monkeypatch.setattr(Journal, "_write", slow)
    first = shop.client.post("/v1/decide", json={"event_id": "first", "slot": "hero"}, headers=key).json()
    second = shop.client.post("/v1/decide", json={"event_id": "second", "slot": "hero"}, headers=key).json()
    assert (first["reason"], second["reason"]) == ("bandit", "fallback")
    assert 'copyloom_fallbacks_total{why="timeout"} 1.0' in shop.client.get("/metrics").text
    opened.set()
    until(lambda: shop.app.state.service.journal.waiting == 0 and count(shop, DecisionRow) == 1)
    assert went == ["first"]
    assert shop.client.post("/v1/decide", json={"event_id": "first", "slot": "hero"}, headers=key).json() == first


def test_a_server_that_went_away_is_a_fallback_too(make_shop, postgres):
    import psycopg

    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE goes")
        shop = make_shop(f"{postgres}/goes")
        key = shop.key()
        admin.execute("DROP DATABASE goes WITH (FORCE)")
    said = shop.client.post("/v1/decide", json={"event_id": "e", "slot": "hero"}, headers=key)
    assert (said.status_code, said.json()["reason"]) == (200, "fallback")
    problem(shop.client.post("/v1/expose", json={"event_id": "e"}, headers=key), 503)
    problem(shop.client.get("/v1/audit", headers=key), 503)
    problem(shop.client.get("/ready"), 503)


def test_a_slot_that_is_killed_shows_the_baseline_within_two_seconds_everywhere(shop):
    other = Slots(shop.engine)
    other.follow(0.5)
    key = shop.key("publish", "decide", "read")
    said = shop.client.post("/v1/slots/hero/kill", json={"reason": "wrong price"}, headers=key)
    assert (said.status_code, said.json()["mode"]) == (200, "off")
    asked = {"event_id": "e", "slot": "hero"}
    assert shop.client.post("/v1/decide", json=asked, headers=key).json()["reason"] == "killed"
    until(lambda: other.get("default", "hero").settings.mode == "off", 2)
    said = shop.client.post("/v1/slots/hero/kill", json={"on": True}, headers=key)
    assert said.json()["mode"] == "online"
    until(lambda: other.get("default", "hero").settings.mode == "online", 2)
    other.close()
    rows = shop.client.get("/v1/audit?last=2", headers=key).json()
    on, off = {"mode": "online"}, {"mode": "off"}
    assert [(row["before"], row["after"], row["reason"], row["by"]) for row in rows] == [
        (off, on, "no reason given", "tests"),
        (on, off, "wrong price", "tests"),
    ]


def test_in_an_emergency_the_kill_switch_needs_no_body_and_takes_no_half_understood_one(shop):
    key = shop.key("publish", "read")
    path = "/v1/slots/hero/kill"
    for how in ({"content": b'{"on": true}'}, {"data": {"on": "true"}}, {"json": {"of": True}}, {"json": []}):
        problem(shop.client.post(path, headers=key, **how), 422)
    said = shop.client.post(path, headers=key)
    assert (said.status_code, said.json()["mode"]) == (200, "off")
    shop.client.post(path, json={"reason": " "}, headers=key)
    rows = shop.client.get("/v1/audit?last=2", headers=key).json()
    assert [(row["what"], row["reason"]) for row in rows] == [("settings changed", "no reason given")] * 2


def test_the_kill_switch_goes_back_to_the_mode_before_and_works_while_the_baseline_is_paused(shop):
    key = shop.key()
    changes = {"mode": "shadow", "baseline": TEXTS[1]}
    said = shop.client.post("/v1/slots/hero/settings", json={"changes": changes, "reason": "try"}, headers=key)
    assert (said.json()["mode"], said.json()["version"], said.json()["settings"]["baseline"]) == ("shadow", 2, TEXTS[1])
    paused = shop.client.post(f"/v1/texts/{text_id(TEXTS[1])}/pause", json={"slot": "hero"}, headers=key)
    assert paused.json()["state"] == "paused"
    assert shop.client.post("/v1/slots/hero/kill", json={}, headers=key).json()["mode"] == "off"
    assert shop.client.post("/v1/slots/hero/kill", json={"on": True}, headers=key).json()["mode"] == "shadow"


def test_a_text_goes_its_way_from_draft_to_retirement(shop):
    anna, bert = shop.key(name="anna"), shop.key(name="bert")

    def post(path, key, **body):
        return shop.client.post(f"/v1/texts{path}", json={"slot": "hero", **body}, headers=key)

    wrote = post("", anna, text="Boots with a heart.", instead_of=text_id(TEXTS[0]))
    assert wrote.status_code == 201
    found = wrote.json()
    assert (found["state"], found["author"], found["parents"][0]["text"]) == ("in review", "anna", TEXTS[0])
    one = found["text_id"]
    assert "another person" in problem(post(f"/{one}/approve", anna), 409)["detail"]
    assert post(f"/{one}/approve", bert).json()["state"] == "approved"
    assert "already" in problem(post("", anna, text="Boots with a heart."), 409)["detail"]
    two = post("", anna, text="Socks.").json()["text_id"]
    assert problem(post(f"/{two}/reject", bert), 422)["errors"][0]["where"] == "body.reason"
    assert post(f"/{two}/reject", bert, reason="no boots").json()["state"] == "rejected"
    ids = [text_id(text) for text in TEXTS]
    problem(post("/pause", bert, texts=[*ids[:1], "0" * 64]), 404)
    problem(post("/pause", bert, texts=ids), 409)  # nothing would be left
    assert [text["state"] for text in post("/pause", bert, texts=ids[:2]).json()] == ["paused", "paused"]
    assert [text["state"] for text in post("/resume", bert, texts=ids[:1]).json()] == ["live"]
    assert [text["state"] for text in post("/retire", bert, texts=ids[1:2], reason="old").json()] == ["retired"]
    listed = shop.client.get("/v1/texts?slot=hero", headers=anna).json()
    states = {text["text"]: text["state"] for text in listed}
    assert states == {
        TEXTS[0]: "live",
        TEXTS[1]: "retired",
        TEXTS[2]: "live",
        "Boots with a heart.": "approved",
        "Socks.": "rejected",
    }
    assert [text["text"] for text in shop.client.get("/v1/texts?slot=hero&state=live", headers=anna).json()] == [
        TEXTS[0],
        TEXTS[2],
    ]
    said = shop.client.get("/v1/snapshots?slot=hero&last=1", headers=anna).json()
    assert {text["text"]: text["probability"] for text in said[0]["slate"]}[TEXTS[1]] == 0
    assert sum(text["probability"] for text in said[0]["slate"]) == pytest.approx(1)


def test_texts_come_in_pages_that_miss_none_and_repeat_none(shop):
    anna = shop.key(name="anna")
    for number in range(4):
        shop.client.post("/v1/texts", json={"slot": "hero", "text": f"Boots number {number}."}, headers=anna)
    seen, where = [], "/v1/texts?slot=hero&limit=3"
    while where:
        said = shop.client.get(where, headers=anna)
        seen += [text["text"] for text in said.json()]
        where = said.links.get("next", {}).get("url")
        if where and len(seen) == 3:  # what comes meanwhile comes last
            shop.client.post("/v1/texts", json={"slot": "hero", "text": "Boots of late."}, headers=anna)
    assert seen == [*TEXTS, *(f"Boots number {number}." for number in range(4)), "Boots of late."]

    def answer(request):
        said = shop.client.get(str(request.url), headers=anna)
        return httpx.Response(said.status_code, content=said.content, headers={"Link": said.headers.get("link", "")})

    with Client("http://testserver", "key", transport=httpx.MockTransport(answer)) as client:
        assert [text["text"] for text in client.texts("hero", limit=2)] == seen
        assert [text["text"] for text in client.texts("hero", "live", limit=1)] == list(TEXTS)
    problem(shop.client.get("/v1/texts?slot=hero&cursor=here", headers=anna), 422)


def test_the_log_has_ids_and_no_people(make_shop, tmp_path):
    stream = io.StringIO()
    shop = make_shop(str(tmp_path / "shop.db"), log=service_log("info", stream))
    key = shop.key()
    body = {"event_id": "e7", "slot": "hero", "unit_id": "anna@example.org", "context": {"name": "Anna"}}
    shop.client.post("/v1/decide", json=body, headers={**key, "X-Request-ID": "r7"})
    shop.client.get("/v1/texts/anna@example.org", headers=key)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {"event_id": "e7", "request_id": "r7", "status": 200, "route": "/v1/decide", "snapshot_id": 0,
            "tenant": "default"}.items() <= lines[0].items()  # fmt: skip
    assert lines[1]["route"] == "none"
    said = stream.getvalue()
    assert not [word for word in ("anna", "Anna", *TEXTS, key["Authorization"][-20:]) if word in said]


def test_what_nobody_foresaw_is_a_problem_and_logged(make_shop, tmp_path, monkeypatch):
    stream = io.StringIO()
    shop = make_shop(str(tmp_path / "shop.db"), log=service_log("error", stream))

    def of(self, tenant):
        raise ZeroDivisionError("a secret of the house")

    monkeypatch.setattr(Slots, "of", of)
    said = shop.client.get("/v1/slots", headers=shop.key())
    assert "secret" not in problem(said, 500)["detail"]
    logged = json.loads(stream.getvalue())
    assert logged["request_id"] == said.json()["request_id"]
    assert "a secret of the house" in logged["exception"]


def test_metrics_count_what_was_done(shop):
    key = shop.key()
    for number in range(3):
        shop.client.post("/v1/decide", json={"event_id": str(number), "slot": "hero"}, headers=key)
        shop.client.post("/v1/reward", json={"event_id": "0", "reward_id": "r", "value": 1}, headers=key)
    told = shop.client.get("/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=")
    values = dict(line.rsplit(" ", 1) for line in told.text.splitlines() if not line.startswith("#"))
    assert values['copyloom_rewards_total{state="joined"}'] == "1.0"
    assert values['copyloom_rewards_total{state="duplicate"}'] == "2.0"
    assert values['copyloom_request_seconds_count{route="/v1/decide"}'] == "3.0"
    assert values["copyloom_journal_waiting"] == "0.0"
    assert float(values["copyloom_slots_age_seconds"]) < 60
    assert values["copyloom_overdue"] == "0.0"
    assert "default" not in told.text


def test_pages_of_named_sites_may_ask(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), origins=("https://shop.example",))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    said = shop.client.options("/v1/decide", headers={"Origin": "https://shop.example", **asked})
    assert said.headers["access-control-allow-origin"] == "https://shop.example"
    said = shop.client.options("/v1/decide", headers={"Origin": "https://other.example", **asked})
    assert "access-control-allow-origin" not in said.headers


def until(holds, seconds: float = 10) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_text_is_kept_in_one_line_and_told_so(shop):
    said = shop.client.post("/v1/texts", json={"slot": "hero", "text": "  Boots \n or more. "}, headers=shop.key())
    assert (said.status_code, said.json()["text"]) == (201, "Boots or more.")
