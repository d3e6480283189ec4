"""The figures of ``copyloom study eagle``: what methods gain, and how agents learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.studies.eagle.methods import BEST_OF, DESIGN, EXISTING, OPTIMISTIC, READS, REFERENCES, UNIFORM, agent
from experiments.studies.eagle.scores import GAIN, SECOND, STRANGE

COLOURS = {UNIFORM: "#0072b2", OPTIMISTIC: "#d55e00", DESIGN: "#009e73"}
_SHOWN = (GAIN, SECOND, STRANGE)
_ORDER = (*(name for one in REFERENCES for name in (one, agent(one))), BEST_OF, READS, EXISTING)


def draw_edited(found: Mapping[str, Any]) -> Figure:
    """Return what each method gains, by audience, with 95 % intervals over seeds and films.

    Parameters
    ----------
    found : mapping
        What `experiments.studies.eagle.study.measure` returned.
    """
    audiences = [row["audience"] for row in found["audiences"]]
    told = {row["method"] for row in found["edited"]}
    methods = [one for one in _ORDER if one in told]
    figure = Figure(figsize=(11, 0.9 + (0.5 + 0.26 * len(methods)) * len(audiences)), layout="constrained")
    panels = figure.subplots(len(audiences), len(_SHOWN), sharex="col", squeeze=False)
    for line, audience in zip(panels, audiences, strict=True):
        for axes, measure in zip(line, _SHOWN, strict=True):
            rows = {row["method"]: row for row in found["edited"]
                    if row["audience"] == audience and row["measure"] == measure}  # fmt: skip
            for place, method in enumerate(methods):
                row, reference = rows[method], method.removeprefix("agent, ")
                axes.errorbar(row["value"], place, xerr=[[row["value"] - row["low"]], [row["high"] - row["value"]]],
                              fmt="o" if method.startswith("agent") else "s", markersize=4.5, linewidth=1.2,
                              color=COLOURS.get(reference, "#555555"))  # fmt: skip
            axes.axvline(0, color="black", linewidth=0.6)
            axes.set_ylim(len(methods) - 0.5, -0.5)
            axes.set_yticks(range(len(methods)), methods if axes is line[0] else [], fontsize=8)
            axes.grid(axis="x", linewidth=0.4)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_title(f"{measure}, {audience}", fontsize=9, loc="left")
    return figure


def draw_learning(found: Mapping[str, Any]) -> Figure:
    """Return the mean reward of each iteration by reference policy, mean over seeds with the middle half of them."""
    audiences = [row["audience"] for row in found["audiences"]]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    panels = figure.subplots(1, len(audiences), sharey=True, squeeze=False)[0]
    for axes, audience in zip(panels, audiences, strict=True):
        for reference in REFERENCES:
            rows = [row for row in found["learning"] if (row["audience"], row["reference"]) == (audience, reference)]
            steps = sorted({row["iteration"] for row in rows})
            rewards = np.array([[row["reward"] for row in rows if row["iteration"] == step] for step in steps])
            axes.plot(steps, rewards.mean(1), color=COLOURS[reference], label=reference)
            low, high = np.quantile(rewards, (0.25, 0.75), axis=1)
            axes.fill_between(steps, low, high, color=COLOURS[reference], alpha=0.15)
        axes.set_xlabel("iteration", fontsize=8)
        axes.set_title(audience, fontsize=9, loc="left")
        axes.grid(linewidth=0.4)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mean gain of a trajectory", fontsize=8)
    panels[0].legend(fontsize=8, frameon=False)
    return figure
