"""Other facts take the places of a text's own: which are offered, which are not, and that the words around agree."""

import pytest

from generator.other_facts import facts_said, facts_touched, said_again, with_other_facts
from generator.record import ProductRecord

BAG = ProductRecord(
    name="backpack",
    quality=["lightweight", "organized", "most loved"],
    material=["waxed canvas", "oiled cotton", "a blend of hemp and wool"],
    feature=["reinforced seams", "a hidden pocket", "an outer strap"],
    benefit=["stands up to rain", "puts everything within reach", "long life"],
    audience=["commuters", "weekend travelers", "anyone who walks"],
    use=["the daily ride", "short trips", "before sunrise"],
    proof=["rated 4.7 out of 5", "chosen by 12 thousand shops", "since 1974"],
    offer=["free returns", "a 20 percent discount", "£5 off"],
)
NEAR = {phrase: 0.0 for _, phrase in BAG.attributes()}


def _others(text, record=BAG, count=100):
    return with_other_facts(text, record, {phrase: 0.0 for _, phrase in record.attributes()}, count)


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("A lightweight backpack.", ["An organized backpack."]),
        ("Lightweight and easy to love: our backpack.", ["Organized and easy to love: our backpack."]),
        ("Our backpack is lightweight.", ["Our backpack is organized."]),
        ("Made of waxed canvas.", ["Made of oiled cotton.", "Made of a blend of hemp and wool."]),
        ("A waxed canvas backpack.", ["An oiled cotton backpack."]),
        ("A backpack with reinforced seams.", ["A backpack with a hidden pocket.", "A backpack with an outer strap."]),
        ("A hidden pocket makes the day.", ["An outer strap makes the day."]),
        ("This backpack stands up to rain.", ["This backpack puts everything within reach."]),
        ("For commuters.", ["For weekend travelers.", "For anyone who walks."]),
        ("Commuters smile.", ["Weekend travelers smile."]),
        ("A backpack for the daily ride.", ["A backpack for short trips."]),
        ("A backpack, rated 4.7 out of 5.", ["A backpack, chosen by 12 thousand shops."]),
        ("Get free returns.", ["Get a 20 percent discount."]),
    ],
)
def test_facts_of_a_kind_change_places_and_agree(text, others):
    assert _others(text) == others


@pytest.mark.parametrize(
    "text",
    [
        "A lightweight touch.",  # of what follows, nobody knows whether it can be organized
        "A very lightweight backpack.",
        "Reinforced seams last.",  # all others are one thing, the verb is of many
        "Its reinforced seams.",
        "It stands up to rain like a tent.",
        "Who stands up to rain?",
        "During the daily ride.",  # another use is plural
        "Free returns make the day.",
        "Since 1974: a backpack that stood up to rain.",
        "Lightweight-made backpack.",
        "We walk before sunrise.",
        "£5 off.",
        "The most loved backpack.",
        "The Lightweight Backpack.",
        "Reinforced seams, sewn by hand, last.",
        "A rucksack.",
        "Get free returns until Friday.",
        "Get free returns on the backpack.",  # whether another offer is "on" it, nobody knows
        "Made for commuters who walk.",
        "",
    ],
)
def test_what_is_unsure_is_not_offered(text):
    assert _others(text) == []


def test_what_only_stands_before_a_name_does_not_stand_alone():
    boots = ProductRecord(name="boots", quality=["winter", "luxury", "lightweight"], feature=["a strap", "crush-proof"])
    near = dict.fromkeys(["winter", "luxury", "lightweight", "a strap", "crush-proof"], 0.0)
    assert with_other_facts("Our boots are lightweight.", boots, near, 9) == []
    assert with_other_facts("Lightweight boots.", boots, near, 9) == ["Winter boots.", "Luxury boots."]
    assert with_other_facts("Boots with a strap.", boots, near, 9) == []


def test_several_facts_change_fewest_first_and_near_ones_first():
    text = "A lightweight backpack with a hidden pocket for commuters."
    near = {**NEAR, "an outer strap": 0.5, "weekend travelers": 0.2, "organized": 0.1}
    found = with_other_facts(text, BAG, near, 100)
    assert found[:3] == [
        "A lightweight backpack with an outer strap for commuters.",
        "A lightweight backpack with a hidden pocket for weekend travelers.",
        "An organized backpack with a hidden pocket for commuters.",
    ]
    assert found[5] == "A lightweight backpack with an outer strap for weekend travelers."
    assert with_other_facts(text, BAG, near, 2) == found[:2]
    assert len(found) == len(set(found)) == 2 * 3 * 3 - 1
    assert text not in found


def test_no_two_say_the_same_facts_in_another_order():
    found = _others("With a hidden pocket and reinforced seams.")
    assert found == ["With an outer strap and reinforced seams.", "With a hidden pocket and an outer strap."]


def test_nothing_is_put_in_that_the_text_says_already():
    trunk = ProductRecord(name="rail trunk", use=["rail tours", "the daily commute", "stays"], audience=["commuters"])
    assert _others("A rail trunk for stays.", trunk) == ["A rail trunk for the daily commute."]
    assert _others("A rail trunk for commuters, ready for stays.", trunk) == []


def test_names_and_facts_that_a_text_says():
    said = facts_said("Lightweight backpacks. A backpack with waxed canvas", BAG)
    assert [(one.kind, one.phrase) for one in said] == [
        ("quality", "lightweight"), ("names", "backpacks"), ("name", "backpack"), ("material", "waxed canvas"),
    ]  # fmt: skip
    text = "A canvas bag, canvas-lined"
    assert [text[one.start : one.end] for one in facts_said(text, ProductRecord(name="bag", material="canvas"))] == [
        "canvas",
        "bag",
    ]


def test_what_is_said_again():
    bag = ProductRecord(name="bag", quality=["light", "dry"], feature=["a light strap"], use=["dry days"])
    assert said_again("A light bag with a light strap.", bag) == ["light"]
    assert said_again("A dry bag that keeps dry.", bag) == ["dry"]
    assert said_again("A dry bag for dry days, with a light strap.", bag) == []
    assert said_again("A bag.", bag) == []


def test_a_text_of_many_facts_takes_no_longer():
    kinds = ("quality", "material", "feature", "audience", "use")
    record = ProductRecord(name="cup", **{kind: [f"{kind[0]}{letter}ly" for letter in "opq"] for kind in kinds})
    text = " and ".join(phrase for _, phrase in record.attributes())
    assert with_other_facts(f"A cup of {text}.", record, {phrase: 0.0 for _, phrase in record.attributes()}, 8) == []
    half = "A cup: qoly and qply, moly and mply, foly and fply, for aoly and for aply, for uoly and for uply."
    found = with_other_facts(half, record, {phrase: 0.0 for _, phrase in record.attributes()}, 500)
    assert len(found) == len(set(found)) > 100


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A RAW desk with an LED, £60.", ["raw", "an LED", "£60"]),
        ("Our folding desk.", ["folding legs"]),
        ("静かな desk", ["静か"]),
        ("A desk.", []),
    ],
)
def test_facts_are_touched_by_words_of_any_length_and_script(text: str, found: list[str]) -> None:
    desk = ProductRecord(name="desk", quality=["raw", "静か"], feature=["an LED", "folding legs"], offer=["£60"])
    assert facts_touched([text], desk) == found
