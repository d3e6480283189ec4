"""The figures of ``copyloom study elm``: consistency by task and method, and what is said between and beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.studies.elm.answering import (
    AVERAGE,
    CONSTANT,
    ELM,
    METHODS,
    NEAREST,
    POINT,
    PROMPTED,
    REWARDED,
    RULES,
    TOLD,
)
from experiments.studies.elm.scores import MEASURES

COLOURS = {ELM: "#d55e00", REWARDED: "#e69f00", TOLD: "#0072b2", AVERAGE: "#009e73", NEAREST: "#555555",
           POINT: "#56b4e9", CONSTANT: "#8c564b", PROMPTED: "#cc79a7", RULES: "#bbbbbb"}  # fmt: skip
_TO = {"point": "to its own point", "first": "to the first film", "second": "to the second film"}


def draw_tasks(found: Mapping[str, Any]) -> Figure:
    """Return each task's measures by method, with 95 % intervals.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.elm.study.measure` returned.
    """
    names = list(dict.fromkeys(row["task"] for row in found["tasks"]))
    figure = Figure(figsize=(11, 1.4 + 0.36 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(MEASURES), sharey=True)
    for axes, measure in zip(panels, MEASURES, strict=True):
        for place, method in enumerate((*METHODS, RULES)):
            rows = [row for row in found["tasks"] if row["measure"] == measure and row["method"] == method]
            at = [names.index(row["task"]) + (place - 4) * 0.1 for row in rows]
            spans = [
                [max(sign * (row[end] - row["value"]), 0) for row in rows] for end, sign in (("low", -1), ("high", 1))
            ]
            axes.errorbar([row["value"] for row in rows], at, xerr=spans, fmt="o", markersize=3, linewidth=0.9,
                          color=COLOURS[method], label=method)  # fmt: skip
        axes.set_xlabel(measure, fontsize=9)
        axes.grid(axis="x", linewidth=0.4)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    panels[-1].legend(fontsize=8, frameon=False)
    return figure


def draw_curves(found: Mapping[str, Any]) -> Figure:
    """Return how near descriptions lie between two films and beyond, and along directions, with 95 % intervals."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    upper, lower = figure.subplots(2, 3)
    for axes, to in zip(upper, _TO, strict=True):
        rows = [row for row in found["between"] if row["to"] == to]
        _curves(axes, rows, "weight", "value")
        axes.axvspan(0, 1, color="black", alpha=0.05, linewidth=0)
        axes.set_xlabel("weight of the first film (outside of 0 to 1: beyond)", fontsize=8)
        axes.set_ylabel(f"cosine {_TO[to]}", fontsize=8)
    for axes, name, label in (
        (lower[0], "named", "share that names the genre"),
        (lower[1], "value", "cosine to its own point"),
    ):
        _curves(axes, found["along"], "angle", name)
        axes.set_xlabel("radians towards a genre's direction", fontsize=8)
        axes.set_ylabel(label, fontsize=8)
    lower[2].axis("off")
    handles, labels = upper[0].get_legend_handles_labels()
    lower[2].legend(handles, labels, fontsize=9, frameon=False, loc="center")
    return figure


def _curves(axes: Axes, rows: Sequence[Mapping[str, Any]], along: str, name: str) -> None:
    low, high = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        at = [row[along] for row in own]
        axes.plot(at, [row[name] for row in own], marker="o", markersize=3, color=COLOURS[method], label=method)
        axes.fill_between(at, [row[low] for row in own], [row[high] for row in own], color=COLOURS[method], alpha=0.15)
    axes.grid(linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(False)
