"""What films' tasks ask for beyond their facts: keywords, genres that people like, and films like others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from experiments.domains.domain import Domain, Entity, is_held_out
from experiments.domains.films import GENRES
from experiments.domains.tastes import Tastes
from generator.settings import read_mapping
from simulator.worlds.factors import Array

KEYWORDS = 5
_WORD = re.compile(r"(?<![\w'’-])[a-z]{4,}(?![\w'’-])")
_PLAIN = frozenset(
    re.findall(
        r"\w+",
        """
    film story plot about follows tells takes place based events life lives with from that this their they them when
    who whose which while where after before into over only also more most between during through being been have
    other find finds becomes become must will would together series american known named called first second years
    year group tries trying however until under both than each just make makes made gets goes ends begins upon back
    time times main character characters titular centers centred set real true loosely
""",
    )
)
"""Words of plots that say nothing of one film."""
_RATED, _FEWEST = 0.25, 4
"""Stars from the mean from which on a film is rated above or below it, and films that tell how a genre is liked."""


@lru_cache(maxsize=1)
def film_words() -> dict[str, dict[str, list[str]]]:
    """Return how films of each genre are spoken of, as the package ships it."""
    found: dict[str, Any] = read_mapping(Path(__file__).with_name("film_words.yaml"), "genres")
    return found


@dataclass(frozen=True, eq=False)
class FilmFacts:
    """Facts of films that are learnt from known films and people; those of others are theirs alone.

    Parameters
    ----------
    films : Domain
        With tastes.
    """

    films: Domain

    @property
    def tastes(self) -> Tastes:
        """What people thought of the films."""
        if self.films.tastes is None:
            raise InputError(f"{self.films.name} have no ratings; questions about people need them")
        return self.films.tastes

    @cached_property
    def keywords(self) -> tuple[tuple[str, ...], ...]:
        """Words of each film's plot that few known films have, three or more, the rarest first."""
        words = [[w for w in _WORD.findall(" ".join(one.facts.get("plot", ()))) if w not in _PLAIN]
                 for one in self.films.entities]  # fmt: skip
        known = self.films.known
        counts = Counter(word for number in known for word in set(words[number]))
        telling = [{word for word in row if 3 <= counts[word] <= len(known) / 25} for row in words]
        return tuple(tuple(sorted(row, key=lambda word: (counts[word], word))[:KEYWORDS]) for row in telling)

    @cached_property
    def said(self) -> tuple[frozenset[str], ...]:
        """Genres that each film's description names."""
        return tuple(frozenset(genres_in(description(one))) for one in self.films.entities)

    @cached_property
    def genres(self) -> tuple[str, ...]:
        """All genres."""
        return tuple(dict.fromkeys(GENRES.values()))

    @cached_property
    def has(self) -> Array:
        """Which films have which genre: 0 or 1, (N, genres)."""
        return np.array([[float(g in one.facts["genres"]) for g in self.genres] for one in self.films.entities])

    @cached_property
    def fans(self) -> Array:
        """Taste (genres, K) of known people, weighted by how far above their mean they rate films of a genre."""
        tastes, known = self.tastes, ~self.held_out_people
        weight = np.nan_to_num(self._liking).clip(min=0) * known[:, None]
        found: Array = weight.T @ tastes.factors.users / np.maximum(weight.sum(0), 1e-9)[:, None]
        return found

    @cached_property
    def held_out_people(self) -> NDArray[np.bool_]:
        """Which people (U,) are held out, by their numbers."""
        return np.array([is_held_out(f"person {person}") for person in range(len(self.tastes.factors.users))])

    @cached_property
    def _liking(self) -> Array:
        """Mean rating (U, genres), above a person's own mean, of known films of a genre; NaN where there are few."""
        tastes = self.tastes
        many, rows = len(tastes.factors.users), np.isin(tastes.items, self.films.known)
        users, items, ratings = tastes.users[rows], tastes.items[rows], tastes.ratings[rows]
        mean = np.bincount(users, ratings, many) / np.maximum(np.bincount(users, minlength=many), 1)
        rated = [self.has[items, genre] for genre in range(len(self.genres))]
        count = np.stack([np.bincount(users, one, many) for one in rated], 1)
        total = np.stack([np.bincount(users, (ratings - mean[users]) * one, many) for one in rated], 1)
        return np.where(count >= _FEWEST, total / np.maximum(count, 1), np.nan)

    def fans_of(self, number: int) -> tuple[list[str], list[str]]:
        """Return two genres whose fans like a film most by its factors, and the one whose fans like it least.

        Its own genres come first of the most, but those alone whose fans like it more than those of the median genre.
        """
        scores = self.fans @ self.tastes.factors.items[number]
        liked = (self.has[number] > 0) & (scores > np.median(scores))
        order = np.lexsort((-scores, ~liked))
        return [self.genres[g] for g in order[:2]], [self.genres[int(scores.argmin())]]

    def liked_by(self, person: int) -> tuple[list[str], list[str]]:
        """Return genres that a person likes more, and less, than what they see otherwise, the strongest first."""
        row = self._liking[person]
        known = [g for g in np.argsort(-np.nan_to_num(row)).tolist() if np.isfinite(row[g])]
        return ([self.genres[g] for g in known if row[g] > 0][:3],
                [self.genres[g] for g in reversed(known) if row[g] < 0][:2])  # fmt: skip

    def received(self, number: int) -> str:
        """Return whether people rate a film above, below or about the mean film."""
        bias = float(self.tastes.factors.item_bias[number])
        return "above" if bias > _RATED else "below" if bias < -_RATED else "about"

    def seen(self, person: int) -> list[int]:
        """Return the numbers of the known films that a person rated, the best rated first."""
        rows = np.flatnonzero((self.tastes.users == person) & np.isin(self.tastes.items, self.films.known))
        order = sorted(rows.tolist(), key=lambda row: (-self.tastes.ratings[row], row))
        return [int(self.tastes.items[row]) for row in order]

    def persona(self, person: int) -> str:
        """Return a person in words: what kinds of films they rated best, and what kinds worst."""
        kinds = [line_of(self.films.entities[n]).rstrip(".") for n in self.seen(person)]
        return f"Rated best: {'; '.join(kinds[:3])}. Rated worst: {'; '.join(kinds[3:][-3:])}."

    @cached_property
    def directions(self) -> Tensor:
        """Unit vectors (genres, S) from films without a genre to those with it: concept activation vectors."""
        known = torch.tensor(self.films.known)
        has, vectors = torch.from_numpy(self.has).float()[known], self.films.semantic[known]
        there, elsewhere = (some.T @ vectors / some.sum(0)[:, None].clamp_min(1) for some in (has, 1 - has))
        return normalize(there - elsewhere, dim=-1)


def line_of(film: Entity) -> str:
    """Return what a film is in one short sentence.

    Examples
    --------
    >>> line_of(Entity("1", "It", "", {"period": ("1990s",), "kind": ("American horror film",)}))
    'A 1990s American horror film.'
    """
    return f"A {film.fact('period')} {film.fact('kind')}."


def description(film: Entity) -> str:
    """Return what a film is and is about."""
    return f"{line_of(film)} {film.fact('plot')}"


def words_in(text: str) -> Sequence[str]:
    """Return the longer words of a text without capitals."""
    return _WORD.findall(text.casefold())


def genres_in(text: str) -> set[str]:
    """Return the genres that a text names, by any of their names."""
    lower, found = text.casefold(), set[str]()
    for name, words in _NAMES.items():
        if any(re.search(rf"(?<!\w){word}", lower) for word in words):
            found.add(name)
    return found


_NAMES: Mapping[str, tuple[str, ...]] = {
    "action": ("action",), "adventure": ("adventur",), "animated": ("animat", "cartoon"),
    "family": ("family", "children"),
    "comedy": ("comed", "comic", "funny", "satir", "spoof"), "crime": ("crime", "gangster", "heist", "mafia"),
    "documentary": ("documentar",), "drama": ("drama",), "fantasy": ("fantas",), "noir": ("noir",),
    "historical": ("histor", "period piece", "costume"), "horror": ("horror", "slasher", "frighten"),
    "musical": ("musical", "songs"), "mystery": ("myster",), "romance": ("roman",),
    "science fiction": ("science fiction", "sci-fi", "science-fiction"), "sports": ("sport",),
    "superhero": ("superhero",), "thriller": ("thriller", "suspens"), "war": ("war(?!m|r|d|y|e|n)",),
    "western": ("western",), "biographical": ("biograph", "biopic"),
}  # fmt: skip
"""How each genre is told from the words of a text."""
