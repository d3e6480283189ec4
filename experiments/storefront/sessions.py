"""Who sits before a page: a key signed in once, a cookie that says so, and forms that only our own pages can send.

The cookie holds no key. It is signed with the tenant's secret, so every process takes it and none keeps a list; what
the key may do is looked up at every request, so a revoked one is out at once.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Protocol
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import Engine, select

from embeddings.database import reading
from experiments.storefront.journal import Clock
from experiments.storefront.tables import TenantRow

COOKIE, LOGIN_COOKIE = "copyloom_session", "copyloom_login"
LASTS = timedelta(hours=12)
_MOST_BYTES, _MOST_FIELDS = 1_000_000, 3000


class Who(Protocol):
    """A key that holds: by what it is called, whose it is, in whose name it acts, and what it may do."""

    @property
    def prefix(self) -> str:
        """By which it is found; no secret."""

    @property
    def tenant(self) -> str:
        """The tenant's name."""

    @property
    def name(self) -> str:
        """In whose name things are done with it."""

    @property
    def scopes(self) -> Collection[str]:
        """What it may do."""


class Keys(Protocol):
    """The keys that hold now."""

    def find(self, presented: str) -> Who | None:
        """Return the key that was presented; None if there is none."""

    def known(self, prefix: str) -> Who | None:
        """Return the key of a prefix; None once it is revoked."""


@dataclass(frozen=True)
class Session:
    """Someone who is signed in.

    Parameters
    ----------
    who : Who
    token : str
        That forms must send along; another session has another.
    """

    who: Who
    token: str

    def may(self, *scopes: str) -> bool:
        """Say whether the key has one of some scopes."""
        return not set(scopes).isdisjoint(self.who.scopes)


class Sessions:
    """Signs people in and out.

    Parameters
    ----------
    engine : Engine
    keys : Keys
    clock : callable
    """

    def __init__(self, engine: Engine, keys: Keys, clock: Clock) -> None:
        self.engine, self.keys, self.clock = engine, keys, clock
        self._secrets: dict[str, bytes] = {}

    def sign_in(self, response: Response, request: Request, who: Who) -> None:
        """Begin a session."""
        until = (self.clock() + LASTS).timestamp()
        body = json.dumps([who.tenant, who.prefix, until, secrets.token_urlsafe(16)]).encode()
        packed = base64.urlsafe_b64encode(body).decode()
        value = f"{packed}.{self._signed(who.tenant, 'session', packed)}"
        _set_cookie(response, request, COOKIE, value, int(LASTS.total_seconds()))
        response.delete_cookie(LOGIN_COOKIE, path=base(request))

    def sign_out(self, response: Response, request: Request) -> None:
        """End the session of this browser."""
        response.delete_cookie(COOKIE, path=base(request))

    def of(self, request: Request) -> Session | None:
        """Return the session that a request belongs to; None where nobody is signed in, or not any more."""
        value = request.cookies.get(COOKIE, "")
        packed, _, signature = value.partition(".")
        try:
            tenant, prefix, until, _ = json.loads(base64.b64decode(packed, altchars=b"-_", validate=True))
            expected = self._signed(tenant, "session", packed)
        except (binascii.Error, ValueError, TypeError, LookupError, RecursionError):
            return None
        if not hmac.compare_digest(expected.encode(), signature.encode()) or self.clock().timestamp() > until:
            return None
        who = self.keys.known(prefix)
        if who is None or who.tenant != tenant:
            return None
        return Session(who, self._signed(tenant, "form", value))

    def _signed(self, tenant: str, what: str, value: str) -> str:
        return hmac.new(self._secret(tenant), f"pages {what}\0{value}".encode(), sha256).hexdigest()

    def _secret(self, tenant: str) -> bytes:
        if tenant not in self._secrets:
            with reading(self.engine) as connection:
                found = connection.scalar(select(TenantRow.secret).where(TenantRow.name == tenant))
            if found is None:
                raise LookupError(tenant)
            self._secrets[tenant] = found
        return self._secrets[tenant]


@dataclass(frozen=True)
class Form:
    """What a browser sent."""

    fields: Mapping[str, list[str]]

    def get(self, name: str) -> str:
        """Return the first value of a field, without spaces around it; "" if there is none."""
        return self.fields.get(name, [""])[0].strip()

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return self.fields.get(name, [])

    def is_from(self, token: str) -> bool:
        """Say whether a page of ours sent it, to whom the token was given."""
        return bool(token) and hmac.compare_digest(self.get("token").encode(), token.encode())


class TooLargeError(Exception):
    """A form that no page of ours sends."""


async def read_form(request: Request) -> Form:
    """Return the form of a request; TooLargeError if it is none of ours."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise TooLargeError
    try:
        text = body.decode("utf-8", "replace")
        return Form(parse_qs(text, keep_blank_values=True, errors="replace", max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise TooLargeError from None


def base(request: Request) -> str:
    """Return the path under which the pages are, as the browser sees it."""
    return f"{request.scope.get('root_path', '').rstrip('/')}/ui"


def login_token(response: Response, request: Request) -> str:
    """Return the token of the form to sign in, which a cookie must confirm."""
    token = request.cookies.get(LOGIN_COOKIE) or secrets.token_urlsafe(24)
    _set_cookie(response, request, LOGIN_COOKIE, token, 3600)
    return token


def _set_cookie(response: Response, request: Request, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path=base(request), httponly=True, samesite="strict",
                        secure=request.url.scheme == "https")  # fmt: skip
