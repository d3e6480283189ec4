"""What mixing brings over the best single text, how near the search comes to the best, and how long it takes."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from scipy.optimize import linprog, nnls

from bandits import LogisticRewardModel, MixtureProposer, RealisedFeatureMap, RewardPrior
from bandits.inputs import Array
from bandits.mixtures.mixture_reward import LinearReward
from bandits.mixtures.region import MixtureRegion
from bandits.mixtures.sparse_cone import SparseCone
from bandits.rewards.features import QuadraticFeatures
from copyloom import Report
from experiments.commands import console
from generator.threads import threads

POOLS = ((1_000, 16), (1_000, 64), (10_000, 16), (10_000, 64))
"""Texts and dimensions: directions drawn evenly from the sphere."""
PARENTS = (3, 8)
DRAWS = 20
_RANDOM = 10_000
PROPOSALS = ((10_000, 3, False), (100_000, 3, False), (10_000, 8, False), (10_000, 3, True))
"""Texts in 64 dimensions, parents, and whether the reward is quadratic in 16 features."""
_BATCH = 8


def measure(draws: int, report: Report) -> dict[str, Any]:
    """Return mean rewards and milliseconds of ways to mix, pool by pool, and milliseconds of proposals.

    The reward is the cosine with a direction that was drawn evenly, so 1 is the best there can be. Searches are timed
    without `SparseCone`'s checks of the pool, which are made once; proposals with them.

    Parameters
    ----------
    draws : int
        Pools and directions of each kind.
    """
    with threads(1):
        rows = []
        for number, (texts, d) in enumerate(POOLS):
            report("pools", number, len(POOLS))
            found = [_one(texts, d, seed) for seed in range(draws)]
            means = {
                kind: {name: float(np.mean([one[kind][name] for one in found])) for name in found[0][kind]}
                for kind in ("reward", "milliseconds")
            }
            ahead = {
                str(k): float(np.mean([one["reward"][f"search, {k}"] > one["reward"][f"pursuit, {k}"] + 1e-9
                                       for one in found])) for k in PARENTS
            }  # fmt: skip
            rows.append({"texts": texts, "d": d, **means, "search_above_pursuit": ahead})
        proposals = []
        for number, what in enumerate(PROPOSALS, 1):
            proposals.append(_proposed(*what))
            report("proposals", number, len(PROPOSALS))
    return {"draws": draws, "pools": rows, "proposals": proposals}


def show(found: dict[str, Any]) -> None:
    """Print the tables of `measure` for people."""
    pools = [f"{row['texts']:,} x {row['d']}" for row in found["pools"]]
    names = {
        "single": "best single text",
        "plain": "best plain mixture",
        "random, 3": f"best of {_RANDOM:,} random, 3",
        **{f"{how}, {k}": f"{title}, {k}" for k in PARENTS
           for how, title in (("pursuit", "matching pursuit"), ("search", "SparseCone"))},
        "cone": "the whole cone",
    }  # fmt: skip
    for kind, title, form in (
        ("reward", f"Cosine reached with the best direction, mean of {found['draws']} draws", "{:.3f}"),
        ("milliseconds", "Milliseconds on one core", "{:.1f}"),
    ):
        rows = [
            [name, *(form.format(row[kind][key]) for row in found["pools"])]
            for key, name in names.items()
            if key in found["pools"][0][kind]
        ]
        console.table(title, ["way, most parents", *pools], rows)
    rows = [[str(k), *(f"{row['search_above_pursuit'][str(k)]:.0%}" for row in found["pools"])] for k in PARENTS]
    console.table("Draws in which SparseCone is above the pursuit", ["most parents", *pools], rows)
    rows = [[f"{row['texts']:,} x 64", str(row["parents"]), row["reward"], f"{row['milliseconds_each']:,.0f}"]
            for row in found["proposals"]]  # fmt: skip
    console.table(f"MixtureProposer, batches of {_BATCH}", ["pool", "parents", "reward", "ms a mixture"], rows)


def _one(texts: int, d: int, seed: int) -> dict[str, dict[str, float]]:
    """Reward and milliseconds of every way, in one pool."""
    rng = np.random.default_rng([seed, texts, d])
    pool = rng.standard_normal((texts, d))
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    wanted = rng.standard_normal(d)
    wanted /= np.linalg.norm(wanted)
    reward = {"single": float((pool @ wanted).max()), "plain": _plain(pool @ wanted)}
    reward["random, 3"] = _best_random(pool, wanted, rng)
    reward["cone"] = float(np.sqrt(max(0.0, 1 - nnls(pool.T, wanted)[1] ** 2)))  # the projection's own length
    spent = {}
    cone, objective = SparseCone(pool, pool), LinearReward(torch.from_numpy(wanted)[None])
    for k in PARENTS:
        began = time.perf_counter()
        reward[f"pursuit, {k}"] = _pursuit(pool, wanted, k)
        spent[f"pursuit, {k}"] = 1000 * (time.perf_counter() - began)
        began = time.perf_counter()
        reward[f"search, {k}"] = float(cone.best(objective, MixtureRegion(most_parents=k)).value)
        spent[f"search, {k}"] = 1000 * (time.perf_counter() - began)
    return {"reward": reward, "milliseconds": spent}


def _plain(values: Array) -> float:
    """Best reward of a weighted mean of texts that is not normalised, as a linear programme."""
    solved = linprog(-values, A_eq=np.ones((1, len(values))), b_eq=[1.0], bounds=(0, None), method="highs")
    return -float(solved.fun)


def _best_random(pool: Array, wanted: Array, rng: np.random.Generator) -> float:
    parents, weights = rng.integers(len(pool), size=(_RANDOM, 3)), rng.dirichlet(np.ones(3), _RANDOM)
    points = np.einsum("qk,qkd->qd", weights, pool[parents])
    return float((points @ wanted / np.linalg.norm(points, axis=1)).max())


def _pursuit(pool: Array, wanted: Array, k: int) -> float:
    """Reward of non-negative orthogonal matching pursuit: the plain way, one parent after the other."""
    chosen: list[int] = []
    point = np.zeros_like(wanted)
    for _ in range(k):
        gain = pool @ (wanted - point)
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        weights, _ = nnls(pool[chosen].T, wanted)
        point = weights @ pool[chosen]
    return float(point @ wanted / np.linalg.norm(point))


def _proposed(texts: int, parents: int, curved: bool) -> dict[str, Any]:
    """Milliseconds a mixture of a batch for the optimistic bound, with negative weights and a trust region."""
    stream = torch.Generator().manual_seed(0)
    pool = torch.nn.functional.normalize(torch.randn(texts, 64, generator=stream), dim=-1)
    projection, shown = torch.randn(64, 16, generator=stream), torch.randn(30, 16, generator=stream)
    curve = QuadraticFeatures(d=16) if curved else None
    clicks = torch.randint(20, 90, (30,), generator=stream)
    model = LogisticRewardModel(RewardPrior(base_rate=0.025))
    posterior = model.fit(shown if curve is None else curve(shown), torch.full((30,), 2000), clicks)
    channel = RealisedFeatureMap().fit(*torch.randn(2, 15, 16, generator=stream))
    region = MixtureRegion(most_parents=parents, negative=0.15, nearest=0.5, apart=0.99)
    began = time.perf_counter()
    MixtureProposer(region=region).propose(
        pool, lambda points: points @ projection, channel, posterior, _BATCH, feature_map=curve
    )
    spent = 1000 * (time.perf_counter() - began) / _BATCH
    return {"texts": texts, "parents": parents, "reward": "quadratic" if curved else "linear",
            "milliseconds_each": spent}  # fmt: skip
