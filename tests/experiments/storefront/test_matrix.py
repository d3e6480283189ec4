"""Who may do what: every route, with every scope, and with keys that do not hold or are another tenant's.

The table is written by hand. A route that is not in it fails the test, and so does one whose scopes are others.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from experiments.storefront.auth import SCOPES, revoke

from .conftest import TEXTS, Shop

OPEN = {
    "/",
    "/copyloom.js",
    "/health",
    "/ready",
    "/metrics",
    "/ui/style.css",
    "/ui/review.js",
    "/ui/login",
    "/v1/webhooks/{name}",
}  # the last is signed instead: see intake/
LOOK = "read review publish admin"
PERSONALIZER = ("/personalizer/v1.0", "/personalizer/{slot}/v1.0", "/slots/{slot}/personalizer/v1.0")
MATRIX = {
    "POST /v1/decide": "decide",
    "POST /v1/expose": "reward",
    "POST /v1/reward": "reward",
    "POST /v1/events": "decide reward",
    "GET /v1/slots": "read",
    "POST /v1/slots/{slot}/settings": "admin",
    "POST /v1/slots/{slot}/kill": "publish",
    "GET /v1/texts": "read",
    "POST /v1/texts": "review",
    "GET /v1/snapshots": "read",
    "GET /v1/brand": "read",
    "GET /v1/brand/versions": "read",
    "PUT /v1/brand": "publish admin",
    "POST /v1/brand/check": "read review",
    "GET /v1/audit": "read",
    **{f"POST /v1/texts/{text}{action}": scope for text in ("", "{text}/") for action, scope in (
        ("approve", "review"), ("reject", "review"), ("pause", "publish"), ("resume", "publish"),
        ("retire", "publish"))},
    **{f"POST {prefix}/rank": "decide" for prefix in PERSONALIZER},
    **{f"POST {prefix}/events/{{event}}/activate": "reward" for prefix in PERSONALIZER},
    **{f"POST {prefix}/events/{{event}}/reward": "reward" for prefix in PERSONALIZER},
}  # fmt: skip
"""Routes of the API, and the scopes of which a key must have one."""
PAGES = {
    "GET /ui": LOOK,
    "GET /ui/audit": LOOK,
    "GET /ui/brand": LOOK,
    "POST /ui/brand": "publish admin",
    "GET /ui/slots/{name}": LOOK,
    "GET /ui/slots/{name}/review": LOOK,
    "POST /ui/slots/{name}/review": "review",
    "GET /ui/slots/{name}/texts": LOOK,
    "GET /ui/slots/{name}/texts/{number}": LOOK,
    "POST /ui/slots/{name}/texts/{number}": "review",
    "GET /ui/slots/{name}/settings": LOOK,
    "POST /ui/slots/{name}/settings": "admin",
    "POST /ui/slots/{name}/off": "publish admin",
    "POST /ui/logout": LOOK,
}
"""Pages, and the scopes of which the key must have one that someone is signed in with."""
SENT = {"action": "approve", "which": "0" * 64, "reason": "x"}


def routes(app: Any) -> Iterator[tuple[str, str, APIRoute]]:
    """Every method, path and route of the application's own."""
    for route in app.routes:
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(one, APIRoute):
                yield from ((method, one.path_format, one) for method in sorted(one.methods))


def filled(path: str) -> str:
    """A path with something in its places."""
    return path.replace("{slot}", "hero").replace("{text}", "0" * 64).replace("{event}", "e")


@pytest.fixture
def shop(make_shop: Any, tmp_path: Any) -> Shop:
    """A service where one address may sign in often."""
    found: Shop = make_shop(str(tmp_path / "shop.db"), login_limit="1000/minute")
    return found


@pytest.fixture
def two(make_shop: Any, tmp_path: Any) -> Shop:
    """A service with two tenants, each with a slot "hero"."""
    shop: Shop = make_shop(str(tmp_path / "shop.db"), tenants=("default", "other"))
    return shop


def asked(shop: Shop, route: str, key: dict[str, str]) -> Any:
    """What a route answers to an empty body."""
    method, path = route.split(" ")
    return shop.client.request(method, filled(path), headers=key, **({"json": {}} if method in ("POST", "PUT") else {}))


def test_every_route_is_in_the_table_with_the_scopes_that_it_says(shop):
    found = {f"{method} {path}": route for method, path, route in routes(shop.app)}
    kept = set(MATRIX) | set(PAGES)
    assert {route for route in found if route.split(" ")[1] not in OPEN} == kept
    assert {route: set((found[route].openapi_extra or {})["x-scopes"]) for route in MATRIX} == {
        route: set(scopes.split()) for route, scopes in MATRIX.items()
    }


def test_each_route_takes_the_scopes_that_it_says_and_no_others(shop):
    """Without a key, with one that is wrong or revoked 401; with the others' scopes 403; with its own neither."""
    keys = {scope: shop.key(scope) for scope in SCOPES}
    revoked = shop.key()
    prefix = revoked["Authorization"].split("_")[1]
    revoke(shop.engine, "default", prefix, by="anna")
    shop.app.state.service.keys.refresh()
    wrong = {"Authorization": revoked["Authorization"][:-4] + "wxyz"}
    page = shop.key("decide", "reward")
    for route, scopes in MATRIX.items():
        allowed = set(scopes.split())
        for none in ({}, wrong, revoked, {"Ocp-Apim-Subscription-Key": "cl_0_0"}):
            said = asked(shop, route, none)
            assert (said.status_code, said.headers["www-authenticate"]) == (401, "Bearer"), route
        for scope, header in keys.items():
            status = asked(shop, route, header).status_code
            assert (status == 403) == (scope not in allowed), (route, scope, status)
            assert status not in (401, 500), (route, scope, status)
        assert (asked(shop, route, page).status_code == 403) == (not allowed & {"decide", "reward"}), route


class Person:
    """Someone who is signed in to the pages with some scopes."""

    def __init__(self, shop: Shop, *scopes: str, tenant: str = "default") -> None:
        self.client, key = shop.client, shop.key(*scopes, tenant=tenant)
        self.client.cookies.clear()
        token = re.search(r'name="token" value="([^"]+)"', self.client.get("/ui/login").text)
        sent = {"token": token[1] if token else "", "key": key["Authorization"].removeprefix("Bearer ")}
        self.client.post("/ui/login", data=sent, follow_redirects=False)
        found = re.search(r'name="token" value="([^"]+)"', self.client.get("/ui/audit").text)
        self.token = found[1] if found else ""

    def asks(self, route: str, **fields: str) -> Any:
        """What a page answers, with the form's token."""
        method, path = route.split(" ")
        path = path.replace("{name}", "hero").replace("{number}", "0" * 64)
        sent = {"data": {"token": self.token, **SENT, **fields}} if method == "POST" else {}
        return self.client.request(method, path, follow_redirects=False, **sent)


def test_each_page_takes_the_scopes_that_it_says_and_no_others(shop):
    for route in PAGES:
        shop.client.cookies.clear()
        method, path = route.split(" ")
        said = shop.client.request(method, path.replace("{name}", "hero").replace("{number}", "0"),
                                   follow_redirects=False, **({"data": SENT} if method == "POST" else {}))  # fmt: skip
        assert (said.status_code, said.headers["location"].split("?")[0]) == (303, "/ui/login"), route
    for scope in SCOPES:
        person = Person(shop, scope)
        for route, scopes in PAGES.items():
            if route.endswith("logout"):
                continue
            status = person.asks(route).status_code
            assert (status == 403) == (scope not in scopes.split()), (route, scope, status)
            assert status < 500, (route, scope)
    for action, scope in (("approve", "review"), ("reject", "review"), ("edit", "review"), ("pause", "publish"),
                          ("resume", "publish"), ("retire", "publish")):  # fmt: skip
        for other in ("read", "review", "publish", "admin"):
            said = Person(shop, other).asks("POST /ui/slots/{name}/texts/{number}", action=action)
            assert (said.status_code == 403) == (other != scope), (action, other)


def test_a_tenant_finds_nothing_of_anothers(two):
    """Its events, texts and slots are 404 to others, or not there; and no answer holds anything of them."""
    mine, other = two.key(), two.key(tenant="other")
    secret = "Secret boots of ours."
    text = two.client.post("/v1/texts", json={"slot": "hero", "text": secret}, headers=mine).json()["text_id"]
    two.client.post("/v1/decide", json={"event_id": "e", "slot": "hero", "unit_id": "anna"}, headers=mine)
    two.client.post("/v1/slots/hero/kill", json={"reason": "secret reason"}, headers=mine)
    bodies: dict[str, dict[str, Any]] = {
        "decide": {"event_id": "e", "slot": "hero"}, "rank": {"eventId": "e"}, "expose": {"event_id": "e"},
        "reward": {"event_id": "e", "reward_id": "r", "value": 1}, "kill": {},
        "settings": {"changes": {"mode": "off"}, "reason": "x"},
        "texts": {"slot": "hero", "text": secret[:-1], "instead_of": text}, "activate": {},
    }  # fmt: skip
    for route in MATRIX:
        method, path = route.split(" ")
        what = path.rsplit("/", 1)[1]
        body = bodies.get(what, {"slot": "hero", "reason": "x", **({} if "{text}" in path else {"texts": [text]})})
        if "personalizer" in path and what == "reward":
            body = {"value": 1}
        sent: dict[str, Any] = {"json": body} if method in ("POST", "PUT") else {"params": {"slot": "hero"}}
        said = two.client.request(method, path.format(slot="hero", text=text, event="e"), headers=other, **sent)
        assert said.status_code < 500, route
        assert not re.search("(?i)secret|anna", said.text), (route, said.text)
        if path.startswith("/v1/texts") and method == "POST":
            assert said.status_code == 404, (route, said.text)
    listed = two.client.get("/v1/texts?slot=hero", headers=mine).json()
    assert {one["text"]: one["state"] for one in listed} == {**dict.fromkeys(TEXTS, "live"), secret: "in review"}
    said = two.client.post("/v1/reward", json={"event_id": "e", "reward_id": "s", "value": 1}, headers=mine)
    assert said.json() == {"state": "joined"}

    person = Person(two, *SCOPES, tenant="other")
    for route in PAGES:
        if route.endswith("logout"):
            continue
        method, path = route.split(" ")
        sent = {"data": {"token": person.token, **SENT, "which": text}} if method == "POST" else {}
        said = two.client.request(method, path.format(name="hero", number=text), **sent)
        assert said.status_code < 500, route
        assert not re.search("(?i)secret boots|secret reason|anna", said.text), route
        if "{number}" in path:
            assert said.status_code in (404, 422), route
    assert two.client.get("/v1/texts?slot=hero", headers=mine).json() == listed


HOSTILE = ["'; DROP TABLE decisions; --", "\" OR 1=1", "{{1111*37}} {% raw %}", "${1111*37} #{1111*37}",
           "<script>alert(1)</script>",
           "\"><img src=x onerror=alert(1)>", "a\r\nSet-Cookie: a=b", "a%0d%0aSet-Cookie:%20a=b", "../../etc/passwd",
           "\u202etxt", "𝔘🧦", "=1+1", "javascript:alert(1)"]  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE)
def test_what_is_sent_is_never_a_command_a_header_or_markup(shop, words):
    """In texts, reasons, names of keys and of slots, ids and addresses; on the API and on every page."""
    anna, bert = shop.key(name=words), shop.key(name="bert")
    text = f"Boots {words}".replace("\r\n", " ")
    said = shop.client.post("/v1/texts", json={"slot": "hero", "text": text, "reason": words}, headers=anna)
    known = "\u202e" not in words  # what cannot be seen is refused
    assert said.status_code == (201 if known else 409), said.text
    if known:
        assert said.json()["text"] == text
        number = said.json()["text_id"]
        approved = shop.client.post(f"/v1/texts/{number}/approve", json={"slot": "hero", "reason": words}, headers=bert)
        assert approved.status_code == 200
    shop.client.post("/v1/slots/hero/kill", json={"reason": words}, headers=bert)
    address = quote(words, safe="/")
    for path in (f"/v1/texts?slot={address}", f"/v1/slots/{address}/kill", f"/{address}", f"/ui/slots/{address}",
                 f"/ui/login?next={address}", f"/v1/audit?before={address}"):  # fmt: skip
        for method in ("GET", "POST"):
            said = shop.client.request(method, path, headers=bert, follow_redirects=False)
            assert said.status_code < 500, path
            assert "set-cookie" not in said.headers or "copyloom" in said.headers["set-cookie"]
            assert "\n" not in "".join(said.headers.values())
    person = Person(shop, *SCOPES)
    for path in ("/ui/slots/hero", "/ui/slots/hero/review", "/ui/slots/hero/texts", "/ui/slots/hero/settings",
                 "/ui/audit", *([f"/ui/slots/hero/texts/{number}"] if known else []),
                 f"/ui/slots/hero/texts?state={address}",
                 f"/ui/slots/hero/review?order={address}", f"/ui?done={address}"):  # fmt: skip
        page = person.client.get(path)
        assert page.status_code in (200, 404), path
        assert not re.search(r"<script(?! src=\"/ui/review.js)|<img|onerror=alert\(1\)>$|href=\"javascript", page.text)
        assert "41107" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
    assert len(shop.client.get("/v1/texts?slot=hero", headers=bert).json()) == len(TEXTS) + known
