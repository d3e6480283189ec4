"""Texts that are put on a map: what is known of each, and where it lies in the space that is flattened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from bandits.sequential.confidence_sequences import rate_interval
from copyloom import InputError
from generator.grammar import Grammar
from generator.reader import gist

Of = Literal["meaning", "vectors"]
STORED, LENT, WRITTEN = "stored", "stored, not shown", "written"
"""Kinds: shown as it was stored; stored and never shown, for mixtures to take from; written."""
_READABLE = 0.6
"""Cosine to the nearest frame of the grammar below which a text is of no style that the grammar knows."""


@dataclass(frozen=True)
class MapText:
    """What is known of a text on a map.

    Parameters
    ----------
    text : str
    kind : str
        ``"stored"``, ``"stored, not shown"``, ``"written"``, or what a table says.
    style : str, optional
        None where it is of none that is known.
    impressions, clicks : int, optional
        None where it was never counted.
    ctr : float, optional
        Clicks per impression, a probability; None where it was never shown.
    interval : (float, float), optional
        95 % interval of the CTR, whenever one looks; None where nothing was counted, or counts are of several
        campaigns, whose shoppers may differ.
    parents : tuple of str
        Texts that it was mixed from.
    weights : tuple of float
        One a parent.
    """

    text: str
    kind: str = STORED
    style: str | None = None
    impressions: int | None = None
    clicks: int | None = None
    ctr: float | None = None
    interval: tuple[float, float] | None = None
    parents: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Collection:
    """Texts and their places in the space.

    Parameters
    ----------
    texts : tuple of MapText
        N different ones.
    rows : array of shape (N, X)
        float32, of unit length: so the nearest by distance are the nearest by cosine; all zero where
        all vectors are the same, and so have no direction from their mean.
    of : str
        ``"meaning"``: sentence vectors, X = S. ``"vectors"``: summary embeddings, X = P D, less the mean of all.
    left_out : int
        Texts of the source whose vectors it does not hold, or that lie at the mean of all and so have no direction.
    """

    texts: tuple[MapText, ...]
    rows: NDArray[np.float32]
    of: Of
    left_out: int = 0


def check_of(of: str) -> Of:
    """Return what is mapped, or raise `InputError` if it is neither meaning nor vectors."""
    for known in get_args(Of):
        if of == known:
            return known
    raise InputError(f"--of {of!r} is unknown; map the meaning (sentence vectors) or the vectors (summary embeddings)")


def collected(texts: Sequence[MapText], vectors: Sequence[Tensor | None], of: Of) -> Collection:
    """Return texts with their vectors; those without, or whose vectors have no direction among others, left out.

    Parameters
    ----------
    texts : sequence of MapText
    vectors : sequence of Tensor of shape (S,) or (P, D), or None
        One a text.
    of : str

    Raises
    ------
    InputError
        If none has vectors, or vectors hold what is no number.
    """
    held = [(text, vector.flatten()) for text, vector in zip(texts, vectors, strict=True) if vector is not None]
    if not held:
        raise InputError(
            f"of {len(texts)} texts none has vectors to map; --of vectors maps texts of a run or a database that were "
            "inverted: use --of meaning, or `copyloom invert` first"
        )
    flat = torch.stack([vector for _, vector in held]).float()
    if not bool(flat.isfinite().all()):
        raise InputError("vectors hold numbers that are not finite; invert the texts again")
    rows = normalize(flat - flat.mean(0) if of == "vectors" and len(flat) > 1 else flat, dim=1, eps=1e-6)
    pointed = rows.norm(dim=1) > 0.5
    if not bool(pointed.any()):
        pointed, rows = torch.ones_like(pointed), torch.zeros_like(rows)
    styled = tuple(with_styles(text for (text, _), some in zip(held, pointed.tolist(), strict=True) if some))
    return Collection(styled, rows[pointed].numpy(), of, len(texts) - len(styled))


def with_intervals(texts: Sequence[MapText]) -> list[MapText]:
    """Return texts with the interval of each one's CTR where impressions and clicks are known."""
    counted = [text.impressions and text.clicks is not None for text in texts]
    counts = [(text.clicks, text.impressions) if known else (0, 0) for text, known in zip(texts, counted, strict=True)]
    low, high = rate_interval(*np.array(counts, np.int64).reshape(-1, 2).T)
    return [replace(text, interval=(float(one), float(other))) if known else text
            for text, known, one, other in zip(texts, counted, low, high, strict=True)]  # fmt: skip


def with_styles(texts: Iterable[MapText]) -> Iterable[MapText]:
    """Yield texts with the style that the grammar reads in them, where none is known yet and they read like one."""
    grammar = Grammar.load()
    for text in texts:
        if text.style is not None:
            yield text
            continue
        found = gist(text.text, grammar)
        yield replace(text, style=found.style if found.frame_similarity >= _READABLE else None)
