"""A map of texts: places, neighbours, and what the places keep of the space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from copyloom import Report
from experiments.explorer.maps.collection import Collection, MapText
from experiments.explorer.maps.neighbours import Faithfulness, Neighbours, faithfulness, nearest
from experiments.explorer.maps.projection import Plane, projected

_ENDS = 3


@dataclass(frozen=True, eq=False)
class TextMap:
    """Texts on a plane.

    Parameters
    ----------
    collection : Collection
    plane : Plane
    near : Neighbours
        In the space, never on the map.
    faithful : Faithfulness
    method : str
    seed : int
    """

    collection: Collection
    plane: Plane
    near: Neighbours
    faithful: Faithfulness
    method: str
    seed: int

    @property
    def texts(self) -> Sequence[MapText]:
        """The texts, in the order of rows, places and neighbours."""
        return self.collection.texts

    def ends(self) -> list[dict[str, Any]]:
        """Return what lies at both ends of each axis: of principal components alone, others have no axes."""
        if self.plane.shares is None:
            return []
        found = []
        for axis, share in enumerate(self.plane.shares):
            order = np.argsort(self.plane.places[:, axis], kind="stable")
            low, high = ([self.texts[row].text for row in rows] for rows in (order[:_ENDS], order[::-1][:_ENDS]))
            found.append({"share": share, "low": low, "high": high})
        return found

    def summary(self) -> dict[str, Any]:
        """Return what is known of the map as a whole, as ``copyloom map --json`` prints it."""
        texts = self.texts
        return {
            "texts": len(texts), "left_out": self.collection.left_out, "of": self.collection.of,
            "dimensions": int(self.collection.rows.shape[1]), "method": self.method,
            "seed": self.seed if self.method == "umap" else None,
            "variance": None if self.plane.shares is None else list(self.plane.shares), **asdict(self.faithful),
            "in_one_place": bool(np.ptp(self.plane.places, axis=0).max() == 0),
            "kinds": dict(Counter(text.kind for text in texts).most_common()),
            "styles": dict(Counter(text.style or "unknown" for text in texts).most_common()),
            "with_ctr": sum(text.ctr is not None for text in texts), "axes": self.ends(),
        }  # fmt: skip


def map_of(collection: Collection, method: str, seed: int, report: Report) -> TextMap:
    """Return a map of texts.

    Parameters
    ----------
    collection : Collection
    method : str
        ``"pca"`` or ``"umap"``.
    seed : int
        Of UMAP.
    report : callable
        Hears of progress.
    """
    stages = ("flattening", "looking for neighbours", "comparing neighbourhoods")
    report(stages[0], 0, 1)
    plane = projected(collection.rows, method, seed)
    report(stages[0], 1, 1)
    report(stages[1], 0, 1)
    near = nearest(collection.rows)
    report(stages[1], 1, 1)
    report(stages[2], 0, 1)
    faithful = faithfulness(collection.rows, plane.places, near)
    report(stages[2], 1, 1)
    return TextMap(collection, plane, near, faithful, method, seed)
