"""Plays the campaigns of one product: every entrant meets the same shoppers, and writes from the same stored texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import Engine

from copyloom import InputError, Report
from embeddings.database import open_database
from embeddings.folders import replacing
from experiments import loop
from experiments.asking import AskedOnce, Endpoint, LocalModel
from experiments.campaigns import sources
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Opened
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.sentence_writer import SentenceWriter
from experiments.campaigns.sources import Source
from experiments.campaigns.workshop import (
    Workshop,
    first_drafts,
    first_lineages,
    hired,
    reference_texts,
    settled,
)
from experiments.campaigns.writer import Writer
from experiments.simulation.arms import Arm
from experiments.simulation.build import feed_seed, judge_of, shoppers_of, slates_of
from experiments.simulation.config import RunConfig
from experiments.simulation.runs import DATABASE
from experiments.simulation.worlds import grammar_world, world_of
from experiments.studies.uplift.measures import PrintJudge, campaign_row, curve_rows
from experiments.studies.uplift.settings import (
    STORED,
    EntrantName,
    Part,
    UpliftStudy,
    given_of,
    held_back,
    run_config,
)
from experiments.studies.uplift.sources import HumanTexts, Prompted, SampleAgain
from experiments.texts import read_cells
from experiments.versions import packages
from generator.editor import Editor
from simulator import SimulatedFeed
from simulator.click_model import segment_names
from simulator.worlds import World

Found = dict[str, Any]
"""What a part came to: a row for each of its ``campaigns``, and for each of their snapshots in ``curves``."""


@dataclass(eq=False)
class Product:
    """A subject with its stored texts in a folder, and all campaigns about it.

    Parameters
    ----------
    settings : UpliftStudy
    number, pool : int
        Of the subject; stored texts.
    folder : Path
        Of the study.
    """

    settings: UpliftStudy
    number: int
    pool: int
    folder: Path

    @cached_property
    def given(self) -> Given:
        """The record and the stored texts."""
        return given_of(self.settings, self.number, self.pool)

    @cached_property
    def own_folder(self) -> Path:
        """Where its campaigns are kept; with files of its record and texts, for people."""
        own = self.folder / f"subject-{self.number}-pool-{self.pool}"
        subject = self.given.subject
        assert subject is not None
        record = yaml.safe_dump(subject.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        for name, said in (("subject.yaml", record), ("texts.txt", "\n".join(self.given.texts) + "\n")):
            with replacing(own / name) as partial:
                partial.write_text(said, encoding="utf-8")
        return own

    def config(self, part: Part) -> RunConfig:
        """Return the settings of a part's campaigns."""
        return run_config(self.settings, part, self.given.texts)

    @property
    def some_part(self) -> Part:
        """A part, where it does not matter which."""
        return Part(self.number, self.pool, "grammar", 0.0, self.settings.impressions[0], STORED)

    @cached_property
    def identity(self) -> str:
        """What must be the same for campaigns to be kept: all that bears on them but what tells parts apart."""
        config = settled(self.config(self.some_part), self.given)
        said = config.model_dump(mode="json", exclude={"world", "shoppers", "impressions", "device"})
        record = self.given.subject and self.given.subject.model_dump(mode="json")
        about = {"config": said, "texts": self.given.texts, "subject": record, "versions": packages()}
        return json.dumps(about, sort_keys=True)

    def known(self, part: Part) -> Found | None:
        """Return what a part came to, if it was played."""
        file = self._file(part)
        if not file.exists():
            return None
        kept = json.loads(file.read_text(encoding="utf-8"))
        self.check_same(kept["identity"])
        found: Found = kept["found"]
        return found

    def keep(self, part: Part, found: Found) -> None:
        """Keep what a part came to."""
        with replacing(self._file(part)) as partial:
            partial.write_text(json.dumps({"identity": self.identity, "found": found}), encoding="utf-8")

    def check_same(self, identity: str | None) -> None:
        """Raise unless what was kept is of these settings and texts."""
        if identity != self.identity:
            raise InputError(f"{self.own_folder} holds campaigns with other settings, texts or versions; choose "
                             "another --folder, or delete it")  # fmt: skip

    def source_of(self, entrant: EntrantName) -> str:
        """Return what tells an entrant from others of its name: which model is asked, or what people wrote."""
        told = ""
        if entrant == "prompted":
            told = f"{self.settings.endpoint or ''} {self.settings.asked}"
        elif entrant == "human" and self.settings.human_texts:
            told = "\n".join(self.people)
        return told and f"-{sha256(told.encode()).hexdigest()[:8]}"

    def _file(self, part: Part) -> Path:
        return self.own_folder / f"{part.name}{self.source_of(part.entrant)}.json"

    @cached_property
    def people(self) -> list[str]:
        """What people wrote about the product, of the file that was given; else claims held back from the pool."""
        config = settled(self.config(self.some_part), self.given)
        count = len(first_lineages(config, self.given))
        if self.settings.human_texts is None:
            return held_back(self.settings.seed, self.number, self.given, count)
        subject = self.given.subject
        assert subject is not None
        _, rows = read_cells(self.settings.human_texts, ["product", "text"], "the texts that people wrote")
        found = [" ".join(row["text"].split()) for row in rows if row["product"].strip() == subject.name]
        if not any(found):
            raise InputError(f"{self.settings.human_texts} has no text with {subject.name!r} in the column product; "
                             f"the product's record is {self.own_folder / 'subject.yaml'}")  # fmt: skip
        return list(dict.fromkeys(filter(None, found)))[:count]


@contextmanager
def stage(product: Product, editor: Editor | None, report: Report) -> Iterator[Stage]:
    """Give what plays a product's campaigns, its stored texts inverted and its first mixtures written."""
    engine = open_database(product.own_folder / DATABASE)
    try:
        yield Stage(product, engine, editor, report)
    finally:
        engine.dispose()


class Stage:
    """What all campaigns about a product share: stored texts and features, worlds, and what was written.

    Features and worlds are those of the stored texts and of what mixing writes first, whoever plays: an entrant changes
    nothing for the others.

    Parameters
    ----------
    product : Product
    engine : Engine
    editor : Editor, optional
    report : callable
    """

    def __init__(self, product: Product, engine: Engine, editor: Editor | None, report: Report) -> None:
        self.product, self.given, self.report = product, product.given, report
        if (kept := Ledger(engine)).begun:
            product.check_same(kept.config)
        self.ledger = Ledger(engine, product.identity)
        self.config, self.writer = hired(product.config(product.some_part), self.given, engine, report)
        self._begin_mixing("mix", self.writer)
        self.shop = Workshop.of(self.config, self.given, self.writer, report)
        self._reference = reference_texts(self.given, first_drafts(self.config, self.given, self.writer))
        self._judge = PrintJudge(editor, self.given) if editor else None
        self._worlds: dict[str, World] = {}
        self._sources: dict[EntrantName, Source] = {}

    @cached_property
    def plain_writer(self) -> SentenceWriter:
        """What mixes sentence vectors alone."""
        return SentenceWriter.beside(self.writer)

    def play(self, part: Part) -> Found:
        """Return what the campaigns of a part came to, those that were stopped gone on with."""
        config = settled(self.product.config(part), self.given)
        world = self._world(part)
        arms = self._arms(config, part, world)
        campaigns = [arm.campaign for arm in arms]
        shop = self._shop(config, part.entrant, campaigns)
        loop.run(shop, campaigns, [arm.feed for arm in arms], self.ledger,
                 lambda done, total: self.report("showing texts to shoppers", done, total))  # fmt: skip
        drifts = part.half_life > 0
        return {
            "campaigns": [campaign_row(arm, None if drifts or not world.writable else _best(arm, world),
                                       self.writer.sentence_vectors(arm.campaign.state.slate).double().numpy(),
                                       self._judge) for arm in arms],
            "curves": [row for arm in arms for row in curve_rows(arm)],
        }  # fmt: skip

    def _arms(self, config: RunConfig, part: Part, world: World) -> list[Arm]:
        """Return campaigns that are open, and the shoppers that they meet."""
        segments = segment_names(None, len(config.shoppers.segment_shares))
        openings, arms = [], []
        for seed in range(config.seeds):
            shoppers = shoppers_of(config, world, seed)
            for kind, slate in slates_of(config, self.given, world, seed).items():
                name = f"{part.name}{self.product.source_of(part.entrant)}, {kind}, seed {seed}"
                campaign = Campaign(name, (config.seed, seed))
                feed = SimulatedFeed(shoppers, feed_seed(config, seed), config.shoppers)
                arms.append(Arm(campaign, feed, seed, kind))
                openings.append(Opened(slate=slate, parents=tuple(self.given.texts), segments=segments,
                                       mixing=part.entrant != STORED, policy=config.policy))  # fmt: skip
        loop.begin([arm.campaign for arm in arms], openings, self._writer(part.entrant), self.ledger)
        return arms

    def _shop(self, config: RunConfig, entrant: EntrantName, campaigns: Sequence[Campaign]) -> Workshop:
        """Return what an entrant works with, its first texts given to its campaigns."""
        writer = self._writer(entrant)
        if entrant in ("mix", "encoder"):
            self._begin_mixing(entrant, writer)
            loop.warm_up(campaigns, first_lineages(self.config, self.given), writer, self.ledger, self.report)
            known = reference_texts(self.given, first_drafts(self.config, self.given, writer))
            return Workshop(config, writer, self.shop.reduce, self.report, frozenset(known))
        if entrant == STORED:
            return Workshop(config, writer, self.shop.reduce, self.report)
        drafts = self._first(entrant)
        fresh = [drafts if not campaign.state.drafts else () for campaign in campaigns]
        with self.ledger.step(campaigns, writer.keep) as record:
            record(sources.taken(campaigns, fresh))
        return Workshop(config, writer, self.shop.reduce, self.report, source=self._source(entrant))

    def _writer(self, entrant: EntrantName) -> Writer:
        """Return what puts an entrant's mixtures, and its texts that become parents, into words and vectors."""
        plain = entrant == "encoder" or (entrant in ("prompted", "human") and self.writer.space.adapter is not None)
        return self.plain_writer if plain else self.writer

    def _source(self, entrant: EntrantName) -> Source:
        if entrant not in self._sources:
            self._sources[entrant] = self._new_source(entrant)
        return self._sources[entrant]

    def _new_source(self, entrant: EntrantName) -> Source:
        settings, count = self.product.settings, len(first_lineages(self.config, self.given))
        if entrant == "again":
            return SampleAgain(self.writer, self.given.own, count)
        if entrant == "human":
            return HumanTexts(self.product.people, self.writer.checker)
        asked = Endpoint(settings.asked, settings.endpoint) if settings.endpoint else LocalModel(settings.asked)
        assert self.given.subject is not None
        return Prompted(AskedOnce(asked, self.product.folder / "answers"), self.given.subject, self.given.own,
                        self.writer.checker, count, self.product.number)  # fmt: skip

    def _first(self, entrant: EntrantName) -> list[Draft]:
        """Return what an entrant writes before the first impression: once for all its campaigns, and on record."""
        library = self._library(entrant, self._writer(entrant))
        if not library.state.drafts:
            self.report(f"writing the first texts of {entrant}", 0, 1)
            with self.ledger.step([library], self._writer(entrant).keep) as record:
                record(sources.taken([library], [self._source(entrant).first()]))
        return list(library.state.drafts)

    def _begin_mixing(self, entrant: EntrantName, writer: Writer) -> None:
        """Let a writer write its first mixtures, or take them back."""
        library = self._library(entrant, writer)
        loop.warm_up([library], first_lineages(self.config, self.given), writer, self.ledger, self.report)

    def _library(self, entrant: EntrantName, writer: Writer) -> Campaign:
        """Return a campaign that is never shown: it keeps what an entrant writes first."""
        library = Campaign(f"first texts of {entrant}{self.product.source_of(entrant)}", (self.config.seed,))
        opening = Opened(slate=tuple(self.given.own), parents=tuple(self.given.texts), segments=("all",))
        loop.begin([library], [opening], writer, self.ledger)
        return library

    def _world(self, part: Part) -> World:
        if part.world not in self._worlds:
            judge, texts = judge_of(self.writer), self.given.texts
            assert self.given.subject is not None
            self._worlds[part.world] = (
                grammar_world(self.given.subject, judge, texts) if part.world == "grammar" else
                world_of(self.product.config(part).world, self.writer.sentence_vectors, self.shop.reduce,
                         self._reference, judge, texts)
            )  # fmt: skip
        return self._worlds[part.world]


def _best(arm: Arm, world: World) -> float:
    """Return the best rate of all texts that can be written."""
    return float(arm.feed.true_rates(world.writable).max())
