"""``copyloom study calibration`` and ``click-model``: whether shoppers are like people, and a model as it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from copyloom.tables import Reading
from experiments.commands import console
from experiments.commands.options import NEEDED, Column, File, Json, check_given, output, reads
from experiments.commands.studying import Studied


@reads("delimiter", "encoding", "sheet")
def calibration(
    archive: Annotated[
        Path, typer.Option(help="The archive: CSV, Parquet or another table, in its own columns.")
    ] = NEEDED,
    config: Annotated[
        Path | None, typer.Option(help="YAML settings of a study, whose shoppers are held beside it; usual ones.")
    ] = None,
    out: Annotated[Path | None, output("Write the numbers to this JSON file.")] = None,
    *,
    reading: Reading,
) -> Studied:
    """Hold simulated shoppers beside real tests of headlines: base rate, spread between and within tests."""
    from experiments.simulation.config import RunConfig
    from experiments.studies.calibration.study import measure

    check_given(archive=archive)
    shoppers = None if config is None else RunConfig.from_yaml(config).shoppers
    with console.progress() as show:
        found = measure(archive, show, reading, shoppers)
    return Studied(found, _show, out)


@reads("delimiter", "encoding", "sheet", "header", "html")
def check_click_model(
    model: Annotated[str, typer.Argument(help="Its class: shoppers.py:ShortTexts, or package.module:ShortTexts.")],
    texts: File = None,
    column: Column = None,
    settings: Annotated[
        str, typer.Option(help="What the class takes beside the seed, as YAML: '{slope: 0.1}'.")
    ] = "{}",
    seed: Annotated[int, typer.Option(help="Of the shoppers.", min=0)] = 0,
    *,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Check a click model of your own: the same answer whenever it is asked, probabilities, no memory."""
    from copyloom import InputError
    from experiments.texts import read_texts
    from simulator import check_click_model as check
    from simulator.conformance import TEXTS

    try:
        given = yaml.safe_load(settings)
    except yaml.YAMLError as error:
        raise InputError(f"--settings {settings!r} is no YAML ({error}); write it as '{{slope: 0.1}}'") from error
    if not isinstance(given, dict):
        raise InputError(f"--settings {settings!r} is no mapping; write it as '{{slope: 0.1}}'")
    asked = TEXTS if texts is None else read_texts(texts, column, reading)
    checks = check(model, asked, seed, given)
    console.deliver({"model": model, "texts": len(asked), "holds": checks}, _show_checks, as_json)


def _show_checks(found: dict[str, Any]) -> None:
    checks = "\n- ".join(found["holds"])
    console.out.print(f"{found['model']} is a click model. With {found['texts']} texts:\n- {checks}", markup=False)


def _show(found: dict[str, Any]) -> None:
    left = ", ".join(f"{count:,} {reason}" for reason, count in found["left_out"].items())
    console.out.print(f"{found['tests']:,} tests with {found['headlines']:,} headlines. Left out: {left or 'nothing'}.")
    rows = [[row["meaning"], f"{row['archive']:.4g}", "{:.4g} to {:.4g}".format(*row["interval"]),
             f"{row['simulated']:.4g}", f"{row['calibrated']:.4g}"] for row in found["rows"]]  # fmt: skip
    console.table("Real and simulated tests", ["measure", "archive", "95 %", "simulated", "calibrated"], rows)
    console.out.print("\nSettings that calibrate:\n" + yaml.safe_dump(found["settings"], sort_keys=False), markup=False)
