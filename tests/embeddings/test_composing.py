"""Composing: what is refused, in which order the rest stands, and that no mixture depends on another."""

from dataclasses import replace

import pytest
import torch

from embeddings import composing
from embeddings.composing import Composer, best_of
from embeddings.effort import Effort
from embeddings.mixed import Mixed
from embeddings.mixing import adapt, wanted_point
from embeddings.prompt import FACTS, prompt
from generator.checks import Checker, Refusal, WritingRules
from generator.record import ProductRecord

PARENTS = ("Give travelers the drone that says you care.", "The backpack that people will not stop talking about.")


@pytest.fixture
def composer(space) -> Composer:
    """The small model as a writer: it never learned to read prompts, but it writes."""
    return Composer(space.model, space.adapter, space.encoder.encode, space.critic)


def _mixed(space, parents=PARENTS, record=None) -> Mixed:
    wanted = wanted_point(space.encoder.encode(list(parents))[None], torch.full((1, len(parents)), 1 / len(parents)))
    return Mixed(adapt(space.adapter, wanted)[0], wanted[0], parents, record)


def _said(composer, monkeypatch, texts) -> None:
    monkeypatch.setattr(composer, "_written", lambda mixtures, *_: [dict.fromkeys(texts, -0.1) for _ in mixtures])


def _candidates(composer, mixture):
    (found,) = composer.candidates([mixture])
    return found


def _best(composer, mixture):
    return next(iter(best_of(_candidates(composer, mixture), 1)), None)


def test_what_is_fit_stands_first_and_best_first(space, composer):
    found = _candidates(composer, _mixed(space))
    assert len({one.text for one in found}) == len(found) > 1
    fit = [not one.refusals for one in found]
    assert fit == sorted(fit, reverse=True)
    for kind in (True, False):
        scores = [one.score for one in found if bool(one.refusals) is not kind]
        assert scores == sorted(scores, reverse=True)
    best = _best(composer, _mixed(space))
    assert (best is None) == (not any(fit))


def test_no_mixture_depends_on_the_others_or_on_their_order(space, composer):
    some = replace(composer, effort=Effort(each=3, together=4))
    pairs = [PARENTS, ("A red kettle.", "Why wait? Buy the lamp today."), (PARENTS[0], "A red kettle."), PARENTS[::-1]]
    long = tuple(f"{parent} {parent}" for parent in PARENTS)  # prompts of another length
    more = [PARENTS[:1], PARENTS * 2, (*PARENTS, "Tea.")]  # other numbers of vectors
    mixtures = [_mixed(space, pair) for pair in [*pairs, long, ("Tea.", "A quiet kettle for tea."), *more]]
    every = some.candidates(mixtures)
    assert some.candidates(mixtures[::-1]) == every[::-1]
    for mixture, found in zip(mixtures, every, strict=True):
        assert _candidates(some, mixture) == found
    assert some.candidates([]) == []


@pytest.mark.parametrize(("each", "parents"), [(2, 4), (2, 9), (3, 7), (8, 3)])
def test_of_many_parents_no_more_vectors_are_read_than_texts_are_written(space, composer, each, parents):
    family = tuple(f"A kettle for {day}." for day in range(2, 2 + parents))
    assert _candidates(replace(composer, effort=Effort(each=each)), _mixed(space, family))


def test_the_writer_reads_the_parents_in_both_orders_and_each_alone(space, composer, monkeypatch):
    asked, known = [], composer._read
    monkeypatch.setattr(composer, "_read", lambda prompts: known(asked[:] or asked.extend(prompts) or prompts))
    _candidates(composer, _mixed(space))
    first, second = (f"- {parent}\n" for parent in PARENTS)
    assert asked == [first + second, second + first, first, second]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (PARENTS[0], "copy"),
        ("Give the travelers the drone that says you care.", "copy"),
        ("The drone that says you care.", "copy"),
        (f"{PARENTS[0]} {PARENTS[1]}", "concatenation"),
        ("Give travelers the drone that people will not stop talking about.", "concatenation"),
        ("Give 40 travelers a drone.", "invented"),
        ("Give Zanzibar travelers a drone.", "invented"),
        ("Hurry, give travelers the drone.", "unbacked claim"),
        ("Travelers trusted by the drone.", "unbacked claim"),
        ("Give travelers an drone.", "article"),
        ("They gives travelers the drone.", "grammar"),
        ("Give travelers the", "unfinished"),
        ("Give travelers the drone drone.", "repetition"),
    ],
)
def test_refusals(space, composer, monkeypatch, text, code):
    _said(composer, monkeypatch, [text])
    (found,) = _candidates(composer, _mixed(space))
    assert code in {refusal.code for refusal in found.refusals}
    assert _best(composer, _mixed(space)) is None


def test_an_editor_refuses_and_ranks_what_nothing_else_refused(space, composer, monkeypatch):
    texts = ["Give people the drone.", "The backpack of travelers.", "The drone that people say you care for.", "A an"]
    _said(composer, monkeypatch, texts)
    refused = {texts[3]: [Refusal("article", "two of them")]}
    monkeypatch.setattr(composing, "refusals_of", lambda _, said, __: [[*refused.get(text, [])] for text in said])
    monkeypatch.setattr(composer, "_refuse_strange", lambda *_: None)
    composer.editor = _Editor({texts[0]: 0.01, texts[1]: 1e-9, texts[2]: 0.99})
    found = _candidates(composer, _mixed(space))
    assert found[0].text == texts[2]
    codes = {one.text: [refusal.code for refusal in one.refusals] for one in found}
    assert codes == dict(zip(texts, (["unprintable"], ["unprintable"], [], ["article"]), strict=True))
    assert found[-1].text == texts[1]
    printed = {one.text: one.printed for one in found}
    assert printed[texts[3]] is None
    assert 0 < printed[texts[1]] < printed[texts[0]] < composer.effort.printed <= printed[texts[2]] < 1
    assert {one.text for one in found if not one.refusals} == {texts[2]}
    composer.effort = Effort(printed=0.0)
    assert [one.text for one in _candidates(composer, _mixed(space)) if not one.refusals] == [*texts[2::-2], texts[1]]


class _Editor:
    """Says of each text what it was told."""

    def __init__(self, likely, about=None):
        self.likely = likely
        self.sources = prompt(PARENTS, about) if about else "".join(f"- {parent}\n" for parent in PARENTS)

    def verdicts(self, sources, texts):
        assert sources == self.sources
        return torch.tensor([[self.likely.get(text, 0.001), 0.9] for text in texts]).logit()


def test_what_is_not_sure_to_be_printed_is_written_again(space, composer, monkeypatch):
    first, second = "Give people the drone.", "The backpack of travelers."
    turns = []
    monkeypatch.setattr(composer, "_refuse_strange", lambda *_: None)
    monkeypatch.setattr(composing, "refusals_of", lambda _, said, __: [[] for _ in said])
    said = [{first: -3.0, "A drone.": -3.0}, {second: -0.01, first: -0.1}, {"Never.": 0.0}]
    monkeypatch.setattr(
        composer, "_written", lambda mixtures, _, turn: turns.append(turn) or [said[turn]] * len(mixtures)
    )
    composer.editor = _Editor({first: 0.5, second: 0.9999})
    for most, best, written in ((1, first, 2), (2, second, 3), (5, second, 3)):
        composer.effort = Effort(turns=most)
        turns.clear()
        found = _candidates(composer, _mixed(space))
        assert (found[0].text, len(found), turns) == (best, written, [*range(min(most, 2))])
    again = {one.text: one.score for one in found}
    composer.effort = Effort(turns=1)
    assert again[first] > {one.text: one.score for one in _candidates(composer, _mixed(space))}[first]


def test_every_turn_says_something_else(space, composer):
    mixture = _mixed(space)
    theirs = composer._encoded([mixture.parents])
    first, second = (set(composer._written([mixture], theirs, turn)[0]) for turn in (0, 1))
    assert second - first
    assert composer._written([mixture], theirs, 1)[0].keys() == second


def test_a_strange_text_is_unreadable(space, composer, monkeypatch):
    whole, broken = "Give travelers the backpack that says you care.", "Travelers drone the says care stop that people."
    _said(composer, monkeypatch, [whole, broken])
    refused = {one.text: {refusal.code for refusal in one.refusals} for one in _candidates(composer, _mixed(space))}
    assert "unreadable" not in refused[whole]
    assert "unreadable" in refused[broken]


def test_about_a_record_the_editor_alone_says_what_is_strange(space, composer, monkeypatch):
    rare = ProductRecord(name="merino base layer", quality=["odour-resistant"], benefit=["stays warm when damp"])
    written = "Our merino base layer stays warm when damp."
    _said(composer, monkeypatch, [written])
    monkeypatch.setattr(composing, "_STRANGER", -99.0)  # whatever is looked at is strange
    monkeypatch.setattr(composer, "_refused", lambda mixtures, texts, house: [[[] for _ in said] for said in texts])
    (before,) = _candidates(composer, _mixed(space, record=rare))
    assert "unreadable" in {refusal.code for refusal in before.refusals}
    composer.editor = _Editor({written: 0.999}, about=rare)
    some = [_mixed(space, record=record) for record in (rare, None, rare)]  # without one the rule stays
    codes = [{refusal.code for refusal in one.refusals} for (one,) in composer.candidates(some)]
    assert [("unreadable" in found) for found in codes] == [False, True, False]
    (found,) = _candidates(composer, _mixed(space, record=rare))
    assert not found.refusals
    composer.editor = _Editor({written: 0.01}, about=rare)
    (found,) = _candidates(composer, _mixed(space, record=rare))
    assert {refusal.code for refusal in found.refusals} == {"unprintable"}


def test_about_a_subject_facts_come_from_the_record_alone(space, composer, monkeypatch):
    mug = ProductRecord(name="trail mug", feature=["a screw-on lid"], proof=["rated 4.8 out of 5"])
    texts = [
        "The trail mug with a screw-on lid that says you care.", "The trail mug is rated 4.8 out of 5.",
        "The trail mug is rated 4.9 out of 5.", "The backpack with a screw-on lid.", "The trail mug has free shipping.",
    ]  # fmt: skip
    _said(composer, monkeypatch, texts)
    found = _candidates(composer, _mixed(space, record=mug))
    codes = {one.text: {refusal.code for refusal in one.refusals} - {"unreadable"} for one in found}
    assert codes[texts[0]] == codes[texts[1]] == set()
    assert "invented number" in codes[texts[2]]
    assert "off subject" in codes[texts[3]]
    assert "unbacked claim" in codes[texts[4]]


def test_the_reference_says_whether_a_subject_takes_an_article(space, composer, monkeypatch):
    mug, asked, says = ProductRecord(name="trail mug", feature=["a screw-on lid"]), [], [True]
    monkeypatch.setattr(composing, "is_uncounted", lambda name, model: asked.append((name, model)) or says[0])
    monkeypatch.setattr(composer, "_uncounted", {})
    one, ours = "A trail mug with a screw-on lid.", "Our trail mug with a screw-on lid."
    _said(composer, monkeypatch, [one, ours])

    def refused():
        found = _candidates(composer, _mixed(space, record=mug))
        return {said.text for said in found if "agreement" in {refusal.code for refusal in said.refusals}}

    assert refused() == refused() == {one}
    assert asked == [("trail mug", composer.reference)]
    composer._uncounted.clear()
    says[0] = False
    assert not refused()


def test_nothing_written_gives_nothing(space, composer, monkeypatch):
    _said(composer, monkeypatch, [])
    assert _candidates(composer, _mixed(space)) == []
    assert _best(composer, _mixed(space)) is None


def test_several_texts_of_a_mixture_are_unlike_each_other(space, composer, monkeypatch):
    texts = ["Give people the drone.", "Give people the drone!", "The backpack of travelers.", "The drone of people."]
    _said(composer, monkeypatch, texts)
    monkeypatch.setattr(composing, "refusals_of", lambda _, said, __: [[] for _ in said])
    monkeypatch.setattr(composer, "_refuse_strange", lambda *_: None)
    found = best_of(_candidates(composer, _mixed(space)), 3)
    assert len(found) == 3
    assert len({one.text.rstrip(".!") for one in found}) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


MUG = ProductRecord(name="trail mug", quality=["sturdy", "light", "insulated"], feature=["a lid", "a hidden handle"])


def _several(space, composer, monkeypatch, texts, house=None, kept=8):
    _said(composer, monkeypatch, texts)
    monkeypatch.setattr(composer, "_refuse_strange", lambda *_: None)
    monkeypatch.setattr(composer, "effort", Effort(kept=kept, printed=0.5, turns=1))
    (found,) = composer.candidates([_mixed(space, record=MUG)], house)
    return found


def test_what_may_be_shown_is_offered_with_other_facts_behind_it(space, composer, monkeypatch):
    written = ["A light trail mug with a lid.", "Our trail mug is sturdy."]
    found = best_of(_several(space, composer, monkeypatch, [*written, "A light backpack."]), 8)
    texts = [one.text for one in found]
    assert set(texts[:2]) == set(written)
    assert set(texts[2:]) < {
        *(f"{a} trail mug with {b}." for a in ("A sturdy", "An insulated", "A light") for b in MUG.feature),
        *(f"Our trail mug is {quality}." for quality in MUG.quality),
    }
    assert len(set(texts)) == len(texts) == 8
    assert {one.facts for one in found} >= {frozenset(["trail mug", "light"]), frozenset(["trail mug", "insulated"])}
    assert _several(space, composer, monkeypatch, written) == _several(space, composer, monkeypatch, written)
    alone = _several(space, composer, monkeypatch, written, kept=1)
    assert {one.text for one in alone} == set(written)


def test_rules_and_the_editor_refuse_other_facts_too(space, composer, monkeypatch):
    written, worse, better = (f"Our trail mug is {quality}." for quality in ("light", "sturdy", "insulated"))
    house = Checker(WritingRules(banned_words=("sturdy",), only_known_words=False), [])
    assert [one.text for one in best_of(_several(space, composer, monkeypatch, [written], house), 8)] == [
        written,
        better,
    ]
    likely = {written: 0.999, worse: 0.98, better: 0.9999}
    composer.editor = _Editor(likely, about=MUG)
    found = _several(space, composer, monkeypatch, [written])
    assert [one.text for one in found] == [written, better]  # and not what is better beside what the writer wrote


def test_texts_that_say_other_facts_are_no_copies(space, composer, monkeypatch):
    texts = ["The sturdy trail mug that people love has a lid.", "The light trail mug that people love has a lid."]
    again = "The light trail mug that all people love has a lid."
    found = best_of(_several(space, composer, monkeypatch, [*texts, again]), 2)
    assert {one.facts for one in found} == {
        frozenset(["trail mug", "a lid", quality]) for quality in ("sturdy", "light")
    }


def test_of_a_long_record_each_prompt_tells_some_facts_and_the_editor_reads_what_texts_may_have(
    space, composer, monkeypatch
):
    """Both learned from short records; what the editor does not see in one it takes to be made up."""
    record = ProductRecord(name="drone", quality=["light", "quiet"], feature=["a folding arm", "a stand", "a strap"],
                           benefit=["sees at night", "charges fast", "starts at once"],
                           use=["weddings", "maps", "inspections"], offer=["free returns"])  # fmt: skip
    heard, written = [], ["The drone with a folding arm.", "A quiet drone."]
    monkeypatch.setattr(composer, "_read", lambda prompts: heard.extend(prompts) or Composer._read(composer, prompts))
    composer._asked(_mixed(space, PARENTS, record), space.encoder.encode(list(PARENTS)))
    facts = [frozenset(line.partition(": ")[2].split("; ")) for line in (asked.splitlines()[0] for asked in heard)]
    assert [len(some) for some in facts] == [FACTS] * 4
    assert len(set(facts)) == 4
    _said(composer, monkeypatch, written)
    monkeypatch.setattr(composing, "refusals_of", lambda _, said, __: [[] for _ in said])
    composer.editor = _Editor(dict.fromkeys(written, 0.9), record.only(["quiet", "a folding arm"]))
    assert all(one.printed is not None for one in _candidates(composer, _mixed(space, PARENTS, record)))
