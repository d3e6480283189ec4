"""Numbers and names that no source holds are found; everything that a source or the language holds is not."""

import pytest

from generator.unbacked import unbacked_claims
from generator.words import as_written, inventions, is_number, ordinary_words, ordinary_words_of, words_in

SOURCES = ("Rated 4.8 out of 5 by Boston's hikers.", "A waterproof backpack for Kim")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hikers in Boston gave the backpack 4.8.", []),
        ("Kim's waterproof backpacks", []),
        ("Hikers in Denver gave it 4.9.", ["Denver", "4.9"]),
        ("Two backpacks for KIM", ["Two"]),
        ("Twenty-one hikers", ["Twenty-one"]),
        ("I think I'll hike", []),
        ("Baking in the cities, stopping, babies", []),
        ("Ordinary words in Title Case Are No Names", []),
        ("Kardashian hikers", ["Kardashian"]),
        ("This waterproof backpack loves our Sunset Hikers", ["Sunset"]),
        ("This waterproof backpack is for YOU, Rated 4.8, I think", []),
        ("Get It Now", []),
        ("Buy It", []),
        ("A waterproof backpack: Sunset hikers rated it. “Lovely,” they say", []),
        ("", []),
    ],
)
def test_inventions(text: str, found: list[str]) -> None:
    assert inventions(text, SOURCES, ordinary_words()) == found


def test_each_invention_is_named_once() -> None:
    assert inventions("Zug, Zug and Zug", [], ordinary_words()) == ["Zug"]


def test_words_keep_their_marks() -> None:
    assert words_in("Kim’s 2,300 well-made mugs — 4.5!") == ["Kim's", "2,300", "well-made", "mugs", "4.5"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("mots for vans: an mot while you wait", "MOTs for vans: an MOT while you wait"),
        ("a case for your iphone’s screen, uk-made", "a case for your iPhone’s screen, UK-made"),
        ("an Iphone case from mcdonald", "an iPhone case from McDonald"),
        ("made in the uk, for us", "made in the UK, for us"),
        ("gin and pie for all", "gin and pie for all"),
        ("mcdonald of dundee", "McDonald of Dundee"),
        ("", ""),
    ],
)
def test_words_keep_the_capitals_of_their_sources(text: str, written: str) -> None:
    sources = [
        "MOTs in the UK, for US vans",
        "an iPhone case made by hand for McDonald of Dundee",
        "Title Case For All",
        "GIN AND PIE, FOR ALL",
    ]
    assert as_written(text, sources) == written


def test_a_word_that_sources_write_in_two_ways_stays_as_it_is() -> None:
    assert as_written("an mot", ["MOT", "Mot"]) == "an mot"


@pytest.mark.parametrize(
    ("word", "number"), [("2BR", True), ("dozens", True), ("half", True), ("one", False), ("tea", False)]
)
def test_numbers(word: str, number: bool) -> None:
    assert is_number(word) is number


def test_words_that_are_mostly_capitals_may_be_names() -> None:
    texts = ["We stay in Boston often.", "We like boston and tea.", "She likes Boston and more tea.", "ALL BOSTON TEA"]
    found = ordinary_words_of(texts)
    assert "tea" in found
    assert "boston" not in found


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Hurry, our mugs are selling fast.", ["urgency", "scarcity"]),
        ("Trusted by thousands of campers.", ["social proof", "social proof"]),
        ("Get 20 percent off and free engraving.", ["offer", "offer"]),
        ("Get 20% off the mug.", ["offer"]),
        ("Save $20 on it, or save 5.", ["offer", "offer"]),
        ("Don’t miss it, before it’s gone.", ["urgency", "urgency"]),
        ("Only for a short time: mugs.", ["urgency"]),
        ("Last call: the mugs are going fast.", ["urgency", "scarcity"]),
        ("The sale of the last pieces ends Sunday.", ["urgency", "scarcity", "offer"]),
        ("Voted mug of the year, two gold medals.", ["social proof", "social proof"]),
        ("A mug that keeps cocoa hot.", []),
        ("A caffeine-free tea for stress-free mornings.", []),
    ],
)
def test_claims_that_nobody_backs(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in unbacked_claims(text, ["keeps cocoa hot"])] == kinds


def test_a_record_backs_what_it_says() -> None:
    assert unbacked_claims("Free engraving, rated 4.8.", ["free engraving", "rated 4.8 out of 5"]) == []
