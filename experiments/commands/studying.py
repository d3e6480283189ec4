"""What all ``copyloom study`` commands share: settings from a YAML file, and results beside them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import yaml
from pydantic import BaseModel

from copyloom import InputError
from embeddings.folders import check_output, is_special, keep_result, replacing
from experiments.commands import console
from experiments.commands.options import Commands, Json, Track
from experiments.nested import numbers_in
from experiments.versions import packages
from generator.settings import read_mapping, validated

Kind = TypeVar("Kind", bound=BaseModel)

STUDY = "study.json"
_FILE: ContextVar[Path | None] = ContextVar("file of settings", default=None)
"""Of the command that runs."""
_PLACES = {"settings", "as_json", "track", "engine", "processes", "out", "folder", "plot", "report", "save",
           "rater_sheet"}  # fmt: skip
"""Options that say where something goes or runs: no settings, as results do not depend on them."""


@dataclass(frozen=True)
class Studied:
    """What a study found, and what becomes of it.

    Parameters
    ----------
    found : dict
        What ``--json`` prints. Its lists of mappings are tables, and written as such.
    show : callable
        Prints it for people.
    path : Path, optional
        JSON file of it. Beside it stand its tables as CSV and Parquet, and the settings as ``--settings`` takes them:
        in a folder of its own (``study.json``) as ``settings.yaml`` and by the tables' names, elsewhere after its name.
    files : tuple of Path
        What else was written: a page, a plot.
    """

    found: dict[str, Any]
    show: Callable[[dict[str, Any]], None]
    path: Path | None = None
    files: tuple[Path, ...] = ()


class Studies(Commands):
    """Commands that return what they `Studied`: all take ``--settings``, ``--json`` and ``--track``."""

    def command(self, *names: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # type: ignore[override]
        """Return a decorator that adds a study."""
        add = super().command(*names, **settings)
        return lambda command: add(_study(names[0] if names else command.__name__.replace("_", "-"), command))


def _from_file(context: typer.Context, path: Path | None) -> Path | None:
    """Let the options of a command be those of a YAML file, where they are not given.

    Raises
    ------
    InputError
        If it cannot be read, or one of its keys is no option, or its value none.
    """
    _FILE.set(path)
    if path is None:
        return None
    known = {one.name: one for one in context.command.params if one.name not in _PLACES and one.name != "help"}
    given = read_mapping(path, "a mapping of settings such as 'seeds: 20'", empty=True)
    if unknown := [str(name) for name in given if name not in known]:
        raise InputError(f"settings from {path}: {unknown[0]} is not known. Allowed: {', '.join(map(str, known))}")
    context.default_map = {
        name: _as_option(value, known[name], path) for name, value in given.items() if value is not None
    }
    return path


def source() -> str:
    """Return where the options of the command that runs come from, as messages name it."""
    path = _FILE.get()
    return "the command line" if path is None else f"the command line and settings from {path}"


def prepared(
    kind: type[Kind], folder: Path, quick: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> tuple[Path, Kind]:
    """Return where a study writes, and its settings.

    Parameters
    ----------
    kind : type
        Of the settings.
    folder : Path
    quick : mapping, optional
        What ``--quick`` stands for, where it was given: what is given otherwise comes before it, and the study goes
        into a folder of its own inside.
    given : mapping

    Raises
    ------
    InputError
        If nothing can be written there, or a setting makes no sense.
    """
    place = folder if quick is None else folder / "quick"
    check_output(place / STUDY)
    return place, validated(kind, {**(quick or {}), **given}, source())


def usual_data(asked: Path | None, what: str) -> Path:
    """Return the folder of data that was asked for, or the one beside the checkout.

    Raises
    ------
    InputError
        If there is neither.
    """
    from experiments.corpora.real_texts import shared_data

    folder = asked or shared_data()
    if folder is None:
        raise InputError(f"there is no folder of {what} beside the project; name one with --data")
    return folder


def show_report(report: Any, found: Mapping[str, Any]) -> None:
    """Print what a study found as its module of reports says it: `lead`, `for_console`, `answers` and `NOTE`."""
    console.out.print(report.lead(found))
    for title, columns, rows in report.for_console(found):
        console.table(title, columns, rows)
    for line in [*report.answers(found), report.NOTE]:
        console.out.print(line)


def _as_option(value: Any, option: Any, path: Path) -> Any:
    """Return a value as the command line would have it, so that both are checked alike."""
    many = option.multiple if option.param_type_name == "option" else option.nargs == -1
    values = value if isinstance(value, list) else [value]
    if wrong := [one for one in values if not isinstance(one, str | int | float)]:
        raise InputError(f"settings from {path}: {option.name} has {wrong[0]!r}; give a number, a text or yes or no")
    texts = [str(one) for one in values]
    return texts if many else ",".join(texts)


_Settings = Annotated[
    Path | None,
    typer.Option(
        help="YAML file of these options by name; those on the command line come first.",
        callback=_from_file,
        is_eager=True,
    ),
]


def _study(name: str, command: Callable[..., Studied]) -> Callable[..., None]:
    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = [inspect.Parameter(one, keyword, default=default, annotation=kind) for one, kind, default in (
        ("settings", _Settings, None), ("track", Track, None), ("as_json", Json, False))]  # fmt: skip

    @wraps(command)
    def called(settings: Path | None, track: str | None, as_json: bool, **given: Any) -> None:
        from experiments.tracking import Record, Tracker

        tracker = None if track is None else Tracker.of(track)
        done = command(**given)
        about = _about(name, given, done.found)
        found = {**done.found, "run": about}
        files = [*done.files, *([] if done.path is None else _written(found, done.path, settings))]
        if as_json:
            console.print_json({**found, "files": list(map(str, files))})
        else:
            done.show(done.found)
            if files:
                console.out.print(f"Written: {', '.join(map(str, files))}")
        if tracker is not None:
            record = Record(f"study {name}", about["settings"], numbers_in(done.found), files=files)
            console.notes.print(f"Tracked: {tracker.track(record)}")

    called.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *more])  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in called.__signature__.parameters.values()}  # type: ignore[attr-defined]
    return called


def _about(name: str, given: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return with what a study ran: its settings as they were resolved, versions and device."""
    from generator.device import Device

    resolved = {key: _plain(value) for key, value in given.items() if key not in _PLACES}  # None: as usual
    if isinstance(own := found.get("settings"), Mapping):
        resolved |= {key: _plain(value) for key, value in own.items() if key in resolved}
        resolved.pop("quick", None)  # which stands for others
    settings = {key: value for key, value in resolved.items() if value is not None}
    device = found.get("device") or Device.choose(given.get("device", "auto")).type
    return {"study": name, "settings": settings, "versions": packages(), "device": device}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _written(found: Mapping[str, Any], path: Path, given: Path | None) -> list[Path]:
    """Write what was found, its tables and its settings, and return the files; elsewhere, if they cannot be.

    The file that settings were given in stays as it is.
    """
    from experiments.reports.tables import write_tables

    keep_result(path, lambda place: console.write_json(found, place))
    if is_special(path):  # nothing stands beside a pipe
        return [path]
    before = "" if path.name == STUDY else f"{path.stem}-"
    settings = path.with_name(f"{before}settings.yaml")
    if given is None or not settings.exists() or not settings.samefile(given):
        with replacing(settings) as partial:
            partial.write_text(_yaml(found["run"]), encoding="utf-8")
    rows = {name: value for name, value in found.items() if name not in ("run", "settings")}
    return [path, settings, *write_tables(rows, lambda name: path.with_name(f"{before}{name}"))]


def _yaml(run: Mapping[str, Any]) -> str:
    """Return settings as ``--settings`` takes them; above them, with what they ran."""
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    body = yaml.safe_dump(run["settings"], sort_keys=False, allow_unicode=True)
    return f"# copyloom study {run['study']} --settings FILE\n# {versions}; on {run['device']}\n{body}"
