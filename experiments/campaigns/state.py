"""What a campaign is: the fold of its events. `apply` alone changes it, live, resumed and replayed alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.events import (
    Admitted,
    Closed,
    Draft,
    Happening,
    Opened,
    Paused,
    Promoted,
    Published,
    Retired,
    Reviewed,
    Written,
)
from simulator import Snapshot

_UNOPENED = Opened(slate=(), parents=(), segments=())

Cell = tuple[int, int, str]
"""A text's place on the slate, the number of a segment, and the context."""


@dataclass(frozen=True)
class State:
    """A campaign after its events so far.

    Parameters
    ----------
    opening : Opened
        How it began: first slate, segments, policy, whether it mixes and whether a person reviews.
    slate : tuple of str
        All texts that were ever shown, in the order of their admission: N of them.
    parents : tuple of str
        Texts that mixtures may take.
    drafts : tuple of Draft
        All that was written, refused or not.
    chances : mapping of Lineage to tuple of float
        With which parents and weights of a mixture were drawn, where a policy drew them.
    reviews : mapping of str to bool
        Whether a person lets a text be shown.
    retired, paused : frozenset of str
        Texts of the slate that are shown no more, or not for now.
    authors : mapping of str to str
        Who wrote a text, where a person did.
    snapshots : tuple of Published
    counts : mapping of Cell to (int, int)
        Impressions and clicks.
    closed : mapping of str to Closed
        Outcomes that are in the counts, by id, in the order in which they came.
    stale : bool
        Whether a person has approved or resumed texts since, so that there is a new snapshot to publish.
    """

    opening: Opened = _UNOPENED
    slate: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    drafts: tuple[Draft, ...] = ()
    chances: Mapping[Lineage, tuple[float, ...]] = field(default_factory=dict)
    reviews: Mapping[str, bool] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()
    authors: Mapping[str, str] = field(default_factory=dict)
    snapshots: tuple[Published, ...] = ()
    counts: Mapping[Cell, tuple[int, int]] = field(default_factory=dict)
    closed: Mapping[str, Closed] = field(default_factory=dict)
    stale: bool = False

    @cached_property
    def tried(self) -> frozenset[Lineage]:
        """Mixtures that were put into words."""
        return frozenset(draft.lineage for draft in self.drafts)

    @cached_property
    def usable(self) -> dict[str, Draft]:
        """The first draft of each text that passed the checks, by text."""
        found: dict[str, Draft] = {}
        for draft in self.drafts:
            if not draft.refusals:
                found.setdefault(draft.text, draft)
        return found

    @property
    def mixed(self) -> list[Draft]:
        """What each mixture was put into words as first, where that passed the checks; further texts say no more."""
        firsts: dict[Lineage, Draft] = {}
        for draft in self.drafts:
            firsts.setdefault(draft.lineage, draft)
        return [draft for lineage, draft in firsts.items() if len(lineage.parents) > 1 and not draft.refusals]

    @property
    def written(self) -> dict[str, Lineage]:
        """The texts of the slate that were written, and their lineages."""
        return {text: self.usable[text].lineage for text in self.slate[len(self.opening.slate) :]}

    @property
    def shown(self) -> list[str]:
        """The texts of the slate that may be shown."""
        return [text for text in self.slate if text not in self.retired and text not in self.paused]

    @property
    def tells_apart(self) -> bool:
        """Whether its policy gives each segment probabilities of its own."""
        return self.opening.policy.segments is not None

    @property
    def control(self) -> str | None:
        """The text that a holdout shows; None where nothing is held out."""
        holdout = self.opening.policy.holdout
        return None if holdout is None else holdout.text or self.opening.slate[0]

    @property
    def waiting(self) -> list[str]:
        """The texts that passed the checks, may be shown by all that a person said and are not on the slate yet."""
        may, slate = not self.opening.review, set(self.slate)
        return [text for text in self.usable if text not in slate and self.reviews.get(text, may)]

    @cached_property
    def by_segment(self) -> NDArray[np.int64]:
        """Impressions and clicks of each text of the slate in each segment over all contexts, (2, N, G); read only."""
        found = np.zeros((2, len(self.slate), len(self.opening.segments)), np.int64)
        for (place, segment, _), counts in self.counts.items():
            found[:, place, segment] += counts
        found.setflags(write=False)
        return found

    @property
    def totals(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Impressions and clicks of each text of the slate over all segments and contexts, both (N,)."""
        shown, clicked = self.by_segment.sum(-1)
        return shown, clicked

    @property
    def fresh(self) -> int:
        """Closed impressions that the last snapshot was not learned from."""
        shown = sum(impressions for impressions, _ in self.counts.values())
        return shown - (self.snapshots[-1].learned if self.snapshots else 0)

    @property
    def histories(self) -> NDArray[np.int64]:
        """Impressions and clicks of each text in each snapshot and segment, (2, T, N, G)."""
        found = np.zeros((2, len(self.snapshots), len(self.slate), len(self.opening.segments)), np.int64)
        for event in self.closed.values():
            for place, segment, *counts in event.counts:
                found[:, event.snapshot, place, segment] += counts
        return found

    @property
    def snapshot(self) -> Snapshot | None:
        """What is shown now; None before anything is."""
        if not self.snapshots:
            return None
        last = self.snapshots[-1]
        texts, apart = self.slate[: len(last.probabilities)], np.array(last.by_segment) if last.by_segment else None
        return Snapshot(last.snapshot, texts, np.array(last.probabilities), last.impressions, apart)


def apply(state: State, event: Happening) -> State:
    """Return the state after an event.

    Raises
    ------
    InputError
        If the event cannot have happened to such a campaign.
    """
    match event:
        case Opened():
            _need(state.opening is _UNOPENED, event, "it was opened already")
            _need(0 < len(event.slate) == len(set(event.slate)), event, "its slate is empty, or holds a text twice")
            opened = State(event, event.slate, event.parents)
            _need(opened.control in (None, *event.slate), event, f"its slate does not hold {opened.control!r}")
            enough = len(event.segments) > 1 or not opened.tells_apart
            _need(enough, event, "its policy tells segments apart, and there is one only")
            return opened
        case _ if state.opening is _UNOPENED:
            raise InputError(f"{event.kind} cannot have happened to this campaign: it was never opened")
        case Written():
            _need(len(event.chances) in (0, len(event.drafts)), event, "its chances are not one for each draft")
            drawn = {draft.lineage: chances for draft, chances in zip(event.drafts, event.chances, strict=False)}
            known = [draft for draft in event.drafts if event.by and draft.text in {*state.slate, *state.usable}]
            _need(not known, event, "its texts are there already")
            authors = {**state.authors, **({draft.text: event.by for draft in event.drafts} if event.by else {})}
            chances = {**state.chances, **drawn}
            return replace(state, drafts=state.drafts + event.drafts, chances=chances, authors=authors)
        case Reviewed():
            live = set() if event.approved else set(event.texts) & set(state.slate)
            _need(not live, event, "they are on the slate, from which texts are retired or paused")
            own = [text for text in event.texts if same_person(state.authors.get(text, ""), event.by)]
            _need(not (event.approved and own), event, "who wrote a text does not approve it")
            reviews = {**state.reviews, **dict.fromkeys(event.texts, event.approved)}
            return replace(state, reviews=reviews, stale=state.stale or event.approved)
        case Admitted():
            _need(_once(event.texts) <= set(state.waiting), event, "they were not written, were refused or are shown")
            return replace(state, slate=state.slate + event.texts)
        case Promoted():
            fresh = set(state.usable) - set(state.parents)
            _need(_once(event.texts) <= fresh, event, "they were not written for it, or are parents")
            return replace(state, parents=state.parents + event.texts)
        case Published():
            _need(len(event.probabilities) == len(state.slate), event, f"its slate holds {len(state.slate)} texts")
            _need(event.snapshot == len(state.snapshots), event, f"the next snapshot is {len(state.snapshots)}")
            shape = {len(chances) for chances in event.by_segment}, len(event.by_segment)
            _need(shape in [(set(), 0), ({len(state.slate)}, len(state.opening.segments))], event,
                  "its probabilities by segment are not those of its texts and segments")  # fmt: skip
            shown = set(state.shown)
            hidden = [text for text, *said in zip(state.slate, event.probabilities, *event.by_segment, strict=True)
                      if text not in shown and max(said) > 0]  # fmt: skip
            _need(not hidden, event, "it would show a text that is retired or paused")
            return replace(state, snapshots=(*state.snapshots, event), stale=False)
        case Closed():
            return _counted(state, [event])
        case Retired():
            _need_left(state, event)
            return replace(state, retired=state.retired | set(event.texts), paused=state.paused - set(event.texts))
        case Paused(paused=True):
            _need_left(state, event)
            return replace(state, paused=state.paused | set(event.texts))
        case Paused():
            _need(set(event.texts) <= state.paused, event, "they are not paused")
            return replace(state, paused=state.paused - set(event.texts), stale=True)


def same_person(one: str, other: str) -> bool:
    """Say whether two names are of one person, however they are spelt; nobody ("") is no person."""
    return bool(one) and " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def replay(events: Iterable[Happening], state: State | None = None) -> State:
    """Return the state after events, from that of a campaign to which nothing has happened unless another is given."""
    state = state or State()
    for _, group in groupby(events, type):
        some = list(group)
        outcomes = [event for event in some if isinstance(event, Closed)]
        together = outcomes and state.opening is not _UNOPENED
        state = _counted(state, outcomes) if together else reduce(apply, some, state)
    return state


def _counted(state: State, events: Sequence[Closed]) -> State:
    """Return the state with outcomes in its counts, each once; many at a time, as the counts are copied."""
    counts, closed = dict(state.counts), dict(state.closed)
    for event in events:
        if event.id in closed:
            continue
        _need(event.snapshot < len(state.snapshots), event, "its snapshot was never published")
        shown = len(state.snapshots[event.snapshot].probabilities)
        for place, segment, impressions, clicks in event.counts:
            known = 0 <= place < shown and 0 <= segment < len(state.opening.segments) and 0 <= clicks <= impressions
            _need(known, event, f"{(place, segment, impressions, clicks)} is of no text, segment or number of clicks")
            before = counts.get((place, segment, event.context), (0, 0))
            counts[place, segment, event.context] = (before[0] + impressions, before[1] + clicks)
        closed[event.id] = event
    return state if len(closed) == len(state.closed) else replace(state, counts=counts, closed=closed)


def _need_left(state: State, event: Retired | Paused) -> None:
    """Raise unless the texts of an event may be taken from the slate, and some that are shown would be left."""
    texts = set(event.texts)
    _need(texts <= set(state.slate) - state.retired, event, "they are not on the slate")
    _need(bool(set(state.shown) - texts), event, "nothing would be left to show")
    _need(state.control not in texts, event, "the holdout's text must stay")


def _once(texts: tuple[str, ...]) -> set[str | None]:
    """Return texts as a set; with None, which no text is, if one is named twice."""
    return set(texts) | ({None} if len(set(texts)) < len(texts) else set())


def _need(holds: bool, event: Happening, why: str) -> None:
    if not holds:
        raise InputError(f"{event.kind} cannot have happened to this campaign: {why} ({str(event)[:200]})")
