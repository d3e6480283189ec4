"""Settings of the uplift study, and the campaigns that it plays."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, field_validator, model_validator

from experiments.campaigns.config import Strict
from experiments.campaigns.given import Given
from experiments.simulation.config import RunConfig, WorldConfig
from experiments.texts import MAX_TEXTS, name_subject
from generator.checks import WritingRules
from generator.grammar import Grammar
from generator.models import SHIPPED, WRITER
from generator.record import ProductRecord
from simulator.config import DriftConfig, ShopperConfig

OWN_SHARE = 3
"""One stored text in so many is about the subject, as of the shipped claims."""
LEAST_POOL = 15
WorldName = Literal["grammar", "sentence-space", "unseen-space", "words"]
EntrantName = Literal["mix", "stored", "again", "encoder", "prompted", "human"]
MIX: Final = "mix"
STORED: Final = "stored"
ENTRANTS: dict[EntrantName, str] = {
    "mix": "mixes stored texts",
    "stored": "the same bandit, stored texts only",
    "again": "samples again from the best parent",
    "encoder": "mixes sentence vectors alone",
    "prompted": "a language model, asked for a rewrite",
    "human": "texts held back from the pool",
}
"""What each entrant does; all of them allocate and learn alike."""


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
    half_lives : tuple of float
        Snapshots in which the correlation of a taste with what it was halves; 0 where tastes stay.
    entrants : tuple of str
        Where new texts come from: see `ENTRANTS`. Mix and stored always play.
    subjects : int
        Products drawn, each with a pool of its own.
    seeds : int
        Tastes, shared out among the subjects; each is met by one campaign of every entrant.
    rounds : int
        Snapshots of a campaign.
    base_rate : float
        Mean click probability.
    model : str
        What writes.
    seed : int
        Of subjects and pools.
    warm_up : int, optional
        Mixtures written before the first impression; as many as of a usual run unless given. Other entrants write as
        often.
    asked : str
        Language model that prompted asks: smollm2 for what that writer was made of, a folder, a hub id, or the name
        that an endpoint knows.
    endpoint : str, optional
        Address of an endpoint with OpenAI's protocol, as http://localhost:8000/v1, that has this model.
    human_texts : Path, optional
        A table with the columns product and text: what people wrote about the products, in the place of texts of the
        grammar that were held back.
    editor : bool
        Whether the program's own editor, which comes with smollm2, reads what is shown; it takes some minutes.
    """

    worlds: tuple[WorldName, ...] = ("grammar", "unseen-space")
    impressions: tuple[PositiveInt, ...] = (50_000,)
    pools: tuple[Annotated[int, Field(ge=LEAST_POOL, le=MAX_TEXTS)], ...] = (60,)
    half_lives: tuple[NonNegativeFloat, ...] = (0.0,)
    entrants: tuple[EntrantName, ...] = ("mix", "stored")
    subjects: PositiveInt = 10
    seeds: PositiveInt = 50
    rounds: PositiveInt = 40
    base_rate: float = Field(0.02, gt=0, lt=1)
    model: str = SHIPPED
    seed: int = Field(0, ge=0)
    warm_up: NonNegativeInt | None = None
    asked: str = WRITER
    endpoint: str | None = Field(None, pattern="^https?://")
    human_texts: Path | None = None
    editor: bool = True

    @field_validator("entrants")
    @classmethod
    def _in_order(cls, given: tuple[EntrantName, ...]) -> tuple[EntrantName, ...]:
        return tuple(name for name in ENTRANTS if name in (MIX, STORED, *given))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.seeds % self.subjects:
            raise ValueError(f"{self.seeds} seeds cannot be shared out evenly among {self.subjects} subjects; give a "
                             "multiple of them")  # fmt: skip
        if uneven := [traffic for traffic in self.impressions if traffic % self.rounds]:
            raise ValueError(f"{uneven[0]} impressions cannot be shared out evenly among {self.rounds} rounds; give a "
                             "multiple of them")  # fmt: skip
        every: tuple[tuple[Any, ...], ...] = (self.worlds, self.impressions, self.pools, self.half_lives)
        if any(len(set(many)) < len(many) for many in every):
            raise ValueError("a world, a traffic, a pool or a half-life is given twice; give each once")
        if not all(every):
            raise ValueError("there is no world, traffic, pool or half-life; give at least one of each")
        return self


@dataclass(frozen=True)
class Part:
    """Campaigns of one entrant about one subject in one world.

    Parameters
    ----------
    subject, pool : int
        Number of the subject; stored texts.
    world : str
    half_life : float
        Of tastes, in snapshots; 0 where they stay.
    impressions : int
        Of a campaign.
    entrant : str
    """

    subject: int
    pool: int
    world: WorldName
    half_life: float
    impressions: int
    entrant: EntrantName

    @property
    def name(self) -> str:
        """What tells it from the others about its subject and pool."""
        drift = f"-half-life-{self.half_life:g}" if self.half_life else ""
        return f"{self.entrant}-{self.world}{drift}-{self.impressions}"


SETTING = tuple(field.name for field in fields(Part) if field.name not in ("subject", "entrant"))
"""What tells groups of campaigns apart that are compared over subjects and seeds."""


def parts(settings: UpliftStudy) -> Iterator[Part]:
    """Yield all parts of a study, those about a subject and pool together."""
    for subject in range(settings.subjects):
        for pool in settings.pools:
            for world in settings.worlds:
                for half_life in settings.half_lives:
                    for impressions in settings.impressions:
                        for entrant in settings.entrants:
                            yield Part(subject, pool, world, half_life, impressions, entrant)


def run_config(settings: UpliftStudy, part: Part, stored: Sequence[str]) -> RunConfig:
    """Return the settings of the campaigns of a part."""
    from embeddings.adapter import is_composing

    drift = DriftConfig(half_life=part.half_life) if part.half_life else None
    return RunConfig(
        seed=part.subject, seeds=settings.seeds // settings.subjects, rounds=settings.rounds,
        impressions=part.impressions // settings.rounds, model=settings.model,
        rules=WritingRules.like(stored, subject=not is_composing(settings.model)),
        world=WorldConfig(name=part.world), prior={"base_rate": settings.base_rate},
        shoppers=ShopperConfig(base_rate=settings.base_rate, drift=drift),
        proposer={} if settings.warm_up is None else {"warm_up": settings.warm_up},
    )  # fmt: skip


def given_of(settings: UpliftStudy, subject: int, pool: int) -> Given:
    """Return a subject and its stored texts, as campaigns are given them."""
    record, stored = drawn(settings.seed, subject, pool)
    return Given(stored, record, name_subject(stored, record), [])


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


def held_back(seed: int, number: int, given: Given, count: int) -> list[str]:
    """Return claims about a subject that the grammar makes and the pool lacks: `count` of them, or all there are."""
    assert given.subject is not None
    every = {claim.text for claim in Grammar.load().claims_about(given.subject)} - set(given.texts)
    return random.Random(f"{seed} {number} held back").sample(sorted(every), min(count, len(every)))
