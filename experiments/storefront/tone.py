"""How near a text is to a brand's examples of its tone: a number to look at, no rule; see ``docs/measured``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from generator.brand_book import Tone


@dataclass(frozen=True)
class Nearness:
    """How near a text is to examples.

    Parameters
    ----------
    good, bad : float
        The mean cosine of its sentence vector to those of the good examples, and of the bad ones.
    like : str
        The example that is nearest of all.
    """

    good: float
    bad: float
    like: str

    @property
    def difference(self) -> float:
        """Above 0 where the text is nearer to the good examples."""
        return self.good - self.bad


def nearness(text: str, tone: Tone, vectors: Mapping[str, Tensor]) -> Nearness | None:
    """Return how near a text is to the examples of a tone; None unless there are some of both kinds, and all are read.

    Parameters
    ----------
    vectors : mapping of str to Tensor of shape (S,)
        Unit sentence vectors by text.
    """
    examples = [*tone.good, *tone.bad]
    if not tone.good or not tone.bad or any(one not in vectors for one in (text, *examples)):
        return None
    cosines = {one: float(vectors[text] @ vectors[one]) for one in examples}
    return Nearness(_mean(cosines, tone.good), _mean(cosines, tone.bad), max(cosines, key=lambda one: cosines[one]))


def _mean(cosines: Mapping[str, float], some: Sequence[str]) -> float:
    return sum(cosines[one] for one in some) / len(some)
