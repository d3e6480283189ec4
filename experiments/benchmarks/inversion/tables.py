"""The tables of ``copyloom bench inversion``."""

from __future__ import annotations

from typing import Any

from experiments.commands import console


def show(found: dict[str, Any]) -> None:
    """Print what `experiments.benchmarks.inversion.run.measure` returned."""
    ways = {
        **{f"from the token mean, {name}": row for name, row in found["from_token_mean"].items()},
        "from the adapter": found["from_adapter"],
        **{f"one at a time, {name} ({row['rate']:g})": row for name, row in found["one_at_a_time"].items()},
    }
    console.table(
        f"{found['texts']}, copyloom-tiny, {found['threads']} threads on {found['device']}",
        ["way", "texts", "exact", "texts/s", "steps", "most"],
        [[way, f"{r['texts']:,}", f"{r['exact_share']:.2%}", f"{r['texts_per_second']:.2f}", f"{r['steps']:.1f}",
          str(r["steps_most"])] for way, r in ways.items()],
    )  # fmt: skip
    for name, row in found["from_token_mean"].items():
        if name == "compiled":
            console.out.print(f"Compilation, not counted there: {row['warm_up_seconds']:.0f} s")
    console.out.print(f"False exact on decoding again in another order and batch size: {found['false_exact']}\n")
    console.table(
        "Times the speed of one at a time",
        ["baseline", "token mean", "speed", "= cost of a step", "x number of steps", "adapter"],
        [[r["baseline"], r["way"], *(f"{r[key]:.1f}" for key in
          ("token_mean", "cost_per_step", "number_of_steps", "adapter"))] for r in found["ratios"]],
    )  # fmt: skip
    console.out.print()
    console.table(
        "Where the time goes: the whole, from the token mean, and one part changed at a time",
        ["case", "texts/s", "steps", "exact", "factor"],
        [[r["case"], f"{r['texts_per_second']:.1f}", f"{r['steps']:.1f}", f"{r['exact_share']:.1%}",
          f"{r['factor']:.2f}"] for r in found["ladder"]],
    )  # fmt: skip
    console.out.print()
    console.table(
        "Share of the machine's matrix-product rate",
        ["shape", "dtype", "compiled", "GFLOP/s", "machine", "share"],
        [[r["shape"], r["dtype"], "yes" if r["compiled"] else "no", f"{r['rate'] / 1e9:.0f}",
          f"{r['machine_rate'] / 1e9:.0f}", f"{r['share']:.0%}"] for r in found["flop_rates"]],
    )  # fmt: skip
    memory = found["memory"]
    sizes = ", ".join(f"{size:.0f}" for size in memory["resident_mib"])
    console.out.print(f"\nMiB resident over the first {memory['finished']:,} of {memory['queued']:,} texts: {sizes}")
