"""Lines of a Redis stream, for a group of feeders that share it.

An entry is acknowledged after its line is in the ledger. What a feeder took and did not acknowledge, because it died,
is taken over by another after `idle` seconds. A refused line goes to the stream ``<name>:dead`` with its reason, in the
same transaction as its acknowledgement. Entries are not deleted: whoever writes the stream trims it.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from copyloom import InputError
from experiments.storefront.intake.addresses import address_of
from experiments.storefront.intake.feeding import MANY, Line, Say, backoff
from experiments.storefront.intake.lines import Taken

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
    from redis.retry import Retry
except ImportError:
    raise InputError("Redis streams need redis; install it with: pip install 'copyloom[redis]'") from None

EXAMPLE = "redis://host:6379/stream?group=shop"
FIELD = "line"
IDLE_SECONDS = 30.0
_BLOCK_SECONDS = 1.0
_TRIES_ONCE = 6
_FOR_EVER = ("WRONGTYPE", "unknown command", "DB index", "invalid DB")
_SETTINGS = ("field", "db", "dead", "idle")


class RedisStream:
    """A Redis stream, read by one feeder of a group.

    Parameters
    ----------
    url : str
        As `EXAMPLE`; settings beside ``group``: ``field`` of an entry that holds the line ("line"; without it, its
        fields are those of an event), ``db`` (0), ``dead`` (the stream of refused lines), ``idle`` (seconds after which
        another's entries are taken over, 30).
    stop : Event
    say : callable
        Hears of lost connections.
    once : bool
        End where the stream ends and no feeder of the group holds an entry any more.

    Raises
    ------
    InputError
        If the URL cannot be read.
    """

    def __init__(self, url: str, stop: threading.Event, say: Say, once: bool = False) -> None:
        self.address = address_of(url, EXAMPLE, _SETTINGS)
        self.stop, self.say, self.once = stop, say, once
        settings = self.address.settings
        self.field, self.dead = settings.get("field", FIELD), settings.get("dead", f"{self.address.name}:dead")
        try:
            self.idle = float(settings.get("idle", IDLE_SECONDS))
            database = int(settings.get("db", 0))
            self.client: Any = self._connected(database)
        except ValueError as error:
            raise InputError(f"{self.address.shown} has a wrong port, db or idle ({error}); {EXAMPLE}&db=0") from None
        self.me = f"{socket.gethostname()}-{os.getpid()}"
        self._lost: RedisError | None = None
        self._failed, self._waits = 0, backoff()

    def batches(self) -> Iterator[Sequence[Line]]:
        """Yield entries as they come: first what died feeders left, then new ones."""
        while not self.stop.is_set():
            try:
                self._join()
                yield from self._read()
                if not self._lost:
                    return
                error: RedisError = self._lost
            except RedisError as problem:
                error = problem
            self._wait(error)
            yield ()

    def settle(self, lines: Sequence[Line], taken: Sequence[Taken]) -> None:
        """Acknowledge a batch, and lay refused lines aside, all at once."""
        pipe = self.client.pipeline(transaction=True)
        for line, one in zip(lines, taken, strict=True):
            if one.state == "refused":
                pipe.xadd(self.dead, {self.field: line.body, "reason": one.why, "id": line.where})
        pipe.xack(self.address.name, self.address.group, *[line.where for line in lines])
        try:
            pipe.execute()
        except RedisError as error:  # they come again, and count once
            self._lost = error

    def close(self) -> None:
        """Leave the group, unless something is left that another must take over."""
        try:
            if not self._lost and not self._held(self.me):
                self.client.xgroup_delconsumer(self.address.name, self.address.group, self.me)
            self.client.close()
        except RedisError:
            return

    def _read(self) -> Iterator[Sequence[Line]]:
        self._lost, mine, said = None, True, False
        while not self.stop.is_set() and not self._lost:
            entries = self._taken_before() if mine else self._left() or self._new()
            mine = mine and bool(entries)
            if self._failed:
                self.say(f"{self.address.shown} answers again")
                self._failed, self._waits = 0, backoff()
            if not entries and not mine and self.once:
                held = self.client.xpending(self.address.name, self.address.group)["pending"]
                if not held and not (entries := self._new()):
                    return
                if held and not said:
                    self.say(
                        f"{held:,} entries are with other feeders; those left are taken over after {self.idle:g} s"
                    )
                    said = True
                if held:
                    self.stop.wait(_BLOCK_SECONDS)
            yield [self._line(*entry) for entry in entries]

    def _wait(self, error: RedisError) -> None:
        """Wait before another try, longer each time; or say why there is no use in that."""
        if str(error).startswith("NOGROUP"):  # it was emptied; the group is made anew
            return
        self._failed += 1
        if isinstance(error, AuthenticationError | NoPermissionError) or str(error).startswith(_FOR_EVER):
            raise InputError(f"{self.address.shown} cannot be read ({error}); mend that, and start again") from None
        if self.once and self._failed >= _TRIES_ONCE:
            raise InputError(f"{self.address.shown} does not answer ({error}); look whether it is there") from None
        wait = next(self._waits)
        self.say(f"{self.address.shown} does not answer ({error}); nothing is lost, trying again in {wait:g} s")
        self.stop.wait(wait)

    def _new(self) -> list[Any]:
        """Return entries that no feeder of the group took yet, waiting a little for them."""
        block = None if self.once else int(1000 * _BLOCK_SECONDS)
        found = self.client.xreadgroup(self.address.group, self.me, {self.address.name: ">"}, count=MANY, block=block)
        return found[0][1] if found else []

    def _taken_before(self) -> list[Any]:
        """Return entries that this feeder took before the connection was lost."""
        found = self.client.xreadgroup(self.address.group, self.me, {self.address.name: "0"}, count=MANY)
        entries = found[0][1] if found else []
        if gone := [number for number, fields in entries if not fields]:
            self.client.xack(self.address.name, self.address.group, *gone)
            self._say_gone(len(gone))
        return [(number, fields) for number, fields in entries if fields]

    def _left(self) -> list[Any]:
        """Return entries that another took long ago and did not acknowledge: it died."""
        name, group = self.address.name, self.address.group
        found = self.client.xautoclaim(name, group, self.me, int(1000 * self.idle), count=MANY)
        if len(found) > 2 and found[2]:  # since Redis 7
            self._say_gone(len(found[2]))
        return [(number, fields) for number, fields in found[1] if fields]

    def _say_gone(self, many: int) -> None:
        self.say(f"{many:,} entries were trimmed from {self.address.shown} before they were taken; let it keep more")

    def _line(self, number: bytes, fields: dict[bytes, bytes]) -> Line:
        body = fields.get(self.field.encode())
        return Line(number.decode(), _of_fields(fields) if body is None else body)

    def _held(self, consumer: str) -> bool:
        return bool(self.client.xpending_range(self.address.name, self.address.group, "-", "+", 1, consumer))

    def _join(self) -> None:
        """Make the group where it is not there, for all that the stream holds."""
        try:
            self.client.xgroup_create(self.address.name, self.address.group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _connected(self, database: int) -> redis.Redis:
        where = urlsplit(f"//{self.address.hosts}")
        return redis.Redis(
            where.hostname or "", where.port or 6379, database, username=self.address.user or None,
            password=self.address.password or None, ssl=self.address.scheme == "rediss", socket_timeout=10,
            socket_connect_timeout=5, retry=Retry(NoBackoff(), 0), health_check_interval=15, protocol=2,
        )  # fmt: skip


def _of_fields(fields: dict[bytes, bytes]) -> bytes:
    """Return the line that an entry is whose fields are those of an event; what is no text stands there as JSON."""
    found: dict[str, Any] = {name.decode(errors="replace"): value.decode(errors="replace")
                             for name, value in fields.items()}  # fmt: skip
    for name in found.keys() & {"value", "context", "defer"}:
        with suppress(ValueError):
            found[name] = json.loads(found[name])
    return json.dumps(found, ensure_ascii=False).encode()
