"""One call from a log to what another policy would have earned."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bandits.evaluation.estimate import Estimate, IntervalKind
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
from bandits.evaluation.kernel import chosen_bandwidth, smoothed
from bandits.evaluation.log import Columns, read_log
from bandits.evaluation.predictions import fitted_predictions
from bandits.evaluation.results import Evaluation, Row
from bandits.evaluation.rounds import LoggedRounds, float_array
from bandits.evaluation.support import diagnose, shown
from bandits.evaluation.target import RoundPolicy
from bandits.evaluation.target_table import TargetTable
from bandits.evaluation.tuning import candidates_by_quantile, tuned_cut
from bandits.numbers import check_count
from copyloom import InputError
from copyloom.tables import Reading


def evaluate_rounds(
    rounds: LoggedRounds,
    target: Any = None,
    *,
    target_of_shown: Any = None,
    clusters: Any = None,
    vectors: Any = None,
    visitors: Any = None,
    bandwidth: float | None = None,
    interval: IntervalKind = "bootstrap",
    seed: int = 0,
) -> Evaluation:
    """Every estimator that the arguments allow, with the diagnostics of the weights.

    Parameters
    ----------
    rounds : LoggedRounds
    target : RoundPolicy, or array of shape (N,) or (n, N), optional
        The target's probabilities of all texts.
    target_of_shown : array of shape (n,), optional
        Instead of `target`: its probabilities of the texts that were shown. Only IPS, SNIPS and MIPS use no
        more than that.
    clusters : array of shape (n,), optional
        Cluster of the text shown, for MIPS.
    vectors : array of shape (N, S), optional
        Embeddings of all texts, for the kernel estimator.
    visitors : array of shape (n,), optional
        Who each round was for: intervals are then those of independent visitors, not of independent rounds.
    bandwidth : float, optional
        Of the kernel; `chosen_bandwidth` by default.
    interval : "bootstrap" or "normal"
        As in `Estimate.interval`.
    seed : int
        Of folds and bootstrap.

    Raises
    ------
    InputError
        If shapes do not fit, no target or two are given, or the target shows no text of the log and there are
        no vectors.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> texts = rng.integers(2, size=4000)
    >>> rewards = rng.random(4000) < np.array([0.02, 0.1])[texts]
    >>> log = LoggedRounds(texts, rewards, np.full(4000, 0.5), text_count=2)
    >>> found = evaluate_rounds(log, [0.1, 0.9])
    >>> [(row.estimator, round(row.value, 3)) for row in found.estimates]
    [('IPS', 0.096), ('SNIPS', 0.095), ('DM', 0.094), ('DR', 0.095), ('Switch-DR', 0.095), ('DRos', 0.095)]
    """
    check_count("seed", seed, least=0)
    if (target is None) == (target_of_shown is None):
        raise InputError("give the target's probabilities either of all texts or of those that were shown")
    if target is None and vectors is not None:
        raise InputError("embeddings need the target's probabilities of all texts; give `target`")
    policy = None if target is None else _policy(target, rounds)
    shares = _of_shown(target_of_shown, rounds) if policy is None else policy.of(rounds.texts)
    rewards, weights = rounds.rewards, shares / rounds.propensities
    estimates: dict[str, Estimate] = {}
    settings: dict[str, float] = {}
    if weights.any():
        estimates |= {"IPS": ips(rewards, weights), "SNIPS": snips(rewards, weights)}
        if clusters is not None:
            estimates["MIPS"] = marginal_ips(rewards, weights, clusters)
        if policy is not None:
            model = fitted_predictions(rounds, policy, seed=seed)
            settings |= _tuned(rewards, weights, model)
            estimates |= _with_model(rewards, weights, model, settings)
    elif vectors is None:
        raise InputError("the target shows no text of the log; check that both name texts alike, or give embeddings")
    kernel_support = None
    if policy is not None and vectors is not None:
        supported, nearby = shown(rounds).any(axis=0), policy
        if policy.probabilities[:, ~supported].any():
            settings["bandwidth"] = chosen_bandwidth(rounds.texts, rewards, vectors) if bandwidth is None else bandwidth
            nearby = smoothed(policy, vectors, supported, settings["bandwidth"])
        kernel_weights = nearby.of(rounds.texts) / rounds.propensities
        estimates["kernel"] = snips(rewards, kernel_weights)
        kernel_support = diagnose(rounds, kernel_weights, nearby)

    def row(name: str, estimate: Estimate) -> Row:
        independent = estimate if visitors is None else estimate.grouped(visitors)
        return Row.of(name, independent, interval, seed, rounds.reward_range)

    return Evaluation(
        logger=row("logger", Estimate.mean_of(rewards)),
        estimates=tuple(row(name, estimate) for name, estimate in estimates.items()),
        support=diagnose(rounds, weights, policy),
        kernel_support=kernel_support,
        texts=rounds.text_count,
        interval=interval,
        settings=settings,
    )


def evaluate(
    source: Any,
    target: Any = "uniform",
    *,
    columns: Columns | None = None,
    texts: Sequence[str] | None = None,
    reward_range: tuple[float, float] = (0.0, 1.0),
    embed: Callable[[Sequence[str]], Any] | None = None,
    bandwidth: float | None = None,
    interval: IntervalKind = "bootstrap",
    seed: int = 0,
    reading: Reading | None = None,
) -> Evaluation:
    """Estimate a target policy's value from a table.

    Parameters
    ----------
    source : table or path
        A data frame, pyarrow Table, dict of arrays, or the path of a CSV, JSON lines, Parquet or Excel file: one
        round a row.
    target : "uniform", mapping, table or path
        All texts alike; or a probability for each text, as `TargetTable.read` takes it. Not used if
        `columns.target` names a column.
    columns : Columns, optional
        Names of the columns.
    texts : sequence of str, optional
        All texts there are; by default those of log and target. Others in either are an error.
    reward_range : pair of float
        Least and most that a reward can be.
    embed : callable, optional
        From N texts to embeddings of shape (N, S), for the kernel estimator.
    bandwidth : float, optional
        The kernel's; by default `chosen_bandwidth`. Of no use where the target shows only texts of the log.
    interval : "bootstrap" or "normal"
        As in `Estimate.interval`.
    seed : int
        Of folds and bootstrap.
    reading : Reading, optional
        What a person says of the log's file.

    Raises
    ------
    InputError
        If a table cannot be read, or rows cannot be used; the message names them.

    Examples
    --------
    >>> log = {"text": ["a", "b"] * 200, "reward": [0, 1] * 200, "propensity": [0.5] * 400}
    >>> found = evaluate(log, {"a": 0.25, "b": 0.75})
    >>> found.support.verdict, round(found.logger.value, 2), round(found.estimates[0].value, 2)
    ('enough evidence', 0.5, 0.75)
    """
    columns = columns or Columns()
    texts = None if texts is None else [str(text) for text in texts]
    log = read_log(source, columns, reward_range=reward_range, texts=texts, reading=reading)
    known = set(texts or ()) | set(log.names)
    if columns.target is not None:
        policy = None
    elif isinstance(target, str) and target == "uniform":
        policy = TargetTable.uniform(sorted(known))
    else:
        policy = TargetTable.read(target, columns.text, columns.position)
    names = sorted(known if texts is not None or policy is None else known | set(policy.texts))
    rounds = log.rounds(names)
    return evaluate_rounds(
        rounds,
        None if policy is None else policy.policy(names, log.position_names, rounds),
        target_of_shown=log.target,
        clusters=log.clusters,
        visitors=log.visitors,
        vectors=None if embed is None else embed(names),
        bandwidth=bandwidth,
        interval=interval,
        seed=seed,
    )


def _policy(values: Any, rounds: LoggedRounds) -> RoundPolicy:
    policy = values if isinstance(values, RoundPolicy) else RoundPolicy.from_array(values, rounds)
    if len(policy.groups) != len(rounds) or policy.probabilities.shape[1] != rounds.text_count:
        given = len(policy.groups), policy.probabilities.shape[1]
        raise InputError(f"a policy of {given} rounds and texts was given; pass {len(rounds), rounds.text_count}")
    return policy


def _of_shown(values: Any, rounds: LoggedRounds) -> np.ndarray:
    probabilities = float_array("target_of_shown", values, (len(rounds),))
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InputError("target_of_shown holds numbers that are no probabilities; pass numbers from 0 to 1")
    return probabilities


def _tuned(rewards: np.ndarray, weights: np.ndarray, model: Predictions) -> dict[str, float]:
    """Hyper-parameters of Switch-DR (tau) and DRos (lambda)."""
    candidates = candidates_by_quantile(weights)
    return {
        "threshold": tuned_cut(rewards, weights, model, switched, candidates),
        "shrinkage": tuned_cut(rewards, weights, model, shrunk, [value**2 for value in candidates]),
    }


def _with_model(
    rewards: np.ndarray, weights: np.ndarray, model: Predictions, settings: dict[str, float]
) -> dict[str, Estimate]:
    switch, shrink = switched(weights, settings["threshold"]), shrunk(weights, settings["shrinkage"])
    return {
        "DM": direct_method(model),
        "DR": doubly_robust(rewards, weights, model),
        "Switch-DR": doubly_robust(rewards, weights, model, switch),
        "DRos": doubly_robust(rewards, weights, model, shrink),
    }
