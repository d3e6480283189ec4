"""A simulated study before its first impression: campaigns side by side, and the shoppers that each of them meets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from embeddings.encoded import EncodedOnce
from embeddings.geometry import Reduction
from embeddings.pool import Pool
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from experiments import loop
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Opened
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.workshop import Report, Workshop, first_lineages, resolved, writer_of
from experiments.simulation.arms import OPEN, SATURATED, Arm
from experiments.simulation.config import RunConfig
from experiments.simulation.worlds import World, embedding_world, grammar_world
from simulator import Shoppers, SimulatedFeed, draw_shoppers


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


def build(config: RunConfig, given: Given, ledger: Ledger, report: Report) -> Simulation:
    """Return the simulation that `config` describes, its stored texts inverted and its first mixtures written.

    Raises
    ------
    CopyloomError
        If the model, the device, the texts or the subject cannot be used.
    """
    report("loading the model", 0, 1)
    space = Space.load(config.model, config.device, trust_remote_code=config.trust_remote_code)
    space = replace(space, encoder=EncodedOnce(space.encoder))
    config = resolved(config, given, space.composes)
    writer = writer_of(config, given, space, Pool(ledger.engine, "study", space.identity), report)
    composer = space.writer.composer
    judge = composer.reference if composer else space.critic or space.model
    told = given.subject is not None and config.texts is None  # the grammar knows all that can be said
    world = grammar_world(given.subject, judge, given.texts) if told and given.subject else None

    plans = _plans(config, given, world)
    campaigns = [Campaign(plan.name(config), (config.seed, plan.seed)) for plan in plans]
    loop.begin(campaigns, [plan.opening for plan in plans], writer, ledger)
    lineages = first_lineages(config, given)
    loop.warm_up(campaigns, lineages, writer, ledger,
                 lambda done, total: report("writing the first mixtures", done, total))  # fmt: skip

    library = [draft for drafts in writer.write(lineages) for draft in drafts]
    reference = list(dict.fromkeys([*given.own, *(draft.text for draft in library if not draft.refusals)]))
    reduce = Reduction.fit(writer.sentence_vectors(reference), config.features)
    shop = Workshop(config, writer, reduce, report, given.past)
    world = world or embedding_world(writer.sentence_vectors, reference, judge, given.texts)
    shoppers = [_shoppers(config, world, seed) for seed in range(config.seeds)]
    feeds = [SimulatedFeed(shoppers[plan.seed], config.seed * 1_000_003 + plan.seed) for plan in plans]
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
    """Return all arms: for each seed and kind of world with mixing and without, and the policies beside, with mixing.

    Where the grammar knows all that can be said, some arms begin with the best of it: there mixing cannot help.
    """
    segments = tuple(f"segment {number + 1}" for number in range(len(config.shoppers.segment_shares)))
    common = {"parents": tuple(given.texts), "segments": segments}
    found = []
    for seed in range(config.seeds):
        slates = {OPEN: tuple(given.own)}
        if world is not None:
            rates = _shoppers(config, world, seed).click_probability(world.writable)
            slates[SATURATED] = tuple(dict.fromkeys([*given.own, world.writable[int(rates.argmax())]]))
        for (kind, slate), mixing in itertools.product(slates.items(), (True, False)):
            opening = Opened(slate=slate, mixing=mixing, policy=config.policy, **common)
            found.append(_Plan(seed, kind, opening))
        for policy in config.beside:
            found.append(_Plan(seed, OPEN, Opened(slate=slates[OPEN], policy=policy, **common)))
    return found


def _shoppers(config: RunConfig, world: World, seed: int) -> Shoppers:
    """Return the shoppers of one seed."""
    rng = np.random.default_rng([config.seed, seed])
    return draw_shoppers(config.shoppers, world.features, world.reference, rng, world.readable)
