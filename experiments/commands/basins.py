"""``copyloom study basins``: how far stored texts and mixtures can be moved before they say something else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom.tables import Reading
from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.options import Column, DeviceName, File, Trust, Writer, reads
from experiments.commands.studying import STUDY, Studied


@reads("delimiter", "encoding", "sheet", "header")
def basins(
    texts: File = None,
    column: Column = None,
    count: Annotated[int, typer.Option(min=2, help="Held-out claims of the grammar, where no texts are given.")] = 200,
    directions: Annotated[int, typer.Option(min=8, max=1024, help="Random ones along which each is moved.")] = 32,
    checks: Annotated[int, typer.Option(min=0, help="Further moves by the safe radius, of each kind together.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of directions and checks.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the numbers.")] = Path("runs/study-basins"),
    *,
    reading: Reading,
    model: Writer = None,
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
) -> Studied:
    """Say how far texts last around refined vectors, the adapter's output and equal mixtures of two."""
    from embeddings.space import Space
    from experiments.held_out import held_out_claims
    from experiments.studies.basins.study import measure
    from experiments.texts import read_texts
    from generator.grammar import Grammar
    from generator.models import SHIPPED

    check_output(out / STUDY)
    given = None if texts is None else read_texts(texts, column, reading)
    with console.progress() as show:
        show("loading", 0, 1)
        space = Space.load(model or SHIPPED, device, trust_remote_code=trust_remote_code)
        show("loading", 1, 1)
        chosen = given or [claim.text for claim in held_out_claims(Grammar.load(), count)]
        found = measure(space, chosen, show, directions, checks, seed)
    return Studied(found, _show, out / STUDY)


def _show(found: dict[str, Any]) -> None:
    rows = [
        [row["kind"], f"{row['points']}", _share(row["middle"]), _between(row["middle_interval"]),
         _share(row["radius"]), _between(row["radius_interval"]), f"{row['changed']} of {row['checks']}"]
        for row in found["rows"]
    ]  # fmt: skip
    columns = ["vectors", "points", "median radius", "95 %", "safe", "95 %", "changed by it"]
    console.table(f"{found['model']}, {found['texts']} texts, {found['directions']} directions", columns, rows)
    if (rank := found["margin_and_radius"])["rank_correlation"] is not None:
        low, high = rank["interval"]
        console.out.print(
            f"Rank correlation of margin and radius: {rank['rank_correlation']:.2f} ({low:.2f} to {high:.2f})"
        )


def _share(value: float | None) -> str:
    return "any" if value is None else f"{value:.1%}"


def _between(ends: list[float | None]) -> str:
    return " to ".join(map(_share, ends))
