"""Tells other systems what happens: texts that wait and are approved, and what guardrail and brand rules turned off.

What is to be told follows from the ledger, so nothing is lost when a worker dies: each round looks what holds now that
no message was made of. A message waits in its table until the target took it; it is signed as Standard Webhooks has it,
and has the same ``webhook-id`` each time. Of several workers one sends it: the others see that it is not due before the
sender's lease is over. So it comes once, but for a worker that dies, or is stopped for longer, while it sends.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, insert, select, update

from copyloom import InputError
from embeddings.database import matching, reading, text_id, writing
from experiments.storefront import review
from experiments.storefront.intake.webhooks import PREFIX, signature
from experiments.storefront.journal import Clock, insert_new, now
from experiments.storefront.names import BRAND, GUARD
from experiments.storefront.slots import MissingError, Slots, audit
from experiments.storefront.tables import AuditRow, MessageRow, TargetRow

RETRY_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After each try that failed; then a message is given up (the schedule that Standard Webhooks proposes)."""
LEASE_SECONDS = 300
"""How long a worker that sends a message keeps it from the others; after that they take it for dead."""
_TIMEOUT_SECONDS = 15
_AT_ONCE = 50
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """Where messages go, and what became of them.

    Parameters
    ----------
    name, url : str
    sent, due, given_up : int
        Messages that were taken, that are still to be, and that never were.
    last : str
        What the last failure was of those that are due or given up.
    ended_at : datetime, optional
    """

    name: str
    url: str
    sent: int
    due: int
    given_up: int
    last: str
    ended_at: datetime | None


Post = Callable[[str, bytes, Mapping[str, str]], int]


def add(engine: Engine, tenant: str, name: str, url: str, by: str, clock: Clock = now, plain_http: bool = False) -> str:
    """Tell a URL what happens from now on, and return the secret that it may check the signatures with.

    Any host may be told, private ones too: who adds one has the database in hand.

    Parameters
    ----------
    plain_http : bool
        Whether messages may go unencrypted to another machine.

    Raises
    ------
    InputError
        If the URL is none of HTTP, or is not encrypted and may not be, or the name is in use.
    """
    if not _can_be_told(url):
        raise InputError(f"{url!r} is no address that can be told; give one such as https://crm.example/copyloom")
    if not (plain_http or url.lower().startswith("https:") or _is_here(urlsplit(url).hostname or "")):
        raise InputError(
            f"{url!r} is not encrypted, and who is on the way could read texts that wait; give an https address, or "
            "--plain-http where the network is your own"
        )
    secret, slots = secrets.token_bytes(32), Slots(engine)
    row = {"name": name, "tenant": tenant, "url": url, "secret": secret, "created_at": clock(), "ended_at": None}
    with writing(engine) as connection:
        known = select(TargetRow.name).where(TargetRow.tenant == tenant, TargetRow.name == name)
        if connection.scalar(known) is not None:
            raise InputError(f"the name {name!r} is in use, or was; choose another one")
        connection.execute(insert(TargetRow), row)
        audit(
            connection, tenant, by, "webhook target added", name, None, urlsplit(url).hostname, "", clock()
        )  # no secret of it
        for one in _messages(connection, slots, tenant, name, clock()):  # what holds already is no news
            connection.execute(insert(MessageRow), {**one, "due_at": None, "answer": "before"})
    return PREFIX + base64.b64encode(secret).decode()


def _can_be_told(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is none, say
        return False


def _is_here(host: str) -> bool:
    """Say whether a host is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def drop(engine: Engine, tenant: str, name: str, by: str, clock: Clock = now) -> None:
    """Tell a target no more; `MissingError` where there is none."""
    with writing(engine) as connection:
        mine = (TargetRow.tenant == tenant, TargetRow.name == name, TargetRow.ended_at.is_(None))
        if not connection.execute(update(TargetRow).where(*mine).values(ended_at=clock())).rowcount:
            raise MissingError(f"{tenant!r} tells no {name!r}; `copyloom keys webhook list` shows which it does")
        audit(connection, tenant, by, "webhook target dropped", name, None, None, "", clock())


def targets(engine: Engine, tenant: str) -> list[Target]:
    """Return where a tenant's messages go, and what became of them."""
    with reading(engine) as connection:
        found = []
        rows = connection.execute(
            select(TargetRow.__table__).where(TargetRow.tenant == tenant).order_by(TargetRow.name)
        )
        for row in rows.all():
            mine = select(MessageRow.__table__).where(MessageRow.tenant == tenant, MessageRow.target == row.name)
            messages = connection.execute(mine.order_by(MessageRow.at)).all()
            failed = [one for one in messages if one.answer and one.answer not in ("taken", "before")]
            due = sum(one.due_at is not None for one in messages)
            given_up = sum(one.due_at is None for one in failed)
            sent = sum(one.answer == "taken" for one in messages)
            found.append(
                Target(row.name, row.url, sent, due, given_up, failed[-1].answer if failed else "", row.ended_at)
            )
    return found


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Send a message, and return the status of the answer; redirections are not followed.

    Raises
    ------
    OSError, HTTPException
        If there is no answer, or none that is HTTP.
    """
    request = urllib.request.Request(url, body, dict(headers), method="POST")
    try:
        with urllib.request.build_opener(_Straight).open(request, timeout=_TIMEOUT_SECONDS) as said:
            return int(said.status)
    except urllib.error.HTTPError as error:
        return error.code


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: what is signed is for the address that was given."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Outbox:
    """Makes messages of what holds, and sends those that are due.

    Parameters
    ----------
    engine : Engine
    slots : Slots
        Kept up to date by who owns them.
    clock : callable, optional
    post : callable, optional
        Sends a body with headers to a URL, and returns the status of the answer.
    """

    def __init__(self, engine: Engine, slots: Slots, clock: Clock = now, post: Post = post) -> None:
        self.engine, self.slots, self.clock, self.post = engine, slots, clock, post

    def run(self, every: float, stop: threading.Event) -> None:
        """Do a round again and again, until told to stop; what fails is logged."""
        while not stop.wait(every):
            try:
                self.round()
            except Exception as error:  # it is tried again
                _log.error("messages could not be sent (%s); they are due in the next round", error)

    def round(self) -> int:
        """Make messages of what is new, send those that are due, and return how many were taken."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(TargetRow.__table__).where(TargetRow.ended_at.is_(None))).all()
        return sum(self._told(row) for row in rows)

    def _told(self, target: Any) -> int:
        with reading(self.engine) as connection:
            fresh = list(_messages(connection, self.slots, target.tenant, target.name, self.clock()))
        if fresh:
            with writing(self.engine) as connection:
                insert_new(connection, MessageRow, fresh)
        taken = 0
        query = select(MessageRow.__table__).where(MessageRow.tenant == target.tenant, MessageRow.target == target.name)
        with reading(self.engine) as connection:
            query = query.where(MessageRow.due_at <= self.clock()).order_by(MessageRow.due_at, MessageRow.id)
            due = connection.execute(query.limit(_AT_ONCE)).all()
        for message in due:
            until = self.clock() + timedelta(seconds=LEASE_SECONDS)
            if not self._claimed(message, until):
                continue
            answer = self._answer(target, message)
            self._note(target, message, answer, until)
            taken += answer == "taken"
            if answer != "taken":
                break  # the others wait for the next round: the target may be down
        return taken

    def _claimed(self, message: Any, until: datetime) -> bool:
        """Say whether a message is this worker's to send until then; not where another was first."""
        mine = (MessageRow.id == message.id, MessageRow.due_at == message.due_at)
        with writing(self.engine) as connection:
            return bool(connection.execute(update(MessageRow).where(*mine).values(due_at=until)).rowcount)

    def _answer(self, target: Any, message: Any) -> str:
        """Return "taken", or why a message was not."""
        at, body = str(int(self.clock().timestamp())), message.body.encode()
        headers = {"content-type": "application/json", "webhook-id": message.id, "webhook-timestamp": at,
                   "webhook-signature": signature(target.secret, message.id, at, body)}  # fmt: skip
        try:
            status = self.post(target.url, body, headers)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"no answer: {error}"[:500]
        return "taken" if 200 <= status < 300 else f"status {status}"

    def _note(self, target: Any, message: Any, answer: str, until: datetime) -> None:
        """Write down what became of a message; but no failure where another worker took it over meanwhile."""
        wait = RETRY_SECONDS[message.tries] if message.tries < len(RETRY_SECONDS) else None
        due_at = None if answer == "taken" or wait is None else self.clock() + timedelta(seconds=wait)
        if answer != "taken":
            _log.warning("the webhook %s of %s was not taken (%s); %s", target.name, target.tenant, answer,
                         f"tried again in {wait} s" if wait else "given up")  # fmt: skip
        with writing(self.engine) as connection:
            done = {"due_at": due_at, "answer": answer, "tries": message.tries + 1}
            noted = update(MessageRow).where(MessageRow.id == message.id).values(done)
            connection.execute(noted if answer == "taken" else noted.where(MessageRow.due_at == until))
            if answer == "status 410":  # Gone: it wants no more
                mine = (TargetRow.tenant == target.tenant, TargetRow.name == target.name)
                connection.execute(update(TargetRow).where(*mine).values(ended_at=self.clock()))


def _messages(connection: Connection, slots: Slots, tenant: str, target: str, at: datetime) -> Iterator[dict[str, Any]]:
    """Yield messages to a target of what holds, and that none was made of."""
    made = {}
    for kind, subject, data in _happened(connection, slots, tenant):
        number = "msg_" + sha256("\0".join((tenant, target, kind, subject)).encode()).hexdigest()[:32]
        body = {"type": kind, "timestamp": at.isoformat(), "data": data}
        made[number] = {"id": number, "tenant": tenant, "target": target, "body": json.dumps(body), "at": at,
                        "tries": 0, "due_at": at, "answer": ""}  # fmt: skip
    known = {row.id for row in matching(connection, select(MessageRow.id), MessageRow.id, list(made))}
    yield from (one for number, one in made.items() if number not in known)


def _happened(connection: Connection, slots: Slots, tenant: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield kind, subject and details of what a tenant's systems want to know."""
    for slot in slots.of(tenant):
        for draft in review.texts(slot.state):
            data = {"slot": slot.name, "text_id": text_id(draft.text), "text": draft.text}
            if draft.state == "in review":
                yield "text.waiting", f"{slot.name}/{data['text_id']}", data
            elif slot.state.reviews.get(draft.text):
                yield "text.approved", f"{slot.name}/{data['text_id']}", data
    columns = AuditRow.id, AuditRow.by, AuditRow.what, AuditRow.subject, AuditRow.reason
    query = select(*columns).where(AuditRow.tenant == tenant, AuditRow.by.in_((GUARD, BRAND)))
    for row in connection.execute(query.order_by(AuditRow.id)):
        name, _, text = row.subject.partition(": ")  # no name of a slot has a colon
        if row.by == GUARD:
            yield "slot.paused", str(row.id), {"slot": name, "reason": row.reason}
        elif row.what in _BY_BRAND:
            data = {"slot": name, "text_id": text_id(text), "text": text, "reason": row.reason}
            yield _BY_BRAND[row.what], str(row.id), data


_BY_BRAND = {"pause": "text.paused", "reject": "text.rejected"}
