"""What ``copyloom study eagle`` says for people: tables, figures and a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.reports.report import environment, pictured, write_page
from experiments.reports.tables import write_figure
from experiments.studies.eagle.methods import BEST_OF, DESIGN, EXISTING, OPTIMISTIC, READS, REFERENCES, UNIFORM, agent
from experiments.studies.eagle.plot import draw_edited, draw_learning
from experiments.studies.eagle.scores import CALLS, CHANGED, GAIN, KEPT, MEASURES, NEAR, SECOND, STARS, STRANGE

PAGE = "eagle.html"
WHO = {
    UNIFORM: "every action alike; the best text that so many calls come by",
    OPTIMISTIC: "what gained most on the films that were learnt on",
    DESIGN: "the design of actions from which a linear utility is learnt best (Frank-Wolfe)",
    **{agent(one): f"learns by policy gradient, held to the {one} policy" for one in REFERENCES},
    BEST_OF: "the same instruct model, asked for the whole at once: the best of as many answers",
    READS: "a model that reads vectors describes as many points, from the film towards high ratings; the best",
    EXISTING: "the known film that is foretold the highest utility: nothing is written",
}
NOTE = (
    "Films are held-out ones; each method asks for as many changes at most, knows every utility that it looks at, and "
    "keeps the best text. Agents spent further calls while they learnt, on known films. Intervals are 95 %, "
    "bootstrapped over seeds and films; they do not hold other instruct models or films learnt on. Ratings are "
    "foretold by a regression, which texts can please without pleasing people: the second opinion is another one, "
    "which nothing optimises."
)
_SHOWN = (GAIN, STARS, SECOND, STRANGE, KEPT, NEAR, CHANGED, CALLS)
Table = tuple[list[str], list[list[str]]]


def lead(found: Mapping[str, Any]) -> str:
    """Return in a few sentences what was edited."""
    settings, foretold = found["settings"], found["foretold"]
    asked = next(row["changes"] for row in found["changes"] if row["what"] == "asked for")
    failed = sum(row["changes"] for row in found["changes"]) - asked
    worst = max(row["certificate"] for row in found["learning"] if row["certificate"] is not None)
    return (
        f"{settings['films']} of {found['held_out']} held-out films among {found['films']:,}; {settings['calls']} "
        f"changes a film, {settings['horizon']} one after the other at most; agents learnt on {settings['learning']} "
        f"known films with {settings['learning_calls']} changes at most, {settings['seeds']} seeds. "
        f"{settings['asked']} was asked for {asked:,} different changes; {failed:,} failed. Plots foretell "
        f"{foretold['encoder']:.0%} of the variance of how films are liked, as the encoder sees them, and "
        f"{foretold['states']:.0%} as a language model's states do. The designs' largest variance is at most "
        f"{worst:.3f} times the least possible (Frank-Wolfe's certificate)."
    )


def edited_table(found: Mapping[str, Any], audience: str, spans: bool = True) -> Table:
    """Return columns and rows for people: what each method made for an audience."""
    own = [row for row in found["edited"] if row["audience"] == audience]
    rows = {(row["method"], row["measure"]): row for row in own}
    return ["method", *_SHOWN], [
        [method, *(_cell(rows[method, measure], measure, spans) for measure in _SHOWN)]
        for method in dict.fromkeys(row["method"] for row in own)
    ]


def compared_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: how far one method is above another, paired."""
    audiences = list(dict.fromkeys(row["audience"] for row in found["compared"]))
    rows = {(row["measure"], row["method"], row["above"], row["audience"]): row for row in found["compared"]}
    pairs = dict.fromkeys(key[:3] for key in rows)
    return ["measure", "method", "above", *audiences], [
        [*pair, *(_difference(rows[(*pair, audience)]) for audience in audiences)] for pair in pairs
    ]


def gap_table(found: Mapping[str, Any]) -> Table:
    """Return columns and rows for people: content gaps, and what fills them."""
    columns = [
        "gap",
        "demand",
        "supply",
        "nearest films",
        "stars there",
        "nearest film",
        "edits of it",
        "told by the ELM",
    ]
    return columns, [
        [str(row["gap"]), f"{row['demand']:+.1f}", f"{row['supply']:+.1f}", row["nearest"],
         f"{row['stars_at_gap']:.2f}", *(_filled(row, name) for name in ("start", "filled", "told"))]
        for row in found["gaps"]
    ]  # fmt: skip


def samples(found: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Return for each audience and film that is shown what each method made of it, with the rating foretold."""
    shown: dict[tuple[str, str], list[list[str]]] = {}
    for row in found["samples"]:
        shown.setdefault((row["film"], row["audience"]), []).append([row["method"], row["text"], f"{row['stars']:.2f}"])
    return [
        (f"{film}, for {audience}", (["method", "text", "stars"], rows)) for (film, audience), rows in shown.items()
    ]


def answers(found: Mapping[str, Any]) -> list[str]:
    """Return for each measure which comparisons, over all audiences, can be told apart."""
    every = [row["audience"] for row in found["compared"]]
    own = [row for row in found["compared"] if row["audience"] == ("all" if "all" in every else every[0])]
    said = []
    for measure in dict.fromkeys(row["measure"] for row in own):
        parts: dict[str, list[str]] = {"above": [], "below": [], "not told apart from": []}
        for row in (one for one in own if one["measure"] == measure):
            verdict = "above" if row["low"] > 0 else "below" if row["high"] < 0 else "not told apart from"
            parts[verdict].append(f"{row['method']} {verdict} {row['above']}")
        said.append(f"{measure.capitalize()}: {'; '.join(line for lines in parts.values() for line in lines)}.")
    return said


def for_console(found: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return titles, columns and rows of tables that fit a terminal."""
    edited = [(f"\nFor {row['audience']} ({row['people']} people)", *edited_table(found, row["audience"], False))
              for row in found["audiences"]]  # fmt: skip
    columns, rows = gap_table(found)
    gaps = [("\nContent gaps", columns[:5], [row[:5] for row in rows])] if rows else []
    return [*edited, ("\nOne above another", *compared_table(found)), *gaps]


def write(found: Mapping[str, Any], out: Path) -> list[Path]:
    """Write figures and page of what `experiments.studies.eagle.study.measure` returned, and return the files.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    figures = {"eagle-edited": draw_edited(found), "eagle-learning": draw_learning(found)}
    files = [file for name, figure in figures.items() for file in write_figure(figure, out / name)]
    told = {row["method"] for row in found["edited"]}
    page = environment().get_template("eagle.html.j2").render(
        lead=lead(found), answers=answers(found), note=NOTE, measures=MEASURES,
        who={name: said for name, said in WHO.items() if name in told},
        pictures=[pictured(figure) for figure in figures.values()],
        tables=[(row, edited_table(found, row["audience"])) for row in found["audiences"]],
        compared=compared_table(found), gaps=gap_table(found), said=samples(found),
    )  # fmt: skip
    write_page(page, out / PAGE)
    return [*files, out / PAGE]


def _cell(row: Mapping[str, Any], measure: str, spans: bool) -> str:
    sign = "" if measure in (KEPT, NEAR, CHANGED, CALLS) else "+"
    return f"{row['value']:{sign}.2f}" + (f" ({row['low']:{sign}.2f} to {row['high']:{sign}.2f})" if spans else "")


def _difference(row: Mapping[str, Any]) -> str:
    return f"{row['value']:+.3f}, {row['low']:+.3f} to {row['high']:+.3f}"


def _filled(row: Mapping[str, Any], name: str) -> str:
    if row[f"{name}_cosine"] is None:
        return "–"
    return f"{row[name]} (cosine {row[f'{name}_cosine']:.2f}, {row[f'{name}_stars']:.2f} stars)"
