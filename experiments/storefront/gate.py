"""What every request passes: an id, limits of its body, a log line; what nobody foresaw becomes a problem."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
import uuid
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.storefront.metrics import Metrics
from experiments.storefront.problems import ProblemError, answer
from experiments.storefront.tracing import tell

MAX_BODY_BYTES = 1_000_000
MAX_EVENTS_BYTES = 5_000_000
EVENTS_PATH = "/v1/events"
BODY_SECONDS = 30.0
_ID = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}")


def service_log(level: str = "info", stream: Any = None) -> Any:
    """Return a logger that writes JSON lines to a stream, standard error unless given; others are not touched."""
    return structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )


class Gate:
    """Middleware around an application.

    Handlers put what the log should say into ``request.state.said``: ids of events and snapshots, never of people.

    Parameters
    ----------
    app : ASGI application
    metrics : Metrics
    log : structlog logger
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, log: Any) -> None:
        self.app, self.metrics, self.log = app, metrics, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        said: dict[str, Any] = {}
        scope.setdefault("state", {}).update(request_id=request_id, said=said)
        began, status = time.perf_counter(), 0

        async def sends(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
                tell({"request_id": request_id, **said})
            await send(message)

        try:
            await self._through(scope, headers, receive, sends, request_id)
        except Exception as error:
            self.log.error("failed", request_id=request_id, route=_route(scope), exc_info=error)
            if status:
                raise  # it is too late to say so
            failed = ProblemError(500, "something in the service failed; its log tells more under the request id")
            await answer(failed, request_id)(scope, receive, sends)
        finally:
            self._note(scope, status, time.perf_counter() - began, request_id, said)

    async def _through(self, scope: Scope, headers: Headers, receive: Receive, send: Send, request_id: str) -> None:
        limit = MAX_EVENTS_BYTES if scope["path"] == EVENTS_PATH else MAX_BODY_BYTES
        announced = headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced[:12]) > limit:
            await answer(_too_large(limit), request_id)(scope, receive, send)
            return
        await self.app(scope, _Limited(receive, limit), send)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str, said: dict[str, Any]) -> None:
        route = _route(scope)
        self.metrics.requests.labels(route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        self.log.info("request", method=scope["method"], route=route, status=status, request_id=request_id,
                      milliseconds=round(1000 * seconds, 2), **said)  # fmt: skip


class _Limited:
    """Receives a body, of a limited number of bytes and within a limited time."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.receive, self.limit = receive, limit
        self.bytes, self.whole = 0, False
        self.deadline = time.monotonic() + BODY_SECONDS

    async def __call__(self) -> Message:
        if self.whole:
            return await self.receive()
        try:
            message = await asyncio.wait_for(self.receive(), self.deadline - time.monotonic())
        except TimeoutError:
            raise HTTPException(408, f"the body did not come within {BODY_SECONDS:g} seconds; send it again") from None
        self.bytes += len(message.get("body", b""))
        self.whole = not message.get("more_body", False)
        if self.bytes > self.limit:
            raise HTTPException(413, _too_large(self.limit).detail)
        return message


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        413, f"the body is larger than {limit:,} bytes; send less at a time", headers={"Connection": "close"}
    )


def _route(scope: Scope) -> str:
    """Return a request's route as it is declared, so that no id of an event or text gets into logs and metrics."""
    return getattr(scope.get("route"), "path", "none")
