"""What people look at and change: texts and their states, slots and their settings, snapshots, the audit log.

Everything is done in the name of the key, so who wrote a text cannot approve it with the same one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import ValidationError
from sqlalchemy import select

from embeddings.database import reading, text_id
from experiments.campaigns.ledger import StaleError
from experiments.storefront import review
from experiments.storefront.access import Asked, Here, leads_to, operation
from experiments.storefront.auth import Scope
from experiments.storefront.brand import current, history, set_book
from experiments.storefront.decide import Slot
from experiments.storefront.problems import ProblemError, invalid
from experiments.storefront.schemas import (
    AuditAnswer,
    BrandAnswer,
    BrandBody,
    BrandBroken,
    BrandCheckBody,
    BrandChecked,
    BrandVersion,
    Chance,
    Count,
    KillBody,
    OneTextBody,
    Parent,
    SettingsBody,
    SlotAnswer,
    SlotName,
    SnapshotAnswer,
    TextAnswer,
    TextId,
    TextsBody,
    WriteBody,
)
from experiments.storefront.screening import Screened, screen_all
from experiments.storefront.slots import MissingError, change_settings, switch
from experiments.storefront.tables import AuditRow
from generator.brand_book import BrandBook

router = APIRouter(prefix="/v1", tags=["editors"])
_CHANGES = (404, 409, 503)
_TAGGED = {200: {"headers": {"ETag": {"description": "The version, in quotation marks.",
                                      "schema": {"type": "string"}}}}}  # fmt: skip
_ACTIONS: dict[review.Action, tuple[Scope, str]] = {
    "approve": ("review", "Let written texts be shown"),
    "reject": ("review", "Say that written texts must not be shown"),
    "pause": ("publish", "Stop showing texts for now"),
    "resume": ("publish", "Show paused texts again"),
    "retire": ("publish", "Never show texts again"),
}
_OFF = KillBody()
_NAME = "$response.body#/0/slot"
_SLOT = {**leads_to("decide", "write", slot=_NAME), **leads_to("settings", "kill", path={"slot": _NAME})}
_TEXT = leads_to("approve_text", "reject_text", path={"text": "$response.body#/text_id"}, slot="$request.body#/slot")
_LISTED = {200: {
    "headers": {"Link": {"description": "Where the next page is, if there is one (RFC 8288).",
                         "schema": {"type": "string"}}},
    "links": leads_to("pause_text", "resume_text", "retire_text", path={"text": "$response.body#/0/text_id"},
                      slot="$request.query.slot"),
}}  # fmt: skip


@router.get("/slots", summary="List the slots", **operation("read", responses={200: {"links": _SLOT}}))
def slots(here: Here) -> list[SlotAnswer]:
    """Return the slots of the key's tenant, by name."""
    return [_slot(slot) for slot in here.service.slots.of(here.key.tenant)]


@router.post("/slots/{slot}/settings", summary="Change settings of a slot",
             **operation("admin", body=True, problems=_CHANGES))  # fmt: skip
def settings(slot: SlotName, body: SettingsBody, here: Here) -> SlotAnswer:
    """Make a new version of a slot's settings; who, what and why stay on record."""
    change_settings(here.service.engine, _of(here, slot), dict(body.changes), here.key.name, body.reason,
                    here.service.clock)  # fmt: skip
    return _again(here, slot)


@router.post("/slots/{slot}/kill", summary="Turn a slot off, or on again",
             **operation("publish", body=True, problems=_CHANGES))  # fmt: skip
def kill(slot: SlotName, here: Here, body: KillBody = _OFF) -> SlotAnswer:
    """Show everyone the baseline, in all processes within two seconds; or go back to the mode before.

    Without a body the slot is turned off.
    """
    switch(here.service.engine, _of(here, slot), body.on, here.key.name, body.reason, here.service.clock)
    return _again(here, slot)


@router.get("/texts", summary="List the texts of a slot", **operation("read", problems=(404,), responses=_LISTED))
def texts(
    request: Request, response: Response, slot: SlotName, here: Here, state: review.TextState | None = None,
    limit: Count = 1000, cursor: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
) -> list[TextAnswer]:  # fmt: skip
    """Return texts of a slot, or those in a state, in the order in which they came.

    Where there are more than `limit`, the header `Link` has the address of the next page (`rel="next"`), whose `cursor`
    goes on behind the last text, whatever was written meanwhile.
    """
    known = _of(here, slot).state
    numbers = review.numbers(known)
    found = [one for one in review.texts(known) if state in (None, one.state)
             and (cursor is None or numbers[one.text] > cursor)]  # fmt: skip
    found.sort(key=lambda one: numbers[one.text])
    if len(found) > limit:
        after = request.url.include_query_params(cursor=numbers[found[limit - 1].text])
        response.headers["Link"] = f'<{after.path}?{after.query}>; rel="next"'
    return [_text(one) for one in found[:limit]]


@router.post("/texts", summary="Write a text", status_code=201,
             **operation("review", body=True, problems=_CHANGES, responses={201: {"links": _TEXT}}))  # fmt: skip
def write(body: WriteBody, here: Here) -> TextAnswer:
    """Add a text that a person wrote; it waits for another key's approval, and may become a parent like any other."""
    slot = _of(here, body.slot)
    instead_of = _named(slot, [body.instead_of])[0] if body.instead_of else None
    written = review.write(here.service.engine, here.service.slots, here.key.tenant, body.slot, body.text,
                           here.key.name, instead_of, body.reason, here.service.clock)  # fmt: skip
    return _told(_of(here, body.slot), [text_id(written)])[0]


@router.get("/snapshots", summary="List the last snapshots of a slot", **operation("read", problems=(404,)))
def snapshots(slot: SlotName, here: Here, last: Count = 10) -> list[SnapshotAnswer]:
    """Return the last snapshots of a slot, newest first: every text that was shown, and with which chance."""
    state = _of(here, slot).state
    names = state.opening.segments if state.tells_apart else ()
    ids = [text_id(text) for text in state.slate]
    return [
        SnapshotAnswer(snapshot_id=one.snapshot, impressions=one.impressions, slate=[
            Chance(text_id=ids[place], text=state.slate[place], probability=chance,
                   by_segment={name: one.by_segment[number][place] for number, name in enumerate(names)}
                   if one.by_segment else None)
            for place, chance in enumerate(one.probabilities)])
        for one in reversed(state.snapshots[-last:])
    ]  # fmt: skip


@router.get("/audit", summary="Read who changed what", **operation("read", problems=(503,)))
def audit(
    here: Here, last: Count = 100, before: Annotated[int | None, Query(ge=0, lt=2**31)] = None
) -> list[AuditAnswer]:
    """Return the last changes, newest first; those with ids below `before`, to read on."""
    query = select(AuditRow.__table__).where(AuditRow.tenant == here.key.tenant).order_by(AuditRow.id.desc())
    if before is not None:
        query = query.where(AuditRow.id < before)
    with reading(here.service.engine) as connection:
        rows = connection.execute(query.limit(last)).all()
    return [AuditAnswer(id=row.id, at=row.at, by=row.by, what=row.what, subject=row.subject, reason=row.reason,
                        before=json.loads(row.before), after=json.loads(row.after)) for row in rows]  # fmt: skip


@router.get("/brand", summary="Read the brand rules", **operation("read", responses=_TAGGED))
def brand(here: Here, response: Response) -> BrandAnswer:
    """Return the rules that hold, and their version, which is the `ETag` too; version 0 where none were set."""
    return _brand(here, response, [])


@router.put("/brand", summary="Set the brand rules",
            **operation("publish", "admin", body=True, problems=(412, 428, 503), responses=_TAGGED))  # fmt: skip
def set_brand(
    body: BrandBody, here: Here, response: Response,
    if_match: Annotated[str | None, Header(description="The ETag of the rules that were looked at.")] = None,
) -> BrandAnswer:  # fmt: skip
    """Make rules hold from now on, hold all texts to them, and return those that break them.

    Unless they only tell (`when_broken`), those of them that are shown are paused, and approvals of those that are not
    shown yet are taken back, which `did` says. Somebody else's change meanwhile is answered by 412.
    """
    if if_match is None:
        raise ProblemError(428, "send the ETag of GET /v1/brand as If-Match, so that nobody's change is lost")
    known = re.fullmatch(r'(?:W/)?"(\d{1,9})"', if_match.strip())
    if known is None:
        raise ProblemError(412, f'If-Match is {if_match[:50]!r}; send the ETag of GET /v1/brand, such as "3"')
    service = here.service
    book = _book(body.rules)
    try:
        set_book(service.engine, here.key.tenant, book, here.key.name, body.reason, int(known[1]), service.clock)
    except StaleError as error:
        raise ProblemError(412, str(error)) from None
    return _brand(here, response, screen_all(service.engine, service.slots, here.key.tenant, service.clock))


@router.get("/brand/versions", summary="Read earlier brand rules", **operation("read"))
def brand_versions(here: Here, last: Count = 100) -> list[BrandVersion]:
    """Return the last versions of the rules, newest first."""
    return [BrandVersion(version=one.number, rules=one.book.written(), by=one.by, reason=one.reason, at=one.at)
            for one in history(here.service.engine, here.key.tenant, last)]  # fmt: skip


@router.post("/brand/check", summary="Hold texts to the brand rules",
             **operation("read", "review", body=True))  # fmt: skip
def check_brand(body: BrandCheckBody, here: Here) -> list[BrandChecked]:
    """Return what the rules that hold, or those of the body, have against texts that need be no slot's."""
    book = current(here.service.engine, here.key.tenant).book if body.rules is None else _book(body.rules)
    rules = book.of(body.slot or "")
    return [BrandChecked(text=text, refusals=[one.reason for one in rules.refusals(text)]) for text in body.texts]


def _book(rules: object) -> BrandBook:
    """Return brand rules as they came, read: not before, or all requests would wait while their patterns are tried."""
    try:
        return BrandBook.model_validate(rules)
    except ValidationError as error:
        raise invalid([{**one, "loc": ("body", "rules", *one["loc"])} for one in error.errors()]) from None


def _brand(here: Asked, response: Response, broken: Sequence[Screened]) -> BrandAnswer:
    now = current(here.service.engine, here.key.tenant)
    response.headers["ETag"] = f'"{now.number}"'
    return BrandAnswer(
        version=now.number, rules=now.book.written(), by=now.by, reason=now.reason, at=now.at,
        broken=[BrandBroken(slot=one.slot, text_id=text_id(one.text), text=one.text, state=one.state, did=one.did,
                            refusals=list(one.refusals)) for one in broken],
    )  # fmt: skip


def _add(action: review.Action, scope: Scope, summary: str) -> None:
    """Add the routes of an action: for one text by its id, and for many in the body."""

    def one(text: TextId, body: OneTextBody, here: Here) -> TextAnswer:
        return _do(here, action, body, [text])[0]

    def many(body: TextsBody, here: Here) -> list[TextAnswer]:
        return _do(here, action, body, body.texts)

    how = operation(scope, body=True, problems=_CHANGES, summary=summary)
    router.post(f"/texts/{action}", name=f"{action}_texts", description=f"{summary}, all of them or none.", **how)(many)
    router.post(f"/texts/{{text}}/{action}", name=f"{action}_text", description=f"{summary}: one, by its id.", **how)(
        one
    )


for _action, (_scope, _summary) in _ACTIONS.items():
    _add(_action, _scope, _summary)


def _do(here: Asked, action: review.Action, body: OneTextBody, ids: list[str]) -> list[TextAnswer]:
    which = _named(_of(here, body.slot), ids)
    if action == "reject" and not body.reason:
        raise invalid([{"loc": ("body", "reason"), "msg": "say why, so that who wrote it learns from it"}])
    review.decide(here.service.engine, here.service.slots, here.key.tenant, body.slot, action, which, here.key.name,
                  body.reason, here.service.clock)  # fmt: skip
    return _told(_of(here, body.slot), ids)


def _of(here: Asked, slot: str) -> Slot:
    return here.service.slots.get(here.key.tenant, slot)


def _again(here: Asked, slot: str) -> SlotAnswer:
    here.service.slots.refresh()
    return _slot(_of(here, slot))


def _named(slot: Slot, ids: list[str]) -> list[str]:
    """Return the texts of a slot by their ids, each once."""
    known = {text_id(draft.text): draft.text for draft in review.texts(slot.state)}
    if unknown := [one for one in ids if one not in known]:
        raise MissingError(f"slot {slot.name!r} has no text {unknown[0]}; GET /v1/texts lists them with their ids")
    return [known[one] for one in dict.fromkeys(ids)]


def _told(slot: Slot, ids: list[str]) -> list[TextAnswer]:
    known = {text_id(draft.text): draft for draft in review.texts(slot.state)}
    return [_text(known[one]) for one in dict.fromkeys(ids)]


def _text(draft: review.Standing) -> TextAnswer:
    lineage = draft.lineage
    parents = zip(lineage.parents, lineage.weights, strict=True) if lineage else ()
    return TextAnswer(
        text_id=text_id(draft.text), text=draft.text, state=draft.state, author=draft.author,
        refusals=list(draft.refusals),
        parents=[Parent(text_id=text_id(text), text=text, weight=weight) for text, weight in parents],
    )  # fmt: skip


def _slot(slot: Slot) -> SlotAnswer:
    state = slot.state
    return SlotAnswer(slot=slot.name, mode=slot.settings.mode, snapshot_id=state.snapshots[-1].snapshot,
                      texts=len(state.shown), waiting=len(review.waiting(state)), version=slot.version,
                      settings=slot.settings)  # fmt: skip
