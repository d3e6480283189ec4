"""The search finds new texts, nearer the further it goes, and each case for itself."""

import pytest
import torch

from embeddings.effort import Effort
from embeddings.mixing import adapt, is_new, wanted_point
from embeddings.search import Case, Means, search
from generator.grammar import Grammar
from generator.reader import mixed_facts

PARENTS = [("You will love this tent.", "A cordless drill made of die-cast aluminum."),
           ("Modern loft near the park", "Large house with a garden")]  # fmt: skip
SMALL = Effort(drafts=3, rounds=2, width=1, rewritings=8, splices=16)


@pytest.fixture(scope="module")
def cases(space):
    found = []
    for parents in PARENTS:
        wanted = wanted_point(space.encoder.encode(parents)[None], torch.full((1, 2), 0.5))
        found.append(Case(adapt(space.adapter, wanted).repeat(SMALL.drafts, 1, 1), wanted[0], parents))
    return found


@pytest.fixture(scope="module")
def means(space):
    return Means(space.model, space.encoder.encode, lambda points: adapt(space.adapter, points))


def cosines(means, cases, found):
    return [float(vector @ case.wanted) for vector, case in zip(means.encode(found), cases, strict=True)]


def test_what_is_found_is_new_finished_and_nearer_with_more_rounds(means, cases):
    little = list(search(means, cases, Effort(SMALL.drafts, 0)))
    more = list(search(means, cases, SMALL))
    for text, case in zip(more, cases, strict=True):
        assert is_new(text, case.parents)
    assert more[0].endswith((".", "!", "?"))
    for before, after in zip(cosines(means, cases, little), cosines(means, cases, more), strict=True):
        assert after >= before


def test_a_case_does_not_depend_on_the_others(means, cases):
    together = list(search(means, cases, SMALL))
    alone = [next(search(means, [case], SMALL)) for case in cases]
    assert together == alone


def test_two_products_in_one_are_not_accepted(means, cases):
    assert mixed_facts("This drill is a sturdy cordless drill and tent with a hammer.", Grammar.load())
    (found, _) = search(means, cases, SMALL)
    assert not mixed_facts(found, Grammar.load())


def test_nothing_acceptable_is_none(means, cases):
    parent = next(search(means, cases[:1], Effort(1, 0)))
    only = Case(cases[0].drafts[:1], cases[0].wanted, (parent, *cases[0].parents))
    assert list(search(means, [only], Effort(1, 0))) == [None]
    assert list(search(means, [], SMALL)) == []
