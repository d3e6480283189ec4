"""Keys: what is kept of them, what they may do, how soon they stop."""

import time

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from copyloom import InputError
from embeddings.database import reading
from experiments.storefront.auth import Keys, list_keys, make_key, revoke
from experiments.storefront.service import Options
from experiments.storefront.slots import MissingError
from experiments.storefront.tables import AuditRow, KeyRow


def test_only_the_hash_of_a_key_is_kept(shop):
    presented, key = make_key(shop.engine, "default", "cms", ["read"], by="anna")
    with reading(shop.engine) as connection:
        kept = [str(value) for row in connection.execute(select(KeyRow.__table__)) for value in row]
        audited = [row.after + row.subject for row in connection.execute(select(AuditRow.__table__))]
    secret = presented.split("_", 2)[2]
    assert not [value for value in [*kept, *audited] if secret in value]
    assert presented.startswith(f"cl_{key.prefix}_")
    assert len(secret) >= 43  # 256 bits


def test_keys_are_found_listed_and_revoked(shop):
    keys = Keys(shop.engine)
    presented, key = make_key(shop.engine, "default", "cms", ["read", "decide"], by="anna")
    keys.refresh()
    assert keys.find(presented) == key
    wrong = [presented[:-1], presented + "x", key.prefix, "", "cl_", "cl__", "cl_a_b", "x" + presented, "cl_\udc80_é"]
    assert not [one for one in wrong if keys.find(one)]
    with pytest.raises(MissingError, match="no key"):
        revoke(shop.engine, "other", key.prefix, by="anna")
    revoke(shop.engine, "default", key.prefix, by="anna", reason="left")
    keys.refresh()
    assert keys.find(presented) is None
    assert [one.revoked_at is not None for one in list_keys(shop.engine, "default")] == [True]
    with pytest.raises(MissingError):
        revoke(shop.engine, "default", key.prefix, by="anna")


@pytest.mark.parametrize(
    ("scopes", "name", "what"),
    [(["reed"], "cms", "there is no scope 'reed'"), ([], "cms", "without a scope"), (["read"], "", "1 to 200"),
     (["read"], "Guardrail", "acts in the name"), (["read"], " automatic  approval", "acts in the name")],
)  # fmt: skip
def test_a_key_that_makes_no_sense_is_refused(shop, scopes, name, what):
    with pytest.raises(InputError, match=what):
        make_key(shop.engine, "default", name, scopes, by="anna")


def test_a_revoked_key_stops_within_two_seconds(shop):
    header = shop.key("read")
    assert shop.client.get("/v1/slots", headers=header).status_code == 200
    prefix = header["Authorization"].split("_")[1]
    revoke(shop.engine, "default", prefix, by="anna")
    deadline = time.monotonic() + 2
    while shop.client.get("/v1/slots", headers=header).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert shop.client.get("/v1/slots", headers=header).status_code == 401


def test_a_key_that_is_none_opens_nothing(shop):
    for presented in ("cl_0_0", "' OR 1=1 --", "é", "cl_%00_x", "a" * 10_000):
        for header in ("Authorization", "Ocp-Apim-Subscription-Key"):
            value = f"Bearer {presented}" if header == "Authorization" else presented
            said = shop.client.get("/v1/slots", headers={header: value.encode("latin-1")})
            assert said.status_code == 401
            assert presented not in said.text


def test_personalizers_header_carries_a_key_too(shop):
    presented = shop.key("read")["Authorization"].removeprefix("Bearer ")
    assert shop.client.get("/v1/slots", headers={"Ocp-Apim-Subscription-Key": presented}).status_code == 200


def test_a_key_that_sends_too_much_is_told_when_to_go_on(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), rate_limit="3/hour")
    mine, other = shop.key("read", "reward"), shop.key("read")
    assert [shop.client.get("/v1/slots", headers=mine).status_code for _ in range(4)] == [200, 200, 200, 429]
    said = shop.client.get("/v1/slots", headers=mine)
    assert 1 <= int(said.headers["retry-after"]) <= 3600
    assert "3 per 1 hour" in said.json()["detail"]
    assert shop.client.get("/v1/slots", headers=other).status_code == 200
    line, again = '{"type": "expose", "event_id": "e"}\n', shop.key("reward")
    assert shop.client.post("/v1/events", content=line * 4, headers=again).status_code == 413  # it never could
    assert shop.client.post("/v1/events", content=line * 3, headers=again).status_code == 429  # one is used up
    fresh = shop.key("reward")
    assert shop.client.post("/v1/events", content=line * 3, headers=fresh).status_code == 200


def test_a_visitor_uses_up_no_more_than_her_own_of_a_public_key(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), rate_limit="9/hour", address_limit="2/hour")
    presented, key = make_key(shop.engine, "default", "page", ["decide", "reward"], by="anna", public=True)
    shop.app.state.service.keys.refresh()
    assert key.public

    def ask(address: str, times: int) -> list[int]:
        client = TestClient(shop.app, client=(address, 1), headers={"Authorization": f"Bearer {presented}"})
        return [client.post("/v1/expose", json={"event_id": "e"}).status_code for _ in range(times)]

    assert ask("203.0.113.7", 4) == [204, 204, 429, 429]
    assert ask("2001:db8::7", 3) == [204, 204, 429]
    assert ask("2001:db8::8", 1) == [429]  # of the same /64
    others = shop.key("reward")
    assert shop.client.post("/v1/expose", json={"event_id": "e"}, headers=others).status_code == 204
    with pytest.raises(InputError, match="cannot have the scope 'admin'"):
        make_key(shop.engine, "default", "page", ["decide", "admin"], by="anna", public=True)


def test_the_address_of_a_visitor_comes_from_a_proxy_that_is_trusted_and_from_no_other(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), address_limit="1/hour")
    presented, _ = make_key(shop.engine, "default", "page", ["reward"], by="anna", public=True)
    shop.app.state.service.keys.refresh()
    behind = ProxyHeadersMiddleware(shop.app, trusted_hosts=["10.0.0.0/8"])  # as `serve` has it from uvicorn

    def ask(sender: str, forwarded: str) -> int:
        client = TestClient(behind, client=(sender, 1), headers={"Authorization": f"Bearer {presented}"})
        said = client.post("/v1/expose", json={"event_id": "e"}, headers={"X-Forwarded-For": forwarded})
        return said.status_code

    assert [ask("10.1.2.3", "203.0.113.7"), ask("10.1.2.3", "203.0.113.8")] == [204, 204]
    assert ask("10.1.2.3", "1.1.1.1, 203.0.113.7") == 429  # what she wrote herself before the proxy's word
    assert [ask("198.51.100.1", "203.0.113.9"), ask("198.51.100.1", "203.0.113.10")] == [204, 429]
    with pytest.raises(InputError, match=r"the proxy 'nginx' is no address"):
        Options(proxies=("nginx",)).check()


def test_a_rate_limit_that_cannot_be_read_is_refused(make_shop, tmp_path):
    with pytest.raises(InputError, match="100/second"):
        make_shop(str(tmp_path / "shop.db"), rate_limit="many")
