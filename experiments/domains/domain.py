"""A domain: entities with facts and texts, their vectors, and which of them nothing learns from."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from experiments.domains.tastes import Tastes

HELD_OUT = 8
"""One in so many entities is held out."""


@dataclass(frozen=True)
class Entity:
    """A film or a product.

    Parameters
    ----------
    key : str
    name : str
        Does not stand in `text`, so that vectors and targets need not say it.
    text : str
        What is known of it, as sentences: what the encoder reads.
    facts : mapping of str to tuple of str
        By kind: genres, period, plot and so on.
    group : str
        Entities of one group are held out together; its key unless given.
    """

    key: str
    name: str
    text: str
    facts: Mapping[str, tuple[str, ...]]
    group: str = ""

    @property
    def held_out(self) -> bool:
        """Whether nothing learns from it."""
        return is_held_out(self.group or self.key)

    def fact(self, kind: str) -> str:
        """Return the first fact of a kind, or an empty text."""
        return next(iter(self.facts.get(kind, ())), "")


@dataclass(frozen=True, eq=False)
class Domain:
    """Entities, and their vectors.

    Parameters
    ----------
    name : str
        films or products.
    entities : tuple of Entity
    semantic : Tensor of shape (N, S)
        Sentence vectors of their texts, of unit length.
    tastes : Tastes, optional
        Behavioural vectors, where people rated the entities.
    """

    name: str
    entities: tuple[Entity, ...]
    semantic: Tensor
    tastes: Tastes | None = None

    @cached_property
    def held_out(self) -> tuple[int, ...]:
        """Numbers of the entities that nothing learns from."""
        return tuple(number for number, one in enumerate(self.entities) if one.held_out)

    @cached_property
    def known(self) -> tuple[int, ...]:
        """Numbers of all others."""
        return tuple(number for number, one in enumerate(self.entities) if not one.held_out)

    def nearest(self, points: Tensor, among: Sequence[int], count: int = 1) -> Tensor:
        """Return the numbers (B, count) of the entities among some whose texts lie nearest to points (B, S).

        They are fewer than `count` where there are fewer.
        """
        rows = torch.tensor(among)
        return rows[(normalize(points, dim=-1) @ self.semantic[rows].T).topk(min(count, len(rows)), dim=1).indices]


def thinned(entities: Sequence[Entity], most: int) -> list[Entity]:
    """Return at most `most` entities, evenly from all."""
    return [entities[number * len(entities) // most] for number in range(most)] if len(entities) > most else [*entities]


def is_held_out(key: str) -> bool:
    """Say whether what has a key or a group is held out: by that alone, so that it is so in every run."""
    return zlib.crc32(key.encode()) % HELD_OUT == 0


def make_domain(
    name: str, entities: Sequence[Entity], encode: Callable[[Sequence[str]], Tensor], tastes: Tastes | None = None
) -> Domain:
    """Return a domain, its texts encoded.

    Raises
    ------
    InputError
        If there are fewer than 40 entities, one has no text, or two have one key.
    """
    if len(entities) < 40:
        raise InputError(f"{len(entities)} {name} were given; give 40 or more")
    if empty := [one.name for one in entities if not one.text.strip()]:
        raise InputError(f"{len(empty)} {name} have no text, such as {empty[0]!r}; leave them out or describe them")
    if len({one.key for one in entities}) < len(entities):
        raise InputError(f"some {name} have the same key; give each its own")
    found = Domain(name, tuple(entities), encode([one.text for one in entities]))
    if not found.held_out or not found.known:
        raise InputError(f"of {len(entities)} {name} none or all are held out by their keys; give more")
    return found if tastes is None else replace(found, tastes=tastes.with_texts(found.semantic.numpy(), found.known))
