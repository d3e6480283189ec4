"""Number: what is said of a product agrees with its name, and what is right is let be."""

import pytest

from embeddings.prompt import about
from generator.agreement import is_plural, made_work, number_faults, without_things
from generator.record import ProductRecord


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A school uniforms that wash well.", "school uniforms"),
        ("A quick-drying, soft cloth nappies for two years.", "cloth nappies"),
        ("Cloth nappies that saves £400.", "cloth nappies"),
        ("Our enamel mugs, made of steel, is for the shed.", "enamel mugs"),
        ("Our mug are light.", "mug"),
    ],
)
def test_faults_of_number_are_found(text, name):
    assert number_faults(text, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Our school uniforms wash well.", "school uniforms"),
        ("Every pair of our wool socks has a darned toe.", "wool socks"),
        ("A pair of wool socks that always fits.", "wool socks"),
        ("This week, three loaves that are still warm.", "loaves"),
        ("A mug that is light.", "mug"),
        ("A spoon and a mug are in the box.", "mug"),
        ("A cut glass that is thin.", "cut glass"),
        ("A camera lens that is light.", "camera lens"),
        ("A yoga retreat for tired teachers that is quiet.", "yoga retreat for tired teachers"),
    ],
)
def test_what_agrees_is_let_be(text, name):
    assert number_faults(text, name) == []


def test_facts_agree_with_their_articles():
    assert number_faults("Order now and get a free returns.", "backpack", ["free returns"]) == ["a free returns"]
    assert number_faults("Order now and get free returns.", "backpack", ["free returns"]) == []


def test_a_name_that_is_a_plural_is_its_own_plural():
    assert is_plural("wicker baskets")
    assert is_plural("sofas")
    assert not is_plural("compass")
    assert ProductRecord(name="wicker baskets").plural == "wicker baskets"
    assert ProductRecord(name="mug").plural == "mugs"


@pytest.mark.parametrize(
    "text", ["Honey with from hives.", "Earrings with shaped like leaves.", "A set with fits the track."]
)
def test_what_names_no_thing_stands_behind_no_with(text):
    assert without_things(text)


@pytest.mark.parametrize("text", ["Honey with a lid.", "Earrings with leaves.", "A cover with buttons for babies."])
def test_things_stand_behind_with(text):
    assert without_things(text) == []


def test_a_prompt_says_with_of_things_alone():
    record = ProductRecord(name="honey", feature=("a lid", "from hives on the moor"))
    assert about(record) == "About the honey: with a lid; from hives on the moor."


@pytest.mark.parametrize(
    "text",
    [
        "A hedge laying that keeps stock in.",
        "For a hedge laying.",
        "Each hedge laying",
        "Calm and kind, a hedge laying",
        "A traditional hedge laying done by a champion.",
    ],
)
def test_what_is_done_takes_no_article(text):
    assert number_faults(text, "hedge laying")


@pytest.mark.parametrize(
    "text",
    [
        "Our hedge laying.", "A hedge laying day.", "A price for hedge laying.", "Every farm needs hedge laying.",
        "Each week brings hedge laying.", "Book a visit, enjoy hedge laying.", "An hour's hedge laying.",
        "A fair price, expert hedge laying.", "A hedge laying and training day.",
    ],
)  # fmt: skip
def test_what_is_done_stands_without_article_or_before_another_noun(text):
    assert number_faults(text, "hedge laying") == []


@pytest.mark.parametrize("name", ["earring", "baby sling", "ceiling", "phone casing", "apple sapling", "wedding"])
def test_things_that_end_alike_take_one(name):
    assert number_faults(f"A silver {name} for you.", name) == []


@pytest.mark.parametrize("text", ["A biltong for walkers.", "A peppery biltong.", "Every good biltong that lasts."])
def test_what_nobody_counts_takes_no_article(text):
    assert number_faults(text, "biltong", uncounted=True)
    assert number_faults(text, "biltong") == []


@pytest.mark.parametrize("text", ["Our biltong.", "A bag of biltong.", "A biltong pouch.", "Dry, peppery biltong."])
def test_what_nobody_counts_stands_without_one(text):
    assert number_faults(text, "biltong", uncounted=True) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Our stained glass repair is made with hand-blown glass.", "stained glass repair"),
        ("Shoe repairs made of oak-bark leather.", "shoe repairs"),
        ("Bow rehairing that is made from horsehair.", "bow rehairing"),
    ],
)  # fmt: skip
def test_what_is_done_is_made_of_nothing(text, name):
    assert made_work(text, name)


@pytest.mark.parametrize(
    "name", ["earring", "trail mug", "lampshades", "clothing", "roofing", "ski binding", "tea service"]
)
def test_things_are_made_of_something(name):
    assert made_work(f"Our {name} made of silver.", name) == []
