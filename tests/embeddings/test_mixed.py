"""Mixtures to be put into words: the heaviest parent first, whatever the order in which they are given."""

import pytest
import torch

from embeddings.mixed import Mixed
from generator.record import ProductRecord

NOWHERE = torch.zeros(2, 3), torch.zeros(4)


@pytest.mark.parametrize("texts", [("light", "heavy"), ("heavy", "light")])
def test_the_heaviest_comes_first_and_the_others_lack_weight(texts):
    mixture = Mixed.of(*NOWHERE, texts, [{"heavy": 0.7, "light": 0.3}[text] for text in texts])
    assert mixture.parents == ("heavy", "light")
    assert mixture.lighter == pytest.approx((0.0, 0.4))
    assert mixture.apart == ()
    assert mixture.sources == mixture.parents


def test_of_equal_weights_the_order_does_not_matter():
    both = [Mixed.of(*NOWHERE, texts, [0.5, 0.5]) for texts in (("b", "a"), ("a", "b"))]
    assert [one.parents for one in both] == [("a", "b")] * 2
    assert both[0].lighter == (0.0, 0.0)


def test_what_has_no_weight_is_left_out_and_what_has_less_is_kept_away_from():
    mixture = Mixed.of(*NOWHERE, ("a", "b", "c"), [1.3, 0.0, -0.3])
    assert (mixture.parents, mixture.apart, mixture.lighter) == (("a",), ("c",), None)


def test_about_a_record_its_facts_alone_are_sources():
    record = ProductRecord(name="mug", feature=["a lid"])
    assert set(Mixed.of(*NOWHERE, ("a", "b"), [0.5, 0.5], record).sources) == {"mug", "mugs", "a lid"}
