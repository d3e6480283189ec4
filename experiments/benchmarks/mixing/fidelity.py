"""What a text without a record says, read with the grammar alone: product, style, and facts that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.grammar import Claim, Grammar
from generator.reader import GrammarReader, phrases_in, words_of
from generator.record import ProductRecord


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
    found = list(phrases_in(words_of(text), Grammar.load()))
    names = {phrase for phrase, entry in found if entry.product}
    mine = next((claim for claim in parents if names and names <= _names(claim.record)), None)
    if mine is None:
        return Fidelity(False, False, False)
    style = GrammarReader(Grammar.load(), mine.record).read(text).style
    facts = all(mine.record.category in entry.categories for _, entry in found if not entry.product)
    return Fidelity(True, style in {claim.frame.style for claim in parents}, facts)


def _names(record: ProductRecord) -> set[tuple[str, ...]]:
    return {tuple(words_of(record.name)), tuple(words_of(record.plural))}
