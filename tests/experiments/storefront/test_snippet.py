"""The snippet in a real browser: a page gets its text, says that it was seen, and that someone clicked."""

import gzip
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from experiments.campaigns.given import Given
from experiments.storefront.app import create_app
from experiments.storefront.auth import make_key
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.gate import service_log
from experiments.storefront.service import Options
from experiments.storefront.slots import open_slot, open_storefront

from .web import Visit, browser, serving, site

EXAMPLE = Path(__file__).parents[3] / "examples/shop/page.html"
FALLBACK = "Our lightweight backpack."
TEXTS = ("A backpack for every train.", "A backpack that your heart will know by its passport slot.")
SHIFT = """new Promise((done) => { let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((one) => sum += one.value))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(sum), 200); })"""


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    """A service with the slot "demo", and the example's page on another origin."""
    engine = open_storefront(str(tmp_path_factory.mktemp("shop") / "shop.db"))
    given = Given(list(TEXTS), None, list(TEXTS), [])
    open_slot(engine, "default", "demo", SlotConfig(), given, SlotSettings(holdout=0), "tests")
    key, _ = make_key(engine, "default", "the page", ("decide", "reward"), "tests")
    pages: dict[str, str] = {}
    with site(pages) as shop:

        def make(url: str) -> Any:
            page = EXAMPLE.read_text().replace("{{url}}", url).replace("{{key}}", key)
            page = page.replace("<script", '<script data-wait="5000"')  # the machine may be busy
            pages["/"] = page
            pages["/cart"] = '<!doctype html><title>Basket</title><link rel="icon" href="data:,"><h1>Your basket</h1>'
            pages["/link"] = page.replace("#basket", "/cart")
            pages["/away"] = page.replace("<script", '<script data-url="http://127.0.0.1:9"')
            pages["/asks"] = page.replace("<script", "<script data-consent")
            app = create_app(engine, Options(origins=(shop,)), log=service_log("critical"))
            app.state.url = url
            return app

        with serving(make) as app:
            yield SimpleNamespace(site=shop, url=app.state.url, count=lambda: counted(app.state.url))
    engine.dispose()


@pytest.fixture
def visit(chromium):
    found = Visit(chromium, viewport={"width": 1280, "height": 800})
    yield found
    found.close()


def counted(url: str) -> dict[str, float]:
    """The service's counters."""
    lines = [line.rsplit(" ", 1) for line in httpx.get(f"{url}/metrics").text.splitlines() if line[:1] != "#"]
    return {name.removeprefix("copyloom_"): float(value) for name, value in lines}


def more(shop, before: dict[str, float], **expected: float) -> None:
    """Wait until the service counted so many exposures and rewards more than before."""
    for _ in range(100):
        now = shop.count()
        found = {
            "exposures": now.get("exposures_total", 0) - before.get("exposures_total", 0),
            **{state: now.get(name := f'rewards_total{{state="{state}"}}', 0) - before.get(name, 0)
               for state in ("joined", "duplicate")},
        }  # fmt: skip
        if found == {"exposures": 0, "joined": 0, "duplicate": 0} | expected:
            return
        time.sleep(0.05)
    raise AssertionError(found)


def settled(visit: Visit) -> str:
    """Wait until the place has its text, and return that."""
    visit.page.wait_for_selector("[data-copyloom-reason]")
    return visit.page.locator("h1").inner_text()


def test_a_page_shows_what_was_decided_and_tells_what_happened(shop, visit):
    before = shop.count()
    visit.page.goto(shop.site)
    assert settled(visit) in TEXTS
    assert visit.page.evaluate(SHIFT) == 0  # nothing moved
    more(shop, before, exposures=1)
    visit.page.click(".buy")
    visit.page.click(".buy")
    more(shop, before, exposures=1, joined=1, duplicate=1)
    assert visit.page.evaluate("localStorage.length") == 1


def test_a_click_that_leads_away_arrives(shop, visit):
    before = shop.count()
    visit.page.goto(f"{shop.site}/link")
    settled(visit)
    visit.page.click(".buy")
    visit.page.wait_for_url("**/cart")
    more(shop, before, exposures=1, joined=1)


def test_where_the_service_is_away_the_fallback_stays(shop, chromium):
    visit = Visit(chromium)
    visit.page.goto(f"{shop.site}/away")
    assert settled(visit) == FALLBACK
    visit.context.close()  # the browser itself says that it could not connect


def test_what_is_added_later_is_decided_too_and_shows_at_one_address_one_text(shop, visit):
    """As single-page applications do: elements come, go, come again, and take another slot's name."""
    before = shop.count()
    visit.page.goto(shop.site)
    text = settled(visit)
    more(shop, before, exposures=1)
    add = """() => { const one = document.createElement("h2"); one.dataset.copyloom = "demo"; one.textContent = "…";
        document.querySelector("main").append(one); one.scrollIntoView(); }"""
    visit.page.evaluate(add)
    visit.page.wait_for_selector("h2[data-copyloom-reason]")
    assert visit.page.locator("h2").inner_text() == text
    more(shop, before, exposures=1)  # it is the same event
    visit.page.evaluate("document.querySelector('h2').remove(); history.pushState({}, '', '/elsewhere')")
    visit.page.evaluate(add)
    visit.page.wait_for_selector("h2[data-copyloom-reason]")
    assert visit.page.locator("h2").inner_text() in TEXTS
    more(shop, before, exposures=2)
    visit.page.click(".buy")
    more(shop, before, exposures=2, joined=1)
    visit.page.evaluate("document.querySelector('h2').remove(); history.pushState({}, '', '/')")
    visit.page.evaluate(add)
    visit.page.wait_for_selector("h2[data-copyloom-reason]")
    assert visit.page.locator("h2").inner_text() == text
    visit.page.click(".buy")
    more(shop, before, exposures=2, joined=2)  # a click of the first event


def test_a_text_is_no_markup(shop, visit):
    hostile = "<img src=x onerror=\"document.title='broken'\"><b>new</b>"
    visit.page.route("**/v1/decide", lambda route: route.fulfill(
        json={"text": hostile, "reason": "bandit"}, headers={"Access-Control-Allow-Origin": "*"}))  # fmt: skip
    visit.page.goto(shop.site)
    assert settled(visit) == hostile
    assert visit.page.title() == "Backpacks"


def test_nothing_is_asked_or_kept_before_there_is_consent(shop, visit):
    before = shop.count()
    asked = []
    visit.page.on("request", lambda request: "/v1/" in request.url and asked.append(request.url))
    visit.page.goto(f"{shop.site}/asks")
    visit.page.click(".buy")
    assert (visit.page.locator("h1").inner_text(), visit.page.evaluate("localStorage.length")) == (FALLBACK, 0)
    assert not asked
    visit.page.evaluate("copyloom.start()")
    assert settled(visit) in TEXTS
    more(shop, before, exposures=1)


def test_who_asks_not_to_be_known_has_no_id(shop, visit):
    sent = []
    visit.page.add_init_script("Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})")
    visit.page.on("request", lambda request: request.url.endswith("/decide") and sent.append(request.post_data_json))
    visit.page.goto(shop.site)
    assert settled(visit) in TEXTS
    assert [one["unit_id"] for one in sent if one] == [""]
    assert visit.page.evaluate("localStorage.length") == 0


def test_it_is_small_and_packed_for_the_way(shop):
    packed = httpx.get(f"{shop.url}/copyloom.js")
    assert packed.headers["content-encoding"] == "gzip"
    plain = httpx.get(f"{shop.url}/copyloom.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == packed.text
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content)) < 2400
