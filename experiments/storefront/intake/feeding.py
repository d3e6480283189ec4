"""Feeds a source of lines into the ledger: what is not on record is never acknowledged, what is refused blocks nothing.

A source gives batches, and is told what became of each once that is on disk. So a feeder may die at any moment: what it
had not told the source comes again, and counts once.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from experiments.storefront.intake.lines import STATES, Intake, Taken, UnavailableError

MANY = 250
"""Lines of one transaction: more are hardly faster, and a page's decision waits for them."""
MOST_SECONDS = 30.0
_KEPT = 100
Say = Callable[[str], None]


@dataclass(frozen=True)
class Line:
    """A line as it came.

    Parameters
    ----------
    where : str
        How people find it: file and line, or stream and id.
    body : bytes
    """

    where: str
    body: bytes


class Source(Protocol):
    """Where lines come from."""

    def batches(self) -> Iterator[Sequence[Line]]:
        """Yield lines, `MANY` at most; none now and then while there are none, so that the feeder can be stopped."""

    def settle(self, lines: Sequence[Line], taken: Sequence[Taken]) -> None:
        """Hear what became of a batch, now that it is on disk."""

    def close(self) -> None:
        """Leave."""


@dataclass
class Summary:
    """What became of all lines so far."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, str]] = field(default_factory=list)

    def add(self, lines: Sequence[Line], taken: Sequence[Taken]) -> None:
        """Count a batch."""
        self.counts.update(one.state for one in taken)
        refused = [{"where": line.where, "why": one.why} for line, one in zip(lines, taken, strict=True) if one.why]
        self.problems += refused[: _KEPT - len(self.problems)]

    @property
    def lines(self) -> int:
        """How many lines there were."""
        return self.counts.total()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts of all states, and the first refused lines with their reasons."""
        return {"lines": self.lines, **{state: self.counts[state] for state in STATES}, "problems": self.problems}


def feed(
    source: Source, intake: Intake, tenant: str, stop: threading.Event, say: Say,
    heard: Callable[[Summary], None] = lambda summary: None, patience: float | None = None, gentle: bool = False,
) -> Summary:  # fmt: skip
    """Take all lines of a source until it ends or `stop` is set, and return what became of them.

    A `gentle` feeder rests after each batch for as long as that took: who else writes to the same file of SQLite asks
    again and again whether it is free, and would find it busy each time.

    Raises
    ------
    UnavailableError
        If the database cannot be written for longer than `patience` seconds; unless that is given, it is waited for.
    """
    summary = Summary()
    try:
        for lines in source.batches():
            if lines:
                began = time.monotonic()
                taken = _taken(intake, tenant, [line.body for line in lines], stop, say, patience)
                if taken is None:
                    break
                source.settle(lines, taken)
                summary.add(lines, taken)
                heard(summary)
                if gentle:
                    stop.wait(time.monotonic() - began)
            if stop.is_set():
                break
    finally:
        source.close()
    return summary


def _taken(
    intake: Intake, tenant: str, lines: Sequence[bytes], stop: threading.Event, say: Say, patience: float | None
) -> list[Taken] | None:
    """Return what became of lines, however long the database has to be waited for; None if told to stop meanwhile."""
    began, waits = time.monotonic(), backoff()
    while True:
        try:
            return intake.take(tenant, lines)
        except UnavailableError as error:
            if patience is not None and time.monotonic() - began > patience:
                raise
            wait = next(waits)
            say(f"{error}; nothing is lost, trying again in {wait:g} s")
            if stop.wait(wait):
                return None


def backoff(first: float = 0.5) -> Iterator[float]:
    """Yield how many seconds to wait before each further try."""
    while True:
        yield first
        first = min(2 * first, MOST_SECONDS)
