"""Who edits: reference policies, agents that start from them, and what has as many calls without any of it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import normalize

from copyloom import Report
from embeddings.steering import turned
from experiments.eagle.actions import Action, generic
from experiments.eagle.agent import AgentSettings, train
from experiments.eagle.prompted import change_of
from experiments.eagle.reference import GOptimal, Optimistic, Policy, Uniform
from experiments.eagle.rollout import best_of
from experiments.eagle.table import Table
from experiments.elm.film_tasks import FilmTasks
from experiments.elm.model import Elm
from experiments.kept import kept
from experiments.studies.eagle.audiences import AVERAGE, Audience
from experiments.studies.eagle.stage import Stage

UNIFORM, OPTIMISTIC, DESIGN = "uniform", "optimistic", "G-optimal"
REFERENCES = (UNIFORM, OPTIMISTIC, DESIGN)
BEST_OF, READS, EXISTING = "best of n", "ELM", "best known film"
PLAYED = "played"
_POOL = 4
"""Times as many answers are drawn as best-of-n may take: each seed draws its own from these."""
_FURTHEST = 0.9
"""Radians by which an ELM's points go from a film towards higher ratings, at most."""


def agent(reference: str) -> str:
    """Return what an agent that starts from a reference policy is called."""
    return f"agent, {reference}"


@dataclass(frozen=True)
class Edited:
    """What a method made of the films that are edited, with one seed.

    Parameters
    ----------
    texts : tuple of str
        One a film; the film's own where nothing better was found.
    calls : tuple of int
        Changes that each took.
    """

    texts: tuple[str, ...]
    calls: tuple[int, ...]


@dataclass(frozen=True)
class Learnt:
    """How an agent came about.

    Parameters
    ----------
    rewards, divergences : tuple of float
        Mean gain of a trajectory, and nats from the reference policy, in each iteration.
    calls : int
        Changes that its learning took.
    certificate : float, optional
        Of the G-optimal design, the worst over the films that it learnt on: 1 at the optimum.
    """

    rewards: tuple[float, ...]
    divergences: tuple[float, ...]
    calls: int
    certificate: float | None


def learnt_and_edited(
    stage: Stage, audience: Audience, reference: str, seed: int, folder: Path, report: Report
) -> tuple[dict[str, Edited], Learnt]:
    """Return what a reference policy and the agent that starts from it make of the films; what was played is kept."""
    settings = stage.settings.model_dump(exclude={"audiences", "seeds", "gaps", "endpoint"})
    about = (stage.environment.changer.name, stage.learning, stage.starts)
    key = json.dumps([settings, audience.name, audience.tags, reference, seed, *about])
    file = folder / PLAYED / f"{sha256(key.encode()).hexdigest()[:20]}.json"
    found = kept(file, lambda: _played(stage, audience, reference, seed, report))
    edited = {name: Edited(tuple(one["texts"]), tuple(one["calls"])) for name, one in found["edited"].items()}
    return edited, Learnt(**found["learnt"])


def _played(stage: Stage, audience: Audience, reference: str, seed: int, report: Report) -> dict[str, Any]:
    settings, table = stage.settings, stage.table(audience, stage.settings.learning_calls)
    policy = _reference(reference, table, stage)
    how = AgentSettings(horizon=settings.horizon, rollouts=settings.rollouts, iterations=settings.iterations,
                        kl_weight=settings.kl_weight, seed=seed)  # fmt: skip
    trained = train(table, policy, stage.components, stage.learning, how, report)
    certificate = max(policy.certificates.values()) if isinstance(policy, GOptimal) else None
    learnt = Learnt(trained.rewards, trained.divergences, trained.calls, certificate)
    edited = {name: _searched(stage, audience, one, seed, report)
              for name, one in ((reference, trained.start), (agent(reference), trained.policy))}  # fmt: skip
    return {"edited": {name: asdict(one) for name, one in edited.items()}, "learnt": asdict(learnt)}


def _reference(name: str, table: Table, stage: Stage) -> Policy:
    if name == DESIGN:
        return GOptimal(table, stage.components)
    return Uniform(table) if name == UNIFORM else Optimistic(table)


def _searched(stage: Stage, audience: Audience, policy: Policy, seed: int, report: Report) -> Edited:
    settings = stage.settings
    found = best_of(stage.table(audience), policy, stage.starts, settings.calls, settings.horizon, seed, report)
    return Edited(tuple(one.texts[-1] for one in found), tuple(one.calls for one in found))


def best(stage: Stage, audience: Audience, tried: Sequence[Sequence[str]], calls: int) -> Edited:
    """Return the best of some texts for each film, or the film's own."""
    table, chosen = stage.table(audience), list[str]()
    for start, texts in zip(stage.starts, tried, strict=True):
        every = [start, *texts]
        chosen.append(every[int(table.gains([start] * len(every), every).argmax())])
    return Edited(tuple(chosen), (calls,) * len(chosen))


class BestOfN:
    """An instruct model that is asked at once for what the audience likes; the best of as many answers as calls."""

    def __init__(self, stage: Stage, audience: Audience) -> None:
        self._stage, self._audience = stage, audience
        self._frame = generic("films")[0].frame
        self._pools: list[list[str]] = []

    @property
    def _wish(self) -> str:
        name = self._audience.who
        who = "most people" if name == AVERAGE else "some people" if self._audience.people == 1 \
            else f"people who love {name} films"  # fmt: skip
        liked = f" They like what is {', '.join(self._audience.tags)}." if self._audience.tags else ""
        return f"Make it a film that {who} would love.{liked}"

    def edited(self, seed: int, folder: Path, report: Report) -> Edited:
        """Return the best answers of a seed."""
        stage, calls = self._stage, self._stage.settings.calls
        self._pools = self._pools or self._drawn(folder, report)
        tried = [random.Random(f"{seed} {place}").sample(pool, calls) for place, pool in enumerate(self._pools)]
        return best(stage, self._audience, tried, calls)

    def _drawn(self, folder: Path, report: Report) -> list[list[str]]:
        stage, action = self._stage, Action("best of n", "generic", (self._wish,), self._frame)
        count, found = _POOL * stage.settings.calls, list[list[str]]()
        for place, start in enumerate(stage.starts):
            report("prompting", place, len(stage.starts))
            question = action.question(start)
            key = json.dumps([stage.environment.changer.name, question, count])
            file = folder / PLAYED / f"{sha256(key.encode()).hexdigest()[:20]}.json"
            said = kept(file, partial(stage.asked.answers, question, count, seed=0))
            found.append([change_of(one, start, action).text for one in said])
        report("prompting", len(stage.starts), len(stage.starts))
        return found


def read_by_elm(stage: Stage, audience: Audience, folder: Path) -> Edited:
    """Return the best description by an ELM of as many points as there are calls, from each film towards high ratings.

    Parameters
    ----------
    stage : Stage
    audience : Audience
    folder : Path
        Of the ELM: see `experiments.elm.model.Elm.load`.
    """
    calls, elm = stage.settings.calls, Elm.load(folder, stage.reader.device)
    task = next(one for one in FilmTasks.of(stage.films).tasks if one.name == "describe")
    uphill = normalize(stage.full_taste(audience).weights.float(), dim=0)
    questions = []
    for number in stage.edited:
        asked = task.question(number, random.Random(0))
        assert asked is not None
        here = stage.films.semantic[number]
        points = turned(
            here.expand(calls, -1), uphill.expand(calls, -1), _FURTHEST * torch.arange(1, calls + 1) / calls
        )
        questions += [asked.at(film=point) for point in points]
    texts = elm.answers(questions, max_tokens=stage.settings.tokens)
    tried = [texts[first : first + calls] for first in range(0, len(texts), calls)]
    return best(stage, audience, tried, calls)


def best_known(stage: Stage, audience: Audience) -> Edited:
    """Return for every film the known one that the audience is foretold to like most: nothing is written."""
    known = list(stage.plots.known)
    top = known[int(audience.utility(stage.plots.semantic[known]).argmax())]
    return Edited((stage.plots.entities[top].text,) * len(stage.starts), (0,) * len(stage.starts))
