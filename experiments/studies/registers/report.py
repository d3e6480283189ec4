"""What ``copyloom study registers`` says for people: tables, a figure and a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.reports.report import environment, pictured, write_page
from experiments.reports.tables import write_figure
from experiments.studies.registers.comparing import OTHERS
from experiments.studies.registers.plot import draw
from experiments.studies.registers.scores import HEADLINES, MEASURES
from experiments.studies.registers.settings import MIXED
from experiments.studies.space.report import number, span

PAGE, FIGURE = "registers.html", "registers"
TEXTS = ["register", "learnt from", "measured", "near copies left out", "wishes"]
QUALITIES = ["learnt from", "space", "mean cosine", "IsoScore", "effective dimension", "order kept", "agreement",
             "registers apart"]  # fmt: skip
NOTE = (
    "Intervals are 95 % over held-out texts, the same ones for both sides; they hold neither which texts were learnt "
    "from nor which random parameters a training started from. Each text is in two mixtures, so those of mixtures are "
    "a little narrow. Texts are decoded greedily, once; no search and no check stands behind any text."
)
MEANT = (
    "Bits a byte: mean over held-out texts, end of text included, read after the adapter's vectors. Exact: decoded "
    "letter for letter, straight from the adapter or after refinement. Mixtures are of two held-out texts in equal "
    "parts. A text is good that is whole, new (neither a source nor learnt by heart), readable (its surprisal under a "
    "language model that had no part in any training is that of nine in ten of the register's texts) and to the point: "
    "nearer to its own wanted point than to 95 % of the others', which one in twenty is by chance. A wish is met well "
    "where the trait that a text lacked (a number, a question, a word to the reader, a word of us) is there after its "
    "point has turned 36 degrees, and the text is good and still nearer to its source than to 95 % of the others; mean "
    "over the registers that have examples of wishes."
)
_BESIDE = {MIXED: "the mixed model", OTHERS: "models of other registers"}
Table = tuple[list[str], list[list[str]]]


def lead(found: Mapping[str, Any]) -> str:
    """Return in two sentences what was trained and measured."""
    settings = found["settings"]
    times = "one training of each" if settings["trainings"] == 1 else f"{settings['trainings']} trainings of each"
    return (
        f"{len(found['models'])} models of {found['parameters']:,} parameters, {times}, on {found['tokens']:,} tokens "
        f"{settings['passes']:g} times in {found['steps']:,} steps: {', '.join(found['models'])}. Read by "
        f"{settings['judge']}, on {found['device']}."
    )


def texts_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: what each model learnt from, and what is measured."""
    return TEXTS, [[row["register"], f"{row['learnt_from']:,}", str(row["measured"] or "–"),
                    str(row["near_copies"] if row["measured"] else "–"), row["wishes"] or "–"]
                   for row in found["texts"]]  # fmt: skip


def matrix_table(found: Mapping[str, Any], measure: str, spans: bool = True) -> Table:
    """Return columns and rows for people: a measure of each model on each register, a register's own in brackets."""
    rows = {(row["model"], row["register"]): row for row in found["matrix"] if row["measure"] == measure}
    cells = [[model, *(_cell(rows.get((model, register)), measure, model == register, spans)
                       for register in found["registers"])] for model in found["models"]]  # fmt: skip
    return [MEASURES[measure].title, *found["registers"]], cells


def compared_table(found: Mapping[str, Any], register: str | None = None) -> Table:
    """Return columns and rows for people: a register's own model beside others; the mean over all unless one is named.

    Where models were trained several times, each training's difference stands behind the interval.
    """
    rows = {(row["measure"], row["beside"]): row for row in found["compared"] if row["register"] == register}
    cells = [[some.title, f"{some.better}er", *(_difference(rows[name, beside]) for beside in _BESIDE)]
             for name, some in MEASURES.items() if (name, MIXED) in rows]  # fmt: skip
    return ["measure", "better", *(f"own above {name}" for name in _BESIDE)], cells


def quality_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: qualities of each model's spaces, of its first training."""
    digits = {
        "mean_cosine": 2,
        "isoscore": 3,
        "effective_dimension": 0,
        "rank_agreement": 2,
        "agreement": 2,
        "apart": 2,
    }
    return QUALITIES, [[row["model"], row["space"], *(span(row, name, count) for name, count in digits.items())]
                       for row in found["qualities"] if not row["training"]]  # fmt: skip


def for_console(found: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return titles, columns and rows of tables that fit a terminal."""
    tables = [(MEASURES[name].title, ["learnt from", *found["registers"]], matrix_table(found, name, False)[1])
              for name in HEADLINES]  # fmt: skip
    own = ("\nA register's own model beside others, mean over registers", *compared_table(found))
    spaces = [[row["model"], row["space"], number(row["mean_cosine"], 2), number(row["effective_dimension"], 0),
               number(row["apart"], 2)] for row in found["qualities"] if not row["training"]]  # fmt: skip
    return [("", *texts_table(found)), *tables, own, ("\nSpaces, on all held-out texts", [
        "learnt from", "space", "cosine", "dimension", "apart"], spaces)]  # fmt: skip


def answers(found: Mapping[str, Any]) -> list[str]:
    """Return for each task whether a register's texts fare better in its own model, as far as it is shown."""
    rows = {(row["measure"], row["beside"]): row for row in found["compared"] if row["register"] is None}
    return [
        f"{MEASURES[name].title.capitalize()}: a register's own model is " + ", and ".join(
            f"{_verdict(rows[name, beside])} {called} ({_difference(rows[name, beside])})"
            for beside, called in _BESIDE.items()) + "."
        for name in HEADLINES if (name, MIXED) in rows
    ]  # fmt: skip


def _verdict(row: Mapping[str, Any]) -> str:
    """Return better or worse than, where interval and every training say so."""
    ends = [row["low"], row["high"], *row["trainings"]]
    if min(ends) <= 0 <= max(ends):
        return "not told apart from"
    better = (ends[0] > 0) == (MEASURES[row["measure"]].better == "high")
    once = "in this one training " if len(row["trainings"]) == 1 else ""
    return f"{once}{'better' if better else 'worse'} than"


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
        texts_table=texts_table(found), matrices=[matrix_table(found, name) for name in MEASURES],
        besides={None: compared_table(found), **{name: compared_table(found, name) for name in found["registers"]}},
        spaces=quality_table(found),
    )  # fmt: skip
    write_page(page, out / PAGE)
    return [*files, out / PAGE]


def _cell(row: Mapping[str, Any] | None, measure: str, own: bool, spans: bool) -> str:
    if row is None:
        return "–"
    said = _said(row["value"], measure)
    if spans:
        said += f" ({_said(row['low'], measure)} to {_said(row['high'], measure)})"
    return f"[{said}]" if own else said


def _said(value: float, measure: str) -> str:
    return f"{value:.0%}" if MEASURES[measure].share else f"{value:.{_digits(measure)}f}"


def _difference(row: Mapping[str, Any]) -> str:
    measure = row["measure"]
    scale, digits, unit = (100, 0, " points") if MEASURES[measure].share else (1, _digits(measure), "")
    value, low, high = (f"{scale * row[name]:+.{digits}f}" for name in ("above", "low", "high"))
    each = [f"{scale * one:+.{digits}f}" for one in row["trainings"]]
    return f"{value}{unit} ({low} to {high}{'; ' + ', '.join(each) if len(each) > 1 else ''})"


def _digits(measure: str) -> int:
    return 0 if measure == "steps" else 2
