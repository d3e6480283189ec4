"""``copyloom export`` and ``compare``: finished runs for further work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.options import Json


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, typer.Option(help="Folder; export in the run folder unless given.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run as tidy tables (CSV, Parquet) and figures (SVG, PDF)."""
    from experiments.simulation.export import export as write

    console.deliver(write(run, out or run / "export"), _show_files, as_json)


def compare(
    first: Annotated[Path, typer.Argument(help="Run folder.")],
    second: Annotated[Path, typer.Argument(help="Run folder that is compared with it.")],
    as_json: Json = False,
) -> None:
    """Say how a run's expected CTR differs from another's, seed by seed where they met the same shoppers."""
    from experiments.simulation.compare import compare as beside

    console.deliver(beside(first, second), _show_difference, as_json)


def _show_files(found: dict[str, Any]) -> None:
    rows = ", ".join(f"{count:,} {name}" for name, count in found["rows"].items())
    console.out.print(f"{rows} written:\n" + "\n".join(found["files"]), markup=False)


def _show_difference(found: dict[str, Any]) -> None:
    rows = [[run, console.percent(ctr), str(seeds)]
            for run, ctr, seeds in zip(found["runs"], found["ctr"], found["seeds"], strict=True)]  # fmt: skip
    console.table("Expected CTR at the end, with mixing", ["run", "CTR", "seeds"], rows)
    low, high = found["interval"] or (0.0, 0.0)
    verdict = "not enough evidence of a difference" if low <= 0 <= high else "a difference"
    console.out.print(f"\nThe second beside the first: {console.percent(found['difference'], signed=True)} "
                      f"(95 % interval {console.interval(found['interval'])}): {verdict}")  # fmt: skip
    console.out.print(
        f"Seed by seed, same shoppers: {'yes' if found['paired'] else 'no, ' + found['why']}", markup=False
    )
    if found["settings"]:
        shown = [[name, str(a), str(b)] for name, (a, b) in found["settings"].items()]
        console.table("\nSettings that differ", ["setting", "first", "second"], shown)
