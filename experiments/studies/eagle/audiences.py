"""Whom films are edited for: an average rater, people who like a genre, one person; and what is new."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from copyloom import InputError
from experiments.domains.domain import Domain
from experiments.domains.films import GENRES
from experiments.domains.tastes import Tastes
from experiments.eagle.utility import Linear, Novelty, Utility, WeightedSum

AVERAGE, NEW = "average", " + new"
_PERSON = re.compile(r"person (\d{1,9})")
_KEEN, _SEEN = 0.25, 5
"""Share of people who count as liking a genre, of those who rated so many of its films."""
_TAGS, _TAGGED = 4, 8
"""Tags that an audience likes, each of so many known films or more."""
_CAP = 0.95
"""Quantile of known films' own distances beyond which distance earns nothing."""


@dataclass(frozen=True, eq=False)
class Audience:
    """Whom films are edited for.

    Parameters
    ----------
    name, who : str
        As it was asked for; and without what is new.
    people : int
        How many they are.
    utility : Utility
        The foretold rating in standard deviations over known films, from their mean; distance on top, if it counts.
    stars : Linear
        The foretold rating itself.
    tags : tuple of str
        Of known films, those whose films it is foretold to like most.
    """

    name: str
    who: str
    people: int
    utility: Utility
    stars: Linear
    tags: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Audiences:
    """Makes audiences out of people's ratings of films.

    Parameters
    ----------
    films : Domain
        With tastes.
    novelty : float
        Weight of distance, where it counts.
    """

    films: Domain
    novelty: float

    @property
    def _tastes(self) -> Tastes:
        if self.films.tastes is None:
            raise InputError(f"nobody rated these {self.films.name}; give some with ratings")
        return self.films.tastes

    @cached_property
    def _known(self) -> Tensor:
        return self.films.semantic[list(self.films.known)]

    def of(self, name: str) -> Audience:
        """Return the audience of a name.

        Raises
        ------
        InputError
            If there is none.
        """
        who = name.removesuffix(NEW)
        people = self._people(who)
        stars = Linear(*self._tastes.liking(people))
        rated = _standardised(stars, self._known)
        utility = rated if who == name else WeightedSum([(1.0, rated), (self.novelty, self._distance)])
        return Audience(name, who, len(people), utility, stars, self._tags(rated))

    def _people(self, who: str) -> list[int]:
        count = len(self._tastes.factors.users)
        if who == AVERAGE:
            return list(range(count))
        if (found := _PERSON.fullmatch(who)) and int(found.group(1)) < count:
            return [int(found.group(1))]
        if who in (genres := sorted(set(GENRES.values()))):
            return self._keen(who)
        raise InputError(f"there is no audience {who!r}; there are {AVERAGE}, person 0 to person {count - 1}, "
                         f"{', '.join(genres)}; with {NEW!r} after it, what is new counts as well")  # fmt: skip

    def _keen(self, genre: str) -> list[int]:
        """Return the people who rate films of a genre highest beside their own mean."""
        tastes = self._tastes
        of_genre = np.array([genre in one.facts["genres"] for one in self.films.entities])[tastes.items]
        count = len(tastes.factors.users)
        own, seen = (np.bincount(tastes.users[rows], minlength=count) for rows in (slice(None), of_genre))
        sums = [np.bincount(tastes.users[rows], tastes.ratings[rows], count) for rows in (slice(None), of_genre)]
        able = np.flatnonzero(seen >= _SEEN)
        if not len(able):
            raise InputError(f"nobody rated {_SEEN} {genre} films; choose another genre, or {AVERAGE}")
        above = sums[1][able] / seen[able] - sums[0][able] / own[able]
        chosen = able[np.argsort(-above, kind="stable")][: max(1, round(_KEEN * len(able)))]
        return sorted(map(int, chosen))

    @cached_property
    def _distance(self) -> Utility:
        """Distance from known films, in standard deviations of their own distances from each other."""
        alike = self._known @ self._known.T
        alike.fill_diagonal_(-1)
        apart = (2 - 2 * alike.amax(1).double()).clamp(min=0).sqrt()
        cap, deviation = float(apart.quantile(_CAP)), max(float(apart.std()), 1e-9)
        return WeightedSum([(1 / deviation, Novelty(self._known, max(cap, 1e-9)))])

    def _tags(self, rated: Utility) -> tuple[str, ...]:
        worth: dict[str, list[float]] = {}
        for number, value in zip(self.films.known, rated(self._known).tolist(), strict=True):
            for tag in self.films.entities[number].facts.get("tags", ()):
                worth.setdefault(tag, []).append(value)
        means = {tag: float(np.mean(values)) for tag, values in worth.items() if len(values) >= _TAGGED}
        return tuple(sorted(means, key=lambda tag: (-means[tag], tag))[:_TAGS])


def _standardised(stars: Linear, known: Tensor) -> Linear:
    values = stars(known)
    deviation = max(float(values.std()), 1e-9)
    return Linear(stars.weights / deviation, (stars.intercept - float(values.mean())) / deviation)
