"""Twenty-four tasks about films: what is asked, the answer that rules make of facts, and how an answer is checked."""

from __future__ import annotations

import random
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from torch import Tensor

from embeddings.steering import turned
from experiments.domains.domain import Domain, Entity
from experiments.elm.checks import (
    by_side,
    decades_in,
    f_score,
    facts_in,
    favours,
    five_of,
    liked_and_not,
    matches,
    met,
    one_film,
    said_of,
    takes,
    would,
)
from experiments.elm.film_facts import (
    KEYWORDS,
    FilmFacts,
    description,
    film_words,
    genres_in,
    line_of,
    words_in,
)
from experiments.elm.questions import PERSON, RATED, TEXT, Place, Question, Task, between, listed, starting

STEP = 0.5
"""Radians by which a point goes along a genre's direction."""
_NEIGHBOURS, _BEST = 40, 30
"""Films from which another is drawn: the nearest, or those that a person rated best."""
_CAST_WORDS = (("an ensemble", 7), ("a handful of parts", 4), ("a few parts", 0))
"""How many of a cast are named: words, and from how many on."""
_SIZES = {words: words.partition(" ")[2] for words, _ in _CAST_WORDS}
_NAMES = {
    "well-known": "well[ -]known|famous",
    "lesser-known": "less(?:er)?[ -]known|unknown|(?:no|without) (?:well[ -]known|famous)",
}
_RECEIVED = {"above": "above|better|higher", "below": "below|worse|lower", "about": "about|around|near|same|similar"}
"""How options may be said."""
_ORIGINS = ("American", "British", "French", "Canadian", "Italian", "Japanese", "German", "Australian")


@dataclass(frozen=True, eq=False)
class FilmTasks:
    """The tasks about the films of a domain.

    Parameters
    ----------
    films : Domain
    facts : FilmFacts
    """

    films: Domain
    facts: FilmFacts

    @classmethod
    def of(cls, films: Domain) -> FilmTasks:
        """Return the tasks about a domain's films."""
        return cls(films, FilmFacts(films))

    @cached_property
    def known(self) -> frozenset[int]:
        """Numbers of the films that are not held out."""
        return frozenset(self.films.known)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All of them."""
        return tuple(self._task(name) for name in _TASKS)

    def _task(self, name: str) -> Task:
        told, asks = name.replace("_", " "), getattr(self, name)
        return Task.paired(told, asks, self._other) if name in _PAIRS else Task(told, asks)

    def _film(self, number: int) -> Place:
        return Place(TEXT, self.films.semantic[number], self.films.entities[number].text)

    def _viewers(self, number: int, words: str = "") -> Place:
        return Place(RATED, self.facts.tastes.items_seen[number], words)

    def _viewer(self, person: int) -> Place:
        return Place(PERSON, self.facts.tastes.users_seen[person], self.facts.persona(person))

    def _about(
        self, number: int, asked: str, target: str, check: Callable[[str], float], point: bool = False
    ) -> Question:
        """Return a question about one film, whose answer may say the same as its text."""
        vector = self.films.semantic[number] if point else None
        return Question(f"{{film}}\n{asked}", {"film": self._film(number)}, target, check, (number,), vector)

    def _content(self, number: int, text: str) -> float:
        """Return how much of a film's genres and keywords a text says, and of what it says is the film's."""
        true = set(self.films.entities[number].facts["genres"])
        said = genres_in(text)
        return 0.5 * f_score(said, true) + 0.5 * met(set(words_in(text)), set(self.facts.keywords[number]))

    def _genres(self, number: int, text: str) -> float:
        return f_score(genres_in(text), set(self.films.entities[number].facts["genres"]))

    def describe(self, n: int, rng: random.Random) -> Question:
        """Ask what a film is and is about."""
        film = self.films.entities[n]
        target = description(film)
        return self._about(n, "Describe this film.", target, partial(self._content, n), True)

    def plot(self, n: int, rng: random.Random) -> Question:
        """Ask what happens."""
        target = " ".join(self.films.entities[n].facts["plot"])
        keys = set(self.facts.keywords[n])
        return self._about(n, "What happens in it?", target, lambda text: met(set(words_in(text)), keys), True)

    def genres(self, n: int, rng: random.Random) -> Question:
        """Ask for its genres."""
        target = f"{starting(listed(self.films.entities[n].facts['genres']))}."
        return self._about(n, "Which genres does it belong to?", target, partial(self._genres, n))

    def period(self, n: int, rng: random.Random) -> Question:
        """Ask from which decade it is."""
        true = self.films.entities[n].fact("period")
        return self._about(n, "From which decade is it?", f"The {true}.",
                           lambda text: float(decades_in(text) == {true}))  # fmt: skip

    def characteristics(self, n: int, rng: random.Random) -> Question | None:
        """Ask for five things that are true of it."""
        true = self._traits(self.films.entities[n], n)
        if len(true) < 5:
            return None
        chosen = true[:5]
        return self._about(n, "Name five characteristics.", f"{starting('; '.join(chosen))}.", partial(five_of, true))

    def _traits(self, film: Entity, n: int) -> list[str]:
        own = [*film.facts["genres"][:2], f"from the {film.fact('period')}",
               *[name for name in _ORIGINS if name in film.fact("kind")][:1], *film.facts.get("tags", ())[:1],
               *self.facts.keywords[n]]  # fmt: skip
        return list(dict.fromkeys(own))

    def cast(self, n: int, rng: random.Random) -> Question | None:
        """Ask what kind of cast it has, of which no vector tells: answers are guesses by how common a kind is."""
        film = self.films.entities[n]
        if not film.facts.get("cast"):
            return None
        size = next(word for word, least in _CAST_WORDS if len(film.facts["cast"]) >= least)
        known = "well-known" if film.facts.get("stars") else "lesser-known"
        asked = f"Has it {' or '.join(_SIZES)}, with well-known names or only lesser-known ones?"
        return self._about(n, asked, f"{starting(size)}, with {known} names.",
                           lambda text: 0.5 * takes(_SIZES, size, text) + 0.5 * takes(_NAMES, known, text))  # fmt: skip

    def would_like(self, n: int, rng: random.Random) -> Question | None:
        """Ask who would like it most."""
        return self._fans(n, "Who would like it most?", "People who like {} films.", 0)

    def would_not_like(self, n: int, rng: random.Random) -> Question | None:
        """Ask who would like it least."""
        return self._fans(n, "Who would like it least?", "People who mostly like {} films.", 1)

    def _fans(self, n: int, asked: str, said: str, which: int) -> Question | None:
        if not self.facts.tastes.rated[n]:
            return None
        true = self.facts.fans_of(n)[which]
        places = {"film": self._film(n), "viewers": self._viewers(n, f"Rated {self.facts.received(n)} the mean film.")}
        return Question(f"{{film}}{{viewers}}\n{asked}", places, said.format(listed(true)),
                        lambda text: f_score(genres_in(text), set(true)), (n,))  # fmt: skip

    def favourable_review(self, n: int, rng: random.Random) -> Question:
        """Ask for a review by someone who liked it."""
        return self._review(n, rng, "Write a favourable review.", True)

    def critical_review(self, n: int, rng: random.Random) -> Question:
        """Ask for one by someone who did not."""
        return self._review(n, rng, "Write a critical review.", False)

    def _review(self, n: int, rng: random.Random, asked: str, favourable: bool) -> Question:
        film = self.films.entities[n]
        verdict, words = ("I enjoyed it", "praise") if favourable else ("I did not enjoy it", "fault")
        target = f"{description(film)} {verdict}: {rng.choice(film_words()[film.fact('genres')][words])}."

        def check(text: str) -> float:
            return 0.5 * (favours(text) is favourable) + 0.5 * self._genres(n, text)

        return self._about(n, asked, target, check, True)

    def pitch(self, n: int, rng: random.Random) -> Question:
        """Ask for a pitch."""
        film = self.films.entities[n]
        target = f"For everyone who loves {listed(film.facts['genres'][:2])}: {film.fact('plot')}"
        return self._about(n, "Pitch it in a sentence.", target, partial(self._content, n), True)

    def tagline(self, n: int, rng: random.Random) -> Question | None:
        """Ask for a tagline."""
        film, keys = self.films.entities[n], self.facts.keywords[n]
        if len(keys) < 2:
            return None
        closer = rng.choice(film_words()[film.fact("genres")]["closer"])
        target = f"{starting(keys[0])}. {starting(keys[1])}. {closer}"
        return self._about(n, "Write a tagline.", target,
                           lambda text: float(bool(said_of(keys, text)) and len(text.split()) <= 15))  # fmt: skip

    def key_words(self, n: int, rng: random.Random) -> Question | None:
        """Ask for keywords."""
        keys = self.facts.keywords[n]
        if len(keys) < KEYWORDS:
            return None
        return self._about(n, "Name five keywords.", f"{starting(', '.join(keys))}.",
                           lambda text: f_score(set(words_in(text)), set(keys)))  # fmt: skip

    def _other(self, n: int, rng: random.Random) -> int:
        """Return another film, near to a film, held out or known as that is."""
        among = self.films.known if n in self.known else self.films.held_out
        near = self.films.nearest(self.films.semantic[n][None], [m for m in among if m != n], _NEIGHBOURS)[0].tolist()
        return int(rng.choice(near))

    def _both(self, n: int, m: int, asked: str, target: str, check: Callable[[str], float]) -> Question:
        places = {"film": self._film(n), "other": self._film(m)}
        return Question(f"{{film}}\n{{other}}\n{asked}", places, target, check, (n, m))

    def _facts(self, number: int) -> set[str]:
        """Return the genres and the decade of a film."""
        film = self.films.entities[number]
        return {*film.facts["genres"], film.fact("period")}

    def compare(self, n: int, m: int) -> Question:
        """Ask to compare two films."""
        one, other = (self.films.entities[number] for number in (n, m))
        target = f"{self._shared(n, m)} The first is {_lower(line_of(one))} The second is {_lower(line_of(other))}"
        true = {("first", fact) for fact in self._facts(n)} | {("second", fact) for fact in self._facts(m)}
        return self._both(n, m, "Compare the two films.", target,
                          lambda text: f_score(by_side(facts_in, text), true))  # fmt: skip

    def _shared(self, n: int, m: int) -> str:
        one, other = (self.films.entities[number] for number in (n, m))
        same = [genre for genre in one.facts["genres"] if genre in other.facts["genres"]]
        when = f"from the {one.fact('period')}" if one.fact("period") == other.fact("period") else ""
        if not same and not when:
            return "They share neither genre nor decade."
        return " ".join(["Both are", f"{listed(same)} films" if same else "films", *[when] * bool(when)]) + "."

    def similarities(self, n: int, m: int) -> Question:
        """Ask what two films have in common."""
        same = self._facts(n) & self._facts(m)
        return self._both(n, m, "What do they have in common?", self._shared(n, m),
                          lambda text: matches(facts_in(text), same, text))  # fmt: skip

    def differences(self, n: int, m: int) -> Question:
        """Ask in what two films differ."""
        one, other = (self.films.entities[number] for number in (n, m))
        own = [[g for g in a.facts["genres"] if g not in b.facts["genres"]] for a, b in ((one, other), (other, one))]
        said = [
            f"the {place} adds {listed(some)}" for place, some in zip(("first", "second"), own, strict=True) if some
        ]
        when = f"The first is from the {one.fact('period')}, the second from the {other.fact('period')}."
        parts = [
            *[f"{starting('; '.join(said))}."] * bool(said),
            *[when] * (one.fact("period") != other.fact("period")),
        ]
        mine, others = self._facts(n), self._facts(m)
        only = {("first", fact) for fact in mine - others} | {("second", fact) for fact in others - mine}
        return self._both(n, m, "How do they differ?", " ".join(parts or ["Only in their stories."]),
                          lambda text: matches(by_side(facts_in, text), only, text))  # fmt: skip

    def in_between(self, n: int, m: int) -> Question:
        """Ask for a film between two: the answer is the known film nearest to their middle."""
        point = between(self.films.semantic[n], self.films.semantic[m], 0.5)
        near = [k for k in self.films.nearest(point[None], self.films.known, 3)[0].tolist() if k not in (n, m)]
        target = self.films.entities[near[0]]
        true = set(self.films.entities[n].facts["genres"]) | set(self.films.entities[m].facts["genres"])
        asked = self._both(n, m, "Describe a film in between.", description(target),
                           lambda text: f_score(genres_in(text), true))  # fmt: skip
        return replace(asked, point=point)

    def sequel(self, n: int, rng: random.Random) -> Question | None:
        """Ask for a sequel: the answer is the nearest known film of the same genres that is not older."""
        film = self.films.entities[n]
        known = [m for m in self.films.known if m != n and self.films.entities[m].fact("year") >= film.fact("year")
                 and set(film.facts["genres"]) <= set(self.films.entities[m].facts["genres"])]  # fmt: skip
        if not known:
            return None
        other = self.films.entities[int(self.films.nearest(self.films.semantic[n][None], known)[0, 0])]
        return self._about(n, "Describe a sequel.", description(other),
                           partial(self._genres, n))  # fmt: skip

    def more_of(self, n: int, rng: random.Random) -> Question | None:
        """Ask for a film with more of a genre: the answer is the nearest known one that has it and some of the rest."""
        return self._moved(n, rng, 1)

    def less_of(self, n: int, rng: random.Random) -> Question | None:
        """Ask for a film with less of one: the answer is the nearest known one without it that has some of the rest."""
        return self._moved(n, rng, -1)

    def _moved(self, n: int, rng: random.Random, sign: int) -> Question | None:
        own = self.films.entities[n].facts["genres"]
        choices = [g for g in self.facts.genres if (g in own) == (sign < 0)]
        if sign < 0 and len(own) < 2:
            return None
        genre = rng.choice(choices)
        rest = set(own) - {genre}
        known = [m for m in self.films.known if m != n and self._fits(m, genre, sign, rest)]
        if not known:
            return None
        other = self.films.entities[int(self.films.nearest(self.films.semantic[n][None], known)[0, 0])]
        point = self.moved(self.films.semantic[n], genre, sign * STEP)
        word = "more" if sign > 0 else "less"
        asked, check = f"{{film}}\nDescribe a film like it with {word} {genre}.", partial(_goes, genre, sign, rest)
        return Question(asked, {"film": self._film(n)}, description(other), check, (n,), point, self.films.semantic[n])

    def _fits(self, m: int, genre: str, sign: int, rest: set[str]) -> bool:
        """Say whether a film has a genre, or has it not, and some of the rest."""
        own = set(self.films.entities[m].facts["genres"])
        said = self.facts.said[m]
        fits = genre in own & said if sign > 0 else genre not in own | said
        return fits and bool(rest & own & said)

    def moved(self, point: Tensor, genre: str, angle: float) -> Tensor:
        """Return a point (S,) turned by an angle in radians towards films of a genre, or away from them."""
        direction = self.facts.directions[self.facts.genres.index(genre)]
        return turned(point[None], float(np.sign(angle)) * direction[None], abs(angle))[0]

    def reception(self, n: int, rng: random.Random) -> Question | None:
        """Ask how people rate it."""
        if not self.facts.tastes.rated[n]:
            return None
        true = self.facts.received(n)
        asked = "{viewers}\nDo people rate this film above, about or below the mean film?"
        return Question(asked, {"viewers": self._viewers(n)}, f"{starting(true)} the mean film.",
                        partial(takes, _RECEIVED, true), (n,))  # fmt: skip

    def would_this_viewer(self, n: int, rng: random.Random) -> Question | None:
        """Ask whether a person would like a film: more than what they like in the mean."""
        tastes, person = self.facts.tastes, self._rater(n, rng)
        if person is None or not tastes.rated[n]:
            return None
        own = tastes.users == person
        like = bool(tastes.ratings[own & (tastes.items == n)].mean() >= tastes.ratings[own].mean())
        places = {"viewer": self._viewer(person), "film": self._film(n)}
        return Question("{viewer}\n{film}\nWould this viewer like it?", places,
                        f"This viewer {'would' if like else 'would not'} like it.",
                        lambda text: float(would(text) is like), (n,))  # fmt: skip

    def viewer(self, n: int, rng: random.Random) -> Question | None:
        """Ask what a person who rated a film likes, and what not."""
        person = self._rater(n, rng)
        if person is None:
            return None
        likes, dislikes = self.facts.liked_by(person)
        if not likes or not dislikes:
            return None
        target = f"Likes {listed(likes)} films; does not care for {listed(dislikes)}."
        asked, places = "{viewer}\nWhat does this viewer like, and what not?", {"viewer": self._viewer(person)}
        return Question(asked, places, target, partial(_taste, set(likes), set(dislikes)), (n,))

    def film_for_viewer(self, n: int, rng: random.Random) -> Question | None:
        """Ask for a film for a person: the answer is a known one that they rated well, with nothing they dislike."""
        person = self._rater(n, rng)
        if person is None:
            return None
        likes, dislikes = map(set, self.facts.liked_by(person))
        known = [m for m in self.facts.seen(person)[:_BEST] if _suits(likes, dislikes, self.facts.said[m])]
        if not known or not dislikes:
            return None
        return Question("{viewer}\nDescribe a film for this viewer.", {"viewer": self._viewer(person)},
                        description(self.films.entities[rng.choice(known)]),
                        lambda text: float(_suits(likes, dislikes, one_film(text))), (n,))  # fmt: skip

    def _rater(self, n: int, rng: random.Random) -> int | None:
        """Return one of those who rated a film, and whose number says that they are held out as the film is."""
        out = n not in self.known
        rows = np.flatnonzero(self.facts.tastes.items == n)
        people = [p for p in self.facts.tastes.users[rows].tolist() if self.facts.held_out_people[p] == out]
        return int(rng.choice(people)) if people else None


_TASKS = (
    "describe",
    "plot",
    "genres",
    "period",
    "characteristics",
    "cast",
    "would_like",
    "would_not_like",
    "favourable_review",
    "critical_review",
    "pitch",
    "tagline",
    "key_words",
    "compare",
    "similarities",
    "differences",
    "in_between",
    "sequel",
    "more_of",
    "less_of",
    "reception",
    "would_this_viewer",
    "viewer",
    "film_for_viewer",
)
_PAIRS = ("compare", "similarities", "differences", "in_between")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _goes(genre: str, sign: int, rest: Set[str], text: str) -> float:
    """Return 1 where a text names some of the rest of a film's genres, and one more, or one less, as asked; else 0."""
    said = one_film(text)
    return float((genre in said) == (sign > 0) and bool(rest & said))


def _taste(likes: Set[str], dislikes: Set[str], text: str) -> float:
    """Return half for the genres that a text says someone likes, and half for those that it says they do not."""
    liked, disliked = liked_and_not(text)
    return 0.5 * f_score(liked, likes) + 0.5 * f_score(disliked, dislikes)


def _suits(likes: Set[str], dislikes: Set[str], genres: Set[str]) -> bool:
    """Say whether a film of some genres has some that someone likes, and none that they do not."""
    return bool(likes & genres) and not dislikes & genres
