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
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from experiments.domains.domain import Domain, Entity
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
    """Facts of films that are learnt from all of them.

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
        """Words of each film's plot that few others have, the rarest first, but none that a single film has."""
        words = [[w for w in _WORD.findall(" ".join(one.facts.get("plot", ()))) if w not in _PLAIN]
                 for one in self.films.entities]  # fmt: skip
        counts = Counter(word for row in words for word in set(row))
        telling = [{word for word in row if 3 <= counts[word] <= len(words) / 25} for row in words]
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
        """Taste (genres, K) of people, weighted by how far above their mean they rate films of a genre."""
        tastes = self.tastes
        weight = np.nan_to_num(self._liking).clip(min=0)
        found: Array = weight.T @ tastes.factors.users / np.maximum(weight.sum(0), 1e-9)[:, None]
        return found

    @cached_property
    def _liking(self) -> Array:
        """Mean rating (U, genres), above a person's own mean, of films of a genre; NaN where there are few."""
        tastes = self.tastes
        many = len(tastes.factors.users)
        counts = np.bincount(tastes.users, minlength=many)
        mean = np.bincount(tastes.users, tastes.ratings, many) / np.maximum(counts, 1)
        rest = tastes.ratings - mean[tastes.users]
        rated = [self.has[tastes.items, genre] for genre in range(len(self.genres))]
        count = np.stack([np.bincount(tastes.users, one, many) for one in rated], 1)
        total = np.stack([np.bincount(tastes.users, rest * one, many) for one in rated], 1)
        return np.where(count >= _FEWEST, total / np.maximum(count, 1), np.nan)

    def fans_of(self, number: int) -> tuple[list[str], list[str]]:
        """Return genres whose fans like a film most and least by its factors, its own genres first of the most."""
        scores = self.tastes.factors.items[number] @ self.fans.T
        own = self.films.entities[number].facts["genres"]
        order = sorted(range(len(self.genres)), key=lambda g: (self.genres[g] not in own, -scores[g]))
        rest = [g for g in np.argsort(scores).tolist() if self.genres[g] not in own]
        return [self.genres[g] for g in order[:2]], [self.genres[g] for g in rest[:1]]

    def liked_by(self, person: int) -> tuple[list[str], list[str]]:
        """Return genres that a person likes more, and less, than what they see otherwise, the strongest first."""
        row = self._liking[person]
        known = [g for g in np.argsort(-np.nan_to_num(row)).tolist() if np.isfinite(row[g])]
        return ([self.genres[g] for g in known if row[g] > 0][:3],
                [self.genres[g] for g in reversed(known) if row[g] < 0][:2])  # fmt: skip

    def received(self, number: int) -> str:
        """Return whether people rate a film above, below or like the mean film."""
        bias = float(self.tastes.factors.item_bias[number])
        return "above" if bias > _RATED else "below" if bias < -_RATED else "like"

    def seen(self, person: int) -> list[int]:
        """Return the numbers of the films that a person rated, the best rated first."""
        rows = np.flatnonzero(self.tastes.users == person)
        order = sorted(rows.tolist(), key=lambda row: (-self.tastes.ratings[row], row))
        return [int(self.tastes.items[row]) for row in order]

    def persona(self, person: int) -> str:
        """Return a person in words: what they liked and did not."""
        seen = self.seen(person)
        likes, dislikes = self.liked_by(person)
        kinds = "; ".join(line_of(self.films.entities[n]).rstrip(".") for n in seen[:3])
        return " ".join(["Rated best:", f"{kinds}.", *[f"Likes {', '.join(likes)}."] * bool(likes),
                         *[f"Dislikes {', '.join(dislikes)}."] * bool(dislikes)])  # fmt: skip

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


def rated_words(facts: FilmFacts, number: int) -> str:
    """Return a film's behavioural vector in words."""
    likes, dislikes = facts.fans_of(number)
    fans = f"liked by fans of {', '.join(likes)}, less by those of {', '.join(dislikes)}"
    return f"Rated {facts.received(number)} the mean; {fans}."


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
