"""Splicing: a phrase of one text in place of a phrase of another, where a model can go into it and out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.language_model import LanguageModel
from generator.likelihood import expectations

LONGEST = 4
"""Words of a phrase that is put in or taken out. The rest of a text may be longer."""
_BEFORE = "a"
"""A word to put before another, so that a tokenizer shows what it makes of one inside a text."""
_LEFT_OUT = 1.0
"""Nats by which leaving a phrase out stands back: it has one seam, where putting one in has two."""


@dataclass(frozen=True, eq=False)
class Material:
    """A text with what a model expects at the starts of its words; see `materials`.

    Parameters
    ----------
    text : str
    words : sequence of str
        Between its spaces.
    heads : tuple of sequence of int
        Each word's first token at the start of a text, and after a space.
    end : int
        The token of end-of-text.
    likely : Tensor of shape (n + 1, V)
        Log-probabilities of what comes where each word begins, and where the text ends.
    """

    text: str
    words: Sequence[str]
    heads: tuple[Sequence[int], Sequence[int]]
    end: int
    likely: Tensor


def materials(model: LanguageModel, embeddings: Tensor, texts: Sequence[str]) -> list[Material | None]:
    """Return the texts as they are spliced; None where one cannot be.

    That is one without words, with more tokens than are decoded, or with tokens that go over the ends of words.

    Parameters
    ----------
    model : LanguageModel
    embeddings : Tensor of shape (B, P, D)
        What the model reads before each text: the mixture.
    texts : sequence of str
    """
    words = [text.split() for text in texts]
    opening = [[model.tokenize(word) for word in row] for row in words]
    before = model.tokenize(_BEFORE)
    inner = [[model.tokenize(f"{_BEFORE} {word}")[len(before) :] for word in row] for row in words]
    tokens = [[*first[:1], *rest[1:]] for first, rest in zip(opening, inner, strict=True)]
    ids = [model.tokenize(" ".join(row)) for row in words]
    found: list[Material | None] = [None] * len(texts)
    for number, likely in expectations(model, embeddings, ids):
        whole = ids[number] == [token for word in tokens[number] for token in word]
        if 0 < len(ids[number]) < len(likely) and whole and all(opening[number]) and all(inner[number]):
            heads = ([row[0] for row in opening[number]], [row[0] for row in inner[number]])
            starts = np.cumsum([0, *map(len, tokens[number])])
            found[number] = Material(texts[number], words[number], heads, model.end, likely[starts].cpu())
    return found


def splices(text: Material, other: Material, count: int) -> list[str]:
    """Return new texts made of `text` and a phrase of `other`, or without one of its own phrases.

    A phrase of up to four words of `other`, or its end, is put in anywhere, in place of up to four words or of the
    rest. How well that goes is judged at the two seams: the log-probability of the phrase's first token where it
    begins, and of what comes after where it ends, as the model expects them in the texts as they are.

    Parameters
    ----------
    text, other : Material
        Read after the same embeddings.
    count : int
        At most so many; the likeliest seams first.
    """
    places = _places(len(text.words), len(other.words))
    i, j, k, l = places.T  # noqa: E741
    put_in = l > k
    enter = np.where(put_in, _entries(text, other)[i, np.minimum(k, len(other.words) - 1)], 0.0)
    after, without = _entries(other, text, to_end=True)[l, j], _entries(text, text, to_end=True)[i, j]
    seams = enter + np.where(put_in, after, without)
    order = np.argsort(np.where(put_in, -seams, _LEFT_OUT - seams), kind="stable")
    found: dict[str, None] = {}
    for a, b, c, d in places[order].tolist():
        if len(found) == count:
            break
        words = [*text.words[:a], *other.words[c:d], *text.words[b:]]
        if a == 0 and text.text[:1].isupper():
            words[0] = words[0][:1].upper() + words[0][1:]
        new = " ".join(words)
        if new != text.text:
            found[new] = None
    return list(found)


@lru_cache(maxsize=64)
def _places(n: int, m: int) -> NDArray[np.int64]:
    """Return the rows (i, j, k, l): words k to l of m take the place of words i to j of n."""
    phrases = [(i, i + out, k, k + put) for i in range(n + 1) for out in range(min(LONGEST, n - i) + 1)
               for k in range(m) for put in range(1, min(LONGEST, m - k) + 1)]  # fmt: skip
    crossings = [(i, n, k, m) for i in range(1, n + 1) for k in range(m) if n - i > LONGEST or m - k > LONGEST]
    left_out = [(i, i + out, 0, 0) for i in range(1, n) for out in range(1, min(LONGEST, n - i) + 1)]
    return np.array([*phrases, *crossings, *left_out])


def _entries(text: Material, other: Material, to_end: bool = False) -> NDArray[np.float64]:
    """Return the log-probability (n + 1, m) in `text`, before each word and at the end, of each word of `other`.

    With `to_end`, the last column (of m + 1) is that of end-of-text.
    """
    opening, inner = ([*heads, other.end] if to_end else heads for heads in other.heads)
    return torch.cat([text.likely[:1, opening], text.likely[1:, inner]]).double().numpy()
