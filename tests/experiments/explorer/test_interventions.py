"""From labelled examples to shifts: closed forms, and a style that is written because of them."""

import pytest
import torch

from copyloom import InputError
from experiments.explorer.interventions import (
    activation_addition,
    differences,
    head_shift,
    in_context,
    in_context_vectors,
    probed_heads,
    random_like,
    read_states,
)
from experiments.explorer.reading import logits_of
from generator.interventions import Shift, recording

TEXTS = ["This quiet kettle is made of steel.", "Give travelers the drone that says you care.", "A lamp."]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_states_are_those_of_each_text_alone(space):
    """Padding and company change nothing; the mean is over the places at which a token is chosen."""
    together, vectors = read_states(space, TEXTS), space.adapter(space.encoder.encode(TEXTS)).detach()
    for row, text in enumerate(TEXTS):
        ids = space.model.tokenize(text)
        with torch.no_grad(), recording(space.model) as recorded:
            logits_of(space, vectors[row : row + 1], [*ids, space.model.end])
        layer, heads = recorded.layers[3][0], recorded.heads[3][0]
        assert len(layer) == 8 + len(ids)
        close = {"rtol": 1e-3, "atol": 1e-3}
        torch.testing.assert_close(together.layers["front"][row, 3], layer[:8], **close)
        torch.testing.assert_close(together.layers["mean"][row, 3], layer[7:].mean(0), **close)
        torch.testing.assert_close(together.layers["last"][row, 3], layer[-1], **close)
        torch.testing.assert_close(together.heads["mean"][row, 3], heads[7:].mean(0), **close)
    with pytest.raises(InputError, match="no texts were given"):
        read_states(space, [])


def test_activation_addition_is_the_mean_of_pairs():
    states = noise(6, 3, 5)
    steps = differences(states, [(0, 1), (0, 2), (3, 4)])
    (shift,) = activation_addition(steps, 2, 4.0)
    torch.testing.assert_close(shift.vector, 4 * (2 * states[0] + states[3] - states[[1, 2, 4]].sum(0))[2] / 3)
    assert (shift.layer, shift.positions) == (2, "all")
    (shift,) = activation_addition(noise(6, 3, 8, 5), 1, 1.0)
    assert (shift.vector.shape, shift.positions) == ((8, 5), "front")


def test_in_context_vectors_are_the_first_principal_direction():
    """Of differences that all lie along one vector, that vector, cut into layers of unit length; on their side."""
    along, signs = noise(3, 5), torch.tensor([1.0, 2.0, -0.5, 3.0])
    found = in_context_vectors(signs[:, None, None] * along)
    torch.testing.assert_close(found, along / along.norm(dim=-1, keepdim=True))
    rows = noise(7, 15)
    first = torch.linalg.svd(rows, full_matrices=False).Vh[0].view(3, 5)
    first = first * torch.sign((rows.mean(0).view(3, 5) * first).sum())
    torch.testing.assert_close(in_context_vectors(rows.view(7, 3, 5)), first / first.norm(dim=-1, keepdim=True),
                               rtol=1e-4, atol=1e-4)  # fmt: skip
    shifts = in_context(found, [0, 2], 0.3)
    assert [(shift.layer, shift.keeps_length) for shift in shifts] == [(0, True), (2, True)]
    torch.testing.assert_close(shifts[1].vector, 0.3 * found[2])


def test_the_head_that_tells_the_label_is_found_and_moved():
    """One head of four knows; it is shifted along the means' difference by so many standard deviations."""
    heads, mine = noise(120, 2, 2, 4), [row % 3 == 0 for row in range(120)]
    heads[::3, 1, 0, 2] += 4.0
    found = probed_heads(heads, mine, [str(row // 3) for row in range(120)])
    assert found.order[0] == (1, 0)
    assert found.accuracy[1, 0] > 0.9
    assert (found.accuracy.flatten()[[0, 1, 3]] < 0.75).all()
    (shift,) = head_shift(found, 1, 5.0)
    assert (shift.layer, shift.site, shift.positions) == (1, "heads", "last")
    direction = heads[::3, 1, 0].mean(0) - heads[torch.tensor(mine).logical_not(), 1, 0].mean(0)
    direction = direction / direction.norm()
    torch.testing.assert_close(shift.vector[0], 5 * (heads[:, 1, 0] @ direction).std() * direction)
    assert not shift.vector[1].any()
    for count in (0, 5):
        with pytest.raises(InputError, match="the model has 4"):
            head_shift(found, count, 1.0)
    with pytest.raises(InputError, match="too few to learn"):
        probed_heads(heads, [True] * 120, [str(row) for row in range(120)])


def test_random_directions_have_the_same_places_and_lengths():
    heads = torch.zeros(2, 4)
    heads[1] = noise(4)
    (layer,), shifts = activation_addition(noise(6, 3, 8, 5), 1, 2.0), head_shift_like(heads)
    for shift in (layer, *shifts):
        (found,) = random_like([shift], 7)
        torch.testing.assert_close(found.vector.norm(dim=-1), shift.vector.norm(dim=-1))
        assert (found.site, found.layer, found.positions) == (shift.site, shift.layer, shift.positions)
        assert not torch.allclose(found.vector, shift.vector)
        assert torch.equal(random_like([shift], 7)[0].vector, found.vector)


def head_shift_like(vector):
    return [Shift("heads", 0, vector, positions="last")]
