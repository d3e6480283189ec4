"""The relational loss is the mean squared difference of cosines, and its gradient the derivative of it."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from embeddings.relational import relational_loss

SCALE = 3.0


def batch(rows, seed=0):
    """Vectors (rows, 3, 4) and sentence vectors (rows, 5), in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return (
        SCALE * torch.randn(rows, 3, 4, generator=generator, dtype=torch.double),
        torch.randn(rows, 5, generator=generator, dtype=torch.double),
    )


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_the_loss_is_the_mean_squared_difference_of_cosines(rows):
    vectors, meanings = batch(rows)
    loss, _ = relational_loss(vectors, meanings)
    for i in range(rows):
        differences = [
            cosine_similarity(vectors[i].flatten(), vectors[j].flatten(), 0)
            - cosine_similarity(meanings[i], meanings[j], 0)
            for j in range(rows)
            if j != i
        ]
        assert float(loss[i]) == pytest.approx(float(torch.stack(differences).square().mean()))


@pytest.mark.parametrize("rows", [2, 3, 7])
def test_each_row_has_the_derivative_of_its_own_loss_with_the_others_held(rows):
    vectors, meanings = batch(rows, seed=1)
    _, gradient = relational_loss(vectors, meanings)
    small = 1e-6
    for place in [(0, 0, 0), (rows - 1, 2, 3), (rows // 2, 1, 2)]:
        up, down = vectors.clone(), vectors.clone()
        up[place] += small
        down[place] -= small
        slope = (relational_loss(up, meanings)[0] - relational_loss(down, meanings)[0])[place[0]] / (2 * small)
        assert float(gradient[place]) == pytest.approx(float(slope), rel=1e-5, abs=1e-9)


def test_lengths_do_not_matter_and_are_not_changed():
    vectors, meanings = batch(4)
    loss, gradient = relational_loss(vectors, meanings)
    torch.testing.assert_close(relational_loss(2 * vectors, 5 * meanings)[0], loss)
    along = (vectors * gradient).sum((1, 2))
    torch.testing.assert_close(along, torch.zeros_like(along))


def test_what_is_alike_already_is_left_alone():
    vectors, _ = batch(5)
    loss, gradient = relational_loss(vectors, vectors.flatten(1) / SCALE)
    torch.testing.assert_close(loss, torch.zeros_like(loss))
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_rows_keep_their_loss_in_any_order():
    vectors, meanings = batch(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    for whole, moved in zip(
        relational_loss(vectors, meanings), relational_loss(vectors[order], meanings[order]), strict=True
    ):
        torch.testing.assert_close(moved, whole[order])


def test_a_row_alone_and_a_row_of_zeros_have_a_finite_gradient():
    vectors, meanings = batch(1)
    loss, gradient = relational_loss(vectors, meanings)
    assert (float(loss), float(gradient.abs().sum())) == (0, 0)
    vectors, meanings = batch(3)
    vectors[1] = 0
    assert all(part.isfinite().all() for part in relational_loss(vectors, meanings))


def test_following_the_gradient_brings_the_cosines_together():
    vectors, meanings = batch(8)
    before = relational_loss(vectors, meanings)[0].mean()
    for _ in range(200):
        vectors = vectors - 5 * relational_loss(vectors, meanings)[1]
    assert relational_loss(vectors, meanings)[0].mean() < 0.1 * before
