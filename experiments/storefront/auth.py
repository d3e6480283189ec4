"""Keys of the service: whose they are, what they may do, and how soon they stop when they are revoked.

A key is ``cl_<prefix>_<secret>``. The database holds its prefix, by which it is found, and its SHA-256: the secret is
256 random bits, so nothing slower is needed to keep it. The prefix of a public key, which stands in a page and which
all its visitors share, begins with ``p``: so one sees of which kind a key is.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, get_args

from sqlalchemy import Engine, insert, select, update

from copyloom import InputError
from embeddings.database import reading, writing
from experiments.storefront.alarms import cause
from experiments.storefront.journal import Clock, now
from experiments.storefront.names import OURS
from experiments.storefront.slots import MissingError, audit, make_tenant
from experiments.storefront.tables import KeyRow, WebhookRow

Scope = Literal["decide", "reward", "read", "review", "publish", "admin"]
"""Ask for texts; report what shoppers did; look; write, approve and reject; pause, retire, kill; change settings."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
_MARK = "cl"
_PUBLIC = "p"  # no hexadecimal digit, with which the other prefixes begin
_IN_PAGES = frozenset({"decide", "reward"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """A key as the database knows it.

    Parameters
    ----------
    prefix : str
        By which people call it; no secret.
    tenant : str
    name : str
        In whose name things are done with it.
    scopes : frozenset of str
    digest : str
    created_at : datetime
    revoked_at : datetime, optional
    """

    prefix: str
    tenant: str
    name: str
    scopes: frozenset[str]
    digest: str
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def public(self) -> bool:
        """Whether it stands in a page, where everyone reads it."""
        return self.prefix.startswith(_PUBLIC)


class Keys:
    """The keys that hold, in memory; `follow` reads them again and again.

    Parameters
    ----------
    engine : Engine
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._keys: dict[str, Key] = {}
        self.refresh()

    def find(self, presented: str) -> Key | None:
        """Return the key that was presented, in the time that it takes to compare its hash; None if there is none."""
        key = self._keys.get(prefix_of(presented))
        digest = _digest(presented)
        return key if hmac.compare_digest(digest, key.digest if key else "0" * len(digest)) else None

    def known(self, prefix: str) -> Key | None:
        """Return a key that was presented before, by its prefix; None where it is revoked since."""
        return self._keys.get(prefix)

    @property
    def age(self) -> float:
        """How many seconds ago the keys were read."""
        return time.monotonic() - self._read_at

    def refresh(self) -> None:
        """Read the keys that hold."""
        with self._lock:  # what was read later holds
            self._keys = {key.prefix: key for key in list_keys(self.engine) if key.revoked_at is None}
            self._read_at = time.monotonic()

    def follow(self, every: float) -> None:
        """Read the keys in the background from now on, every so many seconds."""
        threading.Thread(target=self._follow, args=(every,), name="copyloom keys", daemon=True).start()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()

    def _follow(self, every: float) -> None:
        failed = False
        while not self._stop.wait(every):
            try:
                self.refresh()
                failed = False
            except Exception as error:  # those that were read last hold, so that pages get their texts
                if not failed:
                    _log.error("the keys could not be read again; those that were read last hold: %s", cause(error))
                failed = True


def make_key(
    engine: Engine, tenant: str, name: str, scopes: Sequence[str], by: str, clock: Clock = now, public: bool = False
) -> tuple[str, Key]:
    """Make a key of a tenant, and the tenant where it is new; return the key itself, which is not kept, and its row.

    Raises
    ------
    InputError
        If a scope is unknown, or too much for a public key, or the name is empty, longer than 200 characters or one
        that the storefront itself acts in.
    """
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise InputError(f"there is no scope {unknown[0]!r}; the scopes are: {', '.join(SCOPES)}")
    if not scopes:
        raise InputError(f"a key without a scope may do nothing; give some of: {', '.join(SCOPES)}")
    if public and (too_much := [one for one in scopes if one not in _IN_PAGES]):
        raise InputError(
            f"everyone can read a public key, so it cannot have the scope {too_much[0]!r}; give decide and reward alone"
        )
    name = " ".join(name.split())
    if not 0 < len(name) <= 200:
        raise InputError(f"a key's name has 1 to 200 characters, this one {len(name)}; say who uses it")
    if name.casefold() in OURS:
        raise InputError(f"the storefront itself acts in the name of {name!r}; give the key another name")
    make_tenant(engine, tenant, clock)
    prefix = (_PUBLIC if public else "") + secrets.token_hex(6)
    presented = f"{_MARK}_{prefix}_{secrets.token_urlsafe(32)}"
    kept = Key(prefix, tenant, name, frozenset(scopes), _digest(presented), clock())
    row = {"prefix": prefix, "digest": kept.digest, "tenant": tenant, "name": name,
           "scopes": " ".join(one for one in SCOPES if one in kept.scopes), "created_at": kept.created_at}  # fmt: skip
    with writing(engine) as connection:
        connection.execute(insert(KeyRow), row)
        audit(connection, tenant, by, "key made", f"{prefix} ({name})", None, row["scopes"], "", clock())
    return presented, kept


def list_keys(engine: Engine, tenant: str | None = None) -> list[Key]:
    """Return the keys of a tenant, revoked ones too, oldest first; those of all tenants unless one is named."""
    query = select(KeyRow.__table__).order_by(KeyRow.created_at, KeyRow.prefix)
    if tenant is not None:
        query = query.where(KeyRow.tenant == tenant)
    with reading(engine) as connection:
        return [Key(row.prefix, row.tenant, row.name, frozenset(row.scopes.split()), row.digest, row.created_at,
                    row.revoked_at) for row in connection.execute(query)]  # fmt: skip


def revoke(engine: Engine, tenant: str, number: str, by: str, reason: str = "", clock: Clock = now) -> None:
    """Let a key of a tenant, by its prefix, or a secret of a webhook, by its id, hold no more.

    Services stop taking a key within two seconds, and messages that are signed with a secret at once.

    Raises
    ------
    MissingError
        If the tenant has neither that holds.
    """
    kinds = ("key", KeyRow, KeyRow.prefix), ("webhook secret", WebhookRow, WebhookRow.id)
    with writing(engine) as connection:
        for what, row, column in kinds:
            mine = (row.tenant == tenant, column == number, row.revoked_at.is_(None))
            name = connection.scalar(select(row.name).where(*mine))
            if name is not None:
                connection.execute(update(row).where(*mine).values(revoked_at=clock()))
                subject = f"{number} ({name})"
                audit(connection, tenant, by, f"{what} revoked", subject, "holds", "revoked", reason, clock())
                return
    raise MissingError(
        f"{tenant!r} has no key or secret {number!r} that holds; `copyloom keys list` and `copyloom keys webhook list` "
        "show which there are"
    )


def prefix_of(presented: str) -> str:
    """Return by what a key is called; "" if it has not the form of one."""
    mark, _, rest = presented.partition("_")
    prefix, _, secret = rest.partition("_")
    return prefix if mark == _MARK and secret else ""


def _digest(presented: str) -> str:
    return sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
