"""The page of a point: one HTML file that opens without a network, for readers who know no linear algebra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from embeddings.folders import replacing
from experiments.reports.report import embedded, environment, write_page

PAGE = "point.html"
_SURE, _UNSURE = 0.9, 0.5


def write(found: Mapping[str, Any], path: Path) -> None:
    """Write the page of what `experiments.explorer.exploring.explore` returned."""
    pictures = [_picture(found, inches) for inches in (8.2, 4.3)] if found["rings"] else None
    page = environment().get_template("point.html.j2").render(
        {**found, "shades": [_shade(token["probability"]) for token in found["tokens"]]},
        pictures=pictures, verdict=verdict(found),
    )  # fmt: skip
    write_page(page, path)


def verdict(found: Mapping[str, Any]) -> str:
    """Return in a sentence what the point says and how firmly."""
    said = f"It says “{found['decoded']}”" if found["decoded"].strip() else "It says nothing"
    if not found["finished"]:
        said += ", and does not come to an end"
    if (radius := found["basin_middle"]) is None:
        return f"{said}, however far it is moved."
    firm = "firmly" if radius >= 0.3 else "rather firmly" if radius >= 0.1 else "loosely"
    return f"{said}, {firm}: half of all random ways out change it within {radius:.0%} of its length."


def _picture(found: Mapping[str, Any], inches: float) -> str:
    with TemporaryDirectory() as folder:
        draw(found, file := Path(folder) / "plot.svg", inches)
        return embedded(file)


def draw(found: Mapping[str, Any], path: Path, inches: float = 8.2) -> None:
    """Draw how what is said changes with the distance, so many inches wide."""
    figure = Figure(figsize=(inches, 3.4), layout="constrained")
    axes = figure.subplots()
    x = [0.0, *(ring["distance"] for ring in found["rings"])]
    kept, near = ([1.0, *(ring[name] for ring in found["rings"])] for name in ("kept", "cosine"))
    axes.plot(x, kept, marker="o", color="#0072b2", label="ways along which the text is the same")
    axes.plot(x, near, marker="s", color="#d55e00", label="likeness in meaning (cosine)")
    if found["basin_radius"] is not None:
        axes.axvspan(0, found["basin_radius"], color="#009e73", alpha=0.15, lw=0, label="safe")
    axes.set(xlabel="moved by, as a share of its own length", ylim=(min(0.0, *near) - 0.03, 1.05), xlim=(0, None))
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    with replacing(path) as new:
        figure.savefig(new, format="svg")


def _shade(probability: float) -> str:
    return "sure" if probability >= _SURE else "unsure" if probability < _UNSURE else "fair"
