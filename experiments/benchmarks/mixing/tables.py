"""The tables of ``copyloom bench mix``."""

from __future__ import annotations

from typing import Any

from experiments.commands import console


def show(found: dict[str, Any]) -> None:
    """Print what `experiments.benchmarks.mixing.run.measure` returned."""
    for corpus in found["corpora"]:
        _show_corpus(corpus, found["default"])
    for name, row in found.get("with_subject", {}).items():
        console.out.print(
            f"With a subject, {name}: of {row['texts']:,} texts {row['true_share']:.1%} are true to the record, "
            f"{row['style_share']:.1%} in a parent's style, {row['fluent_share']:.1%} fluent, "
            f"{row['distinct_share']:.0%} distinct"
        )
    effort = ", ".join(f"{count} {name}" for name, count in found["effort"].items())
    console.out.print(f"\nThe product uses: {found['default']}, a search with {effort}")


def show_written(found: dict[str, Any]) -> None:
    """Print what `experiments.benchmarks.mixing.written.measure_written` returned."""
    shares = {"written": "written", "grammar": "grammatical", "parents' grammar": "parents_grammatical", "new": "new",
              "glued": "concatenation", "invents": "invented"}  # fmt: skip
    files = found["files"]
    rows = [
        ["mixtures", *(str(one["mixtures"]) for one in files)],
        *([name, *(f"{one[f'{key}_share']:.0%}" for one in files)] for name, key in shares.items()),
        ["excess", *(f"{one['excess_bits_per_byte']:+.2f}" for one in files)],
        ["from", *(f"{one['excess_interval'][0]:+.2f}" for one in files)],
        ["to", *(f"{one['excess_interval'][1]:+.2f}" for one in files)],
        ["cosine", *(f"{one['semantic_consistency']:.3f}" for one in files)],
        ["nearer parent", *(f"{one['nearer_parent']:.3f}" for one in files)],
    ]
    console.table("Texts that were written, at their pairs", ["", *(one["file"] for one in files)], rows)
    console.out.print(
        "excess: bits a byte by which a text surprises Gemma 3 more than its parents do, and its 95 % interval;\n"
        "grammar: without a fault; invents: holds a number or name that no parent holds;\n"
        "cosine: to the wanted point, beside the nearer parent's."
    )


def _show_corpus(corpus: dict[str, Any], default: str) -> None:
    entrants = corpus["entrants"]
    faithful = "attribute_fidelity_share" in entrants[default]
    columns = ["", "written", "fluent", "excess", "grammar", "new", "glued", "invents", "cosine", "parent", "stored",
               "drift", "smooth", *(["faithful"] if faithful else [])]  # fmt: skip
    console.table(
        f"{corpus['corpus']}, equal weights", columns, [_row(name, row, faithful) for name, row in entrants.items()]
    )
    low, high = entrants[default]["difference_interval"]
    rates = ", ".join(f"{way} {rate:.0f}" for way, rate in corpus["texts_per_second"].items())
    console.out.print(
        "written: cases with a text; excess: bits a byte by which it surprises Gemma 3 more than its parents do;\n"
        "grammar: without a fault; invents: holds a number or name that no parent holds. cosine: to the wanted point;\n"
        "parent, stored: cosine above the nearer parent's and the nearest stored text's.\n"
        f"{default}, above the nearer parent: {entrants[default]['difference']:+.3f} ({low:+.3f} to {high:+.3f}).\n"
        f"Fluent: up to {corpus['fluent_up_to_nats']:.2f} nats a token. Exact ends: {corpus['ends']['first']:.1%} and "
        f"{corpus['ends']['second']:.1%}. The same in another order and batch size: {corpus['repeats']:.1%}.\n"
        f"Texts a second: {rates}.\n"
    )
    for sample in corpus["samples"][:5]:
        console.out.print(" + ".join(sample["parents"]))
        console.out.print(f"    -> {sample['text']}")
    console.out.print()


def _row(name: str, row: dict[str, Any], faithful: bool) -> list[str]:
    return [
        name, f"{row['written_share']:.0%}", f"{row['fluent_share']:.0%}", _signed(row["excess_bits_per_byte"]),
        f"{row['grammatical_share']:.0%}",
        *(f"{row[f'{key}_share']:.0%}" for key in ("new", "concatenation", "invented")),
        f"{row['semantic_consistency']:.3f}", f"{row['difference']:+.3f}", f"{row['difference_to_stored']:+.3f}",
        f"{row['drift']:.2f}" if "drift" in row else "", f"{row['smooth_share']:.0%}" if "smooth_share" in row else "",
        *([f"{row['attribute_fidelity_share']:.0%}"] if faithful else []),
    ]  # fmt: skip


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
