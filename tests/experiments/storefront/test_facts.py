"""Every number, unit, size, material, name and offer of a text is told, and whether anything backs it."""

import pytest

from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Written
from experiments.campaigns.ledger import Ledger
from experiments.storefront import LiveCampaign, review
from experiments.storefront.facts import Sources, facts, objections, sources_of
from experiments.storefront.tables import AuditRow
from generator.record import ProductRecord

RECORD = ProductRecord(
    name="backpack", quality=["lightweight"], material=["waxed canvas"], feature=["a 15 inch laptop sleeve"],
    proof=["rated 4.7 out of 5"], offer=["a 20 percent discount"],
)  # fmt: skip


def told(text: str, sources: Sources) -> dict[str, tuple[str, str]]:
    return {fact.words: (fact.kind, fact.by) for fact in facts(text, sources)}


@pytest.mark.parametrize(
    ("text", "words", "kind"),
    [
        ("A backpack with a 17 inch sleeve.", "17 inch", "number"),
        ("A backpack with a 15 cm sleeve.", "15 cm", "number"),
        ("A backpack with a 1-9/16 inch buckle.", "1-9/16 inch", "number"),
        ("Carry twelve books in a backpack.", "twelve", "number"),
        ("A backpack in size XL.", "size XL", "size"),
        ("A copper backpack.", "copper", "material"),
        ("A backpack of faux leather.", "faux leather", "material"),
        ("The backpack that Vogue wears.", "Vogue", "name"),
        ("A backpack with free shipping.", "free", "offer"),
        ("Hurry for a backpack.", "Hurry", "urgency"),
    ],
)
def test_what_the_record_does_not_say_is_unbacked(text, words, kind):
    assert told(text, Sources(RECORD))[words] == (kind, "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Take a lightweight backpack.", "lightweight"),
        ("A 15″ sleeve in a backpack.", "15″"),
        ("A backpack, now 20% off.", "20% off"),
        ("A backpack of waxed canvas.", "waxed canvas"),
        ("A canvas backpack.", "canvas"),
        ("Rated 4.7 out of 5: a backpack.", "rated 4.7 out of 5"),
    ],
)
def test_what_the_record_says_is_backed_in_any_spelling(text, words):
    found = told(text, Sources(RECORD))
    assert found[words][1] == "record"
    assert all(by for _, by in found.values())


def test_a_number_outside_the_phrase_that_the_record_gives_it_is_unbacked():
    assert ("number", "") in told("A backpack with 4.7 pockets.", Sources(RECORD)).values()


def test_without_a_record_a_parent_backs_it_or_else_another_stored_text():
    sources = Sources(None, ("Boots of carbon steel and leather.",), ("A 3 year warranty on boots.",))
    found = told("Steel boots, 3 years warranty, from Zermatt.", sources)
    assert found["Steel"] == ("material", "parent")
    assert found["3 years"] == ("number", "given")
    assert found["Zermatt"] == ("name", "")


@pytest.fixture
def hero(tmp_path, clock):
    texts = ("Warm leather boots for cold days.", "Dry feet, whatever the weather.")
    with LiveCampaign.open(tmp_path / "shop.db", "hero", texts, clock=clock) as campaign:
        ledger, known = Ledger(campaign.engine), Campaign("default/hero", ())
        ledger.resume([known])
        lineage = Lineage(texts, (0.5, 0.5))
        drafts = (Draft(lineage, "Warm leather boots, dry feet."), Draft(lineage, "Warm copper boots, dry feet."))
        with ledger.step([known]) as record:
            record([[Written(drafts=drafts)]])
        campaign.slots.refresh()
        yield campaign


def test_a_text_with_unbacked_facts_is_approved_for_a_reason_only_and_the_reason_stays(hero):
    hero.approve("Warm leather boots, dry feet.", "anna")
    with pytest.raises(InputError, match="nothing backs the material “copper”; give a reason"):
        hero.approve("Warm copper boots, dry feet.", "anna")
    hero.approve("Warm copper boots, dry feet.", "anna", "the eyelets are copper")
    slot = hero.slots.get("default", "hero")
    assert {one.state for one in review.texts(slot.state) if one.lineage} == {"approved"}
    with hero.engine.connect() as connection:
        reasons = [row.reason for row in connection.execute(AuditRow.__table__.select()) if row.what == "approve"]
    assert reasons == ["", "the eyelets are copper"]


def test_what_was_only_drafted_backs_nothing(hero):
    review.write(hero.engine, hero.slots, "default", "hero", "Copper boots, warm and dry.", "bert",
                 "Warm copper boots, dry feet.")  # fmt: skip
    slot = hero.slots.get("default", "hero")
    assert sources_of(slot, "Copper boots, warm and dry.").parents == slot.state.opening.slate
    assert objections(slot, "Copper boots, warm and dry.") == ["nothing backs the material “Copper”"]


def test_a_persons_text_is_held_to_the_brands_rules(hero):
    review.write(hero.engine, hero.slots, "default", "hero", "Boots boots", "bert")
    found = objections(hero.slots.get("default", "hero"), "Boots boots")
    assert any("repeats" in reason for reason in found)
    with pytest.raises(InputError, match="without a word"):
        review.write(hero.engine, hero.slots, "default", "hero", "  ", "bert")
