"""``copyloom bench bandits``: our bandit beside others on the same shoppers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from copyloom import InputError
from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.options import Json


def bench_bandits(
    cells: Annotated[
        list[str] | None, typer.Option("--cell", help="A kind of world; give the option once for each, or 'all'.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Replicates; 50 of the base task, 20 of others.", min=2)] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The base task, with what seeds fit into 10 minutes.")] = False,
    tune: Annotated[bool, typer.Option("--tune", help="First choose every entrant's settings anew: hours.")] = False,
    speed: Annotated[bool, typer.Option("--speed", help="Only rounds a second of replicates side by side.")] = False,
    looks: Annotated[bool, typer.Option("--looks", help="Only false alarms of 10,000 A/A streams.")] = False,
    cone: Annotated[bool, typer.Option("--cone", help="Only what mixing brings over single texts.")] = False,
    processes: Annotated[int | None, typer.Option(help="Replicates at a time; one a core.", min=1)] = None,
    out: Annotated[Path, typer.Option(help="Folder of what was played; a run goes on there.")] = Path(
        "runs/bench-bandits"
    ),
    device: Annotated[str, typer.Option(help="Of --speed: cpu or cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Measure regret and rounds a second, beside Vowpal Wabbit, bayesianbandits and MABWiser."""
    from experiments.benchmarks.bandits import cone as cones
    from experiments.benchmarks.bandits import run, sequential, tables, throughput
    from experiments.benchmarks.bandits.worlds import BASE, CELLS

    names = list(CELLS) if cells == ["all"] else cells or [BASE.name]
    unknown = [name for name in names if name not in CELLS]
    if unknown:
        raise InputError(f"there is no cell {unknown[0]!r}; there are: {', '.join(CELLS)}")
    chosen, cores = [CELLS[name] for name in names], processes or os.cpu_count() or 1
    check_output(out / "bandits.json")
    with console.progress() as report:
        if speed:
            console.deliver(throughput.measure(device=device), tables.show_speed, as_json, out / "speed.json")
        elif cone:
            console.deliver(cones.measure(cones.DRAWS, report), cones.show, as_json, out / "cone.json")
        elif looks:
            console.deliver(sequential.measure(10_000, 200, 0, report), sequential.show, as_json, out / "looks.json")
        else:
            tuning = run.tune(chosen, out, cores, report) if tune else {}
            found = run.measure(chosen, seeds, out, cores, report, quick) | {"tuning": tuning}
            console.deliver(found, tables.show, as_json, out / "bandits.json")
