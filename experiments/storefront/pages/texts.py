"""The pages of texts: the queue of those that wait, the list of all, and each one; and what people do to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import Response

from copyloom import InputError
from embeddings.database import text_id
from embeddings.encoded import vectors_of
from experiments.storefront import provenance, review, screening
from experiments.storefront.decide import Slot
from experiments.storefront.frame import AnswerError, to
from experiments.storefront.pages.desk import Desk, Sent
from experiments.storefront.predictions import predictions
from experiments.storefront.sessions import Form, Session, base
from experiments.storefront.tone import enough
from experiments.storefront.views import Beside, Card, card, counted

_WRITE, _SHOW = ("review",), ("publish",)
_SCOPES = {"approve": _WRITE, "reject": _WRITE, "edit": _WRITE, "pause": _SHOW, "resume": _SHOW, "retire": _SHOW}
_QUEUE, _LIST = 12, 40
_LONGEST = 2000


class TextPages:
    """The queue, the list, and one text."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def queue(self, request: Request, name: str, page: int = 1, order: str = "newest") -> Response:
        """Show what waits for a person."""
        session, slot = self.desk.at(request, name)
        return self._queue(request, session, slot, page, order)

    def act_in_queue(self, request: Request, name: str, form: Sent) -> Response:
        """Approve, reject or edit what waits; one or many."""
        session, slot = self.desk.at(request, name, form)
        page, order = form.number("page"), form.get("order") or "newest"
        try:
            action = self._act(request, session, slot, form, form.all("which"))
        except InputError as error:
            return self._queue(request, session, self.desk.slots.get(slot.tenant, name), page, order, str(error), form)
        where = urlencode({"done": action, "page": page, "order": order})
        return to(f"{base(request)}/slots/{quote(name)}/review?{where}")

    def texts(self, request: Request, name: str, state: str = "", page: int = 1) -> Response:
        """Show all texts of a slot, or those in a state."""
        session, slot = self.desk.at(request, name)
        every = review.texts(slot.state)
        chosen = [draft for draft in every if state in ("", draft.state)]
        some, page, last = _paged(chosen, page, _LIST)
        rows = [(text_id(draft.text), draft, counted(slot.state, draft.text)) for draft in some]
        return self.desk.page(request, session, "texts.html.j2", slot, rows=rows, chosen=state, page=page, last=last,
                          counts=Counter(draft.state for draft in every), many=len(every))  # fmt: skip

    def text(self, request: Request, name: str, number: str) -> Response:
        """Show a text: where it stands, what it claims, what it was made of, what happened to it."""
        session, slot = self.desk.at(request, name)
        return self._text(request, session, slot, number)

    def act_on_text(self, request: Request, name: str, number: str, form: Sent) -> Response:
        """Do something to one text."""
        session, slot = self.desk.at(request, name, form)
        try:
            action = self._act(request, session, slot, form, [number])
        except InputError as error:
            return self._text(request, session, self.desk.slots.get(slot.tenant, name), number, str(error), form)
        return to(f"{base(request)}/slots/{quote(name)}/texts/{quote(number)}?done={action}")

    def _act(self, request: Request, session: Session, slot: Slot, form: Form, which: Sequence[str]) -> str:
        desk, action = self.desk, form.get("action")
        if action not in _SCOPES:
            raise InputError("choose what to do: approve, reject or edit")
        self.desk.need(request, session, *_SCOPES[action])
        known = {text_id(draft.text): draft.text for draft in review.texts(slot.state)}
        if not which:
            raise InputError("choose at least one text")
        if any(number not in known for number in which):
            raise InputError("a text is gone; look again")
        chosen, by, reason = [known[number] for number in dict.fromkeys(which)], session.who.name, form.get("reason")
        if len(reason) > _LONGEST or len(form.get("text")) > _LONGEST:
            raise InputError(f"that is longer than {_LONGEST:,} characters; write less")
        if action in ("reject", "retire", "pause"):
            form.reason("it is done")
        if action == "edit":
            text = " ".join(form.get("text").split())
            if not text.isprintable():
                raise InputError("the text holds characters that nobody can see; take them out")
            review.write(desk.engine, desk.slots, slot.tenant, slot.name, text, by, chosen[0], reason, desk.clock)
        else:
            review.decide(desk.engine, desk.slots, slot.tenant, slot.name, action, chosen, by, reason, desk.clock)  # type: ignore[arg-type]
        return action

    def _queue(
        self, request: Request, session: Session, slot: Slot, page: int, order: str, failed: str = "",
        form: Form | None = None,
    ) -> Response:  # fmt: skip
        waiting, predicted = review.waiting(slot.state), predictions(self.desk.engine, slot)
        if order == "promising":
            waiting = sorted(waiting, key=lambda one: -_promise(slot, one, predicted))
        some, page, last = _paged(waiting, page, _QUEUE)
        beside = self._beside(slot, [draft.text for draft in some])
        cards = [card(slot, draft, beside) for draft in some]
        return self.desk.page(
            request, session, "review.html.j2", slot, 422 if failed else 200, failed=failed, cards=cards, page=page,
            last=last, order=order, many=len(waiting), form=form or Form({}),
        )  # fmt: skip

    def _text(
        self, request: Request, session: Session, slot: Slot, number: str, failed: str = "", form: Form | None = None
    ) -> Response:
        every = review.texts(slot.state)
        # A parent may be a stored text that is never shown here.
        stored = [review.Standing(text, "live") for text in slot.state.opening.parents if text not in slot.state.slate]
        draft = next((one for one in [*every, *stored] if text_id(one.text) == number), None)
        if draft is None:
            words = "There is no such text in this slot."
            raise AnswerError(self.desk.page(request, session, "error.html.j2", status=404, problem=words))
        shown: Card = card(slot, draft, self._beside(slot, [draft.text]))
        children = [(text_id(one.text), one) for one in every if one.lineage and one.text != draft.text
                    and draft.text in one.lineage.parents and one.state != "screened"]  # fmt: skip
        probability = slot.state.snapshots[-1].probabilities
        place = slot.state.slate.index(draft.text) if draft.text in slot.state.slate else len(probability)
        return self.desk.page(
            request, session, "text.html.j2", slot, 422 if failed else 200, failed=failed, card=shown,
            own=counted(slot.state, draft.text), share=probability[place] if place < len(probability) else None,
            tree=provenance.lineage(slot.state, draft.text), children=children[:_LIST], many=len(children),
            history=provenance.history(self.desk.engine, slot, draft.text), form=form or Form({}), text_id=text_id,
            elsewhere=draft in stored,
        )  # fmt: skip

    def _beside(self, slot: Slot, texts: Sequence[str]) -> Beside:
        tone = slot.brand.tone
        vectors = vectors_of(self.desk.engine, [*texts, *tone.good, *tone.bad]) if enough(tone) else {}
        return Beside(
            predictions(self.desk.engine, slot), screening.versions_of(self.desk.engine, slot, texts), vectors
        )


def _paged(rows: Sequence[Any], page: int, many: int) -> tuple[Sequence[Any], int, int]:
    """Return the rows of a page, its number, and that of the last."""
    last = max(-(-len(rows) // many), 1)
    page = min(max(page, 1), last)
    return rows[(page - 1) * many : page * many], page, last


def _promise(slot: Slot, draft: review.Standing, predicted: Any) -> float:
    """Return the click rate that is expected of a text: by a belief, or by its parents' counts, shrunk to the usual."""
    if text_id(draft.text) in predicted:
        return float(predicted[text_id(draft.text)].rate)
    shown, clicked = slot.state.totals
    usual = (clicked.sum() + 1) / (shown.sum() + 50)
    pairs = provenance.parents_of(slot.state, draft.text)
    rates = [((one.clicks + 200 * usual) / (one.impressions + 200), weight)
             for one, weight in ((counted(slot.state, text), weight) for text, weight in pairs)]  # fmt: skip
    total = sum(weight for _, weight in rates)
    return float(sum(rate * weight for rate, weight in rates) / total) if total else float(usual)
