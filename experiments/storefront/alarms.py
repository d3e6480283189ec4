"""What a service stands on and may lose: said once when it is lost, and once when it is back; and clocks that jump."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from experiments.campaigns.ledger import Clock

_JUMP_SECONDS = 2.0
_QUIET_SECONDS = 1.0
"""Without a failure, before something counts as working again: not every other request is worth a line."""
_RECENT_SECONDS = 5.0


class Alarm:
    """Says once that something fails, and once that it is over, whoever notices.

    Parameters
    ----------
    lost : callable
        Called with why, at the first failure.
    back : callable
        Called with how many failures there were, and in how many seconds, when it works again.
    """

    def __init__(self, lost: Callable[[str], object], back: Callable[[int, float], object]) -> None:
        self._lost, self._back = lost, back
        self._since = self._last = 0.0
        self._times, self._lock = 0, threading.Lock()

    @property
    def raised(self) -> bool:
        """Whether it fails."""
        return self._times > 0

    @property
    def recent(self) -> bool:
        """Whether it failed in the last seconds, and is not known to work again."""
        return self.raised and time.monotonic() - self._last < _RECENT_SECONDS

    def fails(self, error: BaseException) -> None:
        """Take note of a failure; the first is said."""
        with self._lock:
            self._times, self._last = self._times + 1, time.monotonic()
            first = self._times == 1
            self._since = self._last if first else self._since
        if first:
            self._lost(cause(error))

    def works(self) -> None:
        """Take note that it works; after failures that is said."""
        if not self._times or time.monotonic() - self._last < _QUIET_SECONDS:
            return
        with self._lock:
            times, self._times = self._times, 0
        if times:
            self._back(times, round(time.monotonic() - self._since, 1))


def cause(error: BaseException) -> str:
    """Return what an error says; of a database's, without the statement and its values, which are people's."""
    return " ".join(str(getattr(error, "orig", None) or error or type(error).__name__).split())


class ClockWatch:
    """Sees a clock jump, by one that only ever goes on.

    Parameters
    ----------
    clock : callable
    steady : callable, optional
        Seconds since whenever.
    """

    def __init__(self, clock: Clock, steady: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._steady = clock, steady
        self._last = steady(), clock()
        self._ahead: list[tuple[float, float]] = []

    def jumped(self) -> float:
        """Return by how many seconds the clock jumped since this was asked last: below 0 back; 0 where it did not."""
        steady, wall = self._steady(), self._clock()
        jump = (wall - self._last[1]).total_seconds() - (steady - self._last[0])
        self._last = steady, wall
        if abs(jump) <= _JUMP_SECONDS:
            return 0.0
        if jump > 0:
            self._ahead.append((steady, jump))
        return jump

    def skipped(self, seconds: float) -> timedelta:
        """Return how far the clock jumped ahead in so many last seconds: what began before did not wait so long."""
        since = self._steady() - seconds
        return timedelta(seconds=sum(jump for at, jump in self._ahead if at >= since))
