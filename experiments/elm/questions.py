"""Questions about entities, people and points: words with places for vectors, and what is known of the answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError

PLACE = re.compile(r"\{(\w+)\}")
TEXT, RATED, PERSON = "text", "rated", "person"
"""Kinds of vectors: sentence vectors, and behavioural ones of entities and of people."""


@dataclass(frozen=True, eq=False)
class Place:
    """What stands at a place of a question.

    Parameters
    ----------
    kind : str
        Which adapter reads the vector: TEXT, RATED or PERSON.
    vector : Tensor of shape (size,)
    words : str
        The same said in words, for a model that is told texts instead of vectors; empty where there are none.
    """

    kind: str
    vector: Tensor
    words: str = ""


@dataclass(frozen=True, eq=False)
class Question:
    """A question that an ELM answers.

    Parameters
    ----------
    asked : str
        Words with places in braces: ``{film}``.
    places : mapping of str to Place
    target : str
        The answer that rules make of facts.
    check : callable
        From an answer to how right it is, 0 to 1, by the same facts.
    entities : tuple of int
        What the question is about, the main one first.
    point : Tensor of shape (S,), optional
        Where the answer's sentence vector should lie; None where it should lie nowhere: a list, a yes or no.
    start : Tensor of shape (S,), optional
        Where an entity lies that the answer should move away from, towards the point.
    task : str
        What it is an example of.
    """

    asked: str
    places: Mapping[str, Place]
    target: str
    check: Callable[[str], float]
    entities: tuple[int, ...]
    point: Tensor | None = None
    start: Tensor | None = None
    task: str = ""

    def __post_init__(self) -> None:
        """Raise where a place has nothing to stand there."""
        if missing := set(PLACE.findall(self.asked)) - set(self.places):
            raise InputError(f"{self.asked!r} needs {', '.join(sorted(missing))}; give "
                             f"{', '.join(sorted(set(PLACE.findall(self.asked))))}")  # fmt: skip

    def nearness(self, said: Tensor) -> float:
        """Return the cosine of an answer's sentence vector (S,) to the point, less that to the start if it has one."""
        if self.point is None:
            raise InputError(f"an answer to {self.asked!r} should lie nowhere; ask what has a point")
        return float(said @ self.point) - (float(said @ self.start) if self.start is not None else 0.0)

    def at(self, **vectors: Tensor) -> Question:
        """Return the question with other vectors at some places, which no words say; point and check stay."""
        places = dict(self.places)
        for name, vector in vectors.items():
            if name not in places:
                raise InputError(f"task {self.task!r} has no place {name!r}; it has {', '.join(places)}")
            if vector.shape != places[name].vector.shape:
                raise InputError(f"{name} is a vector of {tuple(vector.shape)} numbers; task {self.task!r} takes "
                                 f"{tuple(places[name].vector.shape)}")  # fmt: skip
            places[name] = replace(places[name], vector=vector, words="")
        return replace(self, places=places)


Draw = Callable[[int, random.Random], Question | None]
"""From the number of an entity and random numbers to a question about it, or None where its facts do not suffice."""
Pair = Callable[[int, int], Question]
"""From the numbers of two entities to a question about them."""


@dataclass(frozen=True)
class Task:
    """A kind of question.

    Parameters
    ----------
    name : str
    draw : callable
    pair : callable, optional
        Where it is about two entities of which either may be any.
    """

    name: str
    draw: Draw
    pair: Pair | None = None

    def question(self, number: int, rng: random.Random) -> Question | None:
        """Return a question about an entity, or None where its facts do not suffice."""
        found = self.draw(number, rng)
        return found and replace(found, task=self.name)

    @classmethod
    def paired(cls, name: str, pair: Pair, other: Callable[[int, random.Random], int]) -> Task:
        """Return a task about two entities, the second of which `other` draws for the first."""
        return cls(name, lambda number, rng: pair(number, other(number, rng)), pair)


def between(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Return the unit vector (S,) that is a share `weight` of the first and the rest of the second."""
    return normalize(weight * first + (1 - weight) * second, dim=-1)


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> listed(["comedy", "crime", "war"])
    'comedy, crime and war'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


def starting(text: str) -> str:
    """Return a text with its first letter as a capital."""
    return text[:1].upper() + text[1:]
