"""How near a text is to a brand's examples of its tone: a number to look at, and no rule.

Nearness is mostly about the subject and less about the manner, so this errs often: see ``docs/measured/storefront.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generator.brand_book import Tone

LEAST = 3
"""Examples of either kind that are needed."""


@dataclass(frozen=True)
class Nearness:
    """How near a text is to examples.

    Parameters
    ----------
    good, bad : float
        The mean cosine of its sentence vector to those of the good examples, and of the bad ones.
    usual : float
        The good cosine less the bad one, half way between what it is of good examples and of bad ones, each beside the
        others: that one kind is more about the subject than the other cancels out so.
    like : str
        The example that is nearest of all.
    """

    good: float
    bad: float
    usual: float
    like: str

    @property
    def lean(self) -> float:
        """Above 0 where the text is more like the good examples."""
        return self.good - self.bad - self.usual


def enough(tone: Tone) -> bool:
    """Say whether there are examples enough of both kinds."""
    return min(len(tone.good), len(tone.bad)) >= LEAST


def nearness(text: str, tone: Tone, vectors: Mapping[str, Tensor]) -> Nearness | None:
    """Return how near a text is to the examples of a tone; None unless there are enough of both, and all are read.

    Parameters
    ----------
    vectors : mapping of str to Tensor of shape (S,)
        Unit sentence vectors by text.
    """
    examples = [*tone.good, *tone.bad]
    if not enough(tone) or any(one not in vectors for one in (text, *examples)):
        return None
    good, bad = (torch.stack([vectors[one] for one in some]) for some in (tone.good, tone.bad))
    usual = ((_others(good) - good @ bad.mean(0)).mean() + (bad @ good.mean(0) - _others(bad)).mean()) / 2
    cosines = torch.cat([good, bad]) @ vectors[text]
    return Nearness(float(cosines[: len(good)].mean()), float(cosines[len(good) :].mean()), float(usual),
                    examples[int(cosines.argmax())])  # fmt: skip


def _others(vectors: Tensor) -> Tensor:
    """Return the mean cosine of each unit vector (n, S) to the others, (n,)."""
    return ((vectors @ vectors.T).sum(1) - 1) / (len(vectors) - 1)
