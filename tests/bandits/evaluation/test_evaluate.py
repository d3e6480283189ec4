"""One call: what it returns is what the estimators return, for every way to name the target."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from bandits.evaluation import Columns, LoggedRounds, RoundPolicy, evaluate, evaluate_rounds
from bandits.evaluation.estimators import doubly_robust, ips, marginal_ips, shrunk, snips, switched
from bandits.evaluation.predictions import fitted_predictions
from copyloom import InputError

NAMES = np.array(["calm", "loud", "plain", "short"])
LOGGER, TARGET = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.1, 0.2, 0.3, 0.4])


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    texts = rng.choice(4, 3000, p=LOGGER)
    return {
        "text": NAMES[texts], "reward": (rng.random(3000) < 0.05 + 0.03 * texts).astype(int),
        "propensity": LOGGER[texts], "kind": np.array(["x", "y"])[texts // 2], "wanted": TARGET[texts],
    }  # fmt: skip


@pytest.fixture(scope="module")
def log(table):
    return LoggedRounds(np.searchsorted(NAMES, table["text"]), table["reward"], table["propensity"], 4)


def values(found):
    return {row.estimator: row.value for row in found.estimates}


def test_the_numbers_are_those_of_the_estimators(table, log):
    found = evaluate(table, dict(zip(NAMES, TARGET, strict=True)), columns=Columns(cluster="kind"))
    policy = RoundPolicy.from_array(TARGET, log)
    weights, model = TARGET[log.texts] / log.propensities, fitted_predictions(log, policy)
    settings = found.settings
    expected = {
        "IPS": ips(log.rewards, weights),
        "SNIPS": snips(log.rewards, weights),
        "MIPS": marginal_ips(log.rewards, weights, log.texts // 2),
        "DR": doubly_robust(log.rewards, weights, model),
        "Switch-DR": doubly_robust(log.rewards, weights, model, switched(weights, settings["threshold"])),
        "DRos": doubly_robust(log.rewards, weights, model, shrunk(weights, settings["shrinkage"])),
    }
    rows = {row.estimator: row for row in found.estimates}
    assert list(rows) == ["IPS", "SNIPS", "MIPS", "DM", "DR", "Switch-DR", "DRos"]
    for name, estimate in expected.items():
        row = rows[name]
        assert (row.value, row.standard_error) == pytest.approx((estimate.value, estimate.standard_error))
        assert (row.low, row.high) == pytest.approx(estimate.interval())
    assert found.logger.value == log.rewards.mean()
    assert found.texts == 4
    assert found.kernel_support is None
    assert found.support.verdict == "enough evidence"


def test_every_way_to_name_the_target_gives_the_same(table, log):
    whole = values(evaluate(table, dict(zip(NAMES, TARGET, strict=True))))
    rows = pa.table({"text": NAMES, "probability": TARGET})
    assert values(evaluate(table, rows)) == whole
    assert values(evaluate_rounds(log, TARGET)) == whole
    column = values(evaluate(table, columns=Columns(target="wanted")))
    assert column == {"IPS": whole["IPS"], "SNIPS": whole["SNIPS"]}
    assert values(evaluate(table)) == values(evaluate_rounds(log, np.full(4, 0.25)))


def test_a_target_of_texts_never_shown_is_left_to_the_kernel(table):
    vectors = {"calm": [0.0], "loud": [1.0], "plain": [2.0], "short": [3.0], "shorter": [3.1]}

    def embed(texts):
        return np.array([vectors[text] for text in texts])

    found = evaluate(table, {"shorter": 1.0}, embed=embed)
    (row,) = found.estimates
    assert row.estimator == "kernel"
    assert found.support.unsupported == 1
    assert found.support.verdict == "not enough evidence"
    assert found.kernel_support.unsupported == 0
    assert found.kernel_support.effective_rounds > 100
    rate = table["reward"][table["text"] == "short"].mean()
    rounds = LoggedRounds(np.searchsorted(NAMES, table["text"]), table["reward"], table["propensity"], 5)
    near = evaluate_rounds(rounds, [0, 0, 0, 0, 1.0], vectors=embed(vectors), bandwidth=0.1)
    assert near.estimates[0].value == pytest.approx(rate)


def test_plain_values_are_json(log):
    features = np.random.default_rng(1).random((len(log), 1))
    rounds = LoggedRounds(log.texts, log.rewards, log.propensities, 4, features=features)
    found = replace(evaluate_rounds(rounds, TARGET), settings={"threshold": np.inf}).to_dict()
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["settings"]["threshold"] is None
    assert next(row for row in found["estimates"] if row["estimator"] == "DM")["low"] is None


def test_order_of_texts_in_the_target_is_irrelevant_and_the_seed_decides_the_folds(table):
    shares = dict(zip(NAMES, TARGET, strict=True))
    backwards = dict(reversed(shares.items()))
    assert evaluate(table, shares).to_dict() == evaluate(table, backwards).to_dict()
    assert values(evaluate(table, shares, seed=1))["DR"] != values(evaluate(table, shares))["DR"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": {"CALM": 0.5, "LOUD": 0.5}}, "shows no text of the log"),
        ({"target": {"calm": 0.5, "loud": 0.6}}, "sum to 1.1"),
        ({"target": "somewhere.csv"}, "no file somewhere.csv"),
        ({"texts": ["calm", "loud"]}, "column 'text' is unknown in .* one of the 2 texts given"),
        ({"reward_range": (0, 0.5)}, "column 'reward' is out of range"),
        ({"columns": Columns(target="wanted"), "embed": lambda texts: np.zeros((4, 1))}, "give `target`"),
        ({"columns": Columns(propensity="kind")}, "column 'kind' is missing or no number in 3,000 rows"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(table, arguments, message):
    with pytest.raises(InputError, match=message):
        evaluate(table, **arguments)


def test_arrays_that_do_not_fit_are_refused(log):
    with pytest.raises(InputError, match="either of all texts or of those that were shown"):
        evaluate_rounds(log)
    with pytest.raises(InputError, match=r"a policy of \(2, 4\) rounds and texts"):
        evaluate_rounds(log, RoundPolicy(np.full((1, 4), 0.25), np.zeros(2, int)))
    with pytest.raises(InputError, match="no probabilities"):
        evaluate_rounds(log, target_of_shown=np.full(3000, 1.5))
    with pytest.raises(InputError, match="target_of_shown has shape"):
        evaluate_rounds(log, target_of_shown=np.full(7, 0.5))


def test_texts_may_be_of_any_kind_and_others_are_refused():
    log = {"text": [1, 2] * 300, "reward": [0, 1, 1, 0, 0, 1] * 100, "propensity": [0.5] * 600}
    for texts in ([1, 2, 3], np.array([1, 2, 3])):
        assert evaluate(log, {"1": 0.5, "2": 0.5}, texts=texts).texts == 3
    with pytest.raises(InputError, match="text '4' is not among the 2 names"):
        evaluate(log, {"1": 0.5, "4": 0.5}, texts=[1, 2])


def test_the_kernel_needs_a_bandwidth_only_for_texts_without_support():
    log = {"text": ["a", "b"] * 300, "reward": [0, 1, 1, 0, 0, 1] * 100, "propensity": [0.5] * 600}
    found = evaluate(log, {"a": 0.2, "b": 0.8}, embed=lambda names: np.eye(len(names)))
    rows = {row.estimator: row.value for row in found.estimates}
    assert rows["kernel"] == pytest.approx(rows["SNIPS"])
    with pytest.raises(InputError, match="choosing a bandwidth needs at least 3"):
        evaluate(log, {"a": 0.2, "c": 0.8}, embed=lambda names: np.eye(len(names)))
    assert evaluate(log, {"a": 0.2, "c": 0.8}, embed=lambda names: np.eye(len(names)), bandwidth=1.0).kernel_support


def test_intervals_end_where_rewards_do():
    log = {"text": ["a", "b"] * 50, "reward": [0] * 99 + [1], "propensity": [0.5] * 100}
    for interval in ("normal", "bootstrap"):
        found = evaluate(log, {"a": 0.1, "b": 0.9}, interval=interval)
        assert all(0 <= row.low <= row.high <= 1 for row in found.estimates if not np.isnan(row.low))


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_seeds_are_whole(table, seed):
    with pytest.raises(InputError, match="seed is"):
        evaluate(table, columns=Columns(), seed=seed)


def test_csv_files_with_lines_in_texts_and_with_doubled_columns(tmp_path):
    path = tmp_path / "log.csv"
    rows = "".join(f'"line {i % 3}\nand more of it, so that blocks end in it",{i % 2},0.5\n' for i in range(60_000))
    path.write_text("text,reward,propensity\n" + rows)
    assert evaluate(path).texts == 3
    path.write_text("text,reward,propensity,reward\na,0,0.5,1\nb,1,0.5,0\n")
    with pytest.raises(InputError, match="more than one column 'reward'"):
        evaluate(path)


def test_features_with_very_many_names_are_refused():
    log = {"text": ["a", "b"] * 1000, "reward": [0, 1] * 1000, "propensity": [0.5] * 2000}
    users = [f"user {i}" for i in range(2000)]
    with pytest.raises(InputError, match="'user' has 2,000 different values"):
        evaluate(log | {"user": users}, columns=Columns(features=("user",)))
