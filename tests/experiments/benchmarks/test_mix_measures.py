"""The mix benchmark's measures say what they must of cases whose answer is known."""

import random

import numpy as np
import pytest
import torch

from copyloom import InputError
from experiments.benchmarks.mixing.corpora import WEIGHTS, Corpus
from experiments.benchmarks.mixing.fidelity import fidelity
from experiments.benchmarks.mixing.inventions import invented_words
from experiments.benchmarks.mixing.measures import drift, is_concatenation, is_new_text, nearest
from experiments.benchmarks.mixing.written import measure_written
from experiments.bootstrap import interval
from generator.checks import normalised
from generator.grammar import Grammar


def corpus():
    vectors = torch.eye(4)
    pairs, triples = torch.tensor([[0, 1], [1, 2], [2, 3]]), torch.zeros(0, 3, dtype=torch.long)
    return Corpus("test", ["a", "b", "c", "d"], vectors, pairs, triples, ["e"], vectors[:1])


def test_cases_hold_each_pair_at_each_weight():
    cases = corpus().everywhere(len(corpus().pairs))
    assert len(cases) == 3 * len(WEIGHTS)
    assert cases.parents[: len(WEIGHTS)].tolist() == [[0, 1]] * len(WEIGHTS)
    torch.testing.assert_close(cases.weights[: len(WEIGHTS), 1], torch.tensor(WEIGHTS))
    torch.testing.assert_close(cases.weights.sum(1), torch.ones(len(cases)))
    assert cases.weights[len(WEIGHTS) // 2 :: len(WEIGHTS)].tolist() == corpus().at(0.5).weights.tolist()


@pytest.mark.parametrize(("text", "glued"), [
    ("The quiet kettle is here. Hurry, the lamp is almost gone.", True),
    ("Hurry, the lamp is almost gone. The quiet kettle is here.", True),
    ("Hurry, the lamp is gone, and the quiet kettle is here.", True),  # four fifths of one, all of the other
    ("Hurry, the quiet kettle is almost gone.", False),
    ("The quiet kettle is here.", False),
    ("", False),
])  # fmt: skip
def test_a_concatenation_holds_both_parents_one_after_the_other(text, glued):
    parents = ["The quiet kettle is here.", "Hurry, the lamp is almost gone."]
    assert is_concatenation(text, parents) == glued


def test_a_new_text_is_neither_parent_nor_stored():
    stored = {normalised("It is stored.")}
    assert is_new_text("Something else.", ["One.", "Two things."], stored)
    assert not is_new_text("it is STORED!", ["One.", "Two things."], stored)
    assert not is_new_text("And two things, too.", ["One.", "Two things."], stored)


def test_drift_of_an_even_path_a_jump_and_a_standstill():
    even = np.linspace(-0.8, 0.8, 9)
    jump, still = np.where(np.arange(9) < 4, -1.0, 1.0), np.zeros(9)
    correlation, largest = drift(np.stack([even, jump, still, -even]), np.array([[-1.0, 1.0]] * 4))
    np.testing.assert_allclose(correlation[[0, 2, 3]], [1, 0, -1], atol=1e-12)
    assert 0.8 < correlation[1] < 1
    np.testing.assert_allclose(largest, [0.1, 1.0, 0.5, 0.9], atol=1e-12)


def test_an_interval_holds_the_mean_and_shrinks():
    values = np.random.default_rng(0).normal(size=400)
    low, high = interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert interval(np.ones(5)) == [1.0, 1.0]


def test_nearest_is_the_largest_cosine():
    stored = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 1], [-1, 0]]), dim=1)
    assert nearest(torch.tensor([[0.0, 1.0]]), stored).tolist() == pytest.approx([0.5**0.5])


@pytest.fixture(scope="module")
def parents():
    """Two claims of different categories, styles and products."""
    grammar = Grammar.load()
    import random

    rng = random.Random(3)
    tents, blenders = (
        next(c for c in grammar.categories if c.name == name) for name in ("camping", "kitchen_appliances")
    )
    return [grammar.claim(rng, grammar.record(rng, category, 0), style) for category, style in
            ((tents, "urgent"), (blenders, "factual"))]  # fmt: skip


def test_parents_are_faithful_to_themselves(parents):
    assert all(fidelity(claim.text, parents).kept for claim in parents)


def test_every_held_out_claim_is_faithful_to_itself():
    grammar, rng = Grammar.load(), random.Random(5)
    claims = [grammar.claim(rng, grammar.record(rng)) for _ in range(300)]
    assert sum(fidelity(claim.text, [claim]).kept for claim in claims) >= 297


def test_a_blender_with_a_tents_feature_is_a_mixed_up_fact(parents):
    tent, blender = (claim.record for claim in parents)
    mixed = f"The {blender.name} comes with {tent.feature[0]}."
    found = fidelity(mixed, parents)
    assert (found.product, found.facts) == (True, False)
    right = fidelity(f"The {blender.name} comes with {blender.feature[0]}.", parents)
    assert (right.product, right.facts, right.style) == (True, True, True)


def test_another_product_or_both_are_no_fidelity(parents):
    tent, blender = (claim.record for claim in parents)
    assert not fidelity(f"The piano comes with {blender.feature[0]}.", parents).product
    assert not fidelity(f"The {tent.name} and the {blender.name}.", parents).product


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Two Sydney flats", []),
        ("2 flats in Sydney's centre", []),
        ("Three flats", ["Three"]),
        ("A Melbourne flat", ["Melbourne"]),
        ("sydney flat beats melbourne", ["melbourne"]),
        ("An Australian flat, a Belgian owner", ["Belgian"]),
        ("Flats with our Sunrise breakfast", ["Sunrise"]),
        ("Flats With Our Sunrise Breakfast", []),
        ("21 dozen flats, 4.5 stars", ["21", "dozen", "4.5"]),
        ("Twenty-five flats, 25 floors, one view", ["Twentyfive", "25"]),
        ("2.0 flats of £1,250.50 at 10:30", ["1,250.50", "10:30"]),
        ("An Austrian flat, half a floor", ["Austrian", "half"]),
        ("A flat that carries itself… Big, “Bright”", []),
        ("", []),
    ],
)
def test_inventions_are_numbers_and_names_that_no_source_holds(text, found):
    assert invented_words(text, ["2 flats in Sydney, Australia", "A flat by the sea"]) == found


class _Judge:
    """Counts a bit a byte for each letter x."""

    def bits_per_byte(self, texts):
        return torch.tensor([float(text.count("x")) for text in texts])


def test_written_texts_are_measured_at_their_pairs(tmp_path):
    file = tmp_path / "some.csv"
    file.write_text(
        "a,b,weight,text,refusals\nA quiet fan.,Buy the xx kettle now.,0.5,The x kettle for a quiet day.,\n"
        "A quiet fan.,Buy the red kettle now.,1,A quiet fan.,\nA quiet fan.,A lamp.,,,nothing is fit to print\n"
    )
    (found,) = measure_written([file], lambda *_: None, _Judge())["files"]
    assert (found["file"], found["mixtures"], found["written_share"]) == ("some.csv", 3, 2 / 3)
    assert found["excess_bits_per_byte"] == 0
    assert found["new_share"] == found["grammatical_share"] - 0.5 == 0.5
    assert found["concatenation_share"] == found["invented_share"] == 0
    assert found["semantic_consistency"] > 0.7


@pytest.mark.parametrize(
    ("lines", "why"),
    [("a,b\nA fan.,A mug.", "no column 'text'"), ("a,b,text\nA fan.,A mug.,", "holds no text"), ("", "it is empty"),
     ("a,b,text\nA fan.", "row 1 has 1 cells, fewer cells than columns"),
     ("a,b,text\nA fan.,,A mug.", "row 1 .* lacks a text"),
     ("a,b,text,weight\nA fan.,A mug.,A fan and a mug.,much", "weight that is none")],
)  # fmt: skip
def test_files_without_texts_are_refused(tmp_path, lines, why):
    (tmp_path / "some.csv").write_text(lines)
    with pytest.raises(InputError, match=why):
        measure_written([tmp_path / "some.csv"], lambda *_: None, _Judge())


def test_numbers_are_compared_as_numbers():
    sources = ["Twenty-five of 1,200 beds, from £20.00, two for 3:45"]
    assert invented_words("25 of 1200 beds from £20, twice 3:45, 2 pm", sources) == []


def test_what_is_of_a_place_is_no_other_name():
    sources = ["Beds from Sweden, Belgium, America and China", "An Italian sofa"]
    assert invented_words("Swedish, Belgian, American, Chinese beds, and Italy's", sources) == []
    assert invented_words("Norwegian beds", sources) == ["Norwegian"]
