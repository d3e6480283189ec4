"""Embeddings carry over to another version of the model, and the report says what inversion there did."""

import copy
from dataclasses import replace

import pytest
import torch

from copyloom import InputError, SpaceError
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
from embeddings.transfer import carry_over
from generator.language_model import LanguageModel

TEXTS = ["Last chance to save.", "Café ☕ or tea?", "Win a trip to Rome!", "Café ☕ or tea?"]


@pytest.fixture(scope="module")
def stored(space):
    return space.invert(TEXTS)


def version(space, noise):
    """The space of the same model with Gaussian noise on every matrix, as a share of its standard deviation."""
    module = copy.deepcopy(space.model.model)
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            parameter += noise * parameter.std() * torch.randn(parameter.shape, generator=generator)
    model = LanguageModel(module, space.model.tokenizer, space.model.name, space.model.device)
    return Space(model, space.encoder, space.adapter, space.subject_adapter)


@pytest.fixture(scope="module")
def perturbed(space):
    return version(space, 0.05)


@pytest.fixture(scope="module")
def carried(perturbed, stored):
    return carry_over(perturbed, stored, sample=3)


def test_the_same_model_takes_no_steps_and_changes_nothing(space, stored):
    safe = [embedding for embedding in stored if embedding.margin >= 1.01]
    found, report = carry_over(space, safe, sample=1)
    assert [embedding.steps for embedding in found] == [0] * len(safe)
    assert all(torch.equal(new.vectors, old.vectors) for new, old in zip(found, safe, strict=True))
    assert (report.exact_unchanged, report.exact_carried, report.steps_carried) == (1, 1, 0)
    assert report.cosine_carried == pytest.approx(1)
    assert report.cosine_afresh == pytest.approx(1, abs=1e-3)  # the same start, the same way


def test_carried_embeddings_are_of_the_new_space_and_in_order(perturbed, space, stored, carried):
    found, _ = carried
    assert perturbed.identity != space.identity
    assert [embedding.text for embedding in found] == TEXTS
    assert {embedding.space for embedding in found} == {perturbed.identity}
    exact = [embedding for embedding in found if embedding.exact]
    assert exact
    assert perturbed.decode(exact) == [embedding.text for embedding in exact]


def test_the_report_holds_what_inversion_in_the_new_space_does(perturbed, stored, carried):
    found, report = carried
    decoded = perturbed.decode([replace(embedding, space=perturbed.identity) for embedding in stored])
    assert (report.texts, report.compared) == (4, 3)
    assert report.exact_unchanged == sum(map(str.__eq__, decoded, TEXTS)) / 4
    assert report.exact_carried == sum(embedding.exact for embedding in found) / 4
    assert report.steps_carried == sum(embedding.steps for embedding in found) / 4
    cosines = [
        torch.cosine_similarity(new.vectors.flatten(), old.vectors.flatten(), 0)
        for new, old in zip(found, stored, strict=True)
    ]
    assert report.cosine_carried == pytest.approx(float(torch.stack(cosines).mean()))
    assert report.cosine_afresh < report.cosine_carried


def test_a_sample_of_all_compares_with_inversion_from_the_own_start(perturbed, stored, carried):
    config = InversionConfig(max_steps=3)
    _, report = carry_over(perturbed, stored, config, sample=9)
    afresh = perturbed.invert(TEXTS, config)
    assert (report.compared, report.steps_afresh) == (4, sum(embedding.steps for embedding in afresh) / 4)
    assert report.exact_afresh == sum(embedding.exact for embedding in afresh) / 4


def test_vectors_of_another_shape_are_refused(space, stored, random_model):
    narrow = Space(random_model(max_position_embeddings=256), space.encoder, vectors=space.vectors)
    fewer = Space(space.model, space.encoder, vectors=space.vectors - 1)
    for other in (narrow, fewer):
        shape = f"P={other.vectors}, D={other.model.hidden_size}"
        with pytest.raises(InputError, match=f"the space is of .*{shape}.*; only vectors of equal P and D carry over"):
            carry_over(other, stored)


def test_nothing_and_embeddings_of_several_spaces_are_refused(space, stored):
    with pytest.raises(InputError, match="0 embeddings and a sample of 64"):
        carry_over(space, [])
    with pytest.raises(InputError, match="a sample of 0"):
        carry_over(space, stored, sample=0)
    stranger = replace(stored[0], space=replace(space.identity, parameters="other"))
    with pytest.raises(SpaceError, match="parameters"):
        carry_over(space, [*stored, stranger])
    with pytest.raises(InputError, match="start is 'given'"):
        carry_over(space, stored, InversionConfig(start="given"))
