"""A text that may be shown passes; each other one is refused with a code and a reason."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from generator.checks import Checker, Refusal, WritingRules, normalised
from generator.grammar import Grammar
from generator.reader import GrammarReader
from generator.record import ProductRecord

KNIFE = ProductRecord(name="chef knife", plural="chef knives", quality=["balanced"], offer=["free shipping"])
READER = GrammarReader(Grammar.load(), KNIFE)


def codes(text, rules=None, stored=(), reader=None, finished=True):
    return [refusal.code for refusal in Checker(rules or WritingRules(), stored, reader).refusals(text, finished)]


@pytest.mark.parametrize("seed", range(3))
def test_every_claim_of_the_grammar_passes(grammar, seed):
    record = grammar.record(random.Random(seed))
    checker = Checker(WritingRules(), [], GrammarReader(grammar, record))
    for claim in grammar.claims_about(record):
        assert checker.refusals(claim.text) == []


def test_every_claim_about_a_product_of_another_kind_is_refused(grammar):
    """26 records, 10 claims of each, read for the product of the next category."""
    rng = random.Random(7)
    for category, other in zip(grammar.categories, grammar.categories[1:] + grammar.categories[:1], strict=True):
        checker = Checker(WritingRules(), [], GrammarReader(grammar, grammar.record(rng, category)))
        foreign = grammar.record(rng, other)
        for _ in range(10):
            claim = grammar.claim(rng, foreign)
            assert "off subject" in [refusal.code for refusal in checker.refusals(claim.text)], claim.text


def test_every_product_of_a_category_is_told_from_its_neighbours(grammar):
    for category in grammar.categories:
        for (name, plural), (other, _) in zip(category.products, category.products[1:], strict=False):
            reader = GrammarReader(grammar, ProductRecord(name=name, plural=plural))
            assert codes(f"Our {name} is almost gone.", reader=reader) in ([], ["unknown word"])
            assert "off subject" in codes(f"Our {other} is almost gone.", reader=reader), (name, other)


def test_an_attribute_that_the_record_lacks_is_refused_by_name(grammar):
    quality = next(c for c in grammar.categories if c.name == "camping").attributes["quality"][0]
    found = Checker(WritingRules(), [], READER).refusals(f"You will fall in love with this {quality} chef knife.")
    assert [refusal.code for refusal in found] == ["foreign attribute"]
    assert repr(quality) in found[0].reason


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("number", ["40", "4.9", "1,000", "40%", "$5", "two", "thousand", "dozens of", "half the"])
def test_an_invented_number_is_refused(number, strict):
    rules = WritingRules(only_known_words=strict)
    assert "invented number" in codes(f"Last chance: {number} on our chef knives.", rules, reader=READER)


def test_unknown_words_are_refused_where_the_brand_asks_for_it():
    text = "You will fall in love with this shimmering chef knife."
    assert codes(text, reader=READER) == ["unknown word"]
    assert codes(text, WritingRules(only_known_words=False), reader=READER) == []
    assert codes(text) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Too short.", "length"),
        ("This knife is long. " + "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 3, "length"),
        ("A very very good knife.", "repetition"),
        ("A good Knife knife for you.", "repetition"),
        ("Made with love, yes, made with love, it is.", "repetition"),
        ("You will love the balanced", "unfinished"),
        ("You will love this knife and.", "unfinished"),
        ('They said "you will love this knife.', "unfinished"),
        ("?!...!!....?!", "unfinished"),
        ("? Our knife is the one you will love.", "opening"),
        ("|Our knife is the one you will love.", "opening"),
    ],
)
def test_form(text, code):
    assert code in codes(text)


@pytest.mark.parametrize("text", ["'Sharp' is what cooks say.", "¿A knife?", "$5 for a knife.", "#1 of all knives."])
def test_a_text_may_begin_with_marks_that_open(text):
    assert "opening" not in codes(text)


def test_a_text_may_begin_with_a_mark_that_a_stored_text_begins_with():
    text = "*New* knife, two blades."
    assert "opening" in [refusal.code for refusal in Checker(WritingRules(), []).refusals(text)]
    assert Checker(WritingRules(), ["*Cheap* spoon, one bowl."]).refusals(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "You will love this knife.",
        "Is this your knife?",
        "And it is here…",
        'They said "you will love it."',
        "Yes: ¡el cuchillo!",
    ],
)
def test_finished_sentences_pass(text):
    assert codes(text) == []


def test_a_headline_needs_no_full_stop_but_an_end():
    headline, rules = "The knife that everyone talks about", WritingRules(full_stop=False)
    assert codes(headline) == ["unfinished"]
    assert codes(headline, rules) == []
    assert codes(headline, rules, finished=False) == ["unfinished"]
    assert codes("The knife that is made of", rules) == ["unfinished"]


def test_lengths_are_allowed_at_their_limits():
    rules = WritingRules(min_characters=9, max_characters=9, full_stop=False)
    assert [codes(text, rules) for text in ("a knife!", "my knife!", "one knife!")] == [["length"], [], ["length"]]


@given(
    st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=8), st.randoms(use_true_random=False)
)
def test_copies_are_found_under_other_case_and_marks(words, rng):
    disguised = rng.choice(["", "«", "- "]) + "".join(
        rng.choice([word.upper(), word.title(), word]) + rng.choice([" ", ", ", " – ", "! "]) for word in words
    )
    assert "copy" in codes(disguised, stored=[" ".join(words)])
    assert normalised(disguised) == " ".join(words)


def test_a_text_that_holds_a_whole_stored_text_is_refused():
    stored = ["Buy this knife.", "Try it"]
    found = Checker(WritingRules(), stored).refusals("Today is the day: buy this knife, friend.")
    assert [refusal.code for refusal in found] == ["concatenation"]
    assert "Buy this knife." in found[0].reason
    assert codes("Then try it with an onion.", stored=stored) == []  # two words are nobody's own
    assert codes("They buy this knifework.", stored=stored) == []


@pytest.mark.parametrize("text", ["This is the BEST knife.", "At its very best, a knife."])
def test_banned_words_are_found_in_any_case(text):
    found = Checker(WritingRules(banned_words=("best", "cheap as chips")), []).refusals(text)
    assert [(refusal.code, refusal.reason) for refusal in found] == [("banned", "the brand bans 'best'")]


def test_banned_words_are_whole_words_and_phrases():
    rules = WritingRules(banned_words=("best", "on sale", "a.b"))
    assert codes("A bestial knife and a salesman.", rules) == []
    assert codes("This knife is On Sale.", rules) == ["banned"]
    assert codes("This knife is aXb for you.", rules) == []


@pytest.mark.parametrize(
    ("word", "text"),
    [("50%", "Get 50% off this knife."), ("#1", "The #1 knife of the year."), ("wow!", "Say wow! to this knife.")],
)
def test_banned_words_may_begin_and_end_with_marks(word, text):
    assert codes(text, WritingRules(banned_words=(word,))) == ["banned"]


def test_every_reason_is_given():
    rules = WritingRules(banned_words=("tent",), max_characters=20)
    text = "The tent, the tent, the tent with 40"
    assert set(codes(text, rules, reader=READER, finished=False)) >= {
        "length",
        "repetition",
        "unfinished",
        "banned",
        "off subject",
        "invented number",
    }


def test_unknown_rules_are_refused():
    with pytest.raises(ValidationError, match="max_length"):
        WritingRules(max_length=10)
    with pytest.raises(ValidationError, match="min_characters"):
        WritingRules(min_characters=0)


@given(st.text(max_size=100))
def test_any_text_is_judged(text):
    for refusal in Checker(WritingRules(), ["Buy this knife."], READER).refusals(text):
        assert refusal.code
        assert refusal.reason


FAMILY = ("Choose the dutch oven made of cast iron and sleep well tonight.",
          "Tired of a hybrid bike that lets you down? Ours carries you through any season.")  # fmt: skip


def strays(text, family=FAMILY, reader=None, any_style=False):
    checker = Checker(WritingRules(only_known_words=False), [], reader, family=family, any_style=any_style)
    return [refusal.code for refusal in checker.refusals(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Choose the hybrid bike made of cast iron and sleep well tonight.", []),
        ("Choose the trail shoe made of cast iron and sleep well tonight.", ["another product"]),
        ("Choose the dutch hybrid made of cast iron and sleep well tonight.", ["another product"]),
        ("Choose the dutch oven and hybrid bike and sleep well tonight.", ["another product"]),
        ("Sophistication begins with a dutch oven crafted from cast iron.", ["another style"]),
        ("Choose the cast dutch oven made of cast iron and sleep well tonight.", ["repeated word"]),
        ("Choose the dutch oven made of the iron and of the steel.", ["repeated word"]),
        ("Choose an hybrid bike made of cast iron and sleep well tonight.", ["article"]),
        ("Choose a the hybrid bike made of cast iron and sleep well tonight.", ["article"]),
        ("Choose the our hybrid bike made of cast iron and sleep well tonight.", ["article"]),
        ("Choose hybrid bike for The iron, and sleep well tonight.", ["capital"]),
        ("Choose the A hybrid bike made of cast iron and sleep well tonight.", []),
        ("Choose the a-frame hybrid bike made of cast iron and sleep well tonight.", []),
    ],
)
def test_a_text_keeps_to_one_product_and_style_of_its_family_and_repeats_no_word_they_do_not(text, found):
    assert strays(text) == found


def test_texts_pass_beside_themselves_and_what_the_family_repeats_may_be_repeated(grammar):
    rng = random.Random(3)
    for _ in range(40):
        claim = grammar.claim(rng, grammar.record(rng))
        assert strays(claim.text, (claim.text,)) == []
    twice = "An unicorn, a unicorn: cups for cups and more cups."
    assert strays(twice, (twice,)) == []


def test_of_a_family_that_the_grammar_does_not_know_no_product_and_no_style_is_asked():
    family = ("iraq reports fierce fighting at nasiriya.", "Modern loft with a garden near the park.")
    assert strays("Sophistication begins with a dutch oven crafted from cast iron.", family) == []
    mixed = (FAMILY[0], family[0])
    assert strays("Sophistication begins with a trail shoe crafted from cast iron.", mixed) == []


def test_articles_and_capitals_are_asked_where_the_family_minds_them_and_two_products_of_a_parent_are_not_asked():
    assert "article" in strays("A apple a day.", ("Buy this knife.",))
    assert "article" not in strays("Il a un chat.", ("Elle a un chien.",))
    assert "article" not in strays("Its a great day for the our.", ("Its a great knife.",))
    assert "capital" not in strays("All That The Rain Brings.", ("Twelve Days In The Rain.",))
    two = "A sturdy cordless drill for you and a hammer."
    assert strays(two, (two,)) == []


def test_a_subject_replaces_the_product_but_not_the_style():
    assert "another style" in strays("A chef knife is a balanced chef knife: data.", reader=READER)
    assert "another product" not in strays("Choose the balanced chef knife and sleep well tonight.", reader=READER)
    assert strays("Sophistication begins with a dutch oven.", any_style=True) == []


def test_further_rules_hold_from_when_they_are_given():
    checker = Checker(WritingRules(), [])
    text = "A knife that stays sharp for years."
    assert checker.refusals(text) == []
    checker.also = lambda text: [Refusal("banned", "the brand bans 'sharp'")] if "sharp" in text else []
    assert [refusal.code for refusal in checker.refusals(text)] == ["banned"]
