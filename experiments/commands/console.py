"""What the command line prints: progress and tables for people, one JSON object for programs."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from copyloom import InputError, Report
from embeddings.folders import keep_result, replacing, spare_result

if not os.environ.get("COLUMNS", "").strip("0"):  # some shells say 0, and nothing would be shown
    os.environ.pop("COLUMNS", None)

# Letters are shown as people wrote them and models decoded them: no [markup], no :emoji:, no line ends of our own.
out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
notes = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


@contextmanager
def progress() -> Iterator[Report]:
    """Yield a function (stage, done, total) that shows progress on standard error; plain lines if it is no terminal."""
    if not notes.is_terminal:
        yield _plain_lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        _Speed(),
    )
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=notes, transient=True) as bars:
        tasks: dict[str, TaskID] = {}  # one a stage, each with its own pace, for stages take turns
        reached: dict[str, int] = {}

        def show(stage: str, done: int, total: int) -> None:
            name = stage.partition(" (")[0]  # a loss, say, may follow
            if name not in tasks:
                tasks[name] = bars.add_task(stage, total=total)
            elif done < reached[name]:  # once more
                bars.reset(tasks[name])
            reached[name] = done
            for other in tasks.values():
                bars.update(other, visible=other == tasks[name])
            bars.update(tasks[name], description=stage, completed=done, total=total)

        yield show


class _Speed(ProgressColumn):
    """How many a second, over the last of them."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")


def _plain_lines() -> Report:
    last: dict[str, int] = {}
    began: dict[str, tuple[float, int]] = {}
    reached: dict[str, int] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage in began and done < reached[stage]:  # once more
            del began[stage], last[stage]
        reached[stage] = done
        began_at, first = began.setdefault(stage, (time.perf_counter(), done))
        tenth = 10 * done // max(total, 1)
        if last.get(stage) == tenth:
            return
        last[stage] = tenth
        passed = time.perf_counter() - began_at
        speed = (done - first) / passed if passed > 1 else 0.0
        pace = f", {speed:.1f} a second, {(total - done) / speed:.0f} s left" if speed else ""
        notes.print(f"{stage}: {done} of {total}{pace}" if total > 1 else stage)

    return show


class _Notes(logging.Handler):
    """Prints what packages say while they work, as it stands."""

    def emit(self, record: logging.LogRecord) -> None:
        notes.print(record.getMessage(), markup=False, emoji=False, soft_wrap=True)


def hear() -> None:
    """From now on, show on standard error what was found out about files; see `copyloom.tables.say`."""
    said = logging.getLogger("copyloom")
    said.setLevel(logging.INFO)
    if not any(isinstance(handler, _Notes) for handler in said.handlers):
        said.addHandler(_Notes())


def print_json(data: dict[str, Any]) -> None:
    """Print one JSON object on standard output, in UTF-8 whatever the terminal's encoding.

    Raises
    ------
    InputError
        If it cannot be written, to a full disk say; the message says where it is now.
    """
    whole = json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace")  # half a surrogate pair: \\udc80
    try:
        typer.echo(whole)
    except BrokenPipeError:
        raise
    except OSError as error:
        spare = spare_result("result.json", lambda path: path.write_bytes(whole))
        raise InputError(f"standard output cannot be written ({error.strerror}); the result is in {spare}") from error


def deliver(
    found: dict[str, Any], show: Callable[[dict[str, Any]], None], as_json: bool, path: Path | None = None
) -> None:
    """Write what was measured to a JSON file, if one is given, and print it: as JSON, or as `show` does."""
    if path is not None:
        keep_result(path, lambda place: write_json(found, place))
    print_json(found) if as_json else show(found)


def write_json(found: Mapping[str, Any], path: Path) -> None:
    """Write what was measured to a file."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; columns of numbers stand to the right."""
    out.print(title, style="italic")  # a title of its own would be folded to the table's width
    utf = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    drawn = Table(show_edge=False, pad_edge=False, box=box.HEAVY_HEAD if utf else box.ASCII_DOUBLE_HEAD)
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(re.fullmatch(r"[-+]?[\d.,]+ ?%?", row[i]) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    out.print(drawn, soft_wrap=False)


def iso(at: datetime | None) -> str | None:
    """Return a time to the second, as JSON and tables have it."""
    return None if at is None else at.isoformat(timespec="seconds")


def percent(value: float | None, signed: bool = False) -> str:
    """Return a probability or ratio as a percentage for people."""
    return "-" if value is None else f"{value:{'+' if signed else ''}.2%}"


def interval(bounds: list[float] | None) -> str:
    """Return the bounds of a ratio's interval for people."""
    return "one seed: no interval" if bounds is None else f"{bounds[0]:+.1%} to {bounds[1]:+.1%}"


def span(bounds: list[float] | None, form: str) -> str:
    """Return the bounds of an interval for people, each in a form such as ".2f"; a dash where there is none."""
    return "-" if bounds is None else " to ".join(format(bound, form) for bound in bounds)
