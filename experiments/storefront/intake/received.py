"""``POST /v1/webhooks/{name}``: events that another system sends, signed, as often as it likes.

A message that comes again, by its ``webhook-id``, is answered as it was before; its events are in the ledger by the
same transaction as that answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Connection, select, update

from embeddings.database import writing
from experiments.storefront.intake.lines import Intake, Taken
from experiments.storefront.intake.webhooks import HeadersError, SignatureError, check, holding
from experiments.storefront.journal import ConflictError, insert_new
from experiments.storefront.problems import ProblemError, declared, problem
from experiments.storefront.rates import address
from experiments.storefront.schemas import EventsAnswer, LineAnswer, RewardAnswer
from experiments.storefront.service import Service
from experiments.storefront.tables import DeliveryRow

MAX_EVENTS = 1000
"""Of a message: one transaction, which pages wait for."""
SECURITY_SCHEME = {"webhook": {"type": "apiKey", "in": "header", "name": "webhook-signature",
                               "description": "By a secret, from `copyloom keys webhook make`."}}  # fmt: skip
router = APIRouter(prefix="/v1", tags=["shoppers"])
_BODY = {"description": "An event, a list of events, or one a line, each as described.", "required": True,
         "content": {"application/json": {"schema": {"anyOf": [{"$ref": "#/components/schemas/Line"}, {
             "type": "array", "items": {"$ref": "#/components/schemas/Line"}}]}},
             "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/Line"}}}}  # fmt: skip
_HEADERS = [{"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": what}
            for name, what in (("webhook-id", "The same for each try of a message."),
                               ("webhook-timestamp", "Of this try: seconds since 1970."),
                               ("webhook-signature", "v1,<base64>; several with spaces between."))]  # fmt: skip


@router.post("/webhooks/{name}", summary="Take the events of a signed webhook",
             responses=declared(400, 401, 404, 408, 409, 413, 422, 429, 503),
             openapi_extra={"requestBody": _BODY, "parameters": _HEADERS, "security": [{"webhook": []}]})  # fmt: skip
async def received(name: str, request: Request) -> EventsAnswer:
    """Record events, each once, and say what became of each; signed as Standard Webhooks has it.

    Where none of them could be used, nothing is on record, and the answer is a problem.
    """
    service: Service = request.app.state.service
    body = await request.body()
    message_id, timestamp, signatures = (request.headers.get(f"webhook-{one}", "")
                                         for one in ("id", "timestamp", "signature"))  # fmt: skip
    stranger = address(request)
    service.refuse_strangers(stranger)
    secrets = await asyncio.to_thread(holding, service.engine, name)
    if not secrets:
        service.refuse_strangers(stranger, failed=True)
        raise ProblemError(404, "there is no such webhook; `copyloom keys webhook make` makes one")
    try:
        check([one.secret for one in secrets], message_id, timestamp, signatures, body, service.clock())
    except HeadersError as error:
        raise ProblemError(400, str(error)) from None
    except SignatureError as error:
        service.refuse_strangers(stranger, failed=True)
        raise ProblemError(401, str(error), headers={"WWW-Authenticate": "StandardWebhooks"}) from None
    lines = _lines(body, min(MAX_EVENTS, service.most_lines()))
    tenant = secrets[0].tenant
    service.admit(f"webhook {name}", cost=max(len(lines), 1))
    request.state.said.update(tenant=tenant, webhook=name, message_id=message_id, lines=len(lines))
    answer, taken = await asyncio.to_thread(_recorded, service, tenant, name, message_id, body, lines,
                                            request.state.request_id)  # fmt: skip
    _count(service, taken)
    request.state.said.update(failed=answer.failed)
    return answer


def _lines(body: bytes, most: int) -> list[bytes]:
    """Return the events of a body, a line each: it is a JSON object, a list of them, or one a line."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return _few([line for line in body.split(b"\n") if line.strip()], most)
    if not isinstance(found, list):
        return [body]
    return [json.dumps(one).encode() for one in _few(found, most)]


def _few(found: list[Any], most: int) -> list[Any]:
    if not found:
        raise ProblemError(422, "the body is empty; send an event, a list of events, or one a line")
    if len(found) > most:
        raise ProblemError(413, f"there are {len(found):,} events, at most {most:,} are allowed in a message")
    return found


def _recorded(
    service: Service, tenant: str, name: str, message_id: str, body: bytes, lines: Sequence[bytes], request_id: str
) -> tuple[EventsAnswer, list[Taken]]:
    """Record a message and what it is answered; or return what it was answered before, and nothing taken."""
    intake = Intake(service.engine, service.slots, service.clock)
    read = [intake.read(tenant, line) for line in lines]
    with writing(service.engine) as connection:
        if before := _before(connection, name, message_id, body, service):
            return before, []
        taken = intake.write(connection, read)
        answer = _answer(taken, request_id)
        if answer.failed == len(taken):
            errors = [{"where": f"event {number}", "what": one.why} for number, one in enumerate(taken, 1)]
            raise ProblemError(taken[0].status, f"none of the events can be used: {taken[0].why}", errors)
        mine = (DeliveryRow.name == name, DeliveryRow.message_id == message_id)
        connection.execute(update(DeliveryRow).where(*mine).values(answer=answer.model_dump_json()))
    return answer, taken


def _before(connection: Connection, name: str, message_id: str, body: bytes, service: Service) -> EventsAnswer | None:
    """Return what a message was answered before; None for a new one, which is known from now on."""
    digest = sha256(body).hexdigest()
    row = {"name": name, "message_id": message_id, "body": digest, "answer": "", "at": service.clock()}
    if insert_new(connection, DeliveryRow, [row]):
        return None
    query = select(DeliveryRow.body, DeliveryRow.answer)
    known = connection.execute(query.where(DeliveryRow.name == name, DeliveryRow.message_id == message_id)).one()
    if known.body != digest:
        raise ConflictError(
            f"the webhook-id {message_id!r} was used for another body; give every message an id of its own"
        )
    return EventsAnswer.model_validate_json(known.answer)


def _answer(taken: Sequence[Taken], request_id: str) -> EventsAnswer:
    results = []
    for number, one in enumerate(taken, 1):
        wrong = problem(ProblemError(one.status, one.why), request_id) if one.state == "refused" else None
        reward = RewardAnswer(state=one.state) if one.status == 202 and one.state != "refused" else None
        results.append(LineAnswer(line=number, status=one.status, decision=one.decision, reward=reward, problem=wrong))
    return EventsAnswer(failed=sum(one.state == "refused" for one in taken), results=results)


def _count(service: Service, taken: Sequence[Taken]) -> None:
    for one in taken:
        if one.decision is not None:
            service.metrics.decisions.labels(one.decision.reason).inc()
        elif one.status == 204:
            service.metrics.exposures.inc()
        elif one.state != "refused":
            service.metrics.rewards.labels(one.state).inc()
