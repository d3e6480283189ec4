"""The pages that only show: the slots, how a slot does, and who changed what."""

from __future__ import annotations

import json
from collections import Counter
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import select

from embeddings.database import reading, text_id
from experiments.reports.campaign import text_rows
from experiments.storefront import overview, pictures, review, screening
from experiments.storefront.frame import to
from experiments.storefront.pages.desk import Desk
from experiments.storefront.sessions import base
from experiments.storefront.tables import AuditRow

_LOG = 50


class Looking:
    """Slots, overview, audit."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def home(self, request: Request) -> Response:
        """Show the slots of the tenant; the one that there is at once."""
        session = self.desk.session(request)
        mine = self.desk.slots.of(session.who.tenant)
        if len(mine) == 1:
            return to(f"{base(request)}/slots/{quote(mine[0].name)}")
        return self.desk.page(
            request, session, "slots.html.j2", slots=[(one, len(review.waiting(one.state))) for one in mine]
        )

    def overview(self, request: Request, name: str) -> Response:
        """Show how a slot does."""
        session, slot = self.desk.at(request, name)
        with reading(self.desk.engine) as connection:
            tally = self.desk.tallies.of(connection, slot)
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
        return self.desk.page(
            request, session, "overview.html.j2", slot, comparison=comparison, ratios=ratios,
            guardrails=overview.guardrails(comparison), rows=rows,
            curves=overview.curves(tally, len(slot.state.snapshots)),
            most=most, broken=screening.broken([slot], slot.brand), shares=pictures.share_layers(slot.state),
            map=pictures.embedding_map(self.desk.engine, slot.state, f"{base(request)}/slots/{quote(name)}"),
            map_lines=pictures.LINES,
            beside=Counter(draft.state for draft in drafts if draft.text not in slot.state.slate),
        )  # fmt: skip

    def audit(self, request: Request, before: int | None = None) -> Response:
        """Show who changed what, newest first."""
        session = self.desk.session(request)
        query = select(AuditRow.__table__).where(AuditRow.tenant == session.who.tenant).order_by(AuditRow.id.desc())
        if before is not None:
            query = query.where(AuditRow.id < min(max(before, 0), 2**31 - 1))
        with reading(self.desk.engine) as connection:
            rows = connection.execute(query.limit(_LOG + 1)).all()
        entries = [(row, json.loads(row.before), json.loads(row.after)) for row in rows[:_LOG]]
        return self.desk.page(request, session, "audit.html.j2", entries=entries, more=len(rows) > _LOG)
