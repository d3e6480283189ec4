"""``copyloom study stories``: headlines written for real stories, judged by what other tests teach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom.tables import Reading
from embeddings.folders import check_output, keep_result
from experiments.commands import console
from experiments.commands.options import NEEDED, Writer, check_given, output, reads, writer_for
from experiments.commands.settings import takes
from experiments.commands.studying import Studied
from experiments.studies.stories.settings import StoryStudy


@takes(StoryStudy, "tests", "mixtures", "folds", "draws", "seed", "keep_faulty")
@reads("delimiter", "encoding", "sheet")
def stories(
    archive: Annotated[
        Path, typer.Option(help="The archive: CSV, Parquet or another table, in its own columns.")
    ] = NEEDED,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where what was written is kept: a stopped study goes on.")
    ] = Path("runs/study-stories"),
    report: Annotated[
        Path | None, output("Write a page with tables, plot and texts to read to this HTML file.")
    ] = None,
    out: Annotated[Path | None, output("Write the numbers to this JSON file.")] = None,
    *,
    asked: dict[str, Any],
    reading: Reading,
    model: Writer = None,
) -> Studied:
    """Write headlines for real stories, and say how likely they are better than people's."""
    from experiments.studies.stories.study import SAMPLES, measure

    check_given(archive=archive)
    settings = StoryStudy(**asked, model=writer_for(model))
    check_output(folder / f"{SAMPLES}.csv")
    with console.progress() as show:
        found = measure(archive, settings, folder, show, reading)
    if report is not None:
        from experiments.studies.stories.report import write

        keep_result(report, lambda path: write(found, folder, path))
    texts = tuple(folder / f"{SAMPLES}.{ending}" for ending in ("csv", "parquet"))
    return Studied(found, _show, out, (*texts, *((report,) if report else ())))


def _show(found: Mapping[str, Any]) -> None:
    from experiments.studies.stories.report import CHECKED, COMPARED, believed, checked, compared, of_the_texts

    console.out.print(of_the_texts(found))
    for part in found["comparisons"]:
        title = f"{part['texts'].capitalize()}: {part['written']:.1f} written and {part['human']:.1f} human headlines"
        console.table(f"{title} a story, {part['tests']} stories", COMPARED, [compared(row) for row in part["rows"]])
    console.table("People's headlines in the part of the written ones: clicked more than the best of the others?",
                  CHECKED, [checked(row) for row in found["check"]["rows"]])  # fmt: skip
    console.out.print(believed(found))
