"""What a text without a record says, read with the grammar alone: product, style, and facts that do not fit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from generator.grammar import Category, Claim, Grammar
from generator.reader import Reader, words_of
from generator.record import ProductRecord

_LONGEST = 12


@dataclass(frozen=True)
class Fidelity:
    """Whether a mixture of claims keeps to its parents.

    Parameters
    ----------
    product : bool
        It names one product, and that is a parent's.
    style : bool
        Its frame's style is a parent's.
    facts : bool
        Every attribute that it claims is one that products of that category have.
    """

    product: bool
    style: bool
    facts: bool

    @property
    def kept(self) -> bool:
        """Whether all is as it must be."""
        return self.product and self.style and self.facts


def fidelity(text: str, parents: Sequence[Claim]) -> Fidelity:
    """Return what `text` keeps of `parents`."""
    found = list(_phrases(text))
    names = {name for kind, name, _ in found if kind == "product"}
    mine = next((claim for claim in parents if names and names <= _names(claim.record)), None)
    if mine is None:
        return Fidelity(False, False, False)
    style = Reader(Grammar.load(), mine.record).read(text).style
    facts = all(mine.record.category in categories for kind, _, categories in found if kind == "attribute")
    return Fidelity(True, style in {claim.frame.style for claim in parents}, facts)


def _names(record: ProductRecord) -> set[tuple[str, ...]]:
    return {tuple(words_of(record.name)), tuple(words_of(record.plural))}


def _phrases(text: str) -> Iterator[tuple[str, tuple[str, ...], frozenset[str]]]:
    """Yield the products and attributes in `text`, longest first, and the categories that have them."""
    lexicon, words, position = _lexicon(), words_of(text), 0
    while position < len(words):
        for length in range(min(_LONGEST, len(words) - position), 0, -1):
            phrase = tuple(words[position : position + length])
            if phrase in lexicon:
                kind, categories = lexicon[phrase]
                yield kind, phrase, categories
                position += length
                break
        else:
            position += 1


@lru_cache(maxsize=1)
def _lexicon() -> dict[tuple[str, ...], tuple[str, frozenset[str]]]:
    """Return every product and attribute in words, but those that frames use as plain words."""
    plain = {word for frame in Grammar.load().frames for word in words_of(re.sub(r"<\w+>", " ", frame.text))}
    found: dict[tuple[str, tuple[str, ...]], set[str]] = defaultdict(set)
    for category in Grammar.load().categories:
        for kind, phrase in _of(category):
            found[kind, tuple(words_of(re.sub(r"^(an?|the) ", "", phrase)))].add(category.name)
    return {
        words: (kind, frozenset(names))
        for (kind, words), names in found.items()
        if kind == "product" or not set(words) <= plain
    }


def _of(category: Category) -> Iterator[tuple[str, str]]:
    yield from (("product", name) for product in category.products for name in product)
    yield from (("attribute", phrase) for phrases in category.attributes.values() for phrase in phrases)
