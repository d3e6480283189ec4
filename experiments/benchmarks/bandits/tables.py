"""The tables of ``copyloom bench bandits``."""

from __future__ import annotations

from typing import Any

from experiments.benchmarks.bandits.entrants import CEILING, OURS, UNIFORM
from experiments.commands import console


def show(found: dict[str, Any]) -> None:
    """Print what `experiments.benchmarks.bandits.run.measure` returned."""
    _show_tuning(found["tuning"])
    for name in found["left_out"]:
        console.out.print(f"{name} is left out: it is not installed (pip install 'copyloom[bench]')")
    for name, cell in found["cells"].items():
        _show_cell(name, cell)
    if len(found["cells"]) > 1:
        _show_overview(found["cells"])


def show_speed(found: dict[str, Any]) -> None:
    """Print what `experiments.benchmarks.bandits.throughput.measure` returned."""
    rows = [[what, f"{rate:,.0f}"] for what, rate in found["rounds_per_second"].items()]
    title = f"{found['replicates']} campaigns side by side, {found['texts']} texts, d = {found['d']}, {found['device']}"
    console.table(title, ["Thompson sampling", "rounds/s"], rows)


def _show_tuning(found: dict[str, Any]) -> None:
    for name, entrants in found.items():
        rows = [[who, f"{row['regret']:.0f}", str(row["tried"]), str(row["seeds"]), str(row["settings"])]
                for who, row in entrants.items()]  # fmt: skip
        console.table(f"{name}: best settings", ["", "regret", "tried", "seeds", "settings"], rows)


def _show_cell(name: str, cell: dict[str, Any]) -> None:
    rows = []
    for who, regret in sorted(cell["regret"].items(), key=lambda item: -item[1]):
        low, high = cell["regret_interval"][who]
        over = cell["less_than"].get(who)
        rows.append([
            who, f"{regret:.0f}", f"{low:.0f} to {high:.0f}", f"{cell['ceiling_shares'][who]:.0%}",
            "" if over is None else f"{over[0]:+.0f} to {over[1]:+.0f}",
            f"{cell['rounds_per_second'][who]:,.0f}" if who in cell["rounds_per_second"] else "",
        ])  # fmt: skip
    columns = ["", "regret", "95 %", "of the ceiling", "above ours, 95 %", "rounds/s"]
    console.table(f"{name}, {cell['seeds']} seeds", columns, rows)
    if cell["ratio_to_best_vw"] is not None:
        low, high = cell["ratio_interval"]
        console.out.print(f"Regret beside Vowpal Wabbit's: {cell['ratio_to_best_vw']:.2f} ({low:.2f} to {high:.2f})")
    for rival in cell["significantly_lower"]:
        console.out.print(f"{rival} has less regret than {OURS} here.", style="bold")
    console.out.print("")


def _show_overview(cells: dict[str, Any]) -> None:
    names = list(dict.fromkeys(who for cell in cells.values() for who in cell["regret"]))
    shown = [who for who in names if who not in (UNIFORM, CEILING)]
    rows = [
        [name, *(f"{cell['regret'][who]:.0f}" if who in cell["regret"] else "" for who in [*shown, UNIFORM, CEILING]),
         "-" if cell["ratio_to_best_vw"] is None else "{:.2f} ({:.2f} to {:.2f})".format(
             cell["ratio_to_best_vw"], *cell["ratio_interval"])]
        for name, cell in cells.items()
    ]  # fmt: skip
    console.table("Regret in clicks", ["", *shown, UNIFORM, CEILING, "to Vowpal Wabbit's"], rows)
