"""What ``copyloom study preferences --out`` writes beside its tidy tables: some for a paper, a figure, a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.reports.plots import percent
from experiments.reports.report import environment, write_page
from experiments.reports.tables import write_figure, write_table
from experiments.studies.preferences.part_worths import RARE
from experiments.studies.preferences.plot import draw, reach

PAGE = "report.html"
_SHOWN = 4


def write(found: Mapping[str, Any], out: Path) -> list[Path]:
    """Write all files and return them.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    note = f"{found['caveat']} {found['comparisons']}"
    files = write_table(*contrast_table(found), out / "attributes", _caption("Design choices", found), note)
    files += write_table(*level_table(found), out / "part_worths", _caption("Part-worths", found), note)
    files += write_figure(draw(found), out / "part_worths")
    write_page(render(found), out / PAGE)
    return [*files, out / PAGE]


def contrast_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the differences, for people."""
    columns = ["choice", "logits", "95 % interval", "click rate", "importance", "95 % interval", "noise alone",
               "p (Holm)", "VIF", "evidence"]  # fmt: skip
    base = found["base_rate"]
    rows = [[label(row), logits(row["difference"]), span(row["low"], row["high"]),
             "–" if row["rate_change"] is None else f"{percent(base)} → {percent(base + row['rate_change'])}",
             percent(row["importance"], 0),
             " to ".join(percent(end, 0) for end in row["importance_interval"] or ()) or "–",
             percent(row["importance_by_chance"], 0), p_value(row["p_holm"]), inflation(row["vif"]),
             row["verdict"] + (f" from {row['tied_with']}" if row["tied_with"] else "")]
            for row in found["attributes"]]  # fmt: skip
    return columns, rows


def level_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the part-worths, for people."""
    columns = ["attribute", "level", "texts", "impressions", "part-worth", "95 % interval", "clicks"]
    rows = [[row["attribute"], row["level"], f"{row['texts']:,}", f"{row['impressions']:,}", logits(row["part_worth"]),
             span(row["low"], row["high"]), change(row, found["base_rate"])]
            for row in found["part_worths"]]  # fmt: skip
    return columns, rows


def render(found: Mapping[str, Any]) -> str:
    """Return the page; it loads nothing."""
    pages = environment()
    pages.filters.update(logits=logits, label=label, change=change, vif=inflation, plain=_plain, short=_short)
    order = {"more clicks": 0, "fewer clicks": 1, "not enough evidence yet": 2, "cannot be told apart": 3}
    ranked = sorted(found["attributes"], key=lambda row: (order[row["verdict"]], -abs(row["difference"] or 0)))
    shares = [row["importance_interval"][1] for row in found["attributes"] if row["importance_interval"]]
    return pages.get_template("preferences.html.j2").render(
        found, headline=headline(found), name=Path(found["source"]).name, ranked=ranked, rare=RARE,
        by_importance=sorted(found["attributes"], key=lambda row: -(row["importance"] or 0)),
        most=reach([*found["attributes"], *found["part_worths"]]), widest=max(shares, default=1.0),
    )  # fmt: skip


def headline(found: Mapping[str, Any]) -> str:
    """Return what was found, in one sentence or two."""
    told = {sign: sorted((row for row in found["attributes"] if row["verdict"] == f"{sign} clicks"),
                         key=lambda row: -abs(row["difference"])) for sign in ("more", "fewer")}  # fmt: skip
    parts = [f"{sign.capitalize()} clicks go with {_listed([_said(row, found) for row in rows[:_SHOWN]])}."
             for sign, rows in told.items() if rows]  # fmt: skip
    return " ".join(parts) or "Not enough evidence yet that any of these choices goes with more or fewer clicks."


def label(row: Mapping[str, Any]) -> str:
    """Return what a difference compares.

    Examples
    --------
    >>> label({"attribute": "question", "contrast": ["yes", "no"]})
    'question'
    >>> label({"attribute": "length", "contrast": ["long", "short"]})
    'length: long beside short'
    """
    high, low = row["contrast"]
    return row["attribute"] if (high, low) == ("yes", "no") else f"{row['attribute']}: {high} beside {low}"


def logits(value: float | None) -> str:
    """Return a part-worth for people, with its sign."""
    if value is None:
        return "–"
    shown = f"{value:+.2f}".replace("-", "−")
    return shown if float(f"{value:.2f}") else "0.00"


def change(row: Mapping[str, Any], base: float) -> str:
    """Return a change of the click rate as a share of the base rate, for people, with its sign."""
    if row["rate_change"] is None:
        return "–"
    share = row["rate_change"] / base
    return ("+" if share >= 0.0005 else "") + percent(share, 1)


def p_value(value: float) -> str:
    """Return a level of significance for people."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def inflation(value: float) -> str:
    """Return a variance inflation for people."""
    return "> 100" if value > 100 else f"{value:.1f}"


def _said(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    high, low = row["contrast"]
    compared = "" if (high, low) == ("yes", "no") else f"{high} beside {low}, "
    return f"{row['attribute']} ({compared}{change(row, found['base_rate'])})"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _short(value: float) -> str:
    return f"{value:,}" if value < 10**7 else f"{value / 10**6:,.1f} million"


def span(low: float | None, high: float | None) -> str:
    """Return an interval in logits for people."""
    return "–" if low is None else f"{logits(low)} to {logits(high)}"


def _caption(what: str, found: Mapping[str, Any]) -> str:
    over = f", averaged over {found['campaigns']} campaigns" if found["campaigns"] > 1 else ""
    return (f"{what} of {found['texts']:,} texts and clicks: {found['impressions']:,} impressions, base click rate "
            f"{percent(found['base_rate'])}, compared within {found['compared_within']}{over}")  # fmt: skip
