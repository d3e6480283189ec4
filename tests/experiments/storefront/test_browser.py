"""The pages in Chromium: an editor's way from the queue to the shop, by mouse, by keys and without JavaScript.

And each page in both widths and colours: accessible (axe), no wider than the screen, without errors. Pictures are kept
in `web.SCREENSHOTS`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.routing import APIRoute

from embeddings.database import text_id
from embeddings.summary import Lineage
from experiments.campaigns.events import Draft, Written
from experiments.storefront.app import create_app
from experiments.storefront.auth import make_key
from experiments.storefront.gate import service_log
from experiments.storefront.service import Options
from experiments.storefront.slots import Slots
from experiments.storefront.worker import Worker

from .example import ALL, EDIT, SLOT, TENANT, Clock, fill, happen, publish
from .test_matrix import routes
from .web import Visit, browser, serving, site, violations

HERO = f"/ui/slots/{SLOT}"
SAFE = "A backpack that holds more than it seems."
HOSTILE = "<script>alert(1)</script> {{ 1111*37 }} the backpack of your heart & more."
EXAMPLE = Path(__file__).parents[3] / "examples/shop/page.html"
WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shop that has run for two weeks: its service, keys of its people, and its page on another origin."""
    clock = Clock(datetime(2026, 11, 2, 6, tzinfo=UTC))
    engine = fill(str(tmp_path_factory.mktemp("shop") / "shop.db"), clock, many=400)
    people = {"Anna": ALL, "Bert": EDIT, "the page": "decide reward"}
    keys = {name: make_key(engine, TENANT, name, scopes.split(), "tests")[0] for name, scopes in people.items()}
    pages: dict[str, str] = {}
    with site(pages) as origin:

        def make(url: str) -> Any:
            page = EXAMPLE.read_text().replace("{{url}}", url).replace("{{key}}", keys["the page"])
            pages["/"] = page.replace('loom="demo"', f'loom="{SLOT}"').replace('reward="demo"', f'reward="{SLOT}"') \
                .replace("<script", '<script data-wait="5000"')  # fmt: skip
            app = create_app(engine, Options(origins=(origin,)), clock, service_log("critical"))
            app.state.url = url
            return app

        with serving(make) as app:
            yield SimpleNamespace(url=app.state.url, origin=origin, engine=engine, slots=Slots(engine), clock=clock,
                                  keys=keys, app=app, refresh=app.state.service.slots.refresh)  # fmt: skip
    engine.dispose()


class Reader(Visit):
    """Someone before the pages."""

    def card(self, text: str) -> Any:
        """The card of a text in the queue."""
        return self.page.locator(f"#text-{text_id(text)}")


class Editor(Reader):
    """Someone who is signed in."""

    def __init__(self, chromium: Any, shop: Any, name: str, **how: Any) -> None:
        super().__init__(chromium, base_url=shop.url, **how)
        self.page.goto("/ui/login")
        self.page.get_by_label("API key").fill(shop.keys[name])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/ui")


@pytest.mark.parametrize("script", [True, False], ids=["with-javascript", "without"])
def test_an_editors_way_from_the_queue_to_the_shop(chromium, shop, script):
    """Bert rewrites a text, which Anna approves; a shopper sees it, clicks, and the click is counted for it."""
    text = f"A backpack that holds more than it seems, {'at last' if script else 'for once'}."
    happen(shop.slots, SLOT, [Written(drafts=(Draft(Lineage((SAFE,), (1.0,)), draft := f"{text[:-1]} backpack."),))])
    shop.refresh()
    how = {"java_script_enabled": script, "viewport": {"width": 1280 if script else 390, "height": 800}}
    bert, anna = Editor(chromium, shop, "Bert", **how), Editor(chromium, shop, "Anna", **how)
    name = f"way-{'script' if script else 'plain'}"

    bert.page.get_by_role("link", name=re.compile("to review")).click()
    bert.picture(f"{name}-1-queue")
    bert.card(draft).get_by_role("link", name="everything about it").click()
    assert SAFE in bert.page.locator(".tree").inner_text()
    bert.picture(f"{name}-2-lineage")
    bert.page.go_back()
    bert.card(draft).locator("details.edit summary").click()
    bert.card(draft).get_by_label("Your version").fill(text)
    bert.card(draft).get_by_role("button", name="Send for approval").click()
    assert "waits for another person" in bert.page.locator(".said").inner_text()
    assert bert.card(draft).count() == 0
    assert "You wrote this" in bert.card(text).inner_text()
    assert bert.card(text).get_by_role("button", name="Approve").count() == 0
    bert.picture(f"{name}-3-rewritten")

    anna.page.goto(f"{HERO}/review")
    card = anna.card(text)
    assert "Rewritten from" in card.inner_text()
    card.get_by_role("button", name="Approve").click()
    assert "Approved" in anna.page.locator(".said").inner_text()
    anna.picture(f"{name}-4-approved")

    shop.slots.refresh()
    publish(shop.slots, SLOT, {text: 50.0})
    shop.refresh()
    shopper = Visit(chromium, viewport={"width": 390, "height": 800})
    with shopper.page.expect_response("**/v1/expose"):
        shown_in(shopper, shop.origin, text)
    shopper.picture(f"{name}-5-in-the-shop")
    with shopper.page.expect_response("**/v1/reward") as rewarded:
        shopper.page.click(".buy")
    assert rewarded.value.json() == {"state": "joined"}
    shopper.close()

    shop.clock.turn(hours=2)
    Worker(shop.engine, clock=shop.clock, write=False).round()
    shop.refresh()
    anna.page.goto(f"{HERO}/texts/{text_id(text)}")
    assert "1 click" in anna.page.locator(".tiles").inner_text()
    assert "live" in anna.page.locator("h1").inner_text()
    assert "approved by Anna" in anna.page.locator(".history").inner_text()
    anna.picture(f"{name}-6-counted")
    bert.close()
    anna.close()


def shown_in(shopper: Visit, origin: str, text: str) -> None:
    """Look at the shop, each time as somebody new, until its page shows a text."""
    for _ in range(100):
        shopper.page.goto(origin)
        shopper.page.evaluate("localStorage.clear()")
        shopper.page.wait_for_selector("[data-copyloom-reason]")
        if shopper.page.locator("h1").inner_text() == text:
            return
    raise AssertionError(f"the page never showed {text!r}")


def addresses(shop: Any) -> dict[str, str]:
    """Every page by what its picture is called: those of the application's routes, filled, and some more."""
    slot = shop.slots.get(TENANT, SLOT)
    fits = {"name": SLOT, "number": text_id(SAFE)}
    found = {}
    for method, path, route in routes(shop.app):
        if method == "GET" and path.startswith("/ui") and not path.endswith((".css", ".js")):
            assert isinstance(route, APIRoute)
            found["-".join(re.findall(r"\w+", path)[1:]) or "home"] = path.format(**fits)
    elsewhere = next(text for text in slot.state.opening.parents if text not in slot.state.slate)
    more = {
        "little": "/ui/slots/newsletter", "text-hostile": f"{HERO}/texts/{text_id(HOSTILE)}",
        "text-elsewhere": f"{HERO}/texts/{text_id(elsewhere)}",
        "text-live": f"{HERO}/texts/{text_id('A lightweight waxed canvas backpack, made to last.')}",
    }  # fmt: skip
    return {**found, **more}


def written(shop: Any, *words: str) -> list[str]:
    """Texts that wait for a person, as they stand in the queue: the newest first."""
    texts = [f"A backpack that holds more than it seems, {word}." for word in words]
    happen(shop.slots, SLOT, [Written(drafts=tuple(Draft(Lineage((SAFE,), (1.0,)), text) for text in texts))])
    shop.refresh()
    return texts[::-1]


def test_the_queue_is_worked_through_by_keys_alone(chromium, shop):
    first, second, third, fourth, fifth = written(shop, "always", "today", "indeed", "surely", "gladly")
    anna = Reader(chromium, base_url=shop.url, viewport={"width": 1280, "height": 800})
    press, kind = anna.page.keyboard.press, anna.page.keyboard.type
    anna.page.goto(f"{HERO}/review")
    anna.page.wait_for_function("document.activeElement.id === 'key'")  # the field is ready by itself
    kind(shop.keys["Anna"])
    press("Enter")
    anna.page.wait_for_url("**/review")

    press("Tab")
    assert focus(anna)["text"] == "Skip to the page"
    press("Enter")
    press("Tab")
    assert focus(anna)["main"]

    for _ in range(3):
        press("j")
    assert focus(anna)["id"] == f"text-{text_id(third)}"
    press("k")
    press("x")
    press("j")
    press("x")
    assert anna.page.locator("#chosen").inner_text().startswith("2 of")
    while focus(anna)["form"] != "bulk" or focus(anna)["text"] != "Approve":
        press("Tab")
    anna.picture("keys-bulk")
    press("Enter")
    anna.page.wait_for_url("**done=approve**")
    assert anna.card(second).count() + anna.card(third).count() == 0

    press("j")
    assert focus(anna)["id"] == f"text-{text_id(first)}"
    press("a")
    anna.page.wait_for_url("**done=approve**")
    anna.page.wait_for_function("(id) => !document.getElementById(id)", arg=f"text-{text_id(first)}")

    press("j")
    press("e")
    press("Escape")
    assert focus(anna)["id"] == f"text-{text_id(fourth)}"
    press("r")
    kind("not our tone")
    press("Enter")
    anna.page.wait_for_url("**done=reject**")
    press("j")
    assert focus(anna)["id"] == f"text-{text_id(fifth)}"
    shop.slots.refresh()
    said = shop.slots.get(TENANT, SLOT).state.reviews
    assert [said.get(text) for text in (first, second, third, fourth, fifth)] == [True, True, True, False, None]
    anna.close()


def test_what_has_the_focus_is_seen_in_the_order_of_the_page(chromium, shop):
    """Pages by the tabulator alone, at both widths: each stop is marked and in sight, and nothing lies upon it."""
    anna = Editor(chromium, shop, "Anna", reduced_motion="reduce")  # nothing is still on its way
    for width in WIDTHS:
        anna.page.set_viewport_size({"width": width, "height": 700})
        for address in ("/ui", f"{HERO}/review", f"{HERO}/texts/{text_id(SAFE)}", f"{HERO}/settings"):
            anna.page.goto(address)
            if address.endswith("review"):
                anna.page.locator(".pick input").first.check()  # what is done with the chosen sticks to the screen
                anna.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            places = []
            for _ in range(200):
                anna.page.keyboard.press("Tab")
                now = focus(anna)
                if now["place"] < 0 or now["place"] in places:
                    break
                places.append(now["place"])
                assert now["marked"], (address, now)
                assert now["free"], (address, width, now)
            assert places == sorted(places)
            assert len(places) > 5
    anna.close()


FOCUS = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), look = getComputedStyle(one);
  const across = box.x + Math.min(box.width, innerWidth) / 2, down = box.y + Math.min(box.height, 40) / 2;
  const there = document.elementFromPoint(across, down), labels = [...(one.labels || [])];
  return {
    id: one.id, text: one.innerText || "", main: !!one.closest("main"), form: one.form ? one.form.id : "",
    place: one === document.body ? -1 : [...document.querySelectorAll("*")].indexOf(one),
    marked: look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2,
    free: [one, ...labels].some((each) => each.contains(there)) || !!there && there.contains(one),
  };
}"""


def focus(visit: Visit) -> dict[str, Any]:
    """What has the focus, and whether it is seen."""
    found: dict[str, Any] = visit.page.evaluate(FOCUS)
    return found


def test_many_are_rejected_at_once_without_javascript(chromium, shop):
    texts = written(shop, "rarely", "seldom")
    bert = Editor(chromium, shop, "Bert", java_script_enabled=False)
    bert.page.goto(f"{HERO}/review")
    for text in texts:
        bert.card(text).get_by_label("Choose this text").check()
    bulk = bert.page.locator("#bulk")
    bulk.get_by_role("button", name="Reject").click()
    assert "say why" in bert.page.get_by_role("alert").inner_text()
    bert.errors.clear()  # that refusal
    bulk.get_by_label("Reason").fill("not us")
    bulk.get_by_role("button", name="Reject").click()
    assert "Rejected" in bert.page.locator(".said").inner_text()
    assert not sum(bert.card(text).count() for text in texts)
    bert.close()


def test_every_page_is_accessible_in_both_widths_and_colours(chromium, shop):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra dev has axe").Axe().axe_script
    wrong: list[str] = []
    anna = Editor(chromium, shop, "Anna")
    stranger = Visit(chromium, base_url=shop.url)
    for name, address in addresses(shop).items():
        who = stranger if address == "/ui/login" else anna
        said = who.page.goto(address)
        assert said.status == 200, address
        who.page.evaluate(axe)
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                who.page.set_viewport_size({"width": width, "height": 800})
                who.page.emulate_media(color_scheme=scheme)
                where = f"{address} at {width} px, {scheme}"
                if (wide := who.page.evaluate("document.documentElement.scrollWidth")) > width:
                    wrong.append(f"{where}: {wide} px wide")
                if (scheme == "dark") != (width == WIDTHS[0]):
                    continue  # colours do not depend on the width
                who.picture(f"{name}-{width}-{scheme}")
                if scheme == "dark":
                    who.page.evaluate("document.querySelectorAll('main details').forEach((one) => one.open = true)")
                wrong += [f"{where}: {one}" for one in violations(who)]
    anna.close()
    stranger.close()
    assert not wrong, "\n".join(wrong)
