"""Keys: what is kept of them, what they may do, how soon they stop."""

import time

import pytest
from sqlalchemy import select

from copyloom import InputError
from embeddings.database import reading
from experiments.storefront.auth import Keys, list_keys, make_key, revoke_key
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
        revoke_key(shop.engine, "other", key.prefix, by="anna")
    revoke_key(shop.engine, "default", key.prefix, by="anna", reason="left")
    keys.refresh()
    assert keys.find(presented) is None
    assert [one.revoked_at is not None for one in list_keys(shop.engine, "default")] == [True]
    with pytest.raises(MissingError):
        revoke_key(shop.engine, "default", key.prefix, by="anna")


@pytest.mark.parametrize(
    ("scopes", "name", "what"),
    [(["reed"], "cms", "there is no scope 'reed'"), ([], "cms", "without a scope"), (["read"], "", "1 to 200")],
)
def test_a_key_that_makes_no_sense_is_refused(shop, scopes, name, what):
    with pytest.raises(InputError, match=what):
        make_key(shop.engine, "default", name, scopes, by="anna")


def test_a_revoked_key_stops_within_two_seconds(shop):
    header = shop.key("read")
    assert shop.client.get("/v1/slots", headers=header).status_code == 200
    prefix = header["Authorization"].split("_")[1]
    revoke_key(shop.engine, "default", prefix, by="anna")
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
    lines = "\n".join(['{"type": "expose", "event_id": "e"}'] * 4)
    again = shop.key("reward")
    assert shop.client.post("/v1/events", content=lines, headers=again).status_code == 429


def test_a_rate_limit_that_cannot_be_read_is_refused(make_shop, tmp_path):
    with pytest.raises(InputError, match="100/second"):
        make_shop(str(tmp_path / "shop.db"), rate_limit="many")
