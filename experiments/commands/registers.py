"""``copyloom study registers``: what the texts that a model learns from do to its space and to what it writes."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError, Report
from experiments.commands import console
from experiments.commands.options import DeviceName
from experiments.commands.settings import takes
from experiments.commands.studying import STUDY, Studied, prepared, show_report
from experiments.studies.registers.settings import MIXED, QUICK, RegisterStudy

_ASKED = ("texts", "trainings", "passes", "steps", "vocabulary", "hidden_size", "layers", "width", "vectors", "rate",
          "noise", "judged", "inversion_steps", "judge", "seed")  # fmt: skip
_UNLESS_QUICK: Any = dict.fromkeys(_ASKED)
"""None of them has a default on the command line, so that those of --quick are not overruled."""


@takes(RegisterStudy, *_ASKED, **_UNLESS_QUICK)
def registers(
    register: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE, one text a line or a table; two or more. Headlines, listings, claims, stories."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the project's real texts, unless --register is given.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Of models, tables, figures and page; a stopped study goes on.")
    ] = Path("runs/study-registers"),
    quick: Annotated[bool, typer.Option("--quick", help="Tiny models that learn little: within minutes.")] = False,
    *,
    asked: dict[str, Any],
    device: DeviceName = "auto",
) -> Studied:  # fmt: skip
    """Train small models on one register each and on all: spaces, losses, and who stores, mixes and steers better."""
    from experiments.studies.registers import report
    from experiments.studies.registers.study import measure

    place, settings = prepared(RegisterStudy, folder, QUICK if quick else None, asked)
    with console.progress() as show:
        if register and data is not None:
            raise InputError("--data and --register were given; give one of them")
        texts = _own(register) if register else _real(data, settings, place, show)
        found = measure(settings, texts, place, device, show)
    return Studied(found, partial(show_report, report), place / STUDY, tuple(report.write(found, place)))


def _own(given: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return the texts of files, each register's in random order."""
    from experiments.texts import read_texts

    found: dict[str, Sequence[str]] = {}
    for one in given:
        name, _, file = one.partition("=")
        if not file or not re.fullmatch(r"\w[\w-]*", name) or name in (MIXED, *found):
            raise InputError(f"--register {one!r} is no NAME=FILE with a name of letters, digits, - and _, each once "
                             f"and none {MIXED!r}")  # fmt: skip
        texts = read_texts(Path(file))
        found[name] = random.Random(f"register {name}").sample(texts, len(texts))
    if len(found) < 2:
        raise InputError("one register was given; give two or more, as they are compared")
    return found


def _real(data: Path | None, settings: RegisterStudy, place: Path, report: Report) -> Mapping[str, Sequence[str]]:
    """Return texts of the four registers that the project has."""
    from experiments.corpora.real_texts import shared_data
    from experiments.corpora.registers import register_texts

    folder = data or shared_data()
    if folder is None or not folder.is_dir():
        raise InputError("there is no folder of real texts; name one with --data, or give texts with --register")
    return register_texts(folder, settings.texts, place, report)
