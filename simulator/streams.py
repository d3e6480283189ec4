"""Random numbers that depend on what they are for and on nothing else: whatever is drawn beside them, they stay."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def uniforms(name: str, count: int) -> NDArray[np.float64]:
    """Return `count` uniform numbers in [0, 1) of the stream that `name` spells out."""
    digest = hashlib.shake_128(name.encode()).digest(8 * count)
    return (np.frombuffer(digest, dtype="<u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53


def text_uniforms(seed: int, purpose: str, snapshot: int, texts: Sequence[str], segments: int) -> NDArray[np.float64]:
    """Return one number for each of n texts and G segments, (n, G), for one purpose in one snapshot.

    A text has the same numbers whatever stands beside it, and however many segments there are.
    """
    return np.array([uniforms(f"{seed}/{purpose}/{snapshot}/{text}", segments) for text in texts])
