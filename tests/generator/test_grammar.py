"""The grammar writes claims in known styles about known products, and can list all of them."""

import itertools
import math
import random
import re
from collections import Counter

import pytest

from copyloom import InputError
from generator.checks import Checker, WritingRules, normalised
from generator.grammar import FORMS, HELD_OUT_PRODUCT, Frame
from generator.reader import words_of
from generator.record import KINDS, SLOTS_PER_KIND, slots_of

RULES = {
    "claim": WritingRules(),
    "headline": WritingRules(full_stop=False),
    "description": WritingRules(max_characters=300),
}


def drawn_texts(grammar, form, count=1_000):
    """Return texts of a form about random records of all products, the held-out ones too."""
    rng = random.Random(f"{form}s")
    return [grammar.claim(rng, grammar.record(rng, product=rng.randrange(12)), form=form) for _ in range(count)]


def test_every_form_has_frames_in_every_one_of_ten_styles(grammar):
    assert len(grammar.styles) == 10
    for form, least in zip(FORMS, (30, 12, 10), strict=True):
        counts = Counter(frame.style for frame in grammar.frames_of(form))
        assert set(counts) == set(grammar.styles)
        assert min(counts.values()) >= least
    assert sum(len(grammar.frames_of(form)) for form in FORMS) == len(grammar.frames)


def test_no_two_frames_of_any_form_have_the_same_words(grammar):
    assert len({normalised(frame.text) for frame in grammar.frames}) == len(grammar.frames)


def test_an_unknown_form_is_refused_by_name(grammar):
    with pytest.raises(InputError, match="form is 'poem'; pass one of claim, headline, description"):
        grammar.frames_of("poem")


def test_headlines_are_short_and_end_without_full_stop(grammar):
    headlines = [claim.text for claim in drawn_texts(grammar, "headline")]
    assert not any(text.endswith(".") for text in headlines)
    assert sum(len(text) <= 80 for text in headlines) >= 950
    words = [len(text.split()) for text in headlines]
    assert min(words) >= 3
    assert sum(count <= 9 for count in words) >= 500


def test_a_description_has_two_or_three_sentences_of_15_to_45_words_in_all(grammar):
    for claim in drawn_texts(grammar, "description"):
        assert 15 <= len(claim.text.split()) <= 45, claim.text
        assert 3 <= len(claim.frame.kinds) <= 6, claim.frame.text
        assert len(re.findall(r"[.!?](?=\"? |\"?$)", claim.frame.text)) in (2, 3), claim.frame.text


def test_a_description_names_the_product_once(grammar):
    """A name of three words that came twice would be refused as a repetition."""
    for frame in grammar.frames_of("description"):
        assert frame.text.count("<name>") + frame.text.count("<names>") == 1, frame.text


@pytest.mark.parametrize("form", FORMS)
def test_no_phrase_comes_twice_and_no_word_is_doubled(grammar, form):
    for claim in drawn_texts(grammar, form):
        slots = [slot for slot in slots_of(claim.slotted) if slot not in ("<name>", "<names>")]
        assert len(set(slots)) == len(slots)
        assert Checker(RULES[form], []).refusals(claim.text) == [], claim.text


def test_frames_hold_no_phrase_of_the_lexicon(grammar):
    """A frame that said "sturdy" would say it of every product, and the reader would take it for the record's word."""
    phrases = {p for c in grammar.categories for found in c.attributes.values() for p in found}
    phrases = {" ".join(words_of(re.sub("^(an?|the) ", "", phrase))) for phrase in phrases}
    texts = [f" {' '.join(words_of(frame.text.replace('<', ' | ')))} " for frame in grammar.frames]
    assert not {phrase for phrase in phrases if any(f" {phrase} " in text for text in texts)}


def test_no_record_has_a_phrase_that_doubles_a_word_of_its_name(grammar):
    category = next(c for c in grammar.categories if c.name == "skin_care")
    rng = random.Random(0)
    records = [grammar.record(rng, category, HELD_OUT_PRODUCT) for _ in range(100)]
    assert records[0].name == "hydrating gel"
    assert "hydrating" in category.attributes["quality"]
    assert not any("hydrating" in record.quality for record in records)


def test_every_frame_names_the_product_and_no_unknown_slot(grammar):
    for frame in grammar.frames:
        slots = slots_of(frame.slotted([1] * len(frame.kinds)))
        assert {"<name>", "<names>"} & set(slots), frame.text
        assert frame.text.count("<") == len(slots) + frame.text.count("<a>"), frame.text
        assert all(frame.kinds.count(kind) <= SLOTS_PER_KIND for kind in KINDS)


def test_numbers_go_to_attribute_slots_in_order():
    frame = Frame("factual", "<a> <quality> <name> with <feature> and <feature>.")
    assert frame.kinds == ("quality", "feature", "feature")
    assert frame.slotted([3, 2, 1]) == "<a> <quality 3> <name> with <feature 2> and <feature 1>."


def test_what_readers_stop_are_frames_whatever_the_numbers_of_their_slots(grammar):
    assert grammar.stopped < {frame.text for frame in grammar.frames}
    for frame in grammar.frames:
        assert grammar.stops(frame.slotted(range(3, 3 + len(frame.kinds)))) == (frame.text in grammar.stopped)
    for style, form in itertools.product(grammar.styles, FORMS):
        texts = {frame.text for frame in grammar.frames_of(form) if frame.style == style}
        assert len(texts - grammar.stopped) >= (10 if form == "claim" else 2)


def test_there_are_hundreds_of_products_in_categories_that_differ(grammar):
    for category in grammar.categories:
        assert len({name for name, _ in category.products}) == len(category.products), category.name
    assert len({name for category in grammar.categories for name, _ in category.products}) >= 300
    assert len({category.name for category in grammar.categories}) == len(grammar.categories)


def test_a_held_out_product_is_no_training_product_of_another_category(grammar):
    held_out = {category.products[HELD_OUT_PRODUCT][0] for category in grammar.categories}
    trained = {name for category in grammar.categories for name, _ in category.products[:HELD_OUT_PRODUCT]}
    assert held_out.isdisjoint(trained)


def test_every_category_fills_records_and_has_a_held_out_product(grammar):
    for category in grammar.categories:
        assert len(category.products) > HELD_OUT_PRODUCT
        record = grammar.record(random.Random(0), category, HELD_OUT_PRODUCT)
        assert (record.name, record.plural) == category.products[HELD_OUT_PRODUCT]
        for kind in set(category.attributes):
            assert 2 <= len(getattr(record, kind)) <= 3
            assert set(getattr(record, kind)) <= set(category.attributes[kind])


def test_records_drawn_for_training_leave_the_held_out_products_alone(grammar):
    held_out = {category.products[HELD_OUT_PRODUCT][0] for category in grammar.categories}
    rng = random.Random(1)
    assert held_out.isdisjoint(grammar.record(rng).name for _ in range(500))


def test_the_seed_decides_records_and_claims(grammar):
    def drawn(seed):
        rng = random.Random(seed)
        return [grammar.claim(rng, grammar.record(rng)).text for _ in range(5)]

    assert drawn(3) == drawn(3) != drawn(4)


@pytest.mark.parametrize("seed", range(3))
def test_all_claims_about_a_record_are_as_many_as_counted(grammar, seed):
    """Of each frame, one claim for every ordered choice of different phrases: n! / (n - k)! for k slots of one kind."""
    record = grammar.record(random.Random(seed))
    count = sum(
        math.prod(math.perm(len(getattr(record, kind)), frame.kinds.count(kind)) for kind in KINDS)
        for frame in grammar.frames_of("claim")
    )
    texts = [claim.text for claim in grammar.claims_about(record)]
    assert len(texts) == len(set(texts)) == count
    assert not any("<" in text or "  " in text for text in texts)


def test_a_drawn_claim_is_one_of_all_and_in_the_style_asked_for(grammar):
    rng = random.Random(2)
    record = grammar.record(rng)
    texts = {claim.text for claim in grammar.claims_about(record)}
    for style in itertools.chain(grammar.styles, grammar.styles):
        claim = grammar.claim(rng, record, style)
        assert claim.frame.style == style
        assert claim.text in texts


@pytest.mark.parametrize("form", FORMS)
def test_a_drawn_text_is_of_the_form_and_style_asked_for(grammar, form):
    rng = random.Random(3)
    record = grammar.record(rng)
    for style in grammar.styles:
        frame = grammar.claim(rng, record, style, form).frame
        assert (frame.form, frame.style) == (form, style)
    assert grammar.claim(rng, record).frame.form == "claim"
