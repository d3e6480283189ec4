"""What all pages share: who is signed in and may do what, and how a page is rendered."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Engine

from experiments.storefront import overview, review
from experiments.storefront.auth import Keys
from experiments.storefront.decide import Slot
from experiments.storefront.frame import AnswerError, page_environment, plain, to, version
from experiments.storefront.journal import Clock
from experiments.storefront.rates import Rates, address, rate
from experiments.storefront.service import Options
from experiments.storefront.sessions import Form, Session, Sessions, base, read_form
from experiments.storefront.slots import Slots

_LOOK = ("read", "review", "publish", "admin")
_DONE = {
    "approve": "Approved. They join with the next snapshot.",
    "reject": "Rejected, with your reason on record.",
    "edit": "Your version waits for another person's approval.",
    "pause": "Paused: no shopper sees it any more.",
    "resume": "Resumed: it is shown again from the next snapshot on.",
    "retire": "Retired: no shopper sees it any more.",
    "settings": "The settings hold now.",
    "off": "Everyone sees the baseline now.",
    "brand": "The brand rules hold now, and all texts were held to them.",
}
Sent = Annotated[Form, Depends(read_form)]
"""A form that a browser sent."""


class Desk:
    """Who is before a page, and what there is to show.

    See `experiments.storefront.pages.pages` for the parameters.
    """

    def __init__(self, engine: Engine, slots: Slots, keys: Keys, clock: Clock, options: Options, rates: Rates) -> None:
        self.engine, self.slots, self.keys, self.clock = engine, slots, keys, clock
        self.sessions, self.tallies, self.rates = Sessions(engine, keys, clock), overview.Tallies(), rates
        self.limits = {"ask for pages": rate(options.pages_limit), "try to sign in": rate(options.login_limit)}
        self.templates = page_environment()

    async def admit(self, request: Request) -> None:
        """Answer that it is too much where one address asks too often, or tries too many keys."""
        asked = ["ask for pages"]
        if request.method == "POST" and request.url.path == f"{base(request)}/login":
            asked.append("try to sign in")
        for what in asked:
            if wait := self.rates.wait(self.limits[what], f"{what} {address(request)}"):
                words = f"One address may {what} {self.limits[what]}. Go on in {wait} s."
                raise AnswerError(plain(self.templates, 429, words, {"Retry-After": str(wait)}))

    def session(self, request: Request) -> Session:
        """Return who is signed in and may look; else answer by the form to sign in."""
        session = self.sessions.of(request)
        if session is None:
            path = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
            where = urlencode({"next": path}) if request.method == "GET" else ""
            raise AnswerError(to(f"{base(request)}/login?{where}"))
        self.need(request, session, *_LOOK)
        return session

    def sender(self, request: Request, form: Form) -> Session:
        """Return who sent a form of ours; else refuse it."""
        session = self.session(request)
        if not form.is_from(session.token):
            words = (
                "This form was not sent from a page of this session. Go back, load the page again, and send it anew."
            )
            raise AnswerError(self.page(request, session, "error.html.j2", status=403, problem=words))
        return session

    def at(self, request: Request, name: str, form: Form | None = None) -> tuple[Session, Slot]:
        """Return who is signed in, and a slot of theirs."""
        session = self.session(request) if form is None else self.sender(request, form)
        for slot in self.slots.of(session.who.tenant):
            if slot.name == name:
                return session, slot
        words = f"There is no slot “{name}”."
        raise AnswerError(self.page(request, session, "error.html.j2", status=404, problem=words))

    def need(self, request: Request, session: Session, *scopes: str) -> None:
        """Answer that a key may not do something, unless it has one of some scopes."""
        if not session.may(*scopes):
            words = (f"Your key “{session.who.name}” lacks the scope {' or '.join(scopes)}; ask whoever keeps the keys "
                     "for one that has it.")  # fmt: skip
            raise AnswerError(self.page(request, session, "error.html.j2", status=403, problem=words))

    def page(
        self, request: Request, session: Session, template: str, slot: Slot | None = None, status: int = 200,
        **context: Any,
    ) -> Response:  # fmt: skip
        """Return a page of who is signed in, of a slot or none, rendered from its template."""
        page = self.templates.get_template(template).render(
            base=base(request), version=version(), session=session, slot=slot, mine=self.slots.of(session.who.tenant),
            waiting=len(review.waiting(slot.state)) if slot else 0, here=template.partition(".")[0],
            done=_DONE.get(request.query_params.get("done", ""), ""), path=f"{base(request)}/slots/{quote(slot.name)}"
            if slot else "", **context,
        )  # fmt: skip
        return HTMLResponse(page, status, {"Cache-Control": "no-store"})
