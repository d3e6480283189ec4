"""A value estimated from rounds: a mean, or a ratio of two, with its standard error and intervals."""

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.stats import norm

from bandits.numbers import check_count, check_number
from copyloom import InputError

IntervalKind: TypeAlias = Literal["normal", "bootstrap"]

_BLOCKS = 2000  # of neighbouring rounds, drawn by the bootstrap instead of single rounds where there are more


@dataclass(frozen=True, eq=False)
class Estimate:
    """mean(numerators) / mean(denominators), over rounds.

    Attributes
    ----------
    numerators, denominators : array of shape (n,)
        What each round adds to the two means.
    model_error : array of shape (n,)
        What each round adds to the error of a reward model that was fitted to the same log, to first order:
        it widens the interval and leaves the value alone.
    unbiased : Estimate or None
        The estimate that this one trades some bias against variance for. Its interval is part of this one's,
        which is so right at least as often.

    Examples
    --------
    >>> import numpy as np
    >>> estimate = Estimate.mean_of(np.array([0.0, 1.0, 1.0, 0.0]))
    >>> estimate.value, round(estimate.standard_error, 4)
    (0.5, 0.2887)
    """

    numerators: np.ndarray
    denominators: np.ndarray
    model_error: np.ndarray
    unbiased: "Estimate | None" = None

    def __post_init__(self) -> None:
        if self.numerators.ndim != 1 or len(self.numerators) < 2:
            raise InputError(f"the rounds have shape {self.numerators.shape}; pass 2 rounds or more")
        if not self.denominators.mean() > 0:
            raise InputError("the weights are all 0: the target shows no text of the log; give another target")

    @classmethod
    def mean_of(
        cls, values: np.ndarray, model_error: np.ndarray | None = None, unbiased: "Estimate | None" = None
    ) -> "Estimate":
        """The estimate that is a plain mean of one value a round."""
        error = np.zeros_like(values) if model_error is None else model_error
        return cls(values, np.ones_like(values), error, unbiased)

    def grouped(self, groups: Any) -> "Estimate":
        """The same estimate with sums over groups of rounds, such as a visitor's, as what is independent.

        Its standard error is the cluster-robust one (Liang and Zeger 1986), up to m / (m - 1) for m groups.

        Parameters
        ----------
        groups : array of shape (n,)
            Whatever names the group of each round.

        Raises
        ------
        InputError
            If there are fewer than 2 groups, or not one name for each round.
        """
        names = np.asarray(groups)
        if names.shape != self.numerators.shape:
            raise InputError(f"groups have shape {names.shape}; pass {self.numerators.shape}")
        _, first, codes = np.unique(names, return_index=True, return_inverse=True)
        if len(first) < 2:
            raise InputError("all rounds are of one visitor; pass a log of at least 2")
        order = np.argsort(np.argsort(first))[codes]  # groups in the order in which they come
        parts = (self.numerators, self.denominators, self.model_error)
        above, below, error = (np.bincount(order, part) * (len(first) / len(names)) for part in parts)
        return Estimate(above, below, error, None if self.unbiased is None else self.unbiased.grouped(groups))

    @property
    def value(self) -> float:
        """The estimate."""
        return float(self.numerators.mean() / self.denominators.mean())

    @property
    def influence(self) -> np.ndarray:
        """How far each round pulls the estimate, to first order: array of shape (n,)."""
        pull = self.numerators - self.value * self.denominators
        return pull / self.denominators.mean() + self.model_error

    @property
    def standard_error(self) -> float:
        """Standard error by the delta method."""
        return float(self.influence.std(ddof=1) / math.sqrt(len(self.numerators)))

    def interval(
        self, kind: IntervalKind = "bootstrap", *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Confidence interval of the value.

        Parameters
        ----------
        kind : "bootstrap" or "normal"
            The studentised bootstrap (Efron and Tibshirani 1993, section 12.5), which is right about as often
            as it says down to a dozen clicks; or the value plus and minus normal quantiles of standard errors,
            which costs nothing and is too low there: rare clicks under uneven weights are skewed. Neither
            sees heavy weights that the log happens to lack; `Support` says more.
        level : float
            Share of intervals that hold the true value, in (0, 1).
        resamples, seed : int
            Of the bootstrap. It draws rounds with replacement, of more than 2,000 in blocks of neighbours.

        Returns
        -------
        low, high : float

        Raises
        ------
        InputError
            If the kind is unknown, or a number is out of range.
        """
        if not 0 < level < 1:
            raise InputError(f"level is {level}; pass a share strictly between 0 and 1")
        if kind not in ("normal", "bootstrap"):
            raise InputError(f"kind is {kind!r}; pass 'normal' or 'bootstrap'")
        check_count("resamples", resamples)
        check_number("seed", seed, least=0)
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        if kind == "normal":
            low, high = self.value + norm.ppf(tails) * self.standard_error
        else:
            high, low = self.value - self._deviations(tails, resamples, seed)
        if self.unbiased is not None:
            other = self.unbiased.interval(kind, level=level, resamples=resamples, seed=seed)
            low, high = min(low, other[0]), max(high, other[1])
        return float(low), float(high)

    def _deviations(self, tails: np.ndarray, resamples: int, seed: int) -> np.ndarray:
        """Quantiles of how far estimates lie above the truth, from how far resamples lie above the estimate."""
        rng, n = np.random.default_rng(seed), len(self.numerators)
        starts = np.linspace(0, n, min(n, _BLOCKS), endpoint=False).astype(np.int64)
        above = np.add.reduceat(self.numerators + self.model_error * self.denominators.mean(), starts)
        below = np.add.reduceat(self.denominators, starts)
        value, error = _ratio(above, below, np.ones(len(starts)))
        deviations = []
        for _ in range(resamples):
            drawn = np.bincount(rng.integers(len(starts), size=len(starts)), minlength=len(starts))
            again, its_error = _ratio(above, below, drawn)
            if its_error > 0:  # without any weight or spread a resample says nothing
                deviations.append((again - value) / its_error)
        return np.quantile(deviations or [0.0], tails) * error


def _ratio(above: np.ndarray, below: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Ratio of two sums over blocks, each as often as counted, and its standard error; NaN where there is none."""
    total = counts @ below
    if not total > 0:
        return np.nan, np.nan
    value = counts @ above / total
    return float(value), float(np.sqrt(counts @ (above - value * below) ** 2) / total)
