"""The figure of ``copyloom study interventions``: side effects against effect, dose by dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from experiments.studies.interventions.matching import EFFECT
from experiments.studies.interventions.ways import CONTEXT, HEADS, LAYER, METHODS, POINT, VECTORS

_LOOKS = {POINT: ("#0072b2", "o"), VECTORS: ("#56b4e9", "s"), LAYER: ("#d55e00", "^"), CONTEXT: ("#009e73", "D"),
          HEADS: ("#cc79a7", "v")}  # fmt: skip
_REFERENCE = "#555555"
_PANELS = (("cosine", "cosine to the text left"), ("true", "true to the record"),
           ("excess", "nats a token more than the text left"))  # fmt: skip
_MOST_NATS = 3.0


def draw(found: Mapping[str, Any]) -> Figure:
    """Return the figure; crosses are 95 % intervals over texts.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.interventions.study.measure` returned.
    """
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, 3), _PANELS, strict=True):
        _draw(axes, found, name)
        axes.set_ylabel(label, fontsize=9)
    handles = [Line2D([], [], color=color, marker=mark, markersize=5) for color, mark in _LOOKS.values()]
    handles += [Line2D([], [], color=_REFERENCE, marker=".", linestyle=":"),
                Line2D([], [], color="black", marker="*", markersize=9, linestyle="")]  # fmt: skip
    labels = [*(METHODS[name] for name in _LOOKS), "random direction of the same size, same colour",
              "claims of the grammar in the style"]  # fmt: skip
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _draw(axes: Axes, found: Mapping[str, Any], name: str) -> None:
    for method, (color, mark) in _LOOKS.items():
        for random in (True, False):
            rows = _doses(found, method, random)
            style = ":" if random else "-"
            axes.plot([row[EFFECT] for row in rows], [_cut(row[name], name) for row in rows], style, color=color,
                      linewidth=1.0 if random else 1.4, marker="." if random else mark, markersize=4)  # fmt: skip
            for row in [] if random else rows[1:]:
                (left, right), (low, high) = row[f"{EFFECT}_interval"], row[f"{name}_interval"]
                axes.plot((left, right), [_cut(row[name], name)] * 2, color=color, linewidth=0.6, alpha=0.6)
                axes.plot([row[EFFECT]] * 2, (_cut(low, name), _cut(high, name)), color=color, linewidth=0.6, alpha=0.6)
    real = found["grammar"]
    axes.plot(real[EFFECT], _cut(real[name], name), "*", color="black", markersize=9)
    axes.axvline(found["target"], color=_REFERENCE, linewidth=0.8, linestyle="--")
    axes.set_xlabel("in the wished style and readable", fontsize=9)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    if name == "true":
        axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _doses(found: Mapping[str, Any], method: str, random: bool) -> Sequence[Mapping[str, Any]]:
    own = [row for row in found["doses"] if row["method"] == method and row["random"] == random]
    return [found["doses"][0], *own]  # from the texts as they were


def _cut(value: float, name: str) -> float:
    """Return what is drawn: of babble, no more nats than that it is babble."""
    return min(value, _MOST_NATS) if name == "excess" else value
