"""Signed webhooks, beside the standard's own library: whose they are, when they are from, what comes twice."""

import io
import json
import re
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from standardwebhooks import Webhook
from typer.testing import CliRunner

from copyloom import InputError
from embeddings.database import reading, writing
from experiments.commands.cli import app as command_line
from experiments.storefront.auth import revoke
from experiments.storefront.intake.webhooks import list_secrets, make_secret, read_secret, signature
from experiments.storefront.retention import forget, prune
from experiments.storefront.slots import MissingError
from experiments.storefront.tables import AuditRow, DeliveryRow, RewardRow, WebhookRow
from experiments.storefront.verify import verify

VECTOR = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The secret of the standard's own example, whose signature it prints."""


def lines(*numbers):
    return [{"type": "reward", "event_id": f"e{number}", "reward_id": "r", "value": 1} for number in numbers]


def told(shop, body, secret, *, message="m1", at=None, name="crm", **changes):
    """Send a body as the standard's library signs it."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    at = at or shop.app.state.service.clock()
    headers = {"webhook-id": message, "webhook-timestamp": str(int(at.timestamp())),
               "webhook-signature": Webhook(secret).sign(message, at, body.decode())}  # fmt: skip
    return shop.client.post(f"/v1/webhooks/{name}", content=body, headers={**headers, **changes})


def rewards(engine):
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(RewardRow))


@pytest.fixture
def secret(shop):
    return make_secret(shop.engine, "default", "crm", "tests")[0]


def test_the_guides_example_signs_as_the_standard_does(monkeypatch):
    guide = (Path(__file__).parents[4] / "docs" / "guide" / "live.md").read_text(encoding="utf-8")
    (example,) = (block for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL) if "whsec_" in block)
    sent = []

    def answer(request):
        sent.append(request)
        return io.BytesIO(b"{}")

    monkeypatch.setattr("urllib.request.urlopen", answer)
    exec(example.replace("whsec_...", VECTOR), {})
    headers = {name.lower(): value for name, value in sent[0].header_items()}
    assert Webhook(VECTOR).verify(sent[0].data, headers)["reward_id"] == "order"


def test_the_standards_example_has_the_signature_that_it_prints():
    body = b'{"test": 2432232314}'
    assert signature(read_secret(VECTOR), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_what_we_sign_the_standards_library_takes(secret):
    at, body = datetime.now(UTC), b'{"a": "\xc3\xa9"}'
    ours = signature(read_secret(secret), "m", str(int(at.timestamp())), body)
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": ours}
    assert Webhook(secret).verify(body, headers) == {"a": "é"}


@pytest.mark.parametrize("form", ["one", "list", "lines", "pretty"])
def test_an_event_a_list_and_lines_are_taken(shop, secret, form):
    shop.client.post("/v1/decide", json={"event_id": "e1", "slot": "hero"}, headers=shop.key())
    some = lines(1, 2) if form in ("list", "lines") else lines(1)
    body = {"one": some[0], "list": some, "lines": b"\n".join(json.dumps(one).encode() for one in some) + b"\n",
            "pretty": json.dumps(some[0], indent=2).encode()}[form]  # fmt: skip
    said = told(shop, body, secret)
    assert said.status_code == 200, said.text
    states = [one["reward"]["state"] for one in said.json()["results"]]
    assert states == ["joined", "dangling"][: len(some)]
    assert rewards(shop.engine) == len(some)
    assert 'copyloom_rewards_total{state="joined"} 1.0' in shop.client.get("/metrics").text


def test_the_same_message_is_absorbed_and_answered_the_same(shop, secret, clock):
    first = told(shop, lines(1, 2), secret)
    clock.turn(7200)  # a try of hours later is signed anew
    again = told(shop, lines(1, 2), secret)
    assert again.json() == first.json()
    assert rewards(shop.engine) == 2
    other = told(shop, lines(3), secret)
    assert other.status_code == 409
    assert "used for another body" in other.json()["detail"]
    assert told(shop, lines(1), secret, message="m2").json()["results"][0]["reward"] == {"state": "duplicate"}
    prune(shop.engine, days=1, by="tests", clock=clock)
    assert told(shop, lines(1, 2), secret).json() == first.json()
    clock.turn(90_000)
    prune(shop.engine, days=1, by="tests", clock=clock)
    with reading(shop.engine) as connection:
        assert connection.execute(select(DeliveryRow)).all() == []


def test_a_message_sent_many_times_at_once_counts_once(make_shop, database):
    shop = make_shop(database, busy_seconds=10)
    secret, _ = make_secret(shop.engine, "default", "crm", "tests")
    answers, begin = [], threading.Barrier(6)

    def send():
        begin.wait()
        answers.append(told(shop, lines(*range(20)), secret))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {said.status_code for said in answers} == {200}
    assert len({said.text for said in answers}) == 1
    assert rewards(shop.engine) == 20
    assert verify(shop.engine) == []


@pytest.mark.parametrize(
    ("change", "status", "what"),
    [
        ({"webhook-signature": "v1,aaaa"}, 401, "no signature"),
        ({"webhook-signature": "v2,é"}, 401, "no signature"),
        ({"webhook-id": "other"}, 401, "no signature"),
        ({"webhook-id": ""}, 400, "send the headers"),
        ({"webhook-timestamp": "today"}, 400, "digits alone"),
        ({"webhook-timestamp": "1796040001"}, 401, "no signature"),
    ],
)
def test_what_is_not_signed_is_refused(shop, secret, change, status, what):
    said = told(shop, lines(1), secret, **{name: value.encode("latin-1") for name, value in change.items()})
    assert said.status_code == status
    assert said.headers["content-type"] == "application/problem+json"
    assert what in said.json()["detail"]
    assert rewards(shop.engine) == 0


def test_too_old_and_too_new_are_refused(shop, secret, clock):
    signed = clock()
    for seconds, words in ((301, "301 s old"), (-602, "301 s ahead")):
        clock.turn(seconds)
        said = told(shop, lines(1), secret, at=signed)
        assert (said.status_code, words in said.json()["detail"]) == (401, True)
    clock.turn(1)  # exactly the tolerance
    assert told(shop, lines(1), secret, at=signed).status_code == 200


def test_unknown_oversized_empty_and_useless_messages_have_their_status(shop, secret):
    assert told(shop, lines(1), secret, name="nobody").status_code == 404
    assert told(shop, b" " * 1_000_001, secret).status_code == 413
    assert told(shop, lines(*range(1001)), secret).status_code == 413
    for body in (b"", b"[]", b"\n"):
        assert told(shop, body, secret).status_code == 422
    said = told(shop, [{"type": "reward"}, "x", None], secret)
    assert said.status_code == 422
    assert [one["where"] for one in said.json()["errors"]] == ["event 1", "event 2", "event 3"]
    at, body = str(int(shop.app.state.service.clock().timestamp())), b"\xff\x00{"
    said = told(shop, b"{}", secret, **{"webhook-signature": signature(read_secret(secret), "m1", at, body)})
    assert said.status_code == 401  # the signature of another body
    with reading(shop.engine) as connection:
        assert connection.execute(select(DeliveryRow)).all() == []


def test_bad_events_harm_no_others(shop, secret):
    some = [*lines(1), {"type": "reward", "event_id": "\ud800", "reward_id": "r", "value": 1}, *lines(2)]
    found = told(shop, some, secret).json()
    assert (found["failed"], [one["status"] for one in found["results"]]) == (1, [202, 422, 202])
    assert rewards(shop.engine) == 2


def test_secrets_are_rotated_without_a_gap(shop, secret):
    newer, kept = make_secret(shop.engine, "default", "crm", "anna")
    old = next(one for one in list_secrets(shop.engine, "default") if one.id != kept.id)
    assert told(shop, lines(1), secret, message="a").status_code == 200
    assert told(shop, lines(2), newer, message="b").status_code == 200
    at = shop.app.state.service.clock()
    both = " ".join(Webhook(one).sign("c", at, json.dumps(lines(3))) for one in (VECTOR, newer))
    assert told(shop, lines(3), secret, message="c", **{"webhook-signature": both}).status_code == 200
    revoke(shop.engine, "default", old.id, "anna", "leaked")
    assert told(shop, lines(4), secret, message="d").status_code == 401
    assert told(shop, lines(4), newer, message="d").status_code == 200
    with pytest.raises(MissingError):
        revoke(shop.engine, "default", old.id, "anna")
    revoke(shop.engine, "default", kept.id, "anna")
    assert told(shop, lines(5), newer, message="e").status_code == 404


def test_a_webhook_tells_its_tenant_alone(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), tenants=("default", "other"))
    secret, _ = make_secret(shop.engine, "other", "crm", "tests")
    shop.client.post("/v1/decide", json={"event_id": "e1", "slot": "hero"}, headers=shop.key())
    said = told(shop, lines(1), secret).json()
    assert said["results"][0]["reward"] == {"state": "dangling"}
    with pytest.raises(InputError, match="taken"):
        make_secret(shop.engine, "default", "crm", "tests")


def test_a_webhook_is_limited_and_not_by_those_who_cannot_sign(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), rate_limit="2/hour")
    secret, _ = make_secret(shop.engine, "default", "crm", "tests")
    assert {told(shop, lines(1), VECTOR).status_code for _ in range(5)} == {401}
    assert [told(shop, lines(n), secret, message=f"m{n}").status_code for n in range(3)] == [200, 200, 429]


def test_an_answer_is_a_text_where_one_is_asked_for(shop, secret):
    said = told(shop, {"type": "decide", "event_id": "e", "slot": "hero"}, secret).json()["results"][0]
    asked = shop.client.post("/v1/decide", json={"event_id": "e", "slot": "hero"}, headers=shop.key()).json()
    assert said["decision"] == asked


@pytest.mark.parametrize("given", ["whsec_!", "whsec_" + "A" * 12, "whsec_" + "A" * 200, ""])
def test_a_secret_that_is_none_is_refused_and_not_repeated(given):
    with pytest.raises(InputError) as error:
        read_secret(given)
    assert not given or given not in str(error.value)


def test_the_commands_make_list_and_revoke(shop, tmp_path):
    def said(*words, **more):
        words = ["keys", *words, "--database", str(tmp_path / "shop.db"), "--json"]
        result = CliRunner().invoke(command_line, words, **more)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    made = said("webhook", "make", "crm", "--given", input=VECTOR + "\n")
    assert (made["secret"], made["path"]) == (VECTOR, "/v1/webhooks/crm")
    assert told(shop, lines(1), VECTOR).status_code == 200
    said("revoke", made["id"])
    (listed,) = said("webhook", "list")["webhooks"]
    assert listed["revoked_at"]
    assert VECTOR not in json.dumps(listed)
    with reading(shop.engine) as connection:
        audited = json.dumps([list(map(str, row)) for row in connection.execute(select(AuditRow.__table__))])
    assert "webhook secret made" in audited
    assert VECTOR.removeprefix("whsec_") not in audited


def test_a_message_that_the_limit_could_never_take_is_told_so_and_uses_nothing_up(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), rate_limit="3/hour")
    secret, _ = make_secret(shop.engine, "default", "crm", "tests")
    large = told(shop, lines(1, 2, 3, 4), secret, message="large")
    assert (large.status_code, "at most 3" in large.json()["detail"]) == (413, True)
    assert told(shop, lines(1, 2, 3), secret, message="small").status_code == 200


def test_who_is_forgotten_is_in_no_answer_that_is_kept(shop, secret):
    who = {"unit": "alice@shop.example", "event_id": "e2"}
    said = told(shop, [*lines(1), who], secret)
    assert (said.json()["failed"], "alice" in said.text) == (1, True)  # whoever sent it sees what is wrong
    forget(shop.engine, "default", "alice@shop.example", "anna")
    with reading(shop.engine) as connection:
        assert connection.execute(select(DeliveryRow.__table__)).all() == []
    assert told(shop, [*lines(1), who], secret).json()["results"][0]["reward"]["state"] == "duplicate"
    assert rewards(shop.engine) == 1


def test_nobody_signs_for_another_tenant_even_where_both_took_a_name_at_once(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), tenants=("default", "other"))
    first, _ = make_secret(shop.engine, "default", "crm", "tests")
    second, kept = make_secret(shop.engine, "other", "erp", "tests")
    with writing(shop.engine) as connection:  # as two processes on PostgreSQL could
        connection.execute(update(WebhookRow).where(WebhookRow.id == kept.id).values(name="crm"))
    assert told(shop, lines(1), second).status_code == 401
    assert told(shop, lines(1), first).status_code == 200


def test_an_address_that_signs_wrongly_again_and_again_is_refused_for_a_while(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), login_limit="3/minute")
    secret, _ = make_secret(shop.engine, "default", "crm", "tests")
    assert [told(shop, lines(1), VECTOR, message=f"m{one}").status_code for one in range(3)] == [401] * 3
    refused = told(shop, lines(1), secret)
    assert (refused.status_code, "fail to sign" in refused.json()["detail"]) == (429, True)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
