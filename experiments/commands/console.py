"""What the command line prints: progress and tables for people, one JSON object for programs."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
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

from embeddings.folders import replacing

out = Console(highlight=False)
notes = Console(stderr=True, highlight=False)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function (stage, done, total) that shows progress on standard error; plain lines if it is no terminal."""
    if not notes.is_terminal:
        yield _plain_lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), _Speed())
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


def _plain_lines() -> Callable[[str, int, int], None]:
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
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(data, ensure_ascii=False))


def deliver(
    found: dict[str, Any], show: Callable[[dict[str, Any]], None], as_json: bool, path: Path | None = None
) -> None:
    """Write what was measured to a JSON file, if one is given, and print it: as JSON, or as `show` does."""
    if path is not None:
        with replacing(path) as partial:
            partial.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    print_json(found) if as_json else show(found)


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; columns of numbers stand to the right."""
    out.print(title, style="italic", markup=False)  # a title of its own would be folded to the table's width
    drawn = Table(show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(re.fullmatch(r"[-+]?[\d.,]+ ?%?", row[i]) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(escape, row))
    out.print(drawn)


def percent(value: float | None, signed: bool = False) -> str:
    """Return a probability or ratio as a percentage for people."""
    return "-" if value is None else f"{value:{'+' if signed else ''}.2%}"


def interval(bounds: list[float] | None) -> str:
    """Return the bounds of a ratio's interval for people."""
    return "one seed: no interval" if bounds is None else f"{bounds[0]:+.1%} to {bounds[1]:+.1%}"
