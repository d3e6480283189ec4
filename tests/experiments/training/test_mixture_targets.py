"""What mixtures are trained to become: faithful recombinations, and real texts among their neighbours."""

import random

import pytest
import torch
from torch.nn.functional import normalize

from experiments.benchmarks.mixing.fidelity import fidelity
from experiments.training.tiny.examples import Claims, phrases_of
from experiments.training.tiny.mixtures import WEIGHTS, mixture_targets, neighbour_pairs
from generator.reader import GrammarReader


def quiet(stage, done, total):
    """Hear of progress and say nothing."""


@pytest.fixture(scope="module")
def material(space, grammar):
    rng = random.Random(3)
    claims = [grammar.claim(rng, grammar.record(rng)) for _ in range(12)]
    phrases = phrases_of(grammar, claims)
    vectors = normalize(torch.randn(len(phrases), 384, generator=torch.Generator().manual_seed(0)), dim=1)
    return claims, space.encoder.encode([c.text for c in claims]), dict(zip(phrases, vectors, strict=True))


def test_even_mixtures_become_one_product_in_the_other_style_and_uneven_ones_the_heavier_parent(
    material, space, grammar, tmp_path
):
    claims, vectors, phrases = material
    calls = []

    def encode(texts):
        calls.append(len(texts))
        return space.encoder.encode(texts)

    found = mixture_targets(grammar, claims, vectors, phrases, 6, 0, encode, tmp_path, quiet)
    assert len(found) == 6 * len(WEIGHTS)
    for mixed in found:
        first, second = claims[mixed.first], claims[mixed.second]
        assert fidelity(mixed.text, [first, second]).kept, mixed
        even = mixed.weight < 0.8
        mine = next(c for c in (first, second) if GrammarReader(grammar, c.record).read(mixed.text).names_subject)
        other = second if mine is first else first
        assert GrammarReader(grammar, mine.record).read(mixed.text).style == (other if even else mine).frame.style
        assert not even or mixed.text not in (first.text, second.text)
        assert even or mine is first
    again = mixture_targets(grammar, claims, vectors, phrases, 6, 0, encode, tmp_path, quiet)
    assert again == found
    assert len(calls) == 1

    every = Claims(grammar, claims, vectors, phrases, found)
    example = every.of_forms("claim").mixture(random.Random(1))
    assert example.target in {mixed.text for mixed in found}
    assert float(example.vector.norm()) == pytest.approx(1.0, abs=1e-5)
    assert every.of_forms("headline").claims == []


def test_a_text_between_two_others_is_found_between_them():
    generator = torch.Generator().manual_seed(0)
    vectors = normalize(torch.randn(40, 64, generator=generator), dim=1)
    between = normalize(vectors[3] + vectors[7], dim=0)
    pairs, cosines = neighbour_pairs(torch.cat([vectors, between[None]]), quiet)
    assert set(pairs[40].tolist()) == {3, 7}
    assert float(cosines[40]) == pytest.approx(1.0, abs=1e-5)
    assert all(number not in pair for number, pair in enumerate(pairs.tolist()))
    assert float(cosines[:3].max()) < 0.9
