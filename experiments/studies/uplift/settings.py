"""Settings of the uplift study, and the campaigns that it plays."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from embeddings.folders import replacing
from experiments.campaigns.config import Strict
from experiments.simulation.config import RunConfig, WorldConfig
from experiments.texts import MAX_TEXTS, name_subject
from generator.grammar import Grammar
from generator.models import SHIPPED
from generator.record import ProductRecord

OWN_SHARE = 3
"""One stored text in so many is about the subject, as of the shipped claims."""
LEAST_POOL = 15
WorldName = Literal["grammar", "sentence-space", "unseen-space", "words"]


class UpliftStudy(Strict):
    """Which campaigns are played.

    Parameters
    ----------
    worlds : tuple of str
        What shoppers see in a text: see `experiments.simulation.config.WorldConfig`.
    impressions : tuple of int
        Of a campaign: levels of traffic.
    pools : tuple of int
        Stored texts, of which a third is about the subject and shown; the others only lend style and facts' order.
    subjects : int
        Products drawn, each with a pool of its own.
    seeds : int
        Tastes, shared out among the subjects; each is met by a campaign with mixing and one without.
    rounds : int
        Snapshots of a campaign.
    base_rate : float
        Mean click probability.
    model : str
        What writes.
    seed : int
        Of subjects and pools.
    warm_up : int, optional
        Mixtures written before the first impression; as many as of a usual run unless given.
    """

    worlds: tuple[WorldName, ...] = ("grammar", "unseen-space")
    impressions: tuple[PositiveInt, ...] = (50_000,)
    pools: tuple[Annotated[int, Field(ge=LEAST_POOL, le=MAX_TEXTS)], ...] = (60,)
    subjects: PositiveInt = 10
    seeds: PositiveInt = 50
    rounds: PositiveInt = 40
    base_rate: float = Field(0.02, gt=0, lt=1)
    model: str = SHIPPED
    seed: int = Field(0, ge=0)
    warm_up: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.seeds % self.subjects:
            raise ValueError(f"{self.seeds} seeds cannot be shared out evenly among {self.subjects} subjects; give a "
                             "multiple of them")  # fmt: skip
        if uneven := [traffic for traffic in self.impressions if traffic % self.rounds]:
            raise ValueError(f"{uneven[0]} impressions cannot be shared out evenly among {self.rounds} rounds; give a "
                             "multiple of them")  # fmt: skip
        if any(len(set(many)) < len(many) for many in (self.worlds, self.impressions, self.pools)):
            raise ValueError("a world, a traffic or a pool is given twice; give each once")
        return self


@dataclass(frozen=True)
class Part:
    """Campaigns about one subject in one world.

    Parameters
    ----------
    world : str
    impressions, pool, subject : int
        Of a campaign; stored texts; number of the subject.
    """

    world: WorldName
    impressions: int
    pool: int
    subject: int

    @property
    def name(self) -> str:
        """Of its run folder."""
        return f"{self.world}-{self.impressions}-{self.pool}-{self.subject}"


def parts(settings: UpliftStudy) -> Iterator[Part]:
    """Yield all parts of a study, a subject's together."""
    for subject in range(settings.subjects):
        for pool in settings.pools:
            for world in settings.worlds:
                for impressions in settings.impressions:
                    yield Part(world, impressions, pool, subject)


def run_config(settings: UpliftStudy, part: Part, folder: Path) -> RunConfig:
    """Return the settings of a part's run; its subject and pool are files in `folder`."""
    texts, record = folder / f"pool-{part.pool}-{part.subject}.txt", folder / f"subject-{part.subject}.yaml"
    subject, stored = drawn(settings.seed, part.subject, part.pool)
    with replacing(record) as partial:
        partial.write_text(yaml.safe_dump(subject.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
    with replacing(texts) as partial:
        partial.write_text("\n".join(stored) + "\n", encoding="utf-8")
    return RunConfig(
        seed=part.subject, seeds=settings.seeds // settings.subjects, rounds=settings.rounds,
        impressions=part.impressions // settings.rounds, texts=texts, subject=record, model=settings.model,
        world=WorldConfig(name=part.world), prior={"base_rate": settings.base_rate},
        shoppers={"base_rate": settings.base_rate},
        proposer={} if settings.warm_up is None else {"warm_up": settings.warm_up},
    )  # fmt: skip


def drawn(seed: int, number: int, pool: int) -> tuple[ProductRecord, list[str]]:
    """Return a product drawn from the grammar, and claims about it and others that the grammar makes."""
    rng, grammar = random.Random(f"{seed} {number}"), Grammar.load()
    subject = grammar.record(rng)
    own = pool // OWN_SHARE
    texts: dict[str, None] = {}
    while len(texts) < pool:
        record = subject if len(texts) < own else grammar.record(rng)
        text = grammar.claim(rng, record).text
        if record is subject or not name_subject([text], subject):
            texts.setdefault(text)
    return subject, list(texts)
