"""Brand rules: versions, who may change them, and what becomes of texts that break new ones."""

import json

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from copyloom import InputError
from embeddings.database import reading, text_id, writing
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Written
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Ledger, StaleError
from experiments.commands.cli import app
from experiments.storefront import LiveCampaign, review
from experiments.storefront.brand import current, differences, history, set_book
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.schemas import BrandCheckBody
from experiments.storefront.screening import BRAND, _against, broken, screen, screen_all, versions_of
from experiments.storefront.slots import Slots, open_slot, open_storefront, switch
from experiments.storefront.tables import AboutRow, AuditRow, BrandRow, ImportRow, ProductRow, ScreeningRow
from experiments.storefront.verify import verify
from experiments.storefront.worker import Worker
from generator.brand_book import BrandBook, BrandRules, Length

from .conftest import TEXTS

WARM, DRY, LAST = TEXTS
NEW = "Warm feet on cold days."


def opened(database, clock, settings=None):
    engine = open_storefront(database)
    for tenant in ("default", "other"):
        given = Given(list(TEXTS), None, list(TEXTS), [])
        open_slot(engine, tenant, "hero", SlotConfig(), given, settings or SlotSettings(), "tests", clock)
    return engine, Slots(engine)


def wrote(engine, slots, *texts):
    campaign = Campaign("default/hero", ())
    ledger = Ledger(engine)
    ledger.resume([campaign])
    with ledger.step([campaign]) as step:
        step([[Written(drafts=tuple(Draft(Lineage((WARM, DRY), (0.5, 0.5)), text) for text in texts))]])
    slots.refresh()


def states(slots, tenant="default"):
    return {one.text: one.state for one in review.texts(slots.get(tenant, "hero").state)}


def audited(engine):
    with reading(engine) as connection:
        return [(row.by, row.what, row.subject) for row in connection.execute(select(AuditRow.__table__))]


def test_versions_are_kept_with_who_when_and_why(database, clock):
    engine, _ = opened(database, clock)
    assert current(engine, "default").number == 0
    first = set_book(engine, "default", BrandBook(banned=["warm"]), "anna", "we sell sandals too", clock=clock)
    clock.turn(60)
    assert set_book(engine, "default", BrandBook(banned=["warm"]), "bert", "the same", clock=clock) == first
    with pytest.raises(StaleError, match="at version 1, set by anna"):
        set_book(engine, "default", BrandBook(), "bert", "no rules", expected=0, clock=clock)
    set_book(engine, "default", BrandBook(banned=["warm", "dry"]), "bert", "neither", expected=1, clock=clock)
    (two, change), (one, _) = differences(history(engine, "default"))
    assert (two.number, two.by, two.reason, one.number, one.by) == (2, "bert", "neither", 1, "anna")
    assert (two.at - one.at).total_seconds() == 60
    assert [line for line in change if line[1] != "same"] == [("- dry", "added")]
    assert ("bert", "brand rules set", "version 2") in audited(engine)
    assert current(engine, "other").number == 0
    for number, own in enumerate(({}, {"banned": []}), start=3):  # of which one bans nothing in its slot
        book = BrandBook.model_validate({"banned": ["warm"], "slots": {"hero": own}})
        assert set_book(engine, "default", book, "bert", "a slot of its own", clock=clock).number == number
    with pytest.raises(InputError, match="who sets the brand rules"):
        set_book(engine, "default", BrandBook(), "bert", " ", clock=clock)
    engine.dispose()


def test_new_rules_take_from_the_page_what_breaks_them_and_say_so(database, clock):
    engine, slots = opened(database, clock)
    wrote(engine, slots, NEW, "Feet that stay dry.", "Boots for days.")
    review.decide(engine, slots, "default", "hero", "approve", [NEW], "bert", "", clock)
    set_book(engine, "default", BrandBook(banned=["days"]), "anna", "days are none", clock=clock)
    found = {one.text: one.did for one in screen_all(engine, slots, "default", clock)}
    assert found == {WARM: "paused", NEW: "taken back", "Boots for days.": ""}
    assert states(slots) == {
        WARM: "paused", DRY: "live", LAST: "live", NEW: "rejected", "Feet that stay dry.": "in review",
        "Boots for days.": "in review",
    }  # fmt: skip
    assert set(states(slots, "other").values()) == {"live"}
    assert slots.get("default", "hero").state.snapshots[-1].probabilities[0] == 0
    assert {(BRAND, "pause", f"hero: {WARM}"), (BRAND, "reject", f"hero: {NEW}")} <= set(audited(engine))
    slot = slots.get("default", "hero")
    assert set(versions_of(engine, slot, [*TEXTS, NEW]).values()) == {1}
    assert screen(engine, slots, slot, clock) == []  # once for each version
    assert verify(engine) == []
    # A person has the last word, for a reason.
    with pytest.raises(InputError, match=r"bans 'days'.*give a reason"):
        review.decide(engine, slots, "default", "hero", "resume", [WARM], "bert", "", clock)
    review.decide(engine, slots, "default", "hero", "resume", [WARM], "bert", "it is our slogan", clock)
    with pytest.raises(InputError, match="bans 'days'"):
        review.decide(engine, slots, "default", "hero", "approve", ["Boots for days."], "bert", "", clock)
    Worker(engine, clock=clock, write=False).round()
    slots.refresh()
    assert states(slots)[WARM] == "live"
    assert [one.text for one in broken([slots.get("default", "hero")], slot.brand)] == [WARM, "Boots for days."]
    engine.dispose()


def test_rules_that_only_tell_change_nothing_and_the_last_text_stays(tmp_path, clock):
    engine, slots = opened(str(tmp_path / "shop.db"), clock)
    set_book(engine, "default", BrandBook(banned=["days"], when_broken="tell"), "anna", "for a start", clock=clock)
    assert [(one.text, one.did) for one in screen_all(engine, slots, "default", clock)] == [(WARM, "")]
    assert set(states(slots).values()) == {"live"}
    set_book(engine, "default", BrandBook(required=["Northpeak"]), "anna", "our name", clock=clock)
    found = {one.text: one.did for one in screen_all(engine, slots, "default", clock)}
    assert found == {WARM: "left", DRY: "paused", LAST: "paused"}
    assert [what for by, what, _ in audited(engine) if by == BRAND and "nothing else" in what]
    engine.dispose()


def test_each_text_is_held_to_the_same_rules_once_however_often_pages_ask(tmp_path, clock, monkeypatch):
    engine, slots = opened(str(tmp_path / "shop.db"), clock)
    held, plain = [], BrandRules.refusals
    monkeypatch.setattr(BrandRules, "refusals", lambda rules, text: held.append(text) or plain(rules, text))
    _against.cache_clear()
    for banned, known in (("days", 0), ("ten", 3), ("days", 6)):
        for _ in range(2):
            found = broken([slots.get("default", "hero")], BrandBook(banned=[banned], patterns=[], length=Length()))
            assert [banned in one.text for one in found] == [True]
        assert len(held) == min(known + 3, 6)
    engine.dispose()


def test_what_was_left_goes_once_something_else_may_be_shown(database, clock):
    engine, slots = opened(database, clock)
    set_book(engine, "default", BrandBook(required=["Northpeak"]), "anna", "our name", clock=clock)
    screen_all(engine, slots, "default", clock)
    worker = Worker(engine, clock=clock, write=False)
    worker.round()
    slots.refresh()
    assert states(slots) == {WARM: "live", DRY: "paused", LAST: "paused"}
    review.decide(engine, slots, "default", "hero", "resume", [DRY], "bert", "it stays for now", clock)
    worker.round()
    slots.refresh()
    assert states(slots) == {WARM: "paused", DRY: "live", LAST: "paused"}
    assert [what for by, what, subject in audited(engine) if by == BRAND and subject.endswith(WARM)] == [
        "breaks the rules, and stays: nothing else may be shown", "pause"
    ]  # fmt: skip
    review.decide(engine, slots, "default", "hero", "resume", [WARM], "bert", "it is our slogan", clock)
    worker.round()
    slots.refresh()
    assert states(slots)[WARM] == "live"  # a person has the last word
    assert verify(engine) == []
    engine.dispose()


def test_what_was_left_is_held_to_rules_that_are_newer(tmp_path, clock):
    engine, slots = opened(str(tmp_path / "shop.db"), clock)
    set_book(engine, "default", BrandBook(required=["Northpeak"]), "anna", "our name", clock=clock)
    screen_all(engine, slots, "default", clock)
    review.decide(engine, slots, "default", "hero", "resume", [DRY], "bert", "it stays for now", clock)
    set_book(engine, "default", BrandBook(banned=["days"]), "anna", "days are none", clock=clock)
    assert {one.text: one.did for one in screen_all(engine, slots, "default", clock)} == {WARM: "paused"}
    engine.dispose()


def test_the_worker_screens_where_whoever_set_the_rules_died(tmp_path, clock):
    engine, slots = opened(str(tmp_path / "shop.db"), clock)
    wrote(engine, slots, NEW)
    set_book(engine, "default", BrandBook(banned=["days"]), "anna", "days are none", clock=clock)
    worker = Worker(engine, clock=clock, write=False)
    worker.round()
    slots.refresh()
    assert states(slots) == {WARM: "paused", DRY: "live", LAST: "live", NEW: "in review"}
    with reading(engine) as connection:
        rows = connection.execute(select(ScreeningRow.__table__)).all()
    assert {row.text_id: json.loads(row.refusals) for row in rows}[text_id(NEW)] == ["the brand bans 'days'"]
    assert {row.version for row in rows} == {1}
    engine.dispose()


def test_nothing_is_approved_automatically_that_breaks_the_rules(tmp_path, clock):
    engine, slots = opened(str(tmp_path / "shop.db"), clock, SlotSettings(auto_approve=True))
    set_book(engine, "default", BrandBook(banned=["days"]), "anna", "days are none", clock=clock)
    wrote(engine, slots, NEW, "Feet that stay dry.")
    worker = Worker(engine, clock=clock, write=False)
    slot = worker.slots.get("default", "hero")
    worker._approve(slot, worker.slots.campaign(slot), [NEW, "Feet that stay dry."])
    slots.refresh()
    assert (states(slots)[NEW], states(slots)["Feet that stay dry."]) == ("in review", "approved")
    engine.dispose()


def test_an_approval_under_rules_that_changed_meanwhile_is_refused(tmp_path, clock, monkeypatch):
    engine, slots = opened(str(tmp_path / "shop.db"), clock)
    wrote(engine, slots, NEW)
    set_book(engine, "default", BrandBook(banned=["days"]), "anna", "days are none", clock=clock)
    monkeypatch.setattr(slots, "refresh", lambda: None)  # it still knows no rules
    with pytest.raises(StaleError, match="changed meanwhile"):
        review.decide(engine, slots, "default", "hero", "approve", [NEW], "bert", "", clock)
    engine.dispose()


def test_over_http_nobodys_change_is_lost(shop):
    anna, bert, looks = shop.key("publish", "read", name="anna"), shop.key(name="bert"), shop.key("read")
    said = shop.client.get("/v1/brand", headers=looks)
    assert (said.headers["etag"], said.json()["version"], said.json()["rules"]) == ('"0"', 0, {})
    body = {"rules": {"banned": ["days"]}, "reason": "days are none"}
    assert shop.client.put("/v1/brand", json=body, headers=anna).status_code == 428
    assert shop.client.put("/v1/brand", json=body, headers=looks | {"If-Match": '"0"'}).status_code == 403
    made = shop.client.put("/v1/brand", json=body, headers=anna | {"If-Match": '"0"'})
    assert (made.status_code, made.headers["etag"]) == (200, '"1"')
    assert [(one["text"], one["state"], one["did"]) for one in made.json()["broken"]] == [(WARM, "live", "paused")]
    late = shop.client.put("/v1/brand", json=body | {"rules": {}}, headers=bert | {"If-Match": '"0"'})
    assert (late.status_code, "set by anna" in late.json()["detail"]) == (412, True)
    assert shop.client.put("/v1/brand", json=body, headers=bert | {"If-Match": "first"}).status_code == 412
    assert [one["by"] for one in shop.client.get("/v1/brand/versions", headers=looks).json()] == ["anna"]
    checked = shop.client.post("/v1/brand/check", json={"texts": [WARM, DRY]}, headers=looks).json()
    assert [one["refusals"] for one in checked] == [["the brand bans 'days'"], []]
    wrong = shop.client.put(
        "/v1/brand", json={"rules": {"baned": []}, "reason": "x"}, headers=bert | {"If-Match": '"1"'}
    )
    assert (wrong.status_code, wrong.json()["errors"][0]["where"]) == (422, "body.rules.baned")


def test_from_the_command_line(tmp_path, clock):
    database, file, texts = str(tmp_path / "shop.db"), tmp_path / "brand.yaml", tmp_path / "texts.txt"
    opened(database, clock)[0].dispose()
    file.write_text("banned: [days]\n")
    texts.write_text("\n".join(TEXTS))

    def run(*arguments):
        said = CliRunner().invoke(app, ["brand", *map(str, arguments)])
        return said.exit_code, said.stdout

    code, said = run("check", file, texts, "--json")
    assert (code, json.loads(said)["broken"]) == (1, {WARM: ["the brand bans 'days'"]})
    assert run("check", file)[0] == 0
    shop = ("--database", database)
    code, said = run("set", file, *shop, "--by", "anna", "--reason", "days are none", "--json")
    assert (code, json.loads(said)["broken"][0]["did"]) == (0, "paused")
    assert "banned:\n- days" in run("show", *shop)[1]
    assert json.loads(run("history", *shop, "--json")[1])["versions"][0]["by"] == "anna"
    code, said = run("set", file, *shop, "--by", "bert", "--reason", "again", "--version", "0")
    assert code


def test_no_other_request_waits_while_the_patterns_of_one_are_tried(shop):
    slow = {"patterns": [{"pattern": "(a+)+b", "says": "no"}]}
    BrandCheckBody(texts=[WARM], rules=slow)  # read by all requests' own thread: nothing is tried there
    said = shop.client.post("/v1/brand/check", json={"texts": [WARM], "rules": slow}, headers=shop.key())
    assert said.status_code == 422
    assert said.json()["errors"][0]["where"] == "body.rules.patterns.0"


def test_rules_or_a_catalogue_that_cannot_be_read_stop_no_other_slot(database, clock):
    engine, slots = opened(database, clock)
    with writing(engine) as connection:
        rules = {"tenant": "other", "version": 1, "body": '{"baned": []}', "by": "x", "reason": "x", "at": clock()}
        connection.execute(insert(BrandRow), rules)
    switch(engine, slots.get("default", "hero"), on=False, by="anna", reason="a try", clock=clock)
    switch(engine, slots.get("other", "hero"), on=False, by="anna", reason="a try", clock=clock)
    for read in (slots, Slots(engine)):
        read.refresh()
        assert [read.get(tenant, "hero").settings.mode for tenant in ("default", "other")] == ["off", "off"]
        assert "baned" in read.unreadable["other", "hero"]
        assert len(read.unreadable) == 1
    with writing(engine) as connection:
        row = {"tenant": "default", "file": "f", "shop": "shopify", "by": "x", "at": clock()}
        number = connection.execute(insert(ImportRow).returning(ImportRow.id), row).scalar_one()
        connection.execute(
            insert(ProductRow), {"tenant": "default", "product": "p", "import_id": number, "body": '{"id"'}
        )
        about = {"slot_id": slots.get("default", "hero").id, "text_id": "t", "product": "p", "part": "title"}
        connection.execute(insert(AboutRow), about | {"import_id": number})
    slots.refresh()
    assert "catalogue cannot be read" in slots.unreadable["default", "hero"]
    engine.dispose()


def test_a_slow_machine_refuses_no_rules_that_hold(tmp_path, clock, monkeypatch):
    engine, _ = opened(str(tmp_path / "shop.db"), clock)
    book = BrandBook(patterns=[{"pattern": r"(?:\w+ ?){1,3}!!", "says": "no"}])
    set_book(engine, "default", book, "anna", "no shouting", clock=clock)
    monkeypatch.setattr("generator.brand_book._SECONDS", 1e-9)
    assert Slots(engine).get("default", "hero").brand == current(engine, "default").book == book
    engine.dispose()


def test_a_slot_that_is_opened_later_shows_nothing_that_breaks_the_rules(tmp_path, clock):
    opened(str(tmp_path / "shop.db"), clock)[0].dispose()
    engine = open_storefront(str(tmp_path / "shop.db"))
    set_book(engine, "default", BrandBook(banned=["days"]), "anna", "days are none", clock=clock)
    engine.dispose()
    with LiveCampaign.open(tmp_path / "shop.db", "foot", TEXTS, clock=clock) as foot:
        assert [one.text for one in foot.texts() if one.state == "live"] == [DRY, LAST]
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS))
    said = CliRunner().invoke(
        app, ["slots", "open", "top", "--texts", str(texts), "--database", str(tmp_path / "shop.db"), "--json"]
    )
    assert json.loads(said.stdout)["texts"] == 2
