"""The search finds new texts, nearer the further it goes, and each case for itself."""

import pytest
import torch

from embeddings import search as search_module
from embeddings.effort import Effort
from embeddings.mixing import adapt, is_new, wanted_point
from embeddings.search import Case, Means, _Found, _Text, search
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
    return Means(space.model, space.encoder.encode, space.critic)


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


@pytest.fixture
def progress(means, cases):
    return _Found(means.model, cases[0], means.encode(cases[0].parents), 2.0)


def test_a_text_is_worth_less_where_it_leans_and_where_it_surprises(progress):
    wanted = progress.case.wanted
    assert progress.score(wanted, 1.5) == progress.score(wanted, 2.0) == pytest.approx(1.0)
    assert progress.score(wanted, 3.0) == pytest.approx(1 - search_module._SURPRISAL)
    leaning_all_the_way = search_module._LEANING * (1 - search_module._LEANING_ALLOWED)
    for parent in progress.parents:
        assert progress.score(parent, 0.0) == pytest.approx(float(parent @ wanted) - leaning_all_the_way, abs=5e-7)


def test_the_best_is_one_that_strays_only_where_there_is_no_other(progress):
    for text, score, strays in (("stray", 0.9, True), ("fit", 0.1, False)):
        progress.texts[text] = _Text(text, score, strays)
    assert progress.best() == "fit"
    del progress.texts["fit"]
    assert progress.best() == "stray"
    del progress.texts["stray"]
    assert progress.best() is None


def test_a_text_that_strays_is_admitted_until_there_is_a_better_one(progress):
    stray, another = "You will love this lamp.", "You will love this kettle."
    assert progress.admits(stray)
    assert not progress.admits(stray)
    assert progress.admits("You will love this lightweight tent.")
    assert not progress.admits(another)
    assert not progress.admits(PARENTS[0][0])
    assert not progress.admits("You will love this <name>.")
    assert not progress.admits(" ")
    assert [text.strays for text in progress.texts.values()] == [True, False]


def test_one_text_is_not_made_of_twice(progress):
    for text, score in (("low", 0.1), ("high", 0.9), ("middle", 0.5)):
        progress.texts[text] = _Text(text, score, False)
    assert progress.next(2, first=True) == [*PARENTS[0], "high"]
    assert progress.next(2, first=False) == ["middle", "low"]
    assert progress.next(2, first=False) == []


def test_one_parent_twice_three_parents_and_no_adapter(space, means):
    tent, drill = PARENTS[0]
    for parents in ((tent, tent), (tent, drill, PARENTS[1][0]), (tent,)):
        weights = torch.full((1, len(parents)), 1 / len(parents))
        wanted = wanted_point(space.encoder.encode(parents)[None], weights)
        case = Case(adapt(space.adapter, wanted), wanted[0], parents)
        for critic in (means.critic, means.model):
            (found,) = search(Means(means.model, means.encode, critic), [case], Effort(1, 1, 1, 8, 8))
            assert found is None or is_new(found, parents)
