"""The figures of ``copyloom study space``: spaces side by side, and which qualities go with what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.studies.space.correlations import QUALITIES, WANTED
from experiments.studies.space.spaces import SPACES

_COLOURS, _MARKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555"), ("o", "^", "s", "D", "v")
"""Colours that people who do not see red and green tell apart, and shapes for those who print in grey."""
_PANELS = (
    ("mean_cosine", "cosine of any two texts", "mean over all pairs"),
    ("rank_agreement", "order of cosines, standardised", "Spearman's correlation with that before"),
    ("agreement", "cosine and what texts share", "Spearman's correlation"),
    ("learned_linear", "linear rewards learned", "share of variance, other products"),
)
WORDS = {
    "mean_cosine": "mean cosine", "isoscore": "IsoScore", "effective_dimension": "effective dimension",
    "rank_agreement": "order kept when standardised", "agreement": "agreement with what texts share",
    "exact_straight": "exact, straight", "exact_refined": "exact, refined",
    "reached_straight": "cosine reached, straight",
    "mixtures_true": "mixtures true", "learned_linear": "linear rewards learned",
    "learned_pairwise": "pairwise rewards learned",
}  # fmt: skip
"""What measures are called where people read them."""


def draw_spaces(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return a figure of spaces, one line each, models beside each other; bars are 95 % intervals.

    Parameters
    ----------
    rows : sequence of mapping
        Of spaces, as `experiments.studies.space.study.measure` returns them; training runs are left out.
    """
    shown = [row for row in rows if not row["training_run"]]
    kinds = [kind for kind in SPACES if any(row["space"] == kind for row in shown)]
    models = list(dict.fromkeys(row["model"] for row in shown))
    figure = Figure(figsize=(12.6, 1.7 + 0.42 * len(kinds)), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (measure, title, label) in zip(panels, _PANELS, strict=True):
        _panel(axes, shown, kinds, models, measure)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(label, fontsize=9)
    panels[0].set_yticks(range(len(kinds)), kinds, fontsize=9)
    panels[0].set_ylim(len(kinds) - 0.4, -0.6)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _panel(
    axes: Axes, rows: Sequence[Mapping[str, Any]], kinds: Sequence[str], models: Sequence[str], measure: str
) -> None:
    for number, model in enumerate(models):
        known = [row for row in rows if row["model"] == model and row[measure] is not None]
        shift = 0.3 * (number - (len(models) - 1) / 2) / max(len(models) - 1, 1)
        places = [kinds.index(row["space"]) + shift for row in known]
        colour, mark = _COLOURS[number % len(_COLOURS)], _MARKS[number % len(_MARKS)]
        axes.plot([row[measure] for row in known], places, mark, color=colour, markersize=5, label=model)
        axes.hlines(places, [row[f"{measure}_low"] for row in known], [row[f"{measure}_high"] for row in known],
                    color=colour, linewidth=1.3)  # fmt: skip
    axes.axvline(0, color="#555555", linewidth=0.8)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.05), max(high, 1.02 if measure != "learned_linear" else 0.2))
    if measure != "learned_linear":
        axes.set_xticks((0, 0.5, 1))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", alpha=0.25)


def draw_correlations(rows: Sequence[Mapping[str, Any]], over: str) -> Figure:
    """Return a figure of the correlations over some spaces.

    Bars are 95 % intervals over models, runs and kinds, ticks the extremes where one of these is left out.

    Parameters
    ----------
    rows : sequence of mapping
        What `experiments.studies.space.correlations.correlations` returned.
    over : str
        Which of them.
    """
    some = {(row["wanted"], row["quality"]): row for row in rows if row["over"] == over}
    wishes = [name for name in WANTED if any(some[name, quality]["correlation"] is not None for quality in QUALITIES)]
    figure = Figure(figsize=(2.2 + 2.4 * max(len(wishes), 1), 2.6), layout="constrained")
    panels = figure.subplots(1, max(len(wishes), 1), sharey=True, squeeze=False)[0]
    for axes, wish in zip(panels, wishes, strict=False):
        for place, quality in enumerate(QUALITIES):
            row = some[wish, quality]
            if row["correlation"] is not None:
                axes.hlines(place, row["low"], row["high"], color=_COLOURS[0], linewidth=1.3)
                axes.plot([row["least"], row["most"]], [place] * 2, "|", color=_COLOURS[1], markersize=9)
                axes.plot(row["correlation"], place, "o", color=_COLOURS[0], markersize=5)
        spaces, models = (max(some[wish, quality][name] for quality in QUALITIES) for name in ("spaces", "models"))
        axes.set_title(f"{WORDS[wish]}\n{spaces} spaces of {models} models and runs", fontsize=9)
        axes.set_xlim(-1.05, 1.05)
        axes.axvline(0, color="#555555", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", alpha=0.25)
        axes.set_xlabel("Spearman's correlation", fontsize=9)
    panels[0].set_yticks(range(len(QUALITIES)), [WORDS[quality] for quality in QUALITIES], fontsize=9)
    panels[0].set_ylim(len(QUALITIES) - 0.5, -0.5)
    return figure
