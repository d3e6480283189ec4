"""The figure of ``copyloom study preferences``: part-worths with their intervals, and the attributes' importance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    for axes in (left, right):
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    return figure


def _draw_levels(axes: Axes, levels: list[Mapping[str, Any]]) -> None:
    axes.axvline(0, color=_REFERENCE, linewidth=1)
    known = [(place, row) for place, row in enumerate(levels) if row["part_worth"] is not None]
    for place, row in known:
        axes.plot(row["part_worth"], place, "o", color=_MARK, markersize=4)
        if row["low"] is not None:
            axes.plot((row["low"], row["high"]), (place, place), color=_MARK, linewidth=1.5)
    ends = sorted(max(abs(row["low"]), abs(row["high"])) for _, row in known if row["low"] is not None)
    if ends:  # the widest tenth, of levels that are rare, may reach beyond
        most = 1.1 * max(ends[int(0.9 * (len(ends) - 1))], max(abs(row["part_worth"]) for _, row in known))
        axes.set_xlim(-most, most)
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
        axes.plot(row["importance"], middle, "D", color=_MARK, markersize=5, label="importance" if not number else None)
        if row["importance_interval"]:
            axes.plot(row["importance_interval"], (middle, middle), color=_MARK, linewidth=1.5)
        axes.plot(row["importance_by_chance"], middle, "|", color=_REFERENCE, markersize=11, markeredgewidth=1.5)
    axes.plot([], [], "|", color=_REFERENCE, markersize=9, markeredgewidth=1.5, label="what noise alone gives")
    axes.plot([], [], "D", color=_MARK, markersize=5, label="estimate, 95 % interval")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    handles.pop("importance", None)
    axes.legend(handles.values(), handles, frameon=False, fontsize=7, loc="lower right")
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
