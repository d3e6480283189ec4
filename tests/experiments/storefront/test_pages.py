"""An editor's way through the pages, without a script; and what hostile texts, forms and strangers cannot do."""

import asyncio
import re
from datetime import UTC, datetime
from hashlib import sha256
from html import unescape
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from embeddings.database import text_id, writing
from embeddings.summary import Lineage
from experiments.campaigns.events import Draft, Written
from experiments.storefront.decide import Question
from experiments.storefront.pages import pages
from experiments.storefront.predictions import Predicted, keep_predictions
from experiments.storefront.slots import Slots, change_settings

from .example import SLOT, TENANT, Clock, fill, happen, keys, publish

HERO = f"/ui/slots/{SLOT}"
SAFE = "A backpack that holds more than it seems."
BAD = "A water-resistant backpack in copper, loved by Vogue."
HOSTILE = "<script>alert(1)</script> {{ 1111*37 }} the backpack of your heart & more."
EDITED = "A backpack that stands up to daily commuting and holds more than it seems."


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A filled database, copied for each test."""
    path, clock = tmp_path_factory.mktemp("filled") / "shop.db", Clock(datetime(2026, 11, 2, 6, tzinfo=UTC))
    fill(str(path), clock, many=150).dispose()
    return path, clock.at


class Browser:
    """What a browser without scripts does: follows links, sends the forms of a page, keeps cookies."""

    def __init__(self, app: FastAPI) -> None:
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://shop", follow_redirects=True
        )
        self.response: httpx.Response

    def get(self, path: str) -> str:
        self.response = asyncio.run(self.client.get(path))
        return self.response.text

    def post(self, path: str, **fields) -> str:
        token = re.search(
            r'name="token" value="([^"]+)"', self.get(path if path != f"{HERO}/off" else f"{HERO}/settings")
        )
        sent = {"token": token[1] if token else "", **fields}
        self.response = asyncio.run(self.client.post(path, data=sent))
        return unescape(self.response.text)

    def sign_in(self, key: str) -> "Browser":
        self.post("/ui/login", key=key)
        return self


@pytest.fixture
def shop(filled, tmp_path):
    from shutil import copy

    from experiments.storefront.slots import open_storefront

    path, at = filled
    copy(path, tmp_path / "shop.db")
    engine = open_storefront(str(tmp_path / "shop.db"))
    shop = FastAPI()
    shop.state.slots, shop.state.keys, shop.state.clock = Slots(engine), keys(), Clock(at)
    shop.include_router(pages(engine, shop.state.slots, shop.state.keys, shop.state.clock))
    yield shop
    engine.dispose()


def test_nobody_sees_anything_without_a_key(shop):
    browser = Browser(shop)
    for path in ("/ui", HERO, f"{HERO}/review", f"{HERO}/texts", f"{HERO}/settings", "/ui/audit"):
        assert "Sign in" in browser.get(path)
        assert browser.response.url.path == "/ui/login"
    assert "no such key" in browser.post("/ui/login", key="guessed")
    assert browser.response.status_code == 401


def test_signing_in_leads_where_one_wanted_to_go_and_nowhere_else(shop):
    browser = Browser(shop)
    browser.post("/ui/login", key="anna-key", next=f"{HERO}/review")
    assert browser.response.url.path == f"{HERO}/review"
    cookie = next(one for one in browser.response.history[0].headers.get_list("set-cookie") if "session" in one)
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "anna-key" not in cookie
    for elsewhere in ("https://evil.test/", "//evil.test", "/ui/\\evil.test", "/uievil", "/v1/texts"):
        other = Browser(shop)
        other.post("/ui/login", key="anna-key", next=elsewhere)
        assert (other.response.url.host, other.response.url.path) == ("shop", "/ui")


def test_a_session_ends_with_its_key_with_time_and_when_one_signs_out(shop):
    browser = Browser(shop).sign_in("bert-key")
    assert "Not enough evidence yet" in browser.get(HERO)
    kept = shop.state.keys.held.pop("bert-key")
    assert "Sign in" in browser.get(HERO)
    shop.state.keys.held["bert-key"] = kept
    assert "Sign in" not in browser.get(HERO)
    shop.state.clock.turn(hours=13)
    assert "Sign in" in browser.get(HERO)
    browser.sign_in("bert-key")
    token = re.search(r'name="token" value="([^"]+)"', browser.get(HERO))[1]
    stolen = dict(browser.client.cookies)
    asyncio.run(browser.client.post("/ui/logout", data={"token": token}))
    assert "Sign in" in browser.get(HERO)
    browser.client.cookies.update(stolen)  # the cookie itself is worth nothing any more, in whichever process
    assert "Sign in" in browser.get(HERO)


def test_who_tries_many_keys_or_asks_without_end_is_told_when_to_go_on(shop):
    browser = Browser(shop)
    said = [browser.post("/ui/login", key=f"guess {number}") for number in range(21)]
    assert browser.response.status_code == 429
    assert ["may try to sign in 20 per 1 minute" in page for page in said] == [False] * 20 + [True]
    assert 1 <= int(browser.response.headers["retry-after"]) <= 60
    assert "Sign in" in browser.get("/ui/login")  # looking is no attempt


def test_a_forged_session_is_none(shop):
    browser = Browser(shop).sign_in("cleo-key")
    value = browser.client.cookies["copyloom_session"]
    for forged in (
        value[:-1],
        f"{value}x",
        value.swapcase(),
        "é",
        "-",
        sha256(f"session\0{value}".encode()).hexdigest(),
    ):
        response = asyncio.run(httpx.AsyncClient(transport=httpx.ASGITransport(shop), base_url="http://shop").get(
            HERO, headers={"cookie": f"copyloom_session={quote(forged, safe='=._-')}"}))  # fmt: skip
        assert response.status_code == 303


def test_an_editors_way_from_the_queue_to_the_shop(shop):
    """Bert edits, cannot approve what he wrote, Anna approves, the text is shown; no worker, no script."""
    bert, anna = Browser(shop).sign_in("bert-key"), Browser(shop).sign_in("anna-key")
    page = bert.get(f"{HERO}/review")
    assert SAFE in re.sub(r"<[^>]+>", "", page)
    assert "A 20 percent discount on a backpack that holds more." in page  # its parent
    assert "115" in page  # with its weight
    said = bert.post(f"{HERO}/review", action="edit", which=text_id(SAFE), text=EDITED)
    assert "waits for another person" in said
    said = bert.post(f"{HERO}/review", action="approve", which=text_id(EDITED))
    assert bert.response.status_code == 422
    assert "another person must approve" in said
    assert EDITED in anna.get(f"{HERO}/review")
    said = anna.post(f"{HERO}/review", action="approve", which=text_id(EDITED))
    assert "Approved" in said
    publish(shop.state.slots, SLOT, {})
    slot = shop.state.slots.get(TENANT, SLOT)
    seen = {slot.state.slate[slot.choose(Question(str(number))).place] for number in range(500)}
    assert EDITED in seen
    assert SAFE not in seen
    page = anna.get(f"{HERO}/texts/{text_id(EDITED)}")
    assert ">live<" in page
    assert "Bert rewrote" in page
    assert "approved by Anna" in page
    log = unescape(anna.get("/ui/audit"))
    assert "in review → approved" in re.sub(r"<[^>]+>", "", log)


def test_facts_stand_beside_the_text_and_unbacked_ones_need_a_reason(shop):
    bert = Browser(shop).sign_in("bert-key")
    page = re.sub(r"<[^>]+>", "", bert.get(f"{HERO}/review"))
    assert re.search(r"copper\s+material\s+nothing backs it", page)
    assert re.search(r"Vogue\s+name\s+nothing backs it", page)
    said = bert.post(f"{HERO}/review", action="approve", which=text_id(BAD))
    assert bert.response.status_code == 422
    assert "nothing backs the material “copper”" in said
    bert.post(f"{HERO}/review", action="approve", which=text_id(BAD), reason="the rivets are")
    assert "approved by Bert" in bert.get(f"{HERO}/texts/{text_id(BAD)}")


def test_many_are_rejected_at_once_for_a_reason(shop):
    bert, both = Browser(shop).sign_in("bert-key"), [text_id(SAFE), text_id(BAD)]
    assert "say why" in bert.post(f"{HERO}/review", action="reject", which=both)
    assert "Rejected" in bert.post(f"{HERO}/review", action="reject", which=both, reason="not us")
    page = bert.get(f"{HERO}/texts?state=rejected")
    assert SAFE in page
    assert BAD in page
    assert "choose at least one" in bert.post(f"{HERO}/review", action="approve")


def test_a_text_is_words_and_never_markup(shop):
    shouting = '"><img src=x onerror=alert(1)> {% raw %} \u202e backpack'
    happen(shop.state.slots, SLOT, [Written(drafts=(Draft(Lineage((SAFE,), (1.0,)), shouting),))])
    anna = Browser(shop).sign_in("anna-key")
    anna.post(f"{HERO}/review", action="approve", which=text_id(HOSTILE), reason="<b>why</b> {{ 1+1 }}")
    publish(shop.state.slots, SLOT, {})
    paths = [HERO, f"{HERO}/review", f"{HERO}/texts", f"{HERO}/settings", "/ui/audit",
             *(f"{HERO}/texts/{text_id(text)}" for text in (HOSTILE, shouting, SAFE)),
             f"{HERO}/texts?state=%3Cscript%3E", f"{HERO}/review?order=%22%3E%3Cscript%3E"]  # fmt: skip
    for path in paths:
        page = anna.get(path)
        assert anna.response.status_code == 200, path
        assert not re.search(
            r"<script(?! src=\"/ui/review.js)|<img|<b>|onerror=[^&]*>[^<]*<img| style=|javascript:", page
        ), path
        assert "41107" not in page, path
        policy = anna.response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    said = anna.post(
        f"{HERO}/review", action="edit", which=text_id(SAFE), text="x</textarea><script>alert(2)</script>" * 60
    )
    assert anna.response.status_code == 422
    assert "<script>alert(2)" not in anna.response.text
    assert "longer than 2,000" in said


def test_a_form_that_no_page_of_this_session_sent_changes_nothing(shop):
    anna, bert = Browser(shop).sign_in("anna-key"), Browser(shop).sign_in("bert-key")
    others = re.search(r'name="token" value="([^"]+)"', bert.get(HERO))[1]
    for token in ("", "guessed", "é", others):
        for path, fields in ((f"{HERO}/review", {"action": "reject", "which": text_id(SAFE), "reason": "x"}),
                             (f"{HERO}/settings", {"mode": "off", "reason": "x"}), (f"{HERO}/off", {"reason": "x"}),
                             (f"{HERO}/texts/{text_id(SAFE)}", {"action": "approve"}), ("/ui/logout", {})):  # fmt: skip
            anna.response = asyncio.run(anna.client.post(path, data={"token": token, **fields}))
            assert anna.response.status_code == 403
    slot = shop.state.slots.get(TENANT, SLOT)
    assert slot.settings.mode == "online"
    assert SAFE not in slot.state.reviews
    login = Browser(shop)
    login.response = asyncio.run(login.client.post("/ui/login", data={"token": "", "key": "anna-key"}))
    assert login.response.status_code == 403


def test_each_scope_does_what_it_may(shop):
    cleo, bert = Browser(shop).sign_in("cleo-key"), Browser(shop).sign_in("bert-key")
    page = cleo.get(f"{HERO}/review")
    assert ">Approve<" not in page
    assert "lacks the scope review" in page
    assert "lacks the scope review" in cleo.post(f"{HERO}/review", action="approve", which=text_id(SAFE))
    assert cleo.response.status_code == 403
    live = shop.state.slots.get(TENANT, SLOT).state.shown[1]
    assert "lacks the scope publish" in cleo.post(f"{HERO}/texts/{text_id(live)}", action="pause", reason="x")
    assert "lacks the scope admin" in bert.post(f"{HERO}/settings", mode="off", reason="x")
    assert "lacks the scope publish or admin" in cleo.post(f"{HERO}/off", reason="x")
    shop.state.keys.add("machine-key", "Machine", "decide reward")
    assert "lacks the scope read" in Browser(shop).sign_in("machine-key").get(HERO)
    assert shop.state.slots.get(TENANT, SLOT).settings.mode == "online"


def test_settings_change_with_a_reason_and_not_behind_anothers_back(shop):
    anna = Browser(shop).sign_in("anna-key")
    before = shop.state.slots.get(TENANT, SLOT)
    sent = {"version": str(before.version), "mode": "frozen", "holdout": "5,5", "window": "60", "sticky": "0",
            "baseline": before.settings.baseline}  # fmt: skip
    assert "say why" in anna.post(f"{HERO}/settings", **sent)
    assert "settings hold now" in anna.post(f"{HERO}/settings", **sent, reason="holidays")
    now = shop.state.slots.get(TENANT, SLOT).settings
    assert (now.mode, now.holdout, now.window_seconds, now.sticky_days) == ("frozen", 0.055, 3600, 0)
    assert "changed the settings meanwhile" in anna.post(f"{HERO}/settings", **sent, reason="again")
    sent["version"] = str(before.version + 1)
    for wrong, words in (({"holdout": "lots"}, "write a number"), ({"holdout": "100"}, "less than 1"),
                         ({"mode": "onlin"}, "mode"), ({"baseline": "no such text"}, "none of the texts")):  # fmt: skip
        said = anna.post(f"{HERO}/settings", **{**sent, **wrong}, reason="x")
        assert anna.response.status_code == 422
        assert words in said
    assert shop.state.slots.get(TENANT, SLOT).settings == now
    log = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(anna.get("/ui/audit"))))
    assert re.search("mode online → frozen .* holidays", log)
    change_settings(
        shop.state.slots.engine, shop.state.slots.get(TENANT, SLOT), {"mode": "frozen"}, "anna", "to be sure"
    )
    versions = re.sub(r"<[^>]+>", "", unescape(anna.get(f"{HERO}/settings"))).partition("Versions")[2]
    assert "nothing changed by anna: to be sure" in versions
    assert versions.count("opened by") == 1


def test_rules_that_somebody_set_meanwhile_are_not_lost_by_a_form_that_lacked_its_reason(shop):
    anna, bert = Browser(shop).sign_in("anna-key"), Browser(shop).sign_in("bert-key")
    assert "rules hold now" in bert.post("/ui/brand", rules="banned: [cheap]", version="0", reason="x", action="set")
    said = anna.post("/ui/brand", rules="banned: [dear]", version="0", action="set")
    assert 'name="version" value="0"' in said  # what anna looked at
    said = anna.post("/ui/brand", rules="banned: [dear]", version="0", reason="x", action="set")
    assert "look again" in said
    assert 'name="version" value="1"' in said  # now that she was told
    said = anna.post("/ui/brand", rules="banned: [cheap, dear]", version="1", reason="x", action="set")
    assert "rules hold now" in said


def test_the_switch_shows_everyone_the_baseline(shop):
    bert = Browser(shop).sign_in("bert-key")
    assert "Everyone sees the baseline now" in bert.post(f"{HERO}/off", reason="wrong price")
    slot = shop.state.slots.get(TENANT, SLOT)
    assert {slot.choose(Question(str(number))).reason for number in range(20)} == {"killed"}
    assert "Turn off now" not in bert.get(f"{HERO}/settings")


def test_what_is_not_there_is_said_to_be_not_there(shop):
    anna = Browser(shop).sign_in("anna-key")
    for path in ("/ui/slots/none", f"{HERO}/texts/{text_id('nothing')}", f"{HERO}/texts/x", f"{HERO}/review?page=-3",
                 f"{HERO}/review?page=999"):  # fmt: skip
        anna.get(path)
        assert anna.response.status_code == (200 if "page" in path else 404)
    anna.get(f"{HERO}/review?page=x")
    assert anna.response.status_code == 404
    assert "default-src 'none'" in anna.response.headers["content-security-policy"]
    assert "too much" in anna.post(f"{HERO}/review", text="x" * 1_100_000)
    assert anna.response.status_code == 413


def test_a_belief_is_shown_where_there_is_one_and_parents_where_there_is_none(shop):
    anna = Browser(shop).sign_in("anna-key")
    page = anna.get(f"{HERO}/review")
    assert "no prediction is at hand" in page
    slot = shop.state.slots.get(TENANT, SLOT)
    for snapshot, told in enumerate(({BAD: Predicted(0.9, 0.8, 1.0)}, {SAFE: Predicted(0.3, 0.2, 0.4)})):
        with writing(shop.state.slots.engine) as connection:
            keep_predictions(connection, slot, snapshot, told)  # the last snapshot's count
    page = anna.get(f"{HERO}/review?order=promising").replace("\u00a0", " ")
    assert "predicted, 95 % interval 20.00 % to 40.00 %" in page
    assert page.index(text_id(SAFE)) < page.index(text_id(BAD))
