"""What a token is owed to: closed forms on toys, Captum's own methods beside ours, and sums on the shipped model."""

import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients

from embeddings.mixing import mix
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from experiments.explorer.attribution import (
    TokenInputXGradient,
    TokenIntegratedGradients,
    TokenOcclusion,
    TokenSensitivity,
)
from experiments.explorer.jacobian import token_jacobian
from experiments.explorer.owing import average_text, owed
from experiments.explorer.point import Point
from experiments.explorer.reading import log_probabilities
from experiments.explorer.sense import Shelf, sense_of
from generator.models import WRITER, is_there

TEXTS = ["This quiet kettle is made of steel.", "Give travelers the drone that says you care."]
STORED = [*TEXTS, "A lamp for late readers.", "Hurry: free shipping on the chef knife."]
RNG = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(3, 2, 4, generator=RNG)
HERE, THERE = torch.randn(2, 5, 2, 4, generator=RNG)


def linear(x):
    return torch.einsum("tpd,bpd->bt", WEIGHT, x)


def bent(x):
    return torch.tanh(linear(x)) + linear(x).square()[:, [1, 2, 0]]


def test_of_a_linear_model_all_have_their_closed_forms():
    expected = WEIGHT * (HERE - THERE)[:, None]
    found = TokenIntegratedGradients(linear)
    brought = found.attribute(HERE, THERE, n_steps=3)
    assert torch.allclose(brought, expected, atol=1e-6)
    assert float(found.compute_convergence_delta(brought, THERE, HERE).abs().max()) < 1e-5
    assert torch.allclose(TokenInputXGradient(linear).attribute(HERE), WEIGHT * HERE[:, None], atol=1e-6)
    assert torch.allclose(TokenOcclusion(linear).attribute(HERE, THERE), expected.sum(-1), atol=1e-5)
    assert torch.allclose(TokenSensitivity(linear).attribute(HERE), WEIGHT.flatten(1).norm(dim=1).expand(5, 3))


def test_each_token_has_what_captum_gives_it_alone():
    brought = TokenIntegratedGradients(bent).attribute(HERE, THERE, n_steps=20, internal_batch_size=7)
    slopes, without = TokenInputXGradient(bent).attribute(HERE), TokenOcclusion(bent).attribute(HERE, THERE)
    mask = torch.tensor([[[0], [1]]]).expand(1, 2, 4)
    for token in range(3):
        theirs = IntegratedGradients(bent).attribute(HERE, THERE, target=token, n_steps=20, method="gausslegendre")
        assert torch.allclose(brought[:, token], theirs, atol=1e-4)
        assert torch.allclose(slopes[:, token], InputXGradient(bent).attribute(HERE.clone(), target=token), atol=1e-5)
        ablated = FeatureAblation(bent).attribute(HERE, THERE, target=token, feature_mask=mask)
        assert torch.allclose(without[:, token], ablated[:, :, 0], atol=1e-4)


def test_what_a_number_does_not_touch_is_not_owed_to_it_and_what_alone_changes_is():
    def first_alone(x):
        return torch.stack([x[:, 0].sum(-1).sin(), x[:, 0, 0] ** 3, x[:, 0, 1].exp()], 1)

    brought = TokenIntegratedGradients(first_alone).attribute(HERE, THERE)
    assert float(brought[:, :, 1].abs().max()) == 0
    here = THERE.clone()
    here[:, 0, 1] += 1
    (alone,) = TokenIntegratedGradients(first_alone).attribute(here[:1], THERE[:1])
    assert float(alone[2, 0, 1]) == pytest.approx(float(first_alone(here)[0, 2] - first_alone(THERE)[0, 2]), rel=1e-4)


def test_slopes_are_the_same_both_ways():
    few = torch.randn(4, 2, generator=RNG)
    mixed = torch.randn(2, 2, 4, generator=RNG)
    found, slopes = token_jacobian(lambda w: bent(torch.einsum("bk,kpd->bpd", w, mixed)), few)
    slow = torch.autograd.functional.jacobian(lambda w: bent(torch.einsum("bk,kpd->bpd", w, mixed)), few)
    assert slopes.shape == (4, 3, 2)
    assert torch.allclose(slopes, torch.stack([slow[row, :, row] for row in range(4)]), atol=1e-5)
    assert torch.allclose(found, bent(torch.einsum("bk,kpd->bpd", few, mixed)))


def test_a_model_that_knows_no_forward_mode_is_asked_the_other_way():
    class Odd(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, slope):
            return slope * ctx.saved_tensors[0].cos()

    few = torch.randn(4, 2, generator=RNG)
    slopes = token_jacobian(lambda w: Odd.apply(w) @ WEIGHT[:, 0, :2].T, few)[1]
    assert torch.allclose(slopes, few.cos()[:, None] * WEIGHT[:, 0, :2], atol=1e-6)


@pytest.fixture(scope="module")
def shelf(space):
    return Shelf.of_texts(space, STORED)


def test_parts_add_up_to_what_words_gain_and_drone_is_owed_to_the_drone(space, shelf):
    point = Point.of_mixture(space, TEXTS, [0.35, 0.65])
    sense = sense_of(space, point, shelf)
    found = owed(space, point, shelf, sense.ids)
    ends = log_probabilities(space, torch.cat([average_text(space, shelf), point.vectors[None]]), sense.ids)
    gained = ends[1] - ends[0]
    assert found.gained == pytest.approx(gained.tolist(), abs=1e-4)
    assert found.missed < 0.01
    worst = 0.01 * float(gained.abs().sum())
    for rows in (found.vectors, found.parents):
        assert [sum(row) for row in rows] == pytest.approx(gained.tolist(), abs=worst)
    assert [row[0] for row in found.along] == pytest.approx(
        log_probabilities(space, point.stored[0].vectors[None], sense.ids)[0].tolist(), abs=1e-3)  # fmt: skip
    assert found.agreeing > 0.5
    assert "drone" in sense.decoded
    place = next(place for place in range(len(sense.ids)) if "drone" in space.model.detokenize(sense.ids[: place + 1]))
    word = [sum(row[parent] for row in found.parents[: place + 1]) for parent in (0, 1)]
    assert word[1] > word[0]


@pytest.mark.slow
@pytest.mark.skipif(not is_there(WRITER), reason="the model is not here: copyloom models get smollm2")
def test_the_pretrained_writer_s_parts_add_up_too():
    pretrained = Space.load(WRITER, "cpu")
    point, shelf = Point.of_mixture(pretrained, TEXTS, [0.35, 0.65]), Shelf.of_texts(pretrained, STORED)
    found = owed(pretrained, point, shelf, sense_of(pretrained, point, shelf).ids)
    assert found.missed < 0.01
    assert found.agreeing > 0.5


def test_without_an_adapter_vectors_are_owed_to_all_the_same(random_model, space):
    bare = Space(random_model(), space.encoder, vectors=4)
    noise = 0.1 * torch.randn(5, 4, bare.model.hidden_size, generator=RNG)
    meanings = space.encoder.encode(names := ["cd", "ef", "gh", "ab", "xy"])
    stored, parents = Shelf(tuple(names[:3]), meanings[:3], noise[:3]), []
    for name, vectors, meaning in zip(names[3:], noise[3:], meanings[3:], strict=True):
        parents.append(SummaryEmbedding(name, vectors, meaning, bare.identity, False, 0.0, 0, "given"))
    mixed = mix(noise[None, 3:], meanings[None, 3:], torch.tensor([[0.5, 0.5]]), None)[0]
    point = Point(mixed, meanings[0], "mixture", "two", tuple(names[3:]), (0.5, 0.5), tuple(parents))
    found = owed(bare, point, stored, sense_of(bare, point, stored).ids[:5], steps=64)
    assert [sum(row) for row in found.vectors] == pytest.approx(found.gained, abs=0.02)
    assert [sum(row) for row in found.parents] == pytest.approx(found.gained, abs=0.02)
