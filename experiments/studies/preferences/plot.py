"""The figure of ``copyloom study preferences``: part-worths with their intervals, and the attributes' importance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

_MARK, _REFERENCE, _BAND = "#0072b2", "#555555", "#f2f4f7"
_ROW = 0.21
"""Inches a level."""


def draw(found: Mapping[str, Any]) -> Figure:
    """Return the figure; bars are 95 % intervals, of one comparison each.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.preferences.study.measure` returned.
    """
    levels = found["part_worths"]
    figure = Figure(figsize=(8.6, 1.4 + _ROW * len(levels)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1), sharey=True)
    _draw_levels(left, levels)
    _draw_importance(right, levels, found["attributes"])
    marks = [Line2D([], [], color=_MARK, marker="D", markersize=5), Line2D([], [], color=_REFERENCE, marker="|",
             markersize=10, markeredgewidth=1.5, linestyle="")]  # fmt: skip
    figure.legend(marks, ["estimate, 95 % interval", "importance that noise alone gives"], loc="outside lower right",
                  ncols=2, frameon=False, fontsize=8)  # fmt: skip
    for axes in (left, right):
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    return figure


def reach(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return how far from 0 a scale of part-worths goes: all of their intervals, but for a few that are far wider."""
    ends = sorted(max(abs(row["low"]), abs(row["high"])) for row in rows if row["low"] is not None)
    return min(ends[-1], 3 * ends[int(0.75 * (len(ends) - 1))]) if ends else 1.0


def _draw_levels(axes: Axes, levels: list[Mapping[str, Any]]) -> None:
    axes.axvline(0, color=_REFERENCE, linewidth=1)
    known = [(place, row) for place, row in enumerate(levels) if row["part_worth"] is not None]
    for place, row in known:
        axes.plot(row["part_worth"], place, "o", color=_MARK, markersize=4)
        if row["low"] is not None:
            axes.plot((row["low"], row["high"]), (place, place), color=_MARK, linewidth=1.5)
    most = reach(levels)
    axes.set_xlim(-1.04 * most, 1.04 * most)
    for place, row in known:
        for end, sign, arrow in ((row["low"], -1, "<"), (row["high"], 1, ">")):
            if end is not None and sign * end > 1.04 * most:
                axes.plot(sign * 1.02 * most, place, arrow, color=_MARK, markersize=5, clip_on=False)
    names = [f"{row['attribute']}: {row['level']}" for row in levels]
    axes.set_yticks(range(len(levels)), names, fontsize=8)
    axes.set_ylim(len(levels) - 0.5, -0.5)
    axes.set_xlabel("part-worth, logits", fontsize=9)
    axes.set_title("Part-worths, 95 % intervals", fontsize=10)
    for number, (first, last) in enumerate(_blocks(levels).values()):
        if number % 2 == 0:
            axes.axhspan(first - 0.5, last + 0.5, color=_BAND, zorder=0, linewidth=0)


def _draw_importance(axes: Axes, levels: list[Mapping[str, Any]], attributes: list[Mapping[str, Any]]) -> None:
    blocks = _blocks(levels)
    for number, row in enumerate(attributes):
        first, last = blocks[row["attribute"]]
        middle = (first + last) / 2
        if number % 2 == 0:
            axes.axhspan(first - 0.5, last + 0.5, color=_BAND, zorder=0, linewidth=0)
        if row["importance"] is None:
            continue
        axes.plot(row["importance"], middle, "D", color=_MARK, markersize=5)
        if row["importance_interval"]:
            axes.plot(row["importance_interval"], (middle, middle), color=_MARK, linewidth=1.5)
        axes.plot(row["importance_by_chance"], middle, "|", color=_REFERENCE, markersize=11, markeredgewidth=1.5)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel("share in all ranges of part-worths", fontsize=9)
    axes.set_title("Relative importance", fontsize=10)


def _blocks(levels: list[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return the first and the last row of each attribute."""
    found: dict[str, tuple[int, int]] = {}
    for place, row in enumerate(levels):
        found[row["attribute"]] = (found.get(row["attribute"], (place,))[0], place)
    return found
