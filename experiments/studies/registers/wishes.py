"""What texts of any register may be asked for: traits that can be read from their letters alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from embeddings.directions import Direction, label_direction
from embeddings.encoder import Encoder

RULES = {
    "a number": re.compile(r"\d"),
    "speaks to the reader": re.compile(r"\b(you|your|yours|yourself)\b", re.IGNORECASE),
    "speaks of us": re.compile(r"\b(i|my|me|we|our|ours|us)\b", re.IGNORECASE),
    "a question": re.compile(r"\?"),
}
"""Traits by name, and how they are read."""
_READ = 3000
"""Training texts of a register among which examples are sought, and of either kind so many at most."""
_EXAMPLES = 300
_FEWEST = 60


@dataclass(frozen=True, eq=False)
class Wish:
    """A trait, and the direction to it.

    Parameters
    ----------
    name : str
    direction : Direction
        Of sentence vectors, so the same one for every model; found with training texts of one register.
    """

    name: str
    direction: Direction

    def holds(self, text: str) -> bool:
        """Say whether a text has the trait."""
        return has(self.name, text)


def has(name: str, text: str) -> bool:
    """Say whether a text has the trait of that name."""
    return RULES[name].search(text) is not None


def wishes_of(texts: Sequence[str], encoder: Encoder) -> list[Wish]:
    """Return the wishes of which a register has enough examples, 60 or more with the trait and without.

    Parameters
    ----------
    texts : sequence of str
        To learn from.
    encoder : Encoder
    """
    found = []
    for name in RULES:
        mine = [text for text in texts[:_READ] if has(name, text)][:_EXAMPLES]
        others = [text for text in texts[:_READ] if not has(name, text)][:_EXAMPLES]
        if min(len(mine), len(others)) >= _FEWEST:
            labels = [name] * len(mine) + ["other"] * len(others)
            vectors = encoder.encode([*mine, *others])
            found.append(Wish(name, label_direction(vectors, labels, name, encoder=encoder.name)))
    return found
