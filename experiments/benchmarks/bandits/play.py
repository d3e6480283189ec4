"""Play one replicate: a learner against a world, scored by expected regret."""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass

import numpy as np
import torch

from bandits import LogisticRewardModel, RewardPrior
from bandits.inputs import Array
from experiments.benchmarks.bandits.entrants import CEILING, MAKERS, Settings
from experiments.benchmarks.bandits.worlds import Cell, World

MARKS = (1000, 3000, 10_000)


@dataclass(frozen=True)
class Replicate:
    """What came of one seed.

    Attributes
    ----------
    regret : float
        Sum over rounds of the best text's click rate less that of the text shown: expected clicks missed.
    curve : list of float
        The same after each of `MARKS` rounds.
    seconds : float
        Processor time of the learner's calls.
    """

    regret: float
    curve: list[float]
    seconds: float


def play(cell: Cell, entrant: str, settings: Settings, seed: int) -> Replicate:
    """Return the replicate of an entrant in the world of a seed."""
    world = World(cell, seed)
    if entrant == CEILING:
        return _ceiling(world, seed)
    began = time.process_time()
    learner = MAKERS[entrant](world.features[world.texts_at(0)], settings, cell.horizon, seed)
    seconds = time.process_time() - began
    missed = np.zeros(cell.horizon)
    waiting: list[tuple[float, int, object, float]] = []
    for t in range(cell.horizon):
        if cell.churn and t and t % cell.churn == 0:
            old, new = world.texts_at(t - 1), world.texts_at(t)
            learner.add(world.features[np.setdiff1d(new, old)])
            learner.retire(np.setdiff1d(old, new).tolist())
        began = time.process_time()
        decision = learner.choose()
        seconds += time.process_time() - began
        rates = world.rates(t)
        missed[t] = rates[world.texts_at(t)].max() - rates[decision.text]
        reward = float(world.uniforms[t] < rates[decision.text])
        began = time.process_time()
        if world.delays is None:
            learner.learn(decision, reward)
        elif world.arrives[t]:
            heapq.heappush(waiting, (t + world.delays[t], t, decision, reward))
        while waiting and waiting[0][0] <= t:
            _, _, earlier, its = heapq.heappop(waiting)
            learner.learn(earlier, its)  # type: ignore[arg-type]
        seconds += time.process_time() - began
    return Replicate(float(missed.sum()), _curve(missed), seconds)


def _ceiling(world: World, seed: int) -> Replicate:
    """A learner with full information: each round it sees an outcome of every text, and it knows the prior."""
    cell, rng = world.cell, np.random.default_rng([seed, 9])
    prior = RewardPrior(base_rate=cell.rate, logit_sd=cell.logit_sd, text_effect_sd=0.0)
    model, count = LogisticRewardModel(prior), len(world.features)
    shown, clicks, missed = np.zeros(count), np.zeros(count), np.zeros(cell.horizon)
    best, began = 0, time.process_time()
    for t in range(cell.horizon):
        texts, rates = world.texts_at(t), world.rates(t)
        if t < 100 or t % 10 == 0:
            if t == cell.horizon // 2 and cell.drift == "abrupt":
                shown, clicks = np.zeros(count), np.zeros(count)  # it is told so
            mean, _ = model.fit(world.features, shown, clicks).logits()
            best = int(texts[int(mean.numpy()[texts].argmax())])
        missed[t] = rates[texts].max() - rates[best if best in texts else texts[0]]
        shown[texts] += 1
        clicks[texts] += rng.random(len(texts)) < rates[texts]
    return Replicate(float(missed.sum()), _curve(missed), time.process_time() - began)


def _curve(missed: Array) -> list[float]:
    sums = list(itertools.accumulate(missed.tolist()))
    return [sums[mark - 1] for mark in MARKS if mark <= len(sums)]


def one_thread() -> None:
    """Keep torch to one thread: what is measured here is one core's work."""
    torch.set_num_threads(1)
