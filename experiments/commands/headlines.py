"""``copyloom study headlines``: real tests of headlines, replayed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom.tables import Reading
from embeddings.folders import keep_result
from experiments.commands import console
from experiments.commands.options import NEEDED, check_given, output, reads
from experiments.commands.settings import takes
from experiments.commands.studying import Studied
from experiments.studies.headlines.settings import ENTRANTS, HeadlineStudy

if TYPE_CHECKING:
    from collections.abc import Mapping


@takes(HeadlineStudy, "seeds", "folds", "keep_faulty", "best_rule")
@reads("delimiter", "encoding", "sheet")
def headlines(
    archive: Annotated[
        Path, typer.Option(help="The archive: CSV, Parquet or another table, in its own columns.")
    ] = NEEDED,
    taus: Annotated[
        list[int] | None, typer.Option("--tau", help="Impressions a headline; give the option once for each.")
    ] = None,
    truths: Annotated[
        list[str] | None, typer.Option("--truth", help="corrected or raw rates; both unless given.")
    ] = None,
    entrants: Annotated[
        list[str] | None, typer.Option("--entrant", help=f"Of {', '.join(ENTRANTS)}; all unless given.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where what was replayed is kept: a stopped study goes on.")
    ] = Path("runs/study-headlines"),
    plot: Annotated[Path | None, output("Where to write the plot: a PNG, SVG or PDF.")] = None,
    report: Annotated[
        Path | None, output("Write a page with tables, plot and what they mean to this HTML file.")
    ] = None,
    out: Annotated[Path | None, output("Write the numbers to this JSON file.")] = None,
    *,
    asked: dict[str, Any],
    reading: Reading,
) -> Studied:
    """Replay real tests of headlines: what each rule for choosing among them would have earned."""
    from experiments.studies.headlines.study import measure

    check_given(archive=archive)
    many = {"taus": taus, "truths": truths, "entrants": entrants}
    asked |= {name: tuple(values) for name, values in many.items() if values}
    settings = HeadlineStudy(**asked)
    with console.progress() as show:
        found = measure(archive, settings, folder, show, reading)
    if plot is not None:
        from experiments.studies.headlines.plot import draw

        keep_result(plot, lambda path: draw(found, path))
    if report is not None:
        from experiments.studies.headlines.report import write

        keep_result(report, lambda path: write(found, path))
    return Studied(found, _show, out, tuple(path for path in (plot, report) if path))


def _show(found: Mapping[str, Any]) -> None:
    left = ", ".join(f"{count:,} {reason}" for reason, count in found["left_out"].items())
    console.out.print(f"{found['tests']:,} tests with {found['headlines']:,} headlines. Left out: {left or 'nothing'}.")
    words = found["words"]
    console.out.print(
        f"Words of other tests order {words['pairs_right']:.1%} of pairs as clicks do, and name the best of "
        f"{words['best_named']:.1%} of tests ({words['best_guessed']:.1%} by chance). They explain "
        f"{words['variance_explained']:.0%} of what truly differs within tests."
    )
    if not words["states"]:
        console.out.print("The pretrained writer's states are not among the features: copyloom models get smollm2.")
    for truth, meaning in found["truths"].items():
        for tau in found["settings"]["taus"]:
            rows = [row for row in found["rows"] if (row["truth"], row["tau"]) == (truth, tau)]
            console.table(
                f"{tau} impressions a headline; {truth}: {meaning}",
                ["entrant", "clicks a test and period", "95 %", "to ceiling", "ours earns more", "95 %", "best kept"],
                [[row["entrant"], f"{row['clicks']:.4f}", "{:.4f} to {:.4f}".format(*row["interval"]),
                  f"{row['ceiling_share']:.0%}", f"{row['ours_gains']:+.1%}",
                  "{:+.1%} to {:+.1%}".format(*row["ours_gains_interval"]), f"{row['best_kept']:.0%}"] for row in rows],
            )  # fmt: skip
    for row in found["best_rule"]:
        console.out.print(
            f"If our belief is right: in {row['tests']} tests of two headlines with {row['tau']} impressions each ours "
            f"comes {row['ours']:.0%} of the way, and the best of all rules {100 * row['further']:.1f} points further."
        )
