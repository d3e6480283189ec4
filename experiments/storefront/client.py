"""Asks the HTTP service from Python: the same two calls, at once or with async; a fallback text whatever happens."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

from copyloom import CopyloomError

_RETRIED = {502, 503, 504}
_log = logging.getLogger(__name__)


class ServiceError(CopyloomError):
    """The service refused a request, or could not be reached."""


@dataclass(frozen=True)
class Answer:
    """The text that a shopper sees.

    Parameters
    ----------
    event_id : str
        By which its exposure and rewards are reported.
    text : str
    reason : str
        bandit, holdout, shadow, sticky, killed, or fallback where the service could not say.
    propensity : float, optional
        With which chance this text was drawn; None for a fallback.
    snapshot_id : int, optional
    """

    event_id: str
    text: str
    reason: str
    propensity: float | None = None
    snapshot_id: int | None = None


@dataclass(frozen=True)
class _Call:
    """A request; it may be sent again, as everything counts once."""

    path: str
    body: dict[str, Any]

    def failed(self, response: httpx.Response) -> ServiceError:
        """Return why a response is no answer."""
        try:
            detail = response.json()["detail"]
        except (ValueError, LookupError, TypeError):
            detail = response.text[:200]
        return ServiceError(f"{self.path}: {response.status_code}, {detail}")


class _Sending:
    """A request on its way: whether it goes out once more, and what came of it."""

    def __init__(self, call: _Call, retries: int) -> None:
        self._call, self._left = call, retries + 1
        self._response: httpx.Response | None = None
        self._failure = ServiceError(f"{call.path}: never asked")

    @property
    def goes_out(self) -> bool:
        """Whether it is to be sent, for the first time or again."""
        return self._response is None and self._left > 0

    def came(self, response: httpx.Response) -> None:
        """Take an answer; what is refused for good is not sent again."""
        self._left -= 1
        if response.is_success:
            self._response = response
            return
        self._failure = self._call.failed(response)
        if response.status_code not in _RETRIED:
            self._left = 0

    def broke(self, error: httpx.HTTPError) -> None:
        """Take note that no answer came."""
        self._left -= 1
        self._failure = ServiceError(f"{self._call.path}: the service cannot be reached ({error})")

    def answer(self) -> httpx.Response:
        """Return the answer; ServiceError if there is none."""
        if self._response is None:
            raise self._failure
        return self._response


def _decide(slot: str, event_id: str | None, unit: str, context: Mapping[str, object] | None, product: str,
            deferred: bool) -> _Call:  # fmt: skip
    body = {"event_id": event_id or uuid.uuid4().hex, "slot": slot, "unit_id": unit, "context": dict(context or {}),
            "product_id": product, "defer": deferred}  # fmt: skip
    return _Call("/v1/decide", body)


def _expose(event_id: str, shown_at: datetime | None) -> _Call:
    at = {"shown_at": shown_at.isoformat()} if shown_at else {}
    return _Call("/v1/expose", {"event_id": event_id, **at})


def _reward(event_id: str, value: float, reward_id: str, kind: str, at: datetime | None) -> _Call:
    when = {"at": at.isoformat()} if at else {}
    body = {"event_id": event_id, "reward_id": reward_id or kind, "value": value, "kind": kind, **when}
    return _Call("/v1/reward", body)


def _answer(call: _Call, said: dict[str, Any]) -> Answer:
    return Answer(call.body["event_id"], said["text"], said["reason"], said["propensity"], said["snapshot_id"])


def _fallen_back(call: _Call, fallback: str, error: Exception) -> Answer:
    """Return the fallback, and log why: a mistake of the caller's would else look like a service that is away."""
    _log.warning("slot %s shows its fallback: %s", call.body["slot"], error)
    return Answer(call.body["event_id"], fallback, "fallback")


def _texts(slot: str, state: str, limit: int) -> dict[str, Any] | None:
    return {"slot": slot, "limit": limit, **({"state": state} if state else {})}


def _lines(events: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)


class Client:
    """The service, asked from code that waits for the answer.

    Parameters
    ----------
    url, key : str
        Of the service.
    timeout : float
        Seconds that a request may take.
    retries : int
        How often a request is sent again that the service could not take.
    transport : httpx.BaseTransport, optional
        For tests.
    """

    def __init__(
        self, url: str, key: str, timeout: float = 2.0, retries: int = 2, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.retries = retries
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)

    def decide(
        self, slot: str, fallback: str, *, event_id: str | None = None, unit: str = "",
        context: Mapping[str, object] | None = None, product: str = "", deferred: bool = False,
    ) -> Answer:  # fmt: skip
        """Return the text for a slot: `fallback`, with that reason, where the service cannot say. It never raises."""
        call = _decide(slot, event_id, unit, context, product, deferred)
        try:
            return _answer(call, self._post(call).json())
        except Exception as error:  # a page must have a text, whatever failed
            return _fallen_back(call, fallback, error)

    def expose(self, event_id: str, shown_at: datetime | None = None) -> None:
        """Report that a page showed the text of an event; needed for deferred ones alone."""
        self._post(_expose(event_id, shown_at))

    def reward(
        self, event_id: str, value: float = 1.0, *, reward_id: str = "", kind: str = "click", at: datetime | None = None
    ) -> str:
        """Report what a shopper did, once for each reward id (its kind, unless given), and return how it was joined."""
        return str(self._post(_reward(event_id, value, reward_id, kind, at)).json()["state"])

    def send(self, events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Report many events, of the kinds that their "type" says, and return what became of each."""
        response = self._send(_Call("/v1/events", {}), content=_lines(events))
        return list(response.json()["results"])

    def texts(self, slot: str, state: str = "", limit: int = 1000) -> Iterator[dict[str, Any]]:
        """Yield the texts of a slot, or those in a state, as they came; `limit` are asked for at a time."""
        where: str | None = "/v1/texts"
        asked = _texts(slot, state, limit)
        while where:
            response = self._send(_Call(where, {}), "GET", params=asked)
            yield from response.json()
            where, asked = response.links.get("next", {}).get("url"), None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _post(self, call: _Call) -> httpx.Response:
        return self._send(call, json=call.body)

    def _send(self, call: _Call, method: str = "POST", **asked: Any) -> httpx.Response:
        sending = _Sending(call, self.retries)
        while sending.goes_out:
            try:
                sending.came(self._http.request(method, call.path, **asked))
            except httpx.HTTPError as error:
                sending.broke(error)
        return sending.answer()


class AsyncClient:
    """The same for asyncio; see `Client`."""

    def __init__(
        self, url: str, key: str, timeout: float = 2.0, retries: int = 2,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        headers = {"Authorization": f"Bearer {key}"}
        self.retries = retries
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, transport=transport)

    async def decide(
        self, slot: str, fallback: str, *, event_id: str | None = None, unit: str = "",
        context: Mapping[str, object] | None = None, product: str = "", deferred: bool = False,
    ) -> Answer:  # fmt: skip
        """Return the text for a slot: `fallback`, with that reason, where the service cannot say. It never raises."""
        call = _decide(slot, event_id, unit, context, product, deferred)
        try:
            return _answer(call, (await self._post(call)).json())
        except Exception as error:  # a page must have a text, whatever failed
            return _fallen_back(call, fallback, error)

    async def expose(self, event_id: str, shown_at: datetime | None = None) -> None:
        """Report that a page showed the text of an event; needed for deferred ones alone."""
        await self._post(_expose(event_id, shown_at))

    async def reward(
        self, event_id: str, value: float = 1.0, *, reward_id: str = "", kind: str = "click", at: datetime | None = None
    ) -> str:
        """Report what a shopper did, once for each reward id (its kind, unless given), and return how it was joined."""
        return str((await self._post(_reward(event_id, value, reward_id, kind, at))).json()["state"])

    async def send(self, events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Report many events, of the kinds that their "type" says, and return what became of each."""
        response = await self._send(_Call("/v1/events", {}), content=_lines(events))
        return list(response.json()["results"])

    async def texts(self, slot: str, state: str = "", limit: int = 1000) -> AsyncIterator[dict[str, Any]]:
        """Yield the texts of a slot, or those in a state, as they came; `limit` are asked for at a time."""
        where: str | None = "/v1/texts"
        asked = _texts(slot, state, limit)
        while where:
            response = await self._send(_Call(where, {}), "GET", params=asked)
            for one in response.json():
                yield one
            where, asked = response.links.get("next", {}).get("url"), None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _post(self, call: _Call) -> httpx.Response:
        return await self._send(call, json=call.body)

    async def _send(self, call: _Call, method: str = "POST", **asked: Any) -> httpx.Response:
        sending = _Sending(call, self.retries)
        while sending.goes_out:
            try:
                sending.came(await self._http.request(method, call.path, **asked))
            except httpx.HTTPError as error:
                sending.broke(error)
        return sending.answer()
