"""The policy that is asked about: how likely it would have shown each text in each round of the log."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandits.evaluation.rounds import LoggedRounds, float_array, index_array
from copyloom import InputError

_CHUNK = 1 << 23  # numbers in memory at once


@dataclass(frozen=True, eq=False)
class RoundPolicy:
    """Probabilities of all texts in every round, each distinct distribution stored once.

    Parameters
    ----------
    probabilities : array of shape (G, N)
        Distributions over the texts.
    groups : array of shape (n,)
        Which of them holds in each round, in 0 to G - 1.

    Raises
    ------
    InputError
        If a row is no distribution, or a group is unknown.

    Examples
    --------
    Two positions on the page, with a distribution each:

    >>> policy = RoundPolicy([[0.9, 0.1], [0.5, 0.5]], groups=[0, 1, 1])
    >>> policy.of([1, 1, 0]).tolist()
    [0.1, 0.5, 0.5]
    """

    probabilities: np.ndarray
    groups: np.ndarray

    def __post_init__(self) -> None:
        probabilities = float_array("probabilities", self.probabilities)
        if probabilities.ndim != 2:
            raise InputError(f"probabilities has shape {probabilities.shape}; pass (G, N), one distribution a row")
        wrong = ~((probabilities >= 0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) <= 1e-6))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"distribution {row} of the policy has a negative or missing probability, or sums to "
                f"{probabilities[row].sum():.6g}; pass probabilities that sum to 1"
            )
        groups = index_array("groups", self.groups, len(self.groups), len(probabilities))
        object.__setattr__(self, "probabilities", probabilities)
        object.__setattr__(self, "groups", groups)

    @classmethod
    def from_array(cls, probabilities: Any, rounds: LoggedRounds) -> "RoundPolicy":
        """The policy of an array: (N,) for the same distribution in all rounds, (n, N) for one a round.

        Raises
        ------
        InputError
            If the array has another shape, or a row is no distribution.
        """
        array = float_array("probabilities", probabilities)
        n, N = len(rounds), rounds.text_count
        if array.shape not in {(N,), (n, N)}:
            raise InputError(f"probabilities has shape {array.shape}; pass ({N},), one a text, or ({n}, {N})")
        groups = np.zeros(n, np.int64) if array.ndim == 1 else np.arange(n)
        return cls(np.atleast_2d(array), groups)

    def of(self, texts: Any) -> np.ndarray:
        """Probability of one text in each round: array of shape (n,)."""
        return self.probabilities[self.groups, np.asarray(texts)]

    def expected(self, values: Callable[[slice], np.ndarray]) -> np.ndarray:
        """Mean over the policy's texts of a quantity of rounds and texts.

        Parameters
        ----------
        values : callable
            From a slice of the rounds to an array that broadcasts to (rounds in the slice, N).

        Returns
        -------
        array of shape (n,)
        """
        means = np.empty(len(self.groups))
        size = max(1, _CHUNK // self.probabilities.shape[1])
        for start in range(0, len(means), size):
            rows = slice(start, start + size)
            means[rows] = (self.probabilities[self.groups[rows]] * values(rows)).sum(axis=1)
        return means
