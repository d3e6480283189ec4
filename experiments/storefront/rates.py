"""How often somebody may ask: of one key, and of one address of the network; each process counts for itself."""

from __future__ import annotations

import ipaddress
import math
import time

from fastapi import Request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from copyloom import InputError


class Rates:
    """Counts what was asked in the window that runs."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def wait(self, limit: RateLimitItem, who: str, cost: int = 1) -> int:
        """Count `cost` requests, and return in how many seconds to go on: 0 where they are not too many."""
        return 0 if self._limiter.hit(limit, who, cost=cost) else self._left(limit, who)

    def spent(self, limit: RateLimitItem, who: str) -> int:
        """Return the same of one more request, and count nothing."""
        return 0 if self._limiter.test(limit, who) else self._left(limit, who)

    def _left(self, limit: RateLimitItem, who: str) -> int:
        return max(1, math.ceil(self._limiter.get_window_stats(limit, who).reset_time - time.time()))

    def begin_anew(self) -> None:
        """Forget what was asked: after a jump of the clock the window might last until the old time comes again."""
        self._limiter.storage.reset()


def rate(written: str) -> RateLimitItem:
    """Return a limit, read.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return parse(written)
    except ValueError:
        raise InputError(
            f"the rate limit {written!r} cannot be read; write one such as 100/second or 60000/minute"
        ) from None


def network(written: str) -> None:
    """Raise InputError unless an address or network can be read."""
    try:
        ipaddress.ip_network(written, strict=False)
    except ValueError:
        raise InputError(
            f"the proxy {written!r} is no address; write one such as 10.0.0.7, or a network such as 10.0.0.0/8"
        ) from None


def address(request: Request) -> str:
    """Return from where a request came; of IPv6 its /64, which is what one customer has.

    The server has put the address that a trusted proxy tells in the place of the proxy's own.
    """
    host = request.client.host if request.client else ""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    if found.version == 4:
        return host
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
