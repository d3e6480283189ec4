"""The report of ``copyloom study uplift``: one HTML page that opens without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.reports.plots import percent
from experiments.reports.report import Change, embedded, environment, write_page
from experiments.studies.uplift.plot import draw, setting_in_words
from experiments.studies.uplift.settings import ENTRANTS, MIX, STORED


def write(found: Mapping[str, Any], path: Path) -> None:
    """Write the page of what `experiments.studies.uplift.study.measure` returned."""
    with TemporaryDirectory() as folder:
        files = {file.stem: file for file in draw(found, Path(folder)) if file.suffix == ".svg"}
        figures = {name: embedded(file) for name, file in files.items()}
    page = environment().get_template("uplift.html.j2").render(
        found, figures=figures, verdict=verdict(found), does=ENTRANTS, setting=setting_in_words, mix=MIX, stored=STORED,
        change=lambda one, name: Change.of(one[name], one[f"{name}_interval"], 2),
    )  # fmt: skip
    write_page(page, path)


def verdict(found: Mapping[str, Any]) -> str:
    """Return in a sentence or two whether mixing gained, and beside which entrants it is certain to have done so."""
    change = Change.of(found["uplift"], found["uplift_interval"], found["campaigns"])
    campaigns = f"{found['campaigns']} simulated campaigns"
    if change.interval is None or change.verdict == "unclear":
        said = f"Not enough evidence yet: mixing ended with {change.size('clicks')} than stored texts alone"
        return f"{said}, in {campaigns}{_in_words(found['uplift_interval'])}."
    said = f"Mixing ended with {change.size('clicks')} than the same bandit on stored texts{_in_words(change.interval)}"
    others = {name: one["mix_gains_interval"] for name, one in found["entrants"].items() if name not in (MIX, STORED)}
    ahead = [name for name, bounds in others.items() if bounds and bounds[0] > 0]
    behind = [name for name, bounds in others.items() if bounds and bounds[1] < 0]
    unclear = [name for name in others if name not in (*ahead, *behind)]
    words = {"It earned more than {}": ahead, "It earned less than {}": behind,
             "Whether it earns more than {} is not certain": unclear}  # fmt: skip
    parts = [phrase.format(_listed(names)) for phrase, names in words.items() if names]
    return ". ".join([said, *parts]) + "."


def _in_words(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f" (95\u00a0% interval {percent(bounds[0], 0)} to {percent(bounds[1], 0)})"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
