"""Mixing is exact at its ends, keeps the norm rule, and refuses weights that do not fit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from copyloom import InputError
from embeddings.adapter import Adapter
from embeddings.mixing import adapt, mix, wanted_point, whole_weights

torch.manual_seed(0)
ADAPTER = Adapter(sentence_size=6, vectors=3, hidden_size=4, width=5).requires_grad_(False)


def parents(count, rows=1, seed=0):
    """Vectors (rows, count, 3, 4) and unit sentence vectors (rows, count, 6)."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(rows, count, 3, 4, generator=generator)
    return vectors, torch.nn.functional.normalize(torch.randn(rows, count, 6, generator=generator), dim=-1)


@pytest.mark.parametrize("adapter", [None, ADAPTER])
@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_a_weight_of_one_returns_the_parent(adapter, chosen):
    vectors, z = parents(3, rows=5)
    weights = torch.eye(3)[chosen].expand(5, 3)
    torch.testing.assert_close(mix(vectors, z, weights, adapter), vectors[:, chosen])


@pytest.mark.parametrize("adapter", [None, ADAPTER])
def test_copies_of_one_parent_mix_to_the_parent(adapter):
    vectors, z = parents(1)
    weights = torch.tensor([[0.7, 0.5, -0.2]])
    mixed = mix(vectors.expand(-1, 3, -1, -1), z.expand(-1, 3, -1), weights, adapter)
    torch.testing.assert_close(mixed, vectors[:, 0])


@settings(deadline=None)
@given(st.lists(st.floats(-0.4, 1.4), min_size=1, max_size=4), st.integers(0, 100))
def test_without_adapter_the_sum_has_the_mean_norm_of_the_parents(first, seed):
    weights = torch.tensor([[*first, 1 - sum(first)]], dtype=torch.float64)
    vectors, z = (values.double() for values in parents(weights.shape[1], seed=seed))
    mixed = mix(vectors, z, weights, None)
    total = torch.einsum("bk,bkpd->bpd", weights, vectors)
    norms = torch.einsum("bk,bkp->bp", weights, vectors.norm(dim=-1))
    torch.testing.assert_close(mixed, total / total.norm(dim=-1, keepdim=True) * norms[..., None])
    torch.testing.assert_close(mixed.norm(dim=-1), norms.abs())


@pytest.mark.parametrize("weights", [[0.5, 0.3, 0.2], [1.2, -0.4, 0.2]])
def test_with_adapter_residuals_are_added_to_the_adapted_point(weights):
    vectors, z = parents(3, rows=2)
    row = torch.tensor([weights, weights[::-1]])
    residuals = vectors - torch.stack([ADAPTER(z[:, k]) for k in range(3)], 1)
    point = torch.nn.functional.normalize(torch.einsum("bk,bks->bs", row, z), dim=-1)
    expected = ADAPTER(point) + torch.einsum("bk,bkpd->bpd", row, residuals)
    torch.testing.assert_close(mix(vectors, z, row, ADAPTER), expected)


@pytest.mark.parametrize("adapter", [None, ADAPTER])
def test_the_order_of_parents_does_not_matter(adapter):
    vectors, z = parents(4)
    weights, order = torch.tensor([[0.4, 0.3, 0.5, -0.2]]), [2, 0, 3, 1]
    mixed = mix(vectors[:, order], z[:, order], weights[:, order], adapter)
    torch.testing.assert_close(mixed, mix(vectors, z, weights, adapter))


def test_a_parent_of_weight_zero_changes_nothing():
    vectors, z = parents(3)
    for adapter in (None, ADAPTER):
        two = mix(vectors[:, :2], z[:, :2], torch.tensor([[0.6, 0.4]]), adapter)
        torch.testing.assert_close(mix(vectors, z, torch.tensor([[0.6, 0.4, 0.0]]), adapter), two)


def test_a_mixture_is_the_same_bytes_among_others():
    vectors, z = parents(2, rows=70)
    weights = torch.full((70, 2), 0.5)
    together = mix(vectors, z, weights, ADAPTER)
    assert torch.equal(mix(vectors[8:9], z[8:9], weights[8:9], ADAPTER), together[8:9])
    assert torch.equal(adapt(ADAPTER, z[8]), adapt(ADAPTER, z.flatten(0, 1))[16:18])


def test_the_wanted_point_is_the_normalised_sum():
    z = torch.eye(3)[None]
    point = wanted_point(z, torch.tensor([[0.5, 0.5, 0.0]]))
    torch.testing.assert_close(point, torch.tensor([[0.5**0.5, 0.5**0.5, 0.0]]))
    torch.testing.assert_close(wanted_point(z, torch.tensor([[0.0, 1.0, 0.0]])), z[:, 1])


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.5], [1.5, -0.5], [0.1] * 10, [1 / 3] * 3])
def test_weights_that_sum_to_one_fit(weights):
    assert whole_weights(weights, len(weights)) == weights


@pytest.mark.parametrize("weights", [[0.5000006, 0.5000006], [0.333333] * 3, [0.333] * 3, [1.1504, -0.1500]])
def test_rounded_weights_are_made_whole(weights):
    found = whole_weights(weights, len(weights))
    assert sum(found) == pytest.approx(1, abs=1e-15)
    assert found == pytest.approx(weights, abs=0.001)


@pytest.mark.parametrize(
    ("weights", "parents", "message"),
    [
        ([0.5, 0.5], 3, "2 weights were given for 3 parents; pass one weight per parent"),
        ([1.0], 0, "1 weights were given for 0 parents"),
        ([], 0, "sum to 0; they must sum to 1"),
        ([0.5, 0.498], 2, r"weights \[0.5, 0.498\] sum to 0.998; they must sum to 1"),
        ([0.5, 0.6], 2, r"weights \[0.5, 0.6\] sum to 1.1; they must sum to 1"),
        ([float("nan"), 1.0], 2, "sum to nan"),
        ([float("inf"), float("-inf")], 2, "sum to nan"),
        ([1.6, -0.6], 2, "leave the trust region; each must lie between -0.5 and 1.5"),
        ([0.9, 0.7, -0.6], 3, "leave the trust region"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, parents, message):
    with pytest.raises(InputError, match=message):
        whole_weights(weights, parents)
