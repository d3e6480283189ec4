"""How many rounds a second replicates side by side play, on one core: fit, Thompson draws, shoppers."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from bandits import LogisticRewardModel, RewardPrior, ThompsonSampling, seeded_generators
from experiments.benchmarks.bandits.worlds import BASE, World
from generator.threads import threads

_REPLICATES = 256


def measure(seconds: float = 10.0, device: str = "cpu") -> dict[str, Any]:
    """Return rounds a second in all, with the posterior's factor refreshed per snapshot of 100 rounds, and per round.

    Parameters
    ----------
    seconds : float
        How long each is measured, after a warm-up.
    device : str
        Where posterior and draws are computed; the CPU's work is one thread's.
    """
    with threads(1):
        each = {str(size): _rounds_per_second(size, seconds, device) for size in (100, 1)}
    return {"replicates": _REPLICATES, "texts": BASE.texts, "d": BASE.d, "device": device,
            "rounds_per_second": {"a factor per snapshot of 100 rounds": each["100"],
                                  "a factor per round": each["1"]}}  # fmt: skip


def _rounds_per_second(snapshot: int, seconds: float, device: str) -> float:
    worlds = [World(BASE, seed) for seed in range(_REPLICATES)]
    features = torch.from_numpy(np.stack([world.features for world in worlds])).to(device)
    rates = np.stack([world.rates(0) for world in worlds])
    model = LogisticRewardModel(RewardPrior(BASE.rate, BASE.logit_sd, text_effect_sd=0.0))
    policy, streams = ThompsonSampling(draws=snapshot, single_precision=True), seeded_generators(0, _REPLICATES)
    rng, shown, clicks = np.random.default_rng(0), np.zeros(rates.shape), np.zeros(rates.shape)
    began, played = 0.0, 0
    posterior = model.fit(features, torch.from_numpy(shown).to(device), torch.from_numpy(clicks).to(device))
    for turn in range(1_000_000):
        if turn == 10:
            began, played = time.process_time(), 0  # warm
        elif turn > 10 and time.process_time() - began > seconds:
            break
        posterior = model.refit(posterior, torch.from_numpy(shown).to(device), torch.from_numpy(clicks).to(device))
        shares = policy.allocate(posterior, None, streams).probabilities.cpu().numpy()
        views = rng.multinomial(snapshot, shares / shares.sum(-1, keepdims=True))
        shown += views
        clicks += rng.binomial(views, rates)
        played += snapshot * _REPLICATES
    return played / (time.process_time() - began)
