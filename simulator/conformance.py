"""Whether a click model keeps what the protocol promises: one line in its author's tests, or a command."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from copyloom import InputError
from simulator.click_model import ClickModel, checked_probabilities, click_model
from simulator.feed import Snapshot
from simulator.simulated import SimulatedFeed

TEXTS = (
    "The trail mug that keeps cocoa hot until the summit.", "Early risers choose the trail mug with a screw-on lid!",
    "A mug.", "Why do 40 percent of climbers carry this mug?", "Only today: free shipping on every mug.",
    "Für Frühaufsteher: der Becher – 12 h warm.", "", "mug " * 60,
)  # fmt: skip
"""Texts that a model is asked about unless others are given: short, long, empty, with digits, signs and umlauts."""
_SNAPSHOTS = (0, 1, 7)

Make = Callable[[int], ClickModel]


def check_click_model(
    model: str | Make, texts: Sequence[str] = TEXTS, seed: int = 0, settings: Mapping[str, Any] | None = None
) -> list[str]:
    """Return what was checked of a click model and holds.

    Use it as one line of a test: ``check_click_model(ShortTexts)``.

    Parameters
    ----------
    model : str or callable
        ``module:Class``, ``file.py:Class``, or the class itself.
    texts : sequence of str
        At least two that differ.
    seed : int
    settings : mapping, optional
        What the class takes beside the seed.

    Raises
    ------
    InputError
        If something does not hold; the message says what, and for which text.
    """
    texts = tuple(dict.fromkeys(texts))
    if len(texts) < 2:
        raise InputError(f"{len(texts)} texts were given; a check needs two that differ")
    given = settings or {}

    def make(number: int) -> ClickModel:
        return click_model(model, number, given) if isinstance(model, str) else model(number, **given)

    checks: dict[str, Callable[[Make, tuple[str, ...], int], None]] = {
        "probabilities are numbers from 0 to 1, one for each text and segment": _in_range,
        "the same seed gives the same probabilities, whatever numbers were drawn elsewhere": _by_seed,
        "a text has the same probability whatever is asked about beside it": _by_text,
        "what is asked once changes no later answer": _without_memory,
        "policies meet the same shoppers: a text's clicks do not depend on the others": _common_numbers,
    }
    for check in checks.values():
        check(make, texts, seed)
    return list(checks)


def _in_range(make: Make, texts: tuple[str, ...], seed: int) -> None:
    for snapshot in _SNAPSHOTS:
        _ask(make(seed), texts, snapshot)


def _by_seed(make: Make, texts: tuple[str, ...], seed: int) -> None:
    one = _ask(make(seed), texts, 1)
    states = random.getstate(), np.random.get_state()
    try:
        random.seed(1)
        np.random.seed(1)
        other = _ask(make(seed), texts, 1)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
    _same(one, other, texts, f"made twice with seed {seed}, it gives",
          "draw what is random from numpy.random.default_rng(seed)")  # fmt: skip


def _by_text(make: Make, texts: tuple[str, ...], seed: int) -> None:
    together, model = _ask(make(seed), texts, 1), make(seed)
    alone = np.concatenate([_ask(model, [text], 1) for text in texts])
    _same(together, alone, texts, "asked together with others and alone, it gives",
          "compute each text by itself: no batch means, and row sums in the place of matrix products")  # fmt: skip
    backwards = _ask(make(seed), texts[::-1], 1)[::-1]
    _same(together, backwards, texts, "asked in another order, it gives", "let nothing depend on a text's place")


def _without_memory(make: Make, texts: tuple[str, ...], seed: int) -> None:
    model = make(seed)
    first = _ask(model, texts, 1)
    for snapshot in (7, 0):
        _ask(model, texts, snapshot)
    _same(first, _ask(model, texts, 1), texts, "asked again after other snapshots, it gives",
          "keep nothing of what was asked but what follows from seed, text and snapshot")  # fmt: skip


def _common_numbers(make: Make, texts: tuple[str, ...], seed: int) -> None:
    many, few = SimulatedFeed(make(seed), seed), SimulatedFeed(make(seed), seed)
    only = np.array([1.0, *[0.0] * (len(texts) - 1)])
    shown = many.outcome(Snapshot(1, texts, only, 5000))
    alone = few.outcome(Snapshot(1, texts[:1], np.ones(1), 5000))
    if not np.array_equal(shown.clicks[0], alone.clicks[0]):
        raise InputError(f"{texts[0]!r} had {shown.clicks[0].tolist()} clicks beside others and "
                         f"{alone.clicks[0].tolist()} alone; let probabilities depend on the text alone")  # fmt: skip


def _ask(model: ClickModel, texts: Sequence[str], snapshot: int) -> NDArray[np.float64]:
    try:
        return checked_probabilities(model, texts, snapshot)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{type(model).__name__}.segment_probabilities(texts, {snapshot}) failed: "
                         f"{type(error).__name__}: {error}") from error  # fmt: skip


def _same(one: NDArray[np.float64], other: NDArray[np.float64], texts: Sequence[str], when: str, remedy: str) -> None:
    differs = (one != other).any(axis=1)
    if differs.any():
        row = int(differs.argmax())
        raise InputError(f"{when} {one[row].tolist()} and {other[row].tolist()} for {texts[row]!r}; {remedy}")
