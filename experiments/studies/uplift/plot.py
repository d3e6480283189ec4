"""Figures of ``copyloom study uplift``: learning curves, uplift by entrant, and how campaigns differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from experiments.reports.tables import write_figure
from experiments.studies.uplift.settings import STORED

COLOURS = {
    "mix": "#0072b2", "stored": "#7f7f7f", "again": "#d55e00", "encoder": "#56b4e9", "prompted": "#cc79a7",
    "human": "#009e73",
}  # fmt: skip
"""Colours that people who do not see red and green tell apart."""
_LINES = {
    "mix": "-",
    "stored": "--",
    "again": "-.",
    "encoder": (0, (5, 1)),
    "prompted": ":",
    "human": (0, (3, 1, 1, 1)),
}
_PANELS = 3
"""In a row."""


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
            axes.plot(curve["impressions"], curve["mean"], color=COLOURS[name], linestyle=_LINES[name], linewidth=1.8,
                      label=name)  # fmt: skip
            if name in ("mix", STORED) and None not in curve["low"]:
                axes.fill_between(curve["impressions"], curve["low"], curve["high"], color=COLOURS[name], alpha=0.13,
                                  linewidth=0)  # fmt: skip
        for name, style in (("ctr_best_stored", (0, (1, 2))), ("ctr_uniform", (0, (1, 4)))):
            axes.axhline(group[name], color="#000000", linewidth=0.9, linestyle=style)
            words = {"ctr_best_stored": "best stored text", "ctr_uniform": "stored texts alike"}[name]
            axes.annotate(words, (1, group[name]), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                          fontsize=7.5, color="#404040")  # fmt: skip
        axes.set_xlabel("impressions")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        axes.margins(x=0)
    panels[0].set_ylabel("expected click rate")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    return figure


def uplifts(found: Mapping[str, Any]) -> Figure:
    """Return what each entrant gains against stored texts alone, with 95 % intervals, a panel for each setting."""
    figure, panels = _panels(found["groups"], 0.9 + 0.34 * len(found["entrants"]))
    for axes, group in zip(panels, found["groups"], strict=True):
        names = [name for name in group["entrants"] if name != STORED]
        axes.axvline(0, color="#7f7f7f", linewidth=1)
        for place, name in enumerate(reversed(names)):
            own = group["entrants"][name]
            if own["uplift_interval"] is not None:
                axes.plot(own["uplift_interval"], [place] * 2, color=COLOURS[name], linewidth=2.2)
            axes.plot(own["uplift"], place, "o", color=COLOURS[name], markersize=7)
        axes.set_yticks(range(len(names)), reversed(names))
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0"))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("clicks gained at the end")
    return figure


def spread(found: Mapping[str, Any]) -> Figure:
    """Return how the campaigns of each entrant differ: for each gain, the share of campaigns that gain less."""
    figure, panels = _panels(found["groups"], 3.3)
    for axes, group in zip(panels, found["groups"], strict=True):
        axes.axvline(0, color="#7f7f7f", linewidth=1)
        for name, gains in group["uplifts"].items():
            ordered = np.sort(gains)
            steps = np.arange(1, len(ordered) + 1) / len(ordered)
            axes.step([ordered[0], *ordered], [0, *steps], where="post", color=COLOURS[name], linestyle=_LINES[name],
                      linewidth=1.6, label=name)  # fmt: skip
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0"))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("clicks gained at the end")
        axes.set_ylim(0, 1)
    panels[0].set_ylabel("share of campaigns that gain less")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    return figure


def setting_in_words(group: Mapping[str, Any]) -> str:
    """Return the world, traffic and pool of a group, and its drift where there is one."""
    drift = f", half-life {group['half_life']:g} snapshots" if group["half_life"] else ""
    return f"{group['world']}, {group['impressions']:,} impressions, {group['pool']} texts{drift}"


def _panels(groups: Sequence[Mapping[str, Any]], height: float) -> tuple[Figure, list[Axes]]:
    across = min(len(groups), _PANELS)
    down = -(-len(groups) // across)
    figure = Figure(figsize=(max(4.6, 4.2 * across), height * down + 0.8), dpi=150, layout="constrained")
    every = list(figure.subplots(down, across, squeeze=False).flat)
    for unused in every[len(groups) :]:
        unused.set_visible(False)
    for axes, group in zip(every, groups, strict=False):
        axes.set_title(setting_in_words(group), fontsize=9.5, fontweight="bold", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5)
    return figure, every[: len(groups)]
