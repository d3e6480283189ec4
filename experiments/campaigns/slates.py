"""Vowpal Wabbit chooses what to mix: one slot for each parent, one for their weights, one click rate for all three."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bandits.online.bandit import Decision
from bandits.online.vowpal_wabbit import VowpalWabbitSlates
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign, counted_for_all

_TRIES, _PASSES = 40, 3
"""Draws for each mixture, as a text cannot be mixed with itself or as before; passes over what was learned."""


def choose_mixtures(
    campaign: Campaign, parents: Tensor, weights: Sequence[tuple[float, ...]], count: int
) -> dict[Lineage, tuple[float, ...]]:
    """Return at most `count` new mixtures of two parents, and the chances of first parent, second parent and weights.

    What it knows is learned anew from the campaign's state each time: the click rate of every written text, by the
    chances with which its mixture was drawn, those of a random one where nothing drew it. Same state, same mixtures.

    Parameters
    ----------
    campaign : Campaign
    parents : Tensor of shape (M, d)
        Features of the campaign's parents, in their order.
    weights : sequence of W pairs of float
    count : int

    Raises
    ------
    CopyloomError
        If Vowpal Wabbit is not installed.
    """
    state = campaign.state
    place = {text: number for number, text in enumerate(state.parents)}
    seed = int(np.random.SeedSequence((*campaign.seeds, len(state.snapshots))).generate_state(1)[0] >> 1)
    bandit = VowpalWabbitSlates([parents, parents, torch.eye(len(weights))], seed=seed)
    uniform = (1 / len(parents), 1 / len(parents), 1 / len(weights))
    shown, clicks = (counts.tolist() for counts in counted_for_all(state))
    rates = {text: c / n for text, n, c in zip(state.slate, shown, clicks, strict=True) if n}
    learned = []
    for text, lineage in state.written.items():
        if text in rates and lineage.weights in weights and all(parent in place for parent in lineage.parents):
            chosen = (*(place[parent] for parent in lineage.parents), weights.index(lineage.weights))
            chances = state.chances.get(lineage) or uniform
            decisions = [Decision(*decision) for decision in zip(chosen, chances, strict=True)]
            learned.append((decisions, rates[text]))
    for decisions, rate in itertools.chain.from_iterable(itertools.repeat(learned, _PASSES)):
        bandit.learn(decisions, rate)
    found: dict[Lineage, tuple[float, ...]] = {}
    for _ in range(_TRIES * count):
        first, second, pair = bandit.choose()
        texts = state.parents[first.text], state.parents[second.text]
        lineage = Lineage(texts, weights[pair.text])
        mirrored = Lineage(texts[::-1], weights[pair.text][::-1])
        if len(found) < count and texts[0] != texts[1] and not {lineage, mirrored} & {*state.tried, *found}:
            found[lineage] = (first.propensity, second.propensity, pair.propensity)
    return found
