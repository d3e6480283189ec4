"""The figure of ``copyloom study registers``: each model on each register, task by task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.studies.registers.scores import HEADLINES, MEASURES


def draw(found: Mapping[str, Any]) -> Figure:
    """Return the figure; a register's own model is framed, and darker is better.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.registers.study.measure` returned.
    """
    count = len(found["registers"])
    figure = Figure(figsize=(1.6 + 0.78 * count * len(HEADLINES), 2 + 0.42 * count), layout="constrained")
    panels = figure.subplots(1, len(HEADLINES), sharey=True)
    for axes, name in zip(panels, HEADLINES, strict=True):
        _panel(axes, found, name)
    panels[0].set_yticks(range(count + 1), [f"learnt from {model}" for model in found["models"]], fontsize=9)
    return figure


def _panel(axes: Axes, found: Mapping[str, Any], name: str) -> None:
    measure, registers, models = MEASURES[name], found["registers"], found["models"]
    values = {(row["model"], row["register"]): row["value"] for row in found["matrix"] if row["measure"] == name}
    for column, register in enumerate(registers):
        known = [values[model, register] for model in models if (model, register) in values]
        for row, model in enumerate(models):
            if (model, register) not in values:
                continue
            value = values[model, register]
            good = (value - min(known)) / max(max(known) - min(known), 1e-9)
            shade = good if measure.better == "high" else 1 - good
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=(0, 0.447, 0.698, 0.08 + 0.72 * shade)))
            axes.text(column, row, f"{value:.0%}" if measure.share else f"{value:.2f}", ha="center", va="center",
                      fontsize=9, color="white" if shade > 0.6 else "black")  # fmt: skip
            if model == register:
                axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, linewidth=1.8,
                                         edgecolor="#d55e00"))  # fmt: skip
    axes.set_title(f"{measure.title}\n({measure.better}er is better)", fontsize=9)
    axes.set_xticks(range(len(registers)), registers, fontsize=8, rotation=25, ha="right")
    axes.set_xlim(-0.5, len(registers) - 0.5)
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
