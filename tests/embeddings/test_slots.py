"""Texts wait in order of length, none is lost or doubled, and what a text owns moves with it from slot to slot."""

import random
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embeddings.slots import ATTEMPTS, Slots, Target, Waiting

CPU = torch.device("cpu")


def target(index, length=3, **more):
    return Target(index, str(index), [index + 1] * length, torch.full((2, 3), index + 1.0), **more)


def drained(waiting):
    return [waiting.take() for _ in range(len(waiting))]


def check(slots):
    n = len(slots.active)
    for row, text in enumerate(slots.active):
        assert slots.targets[row].tolist() == text.ids + [-100] * (8 - len(text.ids))
        assert float(slots.margins[row]) == 0.5 * text.margin_factor
        assert torch.equal(slots.vectors(n)[row], text.start)
    assert (slots.targets[n:] == -100).all()


def test_the_lift_goes_up_then_down():
    waiting = Waiting()
    for index, length in enumerate([5, 3, 9, 3, 7]):
        waiting.add(target(index, length))
    assert [text.index for text in drained(waiting)] == [1, 3, 0, 4, 2]
    for index, length in ((5, 4), (6, 12), (7, 8)):
        waiting.add(target(index, length))
    assert [text.index for text in drained(waiting)] == [6, 7, 5]
    waiting.add(target(8, 6))
    assert (waiting.take().index, len(waiting)) == (8, 0)


@given(st.lists(st.integers(1, 6) | st.none(), max_size=60))
def test_every_text_is_taken_once_and_the_lift_turns_once(moves):
    waiting, taken = Waiting(), []
    for index, length in enumerate(moves):
        if length is not None:
            waiting.add(target(index, length))
        elif len(waiting):
            taken.append(waiting.take().index)
    rest = drained(waiting)
    assert sorted([*taken, *(text.index for text in rest)]) == [i for i, n in enumerate(moves) if n is not None]
    steps = [after - before for before, after in pairwise(len(text.ids) for text in rest) if after != before]
    assert sum((one > 0) != (other > 0) for one, other in pairwise(steps)) <= 1


@pytest.mark.parametrize("fixed", [False, True])
def test_rows_hold_their_own_text_whoever_leaves(fixed):
    rng, waiting, slots, gone = random.Random(0), Waiting(), Slots(5, 8, (2, 3), CPU, fixed), []
    for turn in range(40):
        for index in range(3 * turn, 3 * turn + rng.randrange(4)):
            waiting.add(target(index, rng.randint(1, 8), margin_factor=1.0 + index))
        slots.fill(waiting, 0.5, 0.1, 1.0)
        check(slots)
        leaving = sorted(rng.sample(range(len(slots.active)), rng.randint(0, len(slots.active))))
        gone += [slots.active[row].index for row in leaving]
        slots.close_up(leaving)
        check(slots)
    assert len(gone) == len(set(gone)) > 20


def test_a_text_that_moves_goes_on_as_if_it_were_alone():
    curvatures = torch.arange(1.0, 7.0)
    crowded, alone = Slots(3, 8, (2, 3), CPU, False), Slots(1, 8, (2, 3), CPU, False)
    for slots, indices in ((crowded, (0, 1, 2)), (alone, (2,))):
        waiting = Waiting()
        for index in indices:
            waiting.add(target(index))
        slots.fill(waiting, 1.0, 0.1, 1.0)
    for turn in range(12):
        for slots in (crowded, alone):
            slots.descent.step(slots.vectors(len(slots.active)).flatten(1) * curvatures)
        if turn == 3:
            crowded.close_up([0])
    assert [text.index for text in crowded.active] == [2, 1]
    torch.testing.assert_close(crowded.vectors(1), alone.vectors(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("attempt", "scale"), [(0, 0.5), (1, 0.5), (2, 9.0)])
def test_the_first_step_has_the_trust_radius(attempt, scale):
    slots, waiting, text = Slots(2, 8, (2, 3), CPU, True), Waiting(), target(3, attempt=attempt)
    waiting.add(text)
    slots.fill(waiting, 1.0, 0.2, scale)
    slots.descent.step(torch.randn(1, 6, generator=torch.Generator().manual_seed(0)))
    moved = float((slots.vectors(1)[0] - text.start).square().mean().sqrt())
    assert moved == pytest.approx(0.2 * ATTEMPTS[attempt] * max(4.0, scale), rel=1e-4)


def test_where_shapes_compile_the_slots_run_the_same_whoever_leaves(operations):
    """Nobody, the first, some, the last, all."""
    run = []
    for leaving in ([], [0], [0, 2], [3], [0, 1, 2, 3]):
        slots, waiting = Slots(4, 8, (2, 3), CPU, True), Waiting()
        for index in range(4):
            waiting.add(target(index))
        slots.fill(waiting, 1.0, 0.1, 1.0)
        with operations() as noted:
            slots.close_up(leaving)
        run.append(noted.run)
        assert len(slots.active) == 4 - len(leaving)
    assert len(run[0]) > 10
    assert all(other == run[0] for other in run)
