"""Probes try what they say, choose by their rule, and give the same answer every time."""

import pytest
import torch

from copyloom import InputError
from embeddings import probe
from embeddings.inversion_config import InversionConfig
from embeddings.mixing import adapt
from embeddings.probe import RadiusTrial, VectorsTrial, probe_radius, smallest_vectors
from embeddings.space import Space

TEXTS = ["Last chance to save.", "Café ☕ or tea?", "Win a trip to Rome!"]
QUICK = InversionConfig(max_steps=15)


@pytest.fixture(scope="module")
def bare(space, random_model):
    """A space without adapter: a model of random parameters."""
    return Space(random_model(max_position_embeddings=256), space.encoder)


def test_the_table_holds_what_inversion_does_with_each_radius(space):
    found = probe_radius(space, TEXTS, QUICK, radii=(0.4, 0.1, 0.4), sample=3)
    assert [trial.radius for trial in found.trials] == [0.1, 0.4]
    for trial in found.trials:
        embeddings = space.invert(TEXTS, QUICK.model_copy(update={"radius": trial.radius}))
        assert trial.steps == sum(embedding.steps for embedding in embeddings) / 3
        assert trial.exact_share == sum(embedding.exact for embedding in embeddings) / 3
        starts = adapt(space.adapter, torch.stack([embedding.sentence_vector for embedding in embeddings]))
        residuals = torch.stack([embedding.vectors for embedding in embeddings]) - starts
        assert trial.moved == pytest.approx(float(residuals.norm() / starts.norm()), rel=1e-3)
    assert found.trials[0].moved < found.trials[1].moved


def test_a_probe_repeats_and_tries_a_sample_of_the_texts(space, monkeypatch):
    tried = []
    invert = Space.invert
    monkeypatch.setattr(Space, "invert", lambda self, texts, *_: tried.append(texts) or invert(self, texts, *_))
    first, again = (probe_radius(space, TEXTS, QUICK, radii=(0.3,), sample=2) for _ in range(2))
    assert first == again
    assert all(texts == tried[0] and len(set(texts)) == 2 and set(texts) < set(TEXTS) for texts in tried)


@pytest.mark.parametrize(
    ("trials", "chosen"),
    [
        ([(0.1, 1.0, 30.0), (0.2, 1.0, 20.0), (0.4, 0.9, 10.0)], 0.2),  # exact share before steps
        ([(0.1, 0.8, 30.0), (0.2, 0.8, 30.0)], 0.1),  # of equals, the one that moves less
    ],
)
def test_the_rule_is_exact_share_then_steps_then_the_smaller_radius(space, monkeypatch, trials, chosen):
    rows = {radius: RadiusTrial(radius, share, steps, 0.1, -radius) for radius, share, steps in trials}
    monkeypatch.setattr(probe, "_try_radius", lambda space, texts, config, radius: rows[radius])
    heard = []
    found = probe_radius(space, TEXTS, radii=list(rows), progress=lambda done, total: heard.append((done, total)))
    assert found.radius == chosen
    assert heard == [(number, len(rows)) for number in range(1, len(rows) + 1)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"texts": []}, "0 texts and a sample of 24 were given"),
        ({"sample": 0}, "a sample of 0"),
        ({"radii": []}, r"radii are \[\]; give one or more"),
        ({"radii": [0.1, 0]}, r"radii are \[0.1, 0\]; .* all above 0"),
        ({"config": InversionConfig(start="given")}, "start is 'given'"),
    ],
)
def test_what_cannot_be_probed_is_refused(space, given, message):
    with pytest.raises(InputError, match=message):
        probe_radius(space, **({"texts": TEXTS} | given))


@pytest.mark.parametrize(("needed", "limit"), [(1, 64), (2, 2), (3, 5), (5, 64), (11, 13), (13, 13)])
def test_the_search_finds_the_smallest_number_that_holds_all(bare, monkeypatch, needed, limit):
    rows = {vectors: VectorsTrial(vectors, min(1.0, vectors / needed), 1.0) for vectors in range(1, limit + 1)}
    monkeypatch.setattr(probe, "_try_vectors", lambda space, texts, config, vectors: rows[vectors])
    found = smallest_vectors(bare, TEXTS, limit=limit)
    tried = [trial.vectors for trial in found.trials]
    assert found.vectors == needed
    assert set(tried) >= {needed} | ({needed - 1} if needed > 1 else set())
    assert tried == sorted(tried)
    assert len(tried) <= 2 * limit.bit_length()


def test_a_limit_that_holds_too_little_is_told(bare, monkeypatch):
    monkeypatch.setattr(probe, "_try_vectors", lambda space, texts, config, vectors: VectorsTrial(vectors, 0.9, 1.0))
    found = smallest_vectors(bare, TEXTS, limit=6)
    assert found.vectors is None
    assert [trial.vectors for trial in found.trials] == [1, 2, 4, 6]


def test_the_smallest_number_of_vectors_holds_the_texts_when_they_are_inverted_with_it(space):
    without = Space(space.model, space.encoder)
    config = InversionConfig(start="token_mean", max_steps=20)
    found = smallest_vectors(without, ["Win now."], config, limit=4)
    (embedding,) = Space(space.model, space.encoder, vectors=found.vectors).invert(["Win now."], config)
    assert embedding.exact
    assert found.trials[-1] == VectorsTrial(found.vectors, 1.0, embedding.steps)


def test_an_adapter_fixes_the_number_of_vectors(space, bare):
    with pytest.raises(InputError, match=f"'copyloom-tiny' has an adapter, .* number of vectors at {space.vectors};"):
        smallest_vectors(space, TEXTS)
    with pytest.raises(InputError, match="0 texts and a limit of 64"):
        smallest_vectors(bare, [])
