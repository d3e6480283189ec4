"""Questions about entities, people and points: words with places for vectors, and what is known of the answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    task : str
        What it is an example of.
    """

    asked: str
    places: Mapping[str, Place]
    target: str
    check: Callable[[str], float]
    entities: tuple[int, ...]
    point: Tensor | None = None
    task: str = ""

    def __post_init__(self) -> None:
        """Raise where a place has nothing to stand there."""
        if missing := set(PLACE.findall(self.asked)) - set(self.places):
            raise InputError(f"{self.asked!r} needs {', '.join(sorted(missing))}; give "
                             f"{', '.join(sorted(set(PLACE.findall(self.asked))))}")  # fmt: skip

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


@dataclass(frozen=True)
class Task:
    """A kind of question.

    Parameters
    ----------
    name : str
    draw : callable
    """

    name: str
    draw: Draw

    def question(self, number: int, rng: random.Random) -> Question | None:
        """Return a question about an entity, or None where its facts do not suffice."""
        found = self.draw(number, rng)
        return found and replace(found, task=self.name)


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


def said_of(words: Iterable[str], text: str) -> set[str]:
    """Return which words or phrases stand in a text, whole, whatever their capitals."""
    lower = text.casefold()
    return {word for word in words if re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", lower)}


def f_score(said: set[str], true: set[str]) -> float:
    """Return the harmonic mean of how much of what is said is true and how much of what is true is said.

    Examples
    --------
    >>> f_score({"comedy", "war"}, {"comedy"})
    0.6666666666666666
    """
    return 2 * len(said & true) / (len(said) + len(true)) if said or true else 1.0
