"""A record holds what is true of a product; slots take it from there, articles and capitals agreeing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from copyloom import InputError
from generator.record import KINDS, SLOTS, ProductRecord, choose_slots, fill, indefinite_article, slots_of

MACHINE = ProductRecord(
    name="espresso machine",
    quality=["compact", "honest", "useful"],
    feature=["an oak handle"],
    proof=["rated 4.8 out of 5"],
    offer=["20 percent off"],
)
NEARNESS = {phrase: 0.0 for _, phrase in MACHINE.attributes()}


@pytest.mark.parametrize(
    ("slotted", "text"),
    [
        ("The <name> is <proof 1>.", "The espresso machine is rated 4.8 out of 5."),
        ("<a> <name> with <feature 1>.", "An espresso machine with an oak handle."),
        ("<a> <quality 1> <name>.", "A compact espresso machine."),
        ("Choose <a> <quality 2> <name>.", "Choose an honest espresso machine."),
        ("Choose <a> <quality 3> <name>.", "Choose a useful espresso machine."),
        (
            "<names> for all. <names>? <names>! <name>",
            "Espresso machines for all. Espresso machines? Espresso machines! Espresso machine",
        ),
        ("Today: <offer 1>. <a> <name>.", "Today: 20 percent off. An espresso machine."),
        ('"<quality 1>" is the word. "<a> <name>"', '"Compact" is the word. "An espresso machine"'),
        ("No slots, <b>just</b> text.", "No slots, <b>just</b> text."),
        ("<name 1> and <quality 4> are no slots.", "<name 1> and <quality 4> are no slots."),
    ],
)
def test_fill(slotted, text):
    assert fill(slotted, MACHINE) == text


def test_a_slot_without_phrase_is_refused_by_name():
    with pytest.raises(InputError, match="<material 1> has no phrase in the record of 'espresso machine'"):
        fill("Made of <material 1>.", MACHINE)
    with pytest.raises(InputError, match="<offer 2>"):
        fill("<offer 1> and <offer 2>", MACHINE)


@given(st.text())
def test_text_without_slots_stays_as_it_is(text):
    if not any(slot in text for slot in (*SLOTS, "<a>")):
        assert fill(text, MACHINE) == text


@pytest.mark.parametrize(
    ("phrase", "article"),
    [
        ("oak desk", "an"),
        ("Umbrella", "an"),
        ("usher", "an"),
        ("hourglass", "an"),
        ("heirloom pan", "an"),
        ("8-cup pot", "an"),
        ("11-inch pan", "an"),
        ("18 litre bag", "an"),
        ("80 percent", "an"),
        ("unisex watch", "a"),
        ("useful mug", "a"),
        ("utility belt", "a"),
        ("one-piece suit", "a"),
        ("euro plug", "a"),
        ("110-volt plug", "a"),
        ("house", "a"),
        ("chef knife", "a"),
        ("", "a"),
    ],
)
def test_articles_go_by_sound(phrase, article):
    assert indefinite_article(phrase) == article


@pytest.mark.parametrize(
    ("phrase", "article"),
    [
        ("usb hub", "a"),
        ("uninterrupted view", "an"),
        ("unimposing lamp", "an"),
        ("UV-resistant tent", "a"),
        ("ubiquitous mug", "a"),
        ("U-shaped pillow", "a"),
        ("LED lamp", "an"),
        ("X-ray box", "an"),
        ("rfid pocket", "an"),
        ("Rfid pocket", "an"),
        ("mp4 file", "an"),
        ("SPF 30 cream", "an"),
        ("xs jacket", "an"),
        ("summer jacket", "a"),
        ("mdfield", "a"),
    ],
)
def test_articles_of_negations_and_letters(phrase, article):
    assert indefinite_article(phrase) == article


def test_the_nearest_phrase_takes_the_first_slot_and_none_is_taken_twice():
    nearness = NEARNESS | {"compact": 0.1, "honest": 0.3, "useful": 0.2}
    slotted = "<a> <quality 1>, <quality 1> and <quality 3> <name>: <offer 3>."
    expected = "<a> <quality 2>, <quality 3> and <quality 1> <name>: <offer 1>."
    assert choose_slots(slotted, MACHINE, nearness) == [expected]


def test_a_sentence_takes_its_phrases_in_every_way_the_nearest_first():
    nearness = NEARNESS | {"compact": 0.1, "honest": 0.3, "useful": 0.2}
    ways = choose_slots("<quality 1> or <quality 2>: <offer 1>.", MACHINE, nearness, count=99)
    pairs = [(2, 3), (3, 2), (2, 1), (1, 2), (3, 1), (1, 3)]  # by the sum of their nearness, the nearest said first
    assert ways == [f"<quality {first}> or <quality {second}>: <offer 1>." for first, second in pairs]
    assert choose_slots("<quality 1> or <quality 2>: <offer 1>.", MACHINE, nearness, count=2) == ways[:2]
    assert choose_slots("Nothing to fill.", MACHINE, nearness, count=9) == ["Nothing to fill."]


def test_more_slots_than_phrases_are_refused():
    with pytest.raises(InputError, match="more than the 1 phrases of kind 'offer' in the record of 'espresso machine'"):
        choose_slots("<offer 1> and <offer 2>", MACHINE, NEARNESS)
    with pytest.raises(InputError, match="more than the 0 phrases of kind 'use'"):
        choose_slots("<use 1>", MACHINE, NEARNESS)


def test_slots_come_in_order_of_appearance_without_articles():
    assert slots_of("<a> <quality 2> <name> <quality 1> <b> <names>") == [
        "<quality 2>",
        "<name>",
        "<quality 1>",
        "<names>",
    ]


def test_phrases_follow_the_order_of_kinds():
    assert [slot for slot, _ in MACHINE.attributes()] == [
        "<quality 1>",
        "<quality 2>",
        "<quality 3>",
        "<feature 1>",
        "<proof 1>",
        "<offer 1>",
    ]
    assert MACHINE.phrases() == {
        "<name>": "espresso machine",
        "<names>": "espresso machines",
        **dict(MACHINE.attributes()),
    }


def test_white_space_is_folded_and_the_plural_can_be_given():
    record = ProductRecord(name=" chef\n knife ", plural="chef  knives")
    assert (record.name, record.plural) == ("chef knife", "chef knives")


def test_records_do_not_change():
    with pytest.raises(ValidationError):
        MACHINE.name = "mug"


@given(
    st.fixed_dictionaries(
        {"name": st.from_regex(r"[a-z]{1,9}( [a-z]{1,9})?", fullmatch=True)},
        optional={kind: st.lists(st.from_regex(r"[a-z0-9é%,'-]{1,20}", fullmatch=True), max_size=3) for kind in KINDS},
    )
)
def test_every_slot_of_a_record_fills(data):
    record = ProductRecord.model_validate(data)
    for slot, phrase in record.phrases().items():
        assert fill(f"so {slot}.", record) == f"so {phrase}."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("quality: [light]", "name: Field required"),
        ("name: ''", "an attribute is empty; write a phrase or leave it out"),
        ("name: mug\nquality: [light, '  ']", "an attribute is empty"),
        ("name: mug\nquality: [a, b, c, d]", "quality: .* at most 3"),
        ("name: mug\ncolour: red", "colour: .*Allowed keys: name, plural, category, quality, material"),
        (f"name: {'m' * 81}", "has 81 characters; an attribute has at most 80"),
        ("name: mug\noffer: ['<name> for free']", "contains the name of a slot; leave the angle brackets out"),
        ("name: mug\noffer: ['get <a> mug']", "contains the name of a slot"),
        ("- mug", "must hold a mapping with 'name'"),
        ("", "must hold a mapping with 'name'"),
        ("name: [mug", "not a readable YAML file"),
    ],
)
def test_a_file_without_a_record_is_refused_with_the_reason(tmp_path, content, message):
    path = tmp_path / "record.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"(?s)record\.yaml.*{message}"):
        ProductRecord.from_yaml(path)


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml is not a readable YAML file"):
        ProductRecord.from_yaml(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(bytes(range(128, 256)))
    with pytest.raises(InputError, match=r"binary\.yaml is not a readable YAML file"):
        ProductRecord.from_yaml(tmp_path / "binary.yaml")


def test_a_file_gives_the_record(tmp_path):
    path = tmp_path / "mug.yaml"
    path.write_text("name: mug\nplural: mugs\nmaterial: [grès]\noffer: [free shipping]\n", encoding="utf-8")
    assert ProductRecord.from_yaml(path) == ProductRecord(name="mug", material=["grès"], offer=["free shipping"])


def test_one_phrase_needs_no_list_and_nothing_is_an_empty_one(tmp_path):
    path = tmp_path / "record.yaml"
    path.write_text("name: mug\nquality: light\nfeature:\n")
    record = ProductRecord.from_yaml(path)
    assert (record.quality, record.feature) == (("light",), ())


@pytest.mark.parametrize(
    ("content", "given"),
    [("name: no\n", "name: False"), ("name: mug\nproof: [1:30]\n", "proof.0: 90"), ("name: 12\n", "name: 12"),
     ("name: mug\nuse: [2024-01-02]\n", "use.0: datetime.date"), ("name: mug\nno: [a]\n", "False")],
)  # fmt: skip
def test_what_yaml_takes_for_no_text_is_told_so(tmp_path, content, given):
    (tmp_path / "record.yaml").write_text(content)
    with pytest.raises(InputError) as caught:
        ProductRecord.from_yaml(tmp_path / "record.yaml")
    assert given in str(caught.value)
    assert "is no text; put it in quotes, for without them YAML reads" in str(caught.value)


def test_a_phrase_that_is_given_twice_counts_once():
    cup = ProductRecord(name="cup", quality=["light", " Light", "sturdy"], use="tea", audience=("sturdy", "walkers"))
    assert (cup.quality, cup.audience, cup.use) == (("light", "sturdy"), ("walkers",), ("tea",))
    assert len(ProductRecord(name="cup", feature=["a lid", "a rim", "a lid", "an ear"]).feature) == 3
    with pytest.raises(ValidationError, match="empty"):
        ProductRecord(name="cup", quality=["", ""])
    with pytest.raises(ValidationError):
        ProductRecord(name="cup", quality=[["light"], 3])
