"""Who sits before a page: a key signed in once, a cookie that says so, and forms that only our own pages can send.

The cookie holds a random number and no key. The database has its hash as long as the session lasts: so every process
takes it, and none does once somebody has signed out. A key that is revoked is out at once too.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import Engine, delete, insert, select

from copyloom import InputError
from embeddings.database import reading, writing
from experiments.storefront.auth import Key, Keys
from experiments.storefront.journal import Clock
from experiments.storefront.tables import SessionRow

COOKIE, LOGIN_COOKIE = "copyloom_session", "copyloom_login"
LASTS = timedelta(hours=12)
_MOST_BYTES, _MOST_FIELDS = 1_000_000, 3000


@dataclass(frozen=True)
class Session:
    """Someone who is signed in.

    Parameters
    ----------
    who : Key
    token : str
        That forms must send along; another session has another.
    """

    who: Key
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

    def sign_in(self, response: Response, request: Request, who: Key) -> None:
        """Begin a session; those that have run out are forgotten."""
        value, now = secrets.token_urlsafe(32), self.clock()
        row = {"digest": _digest("session", value), "prefix": who.prefix, "until": now + LASTS}
        with writing(self.engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.until < now))
            connection.execute(insert(SessionRow), row)
        _set_cookie(response, request, COOKIE, value, int(LASTS.total_seconds()))
        response.delete_cookie(LOGIN_COOKIE, path=base(request))

    def sign_out(self, response: Response, request: Request) -> None:
        """End the session of this browser: no process takes its cookie any more."""
        with writing(self.engine) as connection:
            connection.execute(delete(SessionRow).where(SessionRow.digest == _digest("session", _cookie(request))))
        response.delete_cookie(COOKIE, path=base(request))

    def of(self, request: Request) -> Session | None:
        """Return the session that a request belongs to; None where nobody is signed in, or not any more."""
        value = _cookie(request)
        if not value:
            return None
        query = select(SessionRow.prefix, SessionRow.until).where(SessionRow.digest == _digest("session", value))
        with reading(self.engine) as connection:
            row = connection.execute(query).first()
        if row is None or self.clock() > row.until:
            return None
        who = self.keys.known(row.prefix)
        return None if who is None else Session(who, _digest("form", value))


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

    def number(self, name: str, otherwise: int = 1) -> int:
        """Return a whole number; another one where none was sent."""
        value = self.get(name)
        return int(value[:6]) if value.isascii() and value.isdigit() else otherwise

    def reason(self, what: str) -> str:
        """Return why something is done; InputError where nobody says so."""
        if not (reason := self.get("reason")):
            raise InputError(f"say why {what}, so that others know later")
        return reason

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


def _cookie(request: Request) -> str:
    return request.cookies.get(COOKIE, "")


def _digest(what: str, value: str) -> str:
    """Return what stands for a session's secret number where that itself must not: 64 hexadecimal digits."""
    return sha256(f"{what}\0{value}".encode("utf-8", "surrogateescape")).hexdigest()
