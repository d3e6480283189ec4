"""The tables of ``copyloom bench inversion``."""

from __future__ import annotations

from typing import Any

from experiments import console


def show(found: dict[str, Any]) -> None:
    """Print what `experiments.bench.inversion.measure` returned."""
    single = found["one_at_a_time"]
    ways = {"from the token mean": found["from_token_mean"], "from the adapter": found["from_adapter"],
            "one at a time, published rate": single["published"],
            f"one at a time, best rate ({single['best_rate']['rate']:g})": single["best_rate"]}  # fmt: skip
    console.table(
        f"{found['texts']}, copyloom-tiny, {found['threads']} threads on {found['device']}",
        ["way", "texts", "exact", "texts/s", "steps (mean, most)"],
        [[way, f"{r['texts']:,}", f"{r['exact_share']:.2%}", f"{r['texts_per_second']:.2f}",
          f"{r['steps']:.1f}, {r['steps_most']}"] for way, r in ways.items()],
    )  # fmt: skip
    console.out.print(f"False exact on decoding again in another order and batch size: {found['false_exact']}\n")
    console.table(
        "Times the speed of one at a time",
        ["baseline", "token mean", "= cost per step", "x number of steps", "adapter"],
        [[name.replace("_", " "), *(f"{ratio:.1f}" for ratio in r.values())] for name, r in found["ratios"].items()],
    )  # fmt: skip
    console.table(
        "\nWhere the time goes: the whole, from the token mean, and one part changed at a time",
        ["case", "texts/s", "steps", "exact", "factor"],
        [[r["case"], f"{r['texts_per_second']:.1f}", f"{r['steps']:.1f}", f"{r['exact_share']:.1%}",
          f"{r['factor']:.2f}"] for r in found["ladder"]],
    )  # fmt: skip
    console.table(
        "\nShare of the machine's matrix-product rate",
        ["shape", "dtype", "GFLOP/s", "machine", "share"],
        [[r["shape"], r["dtype"], f"{r['rate'] / 1e9:.0f}", f"{r['machine_rate'] / 1e9:.0f}", f"{r['share']:.0%}"]
         for r in found["flop_rates"]],
    )  # fmt: skip
    memory = found["memory"]
    sizes = ", ".join(f"{size:.0f}" for size in memory["resident_mib"])
    console.out.print(f"\nMiB resident over the first {memory['finished']:,} of {memory['queued']:,} texts: {sizes}")
