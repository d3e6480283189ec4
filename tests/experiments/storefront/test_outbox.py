"""What is told to other systems: signed, once a message, until it is taken; over real HTTP."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner

from copyloom import InputError
from embeddings.database import text_id
from experiments.commands.cli import app as command_line
from experiments.storefront.outbox import GUARD, LEASE_SECONDS, RETRY_SECONDS, Outbox, add, drop, targets
from experiments.storefront.slots import MissingError, switch

NEW = "Boots with a heart."


class Receiver(ThreadingHTTPServer):
    """A system that checks signatures with the standard's library, and answers as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.secret, self.heard = 204, "", []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        told = Webhook(self.server.secret).verify(body, dict(self.headers))
        self.server.heard.append((self.headers["webhook-id"], told))
        self.send_response(self.server.status)
        self.send_header("Location", "/other")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sent(shop, receiver, clock):
    """The outbox of a shop that tells the receiver; after a round of its own slots."""
    clock.at = datetime.now(UTC)  # the receiver's clock is the true one
    receiver.secret = add(shop.engine, "default", "crm", receiver.url, "tests", clock)
    slots = shop.app.state.service.slots

    def round_() -> int:
        slots.refresh()
        return Outbox(shop.engine, slots, clock).round()

    return round_


def write(shop, text=NEW):
    body = {"slot": "hero", "text": text}
    return shop.client.post("/v1/texts", json=body, headers=shop.key(name="anna")).json()["text_id"]


def test_texts_that_wait_and_are_approved_are_told_once(shop, receiver, sent):
    assert sent() == 0  # the slate was there before
    number = write(shop)
    assert [sent(), sent()] == [1, 0]
    shop.client.post(
        f"/v1/texts/{number}/approve", json={"slot": "hero", "reason": "fine"}, headers=shop.key(name="bea")
    )
    assert [sent(), sent()] == [1, 0]
    assert [told["type"] for _, told in receiver.heard] == ["text.waiting", "text.approved"]
    assert receiver.heard[0][1]["data"] == {"slot": "hero", "text_id": number, "text": NEW}
    assert len({name for name, _ in receiver.heard}) == 2


def test_a_slot_that_a_guardrail_turned_off_is_told(shop, receiver, sent):
    slot = shop.app.state.service.slots.get("default", "hero")
    switch(shop.engine, slot, on=False, by="anna", reason="holidays")
    switch(shop.engine, slot, on=False, by=GUARD, reason="fewer clicks than the holdout")
    assert sent() == 1
    assert receiver.heard[0][1]["type"] == "slot.paused"
    assert receiver.heard[0][1]["data"] == {"slot": "hero", "reason": "fewer clicks than the holdout"}


def test_what_new_brand_rules_take_from_the_page_is_told(shop, receiver, sent):
    number = write(shop)
    body = {"slot": "hero", "reason": "fine"}
    shop.client.post(f"/v1/texts/{number}/approve", json=body, headers=shop.key(name="bea"))
    sent()
    receiver.heard.clear()
    rules = {"rules": {"banned": ["days", "heart"]}, "reason": "neither"}
    shop.client.put("/v1/brand", json=rules, headers=shop.key(name="anna") | {"If-Match": '"0"'})
    assert [sent(), sent()] == [2, 0]
    told = {one["type"]: one["data"] for _, one in receiver.heard}
    live, why = "Warm boots for cold days.", "version 1: the brand bans"
    assert told == {
        "text.paused": {"slot": "hero", "text_id": text_id(live), "text": live, "reason": f"{why} 'days'"},
        "text.rejected": {"slot": "hero", "text_id": number, "text": NEW, "reason": f"{why} 'heart'"},
    }


@pytest.mark.parametrize("status", [500, 302, 404, None])
def test_what_is_not_taken_comes_again_under_the_same_id(shop, receiver, sent, clock, monkeypatch, status):
    write(shop)
    if status is None:
        monkeypatch.setattr(Outbox, "_answer", lambda *_: "no answer: refused")
    receiver.status = status or 204
    assert [sent(), sent()] == [0, 0]  # not due again yet
    (target,) = targets(shop.engine, "default")
    assert (target.sent, target.due, target.given_up) == (0, 1, 0)
    assert target.last == (f"status {status}" if status else "no answer: refused")
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    receiver.status = 204
    clock.turn(RETRY_SECONDS[0])
    assert sent() == 1
    assert len({name for name, _ in receiver.heard}) == 1
    assert targets(shop.engine, "default")[0].sent == 1


def test_of_two_workers_one_sends_a_message(make_shop, database, clock):
    shop = make_shop(database)
    add(shop.engine, "default", "crm", "https://crm.example/copyloom", "tests", clock)
    write(shop)
    slots = shop.app.state.service.slots
    slots.refresh()
    told = []

    def post(url, body, headers):
        told.append(headers["webhook-id"])
        if len(told) == 1:
            assert Outbox(shop.engine, slots, clock, post).round() == 0  # another one, while the first sends
        return 204

    assert Outbox(shop.engine, slots, clock, post).round() == 1
    assert len(told) == 1


def test_who_was_taken_for_dead_puts_off_nothing_of_the_one_who_took_over(shop, clock):
    add(shop.engine, "default", "crm", "https://crm.example/copyloom", "tests", clock)
    write(shop)
    slots = shop.app.state.service.slots
    slots.refresh()

    def slow(*_):
        clock.turn(LEASE_SECONDS)
        assert Outbox(shop.engine, slots, clock, lambda *_: 204).round() == 1
        return 500

    assert Outbox(shop.engine, slots, clock, slow).round() == 0
    (target,) = targets(shop.engine, "default")
    assert (target.sent, target.due, target.given_up) == (1, 0, 0)


def test_a_worker_that_died_before_it_noted_the_answer_sends_it_again(shop, receiver, sent, clock, monkeypatch):
    write(shop)
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "_note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sent()
    assert sent() == 0  # another worker may be sending it
    clock.turn(LEASE_SECONDS)
    assert sent() == 1
    assert receiver.heard[0] == receiver.heard[1]


def test_after_the_last_try_a_message_is_given_up_and_counted(shop, sent, clock):
    write(shop)
    slots = shop.app.state.service.slots
    slots.refresh()
    broken = Outbox(shop.engine, slots, clock, post=lambda *_: 503)
    for wait in (*RETRY_SECONDS, 10**6):
        broken.round()
        clock.turn(wait)
    (target,) = targets(shop.engine, "default")
    assert (target.sent, target.due, target.given_up, target.last) == (0, 0, 1, "status 503")
    assert broken.round() == 0


def test_a_target_that_is_gone_and_one_that_was_dropped_hear_no_more(shop, receiver, sent, clock):
    write(shop)
    receiver.status = 410
    sent()
    clock.turn(10)
    write(shop, "Boots for two.")
    assert sent() == 0
    assert len(receiver.heard) == 1
    assert targets(shop.engine, "default")[0].ended_at
    with pytest.raises(MissingError):
        drop(shop.engine, "default", "crm", "tests")


def test_tenants_hear_nothing_of_each_other(make_shop, tmp_path, receiver, clock):
    clock.at = datetime.now(UTC)
    shop = make_shop(str(tmp_path / "shop.db"), tenants=("default", "other"))
    receiver.secret = add(shop.engine, "other", "crm", receiver.url, "tests", clock)
    write(shop)
    slots = shop.app.state.service.slots
    slots.refresh()
    assert Outbox(shop.engine, slots, clock).round() == 0
    assert receiver.heard == []


@pytest.mark.parametrize("url", ["ftp://a/b", "crm.example", "https://", "file:///etc/passwd", "http://a:b/"])
def test_what_is_no_address_is_refused(shop, url):
    with pytest.raises(InputError, match="no address"):
        add(shop.engine, "default", "crm", url, "tests")


@pytest.mark.parametrize(("url", "here"), [
    ("http://crm.example/hook", False), ("HTTP://10.0.0.7/hook", False), ("http://localhost.example/", False),
    ("http://127.0.0.1:8080/hook", True), ("http://[::1]/hook", True), ("http://localhost/hook", True),
])  # fmt: skip
def test_what_leaves_the_machine_is_encrypted_unless_asked_otherwise(shop, url, here):
    if not here:
        with pytest.raises(InputError, match="--plain-http"):
            add(shop.engine, "default", "crm", url, "tests")
    add(shop.engine, "default", "crm", url, "tests", plain_http=not here)
    assert [one.url for one in targets(shop.engine, "default")] == [url]


def test_the_commands_add_list_and_drop(shop, tmp_path):
    def said(*words):
        database = str(tmp_path / "shop.db")
        result = CliRunner().invoke(command_line, ["keys", "webhook", *words, "--database", database, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    secret = said("add", "crm", "https://crm.example/copyloom")["secret"]
    assert secret.startswith("whsec_")
    (listed,) = said("list")["targets"]
    assert (listed["name"], listed["due"], listed["ended_at"]) == ("crm", 0, None)
    assert secret not in json.dumps(listed)
    said("drop", "crm")
    assert said("list")["targets"][0]["ended_at"]


def test_a_target_that_speaks_no_http_keeps_no_other_from_its_messages(shop, receiver, sent, clock):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"220 mail.example\r\n\r\n")

        add(shop.engine, "default", "bad", f"http://127.0.0.1:{server.getsockname()[1]}/", "tests", clock)
        threading.Thread(target=answer, daemon=True).start()
        write(shop)
        assert sent() == 1
    assert len(receiver.heard) == 1
    bad = targets(shop.engine, "default")[0]
    assert (bad.name, bad.due, bad.last) == ("bad", 1, "no answer: 220 mail.example\r\n")


def test_who_reads_the_audit_log_does_not_learn_the_secret_of_an_address(shop, clock):
    add(shop.engine, "default", "chat", "https://chat.example/hooks/T0/Geheim", "tests", clock)
    said = shop.client.get("/v1/audit", headers=shop.key("read")).text
    assert "chat.example" in said
    assert "Geheim" not in said
