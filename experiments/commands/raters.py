"""``copyloom raters``: sheets on which people judge texts blind, and what their answers say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import InputError
from copyloom.tables import Reading
from embeddings.folders import check_output, keep_result
from experiments.commands import console
from experiments.commands.options import Commands, Json, reads
from experiments.commands.stored import database_of
from generator.paths import expanded

if TYPE_CHECKING:
    from experiments.raters.units import Entry

raters_app = Commands(no_args_is_help=True, help="Let people judge texts: blind, balanced sheets, and what they say.")
_COLUMNS = {"rich_help_panel": "Columns of the table"}
_UNKNOWN = "there is no line {} in the key; give the key that was written beside this sheet"
_FOUND = "raters.json"


@raters_app.command("sheet")
@reads("delimiter", "encoding", "sheet", "header")
def sheet_command(
    texts: Annotated[str, typer.Argument(help="Table with the columns text and source; or run folder or database.")],
    ask: Annotated[
        list[str] | None,
        typer.Option(help="consistency, quality, similarity or preference; once for each, quality unless given."),
    ] = None,
    raters: Annotated[int, typer.Option(help="Sheets, one a rater, each in its own order.", min=1)] = 3,
    many: Annotated[
        int, typer.Option("--texts", help="Texts on a sheet; and pairs, if pairs are asked about.", min=1)
    ] = 20,
    overlap: Annotated[
        int | None, typer.Option(help="Raters who judge the same text or pair; 2, or 1 of one rater.", min=1)
    ] = None,
    scale: Annotated[int, typer.Option(help="Highest mark: 5 or 7.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 0,
    campaign: Annotated[str | None, typer.Option(help="Of a run, this one alone; all together unless given.")] = None,
    text: Annotated[str, typer.Option(help="The text.", **_COLUMNS)] = "text",
    source: Annotated[str, typer.Option(help="Who wrote it; raters do not see it.", **_COLUMNS)] = "source",
    item: Annotated[
        str, typer.Option(help="What it was written for; equal for those to compare.", **_COLUMNS)
    ] = "item",
    about: Annotated[str, typer.Option(help="What it was to say, shown beside it.", **_COLUMNS)] = "about",
    other: Annotated[str, typer.Option(help="A text to compare it with.", **_COLUMNS)] = "other",
    out: Annotated[Path, typer.Option(help="Sheets, .html or .csv; sheet.html becomes sheet-1.html and so on.")] = Path(
        "runs/raters/sheet.html"
    ),
    *,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Write a sheet for each rater, and their key: it stays with you, and only with it answers can be read."""
    from experiments.raters.making import Plan, draw, write
    from experiments.raters.questions import asked_of
    from experiments.raters.sources import Columns

    plan = Plan(asked_of(ask or ["quality"], scale), raters, many, overlap or min(raters, 2), seed)
    check_output(out)
    entries = _entries(texts, campaign, Columns(text, source, about, other, item), reading)
    drawn = draw(entries, plan)
    *sheets, key = map(str, write(drawn, out))
    judged = {f"{of}s": sum(unit.of == of for unit in drawn.key.units) for of in ("text", "pair")}
    if as_json:
        console.print_json({"sheets": sheets, "key": key, **judged, "equal_pairs": drawn.key.equal,
                            "questions": [question.name for question in plan.questions], "raters": raters,
                            "overlap": plan.overlap, "notes": list(drawn.notes)})  # fmt: skip
        return
    for note in drawn.notes:
        console.notes.print(note)
    if drawn.key.equal:
        console.out.print(f"pairs of equal texts, which are not shown: {drawn.key.equal:,}")
    console.out.print(f"{judged['texts']:,} texts and {judged['pairs']:,} pairs, each judged by {plan.overlap} of "
                      f"{raters} raters\nFor raters: {', '.join(sheets)}")  # fmt: skip
    console.out.print(f"For you: {key}; it says which text is whose. Keep it, and keep it from raters: without it "
                      "their answers cannot be read")  # fmt: skip


@raters_app.command("read")
def read_command(
    key: Annotated[Path, typer.Argument(help="The file ending in -key.json that was written beside the sheets.")],
    answers: Annotated[list[Path], typer.Argument(help="Sheets that came back: CSV, JSON lines, Parquet or Excel.")],
    seed: Annotated[int, typer.Option(help="Of the samples that intervals rest on.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the numbers: JSON, and tables as CSV and Parquet.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what raters found: means, differences and wins of sources with intervals, and how far raters agree."""
    from experiments.raters.answers import read_answers
    from experiments.raters.comparing import compare
    from experiments.raters.key import read_key
    from experiments.reports.tables import write_tables

    if out is not None:
        check_output(out / _FOUND)
    stored = read_key(key)
    found = compare(read_answers(answers, stored, _UNKNOWN), stored, seed)
    files: list[Path] = []
    if out is not None:
        folder = out
        keep_result(folder / _FOUND, lambda path: console.write_json(found, path))
        files = [folder / _FOUND, *write_tables(found, lambda name: folder / name)]
    console.print_json(found | {"files": list(map(str, files))}) if as_json else _show(found, files)


def _entries(texts: str, campaign: str | None, columns: Any, reading: Reading) -> list[Entry]:
    """Return the texts of a table, or of the campaigns of a run or database."""
    from experiments.raters.sources import Columns, of_database, of_table

    database = database_of(texts)
    if database is None:
        if campaign is not None:
            raise InputError("--campaign is of a run or a database; give its folder, such as runs/quickstart")
        return of_table(expanded(texts), columns, reading)
    if columns != Columns():
        raise InputError("a run or a database has no columns to choose; leave --text, --source and the like out")
    with _opened(database) as engine:
        return of_database(engine, campaign)


@contextmanager
def _opened(database: str | Path) -> Iterator[Any]:
    from embeddings.database import open_database

    engine = open_database(database, create=False)
    try:
        yield engine
    finally:
        engine.dispose()


def _show(found: Mapping[str, Any], files: Sequence[Path]) -> None:
    _show_raters(found)
    span = console.span
    for title, name, columns, cells in (
        ("Marks", "means", ["question", "source", "mean", "95 %", "items", "judgements"], lambda row: [
            row["source"], f"{row['mean']:.2f} of {row['highest']}", span(row["interval"], ".2f"), row["items"],
            row["judgements"]]),
        ("Differences of marks", "differences", ["question", "beside", "difference", "95 %", "items", "evidence"],
         lambda row: [f"{row['source']} beside {row['other']}", f"{row['difference']:+.2f}",
                      span(row["interval"], "+.2f"), row["items"], row["verdict"]]),
        ("Preferred", "wins", ["question", "against", "won", "95 %", "won, tied, lost", "items", "evidence"],
         lambda row: [f"{row['source']} against {row['other']}", f"{row['win_rate']:.0%}", span(row["interval"], ".0%"),
                      f"{row['wins']}, {row['ties']}, {row['losses']}", row["items"], row["verdict"]]),
        ("Agreement of raters", "agreement", ["question", "Krippendorff's alpha", "95 %", "judged twice or more"],
         lambda row: ["-" if row["alpha"] is None else f"{row['alpha']:.2f}", span(row["interval"], ".2f"),
                      row["judged_twice"]]),
        ("Does the text that stands first win?", "sides", ["question", "chosen", "95 %", "evidence"],
         lambda row: [f"{row['first_chosen']:.0%}", span(row["interval"], ".0%"), row["verdict"]]),
    ):  # fmt: skip
        if found[name]:
            console.table(f"\n{title}", columns, [[row["question"], *map(str, cells(row))] for row in found[name]])
    many = len(found["differences"]) + len(found["wins"])
    if many > 1:
        console.out.print(
            f"\nIntervals are for one comparison each; of these {many} one in twenty leaves the truth out"
        )


def _show_raters(found: Mapping[str, Any]) -> None:
    counting = [row for row in found["raters"] if row["counts"]]
    judged = found["judged"]
    console.out.print(f"{len(counting)} raters, {judged['texts']:,} texts, {judged['pairs']:,} pairs")
    for row in found["raters"]:
        if not row["counts"]:
            console.out.print(f"left out: {row['rater']}, who {row['why']}")
        elif row["missing"]:
            console.out.print(f"{row['rater']} left {row['missing']:,} questions open")
    if found["absent_sheets"]:
        console.out.print(f"not back yet: sheet {', '.join(map(str, found['absent_sheets']))}")
    if found["equal_pairs"]:
        console.out.print(f"pairs of equal texts, which nobody was shown and no rate holds: {found['equal_pairs']:,}")
    if len(counting) == 1:
        console.out.print("one rater: there are no intervals and no agreement; not enough evidence yet")
