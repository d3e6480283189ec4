"""What ``copyloom study interventions`` writes beside its tidy tables: texts, one for a paper, a figure, a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.reports.report import embedded, environment, write_page
from experiments.reports.tables import write_figure, write_rows, write_table
from experiments.studies.interventions.plot import draw

PAGE, TEXTS, FIGURE, TABLE = "interventions.html", "texts", "interventions", "table"
Table = tuple[list[str], list[list[str]]]


def write(found: Mapping[str, Any], texts: Sequence[Mapping[str, Any]], out: Path) -> list[Path]:
    """Write all files and return them.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = write_rows(texts, out / TEXTS)
    files += write_table(*main_table(found), out / TABLE, _caption(found), f"{found['verdict']} {found['note']}")
    figure, *others = write_figure(draw(found), out / FIGURE)
    write_page(render(found, figure), out / PAGE)
    return [*files, figure, *others, out / PAGE]


def main_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: side effects at equal effect."""
    columns = ["method", "place", "strength", "style, readable", "along", "cosine", "product", "true", "nats more",
               "unchanged", "cost", "above ours"]  # fmt: skip
    rows = [[row["name"], row["place"], f"{row['strength']:.2f}",
             _share(row["achieved"]) + ("" if row["reached"] else " at most"), _number(row, "along"),
             _number(row, "cosine"), _percent(row, "product"), _percent(row, "true"), _number(row, "excess"),
             _percent(row, "unchanged"), _number(row, "cost"), _above(row)]
            for row in found["methods"]]  # fmt: skip
    real = found["grammar"]
    last = ["a claim of the grammar", "–", "–", _share(real["achieved"]), _number(real, "along"),
            _number(real, "cosine"), _percent(real, "product"), _percent(real, "true"), _number(real, "excess"),
            _percent(real, "unchanged"), _number(real, "cost"), "–"]  # fmt: skip
    return columns, [*rows, last]


def set_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: each method as it was set, and a random direction of the same size."""
    columns = ["method", "strength", "style", "style, readable", "cosine", "true", "unchanged", "random: style",
               "style, readable", "cosine", "true", "unchanged"]  # fmt: skip
    measures = (("read", _percent), ("achieved", _percent), ("cosine", _number), ("true", _percent),
                ("unchanged", _percent))  # fmt: skip
    return columns, [[row["name"], f"{row['set_strength']:.2f}",
                      *(show(row[which], name) for which in ("as_set", "random") for name, show in measures)]
                     for row in found["methods"]]  # fmt: skip


def dose_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: what each strength does."""
    columns = ["method", "strength", "style", "style, readable", "along", "cosine", "product", "true", "nats more",
               "unchanged"]  # fmt: skip
    rows = [[row["name"], f"{row['strength']:.2f}", _share(row["read"]), _percent(row, "achieved"),
             f"{row['along']:.2f}", _number(row, "cosine"), _share(row["product"]), _share(row["true"]),
             f"{row['excess']:.2f}", _share(row["unchanged"])]
            for row in found["doses"] if not row["random"]]  # fmt: skip
    return columns, rows


def for_console(found: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return titles, columns and rows of narrow tables."""
    columns = ["method", "place", "strength", "effect", "cosine", "true", "nats", "cost", "above ours"]
    main = [[row["name"], row["place"], f"{row['strength']:.2f}",
             _share(row["achieved"]) + ("" if row["reached"] else "!"), f"{row['cosine']:.2f}", _share(row["true"]),
             f"{row['excess']:.2f}", f"{row['cost']:.2f}", _above(row)] for row in found["methods"]]  # fmt: skip
    real = found["grammar"]
    main.append(["the grammar's own", "", "", _share(real["achieved"]), f"{real['cosine']:.2f}", _share(real["true"]),
                 f"{real['excess']:.2f}", f"{real['cost']:.2f}", ""])  # fmt: skip
    pairs = [(row, "as_set", row["name"]) for row in found["methods"]]
    pairs += [(row, "random", f"{row['name']}, random") for row in found["methods"]]
    as_set = [[name, f"{row['set_strength']:.2f}", _share(row[which]["read"]), _share(row[which]["achieved"]),
               f"{row[which]['cosine']:.2f}", _share(row[which]["true"]), _share(row[which]["unchanged"])]
              for row, which, name in pairs]  # fmt: skip
    title = f"{found['texts']} held-out texts, {', '.join(found['wishes'])}, {found['model']}: at equal effect"
    return [
        (title, columns, main),
        ("\nAs set on other texts, beside random directions of the same size",
         ["method", "strength", "style", "effect", "cosine", "true", "unchanged"], as_set),
    ]  # fmt: skip


def place_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: what each place cost on the texts of the validation."""
    columns = ["method", "place", "strength", "style, readable", "cosine", "true", "nats more", "cost", "chosen"]
    rows = [[row["name"], row["place"], f"{row['strength']:.2f}",
             _share(row["achieved"]) + ("" if row["reached"] else " at most"), f"{row['cosine']:.2f}",
             _share(row["true"]), f"{row['excess']:.2f}", f"{row['cost']:.2f}", "yes" if row["chosen"] else ""]
            for row in found["places"]]  # fmt: skip
    return columns, rows


def render(found: Mapping[str, Any], figure: Path) -> str:
    """Return the page, with a figure that is an SVG file inside it; it loads nothing."""
    return environment().get_template("interventions.html.j2").render(
        found, figure=embedded(figure), main=main_table(found), as_set=set_table(found), by_dose=dose_table(found),
        by_place=place_table(found),
    )  # fmt: skip


def _caption(found: Mapping[str, Any]) -> str:
    return (f"Side effects of steering at equal effect, {found['target']:.0%} in the wished style and readable: "
            f"{found['texts']} held-out texts, {', '.join(found['wishes'])}, {found['model']}")  # fmt: skip


def _above(row: Mapping[str, Any]) -> str:
    if row["cost_above_ours"] is None:
        return "–"
    low, high = row["cost_above_ours_interval"]
    return "" if low == high == 0 else f"{row['cost_above_ours']:+.2f} ({low:+.2f} to {high:+.2f})"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _percent(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.0%} ({low:.0%} to {high:.0%})" if low < high else f"{row[name]:.0%}"


def _number(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.2f} ({low:.2f} to {high:.2f})" if low < high else f"{row[name]:.2f}"
