"""How much a log can say about a target: where its weight rests, and what it does not cover."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from bandits.evaluation.rounds import LoggedRounds
from bandits.evaluation.target import RoundPolicy

LEAST_ROUNDS = 100
LEAST_REWARDS = 10
MOST_UNSUPPORTED = 0.01
MISFIT = 1e-4
_ROUNDING = 1e-3  # what rounded propensities may do to the mean weight


@dataclass(frozen=True)
class Support:
    """What the importance weights say of a log, whatever the estimator.

    Attributes
    ----------
    rounds : int
        n.
    effective_rounds : float
        (sum w)^2 / sum w^2 (Kish 1965): with so many rounds of the target's own, IPS would be about as sure.
    effective_rewards : float
        The same of w (r - least reward): on how many rewarded rounds the estimate rests.
    effective_misses : float
        The same of w (greatest reward - r).
    greatest_weight : float
    share_of_top_percent : float
        Share of all weight in the hundredth of rounds with the largest weights; 0.01 if all are equal.
    mean_weight : float
        1 minus `unsupported` but for noise, if propensities and target are right.
    mean_weight_p : float
        Two-sided p-value of that, by the normal approximation. A high mean speaks against the propensities; a low
        one may come of rare heavy weights that the log happens to lack, too.
    unsupported : float or None
        Share of the target's probability on texts that the log never shows at that position. None if the target's
        probabilities are known for logged texts only.
    """

    rounds: int
    effective_rounds: float
    effective_rewards: float
    effective_misses: float
    greatest_weight: float
    share_of_top_percent: float
    mean_weight: float
    mean_weight_p: float
    unsupported: float | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """What speaks against relying on the estimates, in plain words; empty if nothing does."""
        found = []
        if self.mean_weight_p < MISFIT:
            or_else = ", or the log happens to lack rounds of large weight" if self._low else ""
            or_else += ", or the target shows texts that the log lacks" if self.unsupported is None else ""
            found.append(
                f"the weights have mean {self.mean_weight:.3g} instead of {self._expected_weight:.3g} "
                f"(p = {self.mean_weight_p:.1g}): propensities or the target's probabilities are wrong{or_else}"
            )
        if not self.effective_rounds >= LEAST_ROUNDS:
            found.append(
                f"the estimates rest on {self.effective_rounds:.0f} effective rounds of {self.rounds:,}; "
                f"{LEAST_ROUNDS} are the least"
            )
        sizes = {"rewarded rounds": self.effective_rewards, "rounds without the greatest reward": self.effective_misses}
        for kind, size in sizes.items():
            if not size >= LEAST_REWARDS:
                found.append(f"the estimates rest on {size:.0f} effective {kind}; {LEAST_REWARDS} are the least")
        if self.unsupported is not None and self.unsupported > MOST_UNSUPPORTED:
            found.append(
                f"{self.unsupported:.1%} of the target's probability is on texts that the logger does not show; "
                "only the kernel estimator speaks of them"
            )
        return tuple(found)

    @property
    def verdict(self) -> str:
        """One of "enough evidence", "not enough evidence" and "propensities do not fit"."""
        if self.mean_weight_p < MISFIT and not self._low:
            return "propensities do not fit"
        return "not enough evidence" if self.reasons else "enough evidence"

    @property
    def _expected_weight(self) -> float:
        return 1 - (self.unsupported or 0)

    @property
    def _low(self) -> bool:
        return self.mean_weight < self._expected_weight


def diagnose(rounds: LoggedRounds, weights: np.ndarray, target: RoundPolicy | None = None) -> Support:
    """The diagnostics of a log and a target.

    Parameters
    ----------
    rounds : LoggedRounds
    weights : array of shape (n,)
        Importance weights.
    target : RoundPolicy, optional
        The target, where it is known for all texts.

    Examples
    --------
    >>> import numpy as np
    >>> log = LoggedRounds([0, 1], [1, 0], [0.5, 0.5], text_count=2)
    >>> found = diagnose(log, np.array([2.0, 0.0]))
    >>> found.effective_rounds, found.verdict
    (1.0, 'not enough evidence')
    """
    n = len(rounds)
    missing = None if target is None else float(target.expected(_without_support(rounds)).mean())
    error = weights.std(ddof=1) / math.sqrt(n)
    gap = abs(weights.mean() - (1 - (missing or 0))) - _ROUNDING
    top = np.sort(weights)[-max(1, n // 100) :]
    return Support(
        rounds=n,
        effective_rounds=_effective(weights),
        effective_rewards=_effective(weights * (rounds.rewards - rounds.reward_range[0])),
        effective_misses=_effective(weights * (rounds.reward_range[1] - rounds.rewards)),
        greatest_weight=float(weights.max()),
        share_of_top_percent=float(top.sum() / weights.sum()) if weights.any() else 0.0,
        mean_weight=float(weights.mean()),
        mean_weight_p=_p_value(gap, error),
        unsupported=missing,
    )


def shown(rounds: LoggedRounds) -> np.ndarray:
    """Whether the log shows a text at a position at all: array of shape (L, N), bool."""
    found = np.zeros((rounds.position_count, rounds.text_count), dtype=bool)
    found[rounds.positions, rounds.texts] = True
    return found


def _without_support(rounds: LoggedRounds) -> Callable[[slice], np.ndarray]:
    """1 where the log does not show a text, for a slice of the rounds: (rows, N)."""
    missing = ~shown(rounds)
    return lambda rows: missing[rounds.positions[rows]]


def _effective(weights: np.ndarray) -> float:
    """Kish's effective size, 0 where all weights are."""
    if not weights.any():
        return 0.0
    shares = weights / weights.max()  # no square of it overflows
    return float(shares.sum() ** 2 / (shares**2).sum())


def _p_value(gap: float, error: float) -> float:
    if gap <= 0:
        return 1.0
    return float(2 * norm.sf(gap / error)) if error > 0 else 0.0
