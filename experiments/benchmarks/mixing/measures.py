"""What a mixed text is worth: fluent, new, no concatenation; and how it drifts with the weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import chain, compress

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from embeddings.mixing import is_new
from experiments.benchmarks.mixing.corpora import WEIGHTS, Corpus
from experiments.benchmarks.mixing.judge import Judge
from generator.checks import Checker, WritingRules, is_stopped, normalised
from generator.reader import words_of

QUANTILE = 0.975
FAULTS = ("finish", "loop", "word", "loss")
"""Not finished, a loop, a broken word, and a loss per token above the limit."""
_ENOUGH = 0.8


@dataclass(frozen=True, eq=False)
class FluencyRule:
    """When a text of a corpus is fluent: measured on the corpus's own held-out texts, before anything is mixed."""

    judge: Judge
    corpus: Corpus

    @cached_property
    def limit(self) -> float:
        """Loss per token that 97.5 % of the corpus's texts keep to."""
        return float(np.quantile(self.judge.nats_per_token(self.corpus.texts).numpy(), QUANTILE))

    @cached_property
    def stops(self) -> bool:
        """Whether a text must end like a sentence: 95 % of the corpus's texts do."""
        return sum(map(is_stopped, self.corpus.texts)) >= 0.95 * len(self.corpus.texts)

    @cached_property
    def checker(self) -> Checker:
        """What finds texts that are unfinished or repeat themselves: the checks that the product makes."""
        rules = WritingRules(min_characters=1, max_characters=10_000, full_stop=self.stops, only_known_words=False)
        return Checker(rules, [])

    def faults(self, texts: Sequence[str], known: Iterable[str] = ()) -> list[tuple[str, ...]]:
        """Return what keeps each text from being fluent, of `FAULTS`; words of `known` texts are words."""
        more = frozenset(word for text in chain(self.corpus.texts, known) for word in words_of(text))
        found = []
        for text, loss in zip(texts, self.losses(texts).tolist(), strict=True):
            codes = {refusal.code for refusal in self.checker.refusals(text)}
            flags = (
                bool(codes & {"unfinished", "length"}),
                "repetition" in codes,
                bool(self.judge.broken_words(text, more)),
                loss > self.limit,
            )
            found.append(tuple(compress(FAULTS, flags)))
        return found

    def losses(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the judge's loss per token of each text, in nats; of a full stop where there is no text."""
        return self.judge.nats_per_token([text or "." for text in texts]).double().numpy()


def excess(judge: Judge, texts: Sequence[str], parents: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return by how many bits a byte (n,) each text surprises the judge more than its parents do in the mean."""
    every = list(dict.fromkeys(text for family in parents for text in family))
    usual = dict(zip(every, judge.bits_per_byte(every).tolist(), strict=True))
    own = judge.bits_per_byte(texts).double().numpy()
    return own - np.array([np.mean([usual[parent] for parent in family]) for family in parents])


def is_concatenation(text: str, parents: Sequence[str]) -> bool:
    """Say whether `text` is little more than two of its parents, or four fifths of each, one after the other.

    Examples
    --------
    >>> parents = ["It is a quiet fan.", "Buy this red kettle now."]
    >>> is_concatenation("Buy this red kettle now. It is a quiet fan.", parents)
    True
    >>> is_concatenation("Buy this quiet fan now.", parents)
    False
    """
    words = normalised(text).split()
    spans = [_covered(words, normalised(parent).split()) for parent in parents]
    whole = [span for span in spans if span is not None]
    return any(one[1] <= other[0] for one in whole for other in whole)


def _covered(words: Sequence[str], parent: Sequence[str]) -> tuple[int, int] | None:
    """Return from where to where `words` hold four fifths of `parent`'s, in order, or None."""
    blocks = [b for b in SequenceMatcher(None, words, parent, autojunk=False).get_matching_blocks() if b.size]
    if len(parent) < 2 or sum(block.size for block in blocks) < _ENOUGH * len(parent):
        return None
    return blocks[0].a, blocks[-1].a + blocks[-1].size


def is_new_text(text: str, parents: Sequence[str], stored: Iterable[str]) -> bool:
    """Say whether `text` is no parent, contains none, and is not one of the `stored` texts, in normal form."""
    return is_new(text, parents) and normalised(text) not in stored


def drift(towards_second: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return each pair's rank correlation of weight and cosine difference, and its largest step over the whole.

    Parameters
    ----------
    towards_second : array of shape (N, 9)
        Cosine to the second parent minus cosine to the first, at each of `WEIGHTS`.
    ends : array of shape (N, 2)
        The same of the parents themselves, weights 0 and 1. Steps to and from them count.

    Returns
    -------
    correlation : array of shape (N,)
        Spearman's; 0 where the text never changes.
    largest : array of shape (N,)
    """
    ranks = np.array([rankdata(row) for row in towards_second])
    centred = ranks - ranks.mean(1, keepdims=True)
    weights = np.arange(len(WEIGHTS)) - (len(WEIGHTS) - 1) / 2
    scale = np.sqrt((centred**2).sum(1) * (weights**2).sum())
    correlation = np.divide(centred @ weights, scale, out=np.zeros(len(ranks)), where=scale > 0)
    path = np.hstack([ends[:, :1], towards_second, ends[:, 1:]])
    whole = np.maximum(ends[:, 1] - ends[:, 0], 1e-9)
    return correlation, np.abs(np.diff(path, axis=1)).max(1) / whole


def nearest(points: Tensor, stored: Tensor) -> Tensor:
    """Return the cosine of each point (B, S) to the nearest of the stored vectors (n, S)."""
    return (points @ stored.T).max(1).values
