"""The estimators agree with Open Bandit Pipeline; tests/bandits/reference/README.md says how its values were made."""

import gzip
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bandits.evaluation import LoggedRounds, RoundPolicy
from bandits.evaluation.estimators import (
    Predictions,
    direct_method,
    doubly_robust,
    ips,
    marginal_ips,
    shrunk,
    snips,
    switched,
)
from bandits.evaluation.tuning import tuned_cut

REFERENCE = Path(__file__).parents[1] / "reference" / "open_bandit_pipeline.json.gz"
CASES = json.loads(gzip.decompress(REFERENCE.read_bytes()))["cases"]
same = partial(pytest.approx, rel=0, abs=1e-10)


class Case:
    """A stored log as our arrays, and what the reference makes of it."""

    def __init__(self, stored):
        inputs = {name: np.array(values) for name, values in stored["inputs"].items()}
        n = len(inputs["reward"])
        self.values, self.position, self.embedding = stored["values"], inputs["position"], inputs["embedding"]
        self.logger, self.target = (self.policy(inputs[name], n) for name in ("logger", "target"))
        self.rounds = LoggedRounds(
            inputs["action"], inputs["reward"], self.logger.of(inputs["action"]), 5, positions=self.position
        )
        predicted, texts = inputs["predictions"][np.arange(n), :, self.position] / 100, self.rounds.texts
        self.predictions = Predictions(
            predicted[np.arange(n), texts], self.target.expected(lambda rows: predicted[rows])
        )
        self.rewards = self.rounds.rewards
        self.weights = self.target.of(self.rounds.texts) / self.rounds.propensities

    def policy(self, weights, n):
        """Of each round at its position, from stored weights (n, N, L), or (1, N, L) for the same in all rounds."""
        shares = weights / weights.sum(axis=1, keepdims=True)
        if len(shares) == 1:
            return RoundPolicy(shares[0].T, self.position)
        return RoundPolicy(shares[np.arange(n), :, self.position], np.arange(n))


@pytest.fixture(params=CASES, ids=["changing", "changing too", "constant"])
def case(request):
    return Case(request.param)


def test_weighting_and_modelling(case):
    assert ips(case.rewards, case.weights).value == same(case.values["ips"])
    assert snips(case.rewards, case.weights).value == same(case.values["snips"])
    assert direct_method(case.predictions).value == same(case.values["dm"])
    assert doubly_robust(case.rewards, case.weights, case.predictions).value == same(case.values["dr"])


@pytest.mark.parametrize("parameter", ["0.5", "1.0", "2.0", "5.0", "50.0", "inf"])
@pytest.mark.parametrize(("name", "cut"), [("switch", switched), ("dros", shrunk)])
def test_cut_weights(case, name, cut, parameter):
    kept = cut(case.weights, float(parameter))
    assert doubly_robust(case.rewards, kept, case.predictions).value == same(case.values[f"{name}_{parameter}"])


@pytest.mark.parametrize(("name", "cut"), [("switch", switched), ("dros", shrunk)])
def test_tuned_cuts(case, name, cut):
    best = tuned_cut(case.rewards, case.weights, case.predictions, cut, [0.5, 1.0, 2.0, 5.0, 50.0])
    assert best == case.values[f"{name}_tuned_lambda"]
    estimate = doubly_robust(case.rewards, cut(case.weights, best), case.predictions)
    assert estimate.value == same(case.values[f"{name}_tuned"])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_marginalised_weights_without_a_model(place):
    case = Case(CASES[2])
    at = case.position == place
    estimate = marginal_ips(case.rewards[at], case.weights[at], case.embedding[at, 0])
    assert estimate.value == same(case.values[f"mips_counted_{place}"])
