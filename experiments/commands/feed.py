"""``copyloom feed``: events into a shop's ledger, from files and streams."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import InputError, Report
from experiments.commands import console
from experiments.commands.options import DEFAULT, Json, Shop, Tenant, output

if TYPE_CHECKING:
    from experiments.storefront.intake.feeding import Source, Summary

_SHOWN = 20
_SAY_SECONDS = 30.0
_PATIENCE_SECONDS = 60.0


def feed(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Files (JSON lines, also .gz, or Parquet), - for standard input; or one stream: "
            "redis://host/stream?group=shop, kafka://host:9092/topic?group=shop.",
        ),
    ],
    database: Shop,
    tenant: Tenant = DEFAULT,
    once: Annotated[bool, typer.Option("--once", help="End where the stream ends; else go on for ever.")] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Feed SQLite twice as fast: no service writes to the file meanwhile.")
    ] = False,
    rejects: Annotated[Path | None, output("Keep refused lines of files, with the reason, as JSON lines.")] = None,
    answers: Annotated[Path | None, output("Write the texts that events are given, as JSON lines.")] = None,
    as_json: Json = False,
) -> None:
    """Take events into a shop's ledger, each once, however often it comes; exit status 1 if some were refused."""
    from experiments.storefront.intake.feeding import feed as fed
    from experiments.storefront.intake.lines import Intake, check_tenant
    from experiments.storefront.slots import Slots, open_storefront

    engine = open_storefront(database, create=False)
    check_tenant(engine, tenant)
    stop, stream = threading.Event(), "://" in sources[0]
    with console.progress() as report:
        source = _source(sources, stop, once, report, rejects, answers)
        slots = Slots(engine)
        if stream:
            slots.follow(1.0)
            for name in (signal.SIGINT, signal.SIGTERM):
                signal.signal(name, lambda *_: stop.set())
        patience = None if stream and not once else _PATIENCE_SECONDS
        summary = fed(source, Intake(engine, slots), tenant, stop, console.notes.print,
                      _told() if stream else lambda _: None, patience,
                      gentle=engine.dialect.name == "sqlite" and not alone)  # fmt: skip
    slots.close()
    engine.dispose()
    console.deliver(summary.to_dict(), _show, as_json)
    if summary.counts["refused"]:
        raise typer.Exit(1)


def _source(
    names: list[str], stop: threading.Event, once: bool, report: Report, rejects: Path | None, answers: Path | None
) -> Source:
    """Return what is named: files, or one stream."""
    from experiments.storefront.intake.files import Files

    streams = [name for name in names if "://" in name]
    if not streams:
        return Files(names, report, rejects, answers)
    if len(names) > 1 or rejects or answers:
        raise InputError("a stream is fed alone; leave files, --rejects and --answers out: it has dead letters")
    scheme = streams[0].partition("://")[0]
    if scheme in ("redis", "rediss"):
        from experiments.storefront.intake.redis_stream import RedisStream

        return RedisStream(streams[0], stop, console.notes.print, once)
    if scheme == "kafka":
        from experiments.storefront.intake.kafka_topic import KafkaTopic

        return KafkaTopic(streams[0], stop, console.notes.print, once)
    raise InputError(f"{scheme}:// is no stream that can be fed; give redis://, rediss:// or kafka://, or files")


def _told() -> Callable[[Summary], None]:
    """Return what says now and then how many lines there were."""
    last = time.monotonic()

    def tell(summary: Summary) -> None:
        nonlocal last
        if time.monotonic() - last > _SAY_SECONDS:
            last = time.monotonic()
            console.notes.print(f"{summary.lines:,} lines so far, {summary.counts['refused']:,} refused")

    return tell


def _show(found: dict[str, Any]) -> None:
    for one in found["problems"][:_SHOWN]:
        console.out.print(f"{one['where']}: {one['why']}")
    if (more := found["refused"] - min(len(found["problems"]), _SHOWN)) > 0:
        console.out.print(f"and {more:,} more; --rejects FILE keeps all of a file")
    counts = {name: count for name, count in found.items() if name != "problems"}
    console.table("Lines", list(counts), [[f"{count:,}" for count in counts.values()]])
