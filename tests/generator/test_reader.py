"""The reader finds in a text what the grammar put there, and what it did not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.grammar import FORMS, HELD_OUT_PRODUCT, Grammar
from generator.reader import GrammarReader, words_of
from generator.record import ProductRecord, slots_of

KNIFE = ProductRecord(
    name="chef knife",
    plural="chef knives",
    quality=["balanced"],
    feature=["a riveted handle"],
    proof=["rated 4.8 out of 5"],
    offer=["20 percent off"],
)
READER = GrammarReader(Grammar.load(), KNIFE)


@pytest.mark.parametrize(("category", "product"), [(0, 3), (9, 7), (20, HELD_OUT_PRODUCT)])
def test_every_claim_about_a_record_is_read_back(grammar, category, product):
    record = grammar.record(random.Random(category), grammar.categories[category], product)
    reader = GrammarReader(grammar, record)
    for claim in grammar.claims_about(record):
        reading = reader.read(claim.text)
        assert reading.style == claim.frame.style, claim.text
        assert reading.slots == set(slots_of(claim.slotted)) - {"<name>", "<names>"}, claim.text
        assert reading.names_subject, claim.text
        assert reading.frame_similarity == pytest.approx(1)
        assert (reading.foreign, reading.unknown_words, reading.invented_numbers) == ((), (), ()), claim.text
        assert reading.words == len(claim.text.split())


@pytest.mark.parametrize("form", FORMS)
def test_a_thousand_texts_of_each_form_are_read_back(grammar, form):
    rng = random.Random(f"read {form}s")
    for _ in range(1_000):
        record = grammar.record(rng, product=rng.randrange(HELD_OUT_PRODUCT + 1))
        claim = grammar.claim(rng, record, form=form)
        reading = GrammarReader(grammar, record).read(claim.text)
        assert reading.style == claim.frame.style, claim.text
        assert reading.slots == set(slots_of(claim.slotted)) - {"<name>", "<names>"}, claim.text
        assert reading.names_subject, claim.text
        assert reading.frame_similarity == pytest.approx(1)
        assert (reading.foreign, reading.unknown_words, reading.invented_numbers) == ((), (), ()), claim.text


def test_a_phrase_is_foreign_though_each_of_its_words_stands_in_some_frame(grammar):
    phrase = "lets you get on with your day"
    assert phrase in next(c for c in grammar.categories if c.name == "home_appliances").attributes["benefit"]
    assert READER.read(f"You will love how the chef knife {phrase}.").foreign == (phrase,)


def test_other_products_and_their_attributes_are_foreign(grammar):
    tent = next(c for c in grammar.categories if c.name == "camping")
    name, quality = tent.products[0][0], tent.attributes["quality"][0]
    reading = READER.read(f"You will fall in love with this {quality} {name}.")
    assert set(reading.foreign) == {name, quality}
    assert not reading.names_subject
    assert reading.style == "emotional"


def test_own_words_are_not_foreign_whatever_the_grammar_calls_them(grammar):
    """A record may hold what some category of the grammar holds too."""
    quality = grammar.categories[3].attributes["quality"][1]
    reading = GrammarReader(grammar, ProductRecord(name="gadget", quality=[quality])).read(
        f"The {quality} gadget is almost gone."
    )
    assert reading.foreign == ()
    assert reading.slots == {"<quality 1>"}


@given(st.sampled_from(list(Grammar.load().claims_about(KNIFE))), st.sampled_from([str.upper, str.title, str.lower]))
def test_case_and_quotes_do_not_matter(claim, change):
    assert READER.read(f"“{change(claim.text)}”").slots == READER.read(claim.text).slots
    assert READER.read(f"“{change(claim.text)}”").names_subject


@given(st.integers(0, 10**9), st.sampled_from(["{}", "{:,}", "{} percent", "${}", "{}%", "{}-year"]))
def test_no_number_is_read_as_the_records_own(number, form):
    reading = READER.read(f"Last chance: {form.format(number)} on our chef knives.")
    assert reading.invented_numbers or (number, form) == (20, "{} percent")


@pytest.mark.parametrize("word", ["two", "seven", "forty", "hundreds", "thousand", "million", "dozen", "half", "twice"])
def test_number_words_are_numbers(word):
    assert READER.read(f"The chef knife with {word} promises.").invented_numbers == (word,)


def test_numbers_of_the_record_are_its_own_only_in_their_phrase():
    assert READER.read("The chef knife is rated 4.8 out of 5.").invented_numbers == ()
    assert READER.read("The chef knife is rated 5 out of 4.8.").invented_numbers == ("5", "4.8")
    assert READER.read("Save 20 dollars on the chef knife.").invented_numbers == ("20",)


@pytest.mark.parametrize("text", ["The chef knife ½ off.", "The chef knife 手机最好的.", "The chef knife лучший."])
def test_words_and_numbers_in_other_scripts_are_seen(text):
    reading = READER.read(text)
    assert reading.unknown_words or reading.invented_numbers


def test_a_name_in_another_script_is_found(grammar):
    assert GrammarReader(grammar, ProductRecord(name="чайник")).read("This is the чайник.").names_subject


@pytest.mark.parametrize("number", ["forty-five", "x40", "two-for-one", "one hundredth", "zero"])
def test_compound_numbers_are_numbers(number):
    assert READER.read(f"The chef knife with {number} promises.").invented_numbers


def test_unknown_words_are_listed_in_order():
    reading = READER.read("The balanced chef knife dazzles every zorgon.")
    assert reading.unknown_words == ("dazzles", "zorgon")


def test_words_keep_numbers_and_drop_marks():
    assert words_of("“It’s” 2,300-strong... rated 4.8! (A) $40") == ["it's", "2,300-strong", "rated", "4.8", "a", "40"]
    assert words_of("") == words_of("... !") == []


def test_an_empty_text_says_nothing():
    reading = READER.read("")
    assert (reading.slots, reading.words, reading.names_subject) == (frozenset(), 0, False)


@given(st.text(max_size=80))
def test_any_text_can_be_read(text):
    reading = READER.read(text)
    assert reading.style in READER.grammar.styles
    assert -1 <= reading.frame_similarity <= 1 + 1e-9
