"""A mixture that is to be put into words: where it lies, what it is made of, and what it is to be about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from generator.record import ProductRecord


@dataclass(frozen=True, eq=False)
class Mixed:
    """A mixture to be put into words.

    Parameters
    ----------
    vectors : Tensor of shape (P, D)
    wanted : Tensor of shape (S,)
    parents : tuple of str
        Texts with a weight above 0, the heaviest first.
    record : ProductRecord, optional
        What the text is to be about.
    apart : tuple of str
        Texts with a weight below 0: nothing is taken from them.
    lighter : tuple of float
        By how much each parent's weight is below the heaviest's: texts are to come near to a parent, the heavier the
        sooner. Without, they are to come near to the wanted point.
    """

    vectors: Tensor
    wanted: Tensor
    parents: tuple[str, ...]
    record: ProductRecord | None = None
    apart: tuple[str, ...] = ()
    lighter: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls, vectors: Tensor, wanted: Tensor, texts: Sequence[str], weights: Sequence[float],
        record: ProductRecord | None = None,
    ) -> Mixed:  # fmt: skip
        """Return a mixture of texts; which of two equal weights comes first does not matter."""
        pairs = sorted(zip(texts, weights, strict=True), key=lambda one: (-one[1], one[0]))
        apart = tuple(text for text, weight in pairs if weight < 0)
        parents, shares = zip(*((text, weight) for text, weight in pairs if weight > 0), strict=True)
        lighter = None if apart else tuple(shares[0] - share for share in shares)
        return cls(vectors, wanted, parents, record, apart, lighter)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """What names, numbers and claims may be taken from: the record, or without one the parents."""
        return tuple(self.record.phrases().values()) if self.record else self.parents
