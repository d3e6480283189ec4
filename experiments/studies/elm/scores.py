"""How right answers are, and how near to their points, by task and by method, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from copyloom import InputError
from experiments.bootstrap import interval
from experiments.domains.domain import Domain
from experiments.elm.consistency import FEWEST, behavioural, behavioural_interval
from experiments.elm.questions import Question
from experiments.studies.elm.answering import ELM, Answers
from experiments.studies.space.wanted import Share

Array = NDArray[np.float64]
RIGHT, SEMANTIC, BEHAVIOURAL, STRANGE = "right", "semantic consistency", "behavioural consistency", "surprisal"
MEASURES = {
    RIGHT: "the check of its task, from 0 to 1",
    SEMANTIC: (
        "cosine of the answer's sentence vector to its point, where it has one; of more and less of a genre less that "
        "to where it starts"
    ),
    STRANGE: "nats a token that the judge finds in the answer on its own: the lower, the more usual it reads",
    BEHAVIOURAL: (
        "rank correlation of ratings foretold from answer and point, mean over people; 0 where all answers are "
        "foretold alike"
    ),
}


@dataclass(frozen=True, eq=False)
class Scored:
    """What a method's answers to the questions of a task are worth.

    Parameters
    ----------
    right : array of shape (n,)
    strange : array of shape (n,)
        Surprisal.
    semantic : array of shape (n,), optional
        Where the task says a point.
    ratings : tuple of arrays of shape (n, U), optional
        Foretold from answers and from points, where people rated the domain.
    """

    right: Array
    strange: Array
    semantic: Array | None
    ratings: tuple[Array, Array] | None


def score(
    questions: Sequence[Question], texts: Sequence[str], domain: Domain, answers: Answers,
    encode: Callable[[Sequence[str]], Tensor], people: int,
) -> Scored:  # fmt: skip
    """Return what the texts that answer the questions of one task are worth.

    Raises
    ------
    InputError
        If a check gives what is not from 0 to 1.
    """
    right = np.array([one.check(answer) for one, answer in zip(questions, texts, strict=True)], np.float64)
    if odd := [value for value in right.tolist() if not 0 <= value <= 1]:
        raise InputError(f"the check of task {questions[0].task!r} gave {odd[0]}; let it give 0 to 1")
    whole = [text or "." for text in texts]
    strange = np.array(answers.surprisals(whole))
    points = [one.point for one in questions if one.point is not None]
    if len(points) < len(questions):
        return Scored(right, strange, None, None)
    said = encode(whole)
    semantic = np.array([one.nearness(vector) for one, vector in zip(questions, said, strict=True)])
    if domain.tastes is None:
        return Scored(right, strange, semantic, None)
    users = range(min(people, len(domain.tastes.factors.users)))
    ratings = tuple(
        domain.tastes.ratings_of(domain.tastes.foretold(some), users) for some in (said, torch.stack(points))
    )
    return Scored(right, strange, semantic, (ratings[0], ratings[1]))


def rows_of(task: str, domain: str, scored: Mapping[str, Scored]) -> list[dict[str, Any]]:
    """Return a row for each method and measure of a task about a domain."""
    found = []
    for method, one in scored.items():
        for measure, values in ((RIGHT, one.right), (SEMANTIC, one.semantic), (STRANGE, one.strange)):
            if values is not None:
                share = Share.of(values.tolist()) if measure == RIGHT else None
                low, high = interval(values) if share is None else (share.low, share.high)
                found.append(_row(task, method, measure, float(values.mean()), low, high, len(values)))
        if one.ratings is not None and len(one.ratings[0]) >= FEWEST:
            low, high = behavioural_interval(*one.ratings)
            value = behavioural(*one.ratings)
            found.append(_row(task, method, BEHAVIOURAL, value, low, high, len(one.ratings[0])))
    return [{"domain": domain, **row} for row in found]


def _row(task: str, method: str, measure: str, value: float, low: float, high: float, count: int) -> dict[str, Any]:
    return {
        "task": task,
        "method": method,
        "measure": measure,
        "value": value,
        "low": low,
        "high": high,
        "questions": count,
    }


_TAKEN: Mapping[str, Callable[[Scored], Array | None]] = {
    RIGHT: lambda one: one.right, SEMANTIC: lambda one: one.semantic, STRANGE: lambda one: one.strange,
}  # fmt: skip


def compared(scored: Mapping[str, Mapping[str, Scored]], seed: int = 0) -> list[dict[str, Any]]:
    """Return how far the ELM is above each other method: the mean over tasks that both answer, with intervals.

    Each bootstrap sample draws the questions of each task anew, the same ones for both methods. Where no task has a
    measure, none is returned.
    """
    found = []
    for method in dict.fromkeys(method for some in scored.values() for method in some if method != ELM):
        both = [(some[ELM], some[method]) for some in scored.values() if method in some]
        for measure, take in _TAKEN.items():
            pairs = [(take(one), take(other)) for one, other in both]
            if above := [one - other for one, other in pairs if one is not None and other is not None]:
                found.append({"method": method, "measure": measure, **_mean_difference(above, seed)})
        if told := [(one.ratings, other.ratings) for one, other in both if one.ratings is not None]:
            found.append({"method": method, "measure": BEHAVIOURAL, **_behavioural_difference(told, seed)})
    return found


def _mean_difference(differences: Sequence[Array], seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    samples = np.mean([one[rng.integers(len(one), size=(1000, len(one)))].mean(1) for one in differences], axis=0)
    low, high = np.quantile(samples, (0.025, 0.975))
    return {"above": float(np.mean([one.mean() for one in differences])), "low": float(low), "high": float(high),
            "tasks": len(differences)}  # fmt: skip


def _behavioural_difference(told: Sequence[Any], seed: int) -> dict[str, float]:
    rng, samples = np.random.default_rng(seed), []
    for _ in range(200):
        drawn = [rng.integers(len(mine[0]), size=len(mine[0])) for mine, _ in told]
        samples.append(
            np.nanmean([_behavioural_above(mine, other, rows) for (mine, other), rows in zip(told, drawn, strict=True)])
        )
    low, high = np.nanquantile(samples, (0.025, 0.975))
    whole = [_behavioural_above(mine, other, np.arange(len(mine[0]))) for mine, other in told]
    return {"above": float(np.nanmean(whole)), "low": float(low), "high": float(high), "tasks": len(told)}


def _behavioural_above(mine: Any, other: Any, rows: Any) -> float:
    return behavioural(mine[0][rows], mine[1][rows]) - behavioural(other[0][rows], other[1][rows])
