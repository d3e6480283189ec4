"""What pages show of a text: its words by origin, its parents, its facts, what speaks against it, why it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from bandits.sequential.confidence_sequences import rate_interval
from embeddings.database import text_id
from experiments.campaigns.state import State
from experiments.storefront import provenance
from experiments.storefront.decide import Slot
from experiments.storefront.differences import Origin, changes, origins
from experiments.storefront.facts import Fact, facts, slips, sources_of
from experiments.storefront.predictions import Predicted
from experiments.storefront.review import Standing
from experiments.storefront.tone import Nearness, nearness


@dataclass(frozen=True)
class Counted:
    """A text with what shoppers made of it.

    Parameters
    ----------
    id, text : str
    weight : float
        Of a parent.
    impressions, clicks : int
    low, high : float
        Confidence sequence of its rate.
    pieces : sequence of (str, str)
        Runs of words that became another text, or not: same, removed, added; empty but for an edit's original.
    """

    id: str
    text: str
    weight: float
    impressions: int
    clicks: int
    low: float
    high: float
    pieces: Sequence[tuple[str, str]] = ()

    @property
    def rate(self) -> float | None:
        """Clicks per impression."""
        return self.clicks / self.impressions if self.impressions else None


@dataclass(frozen=True)
class Card:
    """A text as a person looks at it.

    Parameters
    ----------
    id : str
        `embeddings.database.text_id`.
    draft : Standing
    pieces : sequence of (str, str)
        Its words, and which parents hold them.
    parents : sequence of Counted
    edit : bool
        Whether a person rewrote its one parent.
    facts : sequence of Fact
    slips : sequence of str
        What the brand's rules have against it now, and what form a person's text lacks.
    screened : int, optional
        The last version of the brand's rules that it was held to, on record.
    tone : Nearness, optional
        How near it is to the brand's examples, where there are some and they were read.
    predicted : Predicted, optional
    expected : float, optional
        The mean of its parents' rates by their weights, where all were shown: what stands in for a prediction.
    why : str
    """

    id: str
    draft: Standing
    pieces: Sequence[tuple[str, Origin]]
    parents: Sequence[Counted]
    edit: bool
    facts: Sequence[Fact]
    slips: Sequence[str]
    screened: int | None
    tone: Nearness | None
    predicted: Predicted | None
    expected: float | None
    why: str

    @property
    def text(self) -> str:
        """The text."""
        return self.draft.text

    @property
    def unbacked(self) -> list[Fact]:
        """Facts that nothing backs."""
        return [fact for fact in self.facts if not fact.backed]

    @property
    def needs_reason(self) -> bool:
        """Whether it is approved for a reason alone: see `experiments.storefront.facts.objections`."""
        return bool(self.unbacked or self.slips)


@dataclass(frozen=True)
class Beside:
    """What the database says of texts beside the state of their campaign.

    Parameters
    ----------
    predicted : mapping of str to Predicted
        By the ids of texts.
    screened : mapping of str to int
        Versions of the brand's rules, by text.
    vectors : mapping of str to Tensor of shape (S,)
        Of these texts and the brand's examples, where they were read.
    """

    predicted: Mapping[str, Predicted] = field(default_factory=dict)
    screened: Mapping[str, int] = field(default_factory=dict)
    vectors: Mapping[str, Tensor] = field(default_factory=dict)


def card(slot: Slot, draft: Standing, beside: Beside) -> Card:
    """Return what a page shows of a text."""
    state, text = slot.state, draft.text
    pairs = provenance.parents_of(state, text)
    edit = bool(draft.author) and len(pairs) == 1
    parents = [counted(state, parent, weight, text if edit else None) for parent, weight in pairs]
    known = [(one.rate, one.weight) for one in parents if one.rate is not None]
    whole = len(known) == len(parents) > 0
    return Card(
        id=text_id(text), draft=draft, parents=parents, edit=edit,
        pieces=origins(text, [parent.text for parent in parents]) if parents else [(text, "")],
        facts=facts(text, sources_of(slot, text)), slips=[one.reason for one in slips(slot, text)],
        screened=beside.screened.get(text), tone=nearness(text, slot.brand.tone, beside.vectors),
        predicted=beside.predicted.get(text_id(text)),
        expected=max(sum(rate * weight for rate, weight in known) / sum(weight for _, weight in known), 0.0)
        if whole else None,
        why=provenance.why_proposed(state, text, [(one.impressions, one.clicks) for one in parents])
        if draft.lineage else "",
    )  # fmt: skip


def counted(state: State, text: str, weight: float = 1.0, became: str | None = None) -> Counted:
    """Return a text with its counts; and, where it was edited, what became of its words."""
    shown = clicked = 0
    if text in state.slate:
        place = state.slate.index(text)
        shown, clicked = (int(column[place]) for column in state.totals)
    low, high = rate_interval(clicked, shown)
    pieces = changes(text, became) if became is not None else ()
    return Counted(text_id(text), text, weight, shown, clicked, float(low), float(high), pieces)
