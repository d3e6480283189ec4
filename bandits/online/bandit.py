"""One decision at a time: what every online bandit is, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bandits.inputs import Array, finite_tensor
from bandits.numbers import check_number
from copyloom import InputError


@dataclass(frozen=True, slots=True)
class Decision:
    """A text to show, and the probability with which it was chosen.

    Attributes
    ----------
    text : int
        Number of the text, in the order in which texts were added; retired texts keep theirs.
    propensity : float
        Probability of this text given all that was known, from which the choice was really drawn: log it.
    """

    text: int
    propensity: float


class OnlineBandit(Protocol):
    """A learner that chooses one text at a time and hears of rewards when they come.

    Use a `Policy` with snapshots instead where one allocation serves many shoppers: it draws nothing while a
    shopper waits. Outcomes may come late, in any order; each decision's once. A call that raises changes nothing.
    """

    def add(self, features: Any) -> list[int]:
        """Add texts of features (n, d); return their numbers."""

    def retire(self, texts: Sequence[int]) -> None:
        """Never choose these texts again; outcomes of earlier decisions still count."""

    def choose(self, eligible: Sequence[int] | None = None) -> Decision:
        """Return what to show, among all texts that are not retired or among `eligible` ones."""

    def learn(self, decision: Decision, reward: float) -> None:
        """Take in the reward of a decision, in [0, 1]."""


class Slate:
    """The texts of an online bandit: their features, and which are retired.

    Parameters
    ----------
    features : array of shape (N, d)
        May be empty, (0, d).

    Raises
    ------
    InputError
        If it is not a matrix of finite numbers.
    """

    def __init__(self, features: Any) -> None:
        self.features = _matrix(features)
        self.active = np.ones(len(self.features), dtype=bool)

    def add(self, features: Any) -> list[int]:
        """Add texts; return their numbers."""
        more, first = _matrix(features, self.features.shape[1]), len(self.features)
        self.features = np.concatenate([self.features, more])
        self.active = np.concatenate([self.active, np.ones(len(more), dtype=bool)])
        return list(range(first, len(self.features)))

    def retire(self, texts: Sequence[int]) -> None:
        """Mark texts as never to be shown again."""
        self.active[self.known(texts)] = False

    def eligible(self, texts: Sequence[int] | None) -> NDArray[np.intp]:
        """Return the numbers of the texts that may be shown: all that are not retired, or those of them in `texts`.

        Raises
        ------
        InputError
            If there is none, or one is unknown.
        """
        active = np.flatnonzero(self.active)
        if texts is not None:
            active = np.intersect1d(self.known(texts), active)
        if len(active) == 0:
            raise InputError("no text may be shown: all are retired or not eligible; add texts or widen `eligible`")
        return active

    def known(self, texts: Sequence[int]) -> NDArray[np.intp]:
        """Return text numbers as an array.

        Raises
        ------
        InputError
            If they are no whole numbers, or one was never added.
        """
        numbers = np.asarray(texts).reshape(-1)
        if numbers.size and numbers.dtype.kind not in "iu":
            raise InputError(f"texts are {numbers.dtype}; pass their numbers, such as np.flatnonzero of a mask")
        numbers = numbers.astype(np.intp)
        if ((numbers < 0) | (numbers >= len(self.features))).any():
            bad = numbers[(numbers < 0) | (numbers >= len(self.features))][0]
            raise InputError(f"text {bad} is unknown; there are texts 0 to {len(self.features) - 1}")
        return numbers


def share_left(count: int, floor: float) -> float:
    """Return what the floors of so many texts leave to be dealt out.

    Raises
    ------
    InputError
        If they sum to more than 1.
    """
    free = 1 - floor * count
    if free < -1e-12:
        raise InputError(f"a floor of {floor:g} for {count} texts sums to more than 1; pass at most {1 / count:.4g}")
    return max(free, 0.0)


def check_outcome(decision: Decision, reward: float, slate: Slate) -> None:
    """Raise unless the decision is about a known text and the reward lies in [0, 1]."""
    if type(decision.text) is not int or not 0 <= decision.text < len(slate.features):  # arrays cost: only to refuse
        slate.known([decision.text])
    check_number("propensity", decision.propensity, least=0, most=1, above=True)
    check_number("reward", reward, least=0, most=1)


def _matrix(features: Any, columns: int | None = None) -> Array:
    """Features as a matrix of our own."""
    matrix: Array = finite_tensor("features", features).cpu().numpy().copy()
    if matrix.ndim != 2 or matrix.shape[1] < 1 or (columns is not None and matrix.shape[1] != columns):
        raise InputError(f"features has shape {matrix.shape}; pass (N, {columns or 'd with d at least 1'})")
    return matrix
