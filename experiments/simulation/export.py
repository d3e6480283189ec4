"""A run as tidy tables and figures, for further work: one row a campaign and snapshot, one row a campaign and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from copyloom import InputError
from experiments.campaigns.state import State, replay
from experiments.reports.campaign import text_rows
from experiments.reports.tables import write_figure, write_rows
from experiments.simulation.runs import SUMMARY, finished, recorded, true_campaigns

_LOOP, _OFF, _REFERENCE = "#0072b2", "#d55e00", "#555555"
"""Colours that people who do not see red and green tell apart."""
_UNTRUE = {"seed": None, "world": None}
_ABOUT = [("campaign", pa.string()), ("policy", pa.string()), ("mixing", pa.bool_()), ("seed", pa.int64()),
          ("world", pa.string())]  # fmt: skip
_SCHEMAS = {
    "rounds": pa.schema([
        *_ABOUT, ("round", pa.int64()), ("texts", pa.int64()), ("impressions", pa.int64()), ("clicks", pa.int64()),
        ("expected_ctr", pa.float64()),
    ]),
    "texts": pa.schema([
        *_ABOUT, ("text", pa.string()), ("kind", pa.string()), ("impressions", pa.int64()), ("clicks", pa.int64()),
        ("ctr", pa.float64()), ("low", pa.float64()), ("high", pa.float64()), ("probability", pa.float64()),
        ("retired", pa.bool_()), ("ctr_true", pa.float64()), ("parents", pa.list_(pa.string())),
        ("weights", pa.list_(pa.float64())),
    ]),
}  # fmt: skip


def export(run: Path, out: Path) -> dict[str, Any]:
    """Write tables (CSV and Parquet) and, of a finished run, figures (SVG and PDF), and return their paths.

    ``rounds``: what each snapshot of each campaign showed and earned, with its expected CTR where the run is finished.
    ``texts``: what is known of each text of each campaign's slate, with its true CTR where the run is finished.

    Raises
    ------
    InputError
        If the folder holds no run.
    """
    with recorded(run) as ledger:
        states = {name: replay(event.what for event in ledger.events(name)) for name in ledger.names()}
    if not states:
        raise InputError(f"{run} holds no campaign on record; it was begun by an older Copyloom, play it with --force")
    known = true_campaigns(run)
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        "rounds": [row for name, state in states.items() for row in _rounds(name, state, known.get(name))],
        "texts": [row for name, state in states.items() for row in _texts(name, state, known.get(name))],
    }
    paths = [path for name, rows in tables.items() for path in write_rows(rows, out / name, _SCHEMAS[name])]
    if (run / SUMMARY).exists():
        try:
            paths += _figures(finished(run), out)
        except (KeyError, TypeError) as error:
            why = f"the report of {run} is damaged ({error!r} is missing or wrong); the tables are in {out}"
            raise InputError(f"{why}; for figures, play the study again with --force") from error
    return {"rows": {name: len(rows) for name, rows in tables.items()}, "files": [str(path) for path in paths]}


def _about(name: str, state: State, known: Mapping[str, Any] | None) -> dict[str, Any]:
    found = {"campaign": name, "policy": state.opening.policy.label, "mixing": state.opening.mixing}
    return found | {key: known[key] if known else value for key, value in _UNTRUE.items()}


def _rounds(name: str, state: State, known: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    about, histories = _about(name, state, known), state.histories.sum((2, 3))  # (2, T)
    return [
        about
        | {
            "round": number,
            "texts": len(snapshot.probabilities),
            "impressions": int(histories[0, number]),
            "clicks": int(histories[1, number]),
            "expected_ctr": known["expected_ctr"][number] if known else None,
        }
        for number, snapshot in enumerate(state.snapshots)
    ]


def _texts(name: str, state: State, known: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    about = _about(name, state, known)
    rows = text_rows(state, np.array(known["true_rates"]) if known else None)
    return [
        about
        | {key: value for key, value in row.items() if key != "parents"}
        | {"parents": [one["text"] for one in row["parents"]], "weights": [one["weight"] for one in row["parents"]]}
        for row in rows
    ]


def _figures(data: Mapping[str, Any], out: Path) -> list[Path]:
    """Write the expected CTR along the campaigns, and each seed's uplift, as SVG and PDF."""
    curves = Figure(figsize=(7, 4), layout="constrained")
    _draw_curves(curves.subplots(), data["curves"])
    uplift = Figure(figsize=(7, 2.4), layout="constrained")
    _draw_uplift(uplift.subplots(), data["uplift_by_seed"], data["summary"])
    return [*write_figure(curves, out / "ctr"), *write_figure(uplift, out / "uplift")]


def _draw_curves(axes: Axes, curves: Mapping[str, Any]) -> None:
    x = curves["impressions"]
    for name, key, colour, style in (("with mixing", "loop", _LOOP, "-"), ("without mixing", "mixing_off", _OFF, "--")):
        axes.plot(x, curves[key]["mean"], style, color=colour, label=name)
        if curves[key]["low"] and curves[key]["low"][0] is not None:
            axes.fill_between(x, curves[key]["low"], curves[key]["high"], color=colour, alpha=0.2, linewidth=0)
    for name, key, dots in (("best stored text", "best_stored", ":"), ("all texts alike", "uniform", "-.")):
        axes.axhline(curves[key], color=_REFERENCE, linestyle=dots, linewidth=1, label=name)
    axes.set(xlabel="impressions in one campaign", ylabel="expected clicks per impression")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.1f} %")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))


def _draw_uplift(axes: Axes, values: Sequence[float], summary: Mapping[str, Any]) -> None:
    axes.axvline(0, color=_REFERENCE, linewidth=1)
    axes.scatter(values, np.zeros(len(values)), color=_LOOP, alpha=0.5, label="one campaign")
    low, high = summary["uplift_interval"] or (summary["uplift"],) * 2
    axes.errorbar(summary["uplift"], -0.5, xerr=[[summary["uplift"] - low], [high - summary["uplift"]]], fmt="D",
                  color=_OFF, capsize=4, label="mean, 95 % interval")  # fmt: skip
    axes.set(xlabel="uplift of mixing over the last fifth of the impressions", ylim=(-1, 0.6), yticks=[])
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0 %")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
