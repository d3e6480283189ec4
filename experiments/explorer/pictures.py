"""Pictures of a point: what happens when it is moved, and what its words are owed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from experiments.reports.report import pictured

Rows = Sequence[Sequence[float]]

_WIDE, _NARROW = 8.2, 4.3
"""Inches, for a desktop and a phone."""
_COLOURS = {"random": "#0072b2", "principal": "#d55e00", "steering": "#009e73"}
_NAMES = {"random": "random", "principal": "where stored texts differ", "steering": "towards styles"}
_TELL = 0.35
"""Share of the greatest above which a number is written into its square."""
_LONGEST = 18
_FAINT = 0.05
"""Nats, or change of a probability, below which a token has no row in a picture."""


def pictures_of(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the pictures of what `experiments.explorer.exploring.explore` returned, wide and narrow, as data URIs."""
    drawn: dict[str, list[str]] = {}
    if any(basin["rings"] for basin in found["basins"]):
        drawn["moved"] = [pictured(moved(found["basins"], inches)) for inches in (_WIDE, _NARROW)]
    if (owed := found["owed"]) and (rows := rows_that_owe(owed)):
        words = [words_of_tokens(found["tokens"])[row] for row in rows]
        some = {name: [owed[name][row] for row in rows] for name in ("vectors", "parents", "along") if owed[name]}
        for name, values in some.items():
            drawn[name] = [pictured(_DRAWN[name](values, owed["way"], words, inches)) for inches in (_WIDE, _NARROW)]
    return drawn


def rows_that_owe(owed: Mapping[str, Any]) -> list[int]:
    """Return the places of tokens that owe something to the point, or change on the way between its parents."""
    kept = []
    for row, brought in enumerate(owed["vectors"]):
        chances = np.exp(owed["along"][row]) if owed["along"] else np.zeros(1)
        parents = owed["parents"][row] if owed["parents"] else ()
        if max(map(abs, (*brought, *parents))) >= _FAINT or float(np.ptp(chances)) >= _FAINT:
            kept.append(row)
    return kept


def words_of_tokens(tokens: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what each token adds, as a label: with a hyphen where it goes on with a word, shortened."""
    labels = []
    for place, token in enumerate(tokens):
        text = "■ end" if token["text"] is None else token["text"]
        whole = text.strip() or "(part)"
        labels.append(f"-{whole}" if place and whole == text and text[0].isalnum() else whole)
    return [label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…" for label in labels]


def moved(basins: Sequence[Mapping[str, Any]], inches: float) -> Figure:
    """Draw how long the text stays and how its meaning goes as the point is moved, along each kind of direction."""
    wide = inches == _WIDE
    figure = Figure(figsize=(inches, 3.4 if wide else 5.6), layout="constrained")
    axes = figure.subplots(1, 2) if wide else figure.subplots(2, 1)
    for basin in (basin for basin in basins if basin["rings"]):
        x = [ring["distance"] for ring in basin["rings"]]
        for panel, name, marker in zip(axes, ("kept", "cosine"), "os", strict=True):
            y, bars = np.array([ring[name] for ring in basin["rings"]]), None
            if basin["kind"] == "random":
                low, high = np.array([ring[f"{name}_interval"] for ring in basin["rings"]]).T
                bars = [np.maximum(y - low, 0), np.maximum(high - y, 0)]
            panel.errorbar(x, y, bars, marker=marker, ms=4, capsize=2, color=_COLOURS[basin["kind"]],
                           label=_NAMES[basin["kind"]])  # fmt: skip
    for panel, label in zip(axes, ("directions that keep the text", "likeness in meaning (cosine)"), strict=True):
        panel.set(xscale="log", xlabel="moved by, as a share of its length", ylabel=label, ylim=(None, 1.04))
        panel.xaxis.set_major_locator(LogLocator(10, (1, 3), numticks=5))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", alpha=0.3)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def _vectors(values: Rows, way: Sequence[float], words: Sequence[str], inches: float) -> Figure:
    """Draw what each vector (columns) brings to each token (rows), in nats."""
    return _squares(values, words, inches, "vector", [str(number + 1) for number in range(len(values[0]))])


def _parents(values: Rows, way: Sequence[float], words: Sequence[str], inches: float) -> Figure:
    """Draw what each parent's weight (columns) brings to each token (rows), in nats."""
    return _squares(values, words, inches, "parent", [str(number + 1) for number in range(len(values[0]))])


def _along(values: Rows, way: Sequence[float], words: Sequence[str], inches: float) -> Figure:
    """Draw how probable each token (rows) is on the way from one parent to the other (columns)."""
    figure, axes = _tall(words, inches)
    drawn = axes.imshow(np.exp(np.array(values)), aspect="auto", cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(drawn, ax=axes, label="probability", format=PercentFormatter(1, 0))
    axes.set(yticks=range(len(words)), yticklabels=words, xlabel="weight of the second parent",
             xticks=range(0, len(way), 2), xticklabels=[f"{weight:.1f}" for weight in way[::2]])  # fmt: skip
    return figure


_DRAWN = {"vectors": _vectors, "parents": _parents, "along": _along}


def _tall(words: Sequence[str], inches: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(inches, 1.1 + 0.21 * len(words)), layout="constrained")
    return figure, figure.subplots()


def _squares(rows: Rows, words: Sequence[str], inches: float, label: str, columns: Sequence[str]) -> Figure:
    """Draw nats as squares, blue for what helps and red for what hinders, the greatest written in."""
    values = np.array(rows)
    most = max(float(np.abs(values).max()), 1e-9)
    figure, axes = _tall(words, inches)
    drawn = axes.imshow(values, aspect="auto", cmap="RdBu", vmin=-most, vmax=most)
    figure.colorbar(drawn, ax=axes, label="nats")
    axes.set(yticks=range(len(words)), yticklabels=words, xlabel=label, xticks=range(len(columns)), xticklabels=columns)
    for row, column in zip(*np.nonzero(np.abs(values) > _TELL * most), strict=True):
        axes.text(column, row, f"{values[row, column]:.1f}", ha="center", va="center", fontsize=7, color="white")
    return figure
