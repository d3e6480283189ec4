"""Figures of ``copyloom study uplift``: learning curves, uplift by entrant, and how campaigns differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from experiments.reports.tables import write_figure
from experiments.studies.uplift.settings import MIX, STORED

_COLOURS = {
    "mix": "#0072b2", "stored": "#5f5f5f", "again": "#d55e00", "encoder": "#56b4e9", "prompted": "#cc79a7",
    "human": "#009e73",
}  # fmt: skip
"""Colours that people who do not see red and green tell apart."""
_LINES: dict[str, Any] = {
    "mix": "-", "stored": "--", "again": "-.", "encoder": (0, (5, 1)), "prompted": ":", "human": (0, (3, 1, 1, 1)),
}  # fmt: skip
_REFERENCES = {"ctr_best_stored": ("best stored text", (0, (1, 2))), "ctr_uniform": ("stored texts alike", (0, (1, 5)))}
_PANELS = 3
"""In a row."""
_ROOM, _FURTHEST = 1.2, 3.0
"""How far axes go beyond the highest mean rate, and beyond the largest gain: wide intervals would hide all else."""


def draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write all figures into a folder, as SVG and PDF.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.uplift.study.measure` returned.
    folder : Path
    """
    figures = {"learning": curves(found), "uplift": uplifts(found), "campaigns": spread(found)}
    return [file for name, figure in figures.items() for file in write_figure(figure, folder / name)]


def curves(found: Mapping[str, Any]) -> Figure:
    """Return the expected click rate along a campaign, a panel for each setting; bands are 95 % intervals."""
    figure, panels = _panels(found["groups"], 3.6)
    for axes, group in zip(panels, found["groups"], strict=True):
        for name, curve in group["curves"].items():
            axes.plot(curve["impressions"], curve["mean"], label=name, color=_COLOURS[name], linestyle=_LINES[name],
                      linewidth=_width(name))  # fmt: skip
            if name in (MIX, STORED) and None not in curve["low"]:
                axes.fill_between(curve["impressions"], curve["low"], curve["high"], color=_COLOURS[name], alpha=0.13,
                                  linewidth=0)  # fmt: skip
        for name, (words, line) in _REFERENCES.items():
            axes.axhline(group[name], color="#000000", linewidth=1, linestyle=line, label=words)
        means = [rate for curve in group["curves"].values() for rate in curve["mean"]]
        axes.set_ylim(0, _ROOM * max(*means, group["ctr_best_stored"]))
        axes.margins(x=0)
        axes.set_xlabel("impressions")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.1f} %"))
    _finish(figure, panels, "expected click rate")
    return figure


def uplifts(found: Mapping[str, Any]) -> Figure:
    """Return what each entrant gains against stored texts alone, with 95 % intervals, a panel for each setting."""
    figure, panels = _panels(found["groups"], 0.7 + 0.36 * len(found["entrants"]))
    for axes, group in zip(panels, found["groups"], strict=True):
        names = [name for name in group["entrants"] if name != STORED]
        gains = [group["entrants"][name]["uplift"] for name in names]
        most = _FURTHEST * max(0.05, *map(abs, gains))
        axes.axvline(0, color="#7f7f7f", linewidth=1)
        for place, name in enumerate(reversed(names)):
            own, colour = group["entrants"][name], _COLOURS[name]
            low, high = own["uplift_interval"] or (own["uplift"],) * 2
            axes.plot([max(low, -most), min(high, most)], [place] * 2, color=colour, linewidth=2.2)
            for beyond, end, marker in ((low < -most, -most, "<"), (high > most, most, ">")):
                if beyond:
                    axes.plot(end, place, marker, color=colour, markersize=7, clip_on=False)
            axes.plot(own["uplift"], place, "o", color=colour, markersize=7)
        axes.set_xlim(-most, most)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_yticks(range(len(names)), reversed(names))
        _gains(axes.xaxis)
    return figure


def spread(found: Mapping[str, Any]) -> Figure:
    """Return how the campaigns of each entrant differ: for each gain, the share of campaigns that gain less."""
    figure, panels = _panels(found["groups"], 3.3)
    for axes, group in zip(panels, found["groups"], strict=True):
        axes.axvline(0, color="#7f7f7f", linewidth=1)
        for name, gains in group["uplifts"].items():
            ordered = np.sort(gains)
            steps = np.arange(1, len(ordered) + 1) / len(ordered)
            axes.step([ordered[0], *ordered], [0, *steps], where="post", color=_COLOURS[name], linestyle=_LINES[name],
                      linewidth=_width(name), label=name)  # fmt: skip
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        _gains(axes.xaxis)
    _finish(figure, panels, "share of campaigns that gain less")
    return figure


def setting_in_words(group: Mapping[str, Any]) -> str:
    """Return the world, traffic and pool of a group, and its drift where there is one."""
    drift = f", half-life {group['half_life']:g} snapshots" if group["half_life"] else ""
    return f"{group['world']}, {group['impressions']:,} impressions, {group['pool']} texts{drift}"


def _width(name: str) -> float:
    return 2.2 if name == MIX else 1.6


def _gains(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0"))
    axis.set_label_text("clicks gained at the end")


def _panels(groups: Sequence[Mapping[str, Any]], height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with an axes for each group, each under its setting."""
    across = min(len(groups), _PANELS)
    down = -(-len(groups) // across)
    figure = Figure(figsize=(max(8.4, 4.2 * across), height * down + 0.8), dpi=150, layout="constrained")
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for unused in every[len(groups) :]:
        unused.set_visible(False)
    for axes, group in zip(every, groups, strict=False):
        axes.set_title(setting_in_words(group), fontsize=9.5, fontweight="bold", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5)
    return figure, every[: len(groups)]


def _finish(figure: Figure, panels: Sequence[Axes], rates: str) -> None:
    """Name the upright axis of each row, and what is drawn, below."""
    for axes in panels[::_PANELS]:
        axes.set_ylabel(rates)
    handles, names = panels[0].get_legend_handles_labels()
    columns = len(names) if len(names) <= _PANELS * len(panels) else -(-len(names) // 2)
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
