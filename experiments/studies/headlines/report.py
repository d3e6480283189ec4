"""The report of ``copyloom study headlines``: one HTML page that opens without a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.reports.report import embedded, environment, write_page
from experiments.studies.headlines.plot import draw
from experiments.studies.headlines.settings import CEILING, ORACLE

OURS = ("ours", "ours to name the best", "ours without words")


def write(found: Mapping[str, Any], path: Path) -> None:
    """Write the page of what `experiments.studies.headlines.study.measure` returned."""
    with TemporaryDirectory() as folder:
        draw(found, picture := Path(folder) / "plot.svg")
        figure = embedded(picture)
    first = next(iter(found["truths"]))
    tiles = [row for row in found["rows"] if (row["truth"], row["entrant"]) == (first, "ours")]
    page = environment().get_template("headlines.html.j2").render(
        {**found, "headline_count": found["headlines"]}, figure=figure, tiles=tiles, bounds=(CEILING, ORACLE),
        verdict=verdict(found, first), beside=_beside(found, first),
    )  # fmt: skip
    write_page(page, path)


def verdict(found: Mapping[str, Any], truth: str) -> str:
    """Return in one sentence which entrants ours beats for certain at every number of impressions, and which not."""
    rows = [row for row in found["rows"] if row["truth"] == truth and row["entrant"] not in (*OURS, CEILING, ORACLE)]
    names = list(dict.fromkeys(row["entrant"] for row in rows))
    lows = {name: min(row["ours_gains_interval"][0] for row in rows if row["entrant"] == name) for name in names}
    beaten = [name for name in names if lows[name] > 0]
    said = f"With {truth} rates ours earns more than {_listed(beaten)} at every number of impressions" if beaten else (
        f"With {truth} rates it is not certain that ours earns more than any other everywhere"
    )  # fmt: skip
    unclear = [name for name in names if name not in beaten]
    return said + (f"; beside {_listed(unclear)} not everywhere for certain." if beaten and unclear else ".")


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _beside(found: Mapping[str, Any], truth: str) -> list[dict[str, Any]]:
    """Return what LOLA gained in its authors' runs, and what LOLA's rule and ours gain here."""
    clicks = {(row["tau"], row["entrant"]): row["clicks"] for row in found["rows"] if row["truth"] == truth}
    return [
        {"tau": int(tau), "entrant": name, "published": gain,
         **{of: clicks[int(tau), of] / clicks[int(tau), name] - 1 for of in ("lola", "ours")}}
        for tau, gains in found["published"].items() for name, gain in gains.items()
        if (int(tau), name) in clicks and (int(tau), "lola") in clicks
    ]  # fmt: skip
