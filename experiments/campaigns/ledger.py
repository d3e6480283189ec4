"""The append-only record of campaigns: everything that ever happened to them, in order.

One transaction holds everything of a step, for all campaigns and with what their writer keeps; what was killed goes on
after the last whole step, and all that a campaign is, is a fold over these rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from copyloom import InputError, in_words
from embeddings.database import matching, reading, writing
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import HAPPENING, SCHEMA_VERSION, Event, Happening
from experiments.campaigns.state import State, replay
from experiments.campaigns.tables import CampaignRow, EventRow, RunRow

Happened = Sequence[Sequence[Happening]]
"""What happened to each of some campaigns, in order."""
Keep = Callable[[Connection, Sequence[Happening]], None]
"""Writes what belongs to some events, in their transaction: vectors of written texts, say."""


class StaleError(InputError):
    """Somebody else changed meanwhile what was to be changed."""


Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the time of this machine, UTC."""
    return datetime.now(UTC)


class Ledger:
    """Records what happens to campaigns, and tells it again.

    Parameters
    ----------
    engine : Engine
        From `embeddings.database.open_database`.
    config : str, optional
        What makes the run this one: settings, texts and subject; a database with events of another is refused. Without
        it, to read, any will do.

    clock : callable, optional
        Says the time, UTC.
    shared : bool
        Whether other processes may record events of the same campaigns meanwhile. Then those come first, and what
        happened is applied to what they made of it; else a step that was overtaken is refused.

    Raises
    ------
    InputError
        If the database belongs to another configuration.
    """

    def __init__(self, engine: Engine, config: str | None = None, clock: Clock = now, shared: bool = False) -> None:
        self.engine, self.clock, self.shared = engine, clock, shared
        if config is not None:
            self._claim(config)

    def _claim(self, config: str) -> None:
        """Make the database that of a configuration, unless it belongs to another."""
        known = self.config
        if known == config:
            return
        if known is not None and self.begun:
            raise InputError(
                "the run folder holds a study with other settings or texts; choose another --out, or delete the folder"
            )
        change = insert(RunRow).values(id=1, config=config) if known is None else update(RunRow).values(config=config)
        with writing(self.engine) as connection:
            connection.execute(change)

    @property
    def config(self) -> str | None:
        """The configuration that the database belongs to; None before it belongs to any."""
        with reading(self.engine) as connection:
            return connection.scalar(select(RunRow.config))

    @property
    def begun(self) -> bool:
        """Whether anything has happened: not so in a database that an older Copyloom wrote."""
        with reading(self.engine) as connection:
            return connection.scalar(select(EventRow.id).limit(1)) is not None

    def names(self) -> list[str]:
        """Return the names of all campaigns, in the order in which they were opened."""
        with reading(self.engine) as connection:
            return list(connection.scalars(select(CampaignRow.name).order_by(CampaignRow.id)))

    def events(self, name: str) -> list[Event]:
        """Return all that happened to a campaign, in order.

        Raises
        ------
        InputError
            If an event was written under another schema version.
        """
        return self._read({name})[name]

    def states(self, campaign: str | None = None) -> list[State]:
        """Return what became of all campaigns, or of one, in the order in which they were opened.

        Raises
        ------
        InputError
            If there is no campaign of that name.
        """
        names = self.names()
        if campaign is not None and campaign not in names:
            known, more = "; ".join(names[:4]) or "none", ", ..." if len(names) > 4 else ""
            raise InputError(f"there is no campaign {campaign!r} among {len(names)}; there are {known}{more}")
        chosen = names if campaign is None else [campaign]
        return [replay(event.what for event in self.events(name)) for name in chosen]

    def resume(self, campaigns: Sequence[Campaign]) -> None:
        """Bring campaigns to the state in which the ledger left them."""
        found = self._read({campaign.name for campaign in campaigns})
        for campaign in campaigns:
            events = found[campaign.name]
            campaign.state, campaign.recorded = replay(event.what for event in events), len(events)

    def refresh(self, campaign: Campaign) -> bool:
        """Bring a campaign up to what other processes have recorded since; say whether there was anything."""
        with reading(self.engine) as connection:
            events = _since(connection, campaign)
        campaign.state, campaign.recorded = replay(events, campaign.state), campaign.recorded + len(events)
        return bool(events)

    @contextmanager
    def step(self, campaigns: Sequence[Campaign], keep: Keep | None = None) -> Iterator[Callable[[Happened], None]]:
        """Give a function that applies what happens to `campaigns`; record it all at the end: after an error, nothing.

        Raises
        ------
        StaleError
            If another process has recorded events of these campaigns meanwhile.
        InputError
            Of a shared ledger, if what happened cannot have happened after them.
        """
        before = [campaign.state for campaign in campaigns]
        fresh: list[list[Happening]] = [[] for _ in campaigns]

        def record(happened: Happened) -> None:
            for campaign, new, mine in zip(campaigns, happened, fresh, strict=True):
                campaign.state = replay(new, campaign.state)
                mine.extend(new)

        try:
            yield record
            self._append(campaigns, fresh, keep, before if self.shared else None)
        except BaseException:
            for campaign, state in zip(campaigns, before, strict=True):
                campaign.state = state
            raise

    def _append(
        self, campaigns: Sequence[Campaign], fresh: Happened, keep: Keep | None, before: Sequence[State] | None
    ) -> None:
        """Record events; after those of others, which are applied to the states of `before`, where that is given."""
        if not any(fresh):
            return
        with writing(self.engine) as connection:
            numbers = _numbers(connection, [campaign.name for campaign in campaigns])
            first = [campaign.recorded for campaign in campaigns]
            if before is not None:
                first = _after_others(connection, campaigns, fresh, before)
            at = self.clock()
            events = [Event(campaign.name, start + place, at, what)
                      for campaign, start, new in zip(campaigns, first, fresh, strict=True)
                      for place, what in enumerate(new)]  # fmt: skip
            try:
                connection.execute(insert(EventRow), [_row(numbers[event.campaign], event) for event in events])
            except IntegrityError as error:
                raise StaleError(
                    "another process has gone on with this campaign meanwhile; stop one of the two"
                ) from error
            if keep is not None:
                keep(connection, [event.what for event in events])
        for campaign, start, new in zip(campaigns, first, fresh, strict=True):
            campaign.recorded = start + len(new)

    def _read(self, names: set[str]) -> dict[str, list[Event]]:
        """Return the events of campaigns by name."""
        query = select(CampaignRow.name, EventRow.sequence, EventRow.at, EventRow.version, EventRow.body)
        query = query.join(EventRow, EventRow.campaign_id == CampaignRow.id)
        query = query.order_by(EventRow.campaign_id, EventRow.sequence)
        found: dict[str, list[Event]] = defaultdict(list)
        with reading(self.engine) as connection:
            for row in matching(connection, query, CampaignRow.name, sorted(names)):
                found[row.name].append(Event(row.name, row.sequence, row.at, _what(row.name, row)))
        return found


def _numbers(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return the keys of campaigns by name, of new ones too."""
    known = {row.name: row.id for row in connection.execute(select(CampaignRow.name, CampaignRow.id))}
    fresh = [name for name in names if name not in known]
    if fresh:
        first = max(known.values(), default=-1) + 1
        rows = [{"id": first + place, "name": name} for place, name in enumerate(fresh)]
        connection.execute(insert(CampaignRow), rows)
        known.update((name, first + place) for place, name in enumerate(fresh))
    return known


def _since(connection: Connection, campaign: Campaign) -> list[Happening]:
    """Return what was recorded of a campaign since it was read or recorded last."""
    query = select(EventRow.sequence, EventRow.version, EventRow.body)
    query = query.join(CampaignRow, EventRow.campaign_id == CampaignRow.id)
    query = query.where(CampaignRow.name == campaign.name, EventRow.sequence >= campaign.recorded)
    return [_what(campaign.name, row) for row in connection.execute(query.order_by(EventRow.sequence))]


def _what(campaign: str, row: Any) -> Happening:
    """Return what happened, from its row; InputError where that cannot be read."""
    if row.version != SCHEMA_VERSION:
        raise InputError(
            f"the ledger holds an event of version {row.version}, this Copyloom reads {SCHEMA_VERSION}; "
            "open it with the Copyloom that wrote it"
        )
    try:
        return HAPPENING.validate_json(row.body)
    except ValidationError as error:
        raise InputError(
            f"event {row.sequence} of campaign {campaign!r} cannot be read ({in_words(error)}); put a backup in the "
            "place of the database"
        ) from None


def _after_others(
    connection: Connection, campaigns: Sequence[Campaign], fresh: Happened, before: Sequence[State]
) -> list[int]:
    """Apply what others recorded meanwhile, then what happened; return the numbers of the first events of each."""
    names = [campaign.name for campaign in campaigns]
    connection.execute(select(CampaignRow.id).where(CampaignRow.name.in_(names)).order_by(CampaignRow.id)
                       .with_for_update())  # fmt: skip
    first = []
    for campaign, new, state in zip(campaigns, fresh, before, strict=True):
        others = _since(connection, campaign)
        if others:
            campaign.state = replay(new, replay(others, state))
        first.append(campaign.recorded + len(others))
    return first


def _row(campaign: int, event: Event) -> dict[str, object]:
    return {"campaign_id": campaign, "sequence": event.sequence, "id": event.id, "at": event.at,
            "version": event.version, "kind": event.what.kind, "body": event.body}  # fmt: skip
