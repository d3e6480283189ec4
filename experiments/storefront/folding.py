"""A campaign's events read again one by one, and everything about them that cannot be true."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import cast

from pydantic import ValidationError
from sqlalchemy import Connection, select

from copyloom import InputError, in_words
from experiments.campaigns import people
from experiments.campaigns.events import HAPPENING, Closed, Happening, Published, Reviewed
from experiments.campaigns.state import State, replay
from experiments.campaigns.tables import CampaignRow, EventRow

NEARLY = 1e-9
"""What probabilities may differ by."""


@dataclass(frozen=True)
class Fault:
    """Something in the ledger that cannot be true.

    Parameters
    ----------
    slot : str
        Its tenant and name: the name of its campaign.
    rule : str
        What is broken: record, closing, outcome, reward, probabilities, counts, approval, propensity, segment,
        settings, queue.
    subject : str
        The event, outcome or snapshot.
    found, expected : str
    """

    slot: str
    rule: str
    subject: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.slot}: {self.rule}: {self.subject}: {self.found}; expected {self.expected}"


@dataclass
class Life:
    """A snapshot, from its publication to that of the next.

    Parameters
    ----------
    published : Published
    shown : list of tuples of int
        The places of the texts that might be shown, as often as that changed.
    """

    published: Published
    shown: list[tuple[int, ...]]

    def may(self, place: int) -> bool:
        """Say whether the text at a place might ever be shown."""
        return any(place in places for places in self.shown)


@dataclass
class Fold:
    """A campaign as its events make it.

    Parameters
    ----------
    name : str
    state : State
    lives : list of Life
        One for each snapshot.
    """

    name: str
    state: State = field(default_factory=State)
    lives: list[Life] = field(default_factory=list)

    @property
    def last_batch(self) -> int:
        """The last batch of outcomes that is on record; 0 where none is."""
        return max((batch_of(name) for name in self.state.closed), default=0)

    def read(self, connection: Connection) -> Iterator[Fault]:
        """Take in the campaign's events, and yield what is wrong with them; after an impossible one, none."""
        yield from self._take(self._happenings(connection)) if self._known(connection) else ()

    def _known(self, connection: Connection) -> bool:
        return connection.scalar(select(CampaignRow.id).where(CampaignRow.name == self.name)) is not None

    def _happenings(self, connection: Connection) -> Iterator[Happening | Fault]:
        query = select(EventRow.sequence, EventRow.id, EventRow.body).join(CampaignRow)
        query = query.where(CampaignRow.name == self.name).order_by(EventRow.sequence)
        for number, row in enumerate(connection.execute(query.execution_options(yield_per=500))):
            if row.sequence != number:
                yield Fault(self.name, "record", f"event {row.sequence}", "a gap before it", f"event {number}")
                return
            told = sha256(f"{self.name}\0{row.sequence}\0{row.body}".encode()).hexdigest()[:32]
            if told != row.id:
                yield Fault(self.name, "record", f"event {number}", f"the id {row.id}", f"{told}, as its body has it")
            try:
                yield HAPPENING.validate_json(row.body)
            except ValidationError as error:
                yield Fault(self.name, "record", f"event {number}", in_words(error), "an event that can be read")
                return

    def _take(self, events: Iterable[Happening | Fault]) -> Iterator[Fault]:
        for kind, group in groupby(events, type):
            if kind is Fault:
                yield from group  # type: ignore[misc]
                continue
            for some in [list(group)] if kind is Closed else ([one] for one in group):
                happened = cast("list[Happening]", some)
                yield from self._before(happened)
                try:
                    self.state = replay(happened, self.state)
                except InputError as error:
                    yield Fault(self.name, "record", happened[0].kind, str(error), "only what can have happened")
                    return
                self._live(happened[0])

    def _before(self, some: Sequence[Happening]) -> Iterator[Fault]:
        """Yield what is wrong with events that are about to happen."""
        match some[0]:
            case Closed():
                told: dict[str, Happening] = dict(self.state.closed)
                for event in some:
                    if isinstance(event, Closed) and told.setdefault(event.id, event) != event:
                        yield Fault(self.name, "counts", f"outcome {event.id}", "told twice, otherwise", "one outcome")
            case Reviewed(approved=True) as review:
                for text in review.texts:
                    if self.state.authors.get(text) == review.by:
                        yield Fault(self.name, "approval", repr(text), f"approved by {review.by}, who wrote it",
                                    "another person's approval")  # fmt: skip
            case Published() as published:
                yield from self._published(published)

    def _published(self, event: Published) -> Iterator[Fault]:
        """Yield what is wrong with a snapshot: its chances, or which texts it shows."""
        state, subject = self.state, f"snapshot {event.snapshot}"
        shown = set(state.shown)
        floor = 0.0 if by_people(event, state) else state.opening.policy.floor
        for chances in {event.probabilities, *event.by_segment}:
            if not all(math.isfinite(chance) and chance >= 0 for chance in chances):
                yield Fault(self.name, "probabilities", subject, f"{min(chances)}", "none below 0")
            if abs(math.fsum(chances) - 1) > NEARLY:
                yield Fault(self.name, "probabilities", subject, f"a sum of {math.fsum(chances)!r}", "1")
            for text, chance in zip(state.slate, chances, strict=False):
                if text in shown and chance < floor - NEARLY:
                    yield Fault(self.name, "probabilities", subject, f"{chance} for {text!r}", f"{floor} at least")
                if chance > 0 and not approved(state, text):
                    yield Fault(self.name, "approval", subject, f"it shows {text!r}", "texts that were approved")

    def _live(self, event: Happening) -> None:
        """Note which texts might be shown after an event."""
        if isinstance(event, Closed):
            return
        shown = set(self.state.shown)
        places = tuple(place for place, text in enumerate(self.state.slate)
                       if text in shown and approved(self.state, text))  # fmt: skip
        if isinstance(event, Published):
            self.lives.append(Life(event, [places]))
        elif self.lives:
            life = self.lives[-1]  # what joins is first shown by the next
            places = places[: sum(place < len(life.published.probabilities) for place in places)]
            if places not in life.shown:
                life.shown.append(places)


def approved(state: State, text: str) -> bool:
    """Say whether a text was given, or a person approved it, where that is asked for."""
    return text in state.opening.slate or state.reviews.get(text, not state.opening.review)


def batch_of(outcome: str) -> int:
    """Return the batch that an outcome's id names."""
    return int(outcome.split("/")[0])


def by_people(event: Published, state: State) -> bool:
    """Say whether a snapshot is the first, or the last one without what people took from it: no policy's."""
    if not state.snapshots:
        return event == people.first_snapshot(state, event.impressions)
    return event == people.without_hidden(state)
