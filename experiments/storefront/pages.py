"""The pages of a storefront, rendered here: overview, review queue, texts, settings, audit. No script is needed.

Texts are other people's, so nothing of them is ever markup: templates escape all, and a strict Content-Security-Policy
runs no script and takes no style but our two files. Every change is a form with a token, answered by a redirect.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Engine, select

from copyloom import InputError
from embeddings.database import reading, text_id
from embeddings.encoded import vectors_of
from experiments.campaigns.ledger import StaleError
from experiments.reports.campaign import text_rows
from experiments.storefront import overview, pictures, provenance, review, screening
from experiments.storefront.auth import Keys
from experiments.storefront.brand import current, differences, history, set_book
from experiments.storefront.config import Mode
from experiments.storefront.decide import Slot
from experiments.storefront.frame import AnswerError, page_environment, plain, safe_route, script, style, to, version
from experiments.storefront.journal import Clock, now
from experiments.storefront.predictions import predictions
from experiments.storefront.rates import Rates, address, rate
from experiments.storefront.service import Options
from experiments.storefront.sessions import LOGIN_COOKIE, Form, Session, Sessions, base, login_token, read_form
from experiments.storefront.slots import Slots, change_settings, switch
from experiments.storefront.tables import AuditRow, SettingsRow
from experiments.storefront.tone import enough
from experiments.storefront.views import Beside, Card, card, counted
from generator.brand_book import BrandBook

_LOOK, _WRITE, _SHOW, _SET = ("read", "review", "publish", "admin"), ("review",), ("publish",), ("admin",)
_SCOPES = {"approve": _WRITE, "reject": _WRITE, "edit": _WRITE, "pause": _SHOW, "resume": _SHOW, "retire": _SHOW}
_BRAND = ("publish", "admin")
_QUEUE, _LIST, _LOG = 12, 40, 50
_LONGEST = 2000
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


def pages(
    engine: Engine, slots: Slots, keys: Keys, clock: Clock = now, options: Options | None = None,
    rates: Rates | None = None,
) -> APIRouter:  # fmt: skip
    """Return the routes of the pages, all under ``/ui``.

    Parameters
    ----------
    engine : Engine
    slots : Slots
    keys : Keys
        With which people sign in: ``read`` looks, ``review`` approves, rejects and edits, ``publish`` pauses, retires
        and turns a slot off, ``admin`` changes settings; ``publish`` and ``admin`` set brand rules.
    clock : callable, optional
    options : Options, optional
        How often one address may ask for pages and try to sign in.
    rates : Rates, optional
        What counts that.
    """
    return _Pages(engine, slots, keys, clock, options or Options(), rates or Rates()).router()


class _Pages:
    """The handlers of the pages, and what they share."""

    def __init__(self, engine: Engine, slots: Slots, keys: Keys, clock: Clock, options: Options, rates: Rates) -> None:
        self.engine, self.slots, self.keys, self.clock = engine, slots, keys, clock
        self.sessions, self.tallies, self.rates = Sessions(engine, keys, clock), overview.Tallies(), rates
        self.limits = {"ask for pages": rate(options.pages_limit), "try to sign in": rate(options.login_limit)}
        self.templates = page_environment()

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix="/ui", route_class=safe_route(self.templates), include_in_schema=False,
                           dependencies=[Depends(self._admit)])  # fmt: skip
        get, post = router.get, router.post
        get("/style.css")(style)
        get("/review.js")(script)
        get("/login")(self.login_page)
        post("/login")(self.login)
        post("/logout")(self.logout)
        get("")(self.home)
        get("/audit")(self.audit)
        get("/slots/{name}")(self.overview)
        get("/slots/{name}/review")(self.queue)
        post("/slots/{name}/review")(self.act_in_queue)
        get("/slots/{name}/texts")(self.texts)
        get("/slots/{name}/texts/{number}")(self.text)
        post("/slots/{name}/texts/{number}")(self.act_on_text)
        get("/slots/{name}/settings")(self.settings)
        post("/slots/{name}/settings")(self.change)
        post("/slots/{name}/off")(self.turn_off)
        get("/brand")(self.brand)
        post("/brand")(self.set_brand)
        return router

    async def _admit(self, request: Request) -> None:
        """Answer that it is too much where one address asks too often, or tries too many keys."""
        asked = ["ask for pages"]
        if request.method == "POST" and request.url.path == f"{base(request)}/login":
            asked.append("try to sign in")
        for what in asked:
            if wait := self.rates.wait(self.limits[what], f"{what} {address(request)}"):
                words = f"One address may {what} {self.limits[what]}. Go on in {wait} s."
                raise AnswerError(plain(self.templates, 429, words, {"Retry-After": str(wait)}))

    # Signing in and out

    def login_page(self, request: Request, next: str = "") -> Response:
        """Show the form that takes a key."""
        return self._login_page(request, next)

    def login(self, request: Request, form: Sent) -> Response:
        """Begin a session with a key."""
        if not form.is_from(request.cookies.get(LOGIN_COOKIE, "")):
            return self._login_page(request, form.get("next"), "This form was out of date. Try again.", 403)
        who = self.keys.find(form.get("key"))
        if who is None:
            return self._login_page(request, form.get("next"), "There is no such key, or it was revoked.", 401)
        response = to(_inside(request, form.get("next")) or base(request))
        self.sessions.sign_in(response, request, who)
        return response

    def logout(self, request: Request, form: Sent) -> Response:
        """End a session."""
        self._sender(request, form)
        response = to(f"{base(request)}/login")
        self.sessions.sign_out(response, request)
        return response

    # Looking

    def home(self, request: Request) -> Response:
        """Show the slots of the tenant; the one that there is at once."""
        session = self._session(request)
        mine = self.slots.of(session.who.tenant)
        if len(mine) == 1:
            return to(f"{base(request)}/slots/{quote(mine[0].name)}")
        return self._page(
            request, session, "slots.html.j2", slots=[(one, len(review.waiting(one.state))) for one in mine]
        )

    def overview(self, request: Request, name: str) -> Response:
        """Show how a slot does."""
        session, slot = self._at(request, name)
        with reading(self.engine) as connection:
            tally = self.tallies.of(connection, slot)
            ratios = [overview.text_ratio(tally, slot.state), overview.arm_ratio(connection, slot, tally.since)]
        comparison, drafts = overview.compare(tally), review.texts(slot.state)
        states = {draft.text: draft for draft in drafts}
        rows = [
            {**row, "id": text_id(row["text"]), "draft": states[row["text"]]} for row in text_rows(slot.state, None)
        ]
        shown = [row for row in rows if row["impressions"]]
        highs = sorted(row["high"] for row in shown)
        usual = sorted(row["impressions"] for row in shown)[len(shown) // 2] if shown else 0
        best = max((row["ctr"] for row in shown if row["impressions"] >= usual), default=0.0)
        # The widest reach beyond it, and so does a text that was shown once and clicked.
        most = min(1.1 * max(highs[int(0.9 * (len(highs) - 1))], best), 1.0) if highs else 0.0
        return self._page(
            request, session, "overview.html.j2", slot, comparison=comparison, ratios=ratios,
            guardrails=overview.guardrails(comparison), rows=rows,
            curves=overview.curves(tally, len(slot.state.snapshots)),
            most=most, broken=screening.broken([slot], slot.brand), shares=pictures.share_layers(slot.state),
            map=pictures.embedding_map(self.engine, slot.state, f"{base(request)}/slots/{quote(name)}"),
            map_lines=pictures.LINES,
            beside=_counts(draft.state for draft in drafts if draft.text not in slot.state.slate),
        )  # fmt: skip

    def queue(self, request: Request, name: str, page: int = 1, order: str = "newest") -> Response:
        """Show what waits for a person."""
        session, slot = self._at(request, name)
        return self._queue(request, session, slot, page, order)

    def texts(self, request: Request, name: str, state: str = "", page: int = 1) -> Response:
        """Show all texts of a slot, or those in a state."""
        session, slot = self._at(request, name)
        every = review.texts(slot.state)
        chosen = [draft for draft in every if state in ("", draft.state)]
        some, page, last = _paged(chosen, page, _LIST)
        rows = [(text_id(draft.text), draft, counted(slot.state, draft.text)) for draft in some]
        return self._page(request, session, "texts.html.j2", slot, rows=rows, chosen=state, page=page, last=last,
                          counts=_counts(draft.state for draft in every), many=len(every))  # fmt: skip

    def text(self, request: Request, name: str, number: str) -> Response:
        """Show a text: where it stands, what it claims, what it was made of, what happened to it."""
        session, slot = self._at(request, name)
        return self._text(request, session, slot, number)

    def settings(self, request: Request, name: str) -> Response:
        """Show the settings of a slot."""
        session, slot = self._at(request, name)
        return self._settings(request, session, slot)

    def brand(self, request: Request) -> Response:
        """Show the brand's rules, their versions, and what breaks them."""
        return self._brand(request, self._session(request))

    def audit(self, request: Request, before: int | None = None) -> Response:
        """Show who changed what, newest first."""
        session = self._session(request)
        query = select(AuditRow.__table__).where(AuditRow.tenant == session.who.tenant).order_by(AuditRow.id.desc())
        if before is not None:
            query = query.where(AuditRow.id < min(max(before, 0), 2**31 - 1))
        with reading(self.engine) as connection:
            rows = connection.execute(query.limit(_LOG + 1)).all()
        entries = [(row, json.loads(row.before), json.loads(row.after)) for row in rows[:_LOG]]
        return self._page(request, session, "audit.html.j2", entries=entries, more=len(rows) > _LOG)

    # Changing

    def act_in_queue(self, request: Request, name: str, form: Sent) -> Response:
        """Approve, reject or edit what waits; one or many."""
        session, slot = self._at(request, name, form)
        page, order = _number(form.get("page")), form.get("order") or "newest"
        try:
            action = self._act(request, session, slot, form, form.all("which"))
        except InputError as error:
            return self._queue(request, session, self.slots.get(slot.tenant, name), page, order, str(error), form)
        where = urlencode({"done": action, "page": page, "order": order})
        return to(f"{base(request)}/slots/{quote(name)}/review?{where}")

    def act_on_text(self, request: Request, name: str, number: str, form: Sent) -> Response:
        """Do something to one text."""
        session, slot = self._at(request, name, form)
        try:
            action = self._act(request, session, slot, form, [number])
        except InputError as error:
            return self._text(request, session, self.slots.get(slot.tenant, name), number, str(error), form)
        return to(f"{base(request)}/slots/{quote(name)}/texts/{quote(number)}?done={action}")

    def change(self, request: Request, name: str, form: Sent) -> Response:
        """Change settings of a slot."""
        session, slot = self._at(request, name, form)
        self._need(request, session, *_SET)
        try:
            if form.get("version") != str(slot.version):
                raise InputError("someone changed the settings meanwhile; look at them, and send yours again")
            changes = _changes(slot, form)
            if not changes:
                raise InputError("these are the settings that hold already; nothing was changed")
            self._set(slot, changes, session, _reason(form, "the settings are changed"))
        except InputError as error:
            return self._settings(request, session, slot, str(error), form)
        return to(f"{base(request)}/slots/{quote(name)}/settings?done=settings")

    def turn_off(self, request: Request, name: str, form: Sent) -> Response:
        """Show everyone the baseline."""
        session, slot = self._at(request, name, form)
        self._need(request, session, *_SHOW, *_SET)
        try:
            reason = _reason(form, "the slot is turned off")
            switch(self.engine, slot, on=False, by=session.who.name, reason=reason, clock=self.clock)
            self.slots.refresh()
        except InputError as error:
            return self._settings(request, session, slot, str(error), form)
        return to(f"{base(request)}/slots/{quote(name)}/settings?done=off")

    def set_brand(self, request: Request, form: Sent) -> Response:
        """Try brand rules on all texts, or set them."""
        session = self._sender(request, form)
        self._need(request, session, *_BRAND)
        tenant = session.who.tenant
        try:
            book = BrandBook.read(form.get("rules"))
            if form.get("action") == "try":
                return self._brand(request, session, form=form, tried=screening.broken(self.slots.of(tenant), book))
            reason = _reason(form, "the rules are changed")
            set_book(self.engine, tenant, book, session.who.name, reason, _number(form.get("version"), 0), self.clock)
            screening.screen_all(self.engine, self.slots, tenant, self.clock)
        except StaleError as error:
            return self._brand(request, session, str(error), form, looked_again=True)
        except InputError as error:
            return self._brand(request, session, str(error), form)
        return to(f"{base(request)}/brand?done=brand")

    def _act(self, request: Request, session: Session, slot: Slot, form: Form, which: Sequence[str]) -> str:
        action = form.get("action")
        if action not in _SCOPES:
            raise InputError("choose what to do: approve, reject or edit")
        self._need(request, session, *_SCOPES[action])
        known = {text_id(draft.text): draft.text for draft in review.texts(slot.state)}
        if not which:
            raise InputError("choose at least one text")
        if any(number not in known for number in which):
            raise InputError("a text is gone; look again")
        chosen, by, reason = [known[number] for number in dict.fromkeys(which)], session.who.name, form.get("reason")
        if len(reason) > _LONGEST or len(form.get("text")) > _LONGEST:
            raise InputError(f"that is longer than {_LONGEST:,} characters; write less")
        if action in ("reject", "retire", "pause"):
            _reason(form, "it is done")
        if action == "edit":
            text = " ".join(form.get("text").split())
            if not text.isprintable():
                raise InputError("the text holds characters that nobody can see; take them out")
            review.write(self.engine, self.slots, slot.tenant, slot.name, text, by, chosen[0], reason, self.clock)
        else:
            review.decide(self.engine, self.slots, slot.tenant, slot.name, action, chosen, by, reason, self.clock)  # type: ignore[arg-type]
        return action

    def _set(self, slot: Slot, changes: dict[str, Any], session: Session, reason: str) -> None:
        change_settings(self.engine, slot, changes, session.who.name, reason, self.clock)
        self.slots.refresh()

    # What handlers share

    def _session(self, request: Request) -> Session:
        """Return who is signed in and may look; else answer by the form to sign in."""
        session = self.sessions.of(request)
        if session is None:
            path = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
            where = urlencode({"next": path}) if request.method == "GET" else ""
            raise AnswerError(to(f"{base(request)}/login?{where}"))
        self._need(request, session, *_LOOK)
        return session

    def _sender(self, request: Request, form: Form) -> Session:
        """Return who sent a form of ours; else refuse it."""
        session = self._session(request)
        if not form.is_from(session.token):
            words = (
                "This form was not sent from a page of this session. Go back, load the page again, and send it anew."
            )
            raise AnswerError(self._page(request, session, "error.html.j2", status=403, problem=words))
        return session

    def _at(self, request: Request, name: str, form: Form | None = None) -> tuple[Session, Slot]:
        """Return who is signed in, and a slot of theirs."""
        session = self._session(request) if form is None else self._sender(request, form)
        for slot in self.slots.of(session.who.tenant):
            if slot.name == name:
                return session, slot
        words = f"There is no slot “{name}”."
        raise AnswerError(self._page(request, session, "error.html.j2", status=404, problem=words))

    def _need(self, request: Request, session: Session, *scopes: str) -> None:
        if not session.may(*scopes):
            words = (f"Your key “{session.who.name}” lacks the scope {' or '.join(scopes)}; ask whoever keeps the keys "
                     "for one that has it.")  # fmt: skip
            raise AnswerError(self._page(request, session, "error.html.j2", status=403, problem=words))

    def _login_page(self, request: Request, next_: str, failed: str = "", status: int = 200) -> Response:
        response = HTMLResponse(status_code=status)
        token = login_token(response, request)
        page = self.templates.get_template("login.html.j2").render(
            base=base(request), version=version(), next=_inside(request, next_), token=token, failed=failed
        )
        response.body = page.encode()
        response.headers["content-length"] = str(len(response.body))
        return response

    def _queue(
        self, request: Request, session: Session, slot: Slot, page: int, order: str, failed: str = "",
        form: Form | None = None,
    ) -> Response:  # fmt: skip
        waiting, predicted = review.waiting(slot.state), predictions(self.engine, slot)
        if order == "promising":
            waiting = sorted(waiting, key=lambda one: -_promise(slot, one, predicted))
        some, page, last = _paged(waiting, page, _QUEUE)
        beside = self._beside(slot, [draft.text for draft in some])
        cards = [card(slot, draft, beside) for draft in some]
        return self._page(request, session, "review.html.j2", slot, 422 if failed else 200, failed=failed, cards=cards,
                          page=page, last=last, order=order, many=len(waiting), form=form or Form({}))  # fmt: skip

    def _text(
        self, request: Request, session: Session, slot: Slot, number: str, failed: str = "", form: Form | None = None
    ) -> Response:
        every = review.texts(slot.state)
        # A parent may be a stored text that is never shown here.
        stored = [review.Standing(text, "live") for text in slot.state.opening.parents if text not in slot.state.slate]
        draft = next((one for one in [*every, *stored] if text_id(one.text) == number), None)
        if draft is None:
            words = "There is no such text in this slot."
            raise AnswerError(self._page(request, session, "error.html.j2", status=404, problem=words))
        shown: Card = card(slot, draft, self._beside(slot, [draft.text]))
        children = [(text_id(one.text), one) for one in every if one.lineage and one.text != draft.text
                    and draft.text in one.lineage.parents and one.state != "screened"]  # fmt: skip
        probability = slot.state.snapshots[-1].probabilities
        place = slot.state.slate.index(draft.text) if draft.text in slot.state.slate else len(probability)
        return self._page(
            request, session, "text.html.j2", slot, 422 if failed else 200, failed=failed, card=shown,
            own=counted(slot.state, draft.text), share=probability[place] if place < len(probability) else None,
            tree=provenance.lineage(slot.state, draft.text), children=children[:_LIST], many=len(children),
            history=provenance.history(self.engine, slot, draft.text), form=form or Form({}), text_id=text_id,
            elsewhere=draft in stored,
        )  # fmt: skip

    def _beside(self, slot: Slot, texts: Sequence[str]) -> Beside:
        tone = slot.brand.tone
        vectors = vectors_of(self.engine, [*texts, *tone.good, *tone.bad]) if enough(tone) else {}
        return Beside(predictions(self.engine, slot), screening.versions_of(self.engine, slot, texts), vectors)

    def _brand(
        self, request: Request, session: Session, failed: str = "", form: Form | None = None,
        tried: list[screening.Screened] | None = None, looked_again: bool = False,
    ) -> Response:  # fmt: skip
        tenant, sent = session.who.tenant, form or Form({})
        slots = self.slots.of(tenant)
        now = current(self.engine, tenant)
        looked_at = now.number if looked_again or form is None else form.get("version")
        return self._page(
            request, session, "brand.html.j2", status=422 if failed else 200, failed=failed, form=sent, now=now,
            looked_at=looked_at,
            versions=differences(history(self.engine, tenant, _LIST)), written=sent.get("rules") or now.book.yaml(),
            tried=tried, may=session.may(*_BRAND), broken=screening.broken(slots, now.book), many=len(slots),
        )  # fmt: skip

    def _settings(
        self, request: Request, session: Session, slot: Slot, failed: str = "", form: Form | None = None
    ) -> Response:
        query = select(SettingsRow.__table__).where(SettingsRow.slot_id == slot.id).order_by(SettingsRow.version.desc())
        with reading(self.engine) as connection:
            rows = [(row, json.loads(row.body)) for row in connection.execute(query.limit(_LIST + 1))]
        versions = [(row, _changed(older, body)) for (row, body), older in
                    zip(rows, [*(body for _, body in rows[1:]), None], strict=True)][:_LIST]  # fmt: skip
        return self._page(request, session, "settings.html.j2", slot, 422 if failed else 200, failed=failed,
                          form=form or Form({}), modes=get_args(Mode), versions=versions)  # fmt: skip

    def _page(
        self, request: Request, session: Session, template: str, slot: Slot | None = None, status: int = 200,
        **context: Any,
    ) -> Response:  # fmt: skip
        page = self.templates.get_template(template).render(
            base=base(request), version=version(), session=session, slot=slot, mine=self.slots.of(session.who.tenant),
            waiting=len(review.waiting(slot.state)) if slot else 0, here=template.partition(".")[0],
            done=_DONE.get(request.query_params.get("done", ""), ""), path=f"{base(request)}/slots/{quote(slot.name)}"
            if slot else "", **context,
        )  # fmt: skip
        return HTMLResponse(page, status, {"Cache-Control": "no-store"})


def _inside(request: Request, path: str) -> str:
    """Return a path if it is one of ours; else "", so that a link to sign in leads nowhere else."""
    ours = path == base(request) or path.startswith((f"{base(request)}/", f"{base(request)}?"))
    return path if ours and "\\" not in path and path.isprintable() else ""


def _reason(form: Form, what: str) -> str:
    reason = form.get("reason")
    if not reason:
        raise InputError(f"say why {what}, so that others know later")
    return reason


def _changes(slot: Slot, form: Form) -> dict[str, Any]:
    """Return the settings that a form changes; InputError if one is no number."""
    before = slot.settings
    sent: dict[str, Any] = {
        "mode": form.get("mode"),
        "baseline": form.get("baseline") or None,
        "holdout": round(_float(form, "holdout", "the holdout's share") / 100, 6),
        "window_seconds": _float(form, "window", "the window") * 60,
        "sticky_days": _float(form, "sticky", "the sticky days"),
        "auto_approve": form.get("auto_approve") == "yes",
    }
    return {name: value for name, value in sent.items() if value != getattr(before, name)}


def _float(form: Form, name: str, what: str) -> float:
    try:
        return float(form.get(name).replace(",", "."))
    except ValueError:
        raise InputError(f"{what} is {form.get(name)!r}; write a number") from None


def _changed(older: dict[str, Any] | None, body: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return which settings a version changed: name, before, after."""
    return [] if older is None else [(name, older.get(name), value) for name, value in body.items()
                                     if older.get(name) != value]  # fmt: skip


def _counts(states: Iterator[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in states:
        found[state] = found.get(state, 0) + 1
    return found


def _paged(rows: Sequence[Any], page: int, many: int) -> tuple[Sequence[Any], int, int]:
    """Return the rows of a page, its number, and that of the last."""
    last = max(-(-len(rows) // many), 1)
    page = min(max(page, 1), last)
    return rows[(page - 1) * many : page * many], page, last


def _number(value: str, otherwise: int = 1) -> int:
    return int(value[:6]) if value.isascii() and value.isdigit() else otherwise


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
