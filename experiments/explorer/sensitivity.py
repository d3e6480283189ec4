"""The smallest change of a point that makes a token another: where the model is least sure, seen from the vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.space import Space
from experiments.explorer.basin import BEYOND, radii_along
from experiments.explorer.point import Point
from experiments.explorer.reading import logits_of, piece, read


@dataclass(frozen=True)
class Flip:
    """The nearest change of a token along the slope of its lead.

    Parameters
    ----------
    place : int
        Of the token in the text, from 0.
    token : str, optional
        None for the end of the text.
    expected : float
        Distance at which its lead would be gone if it fell as steeply all the way, as a share of the point's length.
    distance : float
        Distance in that direction at which another text is decoded; infinite where none up to ten lengths is.
    decoded : str
        What is said just beyond.
    """

    place: int
    token: str | None
    expected: float
    distance: float
    decoded: str


def flip_of(space: Space, point: Point, ids: Sequence[int], place: int | None = None) -> Flip:
    """Return the nearest change of one token, or of the one that is nearest to being another.

    As in adversarial examples for images [Goodfellow2015]_, the direction is the gradient: here of the token's lead
    over its best rival with regard to the P vectors.

    Parameters
    ----------
    space : Space
    point : Point
    ids : sequence of int
        The tokens that are decoded there, end-of-text included.
    place : int, optional

    Raises
    ------
    InputError
        If the text has no such token.

    .. [Goodfellow2015] I. Goodfellow, J. Shlens, C. Szegedy. Explaining and harnessing adversarial examples. ICLR 2015.
    """
    if not ids or (place is not None and not 0 <= place < len(ids)):
        raise InputError(f"the text has {len(ids)} tokens, its end included; there is no token {place}")
    leads, slopes = lead_slopes(space, point.vectors, ids)
    expected = leads / slopes.flatten(1).norm(dim=1).clamp_min(1e-12)
    chosen = int(expected.argmin()) if place is None else place
    way = -slopes[chosen] / slopes[chosen].norm().clamp_min(1e-12) * point.length
    (distance,) = radii_along(space, point, way[None], ids)
    decoded = ""
    if math.isfinite(distance):
        decoded = read(space, (point.vectors + BEYOND * distance * way)[None])[0].text
    return Flip(
        chosen, piece(space, ids[:chosen], ids[chosen]), float(expected[chosen]) / point.length, distance, decoded
    )


def lead_slopes(space: Space, vectors: Tensor, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the lead of each of T tokens in logits, (T,), and its gradient with regard to the vectors, (T, P, D)."""
    wanted = torch.tensor(ids, dtype=torch.long)
    with torch.enable_grad():
        point = vectors.clone().requires_grad_()
        logits = logits_of(space, point[None], ids)[0]
        own = torch.nn.functional.one_hot(wanted, logits.shape[-1]).bool().to(logits.device)
        leads = logits[own] - logits.masked_fill(own, -math.inf).max(-1).values
        slopes = [torch.autograd.grad(lead, point, retain_graph=True)[0] for lead in leads]
    return leads.detach().cpu(), torch.stack(slopes).detach().cpu()
