"""Everything a study needs before its first impression: space, pool, writer, geometry, shoppers, campaigns, policy."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from sqlalchemy import Engine

from bandits import (
    Channel,
    EpsilonGreedy,
    LogisticRewardModel,
    MixtureProposer,
    Policy,
    RealisedFeatureMap,
    RewardPrior,
    ThompsonSampling,
    TopTwoThompson,
    Uniform,
    UpperConfidenceBound,
)
from copyloom import InputError
from embeddings.geometry import Reduction
from embeddings.mixing import wanted_point
from embeddings.pool import Pool
from embeddings.space import Space
from embeddings.summary import Lineage, SummaryEmbedding
from experiments.campaign import Campaign
from experiments.config import PolicyConfig, RunConfig
from experiments.texts import MAX_TEXTS, name_subject, read_texts, shipped_claims
from experiments.worlds import World, embedding_world, grammar_world
from experiments.writer import Draft, Recipe, Writer
from generator.checks import BrandRules, Checker
from generator.grammar import Grammar
from generator.reader import Reader
from generator.record import ProductRecord
from simulator import SimulatedFeed, draw_shoppers

Report = Callable[[str, int, int], None]
"""Called with a stage in words, the steps done and the steps in all."""

OPEN, SATURATED = "open", "pool holds the best"
"""The two kinds of worlds: mixing may help; the stored texts already hold the best text that can be written."""

FEW = 5
"""Stored texts about the subject below which there is nothing fair to compare new ones with."""
_MARK = "Store more of your own, or list those that are yours but do not name it in a file: --own FILE, `own:` in YAML."

WEIGHTS = ((0.5, 0.5), (0.7, 0.3), (1.15, -0.15))
"""Mixing weights that the proposer tries, each both ways round."""


@dataclass(eq=False)
class Study:
    """A pool, the machinery around it, and campaigns that run side by side.

    Use `build` to make one from a configuration.
    """

    config: RunConfig
    space: Space
    pool: Pool
    stored: list[SummaryEmbedding]
    subject: ProductRecord | None
    slate: list[str]
    """Stored texts that may be shown: those about the subject."""
    writer: Writer
    reduce: Reduction
    channel: Channel
    world: World
    campaigns: list[Campaign]
    reward_model: LogisticRewardModel
    policy: Policy
    proposer: MixtureProposer
    notes: list[str]
    library: list[Draft]
    """What was written before the first impression; any campaign may show it."""
    report: Report
    parents: list[str] = field(default_factory=list)
    """All texts that any campaign may mix, in a fixed order."""

    def proposes_at(self, sequence: int) -> bool:
        """Say whether new mixtures are proposed before round `sequence`."""
        settings = self.config.proposer
        return sequence > 0 and sequence % settings.every == 0 and sequence < settings.until * self.config.rounds

    def add_parents(self, recipes: Mapping[str, Recipe]) -> None:
        """Store written texts as parents: their summary embeddings go into the pool, with their lineage."""
        fresh = {text: recipe for text, recipe in recipes.items() if text not in self.parents}
        if not fresh:
            return
        held = {embedding.text: embedding for embedding in self.pool.members()}
        self.writer.embeddings.update((text, held[text]) for text in fresh if text in held)
        for embedding in self.writer.embed(list(fresh)):
            recipe = fresh[embedding.text]
            lineage = Lineage(recipe.parents, recipe.weights)
            self.pool.promote(replace(embedding, lineage=lineage), "shown to a large share of shoppers")
        self.parents.extend(fresh)


def build(config: RunConfig, engine: Engine, report: Report) -> Study:
    """Return the study that `config` describes, its stored texts inverted into the pool of `engine`'s database.

    Raises
    ------
    CopyloomError
        If the model, the device, the texts or the subject cannot be used.
    """
    report("loading the model", 0, 1)
    space = Space.load(config.model, config.device)
    given = given_texts(config)
    texts, subject, slate, notes = given.texts, given.subject, given.own, given.notes
    pool = Pool(engine, "study", space.identity)
    stored = _stored(pool, texts, config, space, report)
    reader = Reader(Grammar.load(), subject) if subject else None
    strict = space.composer is None  # a pretrained writer has more words than the grammar, and rules of its own
    rules = config.rules or (
        BrandRules.like(texts, strict and subject is not None) if config.texts else BrandRules(only_known_words=strict)
    )
    proposer = config.proposer.resolved(composes=not strict)
    config = config.model_copy(update={"rules": rules, "proposer": proposer})
    writer = Writer(space, stored, subject, Checker(rules, texts, reader), proposer.effort)
    library = _warm_up(config, writer, texts, slate, report)
    usable = [draft.text for draft in library if not draft.refusals]
    reduce = Reduction.fit(writer.sentence_vectors(list(dict.fromkeys([*slate, *usable]))), config.features)
    judge = space.critic if space.composer is None else space.composer.reference
    if subject is None or config.texts is not None:
        world = embedding_world(writer.sentence_vectors, list(dict.fromkeys([*slate, *usable])), judge, texts)
    else:
        world = grammar_world(subject, judge, texts)
    return Study(
        config=config,
        space=space,
        pool=pool,
        stored=stored,
        subject=subject,
        slate=slate,
        writer=writer,
        reduce=reduce,
        channel=_channel(writer, reduce, library),
        world=world,
        campaigns=_campaigns(config, world, slate, texts),
        reward_model=LogisticRewardModel(RewardPrior(**config.prior.model_dump())),
        policy=_policy(config.policy),
        proposer=MixtureProposer(weights=WEIGHTS, exploration=proposer.exploration),
        notes=notes,
        library=library,
        report=report,
        parents=list(texts),
    )


@dataclass(frozen=True)
class Given:
    """What a study is given: stored texts, what new ones are about, stored texts about that, notes for the report."""

    texts: list[str]
    subject: ProductRecord | None
    own: list[str]
    notes: list[str]


def given_texts(config: RunConfig) -> Given:
    """Return what a configuration gives; of more than `MAX_TEXTS` texts some, those about the subject first.

    Raises
    ------
    InputError
        If a file cannot be used, or fewer than two texts are about the subject.
    """
    if config.own is not None and config.subject is None:
        raise InputError("texts of one's own (own) are those about a subject; give a subject as well")
    if config.texts is None:
        if config.subject is not None:
            raise InputError("a subject needs texts about it; pass --texts as well")
        claims, product = shipped_claims()
        return Given(claims, product, name_subject(claims, product), [])
    texts, notes = read_texts(config.texts, config.column), []
    subject = ProductRecord.from_yaml(config.subject) if config.subject else None
    own = _own(config, texts, subject) if subject else []
    if len(texts) > MAX_TEXTS:
        rng, mine = random.Random(config.seed), set(own)
        rest = [text for text in texts if text not in mine]
        kept = rng.sample(own, min(len(own), MAX_TEXTS // 2))
        chosen = {*kept, *rng.sample(rest, min(MAX_TEXTS - len(kept), len(rest)))}
        notes.append(
            f"{len(chosen)} of the {len(texts):,} texts were drawn at random; a study mixes {MAX_TEXTS} at most"
        )
        texts, own = [text for text in texts if text in chosen], [text for text in own if text in chosen]
    if subject and len(own) < FEW:
        notes.append(
            f"only {len(own)} of the {len(texts)} stored texts are about the subject: too few to compare new texts "
            f"with, so the uplift says little. {_MARK}"
        )
    return Given(texts, subject, own if subject else texts, notes)


def _own(config: RunConfig, texts: Sequence[str], subject: ProductRecord) -> list[str]:
    """Return the stored texts that are about the subject: those of the file given, or those that name it."""
    if config.own is None:
        own, why = name_subject(texts, subject), f"name the subject {subject.name!r}"
    else:
        marked = set(read_texts(config.own, config.column))
        own, why = [text for text in texts if text in marked], f"stand in {config.own}, which holds {len(marked)}"
    if len(own) < 2:
        raise InputError(f"{len(own)} of the {len(texts)} texts {why}; at least two must, so that there is something "
                         f"to compare new texts with. {_MARK}")  # fmt: skip
    return own


def _stored(
    pool: Pool, texts: Sequence[str], config: RunConfig, space: Space, report: Report
) -> list[SummaryEmbedding]:
    """Return the embeddings of `texts`, from the pool where it holds them."""
    held = {embedding.text: embedding for embedding in pool.members()}
    missing = [text for text in texts if text not in held]
    found = space.invert(missing, config.inversion, lambda done, total: report("storing texts", done, total))
    pool.add(found, "stored texts of the study")
    held.update((embedding.text, embedding) for embedding in found)
    return [held[text] for text in texts]


def _warm_up(
    config: RunConfig, writer: Writer, texts: Sequence[str], slate: Sequence[str], report: Report
) -> list[Draft]:
    """Write texts about other products anew for the subject, and random pairs, and return all drafts."""
    rng = random.Random(f"{config.seed} warm-up")
    grid = sorted({pair for weights in WEIGHTS for pair in itertools.permutations(weights)})
    pairs = []
    for _ in range(config.proposer.warm_up):
        first, second = sorted(rng.sample(range(len(texts)), 2))
        pairs.append(Recipe((texts[first], texts[second]), rng.choice(grid)))
    alone = [Recipe((text,), (1.0,)) for text in texts if text not in slate]
    drafts = writer.write(alone, lambda done, total: report("writing texts anew for the subject", done, total))
    pairs = list(dict.fromkeys(pairs))
    drafts += writer.write(pairs, lambda done, total: report("writing the first mixtures", done, total))
    return [one for draft in drafts for one in draft.every]


def _channel(writer: Writer, reduce: Reduction, library: Sequence[Draft]) -> Channel:
    """Return the map from wanted to realised features that the usable drafts teach."""
    drafts = [draft for draft in library if not draft.refusals and len(draft.recipe.parents) > 1]
    if not drafts:
        return RealisedFeatureMap().fit(torch.empty(0, reduce.features), torch.empty(0, reduce.features))
    points = torch.stack([writer.base_points(draft.recipe.parents) for draft in drafts])
    weights = torch.tensor([draft.recipe.weights for draft in drafts])
    realised = writer.sentence_vectors([draft.text for draft in drafts])
    return RealisedFeatureMap().fit(reduce(wanted_point(points, weights)), reduce(realised))


def _campaigns(config: RunConfig, world: World, slate: Sequence[str], parents: Sequence[str]) -> list[Campaign]:
    """Return campaigns with and without mixing for each seed; in a grammar world also where mixing cannot help."""
    campaigns = []
    kinds = (OPEN, SATURATED) if world.writable else (OPEN,)
    for seed in range(config.seeds):
        rng = np.random.default_rng([config.seed, seed])
        shoppers = draw_shoppers(config.shoppers, world.features, world.reference, rng, world.readable)
        for kind, mixing in itertools.product(kinds, (True, False)):
            shown = list(slate)
            if kind == SATURATED:
                best = world.writable[int(shoppers.click_probability(world.writable).argmax())]
                shown = list(dict.fromkeys([*slate, best]))
            name = f"{kind}, seed {seed}, {'mixing' if mixing else 'no mixing'}"
            feed = SimulatedFeed(shoppers, config.seed * 1_000_003 + seed)
            campaigns.append(Campaign(name, seed, kind, mixing, feed, shown, list(parents)))
    return campaigns


def _policy(config: PolicyConfig) -> Policy:
    made: dict[str, Policy] = {
        "uniform": Uniform(),
        "ucb": UpperConfidenceBound(scale=config.scale, floor=config.floor),
        "epsilon-greedy": EpsilonGreedy(epsilon=config.epsilon, floor=config.floor),
        "top-two": TopTwoThompson(floor=config.floor),
        "thompson": ThompsonSampling(scale=config.scale, floor=config.floor),
    }
    return made[config.name]
