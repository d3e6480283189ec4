"""With the model that writes: a worker's loop over a shop, and every snapshot of it learned again from the ledger."""

import json
import re
from hashlib import sha256

import pytest
from sqlalchemy import text

from embeddings.database import open_database, text_id, writing
from embeddings.encoded import vectors_of
from experiments.storefront import LiveCampaign, SlotSettings
from experiments.storefront.brand import set_book
from experiments.storefront.decide import Slot
from experiments.storefront.golden import publish_again
from experiments.storefront.predictions import predictions
from experiments.storefront.screening import versions_of
from experiments.storefront.verify import verify
from generator.brand_book import BrandBook, Tone

from .conftest import Hands

TEXTS = (
    "The trail mug that keeps cocoa hot until the summit.", "Early risers choose the trail mug with a screw-on lid.",
    "A leak-proof trail mug for frosty mornings.",
)  # fmt: skip
SMALL = {"every": 1, "shortlist": 2, "admit": 2, "warm_up": 4, "effort": {"rounds": 0, "drafts": 8}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path, clock = tmp_path_factory.mktemp("golden") / "shop.db", Hands()
    settings = SlotSettings(holdout=0.0, auto_approve=True)
    with LiveCampaign.open(
        path, "hero", TEXTS, settings=settings, clock=clock, model="copyloom-tiny", device="cpu", impressions=20,
        proposer=SMALL,
    ) as hero:  # fmt: skip
        for number in range(60):
            decision = hero.decide(f"e{number}")
            if number % 3 == 0:
                hero.reward(decision.event_id)
            if number % 30 == 29:
                clock.turn(1900)
                assert hero.work().published
        state = hero.slots.get("default", "hero").state
        assert len(state.slate) > len(TEXTS)
        assert state.totals[0].sum() == 60
    return path


def test_what_is_learned_again_is_what_was_published(shop):
    engine = open_database(shop)
    assert verify(engine) == []
    assert publish_again(engine) == (2, [])
    with writing(engine) as connection:
        row = connection.execute(text("SELECT * FROM events WHERE kind = 'published' ORDER BY sequence DESC")).first()
        told = json.loads(row.body)
        told["probabilities"][0] += 1e-6
        told["probabilities"][1] -= 1e-6
        body = json.dumps(told)
        name = sha256(f"default/hero\0{row.sequence}\0{body}".encode()).hexdigest()[:32]
        connection.execute(text("UPDATE events SET body = :body, id = :id WHERE sequence = :sequence"),
                           {"body": body, "id": name, "sequence": row.sequence})  # fmt: skip
    many, faults = publish_again(engine)
    assert many == 2
    assert [fault.subject for fault in faults] == ["snapshot 2"]
    engine.dispose()


def test_the_worker_writes_under_the_rules_of_the_day_and_says_what_it_expects(tmp_path, clock):
    with LiveCampaign.open(
        tmp_path / "shop.db", "hero", TEXTS, settings=SlotSettings(holdout=0.0), clock=clock, model="copyloom-tiny",
        device="cpu", impressions=20, proposer=SMALL,
    ) as hero:  # fmt: skip

        def work() -> Slot:
            for number in range(20):
                decision = hero.decide()
                if number % 3 == 0:
                    hero.reward(decision.event_id)
            clock.turn(1900)
            assert hero.work().published
            return hero.slots.get("default", "hero")

        slot = work()
        expected = predictions(hero.engine, slot)
        waiting = {text_id(one.text) for one in hero.waiting()}
        assert waiting
        assert set(expected) == waiting
        assert all(0 < one.low < one.rate < one.high < 1 for one in expected.values())
        before = len(slot.state.drafts)
        book = BrandBook(banned=["the"], when_broken="tell", tone=Tone(good=["Made to last."], bad=["Wow."]))
        set_book(hero.engine, "default", book, "anna", "no articles", clock=clock)
        slot = work()
        fresh = slot.state.drafts[before:]
        assert fresh
        broke = [draft for draft in fresh if re.search(r"\bthe\b", draft.text, re.IGNORECASE)]
        assert all("banned" in {refusal.code for refusal in draft.refusals} for draft in broke)
        assert len(vectors_of(hero.engine, ["Made to last.", "Wow.", *TEXTS])) == 5
        assert set(versions_of(hero.engine, slot, [draft.text for draft in slot.state.drafts[:before]]).values()) == {1}
