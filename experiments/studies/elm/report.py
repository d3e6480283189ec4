"""What ``copyloom study elm`` says for people: tables, figures and a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.reports.report import environment, pictured, write_page
from experiments.reports.tables import write_figure
from experiments.studies.elm.answering import (
    AVERAGE,
    CONSTANT,
    ELM,
    METHODS,
    NEAREST,
    POINT,
    PROMPTED,
    REWARDED,
    RULES,
    TOLD,
)
from experiments.studies.elm.plot import draw_curves, draw_tasks
from experiments.studies.elm.scores import MEASURES, RIGHT, SEMANTIC, STRANGE

PAGE = "elm.html"
WHO = {
    ELM: "reads vectors",
    REWARDED: "the same, taught further by rewards of its own answers: check and consistency, less oddity",
    TOLD: (
        "the same model, told in words what it reads as vectors else; words hold more than vectors, for descriptions "
        "and plots the target itself, so this is an upper bound"
    ),
    AVERAGE: "the same model, reads the mean of the two known vectors nearest to each",
    NEAREST: (
        "the rules' answer to the known question whose vectors are nearest; of two entities, that about the known ones "
        "nearest to each"
    ),
    POINT: "the text of the known entity nearest to the point that an answer should say, where there is one",
    CONSTANT: "always the same answer: of the commonest known ones the one that is right most often of known questions",
    PROMPTED: "an instruct model without any training here, told in words, which hold more than vectors",
    RULES: "the rules' own answer: what checks allow",
}
NOTE = (
    "All questions are about held-out films, people and products. Means and comparisons are over tasks about films: "
    "the writer that the ELM is made of was itself trained on the products' texts, held-out ones too, so that theirs "
    "are no figures of what was never seen. Intervals are 95 % over questions (bootstrap; "
    "Wilson's where all values are 0 or 1); they do not hold which model a training makes. Answers are greedy, asked "
    "once; no search and no check stands behind them. Targets were made by rules from facts, reviews and taglines too. "
    "Checks read which words stand in an answer; they do not understand it."
)
Table = tuple[list[str], list[list[str]]]


def lead(found: Mapping[str, Any]) -> str:
    """Return in a few sentences what was trained and asked."""
    told = [f"{row['entities']:,} {row['domain']} ({row['held_out']} held out)" for row in found["domains"]]
    settings, tasks = found["settings"], len({row["task"] for row in found["tasks"]})
    return (
        f"{' and '.join(told)}; {found['rated']:,} films have ratings by {found['people']} people. "
        f"{settings['model']} with adapters, {settings['adapter_steps']} steps of these alone and {settings['steps']} "
        f"of all, {settings['rows']} questions each; at most {settings['questions']} held-out questions of each of "
        f"{tasks} tasks. Surprisal is measured by {settings['judge']}."
    )


def task_table(found: Mapping[str, Any], measure: str, domain: str, spans: bool = True) -> Table:
    """Return columns and rows for people: a measure of each task about a domain by method."""
    own = [row for row in found["tasks"] if (row["measure"], row["domain"]) == (measure, domain)]
    rows = {(row["task"], row["method"]): row for row in own}
    methods = _methods(found)
    names = dict.fromkeys(task for task, _ in rows)
    return ["task", *methods], [
        [name, *(_cell(rows.get((name, method)), spans) for method in methods)] for name in names
    ]


def _methods(found: Mapping[str, Any]) -> list[str]:
    told = {row["method"] for row in found["tasks"]}
    return [one for one in (*METHODS, RULES) if one in told]


def compared_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: how far the ELM is above each other method, mean over tasks."""
    rows = {(row["method"], row["measure"]): row for row in found["compared"]}
    methods = dict.fromkeys(method for method, _ in rows)
    cells = [[f"ELM above {method}", *(_difference(rows.get((method, measure))) for measure in MEASURES)]
             for method in methods]  # fmt: skip
    return ["mean over tasks about films", *MEASURES], cells


def answers(found: Mapping[str, Any]) -> list[str]:
    """Return for each measure that was compared what the ELM is better than, worse than and not told apart from."""
    said = []
    for measure in MEASURES:
        rows = [row for row in found["compared"] if row["measure"] == measure and row["method"] != RULES]
        more, less = ("odder than", "more usual than") if measure == STRANGE else ("above", "below")
        parts = {more: [row["method"] for row in rows if row["low"] > 0],
                 less: [row["method"] for row in rows if row["high"] < 0],
                 "not told apart from": [row["method"] for row in rows if row["low"] <= 0 <= row["high"]]}  # fmt: skip
        told = "; ".join(f"{verdict} {', '.join(names)}" for verdict, names in parts.items() if names)
        said += [f"{measure.capitalize()}, mean over tasks about films: the ELM is {told}."] * bool(told)
    return said


def _domains(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the domains that were asked about, and what a title says of each."""
    titles = {"films": "films", "products": "products, whose texts the writer was trained on"}
    return {one: titles[one] for one in dict.fromkeys(row["domain"] for row in found["tasks"])}


def curve_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: cosines to the point between films and beyond, by weight and method."""
    rows = {(row["weight"], row["method"]): row for row in found["between"] if row["to"] == "point"}
    methods, weights = (list(dict.fromkeys(key[place] for key in rows)) for place in (1, 0))
    return ["weight of the first", *map(str, methods)], [
        [f"{weight:g}", *(_cell(rows[weight, method], True) for method in methods)] for weight in weights]  # fmt: skip


def along_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: how many descriptions name the genre along its direction, by method."""
    rows = {(row["angle"], row["method"]): row for row in found["along"]}
    methods, angles = (list(dict.fromkeys(key[place] for key in rows)) for place in (1, 0))
    return ["radians", *map(str, methods)], [
        [f"{angle:+g}", *(f"{(row := rows[angle, method])['named']:.0%} ({row['named_low']:.0%} to "
                          f"{row['named_high']:.0%})" for method in methods)] for angle in angles]  # fmt: skip


def sample_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: the first question of each task, and what each method answers."""
    columns = ["task", "about", RULES, *(one for one in _methods(found) if one != RULES)]
    return columns, [["–" if row[name] is None else str(row[name]) for name in columns] for row in found["samples"]]


def for_console(found: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return titles, columns and rows of tables that fit a terminal."""
    tables = [(f"\n{measure.capitalize()}, {title}", *task_table(found, measure, domain, False))
              for domain, title in _domains(found).items() for measure in (RIGHT, SEMANTIC)]  # fmt: skip
    between = ("\nBetween two films, cosine to the point", *curve_table(found))
    along = ("\nAlong a genre's direction, share that names it", *along_table(found))
    own = ("\nELM beside others", *compared_table(found))
    return [table for table in (*tables, own, between, along) if table[2]]


def write(found: Mapping[str, Any], out: Path) -> list[Path]:
    """Write figures and page of what `experiments.studies.elm.study.measure` returned, and return the files.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    tables = [(f"{name}, {title}", MEASURES[name], task_table(found, name, domain))
              for domain, title in _domains(found).items() for name in MEASURES]  # fmt: skip
    figures = {"elm-tasks": draw_tasks(found), "elm-curves": draw_curves(found)}
    files = [file for name, figure in figures.items() for file in write_figure(figure, out / name)]
    page = environment().get_template("elm.html.j2").render(
        found, pictures=[pictured(figure) for figure in figures.values()], lead=lead(found), answers=answers(found),
        note=NOTE, who=WHO, tables=[one for one in tables if one[2][1]],
        own=compared_table(found), curves=(curve_table(found), along_table(found)), said=sample_table(found),
    )  # fmt: skip
    write_page(page, out / PAGE)
    return [*files, out / PAGE]


def _cell(row: Mapping[str, Any] | None, spans: bool) -> str:
    if row is None:
        return "–"
    return f"{row['value']:.2f}" + (f" ({row['low']:.2f} to {row['high']:.2f})" if spans else "")


def _difference(row: Mapping[str, Any] | None) -> str:
    return "–" if row is None else f"{row['above']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
