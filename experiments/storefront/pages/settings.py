"""The pages on which people set a slot, turn it off, and set the brand's rules."""

from __future__ import annotations

import json
from typing import Any, get_args
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import select

from copyloom import InputError
from embeddings.database import reading
from experiments.campaigns.ledger import StaleError
from experiments.storefront import screening
from experiments.storefront.brand import current, differences, history, set_book
from experiments.storefront.config import Mode
from experiments.storefront.decide import Slot
from experiments.storefront.frame import to
from experiments.storefront.pages.desk import Desk, Sent
from experiments.storefront.sessions import Form, Session, base
from experiments.storefront.slots import change_settings, switch
from experiments.storefront.tables import SettingsRow
from generator.brand_book import BrandBook

_SHOW, _SET = ("publish",), ("admin",)
_BRAND = ("publish", "admin")
_LIST = 40


class SettingsPages:
    """Settings of a slot, and brand rules."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def settings(self, request: Request, name: str) -> Response:
        """Show the settings of a slot."""
        session, slot = self.desk.at(request, name)
        return self._settings(request, session, slot)

    def change(self, request: Request, name: str, form: Sent) -> Response:
        """Change settings of a slot."""
        session, slot = self.desk.at(request, name, form)
        self.desk.need(request, session, *_SET)
        try:
            if form.get("version") != str(slot.version):
                raise InputError("someone changed the settings meanwhile; look at them, and send yours again")
            changes = _changes(slot, form)
            if not changes:
                raise InputError("these are the settings that hold already; nothing was changed")
            self._set(slot, changes, session, form.reason("the settings are changed"))
        except InputError as error:
            return self._settings(request, session, slot, str(error), form)
        return to(f"{base(request)}/slots/{quote(name)}/settings?done=settings")

    def turn_off(self, request: Request, name: str, form: Sent) -> Response:
        """Show everyone the baseline."""
        session, slot = self.desk.at(request, name, form)
        self.desk.need(request, session, *_SHOW, *_SET)
        try:
            reason = form.reason("the slot is turned off")
            switch(self.desk.engine, slot, on=False, by=session.who.name, reason=reason, clock=self.desk.clock)
            self.desk.slots.refresh()
        except InputError as error:
            return self._settings(request, session, slot, str(error), form)
        return to(f"{base(request)}/slots/{quote(name)}/settings?done=off")

    def brand(self, request: Request) -> Response:
        """Show the brand's rules, their versions, and what breaks them."""
        return self._brand(request, self.desk.session(request))

    def set_brand(self, request: Request, form: Sent) -> Response:
        """Try brand rules on all texts, or set them."""
        session = self.desk.sender(request, form)
        self.desk.need(request, session, *_BRAND)
        tenant = session.who.tenant
        try:
            book = BrandBook.read(form.get("rules"))
            if form.get("action") == "try":
                return self._brand(
                    request, session, form=form, tried=screening.broken(self.desk.slots.of(tenant), book)
                )
            reason = form.reason("the rules are changed")
            set_book(
                self.desk.engine, tenant, book, session.who.name, reason, form.number("version", 0), self.desk.clock
            )
            screening.screen_all(self.desk.engine, self.desk.slots, tenant, self.desk.clock)
        except StaleError as error:
            return self._brand(request, session, str(error), form, looked_again=True)
        except InputError as error:
            return self._brand(request, session, str(error), form)
        return to(f"{base(request)}/brand?done=brand")

    def _set(self, slot: Slot, changes: dict[str, Any], session: Session, reason: str) -> None:
        change_settings(self.desk.engine, slot, changes, session.who.name, reason, self.desk.clock)
        self.desk.slots.refresh()

    def _settings(
        self, request: Request, session: Session, slot: Slot, failed: str = "", form: Form | None = None
    ) -> Response:
        query = select(SettingsRow.__table__).where(SettingsRow.slot_id == slot.id).order_by(SettingsRow.version.desc())
        with reading(self.desk.engine) as connection:
            rows = [(row, json.loads(row.body)) for row in connection.execute(query.limit(_LIST + 1))]
        versions = [(row, _changed(older, body)) for (row, body), older in
                    zip(rows, [*(body for _, body in rows[1:]), None], strict=True)][:_LIST]  # fmt: skip
        return self.desk.page(request, session, "settings.html.j2", slot, 422 if failed else 200, failed=failed,
                          form=form or Form({}), modes=get_args(Mode), versions=versions)  # fmt: skip

    def _brand(
        self, request: Request, session: Session, failed: str = "", form: Form | None = None,
        tried: list[screening.Screened] | None = None, looked_again: bool = False,
    ) -> Response:  # fmt: skip
        tenant, sent = session.who.tenant, form or Form({})
        slots = self.desk.slots.of(tenant)
        now = current(self.desk.engine, tenant)
        looked_at = now.number if looked_again or form is None else form.get("version")
        return self.desk.page(
            request, session, "brand.html.j2", status=422 if failed else 200, failed=failed, form=sent, now=now,
            looked_at=looked_at,
            versions=differences(history(self.desk.engine, tenant, _LIST)),
            written=sent.get("rules") or now.book.yaml(),
            tried=tried, may=session.may(*_BRAND), broken=screening.broken(slots, now.book), many=len(slots),
        )  # fmt: skip


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
