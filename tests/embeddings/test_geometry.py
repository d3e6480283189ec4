"""A reduction whitens: over the texts it was fitted on, features have mean 0, variance 1 and no correlation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from copyloom import InputError
from embeddings.geometry import Reduction


def vectors(count, size, seed=0):
    drawn = torch.randn(count, size, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=1)


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(1, 20), st.integers(1, 25), st.integers(0, 1000))
def test_features_are_white(count, size, features, seed):
    values = vectors(count, size, seed) + 0.1 * torch.randn(count, size, generator=torch.Generator().manual_seed(seed))
    reduction = Reduction.fit(values, features)
    reduced = reduction(values)
    assert reduction.features == reduced.shape[1] == min(features, size, count - 1)
    torch.testing.assert_close(reduced.mean(0), torch.zeros_like(reduced[0]), rtol=0, atol=1e-7)
    covariance = reduced.T @ reduced / (count - 1)
    torch.testing.assert_close(covariance, torch.eye(reduction.features, dtype=torch.float64), rtol=0, atol=1e-6)


def test_features_are_the_leading_eigenvectors_of_the_covariance():
    values = vectors(60, 6) * torch.tensor([3.0, 2.0, 1.5, 1.0, 0.5, 0.2])
    centred = values.double() - values.double().mean(0)
    variance, directions = torch.linalg.eigh(centred.T @ centred / 59)
    expected = centred @ directions.flip(1)[:, :3] / variance.flip(0)[:3].sqrt()
    reduced = Reduction.fit(values, 3)(values)
    signs = torch.sign((expected * reduced).sum(0))
    torch.testing.assert_close(reduced, expected * signs)


def test_all_features_together_keep_the_mahalanobis_distance():
    values = vectors(50, 5)
    reduced = Reduction.fit(values, 5)(values)
    precision = torch.linalg.inv(torch.cov(values.double().T))
    difference = (values[3] - values[8]).double()
    torch.testing.assert_close((reduced[3] - reduced[8]).square().sum(), difference @ precision @ difference)


def test_the_order_of_the_texts_does_not_matter():
    values = vectors(30, 8)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(Reduction.fit(values[order], 4)(values), Reduction.fit(values, 4)(values))


def test_new_vectors_are_mapped_one_by_one_in_any_shape():
    reduction = Reduction.fit(vectors(30, 8), 4)
    new = vectors(6, 8, seed=2)
    assert reduction(new).dtype == torch.float64
    torch.testing.assert_close(reduction(new.reshape(2, 3, 8)), reduction(new).reshape(2, 3, 4))


def test_directions_without_variance_are_left_out():
    line = torch.outer(torch.linspace(-1, 1, 9), torch.ones(4))
    assert Reduction.fit(line, 3).features == 1
    with pytest.raises(InputError, match="add texts that differ"):
        Reduction.fit(vectors(1, 5).expand(4, -1), 3)  # one text four times


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_vectors_are_refused(count):
    with pytest.raises(InputError, match=f"{count} sentence vectors were given; a reduction needs at least two"):
        Reduction.fit(vectors(count, 5), 2)
