"""Settings of the study of EAGLE."""

from __future__ import annotations

from typing import Any

from pydantic import Field, PositiveInt, model_validator

from copyloom import InputError
from experiments.campaigns.config import Strict
from experiments.eagle.actions import SetName
from generator.models import JUDGE, SHIPPED, WRITER

QUICK: dict[str, Any] = {
    "asked": SHIPPED, "judge": SHIPPED, "entities": 800, "audiences": ("average",), "learning": 3, "films": 6,
    "calls": 3, "horizon": 2, "learning_calls": 80, "iterations": 10, "seeds": 3, "tokens": 24, "gaps": 2,
}  # fmt: skip
"""Within minutes: shows what comes out, with a model that cannot do what it is asked."""


class EagleStudy(Strict):
    """What is edited, for whom, and at what cost. The defaults take hours on 2 cores.

    Parameters
    ----------
    audiences : tuple of str
        Whose foretold ratings are raised: ``average``, a genre (people who rate it above their own mean most) or
        ``person 17``; with `` + new`` after it, distance from all known films counts as well.
    asked : str
        The instruct model that changes texts: a folder, hub id or shipped model, or what the endpoint calls it.
    endpoint : str, optional
        Address of a server that speaks OpenAI's protocol, up to and with the version.
    judge : str
        The model that surprisal is measured with, which nothing is chosen by.
    actions : str
        Generic and personal ones, generic ones alone, macros of three, or all together.
    entities : int
        Films that are taken at most.
    learning : int
        Known films that agents learn on.
    films : int
        Held-out films that are edited.
    calls : int
        Changes that a method may ask for, for each of these.
    horizon : int
        Edits one after the other, at most.
    learning_calls : int
        Changes that an agent may ask for while it learns, those of its reference policy among them.
    iterations, rollouts : int
        Of learning; trajectories from each film in each.
    kl_weight : float
        See `experiments.eagle.agent.AgentSettings`.
    price, slack : float
        What a nat a token costs by which a text is stranger than the film's own, in standard deviations of foretold
        ratings; and nats that are free.
    novelty : float
        Weight of distance, in its standard deviations, beside that of ratings, in theirs.
    gaps : int
        Content gaps that are looked for and filled.
    seeds : int
        Of agents and draws.
    tokens : int
        Of an answer, at most.
    seed : int
        Which films are drawn.
    """

    audiences: tuple[str, ...] = ("average", "horror", "average + new")
    asked: str = WRITER
    endpoint: str | None = None
    judge: str = JUDGE
    actions: SetName = "default"
    entities: int = Field(default=100_000, ge=200)
    learning: int = Field(default=6, ge=2)
    films: int = Field(default=16, ge=4)
    calls: PositiveInt = 6
    horizon: PositiveInt = 3
    learning_calls: PositiveInt = 180
    iterations: PositiveInt = 40
    rollouts: int = Field(default=4, ge=2)
    kl_weight: float = Field(default=0.05, gt=0)
    price: float = Field(default=0.5, ge=0)
    slack: float = Field(default=0.3, ge=0)
    novelty: float = Field(default=0.5, gt=0)
    gaps: int = Field(default=6, ge=0)
    seeds: int = Field(default=20, ge=2)
    tokens: int = Field(default=96, ge=8, le=256)
    seed: int = Field(default=0, ge=0, le=2**20)

    @model_validator(mode="after")
    def _some_audience(self) -> EagleStudy:
        if not self.audiences or len(set(self.audiences)) < len(self.audiences):
            raise InputError(f"audiences are {', '.join(self.audiences) or 'none'}; give one or more, each once")
        return self
