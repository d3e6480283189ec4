"""What a shop's pages ask and tell: which text to show, that it was shown, what the shopper did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from copyloom import CopyloomError
from experiments.storefront.access import Asked, Here, leads_to, operation
from experiments.storefront.journal import Expose, Reward
from experiments.storefront.problems import ProblemError, as_problem, invalid, problem
from experiments.storefront.schemas import (
    LINE,
    DecideAnswer,
    DecideBody,
    DecideLine,
    EventsAnswer,
    ExposeBody,
    ExposeLine,
    LineAnswer,
    RewardAnswer,
    RewardBody,
)

MAX_LINES = 10_000
router = APIRouter(prefix="/v1", tags=["shoppers"])
_NEXT = leads_to("expose", "reward", event_id="$response.body#/event_id")
_LINES = {"description": "One JSON object a line, each as described.", "required": True,
          "content": {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/Line"}}}}  # fmt: skip


@router.post("/decide", summary="Ask which text an event shows",
             **operation("decide", body=True, problems=(404, 409), responses={200: {"links": _NEXT}}))  # fmt: skip
async def decide(body: DecideBody, here: Here) -> DecideAnswer:
    """Return a text at once; asked again with the same event id, the same one.

    The decision is on record, unless its reason is fallback: then it is the slot's baseline, and asking again may give
    another text.
    """
    return await _decide(body, here)


@router.post("/expose", summary="Tell that the text was shown", status_code=204,
             **operation("reward", body=True, problems=(503,)))  # fmt: skip
async def expose(body: ExposeBody, here: Here) -> Response:
    """Record an exposure, once for each event: deferred decisions count from then on."""
    here.said["event_id"] = body.event_id
    await here.service.expose(Expose(here.key.tenant, body.event_id, body.shown_at))
    return Response(status_code=204)


@router.post("/reward", summary="Tell what the shopper did", status_code=202,
             **operation("reward", body=True, problems=(409, 503)))  # fmt: skip
async def reward(body: RewardBody, here: Here) -> RewardAnswer:
    """Record a reward, once for each reward id of an event, and say what became of it."""
    return await _reward(body, here)


@router.post("/events", summary="Tell and ask many at once",
             **operation("decide", "reward", body=True, openapi_extra={"requestBody": _LINES}))  # fmt: skip
async def events(request: Request, here: Here) -> EventsAnswer:
    """Take lines of JSON: bodies of decide, expose and reward, each with its `type`. Each line has its own status."""
    lines = [(number, line) for number, line in enumerate((await request.body()).split(b"\n"), 1) if line.strip()]
    most = min(MAX_LINES, here.service.most_lines(here.key))
    if len(lines) > most:
        raise ProblemError(413, f"there are {len(lines):,} lines, at most {most:,} are allowed; send less at a time")
    if len(lines) > 1:
        here.service.admit(here.key, here.address, len(lines) - 1)
    quiet = Asked(here.service, here.key, {})
    results = await asyncio.gather(*[_line(number, line, quiet, request.state.request_id) for number, line in lines])
    failed = sum(result.problem is not None for result in results)
    here.said.update(lines=len(lines), failed=failed)
    return EventsAnswer(failed=failed, results=results)


async def _decide(body: DecideBody, here: Asked) -> DecideAnswer:
    slot, choice = await here.service.decide(here.key.tenant, body.slot, body.question)
    here.said.update(event_id=body.event_id, slot=body.slot, snapshot_id=choice.snapshot, reason=choice.reason)
    return DecideAnswer.of(body.event_id, slot, choice)


async def _reward(body: RewardBody, here: Asked) -> RewardAnswer:
    entry = Reward(here.key.tenant, body.event_id, body.reward_id, body.value, body.kind, body.at)
    state = await here.service.reward(entry)
    here.said.update(event_id=body.event_id, state=state)
    return RewardAnswer(state=state)


async def _line(number: int, line: bytes, here: Asked, request_id: str) -> LineAnswer:
    try:
        return await _read(number, line, here)
    except ValidationError as error:
        wrong = invalid([{**one, "loc": one["loc"][1:] or ("line",)} for one in error.errors()], "line")
    except CopyloomError as error:
        wrong = as_problem(error)
    return LineAnswer(line=number, status=wrong.status, problem=problem(wrong, request_id))


def _read(number: int, line: bytes, here: Asked) -> Awaitable[LineAnswer]:
    """Return what answers a line, which is not awaited yet: so lines are recorded in their order."""
    body = LINE.validate_json(line)
    needed = "decide" if isinstance(body, DecideLine) else "reward"
    if needed not in here.key.scopes:
        raise ProblemError(403, f"the key {here.key.prefix} lacks the scope {needed}")
    return _answered(number, body, here)


async def _answered(number: int, body: Any, here: Asked) -> LineAnswer:
    if isinstance(body, DecideLine):
        return LineAnswer(line=number, status=200, decision=await _decide(body, here))
    if isinstance(body, ExposeLine):
        await here.service.expose(Expose(here.key.tenant, body.event_id, body.shown_at))
        return LineAnswer(line=number, status=204)
    return LineAnswer(line=number, status=202, reward=await _reward(body, here))
