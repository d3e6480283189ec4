"""Design choices as rules and the grammar read them."""

import numpy as np
import pytest

from copyloom import InputError
from experiments.studies.preferences.accuracy import held_out_frames, measure
from experiments.studies.preferences.coding import code
from experiments.texts import shipped_claims
from generator.grammar import Grammar


@pytest.mark.parametrize(
    ("text", "attribute", "level"),
    [
        ("Three reasons to stay", "number", "yes"),
        ("The kettle costs 20 euros", "number", "yes"),
        ("One kettle for all", "number", "no"),
        ("Is this the kettle?", "question", "yes"),
        ("He said “never” and left", "quotation", "yes"),
        ("It's the kettle's lid", "quotation", "no"),
        ("Your mug", "direct address", "yes"),
        ("Yourselves", "direct address", "no"),
        ("Quiet at last: take the kettle.", "imperative", "yes"),
        ("The kettle takes a while.", "imperative", "no"),
        ("Hurry, almost gone", "urgency", "yes"),
        ("Loved by cooks", "social proof", "yes"),
        ("Free shipping", "offer", "yes"),
        ("Made of steel, 2 litres, tested", "appeal", "factual"),
        ("A gift from the heart, with love", "appeal", "emotional"),
        ("A steel lid and a wooden handle", "wording", "concrete"),
        ("The importance of freedom", "wording", "abstract"),
        ("A concrete apartment near the station", "wording", "neither"),
    ],
)
def test_a_text_makes_a_choice(text: str, attribute: str, level: str) -> None:
    assert code([text, "Another"], "rules").level(attribute)[0] == level


def test_length_is_cut_in_thirds_of_the_texts() -> None:
    coded = code(["one " * count for count in range(1, 10)], "rules")
    assert coded.level("length") == ["short"] * 3 + ["medium"] * 3 + ["long"] * 3
    assert coded.cuts == (3, 6)


def test_the_grammar_reads_its_own_texts_and_rules_read_others() -> None:
    claims = shipped_claims()[0]
    assert code(claims).by == "styles"
    assert "appeal" not in [one.name for one in code(claims).attributes]
    headlines = ["What he saw on the street that night", "They told her no. She went anyway."]
    assert code(headlines).by == "rules"
    assert set(code(headlines, "styles").level("style")) <= set(Grammar.load().styles)


def test_a_brand_is_an_attribute_where_its_name_is_given() -> None:
    coded = code(["Try Acme today", "An acme of taste", "Acmeology"], "rules", ["ACME"])
    assert coded.level("named") == ["yes", "yes", "no"]


def test_choices_coded_by_hand_take_the_place_of_rules() -> None:
    coded = code(["Good tea", "Bad tea"], "rules").beside({"appeal": ("b", "a"), "colour": ("red", "blue")})
    assert coded.level("appeal") == ["b", "a"]
    assert [one.name for one in coded.attributes].count("appeal") == 1
    with pytest.raises(InputError, match="'colour' is 'red' in all texts"):
        code(["Good tea", "Bad tea"], "rules").beside({"colour": ("red", "red")})


def test_levels_that_no_text_has_are_no_levels() -> None:
    coded, alike = code(["Is it hot?", "It is hot", "It is cold"], "rules").seen(np.arange(3))
    assert "urgency" in alike
    assert all(len(set(coded.level(one.name))) == len(one.levels) for one in coded.attributes)
    with pytest.raises(InputError, match="same choices"):
        code(["Tea", "Tea"], "rules").seen(np.arange(2))


def test_rules_read_styles_that_they_were_not_written_for() -> None:
    rows = measure(each=1)
    assert {row["texts"] for row in rows} <= {27, 54}
    assert all(row["read"] > row["others_read"] + 0.2 for row in rows)
    assert len(held_out_frames()) < len(Grammar.load().frames)
