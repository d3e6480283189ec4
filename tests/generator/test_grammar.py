"""The grammar writes claims in known styles about known products, and can list all of them."""

import itertools
import math
import random

import pytest

from generator.grammar import HELD_OUT_PRODUCT, Frame
from generator.record import KINDS, SLOTS_PER_KIND, slots_of


def test_frames_differ_and_come_in_at_least_eight_styles(grammar):
    assert len(grammar.styles) >= 8
    assert len({frame.text for frame in grammar.frames}) == len(grammar.frames)


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
        for frame in grammar.frames
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


def test_a_claim_tells_which_phrase_it_picked(grammar):
    record = grammar.record(random.Random(5))
    for claim in itertools.islice(grammar.claims_about(record), 0, None, 25):
        for kind in KINDS:
            phrase = claim.phrase(kind)
            assert (phrase is None) == (kind not in claim.frame.kinds)
            assert phrase is None or phrase in getattr(record, kind)
            assert phrase is None or phrase.lower() in claim.text.lower()
