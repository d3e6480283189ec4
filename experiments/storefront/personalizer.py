"""Personalizer's rank, activate and reward over the same ledger, so that its clients move by changing a base URL.

An action is a text of the slot, and its id the text's SHA-256. Actions that are named restrict the choice to them, and
the chance that is logged is the one among them; those that the slot does not know, or may not show, have chance 0. The
slot is the one in the path (``/personalizer/{slot}/v1.0``, or ``/slots/{slot}`` before Personalizer's own paths),
``?slot=``, or the tenant's only one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Response
from pydantic import TypeAdapter, ValidationError

from embeddings.database import text_id
from experiments.storefront.access import Asked, Here, leads_to, operation
from experiments.storefront.decide import Choice, Question, Slot
from experiments.storefront.journal import Expose, Reward
from experiments.storefront.problems import invalid
from experiments.storefront.schemas import Context, Id, PersonalizerReward, RankAnswer, RankBody, Ranked, SlotName

router = APIRouter(tags=["personalizer"])
_CONTEXT: TypeAdapter[Any] = TypeAdapter(Context)


async def _rank(body: RankBody, here: Asked, name: str | None) -> RankAnswer:
    if name is None:
        mine = here.service.slots.of(here.key.tenant)
        if len(mine) != 1:
            names = ", ".join(slot.name for slot in mine) or "none"
            raise invalid([{"loc": ("query", "slot"), "msg": f"name one of the slots, which are: {names}"}])
        name = mine[0].name
    slot = here.service.slots.get(here.key.tenant, name)
    question = _question(body, slot)
    slot, choice = await here.service.decide(here.key.tenant, name, question)
    here.said.update(event_id=question.event_id, slot=name, snapshot_id=choice.snapshot, reason=choice.reason)
    text = slot.state.slate[choice.place]
    return RankAnswer(
        ranking=_ranking(slot, question, choice, [action.id for action in body.actions]),
        event_id=question.event_id, reward_action_id=text_id(text), text=text, reason=choice.reason,
    )  # fmt: skip


async def _activate(event: str, here: Asked) -> Response:
    here.said["event_id"] = event
    await here.service.expose(Expose(here.key.tenant, event))
    return Response(status_code=204)


async def _reward(event: str, body: PersonalizerReward, here: Asked) -> Response:
    here.said["event_id"] = event
    # A reward has no id here: one of the same value is a retry, another value is another reward.
    await here.service.reward(Reward(here.key.tenant, event, f"personalizer {body.value!r}", body.value))
    return Response(status_code=204)


def _question(body: RankBody, slot: Slot) -> Question:
    """Return what a request asks of a slot."""
    merged = {name: value for features in body.context_features for name, value in features.items()}
    try:
        context = _CONTEXT.validate_python(merged)
    except ValidationError as error:
        raise invalid([{"loc": ("body", "contextFeatures"), "msg": error.errors()[0]["msg"]}]) from None
    excluded = set(body.excluded)
    named = [action.id for action in body.actions]
    if excluded and not named:
        named = list(slot.places)
    among = tuple(one for one in dict.fromkeys(named) if one not in excluded)
    if named and not among:
        raise invalid([{"loc": ("body", "excludedActions"), "msg": "all actions are excluded; leave one at least"}])
    return Question(body.event_id or uuid.uuid4().hex, "", context, "", body.deferred, among)


def _ranking(slot: Slot, question: Question, choice: Choice, named: list[str]) -> list[Ranked]:
    """Return the actions with their chances now: what was chosen first, the others by their chances.

    The chance of the chosen one is that of its draw, which an older snapshot may have made.
    """
    chances = np.zeros(len(slot.state.slate))
    if choice.reason != "fallback":
        found = slot.propensities(question)
        chances[: len(found)] = found
    chances[choice.place] = choice.propensity
    texts = slot.state.slate
    ids = dict.fromkeys(named) or {text_id(texts[place]): None for place in chances.nonzero()[0]}
    places = {one: slot.places.get(one) for one in ids}
    ranked = [Ranked(id=one, probability=0.0 if place is None else float(chances[place]),
                     text=None if place is None else texts[place]) for one, place in places.items()]  # fmt: skip
    first = text_id(texts[choice.place])
    return sorted(ranked, key=lambda one: (one.id != first, -one.probability))


def _add(prefix: str, in_path: bool, called: str, listed: bool) -> None:
    """Add Personalizer's routes under a prefix."""
    events = f"{prefix}/events/{{event:path}}"  # an id may hold a slash, but no line break: 404

    def add(path: str, what: str, summary: str, status: int, how: dict[str, Any], endpoint: Callable[..., Any]) -> None:
        router.post(path, name=f"personalizer_{what}{called}", summary=summary, status_code=status,
                    include_in_schema=listed, **how)(endpoint)  # fmt: skip

    async def rank_in(slot: SlotName, body: RankBody, here: Here) -> RankAnswer:
        return await _rank(body, here, slot)

    async def rank_of(body: RankBody, here: Here, slot: Annotated[SlotName | None, Query()] = None) -> RankAnswer:
        return await _rank(body, here, slot)

    async def activate_in(slot: SlotName, event: Id, here: Here) -> Response:
        here.service.slots.get(here.key.tenant, slot)  # or say which there are
        return await _activate(event, here)

    async def activate_of(event: Id, here: Here) -> Response:
        return await _activate(event, here)

    async def reward_in(slot: SlotName, event: Id, body: PersonalizerReward, here: Here) -> Response:
        here.service.slots.get(here.key.tenant, slot)
        return await _reward(event, body, here)

    async def reward_of(event: Id, body: PersonalizerReward, here: Here) -> Response:
        return await _reward(event, body, here)

    event = {"event": "$response.body#/eventId", **({"slot": "$request.path.slot"} if in_path else {})}
    links = leads_to(f"personalizer_activate{called}", f"personalizer_reward{called}", path=event)
    add(f"{prefix}/rank", "rank", "Ask for a ranking, and which text an event shows", 201,
        operation("decide", body=True, problems=(404, 409), responses={201: {"links": links}}),
        rank_in if in_path else rank_of)  # fmt: skip
    add(f"{events}/activate", "activate", "Tell that a deferred text was shown", 204,
        operation("reward", problems=(404, 503)), activate_in if in_path else activate_of)  # fmt: skip
    add(f"{events}/reward", "reward", "Tell what the shopper did; the same value twice counts once", 204,
        operation("reward", body=True, problems=(404, 503)), reward_in if in_path else reward_of)  # fmt: skip


_add("/personalizer/v1.0", False, "", True)
_add("/personalizer/{slot}/v1.0", True, "_in_slot", True)
_add("/slots/{slot}/personalizer/v1.0", True, "_at_slot", False)
