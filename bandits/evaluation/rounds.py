"""A log of a bandit as arrays: in each round one text was shown, with a known probability, and earned a reward."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bandits.numbers import check_count
from copyloom import InputError
from copyloom.problems import Problem, problems_where, raise_if_any

LEAST_PROPENSITY = 1e-12


@dataclass(frozen=True, eq=False)
class LoggedRounds:
    """n rounds of a log, checked.

    Rounds are taken as independent given what the logger knew. Propensities that followed earlier rewards
    keep inverse propensity weighting unbiased; the intervals are then approximations.

    Parameters
    ----------
    texts : array of shape (n,)
        Index of the text that was shown, in 0 to text_count - 1.
    rewards : array of shape (n,)
        Within `reward_range`.
    propensities : array of shape (n,)
        Probability, in (0, 1], with which the logger showed that text in that round.
    text_count : int
        N: the texts of logger and target together, those never shown included.
    positions : array of shape (n,), optional
        Index of the place on the page; 0 in all rounds by default.
    features : array of shape (n, d), optional
        What was known of the round before the text was chosen.
    reward_range : pair of float
        Least and most that a reward can be.

    Raises
    ------
    InputError
        If a value is NaN or out of range, an array has the wrong shape, or there are fewer than 2 rounds.

    Examples
    --------
    >>> log = LoggedRounds([0, 1, 1], [1, 0, 0], [0.5, 0.25, 0.25], text_count=2)
    >>> log.rewards.tolist(), len(log)
    ([1.0, 0.0, 0.0], 3)
    """

    texts: np.ndarray
    rewards: np.ndarray
    propensities: np.ndarray
    text_count: int
    positions: Any = None  # given or not, an array from here on
    features: Any = None
    reward_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_count("text_count", self.text_count)
        rewards = float_array("rewards", self.rewards)
        n = len(rewards) if rewards.ndim == 1 else 0
        if n < 2:
            raise InputError(f"rewards has shape {rewards.shape}; pass (n,) with at least 2 rounds")
        texts = index_array("texts", self.texts, n, self.text_count)
        propensities = float_array("propensities", self.propensities, (n,))
        raise_if_any(
            missing_problems(rewards, "rewards")
            + reward_problems(rewards, "rewards", self.reward_range)
            + missing_problems(propensities, "propensities")
            + propensity_problems(propensities, "propensities")
        )
        positions = np.zeros(n, np.int64) if self.positions is None else index_array("positions", self.positions, n)
        features = np.empty((n, 0)) if self.features is None else float_array("features", self.features)
        if features.ndim != 2 or len(features) != n or not np.isfinite(features).all():
            raise InputError(f"features has shape {features.shape} or is not finite; pass finite numbers of ({n}, d)")
        checked = {"texts": texts, "rewards": rewards, "propensities": propensities, "positions": positions}
        for name, array in {**checked, "features": features}.items():
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def position_count(self) -> int:
        """How many places there are on the page."""
        return int(self.positions.max()) + 1


def missing_problems(values: np.ndarray, column: str, given: Any = None) -> list[Problem]:
    """Where a number is missing; `given` is what stands there, if that is not the values themselves."""
    given = values if given is None else given
    return problems_where(np.isnan(values), given, column, "is missing or no number", "a number")


def reward_problems(rewards: np.ndarray, column: str, reward_range: tuple[float, float]) -> list[Problem]:
    """Where rewards are out of range."""
    least, most = float_array("reward_range", reward_range, (2,))
    if not (np.isfinite(least) and np.isfinite(most) and least < most):
        raise InputError(f"reward_range is {reward_range}; pass the least and the most that a reward can be")
    wrong = (rewards < least) | (rewards > most)
    return problems_where(wrong, rewards, column, "is out of range", f"{least:g} to {most:g}, as declared")


def propensity_problems(propensities: np.ndarray, column: str) -> list[Problem]:
    """Where propensities are out of range."""
    wrong = (propensities < LEAST_PROPENSITY) | (propensities > 1)
    allowed = f"{LEAST_PROPENSITY:g} to 1, the probability of the text that was shown"
    return problems_where(wrong, propensities, column, "is out of range", allowed)


def float_array(name: str, values: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Values as a float64 array, of the given shape if there is one.

    Raises
    ------
    InputError
        If they are no array of numbers, or have another shape.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array of numbers ({error}); pass numbers") from error
    if shape is not None and array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}; pass {shape}")
    return array


def index_array(name: str, values: Any, n: int, count: int | None = None) -> np.ndarray:
    """Values as int64 indices of shape (n,), each at least 0 and below the count."""
    given = float_array(name, values, (n,))
    most = np.inf if count is None else count - 1
    wrong = ~((given >= 0) & (given <= most) & (given == np.floor(given)))
    allowed = "whole numbers from 0" if count is None else f"whole numbers from 0 to {count - 1}"
    raise_if_any(problems_where(wrong, given, name, "is no index", allowed))
    return given.astype(np.int64)
