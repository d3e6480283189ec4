"""The guide's table of what is refused: each row is tried, and has the status and says the words that stand there."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from embeddings.database import text_id
from experiments.storefront.auth import revoke
from experiments.storefront.review import waiting, write_new
from experiments.texts import MAX_TEXTS

from .conftest import TEXTS

GUIDE = Path(__file__).parents[3] / "docs/guide/live.md"
DECIDE = {"event_id": "e", "slot": "hero"}
REWARD = {"event_id": "e", "reward_id": "r", "value": 1}


def rows() -> list[tuple[str, int, str]]:
    """What is sent, the status and the words, as the guide has them."""
    section = GUIDE.read_text("utf-8").split("## What is refused")[1].split("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| (\d{3}) \| (.+?) \|$", section, re.MULTILINE)
    return [(what, int(status), words) for what, status, words in found]


def raw(path: str, *bodies: bytes, **headers: str) -> Any:
    """Send bytes as a body, one after another."""
    typed = {"Content-Type": "application/json", **headers}
    return lambda shop, key: [shop.client.post(path, content=body, headers=key | typed) for body in bodies]


def post(path: str, *bodies: Any) -> Any:
    """Send bodies one after another; they may hold what JSON has no word for."""
    return raw(path, *(json.dumps(body).encode() for body in bodies))


def second(path: str, first: Any, body: Any) -> Any:
    """Send a body after one that is well."""
    return lambda shop, key: post(path, first, body)(shop, key)[1:]


def wrongly_signed(shop: Any, key: Any) -> list[Any]:
    prefix = key["Authorization"].split("_")[1]
    revoke(shop.engine, "default", prefix, by="tests")
    shop.app.state.service.keys.refresh()
    return [shop.client.get("/v1/slots", headers=one) for one in (key, {}, {"Authorization": "Bearer cl_0_0"})]


def approved_by_its_author(shop: Any, key: Any) -> list[Any]:
    text = shop.client.post("/v1/texts", json={"slot": "hero", "text": "Boots with a heart."}, headers=key).json()
    return [shop.client.post(f"/v1/texts/{text['text_id']}/approve", json={"slot": "hero"}, headers=key)]


def one_more_than_fit(shop: Any, key: Any) -> list[Any]:
    service = shop.app.state.service
    state = service.slots.get("default", "hero").state
    some = [f"Boots number {number}." for number in range(MAX_TEXTS - len(state.shown) - len(waiting(state)))]
    write_new(shop.engine, service.slots, "default", "hero", some, "bert")
    said = post("/v1/texts", {"slot": "hero", "text": "Boots too many.", "instead_of": text_id(some[0])})(shop, key)
    assert said[0].status_code == 201, "a better version of one that waits takes its place"
    return post("/v1/texts", {"slot": "hero", "text": "One more."},
                {"slot": "hero", "text": "One more.", "instead_of": text_id(TEXTS[0])})(shop, key)  # fmt: skip


def too_often(shop: Any, key: Any) -> list[Any]:
    lines = '{"type": "expose", "event_id": "e"}\n' * 5_500
    return [shop.client.post("/v1/events", content=lines, headers=key) for _ in range(2)][1:]


def locked(shop: Any, key: Any) -> list[Any]:
    other = sqlite3.connect(shop.engine.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        return [shop.client.post("/v1/reward", json=REWARD, headers=key)]
    finally:
        other.close()


TRIED: dict[str, Any] = {
    "no key": wrongly_signed,
    "a key without": lambda shop, key: [shop.client.get("/v1/audit", headers=shop.key("decide"))],
    "an address": lambda shop, key: [shop.client.get("/v1/nothing", headers=key)],
    "a slot that": post("/v1/decide", DECIDE | {"slot": "footer"}),
    "a text that": post(f"/v1/texts/{'0' * 64}/pause", {"slot": "hero"}),
    "another method": lambda shop, key: [shop.client.get("/v1/decide", headers=key)],
    "an event id": second("/v1/decide", DECIDE, DECIDE | {"unit_id": "anna"}),
    "a reward id": second("/v1/reward", REWARD, REWARD | {"value": 0.5}),
    "approval of": approved_by_its_author,
    "what there is now": post("/v1/texts", {"slot": "hero", "text": TEXTS[0]}),
    "a text more": one_more_than_fit,
    "a body of more": raw("/v1/decide", b" " * 1_000_001),
    "more than 10,000": raw("/v1/events", b"{}\n" * 10_001),
    "bytes that": raw("/v1/decide", b'{"event_id": "\xff"}'),
    "JSON that": raw("/v1/decide", b"[" * 100_000),
    "a number of": raw("/v1/decide", b'{"event_id": ' + b"9" * 5000 + b"}"),
    "what is no JSON": raw("/v1/decide", b"{'event_id': 1}"),
    "no object": lambda shop, key: [*raw("/v1/decide", b"[]", b"3")(shop, key),
                                    *raw("/v1/decide", b"{}", **{"Content-Type": "text/plain"})(shop, key)],
    "a field too few": post("/v1/decide", {"event_id": "e"}),
    "a field too many": post("/v1/decide", DECIDE | {"unit": "anna"}),
    "an id that": post("/v1/decide", *(DECIDE | {"event_id": one} for one in ("", "e" * 257, "a\0b"))),
    "half of": post("/v1/decide", DECIDE | {"event_id": "\ud800"}),
    "NaN or": post("/v1/reward", *(REWARD | {"value": float(one)} for one in ("nan", "inf", "-inf"))),
    "a reward below": post("/v1/reward", REWARD | {"value": 1.01}),
    "a reward as": post("/v1/reward", REWARD | {"value": "1"}, REWARD | {"value": True}),
    "a time without": post("/v1/expose", {"event_id": "e", "shown_at": "2026-11-29T12:00:00"}),
    "a time that": post("/v1/expose", {"event_id": "e", "shown_at": 12}),
    "a context": post("/v1/decide", DECIDE | {"context": {"a": "x" * 4096}}),
    "a mode": lambda shop, key: [
        *post("/v1/slots/hero/settings", {"changes": {"mode": "onlin"}, "reason": "x"})(shop, key),
        shop.client.get("/v1/texts?slot=hero&state=alive", headers=key)],
    "a rejection": post("/v1/texts/reject", {"slot": "hero", "texts": [text_id(TEXTS[0])]}),
    "more requests": too_often,
    "anything while": locked,
}  # fmt: skip
"""How each row is tried, by its first words."""


def test_what_the_guide_lists_is_refused_as_it_says(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"), rate_limit="10001/minute")
    for what, status, words in rows():
        if what.startswith("a body that does not come"):
            continue  # test_wire.py: it takes a socket
        tries = [one for start, one in TRIED.items() if what.startswith(start)]
        assert len(tries) == 1, f"{what}: say in TRIED how it is tried"
        for said in tries[0](shop, shop.key()):
            assert said.status_code == status, (what, said.text)
            problem = said.json()
            assert problem["status"] == status, what
            assert words in problem["detail"], (what, problem["detail"])
            assert problem["request_id"] == said.headers["x-request-id"]
    assert len(rows()) == len(TRIED) + 1
