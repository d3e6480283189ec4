"""The plot of ``copyloom study stories``: what was foretold of people's headlines, and what written ones would gain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from embeddings.folders import replacing

_OURS, _LINE = "#0072b2", "#7f7f7f"


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write the plot as PNG, SVG or PDF by the name's ending; bars are 95 % intervals.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.stories.study.measure` returned.
    """
    figure = Figure(figsize=(12.4, 4.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    _foretold(left, found["check"]["bins"])
    _gains(right, found["comparisons"][0]["rows"] if found["comparisons"] else [])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as partial:
        figure.savefig(partial, format=path.suffix.lower().lstrip(".") or "png")


def _foretold(axes: Axes, bins: list[Mapping[str, Any]]) -> None:
    foretold, came = [row["foretold"] for row in bins], [row["came"] for row in bins]
    bars = [[row["came"] - row["came_interval"][0] for row in bins],
            [row["came_interval"][1] - row["came"] for row in bins]]  # fmt: skip
    most = max([*(row["came_interval"][1] for row in bins), *foretold, 0.1])
    axes.plot([0, most], [0, most], color=_LINE, linewidth=1, linestyle="--")
    axes.errorbar(foretold, came, yerr=bars, color=_OURS, marker="o", markersize=5, linewidth=0, elinewidth=1)
    axes.set_title("People's headlines whose clicks were not told", fontsize=11, fontweight="bold")
    axes.set_xlabel("foretold to be clicked more than the best of the others")
    axes.set_ylabel("clicked more")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _gains(axes: Axes, rows: list[Mapping[str, Any]]) -> None:
    names = [f"written: {row['written']}\nhuman: {row['human']}" for row in rows]
    places = list(range(len(rows)))[::-1]
    gains = [row["gain"] for row in rows]
    bars = [[row["gain"] - row["gain_interval"][0] for row in rows],
            [row["gain_interval"][1] - row["gain"] for row in rows]]  # fmt: skip
    axes.axvline(0, color=_LINE, linewidth=1, linestyle="--")
    axes.errorbar(gains, places, xerr=bars, color=_OURS, marker="o", markersize=5, linewidth=0, elinewidth=1)
    axes.set_yticks(places, names, fontsize=9)
    axes.set_title("Expected clicks of a written headline beside a human one", fontsize=11, fontweight="bold")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
