"""A simulated study before its first impression: campaigns side by side, and the shoppers that each of them meets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from copyloom import InputError, Report
from embeddings.summary import SummaryEmbedding
from experiments import loop
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Opened
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.workshop import Workshop, first_drafts, hired, reference_texts
from experiments.campaigns.writer import Writer
from experiments.simulation.arms import OPEN, SATURATED, Arm
from experiments.simulation.config import RunConfig
from experiments.simulation.worlds import grammar_world, world_of
from generator.language_model import LanguageModel
from simulator import ClickModel, SimulatedFeed, Snapshot
from simulator.click_model import ReadableModel, segment_names
from simulator.worlds import World

OWN_MODEL = "a click model of your own"
"""The name of the world where settings name a click model; what can be read, and written, is its world's."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """Campaigns with and without mixing, side by side. Use `build` to make one from settings.

    Parameters
    ----------
    config : RunConfig
        As resolved.
    given : Given
    shop : Workshop
    world : World
    arms : sequence of Arm
    library : sequence of Draft
        What was written before the first impression.
    """

    config: RunConfig
    given: Given
    shop: Workshop
    world: World
    arms: Sequence[Arm]
    library: Sequence[Draft]

    @property
    def campaigns(self) -> list[Campaign]:
        """The arms' campaigns."""
        return [arm.campaign for arm in self.arms]

    @property
    def stored(self) -> list[SummaryEmbedding]:
        """The stored texts' embeddings."""
        return [self.shop.writer.embeddings[text] for text in self.given.texts]

    def run(self, ledger: Ledger) -> None:
        """Play what is not on record yet."""
        feeds = [arm.feed for arm in self.arms]
        loop.run(self.shop, self.campaigns, feeds, ledger,
                 lambda done, total: self.shop.report("showing texts to shoppers", done, total))  # fmt: skip


def build(config: RunConfig, given: Given, ledger: Ledger, report: Report, memo: Path | None = None) -> Simulation:
    """Return the simulation that `config` describes, its stored texts inverted and its first mixtures written.

    What a folder `memo` holds is not made again: see `experiments.campaigns.memo`.

    Raises
    ------
    CopyloomError
        If the model, the device, the texts or the subject cannot be used.
    """
    config, writer = hired(config, given, ledger.engine, report, memo=memo)
    judge = judge_of(writer)
    world = grammar_world(given.subject, judge, given.texts) if _told(config, given) and given.subject else None

    plans = _plans(config, given, world)
    campaigns = [Campaign(plan.name(config), (config.seed, plan.seed)) for plan in plans]
    shop = loop.opened(config, given, writer, campaigns, [plan.opening for plan in plans], ledger, report)
    library = first_drafts(config, given, writer)
    reference = reference_texts(given, library)
    world = world or world_of(config.world, writer.sentence_vectors, shop.reduce, reference, judge, given.texts)
    world = world if config.click_model is None else replace(world, name=OWN_MODEL)
    shoppers = [shoppers_of(config, world, seed) for seed in range(config.seeds)]
    feeds = [SimulatedFeed(shoppers[plan.seed], feed_seed(config, plan.seed), config.shoppers) for plan in plans]
    for campaign, feed in zip(campaigns, feeds, strict=True):
        if feed.remembers:
            feed.recall(_shown(campaign))
    arms = [Arm(campaign, feed, plan.seed, plan.world)
            for campaign, feed, plan in zip(campaigns, feeds, plans, strict=True)]  # fmt: skip
    return Simulation(config, given, shop, world, arms, library)


@dataclass(frozen=True)
class _Plan:
    """An arm before it is opened."""

    seed: int
    world: str
    opening: Opened

    def name(self, config: RunConfig) -> str:
        """Return what tells its campaign from the others of a study."""
        own = "" if self.opening.policy == config.policy else f", {self.opening.policy.label}"
        return f"{self.world}, seed {self.seed}, {'mixing' if self.opening.mixing else 'no mixing'}{own}"


def _plans(config: RunConfig, given: Given, world: World | None) -> list[_Plan]:
    """Return all arms: for each seed and kind of world with mixing and without, and policies beside, with mixing.

    See `slates_of` for the kinds.
    """
    own = config.click_model and config.click_model.made(feed_seed(config, 0))
    segments = segment_names(own, len(config.shoppers.segment_shares))
    common = {"parents": tuple(given.texts), "segments": segments}
    found = []
    for seed in range(config.seeds):
        slates = slates_of(config, given, world, seed)
        for (kind, slate), mixing in itertools.product(slates.items(), (True, False)):
            opening = Opened(slate=slate, mixing=mixing, policy=config.policy, **common)
            found.append(_Plan(seed, kind, opening))
        for policy in config.beside:
            found.append(_Plan(seed, OPEN, Opened(slate=slates[OPEN], policy=policy, **common)))
    return found


def slates_of(config: RunConfig, given: Given, world: World | None, seed: int) -> dict[str, tuple[str, ...]]:
    """Return the texts with which the arms of a seed begin, by the kind of world.

    Where a grammar's world knows all that can be said, some begin with the best of it: there mixing cannot help. Not
    where tastes drift or segments are told apart, where no one text stays, or is, the best for all.
    """
    slates = {OPEN: tuple(given.own)}
    if world is not None and world.writable and config.shoppers.drift is None and config.policy.segments is None:
        shoppers = shoppers_of(config, world, seed)
        rates = shoppers.segment_probabilities(world.writable) @ shoppers.shares
        slates[SATURATED] = tuple(dict.fromkeys([*given.own, world.writable[int(rates.argmax())]]))
    return slates


def judge_of(writer: Writer) -> LanguageModel:
    """Return the model that says how strange a text reads to shoppers."""
    space, composer = writer.space, writer.space.writer.composer
    return composer.reference if composer else space.critic or space.model


def _told(config: RunConfig, given: Given) -> bool:
    """Say whether shoppers live in the grammar's world: unless settings name one, where it knows all that can be said.

    Raises
    ------
    InputError
        If settings name it and there is no subject.
    """
    if config.world is None:
        return given.subject is not None and config.texts is None
    if config.world.name == "grammar" and given.subject is None:
        raise InputError("the world grammar is about a subject; give one (subject), or another world")
    return config.world.name == "grammar"


def shoppers_of(config: RunConfig, world: World, seed: int) -> ClickModel:
    """Return the shoppers of one seed."""
    if config.click_model is None:
        return world.shoppers(config.shoppers, np.random.default_rng([config.seed, seed]))
    own = config.click_model.made(feed_seed(config, seed))
    return ReadableModel(own, world.readable) if config.click_model.readable else own


def feed_seed(config: RunConfig, seed: int) -> int:
    """Return the seed of all that the shoppers of one seed do."""
    return config.seed * 1_000_003 + seed


def _shown(campaign: Campaign) -> list[Snapshot]:
    """Return the snapshots of a campaign so far, as its feed was given them."""
    state = campaign.state
    return [Snapshot(one.snapshot, state.slate[: len(one.probabilities)], np.array(one.probabilities), one.impressions,
                     np.array(one.by_segment) if one.by_segment else None) for one in state.snapshots]  # fmt: skip
