"""A log comes in whole, or is refused with the rows that are wrong."""

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds
from copyloom import InputError


def log(**changes):
    given = {"texts": [0, 1, 1], "rewards": [0, 1, 0], "propensities": [0.5, 0.25, 1.0], "text_count": 2}
    return LoggedRounds(**{**given, **changes})


def test_arrays_of_any_make_become_double_precision_and_whole_numbers():
    found = log(rewards=np.array([True, False, True]), propensities=np.float32([0.5, 0.5, 0.5]), positions=[0, 2, 1])
    assert found.rewards.dtype == found.propensities.dtype == np.float64
    assert found.texts.dtype == found.positions.dtype == np.int64
    assert (len(found), found.position_count, log().position_count) == (3, 3, 1)
    assert found.features.shape == (3, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": [0, np.nan, 2]}, r"'rewards' is missing or no number in 1 row: row 2 .*; "
                                      r"column 'rewards' is out of range in 1 row: row 3 \(2.0\); allowed: 0 to 1"),
        ({"propensities": [0.0, 0.5, 1.2]}, r"'propensities' is out of range in 2 rows: row 1 \(0.0\), row 3 \(1.2\)"),
        ({"propensities": [0.5, 0.5, np.inf]}, r"row 3 \(inf\)"),
        ({"texts": [0, 2, -1]}, r"'texts' is no index in 2 rows: row 2 \(2.0\), row 3 \(-1.0\); allowed: .* 0 to 1"),
        ({"texts": [0, 0.5, 1]}, r"row 2 \(0.5\)"),
        ({"texts": [0, 1]}, r"texts has shape \(2,\); pass \(3,\)"),
        ({"rewards": [1]}, "at least 2 rounds"),
        ({"rewards": [[1, 2], [3]]}, "rewards is no array of numbers"),
        ({"rewards": ["a", "b", "c"]}, "rewards is no array of numbers"),
        ({"features": [[1.0], [np.nan], [0.0]]}, "not finite"),
        ({"features": [1.0, 2.0, 3.0]}, r"features has shape \(3,\)"),
        ({"positions": [0, 1, -1]}, r"'positions' is no index in 1 row"),
        ({"reward_range": (1, 0)}, r"reward_range is \(1, 0\)"),
        ({"text_count": 0}, "text_count is 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        log(**changes)


def test_only_the_first_few_rows_of_many_are_named():
    with pytest.raises(InputError, match=r"in 300 rows: row 1 \(7.0\), .* row 5 \(7.0\), \.\.\.; allowed"):
        LoggedRounds(np.zeros(300, int), np.full(300, 7.0), np.full(300, 0.5), 1)
