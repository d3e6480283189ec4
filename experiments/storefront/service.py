"""The service without HTTP: what a process holds, and how long a page waits for the database.

A page always gets a text. Where its decision cannot be put on record in time, it gets the baseline, which is counted as
a fallback. What shoppers did is only acknowledged once it is on disk. That the database is lost, and back, is logged.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine, func, select

from copyloom import CopyloomError, InputError
from embeddings.database import reading, writing
from experiments.storefront.alarms import Alarm, ClockWatch
from experiments.storefront.auth import Key, Keys
from experiments.storefront.decide import Choice, DamagedError, Question, Slot
from experiments.storefront.gate import service_log
from experiments.storefront.journal import Clock, ConflictError, Decide, Entry, Expose, Joined, Journal, Reward, now
from experiments.storefront.metrics import Metrics
from experiments.storefront.problems import invalid, too_many, unavailable
from experiments.storefront.rates import Rates, network, rate
from experiments.storefront.slots import Slots
from experiments.storefront.tables import PendingRow
from experiments.storefront.tracing import span

BUSY_SECONDS = 1.0
"""How long the service waits for another writer of SQLite; less than a page waits for it."""
_STALE_SECONDS = 5.0
_COUNTED = 10_000
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Options:
    """How a service behaves.

    Parameters
    ----------
    rate_limit : str
        Requests of one key, as the package `limits` writes it; a line of events counts as one.
    address_limit : str
        Requests of one address of the network with a public key, which all visitors of a page share.
    login_limit, pages_limit : str
        Attempts to sign in and messages that are signed wrongly, and all requests to pages, of one address.
    timeout_seconds : float
        How long a request waits for the database.
    ready_seconds : float
        How long the database may take to answer where the service counts as ready.
    every_seconds : float
        How often slots and keys are read again.
    origins : tuple of str
        Web sites whose pages may ask directly (CORS).
    proxies : tuple of str
        Addresses or networks of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed; one on the
        same machine unless given.
    """

    rate_limit: str = "60000/minute"
    address_limit: str = "1200/minute"
    login_limit: str = "20/minute"
    pages_limit: str = "1200/minute"
    timeout_seconds: float = 2.0
    ready_seconds: float = 0.2
    every_seconds: float = 0.5
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")

    def check(self) -> None:
        """Raise InputError where a limit or a proxy cannot be read."""
        for limit in (self.rate_limit, self.address_limit, self.login_limit, self.pages_limit):
            rate(limit)
        for proxy in self.proxies:
            network(proxy)


def as_browsers_send(origin: str) -> str:
    """Return a web site's origin as browsers send it, with which it is compared; "*" is any site.

    >>> as_browsers_send("HTTPS://Shop.example:443/")
    'https://shop.example'

    Raises
    ------
    InputError
        If it is none: it lacks the scheme, or has a path, say.
    """
    if origin == "*":
        return origin
    try:
        parts = urlsplit(origin.strip())
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    rest = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if not re.fullmatch(r"[a-z0-9._:-]+", host) or parts.scheme not in _PORTS or rest:
        raise InputError(
            f"the origin {origin!r} was given; write scheme and host, with a port that is not the usual one, and no "
            "more: https://shop.example or http://127.0.0.1:8080"
        )
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, _PORTS[parts.scheme]) else "")


class Service:
    """What a process holds: slots, keys and journal of a database; several processes may share that.

    Parameters
    ----------
    engine : Engine
        From `experiments.storefront.slots.open_storefront`.
    options : Options, optional
    clock : callable, optional
    log : structlog logger, optional
        Hears of what is lost and back; see `experiments.storefront.gate.service_log`.
    """

    def __init__(self, engine: Engine, options: Options | None = None, clock: Clock = now, log: Any = None) -> None:
        options, self._log = options or Options(), log or service_log()
        self.engine, self.options, self.clock, self.metrics = engine, options, clock, Metrics()
        self.rates = Rates()
        self._limit, self._address_limit, self._login_limit = (
            rate(limit) for limit in (options.rate_limit, options.address_limit, options.login_limit)
        )
        self.slots, self.keys = Slots(engine), Keys(engine)
        self.journal = Journal(engine, self.slots.settings, clock)
        self.slots.follow(options.every_seconds)
        self.keys.follow(options.every_seconds)
        self._probe: asyncio.Future[None] | None = None
        self.database = Alarm(
            lambda why: self._log.error(
                "the database is lost: pages get the baseline, rewards are refused with 503", why=why
            ),
            lambda times, seconds: self._log.warning("the database is back", failures=times, seconds=seconds),
        )
        self.watch, self._stop = ClockWatch(clock), threading.Event()
        self._overdue = math.nan
        for what in (self._watch_clock, self._watch_overdue):  # the second waits where the database hangs
            threading.Thread(target=what, name="copyloom watch", daemon=True).start()
        self.metrics.watch("database_up", "0 while decisions and rewards cannot be put on record.",
                           lambda: float(not self.database.raised))  # fmt: skip
        self.metrics.watch("slots_unreadable", "Slots whose record cannot be read: what was read last holds.",
                           lambda: len(self.slots.unreadable))  # fmt: skip
        self.metrics.watch("journal_waiting", "Entries that wait to be written.", lambda: self.journal.waiting)
        self.metrics.watch("slots_age_seconds", "Seconds since the slots were read.", lambda: self.slots.age)
        self.metrics.watch("keys_age_seconds", "Seconds since the keys were read.", lambda: self.keys.age)
        self.metrics.watch("overdue", f"Events whose window has ended and that no worker has closed, to {_COUNTED}.",
                           lambda: self._overdue)  # fmt: skip

    def close(self) -> None:
        """Write what waits, and stop."""
        self._stop.set()
        self.slots.close()
        self.keys.close()
        self.journal.close()

    def admit(self, who: Key | str, address: str = "", cost: int = 1) -> None:
        """Count requests of a key, or of a webhook by its name.

        Of a public key first those of an address, so that no visitor uses up the others'.

        Raises
        ------
        ProblemError
            If it sent too many.
        """
        told = [(self._limit, who if isinstance(who, str) else who.prefix, "this key or webhook")]
        if isinstance(who, Key) and who.public:
            told.insert(0, (self._address_limit, f"{who.prefix} {address}", "one address with this key"))
        for limit, counted, in_words in told:
            if wait := self.rates.wait(limit, counted, cost):
                raise too_many(f"{in_words} may send {limit}", wait)

    def refuse_strangers(self, address: str, failed: bool = False) -> None:
        """Count a failure to prove who asks, if this is one; ProblemError where there were too many from an address."""
        check = self.rates.wait if failed else self.rates.spent
        if wait := check(self._login_limit, f"stranger {address}"):
            raise too_many(f"one address may fail to sign {self._login_limit}", wait)

    def most_lines(self, key: Key | None = None) -> int:
        """Return how many lines of events a key may ever send at once; or a webhook."""
        limits = (self._limit, self._address_limit) if key and key.public else (self._limit,)
        return min(limit.amount for limit in limits)

    async def decide(self, tenant: str, name: str, question: Question) -> tuple[Slot, Choice]:
        """Return the text that an event is given, by its slot and its place; the baseline where that fails.

        Raises
        ------
        MissingError, DamagedError, ProblemError, ConflictError
            If there is no such slot, it was never readable, the question leaves no text that may be shown, or its event
            id was used before.
        """
        slot = self.slots.get(tenant, name)
        try:
            choice = slot.choose(question)
        except DamagedError:  # the slots said so in the log
            return slot, self._fallen_back(slot, question, "snapshot")
        except InputError as error:
            field = "actions" if question.among else "product_id"
            raise invalid([{"loc": ("body", field), "msg": str(error)}]) from None
        future = self.journal.submit(Decide(slot, question, choice))
        try:
            choice = await self._written(future)
            if choice.place >= len(slot.state.slate):  # decided by another process, of a newer snapshot
                await asyncio.to_thread(self.slots.refresh)
                slot = self.slots.get(tenant, name)
        except ConflictError:
            raise
        except Exception as error:
            late = isinstance(error, TimeoutError)
            self.database.fails(error)
            if not late or future.cancelled():  # else it is being written now
                return slot, self._fallen_back(slot, question, "timeout" if late else "database")
        choice = slot.now(question, choice)
        self.metrics.decisions.labels(choice.reason).inc()
        return slot, choice

    def _fallen_back(self, slot: Slot, question: Question, why: str) -> Choice:
        self.metrics.fallbacks.labels(why).inc()
        self.metrics.decisions.labels("fallback").inc()
        return slot.fallback(question)

    async def expose(self, entry: Expose) -> None:
        """Record that a text was shown; ProblemError where that cannot be done."""
        await self._recorded(entry)
        self.metrics.exposures.inc()

    async def reward(self, entry: Reward) -> Joined:
        """Record a reward, and say what became of it; ProblemError where that cannot be done."""
        joined: Joined = await self._recorded(entry)
        self.metrics.rewards.labels(joined).inc()
        return joined

    async def ready(self) -> str:
        """Return why the service is not ready; "" where it is."""
        if self.slots.age > _STALE_SECONDS:
            return f"the slots were last read {self.slots.age:.0f} seconds ago"
        if self.database.recent:
            return "the database could not be written just now"
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(asyncio.to_thread(self._touch))
            self._probe.add_done_callback(_seen)
        done, _ = await asyncio.wait([self._probe], timeout=self.options.ready_seconds)
        if not done:
            return f"the database does not answer within {1000 * self.options.ready_seconds:.0f} ms"
        return "" if self._probe.exception() is None else "the database cannot be written"

    async def _recorded(self, entry: Entry) -> Any:
        future = self.journal.submit(entry)
        try:
            return await self._written(future)
        except ConflictError:
            raise
        except TimeoutError as error:
            self.database.fails(error)
            self.metrics.unavailable.inc()
            said = "it is not on record" if future.cancelled() else "it may be on record, and counts once"
            raise unavailable(f"the database did not answer in time; {said}, send it again") from None
        except CopyloomError as error:
            self.database.fails(error)
            self.metrics.unavailable.inc()
            raise unavailable("the database cannot be written now; this is not on record, send it again") from None

    async def _written(self, future: Future[Any]) -> Any:
        """Wait for what becomes of an entry; one that is not being written by the time that is up never will be."""
        waiting = asyncio.wrap_future(future)
        with span("record"):
            done, _ = await asyncio.wait([waiting], timeout=self.options.timeout_seconds)
        if done:
            found = waiting.result()
            self.database.works()
            return found
        future.cancel()
        waiting.add_done_callback(_seen)
        raise TimeoutError(f"it does not answer within {self.options.timeout_seconds:g} seconds")

    def _watch_clock(self) -> None:
        """Say when the clock jumped; limits of rates begin anew, or a key might be refused till the old time comes."""
        while not self._stop.wait(self.options.every_seconds):
            if jump := self.watch.jumped():
                self._log.error(f"the clock jumped by {jump:+.0f} seconds")
                self.metrics.clock_jumps.inc()
                self.rates.begin_anew()

    def _touch(self) -> None:
        with writing(self.engine) as connection:
            connection.execute(select(1))

    def _watch_overdue(self) -> None:
        while True:
            query = select(PendingRow.key).where(PendingRow.slot_id.in_([slot.id for slot in self.slots.all()]),
                                                 PendingRow.due_at <= self.clock()).limit(_COUNTED)  # fmt: skip
            try:
                with reading(self.engine) as connection:
                    self._overdue = connection.scalar(select(func.count()).select_from(query.subquery())) or 0
            except Exception:  # `database_up` tells of it; nobody knows how many there are
                self._overdue = math.nan
            if self._stop.wait(max(1.0, self.options.every_seconds)):
                return


def _seen(future: asyncio.Future[Any]) -> None:
    """Let nobody complain that an error was not looked at."""
    if not future.cancelled():
        future.exception()
