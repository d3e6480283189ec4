"""However many rows come in, the function meets chunks of one size."""

import pytest
import torch

from generator.constant_shape import in_chunks, rows_apart


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9])
def test_every_chunk_has_the_same_shape_and_every_row_its_result(count):
    seen = []

    def doubled(x, y):
        seen.append((x.shape, y.shape))
        return x * 2 + y[:, :1]

    x, y = torch.randn(count, 3), torch.randn(count, 2)
    assert torch.equal(in_chunks(doubled, 4, x, y), x * 2 + y[:, :1])
    assert seen == [((4, 3), (4, 2))] * -(-count // 4)


def test_no_rows_give_no_rows():
    assert in_chunks(lambda x: x[:, :2], 4, torch.zeros(0, 3)).shape == (0, 2)


def test_a_row_is_the_same_bytes_in_any_company():
    """A matrix product of this size differs in its last bits between one row and many on most machines."""
    weight = torch.randn(384, 700, generator=torch.Generator().manual_seed(0))
    rows = torch.randn(150, 384, generator=torch.Generator().manual_seed(1))
    together = in_chunks(lambda x: x @ weight, 64, rows)
    alone = torch.cat([in_chunks(lambda x: x @ weight, 64, row[None]) for row in rows])
    assert torch.equal(together, alone)
    assert torch.equal(in_chunks(lambda x: x @ weight, 64, rows.flip(0)).flip(0), together)


class Averaging(torch.nn.Linear):
    """A layer that reads what all rows have in common."""

    def forward(self, inputs):
        return super().forward(inputs) + inputs.mean()


def test_rows_that_read_one_another_are_not_apart():
    assert not rows_apart(torch.nn.Sequential(torch.nn.Linear(4, 4), Averaging(4, 5)), 8, 4)
    assert rows_apart(torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.ReLU()), 8, 4)


def test_rows_of_layers_that_cannot_be_tried_are_not_apart(random_model):
    assert not rows_apart(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Bilinear(4, 4, 4)), 8, 4)
    assert not random_model("MixtralConfig").rows_apart(8, 4)
