"""What all methods of the study share: films' plots, who changes them, and how texts are judged."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError, Report
from embeddings.encoder import SentenceEncoder
from experiments.asking import Asked, AskedOnce, Endpoint
from experiments.domains.domain import Domain, Entity, make_domain
from experiments.domains.films import load_films
from experiments.eagle.actions import Action, action_set, generic, personal
from experiments.eagle.components import Components
from experiments.eagle.environments import Remembered
from experiments.eagle.instructed import Instructed
from experiments.eagle.memo import Memo
from experiments.eagle.prompted import Prompted
from experiments.eagle.table import Table
from experiments.eagle.utility import Guard, Linear
from experiments.elm.questions import listed
from experiments.studies.eagle.audiences import Audience, Audiences
from experiments.studies.eagle.settings import EagleStudy
from experiments.studies.headlines.states import states_of
from generator.device import Device
from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone
from generator.models import WRITER

CHANGES = "changes.jsonl"
_COMPONENTS = 8


def told_shortly(film: Entity) -> Entity:
    """Return a film whose text is its decade, genres and plot alone: what is edited."""
    return replace(film, text=f"A {film.fact('period')} {listed(film.facts['genres'])} film. "
                              f"{' '.join(film.facts['plot'])}")  # fmt: skip


def _reader(settings: EagleStudy) -> str:
    return settings.asked if settings.endpoint is None else WRITER


@dataclass(frozen=True, eq=False)
class Stage:
    """What all methods share.

    Parameters
    ----------
    settings : EagleStudy
    films : Domain
        Each with its whole text, as an ELM knows it.
    plots : Domain
        The same films, each with its decade, genres and plot alone: the texts that are edited.
    environment : Remembered
    asked : Asked
        The same model, for what is asked of it otherwise.
    encode, nats, judged : callable
        From texts to sentence vectors (n, S), and to mean surprisals (n,), in nats a token: for the guard, and by
        another model, which nothing is chosen with.
    reader : LanguageModel
        Who tells the guard's surprisals, and whose states a second opinion reads.
    report : callable
    """

    settings: EagleStudy
    films: Domain
    plots: Domain
    environment: Remembered
    asked: Asked
    encode: Callable[[Sequence[str]], Tensor]
    nats: Callable[[Sequence[str]], Tensor]
    judged: Callable[[Sequence[str]], Tensor]
    reader: LanguageModel
    report: Report

    @classmethod
    def of(cls, settings: EagleStudy, data: Path, folder: Path, device: str, report: Report) -> Stage:
        """Return the stage of a study: reads films, loads models."""
        report("reading films", 0, 2)
        where = Device.choose(device)
        encode = Memo(SentenceEncoder(where.torch).encode)
        films = load_films(data, encode, settings.entities)
        report("reading films", 1, 2)
        plots = make_domain("plots", [told_shortly(one) for one in films.entities], encode, films.tastes)
        report("reading films", 2, 2)
        reader, judge = (LanguageModel.load(name, where).fast for name in (_reader(settings), settings.judge))
        local = Instructed(reader, settings.tokens)
        asked: Asked = local
        changer: Instructed | Prompted = local
        if settings.endpoint is not None:
            asked = AskedOnce(Endpoint(settings.asked, settings.endpoint, settings.tokens), folder / "answers")
            changer = Prompted(asked)
        nats, judged = (Memo(partial(surprisals_alone, one)) for one in (reader, judge))
        environment = Remembered(changer, folder / CHANGES)
        return cls(settings, films, plots, environment, asked, encode, nats, judged, reader, report)

    @cached_property
    def audiences(self) -> list[Audience]:
        """Whom films are edited for, in the order of the settings."""
        made = Audiences(self.plots, self.settings.novelty)
        return [made.of(name) for name in self.settings.audiences]

    @cached_property
    def learning(self) -> list[str]:
        """The plots that agents learn on."""
        return [self.plots.entities[n].text for n in self._drawn("learning", self.plots.known, self.settings.learning)]

    @cached_property
    def edited(self) -> list[int]:
        """The numbers of the films that are edited."""
        return self._drawn("edited", self.plots.held_out, self.settings.films)

    def _drawn(self, what: str, among: Sequence[int], count: int) -> list[int]:
        if len(among) < count:
            raise InputError(f"{count} {what} films are asked for, but there are {len(among)}; ask for fewer")
        return random.Random(f"{self.settings.seed} {what}").sample(list(among), count)

    @cached_property
    def starts(self) -> list[str]:
        """Their plots."""
        return [self.plots.entities[number].text for number in self.edited]

    @cached_property
    def components(self) -> Components:
        """Principal components of known films' plots."""
        return Components.of(self.plots.semantic[list(self.plots.known)], _COMPONENTS)

    def actions(self, audience: Audience) -> list[Action]:
        """Return what may be done to a plot for an audience."""
        chosen = action_set(self.settings.actions, generic("films"), personal("films", audience.tags))
        if (needed := len(chosen) * self.settings.learning) > self.settings.learning_calls:
            raise InputError(
                f"learning-calls is {self.settings.learning_calls}, but to try {len(chosen)} actions on "
                f"{self.settings.learning} films takes {needed}; allow as many, or have fewer learnt on"
            )
        return chosen

    def table(self, audience: Audience, most_calls: int | None = None) -> Table:
        """Return an empty table of what a method comes to know."""
        guard = Guard(self.nats, self.settings.price, self.settings.slack)
        return Table(self.environment, self.actions(audience), self.encode, audience.utility, guard, most_calls)

    @cached_property
    def states(self) -> Memo:
        """From texts to unit vectors (n, D) of what a language model thinks of them; nothing optimised reads these."""
        every = [one.text for one in self.plots.entities]
        raw = Memo(lambda texts: torch.from_numpy(states_of(texts, self.reader, self.report)))
        middle = raw(every).mean(0)
        return Memo(lambda texts: normalize(raw(texts) - middle, dim=1))

    @cached_property
    def _second(self) -> Domain:
        """The plots, seen otherwise."""
        every = [one.text for one in self.plots.entities]
        tastes = self.plots.tastes
        assert tastes is not None
        seen = self.states(every)
        return replace(self.plots, semantic=seen, tastes=tastes.with_texts(seen.numpy(), self.plots.known))

    def second_opinion(self, audience: Audience) -> Callable[[Sequence[str]], Tensor]:
        """Return what foretells an audience's ratings (n,) from states of texts, in standard deviations."""
        found = Audiences(self._second, self.settings.novelty).of(audience.who)
        return lambda texts: found.utility(self.states(texts))

    @property
    def foretold(self) -> dict[str, float]:
        """How much of the variance of films' ratings is foretold by either opinion, of films left out."""
        assert self.plots.tastes is not None
        assert self._second.tastes is not None
        return {"encoder": self.plots.tastes.explained, "states": self._second.tastes.explained}

    def stars(self, audience: Audience, texts: Sequence[str]) -> Tensor:
        """Return the ratings (n,) that texts are foretold, in stars."""
        return audience.stars(self.encode(texts))

    def full_taste(self, audience: Audience) -> Linear:
        """Return the rating that an audience is foretold to give films by their whole texts."""
        return Audiences(self.films, self.settings.novelty).of(audience.who).stars
