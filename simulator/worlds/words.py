"""Words and runs of letters, counted without a vocabulary: a text as someone sees it who knows no sentence encoder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from simulator.shoppers import TextFeatures
from simulator.worlds.world import World, keeps_all

_FORM = (r"\?", r"\d", r"['\"\u2018-\u201d]", r"\.\.\.|\u2026", r"!", r"(?i)\byou", r"(?i)\bthis\b", r"(?i)\bhow\b",
         r"(?i)\bwhy\b", r"(?i)\bwhat\b")  # fmt: skip
"""Signs and words whose presence is a feature of a headline's form."""


class WordFeatures:
    """Words, pairs of words and runs of 2 to 4 letters, each hashed to one of a few numbers, with a sign.

    Nothing is learned, so that a text has the same features whatever other texts there are; texts that share words are
    near. Vectors have length 1.

    Parameters
    ----------
    size : int
        Numbers that words and letters are hashed to, half of them each.

    Examples
    --------
    >>> one, other = WordFeatures(64)(["A quiet kettle.", "a  QUIET kettle."])
    >>> bool((one == other).all()), round(float(one @ one), 6)
    (True, 1.0)
    """

    def __init__(self, size: int = 512) -> None:
        settings = {"n_features": size // 2, "norm": None, "preprocessor": plain}
        self._counters = [
            HashingVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **settings),
            HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), **settings),
        ]
        self.size = size // 2 * 2

    def sparse(self, texts: Sequence[str]) -> csr_array:
        """Return the features of n texts, a sparse array of shape (n, size)."""
        halves = [normalize(counter.transform(texts)) for counter in self._counters]
        return csr_array(normalize(hstack(halves)))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the features of n texts, an array of shape (n, size)."""
        found: NDArray[np.float64] = self.sparse(texts).toarray()
        return found


def plain(text: str) -> str:
    """Return a text such that two are equal if a reader would call them the same."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def form(texts: Sequence[str]) -> NDArray[np.float64]:
    """Return length, words, capitals, and which signs and words of a kind n texts have, an array of shape (n, 13)."""
    return np.array([[len(text) / 50, len(text.split()) / 10, sum(map(str.isupper, text)) / 10,
                      *(float(bool(re.search(pattern, text))) for pattern in _FORM)] for text in texts])  # fmt: skip


def word_world(reference: Sequence[str], readable: TextFeatures = keeps_all) -> World:
    """Return the world of shoppers who like words and sounds.

    Tastes are Gaussian over hashed words and letters, so that the click logit is a Gaussian process whose covariance is
    the share of words and letters that two texts have in common. No sentence encoder is asked: a policy whose features
    come from one has to find out.
    """
    return World("words", WordFeatures(), tuple(reference), (), readable)
