"""What the overview draws: which texts got which share, snapshot by snapshot, and where texts lie by their meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sqlalchemy import Engine

from embeddings.database import text_id
from embeddings.encoded import vectors_of
from experiments.campaigns.state import State
from experiments.reports.plots import Layer
from experiments.storefront import provenance, review

_OWN = 6
"""Texts with an area of their own; colours that all people tell apart are no more."""
_STRETCHES = 60
_ON_MAP = 200
LINES = 12
"""Texts from which lines lead to their parents on the map."""
_LABELS = 8


def share_layers(state: State) -> tuple[list[int], list[Layer]]:
    """Return the ends of some stretches of snapshots, and what share of all draws each text had in them.

    The texts with the largest shares, of late above all, have layers of their own.
    """
    many = len(state.snapshots)
    shares = np.zeros((many, len(state.slate)))
    for row, one in enumerate(state.snapshots):
        shares[row, : len(one.probabilities)] = one.probabilities
    stretches = np.array_split(np.arange(many), min(_STRETCHES, many))
    by_stretch = np.array([shares[stretch].mean(0) for stretch in stretches])
    weight = np.linspace(0.2, 1.0, len(by_stretch)) @ by_stretch
    own = sorted(range(len(state.slate)), key=lambda place: (-weight[place], place))[:_OWN]
    written = np.array([text in state.written for text in state.slate], bool)
    rest = np.ones(len(state.slate), bool)
    rest[own] = False
    layers = [
        Layer("S", "layer-stored", "all other stored texts", None, by_stretch[:, rest & ~written].sum(1).tolist()),
        Layer("O", "layer-others", "all other new texts", None, by_stretch[:, rest & written].sum(1).tolist()),
    ]
    layers += [Layer("ABCDEF"[number], f"layer-{number}", None, state.slate[place], by_stretch[:, place].tolist())
               for number, place in enumerate(own)]  # fmt: skip
    return [int(stretch[-1]) + 1 for stretch in stretches], [one for one in layers if max(one.values) > 0]


@dataclass(frozen=True)
class Map:
    """Texts by their meaning, on two of its directions.

    Parameters
    ----------
    points : list of dict
        See `experiments.reports.plots.space_map`; what is shown most first.
    explained : float
        Share of what tells the texts apart, as variance, that the two directions hold.
    missing : int
        Texts of which the database has no vector yet.
    """

    points: list[dict[str, Any]]
    explained: float
    missing: int


def embedding_map(engine: Engine, state: State, path: str) -> Map:
    """Return the texts of a slot on the first two principal components of their sentence vectors.

    Those that may be shown, those that wait, and the stored ones that new ones are made of.
    """
    standing = {one.text: one for one in review.texts(state) if one.state in ("live", "approved", "in review")}
    texts = [*standing, *(text for text in state.opening.parents if text not in standing)][:_ON_MAP]
    vectors = vectors_of(engine, texts)
    known = [text for text in texts if text in vectors]
    if len(known) < 3:
        return Map([], 0.0, len(texts) - len(known))
    places, explained = _flattened(torch.stack([vectors[text] for text in known]))
    now = dict(zip(state.slate, state.snapshots[-1].probabilities, strict=False))
    points = [_point(state, text, standing.get(text), now.get(text, 0.0), place, path)
              for text, place in zip(known, places, strict=True)]  # fmt: skip
    points.sort(key=lambda point: -point["shown"])
    for number, point in enumerate(points, start=1):
        point["label"] = str(number) if point["shown"] and number <= _LABELS else ""
    return Map(points, explained, len(texts) - len(known))


def _flattened(vectors: torch.Tensor) -> tuple[list[list[float]], float]:
    """Return the two coordinates of each vector (n, S), and the share of the variance that they hold."""
    centred = vectors.double() - vectors.double().mean(0)
    _, scale, directions = torch.linalg.svd(centred, full_matrices=False)
    first = directions[:2]
    signs = torch.sign(first.gather(1, first.abs().argmax(1, keepdim=True)))  # one sign on every machine
    total = float(scale.square().sum())
    explained = float(scale[:2].square().sum()) / total if total else 1.0
    return (centred @ (signs * first).T).tolist(), explained


def _point(
    state: State, text: str, standing: review.Standing | None, share: float, place: Sequence[float], path: str
) -> dict[str, Any]:
    new = standing is not None and (standing.lineage is not None or bool(standing.author))
    shown = standing is not None and standing.state in ("live", "approved")
    kind = ("written" if shown else "written, not shown") if new else "stored" if shown else "stored, other"
    return {"x": place[0], "y": place[1], "kind": kind, "text": text, "shown": share,
            "parents": [parent for parent, _ in provenance.parents_of(state, text)] if new else [],
            "href": f"{path}/texts/{text_id(text)}"}  # fmt: skip
