"""Who may do what: the key of a request, its scopes, its rate; and how OpenAPI tells of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from experiments.storefront.auth import Key, Scope
from experiments.storefront.problems import ProblemError, declared
from experiments.storefront.rates import address
from experiments.storefront.service import Service

SUBSCRIPTION_HEADER = "Ocp-Apim-Subscription-Key"
"""In which Personalizer's clients send their key."""
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key, from `copyloom keys make`."},
    "subscription": {"type": "apiKey", "in": "header", "name": SUBSCRIPTION_HEADER},
}
_ALWAYS = (401, 403, 422, 429)
_OF_BODIES = (400, 408, 413)


@dataclass(frozen=True)
class Asked:
    """Who asks whom.

    Parameters
    ----------
    service : Service
    key : Key
    said : dict
        What the log says of the request: ids of events and snapshots, never of people.
    address : str
        Whence the request came.
    """

    service: Service
    key: Key
    said: dict[str, Any]
    address: str = ""


async def _asked(request: Request) -> Asked:
    return Asked(request.app.state.service, request.state.key, request.state.said, address(request))


Here = Annotated[Asked, Depends(_asked)]


def operation(*scopes: Scope, body: bool = False, problems: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
    """Return the settings of a route that takes keys with any of some scopes; `more` are settings of FastAPI's own."""
    statuses = {*_ALWAYS, *(_OF_BODIES if body else ()), *problems}
    extra = {"x-scopes": list(scopes), "security": [{name: []} for name in SECURITY_SCHEMES],
             **more.pop("openapi_extra", {})}  # fmt: skip
    responses = {**declared(*statuses), **more.pop("responses", {})}
    return {
        "dependencies": [Depends(_checked(frozenset(scopes)))],
        "responses": responses,
        "openapi_extra": extra,
        **more,
    }


def leads_to(*operations: str, path: Mapping[str, str] | None = None, **body: str) -> dict[str, Any]:
    """Return OpenAPI's links: operations that take values of a request or its answer, in the path or in the body."""
    link = {**({"parameters": path} if path else {}), **({"requestBody": body} if body else {})}
    return {name: {"operationId": name, **link} for name in operations}


def _checked(scopes: frozenset[str]) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        service: Service = request.app.state.service
        key = service.keys.find(_presented(request))
        if key is None:
            raise ProblemError(
                401, "send a key that holds: Authorization: Bearer cl_…", None, {"WWW-Authenticate": "Bearer"}
            )
        request.state.key = key
        request.state.said.update(tenant=key.tenant, key=key.prefix)
        service.admit(key, address(request))
        if not scopes & key.scopes:
            raise ProblemError(403, f"the key {key.prefix} lacks the scope {' or '.join(sorted(scopes))}; it has: "
                                    f"{', '.join(sorted(key.scopes))}")  # fmt: skip

    return check


def _presented(request: Request) -> str:
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return presented.strip()
    return request.headers.get(SUBSCRIPTION_HEADER, "")
