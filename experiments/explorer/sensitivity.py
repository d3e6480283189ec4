"""The nearest change of a point's text along a slope: how little moves it, in a direction chosen for that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.space import Space
from experiments.explorer.basin import radii_along
from experiments.explorer.jacobian import token_jacobian
from experiments.explorer.point import Point
from experiments.explorer.reading import logits_of, piece, read


@dataclass(frozen=True)
class Flip:
    """Where the text changes along the slope of a token's lead.

    Parameters
    ----------
    place : int
        Of the token whose slope is followed, from 0.
    token : str, optional
        None for the end of the text.
    expected : float
        Distance at which its lead would be gone if it fell as steeply all the way, as a share of the point's length.
    distance : float
        The last distance that was tried at which the text is kept; infinite where it is at ten lengths.
    decoded : str
        What is said just beyond.
    """

    place: int
    token: str | None
    expected: float
    distance: float
    decoded: str


def flip_of(space: Space, point: Point, ids: Sequence[int]) -> Flip:
    """Return where the text changes along the slope of the token that is nearest to being another.

    As in adversarial examples for images [Goodfellow2015]_, the direction is a gradient: here of the token's lead
    over its best rival with regard to the P vectors. The smallest change of all may be smaller still.

    Parameters
    ----------
    space : Space
    point : Point
    ids : sequence of int
        The tokens that are decoded there, end-of-text included.

    Raises
    ------
    InputError
        If there is no token.

    .. [Goodfellow2015] I. Goodfellow, J. Shlens, C. Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.
    """
    if not ids:
        raise InputError("nothing is decoded here, not even an end of text, so no token can change")
    leads, slopes = lead_slopes(space, point.vectors, ids)
    lengths = slopes.flatten(1).norm(dim=1).clamp_min(1e-12)
    expected = leads / lengths / point.length
    chosen = int(expected.argmin())
    way = -slopes[chosen] / lengths[chosen] * point.length
    found = radii_along(space, point, way[None], ids, float(expected[chosen]))
    (distance,), (lost,), decoded = found.kept, found.lost, ""
    if math.isfinite(lost):
        decoded = read(space, (point.vectors + lost * way)[None], point.room)[0].text
    return Flip(chosen, piece(space, ids[:chosen], ids[chosen]), float(expected[chosen]), distance, decoded)


def lead_slopes(space: Space, vectors: Tensor, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the lead of each of T tokens in logits, (T,), and its gradient with regard to the vectors, (T, P, D)."""
    wanted = torch.tensor(ids, dtype=torch.long)

    def leads(vectors: Tensor) -> Tensor:
        logits = logits_of(space, vectors, ids).cpu()
        own = torch.nn.functional.one_hot(wanted, logits.shape[-1]).bool()
        return logits[:, own] - logits.masked_fill(own, -math.inf).max(-1).values

    found, slopes = token_jacobian(leads, vectors[None])
    return found[0], slopes[0]
