"""What a brand says of its texts: what each rule refuses, what cannot be written, what holds in which slot."""

import threading
from hashlib import sha256

import pytest

from copyloom import InputError
from generator.brand_book import BrandBook

FILE = """\
banned: [cheap*, money back]
patterns:
  - {pattern: '[!?]{2,}', says: one mark is enough}
claims: [urgency]
required: [Northpeak, [boot, boots]]
length: {characters: [10, 60], words: [2, 9]}
tone: {good: [Made to last.], bad: [BUY NOW!!]}
when_broken: tell
slots:
  headline: {length: {words: [1, 4]}, required: []}
"""


@pytest.fixture
def book():
    return BrandBook.read(FILE)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Northpeak boots, never CHEAPER.", "banned"),
        ("Northpeak boots or your money  back.", "banned"),
        ("Northpeak boots: why not??", "brand pattern"),
        ("Hurry for Northpeak boots.", "brand claim"),
        ("Warm boots for winter.", "brand word"),
        ("Northpeak shoes for winter.", "brand word"),
        ("Northpeak boots that are as warm as they are light.", "brand length"),
        ("Northpeak boots for everyone whose winters are extraordinary.", "brand length"),
        ("Northpeak boots, warm and dry.", None),
        ("Northpeak boots at a discheap price.", None),  # no whole word
    ],
)
def test_each_rule_refuses_what_it_names_and_nothing_else(book, text, code):
    assert [refusal.code for refusal in book.of("hero").refusals(text)] == ([code] if code else [])


def test_words_of_scripts_without_spaces_are_found_anywhere():
    assert BrandBook(banned=["便宜"]).refusals("我们的便宜靴子")


def test_a_slots_rules_stand_instead_of_the_common_ones(book):
    headline = book.of("headline")
    assert not headline.refusals("Warm and dry shoes.")
    assert [one.code for one in headline.refusals("Warm and dry cheap shoes.")] == ["banned", "brand length"]


def test_what_is_written_is_read_again_as_it_was(book):
    assert BrandBook.read(book.yaml()) == book
    assert BrandBook.model_validate_json(book.model_dump_json(exclude_unset=True)) == book
    assert book.of("headline") == BrandBook.read(book.yaml()).of("headline")
    assert (BrandBook().yaml(), BrandBook.read("")) == ("", BrandBook())


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("banned: [a\n", "no YAML in line 2"),
        ("- cheap", "must be rules by their names"),
        ("forbidden: [a]", "forbidden"),
        ("banned: ['']", "an empty entry"),
        ("claims: [hype]", "'urgency', 'scarcity', 'social proof' or 'offer'"),
        ("length: {words: [9, 2]}", "write the least first"),
        ("patterns: [{pattern: '(', says: x}]", "no regular expression"),
        ("patterns: [{pattern: '(a+)+$b', says: x}]", "takes too long"),
        ("banned: [warm]\ntone: {good: [Warm boots.]}", "the good example 'Warm boots.' breaks the rules"),
        ("when_broken: delete", "'pause' or 'tell'"),
        ("slots: {hero: {tone: {good: [a]}}}", "slots.hero.tone"),
        (
            f"slots: {{{', '.join(f's{number}: {{}}' for number in range(501))}}}",
            "501 were given, at most 500 are allowed",
        ),
        (f"slots: {{{'s' * 64}: {{}}}}", "at most 63 characters"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_is_allowed(rules, said):
    with pytest.raises(InputError, match=r"brand\.yaml") as caught:
        BrandBook.read(rules, "brand.yaml")
    assert said in str(caught.value)


def test_a_file_that_is_none_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        BrandBook.from_yaml(tmp_path / "none.yaml")


def test_a_text_is_not_refused_because_the_process_computes_something_else():
    """A pattern that takes a hundredth of a second alone; `regex` counts the time of all threads."""
    book = BrandBook(patterns=[{"pattern": "(.*)x(.*)x(.*)x[yz]", "says": "no"}])
    done, data = threading.Event(), b"a" * 10_000_000

    def compute() -> None:
        while not done.is_set():
            sha256(data)

    busy = [threading.Thread(target=compute) for _ in range(4)]
    for thread in busy:
        thread.start()
    try:
        assert [book.refusals("x" * 160 + "w") for _ in range(3)] == [[], [], []]
    finally:
        done.set()
        for thread in busy:
            thread.join()
