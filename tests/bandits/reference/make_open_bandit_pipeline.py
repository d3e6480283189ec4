"""Writes open_bandit_pipeline.json.gz beside it: random logs, and what Open Bandit Pipeline 0.5.7 makes of them.

See README.md. It runs in an environment of its own, with Python 3.10; nothing of the project is imported.
"""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

n, N, L, CATEGORIES, DIMENSIONS = 200, 5, 3, 3, 2
LAMBDAS = [0.5, 1.0, 2.0, 5.0, 50.0, math.inf]


def shares(weights: np.ndarray) -> np.ndarray:
    """Distributions over the second axis: whole numbers are stored, so that no digit is lost."""
    return weights / weights.sum(axis=1, keepdims=True)


def draw(rng: np.random.Generator, probabilities: np.ndarray) -> np.ndarray:
    """One index a row."""
    above = rng.random((len(probabilities), 1)) > probabilities.cumsum(axis=1)
    return np.minimum(above.sum(axis=1), probabilities.shape[1] - 1)


def random_inputs(seed: int, per_round: bool) -> dict[str, np.ndarray]:
    """A log of n rounds at L positions, the same policies in all rounds unless `per_round`."""
    rng = np.random.default_rng(seed)
    rows = n if per_round else 1
    logger = np.broadcast_to(rng.integers(1, 30, (rows, N, L)), (n, N, L))
    target = np.broadcast_to(rng.integers(0, 30, (rows, N, L)) * rng.integers(0, 2, (rows, N, L)), (n, N, L)).copy()
    target[:, 0] += 1  # some texts have probability 0, never all
    position = rng.integers(L, size=n)
    action = draw(rng, shares(logger)[np.arange(n), :, position])
    predictions = rng.integers(0, 100, (n, N, L))  # hundredths
    embedding_weights = rng.integers(1, 20, (N, CATEGORIES, DIMENSIONS))
    given_action = shares(embedding_weights)[action]  # (n, CATEGORIES, DIMENSIONS)
    embedding = np.stack([draw(rng, given_action[:, :, d]) for d in range(DIMENSIONS)], axis=1)
    rate = 0.1 + 0.6 * (action + position) / (N + L)
    return {
        "logger": logger, "target": target, "position": position, "action": action, "predictions": predictions,
        "embedding_weights": embedding_weights, "embedding": embedding,
        "reward": (rng.random(n) < rate).astype(int),
    }  # fmt: skip


def reference_values(inputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """What Open Bandit Pipeline's estimators return."""
    from obp.ope import (
        DirectMethod,
        DoublyRobust,
        DoublyRobustWithShrinkage,
        DoublyRobustWithShrinkageTuning,
        InverseProbabilityWeighting,
        MarginalizedInverseProbabilityWeighting,
        SelfNormalizedInverseProbabilityWeighting,
        SwitchDoublyRobust,
        SwitchDoublyRobustTuning,
    )

    rounds, position, action = np.arange(n), inputs["position"], inputs["action"]
    logger, target = shares(inputs["logger"]), shares(inputs["target"])
    log = {
        "reward": inputs["reward"], "action": action, "position": position, "action_dist": target,
        "pscore": logger[rounds, action, position],
        "estimated_rewards_by_reg_model": inputs["predictions"] / 100,
    }  # fmt: skip
    embedded = {"pi_b": logger, "action_embed": inputs["embedding"], "context": np.ones((n, 1))}
    candidates = LAMBDAS[:-1]
    tuning = {"lambdas": candidates, "tuning_method": "mse", "use_bias_upper_bound": False}
    switch_tuned, shrink_tuned = SwitchDoublyRobustTuning(**tuning), DoublyRobustWithShrinkageTuning(**tuning)
    mips = MarginalizedInverseProbabilityWeighting(n_actions=N)
    found = {
        "ips": InverseProbabilityWeighting().estimate_policy_value(**log),
        "snips": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**log),
        "dm": DirectMethod().estimate_policy_value(**log),
        "dr": DoublyRobust().estimate_policy_value(**log),
        "mips_given": mips.estimate_policy_value(**log, **embedded, p_e_a=shares(inputs["embedding_weights"])),
        "switch_tuned": switch_tuned.estimate_policy_value_with_tuning(**log),
        "switch_tuned_lambda": switch_tuned.best_hyperparam,
        "dros_tuned": shrink_tuned.estimate_policy_value_with_tuning(**log),
        "dros_tuned_lambda": shrink_tuned.best_hyperparam,
    }
    for lambda_ in LAMBDAS:
        found[f"switch_{lambda_}"] = SwitchDoublyRobust(lambda_=lambda_).estimate_policy_value(**log)
        found[f"dros_{lambda_}"] = DoublyRobustWithShrinkage(lambda_=lambda_).estimate_policy_value(**log)
    if (logger == logger[0]).all():  # one position at a time: our weights without a model know no context
        counting = MarginalizedInverseProbabilityWeighting(n_actions=N, pi_a_x_e_estimator=counting_classifier())
        for place in range(L):
            at = position == place
            found[f"mips_counted_{place}"] = counting.estimate_policy_value(
                reward=log["reward"][at], action=action[at], action_embed=inputs["embedding"][at][:, :1],
                context=np.ones((at.sum(), 1)), pi_b=logger[at][:, :, [place]], action_dist=target[at][:, :, [place]],
            )  # fmt: skip
    return {name: float(value) for name, value in found.items()}


def counting_classifier() -> Any:
    """A classifier for pi(a | x, e) that counts: the share of each action among the rounds with the same inputs."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Counting(ClassifierMixin, BaseEstimator):
        def fit(self, X: np.ndarray, y: np.ndarray) -> "Counting":
            self.classes_ = np.unique(y)
            self.X_, self.y_ = X, y
            return self

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            same = (X[:, None] == self.X_[None]).all(axis=2).astype(float)
            return same @ (self.y_[:, None] == self.classes_) / same.sum(axis=1, keepdims=True)

    return Counting()


if __name__ == "__main__":
    cases = []
    for seed, per_round in ((1, True), (2, True), (3, False)):
        inputs = random_inputs(seed, per_round)
        stored = {
            name: (array[:1] if not per_round and name in ("logger", "target") else array).tolist()
            for name, array in inputs.items()
        }
        cases.append({"inputs": stored, "values": reference_values(inputs)})
    path = Path(__file__).with_name("open_bandit_pipeline.json.gz")
    written = json.dumps({"open_bandit_pipeline": "0.5.7", "cases": cases}, separators=(",", ":")) + "\n"
    path.write_bytes(gzip.compress(written.encode(), 9, mtime=0))
    print(path.stat().st_size, json.dumps([case["values"] for case in cases], indent=1))
