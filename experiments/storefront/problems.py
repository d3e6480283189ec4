"""What goes wrong, in one shape: problem details (RFC 9457), which say what is allowed, with the request's id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.exc import DatabaseError
from starlette.exceptions import HTTPException

from copyloom import CopyloomError
from experiments.storefront.decide import DamagedError
from experiments.storefront.journal import ConflictError
from experiments.storefront.slots import MissingError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
_CODES = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "ResourceNotFound", 409: "Conflict",
          422: "BadRequest", 429: "TooManyRequests", 503: "ServiceUnavailable"}  # fmt: skip
"""Personalizer's names of what goes wrong."""


_FRAMEWORK = {
    "There was an error parsing the body": "the body cannot be read; send JSON in UTF-8, not nested hundreds of times, "
    "and no number of thousands of digits",
    "Not Found": "there is nothing at this address; GET /openapi.json lists what there is",
    "Method Not Allowed": "this address takes another method, which the header Allow names",
}
"""What the framework says, in our words."""


class FieldProblem(BaseModel):
    """A field that cannot be used, and what is allowed."""

    where: str
    what: str


class PersonalizerProblem(BaseModel):
    """What went wrong, as Personalizer's clients read it: beside the rest, on Personalizer's routes."""

    code: str
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldProblem] | None = None
    error: PersonalizerProblem | None = None


class ProblemError(CopyloomError):
    """A request that is answered by a problem.

    Parameters
    ----------
    status : int
    detail : str
    errors : sequence of dict, optional
        Fields that cannot be used.
    headers : mapping, optional
    """

    def __init__(
        self, status: int, detail: str, errors: Sequence[Mapping[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, dict(headers or {})


def problem(error: ProblemError, request_id: str) -> dict[str, Any]:
    """Return the problem that an error is, as JSON has it."""
    found: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "request_id": request_id,
    }
    return found if error.errors is None else {**found, "errors": list(error.errors)}


def answer(error: ProblemError, request_id: str, personalizer: bool = False) -> Response:
    """Return the response to a request that is answered by a problem."""
    found = problem(error, request_id)
    if personalizer:
        found["error"] = {"code": _CODES.get(error.status, found["title"].replace(" ", "")), "message": error.detail}
    body = json.dumps(found)  # ASCII: it may quote half a surrogate pair
    return Response(body, error.status, error.headers, MEDIA_TYPE)


def as_problem(error: Exception) -> ProblemError:
    """Return the problem that an error of the storefront is to a caller."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, DamagedError):
        return unavailable(str(error))
    if isinstance(error, MissingError):
        return ProblemError(404, str(error))
    if isinstance(error, ConflictError):
        return ProblemError(409, str(error))
    if isinstance(error, DatabaseError) or isinstance(error.__cause__, DatabaseError):
        return unavailable("the database cannot be used now; nothing of this is on record, try again")
    return ProblemError(409, str(error))  # it cannot be done to what there is now


def unavailable(detail: str) -> ProblemError:
    """Return the problem of what may be tried again soon."""
    return ProblemError(503, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def too_many(detail: str, wait: int) -> ProblemError:
    """Return the problem of whoever asks too often, and may go on in `wait` seconds."""
    return ProblemError(429, f"{detail}; go on in {wait} s", headers={"Retry-After": str(wait)})


def invalid(errors: Sequence[Any], of: str = "request") -> ProblemError:
    """Return the problem of a body that does not fit, from the errors that pydantic found."""
    found = [{"where": ".".join(map(str, one["loc"])), "what": one["msg"].removeprefix("Value error, ")}
             for one in errors]  # fmt: skip
    first = f"{found[0]['where']}: {found[0]['what']}" if found else "it does not fit"
    return ProblemError(422, f"the {of} cannot be used: {first}", found)


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI lists the problems of an operation."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in sorted(statuses)}


def handle(app: FastAPI) -> None:
    """Answer all errors of an application by problems."""

    def answered(error: ProblemError, request: Request) -> Response:
        return answer(error, request.state.request_id, "/personalizer/" in request.url.path)

    async def invalid_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answered(invalid([_plain(one) for one in error.errors()]), request)

    async def storefront(request: Request, error: Exception) -> Response:
        return answered(as_problem(error), request)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = _FRAMEWORK.get(str(error.detail), str(error.detail))
        return answered(ProblemError(error.status_code, detail, headers=error.headers), request)

    app.add_exception_handler(RequestValidationError, invalid_request)
    app.add_exception_handler(CopyloomError, storefront)
    app.add_exception_handler(DatabaseError, storefront)
    app.add_exception_handler(HTTPException, http)


def _plain(error: Any) -> Any:
    """Return an error of a request; in plain words where it is about the whole body."""
    if error["type"] == "json_invalid":
        return {"loc": ("body",), "msg": f"this is no JSON: {error['ctx']['error']} at character {error['loc'][1]}"}
    if error["loc"] == ("body",):
        return {"loc": ("body",), "msg": "send one JSON object, with the header Content-Type: application/json"}
    return error
