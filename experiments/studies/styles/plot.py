"""The plot of ``copyloom study styles``: claims of two styles in several spaces, flat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from embeddings.folders import replacing

_PANELS = ("summary embeddings", "sentence embeddings", "mean token embeddings")
_MARKS = (("#0072b2", "o"), ("#d55e00", "^"))
"""Colours that people who do not see red and green tell apart, and shapes for those who print in grey."""


def draw(found: Mapping[str, Any], points: Mapping[str, NDArray[np.float64]], path: Path) -> None:
    """Write a PNG of the spaces' first two principal components, one panel a space; styles colour, but do not place.

    Parameters
    ----------
    found, points
        What `experiments.studies.styles.study.measure` returned.
    """
    figure = Figure(figsize=(12, 5.2), dpi=150, layout=ConstrainedLayoutEngine(wspace=0.05))
    rows = {row["space"]: row for row in found["rows"]}
    for axes, name in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        _panel(axes, points[name], found["styles"], rows[name], name)
    first, second = found["styles"]
    figure.suptitle(f"{first.capitalize()} and {second} claims about the same {found['products']} products, "
                    "arranged without labels", fontsize=13, fontweight="bold")  # fmt: skip
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=11)
    with replacing(path) as partial:
        figure.savefig(partial, format="png")


def _panel(axes: Axes, values: NDArray[np.float64], styles: list[str], row: Mapping[str, Any], name: str) -> None:
    centred = values - values.mean(0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    places, shares = left[:, :2] * scale[:2], scale**2 / np.square(scale).sum()
    places /= np.abs(places).max()
    for number, (style, (colour, mark)) in enumerate(zip(styles, _MARKS, strict=True)):
        x, y = places[number :: len(styles)].T  # claims alternate between the styles
        axes.scatter(x, y, s=26, c=colour, marker=mark, alpha=0.75, linewidths=0.4, edgecolors="white", label=style)
    low, high = row["kmeans_interval"]
    axes.set_title(name.capitalize(), fontsize=12, fontweight="bold", pad=38)
    axes.text(0.5, 1.02, f"k-means without labels: {row['kmeans_accuracy']:.0%} right (95 %: {low:.0%} to {high:.0%})\n"
              f"classifier with labels: {row['linear_accuracy']:.0%}", transform=axes.transAxes, ha="center",
              fontsize=9.5)  # fmt: skip
    axes.set_xlabel(f"first principal component ({shares[0]:.0%} of variance)")
    axes.set_ylabel(f"second principal component ({shares[1]:.0%})")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(False)
