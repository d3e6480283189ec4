"""What ``copyloom study registers`` says for people: tables, a figure and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.reports.report import environment, pictured, write_page
from experiments.reports.tables import write_figure
from experiments.studies.registers.plot import draw
from experiments.studies.registers.scores import HEADLINES, MEASURES
from experiments.studies.registers.settings import MIXED
from experiments.studies.space.report import number, span

PAGE, FIGURE = "registers.html", "registers"
QUALITIES = ["learnt from", "space", "mean cosine", "IsoScore", "effective dimension", "order kept", "agreement",
             "registers apart"]  # fmt: skip
NOTE = (
    "Intervals are 95 % over held-out texts, the same ones for both sides; they hold neither which texts were learnt "
    "from nor which random parameters a training starts from: trainings say how far those go. Texts are decoded "
    "greedily, once; no search and no check stands behind any text."
)
MEANT = (
    "Bits a byte: of held-out texts, read after the adapter's vectors. Exact: decoded letter for letter, straight from "
    "the adapter or after refinement. Mixtures: of two held-out texts in equal parts; new as neither, readable as 95 % "
    "of the register's own texts are to a language model that had no part in any training. Wish: a trait that the text "
    "lacked (a number, a question, a word to the reader, a word of us) is there after its point has turned 36 degrees."
)
Table = tuple[list[str], list[list[str]]]


def lead(found: Mapping[str, Any]) -> str:
    """Return in a sentence what was trained."""
    trainings = found["settings"]["trainings"]
    times = "" if trainings == 1 else f", {trainings} times each"
    return (
        f"{len(found['models'])} models of {found['parameters']:,} parameters{times}, on {found['tokens']:,} tokens "
        f"each: {', '.join(found['models'])}; {found['settings']['judged']} held-out texts of each register"
    )


def matrix_table(found: Mapping[str, Any], measure: str, spans: bool = True) -> Table:
    """Return columns and rows for people: a measure of each model on each register, those of its own in brackets."""
    rows = {(row["model"], row["register"]): row for row in found["matrix"] if row["measure"] == measure}
    cells = [[model, *(_cell(rows.get((model, register)), measure, model == register, spans)
                       for register in found["registers"])] for model in found["models"]]  # fmt: skip
    return [f"{MEASURES[measure].title}, learnt from", *found["registers"]], cells


def compared_table(found: Mapping[str, Any], measures: Sequence[str] = tuple(MEASURES)) -> Table:
    """Return columns and rows for people: a register's own model beside others, the mean over registers."""
    columns = ["measure", "better", *(f"own above {name}" for name in (MIXED, "others"))]
    rows = []
    for name in measures:
        some = {row["beside"]: row for row in found["compared"] if row["measure"] == name and row["register"] is None}
        if some:
            rows.append([MEASURES[name].title, f"{MEASURES[name].better}er",
                         *(_difference(some[beside], name) for beside in (MIXED, "others"))])  # fmt: skip
    return columns, rows


def quality_table(found: Mapping[str, Any], spans: bool = True) -> Table:
    """Return columns and rows for people: qualities of each model's spaces, of its first training."""
    show = span if spans else lambda row, name, digits=2: number(row[name], digits)
    rows = [[row["model"], row["space"], show(row, "mean_cosine"), show(row, "isoscore", 3),
             show(row, "effective_dimension", 0),
             *(show(row, name) for name in ("rank_agreement", "agreement", "apart"))]
            for row in found["qualities"] if not row["training"]]  # fmt: skip
    return QUALITIES, rows


def for_console(found: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return titles, columns and rows of narrow tables."""
    tables = [("", *matrix_table(found, name, spans=False)) for name in HEADLINES]
    tables.append(("\nA register's own model beside others, mean over registers", *compared_table(found)))
    columns, rows = quality_table(found, spans=False)
    return [*tables, ("\nSpaces, on equal parts of all registers", columns, rows)]


def answers(found: Mapping[str, Any]) -> list[str]:
    """Return for each task whether a register's texts fare better in its own model, as far as it is shown."""
    said = []
    for name in HEADLINES:
        measure, parts = MEASURES[name], []
        for beside, called in ((MIXED, "the mixed model"), ("others", "models of other registers")):
            row = next((row for row in found["compared"] if row["measure"] == name and row["beside"] == beside
                        and row["register"] is None), None)  # fmt: skip
            if row is not None:
                parts.append(f"{_verdict(row, measure.better)} {called} ({_difference(row, name)})")
        if parts:
            said.append(f"{measure.title.capitalize()}: a register's own model is {', and '.join(parts)}.")
    return said


def _verdict(row: Mapping[str, Any], better: str) -> str:
    """Return better or worse than where interval and every training say so."""
    ends = [row["low"], row["high"], *row["trainings"]]
    if min(ends) <= 0 <= max(ends):
        return "not told apart from"
    return "better than" if (ends[0] > 0) == (better == "high") else "worse than"


def write(found: Mapping[str, Any], out: Path) -> list[Path]:
    """Write figure and page of what `experiments.studies.registers.study.measure` returned, and return the files.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    figure = draw(found)
    files = write_figure(figure, out / FIGURE)
    page = environment().get_template("registers.html.j2").render(
        found, picture=pictured(figure), lead=lead(found), answers=answers(found), meant=MEANT, note=NOTE,
        matrices=[matrix_table(found, name) for name in MEASURES], besides=compared_table(found),
        spaces=quality_table(found), measures=MEASURES,
    )  # fmt: skip
    write_page(page, out / PAGE)
    return [*files, out / PAGE]


def _cell(row: Mapping[str, Any] | None, measure: str, own: bool, spans: bool) -> str:
    if row is None:
        return "–"
    form = _form(measure)
    said = form.format(row["value"])
    if spans:
        said += f" ({form.format(row['low'])} to {form.format(row['high'])})"
    return f"[{said}]" if own else said


def _difference(row: Mapping[str, Any], measure: str) -> str:
    if MEASURES[measure].share:
        value, low, high = (f"{100 * row[name]:+.0f}" for name in ("above", "low", "high"))
        return f"{value} points ({low} to {high})"
    digits = 0 if measure == "steps" else 2
    return f"{row['above']:+.{digits}f} ({row['low']:+.{digits}f} to {row['high']:+.{digits}f})"


def _form(measure: str) -> str:
    return "{:.0%}" if MEASURES[measure].share else "{:.0f}" if measure == "steps" else "{:.2f}"
