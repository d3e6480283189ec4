"""The plot of ``copyloom study headlines``: how far each entrant gets from uniform to the ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from embeddings.folders import replacing
from experiments.studies.headlines.settings import CEILING, ORACLE

_COLOURS = {
    "ours": "#0072b2", "ours to name the best": "#9ecae1", "ours without words": "#56b4e9", "lola": "#d55e00",
    "ucb": "#e69f00", "thompson": "#009e73", "words alone": "#cc79a7", "explore then commit": "#7f7f7f",
}  # fmt: skip
"""Colours that people who do not see red and green tell apart."""


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write the plot, one panel a truth, as PNG, SVG or PDF by the name's ending; bars are 95 % intervals over tests.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.headlines.study.measure` returned.
    """
    truths = list(found["truths"])
    figure = Figure(figsize=(6.2 * len(truths), 5.4), dpi=150, layout="constrained")
    for axes, truth in zip(figure.subplots(1, len(truths), sharey=True, squeeze=False)[0], truths, strict=True):
        _panel(axes, [row for row in found["rows"] if row["truth"] == truth])
        axes.set_title(f"{truth.capitalize()} rates", fontsize=11, fontweight="bold")
    figure.axes[0].set_ylabel("share of the way from uniform to the ceiling")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    figure.suptitle(f"{found['tests']:,} tests of headlines, replayed", fontsize=12)
    with replacing(path) as partial:
        figure.savefig(partial, format=path.suffix.lower().lstrip(".") or "png")


def _panel(axes: Axes, rows: list[Mapping[str, Any]]) -> None:
    names = [name for name in dict.fromkeys(row["entrant"] for row in rows) if name not in ("uniform", CEILING, ORACLE)]
    axes.axhline(0, color="#7f7f7f", linewidth=1)
    axes.axhline(1, color="#000000", linewidth=1, linestyle="--")
    for place, name in enumerate(names):
        own = [row for row in rows if row["entrant"] == name]
        shift = 1.02 ** (place - len(names) / 2)  # so that bars do not hide each other
        taus, shares = [row["tau"] * shift for row in own], [row["ceiling_share"] for row in own]
        bars = [[share - row["ceiling_share_interval"][0] for share, row in zip(shares, own, strict=True)],
                [row["ceiling_share_interval"][1] - share for share, row in zip(shares, own, strict=True)]]  # fmt: skip
        axes.errorbar(taus, shares, yerr=bars, label=name, color=_COLOURS[name], marker="o", markersize=4,
                      linewidth=1.6, elinewidth=0.8)  # fmt: skip
    taus = sorted({row["tau"] for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(taus, [f"{tau:,}" for tau in taus])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("impressions a headline")
    axes.spines[["top", "right"]].set_visible(False)
