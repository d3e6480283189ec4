"""Webhooks that are signed as Standard Webhooks has it: their secrets, and whether a message is from who has one.

The signature is ``v1,`` and the base64 of HMAC-SHA256 over ``<id>.<timestamp>.<body>``, by
https://www.standardwebhooks.com (1.0.0). A secret is ``whsec_`` and the base64 of 24 to 64 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, Engine, insert, select

from copyloom import InputError
from embeddings.database import reading, writing
from experiments.storefront.journal import Clock, now
from experiments.storefront.slots import audit, make_tenant
from experiments.storefront.tables import WebhookRow

TOLERANCE_SECONDS = 300
PREFIX = "whsec_"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ID = re.compile(r"[!-~]{1,256}")
_BYTES = range(24, 65)
_MOST_SIGNATURES = 20


class SignatureError(InputError):
    """A message that is not from who has the secret, or not from now."""


class HeadersError(InputError):
    """A message without the headers of Standard Webhooks, or with others than they may be."""


@dataclass(frozen=True)
class Secret:
    """A secret of a webhook.

    Parameters
    ----------
    id : str
        By which people call it; no secret.
    name, tenant : str
        Of the webhook, and whose it is.
    secret : bytes
    created_at : datetime
    revoked_at : datetime, optional
    """

    id: str
    name: str
    tenant: str
    secret: bytes
    created_at: datetime
    revoked_at: datetime | None = None


def signature(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message, as the header ``webhook-signature`` has it."""
    signed = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(signed).decode()


def check(
    holding: Iterable[bytes], message_id: str, timestamp: str, signatures: str, body: bytes, at: datetime
) -> None:
    """Raise unless a message is signed with one of the secrets that hold, and from now.

    Raises
    ------
    HeadersError
        If one of the three headers is missing, or is not as it must be.
    SignatureError
        If no signature is right, or the timestamp is more than `TOLERANCE_SECONDS` from `at`.
    """
    if not (message_id and timestamp and signatures):
        raise HeadersError("send the headers webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks)")
    if not _ID.fullmatch(message_id):
        raise HeadersError("webhook-id has 1 to 256 printable ASCII characters without spaces")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise HeadersError(f"webhook-timestamp is {timestamp[:40]!r}; write seconds since 1970, digits alone")
    given = [one.encode() for one in signatures.split()[:_MOST_SIGNATURES]]
    right = [signature(secret, message_id, timestamp, body).encode() for secret in holding]
    if not any([hmac.compare_digest(one, other) for one in right for other in given]):  # in the same time, all of them
        raise SignatureError("no signature in webhook-signature fits; sign with a secret that holds: v1,<base64>")
    age = at.timestamp() - int(timestamp)
    if abs(age) > TOLERANCE_SECONDS:
        raise SignatureError(
            f"webhook-timestamp is {abs(age):.0f} s {'old' if age > 0 else 'ahead'}, {TOLERANCE_SECONDS} are allowed; "
            "sign each try anew, and look at the clock"
        )


def make_secret(
    engine: Engine, tenant: str, name: str, by: str, given: str | None = None, clock: Clock = now
) -> tuple[str, Secret]:
    """Make a secret of a webhook, or take the sender's own, and return it as text, and as it is kept.

    Secrets of before hold until they are revoked, so that a sender can go from one to the next.

    Raises
    ------
    InputError
        If the name is wrong or another tenant's, or the given secret is not as it must be.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a webhook: use 1 to 63 small letters, digits, '.', '_' and '-'")
    secret = secrets.token_bytes(32) if given is None else read_secret(given)
    make_tenant(engine, tenant, clock)
    kept = Secret(sha256(secret).hexdigest()[:12], name, tenant, secret, clock())
    with writing(engine) as connection:
        known = _secrets(connection, WebhookRow.name == name)
        if any(one.tenant != tenant for one in known):
            raise InputError(f"the name {name!r} is taken; choose another one")
        if connection.scalar(select(WebhookRow.id).where(WebhookRow.id == kept.id)) is not None:
            raise InputError("this secret was given before; let the sender make a new one")
        connection.execute(insert(WebhookRow), vars(kept))
        audit(connection, tenant, by, "webhook secret made", f"{name} ({kept.id})", None, None, "", clock())
    return PREFIX + base64.b64encode(secret).decode(), kept


def read_secret(given: str) -> bytes:
    """Return the bytes of a secret as people are given it; `InputError` says what is wrong, and not the secret."""
    try:
        secret = base64.b64decode(given.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"the secret is not base64; it looks like {PREFIX}MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") from None
    if len(secret) not in _BYTES:
        raise InputError(f"the secret has {len(secret)} bytes; Standard Webhooks allows {_BYTES[0]} to {_BYTES[-1]}")
    return secret


def list_secrets(engine: Engine, tenant: str) -> list[Secret]:
    """Return the secrets of a tenant's webhooks, revoked ones too, by name, oldest first."""
    with reading(engine) as connection:
        return _secrets(connection, WebhookRow.tenant == tenant)


def holding(engine: Engine, name: str) -> list[Secret]:
    """Return the secrets of a webhook that hold; none where there is no such webhook.

    Of two tenants that took a name at the same moment, only those of the first: nobody signs for another.
    """
    with reading(engine) as connection:
        every = _secrets(connection, WebhookRow.name == name)
    return [one for one in every if one.tenant == every[0].tenant and one.revoked_at is None]


def _secrets(connection: Connection, *where: object) -> list[Secret]:
    query = select(WebhookRow.__table__).where(*where).order_by(WebhookRow.name, WebhookRow.created_at)  # type: ignore[arg-type]
    return [Secret(**row._mapping) for row in connection.execute(query)]
