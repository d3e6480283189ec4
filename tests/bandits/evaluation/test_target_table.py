"""A policy written down by text, and by position where it differs there."""

import numpy as np
import pyarrow as pa
import pytest

from bandits.evaluation import LoggedRounds
from bandits.evaluation.target_table import TargetTable
from copyloom import InputError


@pytest.fixture
def rounds():
    return LoggedRounds([0, 1, 2, 0], np.zeros(4), np.full(4, 0.5), 3, positions=[0, 1, 1, 0])


def policy(table, rounds):
    return table.policy(["a", "b", "c"], ["left", "right"], rounds)


def test_a_mapping_and_a_table_say_the_same(rounds):
    mapping = TargetTable.read({"b": 0.25, "a": 0.75})
    table = TargetTable.read(pa.table({"text": ["b", "a"], "probability": [0.25, 0.75]}), position="place")
    for found in (mapping, table):
        assert policy(found, rounds).of(rounds.texts).tolist() == [0.75, 0.25, 0, 0.75]


def test_positions_may_have_their_own(rounds):
    rows = {
        "id": ["a", "a", "b", "c"],
        "place": ["left", "right", "right", "elsewhere"],
        "probability": [1, 0.4, 0.6, 1],
    }
    found = policy(TargetTable.read(rows, "id", "place"), rounds)
    assert found.of(rounds.texts).tolist() == [1, 0.6, 0, 1]


def test_every_text_alike(rounds):
    found = policy(TargetTable.uniform(["a", "b"]), rounds)
    assert found.probabilities.tolist() == [[0.5, 0.5, 0]]


def test_rounded_probabilities_are_mended(rounds):
    found = policy(TargetTable.read({"a": 0.333, "b": 0.333, "c": 0.333}), rounds)
    np.testing.assert_allclose(found.probabilities, 1 / 3)


def test_texts_without_a_name_are_refused(rounds):
    with pytest.raises(InputError, match="text 'z' is not among the 3 names"):
        policy(TargetTable.read({"a": np.float32(0.5), "z": 0.5}), rounds)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"a": 0.5, "b": 0.6}, "target's probabilities sum to 1.1"),
        ({"a": 1.5, "b": -0.5}, r"the target cannot be used: .* row 1 \(1.5\), row 2 \(-0.5\)"),
        ({"text": ["a", "a"], "probability": [0.5, 0.5]}, r"'text' is given again in 1 row: row 2 \(a\)"),
        ({"text": ["a", None], "probability": [0.5, 0.5]}, "is missing"),
        ({"text": ["a", "b"], "share": [0.5, 0.5]}, "no column 'probability'"),
        ({"text": ["a"], "probability": [1], "place": ["left"]}, "at position right sum to 0"),
    ],
)
def test_what_is_no_policy_is_refused(source, message, rounds):
    with pytest.raises(InputError, match=message):
        policy(TargetTable.read(source, position="place"), rounds)
