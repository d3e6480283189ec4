"""With the model that writes: a worker's loop over a shop, and every snapshot of it learned again from the ledger."""

import json
from hashlib import sha256

import pytest
from sqlalchemy import text

from embeddings.database import open_database, text_id, writing
from embeddings.encoded import vectors_of
from experiments.storefront import LiveCampaign, SlotSettings, review
from experiments.storefront.brand import set_book
from experiments.storefront.golden import publish_again
from experiments.storefront.predictions import predictions
from experiments.storefront.screening import versions_of
from experiments.storefront.slots import Slots
from experiments.storefront.verify import verify
from generator.brand_book import BrandBook, Tone

from .conftest import Hands

TEXTS = (
    "The trail mug that keeps cocoa hot until the summit.", "Early risers choose the trail mug with a screw-on lid.",
    "A leak-proof trail mug for frosty mornings.",
)  # fmt: skip
OWN = "A trail mug that waits for a person."
BOOK = BrandBook(banned=["summit"], when_broken="tell", tone=Tone(good=["Made to last."], bad=["Wow."]))
SMALL = {
    "after": 1,
    "every": 1,
    "shortlist": 2,
    "admit_every": 1,
    "admit": 2,
    "shortfall": 3,
    "warm_up": 4,
    "effort": {"rounds": 0, "drafts": 8},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    path, clock = tmp_path_factory.mktemp("golden") / "shop.db", Hands()
    settings = SlotSettings(holdout=0.0, auto_approve=True)
    with LiveCampaign.open(
        path, "hero", TEXTS, settings=settings, clock=clock, model="copyloom-tiny", device="cpu", impressions=20,
        proposer=SMALL,
    ) as hero:  # fmt: skip
        set_book(hero.engine, "default", BOOK, "anna", "at home by night", clock=clock)
        review.write(hero.engine, hero.slots, "default", "hero", OWN, "anna", clock=clock)
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


def test_texts_are_written_under_the_brand_rules_and_what_waits_has_a_prediction(shop):
    engine = open_database(shop)
    slot = Slots(engine).get("default", "hero")
    written = [draft for draft in slot.state.drafts if draft.text != OWN]
    broke = [draft for draft in written if "summit" in draft.text.lower()]
    assert all("banned" in {refusal.code for refusal in draft.refusals} for draft in broke)
    assert not [text for text in slot.state.slate[len(TEXTS) :] if "summit" in text.lower()]
    expected = predictions(engine, slot)
    assert expected.keys() == {text_id(one.text) for one in review.waiting(slot.state)} >= {text_id(OWN)}
    assert 0 < expected[text_id(OWN)].low < expected[text_id(OWN)].rate < expected[text_id(OWN)].high < 1
    read = ["Made to last.", "Wow.", OWN, *TEXTS]
    assert sorted(vectors_of(engine, read)) == sorted(read)
    assert set(versions_of(engine, slot, [OWN, *slot.state.slate]).values()) == {1}
    engine.dispose()


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
