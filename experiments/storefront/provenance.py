"""Where a text comes from: its parents and theirs, what happened to it, and why it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select

from embeddings.database import reading
from embeddings.summary import Lineage
from experiments.campaigns.events import HAPPENING, Written
from experiments.campaigns.state import State
from experiments.campaigns.tables import CampaignRow, EventRow
from experiments.storefront.decide import Slot


@dataclass(frozen=True)
class Ancestor:
    """A text and what it was made of.

    Parameters
    ----------
    text : str
    weight : float, optional
        Of this text in its child; None of the one that was asked for.
    author : str
        Who wrote it, where a person did.
    parents : tuple of Ancestor
        The heaviest first; empty of a given text, and where they are told already.
    """

    text: str
    weight: float | None
    author: str
    parents: tuple[Ancestor, ...]


def lineage(state: State, text: str, weight: float | None = None, above: frozenset[str] = frozenset()) -> Ancestor:
    """Return what a text was made of, back to the given ones."""
    pairs = parents_of(state, text)
    deeper = above | {text}
    made = tuple(lineage(state, one, share, deeper) for one, share in pairs if one not in deeper)
    return Ancestor(text, weight, state.authors.get(text, ""), made)


def parents_of(state: State, text: str) -> list[tuple[str, float]]:
    """Return the parents of a written text and their weights, the heaviest first; none of a given one."""
    draft = next((one for one in (state.usable.get(text), *_refused(state, text)) if one), None)
    found: Lineage | None = draft.lineage if draft else None
    pairs = zip(found.parents, found.weights, strict=True) if found else ()
    return sorted(((one, weight) for one, weight in pairs if one != text), key=lambda pair: -pair[1])


def _refused(state: State, text: str) -> list[Any]:
    return [] if text in state.usable else [draft for draft in state.drafts if draft.text == text][:1]


@dataclass(frozen=True)
class Moment:
    """When something happened to a text, and what."""

    at: datetime
    what: str
    by: str = ""
    reason: str = ""


def history(engine: Engine, slot: Slot, text: str) -> list[Moment]:
    """Return what happened to a text, in order."""
    kinds = ("opened", "written", "reviewed", "admitted", "promoted", "retired", "paused")
    query = select(EventRow.at, EventRow.body).join(CampaignRow, CampaignRow.id == EventRow.campaign_id)
    query = query.where(CampaignRow.name == slot.campaign, EventRow.kind.in_(kinds)).order_by(EventRow.sequence)
    found = []
    with reading(engine) as connection:
        for row in connection.execute(query):
            what = HAPPENING.validate_json(row.body)
            said = _in_words(what, text)
            if said:
                by = getattr(what, "by", "") or ("" if what.kind != "written" else "the campaign's writer")
                found.append(Moment(row.at, said, by, getattr(what, "reason", "")))
    return found


def _in_words(what: Any, text: str) -> str:
    """Return what an event says of a text; "" where it says nothing."""
    if isinstance(what, Written):
        return "written" if any(draft.text == text for draft in what.drafts) else ""
    if text not in (what.slate if what.kind == "opened" else what.texts):
        return ""
    match what.kind:
        case "opened":
            return "given when the slot was opened"
        case "reviewed":
            return "approved" if what.approved else "rejected"
        case "admitted":
            return "joined the texts that may be shown"
        case "promoted":
            return "became a parent of new texts"
        case "paused":
            return "paused" if what.paused else "resumed"
        case _:
            return str(what.kind)


def why_proposed(state: State, text: str, counts: Sequence[tuple[int, int]]) -> str:
    """Return why a text was written, as far as the record says.

    Parameters
    ----------
    state : State
    text : str
    counts : sequence of (int, int)
        Impressions and clicks of its parents.
    """
    author = state.authors.get(text)
    if author:
        return f"Written by {author}."
    seen = sum(shown for shown, _ in counts)
    draft = state.usable.get(text)
    if draft is not None and state.chances.get(draft.lineage):
        return "The policy drew these parents and weights at random, with probabilities that clicks have shaped."
    if not seen:
        return "A mixture of texts that were not shown yet: written to learn how parents and weights become a text."
    rate, usual = sum(clicks for _, clicks in counts) / seen, _rate(state)
    beside = "more" if usual is not None and rate > usual else "no more"
    return (f"By the clicks so far this mixture was promising, or worth finding out about. Its parents together earned "
            f"{beside} clicks than is usual in this slot.")  # fmt: skip


def _rate(state: State) -> float | None:
    shown, clicked = state.totals
    return float(clicked.sum() / shown.sum()) if shown.sum() else None
