"""What the phases of campaigns work with: a writer, what is learned of texts, policy, proposer."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from sqlalchemy import Engine
from torch import Tensor

from bandits import MixtureProposer, RealisedFeatureMap
from bandits.mixtures.channel import Channel
from copyloom import Report
from embeddings.adapter import is_composing
from embeddings.encoded import EncodedOnce
from embeddings.geometry import Reduction
from embeddings.mixing import wanted_point
from embeddings.pool import Pool
from embeddings.space import Space
from embeddings.summary import Lineage, SummaryEmbedding
from experiments.campaigns.campaign import Campaign, padded
from experiments.campaigns.config import CampaignConfig
from experiments.campaigns.events import Draft
from experiments.campaigns.given import Given
from experiments.campaigns.memo import Memo, inverted, opened
from experiments.campaigns.policies import Policies
from experiments.campaigns.rewards import Rewards, opinion_of
from experiments.campaigns.sources import Source
from experiments.campaigns.state import State
from experiments.campaigns.writer import Writer
from generator.checks import Checker, WritingRules
from generator.grammar import Grammar
from generator.reader import GrammarReader

Settings = TypeVar("Settings", bound=CampaignConfig)

WEIGHTS = ((0.5, 0.5), (0.7, 0.3), (0.3, 0.7), (1.15, -0.15), (-0.15, 1.15))
"""Mixing weights of two parents that are tried."""


@dataclass(eq=False)
class Workshop:
    """What the phases of campaigns share.

    Parameters
    ----------
    config : CampaignConfig
        With the rules of writing and the proposer's settings that hold.
    writer : Writer
    reduce : Reduction
        From sentence vectors (n, S) to the features that tell texts apart, (n, d).
    report : callable
    library : collection of str
        Texts that were written before the first impression: no mixture's further texts are recorded again.
    past : sequence of (text, impressions, clicks)
        Earlier texts, where the settings ask for a prior opinion of new ones.
    source : Source, optional
        What writes new texts in the place of mixing.
    """

    config: CampaignConfig
    writer: Writer
    reduce: Reduction
    report: Report
    library: Collection[str] = ()
    past: Sequence[tuple[str, int, int]] = ()
    source: Source | None = None
    _wanted: dict[Lineage, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make what settings and earlier texts say."""
        opinion, prior = None, self.config.prior
        if prior.text_prior is not None:
            texts, *counts = zip(*self.past, strict=True)
            impressions, clicks = (torch.tensor(column, dtype=torch.float64) for column in counts)
            opinion = opinion_of(prior, self.features(texts), impressions, clicks)
        self.rewards = Rewards(prior, self.reduce.features, opinion)
        self.policies = Policies(self.config.rounds)
        self.proposer = MixtureProposer(weights=WEIGHTS, exploration=self.config.proposer.exploration)

    @classmethod
    def of(cls, config: CampaignConfig, given: Given, writer: Writer, report: Report) -> Workshop:
        """Return the workshop of campaigns whose first mixtures are written."""
        texts = reference_texts(given, first_drafts(config, given, writer))
        reduce = Reduction.fit(writer.sentence_vectors(texts), config.features)
        return cls(config, writer, reduce, report, frozenset(texts), given.past)

    def features(self, texts: Sequence[str]) -> Tensor:
        """Return what tells n texts apart, as they were realised, (n, d)."""
        return self.reduce(self.writer.sentence_vectors(texts))

    def proposes(self, state: State, after: int = 0) -> bool:
        """Say whether new mixtures are proposed for a campaign before its next snapshot, or `after` so many more."""
        return self._due(state, self.config.proposer.every, after)

    def admits(self, state: State) -> bool:
        """Say whether written texts join a campaign's slate before its next snapshot."""
        return self._due(state, self.config.proposer.admit_every)

    def _due(self, state: State, every: int, after: int = 0) -> bool:
        snapshot = len(state.snapshots) + after
        settings, rounds = self.config.proposer, self.config.rounds
        soon = max(min(settings.after, rounds // 10), 1) <= snapshot < settings.until * rounds
        return state.opening.mixing and soon and snapshot % every == 0

    def channel(self, campaigns: Sequence[Campaign]) -> Channel:
        """Return the maps from wanted to realised features that the campaigns' mixtures teach, one a campaign."""
        taught = [campaign.state.mixed for campaign in campaigns]
        realised, present = padded([[draft.text for draft in drafts] for drafts in taught], self.features)
        wanted = torch.zeros_like(realised)
        for row, drafts in enumerate(taught):
            for place, draft in enumerate(drafts):
                wanted[row, place] = self._wanted_features(draft.lineage)
        return RealisedFeatureMap().fit(wanted, realised, present)

    def _wanted_features(self, lineage: Lineage) -> Tensor:
        if lineage not in self._wanted:
            point = wanted_point(self.writer.base_points(lineage.parents)[None], torch.tensor([lineage.weights]))
            self._wanted[lineage] = self.reduce(point)[0]
        return self._wanted[lineage]


def hired(
    config: Settings, given: Given, engine: Engine, report: Report, pool_name: str = "study", memo: Path | None = None
) -> tuple[Settings, Writer]:
    """Return a writer of texts such as the given ones, and the settings as they hold for it.

    The given texts are inverted into a pool of the database where they are not in it. What a folder `memo` holds is
    neither written nor inverted again: see `experiments.campaigns.memo`.

    Raises
    ------
    CopyloomError
        If the model, the device, the texts or the subject cannot be used.
    """
    report("loading the model", 0, 1)
    space = Space.load(config.model, config.device, trust_remote_code=config.trust_remote_code)
    space = replace(space, encoder=EncodedOnce(space.encoder))
    config, pool = settled(config, given), Pool(engine, pool_name, space.identity)
    subject, rules, effort = given.subject, config.rules or WritingRules(), config.proposer.effort
    about = {"subject": subject and subject.model_dump(mode="json"), "texts": given.texts,
             "rules": rules.model_dump(mode="json"), "effort": asdict(effort)}  # fmt: skip
    kept = opened(memo, space, report, **about)
    stored = _stored(config, given.texts, space, pool, report, kept)
    reader = GrammarReader(Grammar.load(), subject) if subject else None
    checker = Checker(rules, given.texts, reader)
    return config, Writer(space, pool, stored, subject, checker, effort, config.inversion, kept)


def settled(config: Settings, given: Given) -> Settings:
    """Return settings with rules of writing that the given texts keep to, and the proposer's of a writer that composes.

    What is settled stays as it is when it is settled again.
    """
    composes = is_composing(config.model)
    strict = not composes  # a pretrained writer has more words than the grammar, and rules of its own
    like = WritingRules.like(given.texts, strict and given.subject is not None) if config.texts else None
    rules = config.rules or like or WritingRules(only_known_words=strict)
    return config.model_copy(update={"rules": rules, "proposer": config.proposer.resolved(composes)})


def first_lineages(config: CampaignConfig, given: Given) -> list[Lineage]:
    """Return what is written before the first impression: texts about other products anew, and random pairs."""
    rng, texts = random.Random(f"{config.seed} warm-up"), given.texts
    grid = sorted(WEIGHTS)
    pairs = []
    for _ in range(config.proposer.warm_up):
        first, second = sorted(rng.sample(range(len(texts)), 2))
        pairs.append(Lineage((texts[first], texts[second]), rng.choice(grid)))
    alone = [Lineage((text,), (1.0,)) for text in texts if text not in given.own]
    return list(dict.fromkeys([*alone, *pairs]))


def first_drafts(config: CampaignConfig, given: Given, writer: Writer) -> list[Draft]:
    """Return what was written before the first impression."""
    return [draft for drafts in writer.write(first_lineages(config, given)) for draft in drafts]


def reference_texts(given: Given, library: Sequence[Draft]) -> list[str]:
    """Return the texts over which features are white: those that may be shown, of the first that were written too.

    In an order that does not hang on which of two mixtures of one text was written first.
    """
    written = {draft.text for draft in library if not draft.refusals}
    return [*given.own, *sorted(written - set(given.own))]


def _stored(
    config: CampaignConfig, texts: Sequence[str], space: Space, pool: Pool, report: Report, memo: Memo | None
) -> list[SummaryEmbedding]:
    """Return the embeddings of `texts`, from the pool where it holds them."""
    held = {embedding.text: embedding for embedding in pool.members()}
    missing = [text for text in texts if text not in held]
    if missing:
        found = inverted(space, missing, config.inversion, memo,
                         lambda done, total: report("storing texts", done, total))  # fmt: skip
        pool.add(found, "stored texts of the study")
        held.update((embedding.text, embedding) for embedding in found)
    return [held[text] for text in texts]
