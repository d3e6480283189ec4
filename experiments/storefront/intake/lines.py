"""The one way by which lines of events get into the ledger, whatever brings them: taken often, counted once.

A line is what ``POST /v1/events`` takes: a JSON object, the body of decide, expose or reward with its ``type``. Lines
that are taken together are one transaction; once `Intake.take` returns, whoever brought them may be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from copyloom import InputError
from embeddings.database import matching, reading, writing
from experiments.storefront.config import SlotSettings
from experiments.storefront.decide import Choice, DamagedError, Question, Slot
from experiments.storefront.journal import Clock, Decide, Entry, Expose, Joined, Reward, now, record
from experiments.storefront.schemas import LINE, DecideAnswer, DecideLine, ExposeLine, RewardLine
from experiments.storefront.slots import MissingError, Slots
from experiments.storefront.tables import DecisionRow, TenantRow

State = Joined | Literal["refused"]
STATES: tuple[State, ...] = (*get_args(Joined), "refused")
MAX_LINE_BYTES = 65_536
"""Of a line; the largest that fits has less."""
_SHOWN = 80
_MODELS: Mapping[str, Any] = {"decide": DecideLine, "expose": ExposeLine, "reward": RewardLine}


class UnavailableError(InputError):
    """The database cannot be written now: nothing of what was given is on record, and it may be given again."""


@dataclass(frozen=True)
class Taken:
    """What became of a line.

    Parameters
    ----------
    state : str
        joined, dangling, late or duplicate, as for a reward; or refused, and then nothing of it is on record.
    status : int
        What HTTP would answer, had it come alone.
    why : str
        Of a refused one: what was given, and what is allowed.
    entry : Decide, Expose or Reward, optional
    decision : DecideAnswer, optional
        The text that an event is given.
    """

    state: State
    status: int
    why: str = ""
    entry: Entry | None = None
    decision: DecideAnswer | None = None


class Intake:
    """Takes lines into the ledger of a database.

    Parameters
    ----------
    engine : Engine
    slots : Slots
    clock : callable, optional
    """

    def __init__(self, engine: Engine, slots: Slots, clock: Clock = now) -> None:
        self.engine, self.slots, self.clock = engine, slots, clock

    def take(self, tenant: str, lines: Sequence[bytes]) -> list[Taken]:
        """Record lines of a tenant in one transaction, and return what became of each.

        Raises
        ------
        UnavailableError
            If the database cannot be written; nothing of them is on record then.
        """
        read = [self.read(tenant, line) for line in lines]
        try:
            return self._written(read)
        except InputError as error:
            raise UnavailableError(str(error)) from error
        except DBAPIError as error:
            if not (isinstance(error, OperationalError) or error.connection_invalidated):
                raise
            raise UnavailableError(f"the database cannot be written now ({error.orig})") from error

    def read(self, tenant: str, line: bytes) -> Entry | Taken:
        """Return the entry that a line is; or why it is refused."""
        if len(line) > MAX_LINE_BYTES:
            return _refused(413, f"it has more than {MAX_LINE_BYTES:,} bytes, which no event needs")
        try:
            body = LINE.validate_json(line)
        except ValidationError as error:
            return _refused(422, _wrong(error, line))
        if isinstance(body, ExposeLine):
            return Expose(tenant, body.event_id, body.shown_at)
        if isinstance(body, RewardLine):
            return Reward(tenant, body.event_id, body.reward_id, body.value, body.kind, body.at)
        try:
            slot = self.slots.get(tenant, body.slot)
            return Decide(slot, body.question, slot.choose(body.question))
        except InputError as error:  # no such slot, or none of its texts may stand there
            return _refused(404 if isinstance(error, MissingError) else 422, str(error))
        except DamagedError as error:
            return _refused(503, str(error))

    def write(self, connection: Connection, read: Sequence[Entry | Taken]) -> list[Taken]:
        """Record in a transaction what `read` returned, and return what became of each."""
        entries = [entry for entry in read if not isinstance(entry, Taken)]
        decided = _decided(connection, entries)
        found = iter(record(connection, entries, self._settings, self.clock()))
        return [entry if isinstance(entry, Taken) else self._taken(entry, next(found), decided) for entry in read]

    def _written(self, read: Sequence[Entry | Taken]) -> list[Taken]:
        """Record what was read together; one by one where together it fails, so that a bad one harms no other."""
        try:
            with writing(self.engine) as connection:
                return self.write(connection, read)
        except DatabaseError as error:
            if isinstance(error, OperationalError) or error.connection_invalidated:
                raise
            if len(read) > 1:
                return [taken for entry in read for taken in self._written([entry])]
            return [_refused(422, f"the database does not take it: {error.orig}")]

    def _taken(self, entry: Entry, said: Any, decided: set[str]) -> Taken:
        if isinstance(said, InputError):
            return _refused(409, str(said), entry)
        if isinstance(entry, Decide):
            state: State = "duplicate" if entry.choice.key in decided else "joined"
            decided.add(entry.choice.key)
            return Taken(state, 200, entry=entry, decision=self._answer(entry.slot, entry.question, said))
        return Taken(said, 204 if isinstance(entry, Expose) else 202, entry=entry)

    def _answer(self, slot: Slot, question: Question, choice: Choice) -> DecideAnswer:
        if choice.place >= len(slot.state.slate):  # decided by another process, of a newer snapshot
            self.slots.refresh()
            slot = self.slots.get(slot.tenant, slot.name)
        return DecideAnswer.of(question.event_id, slot, slot.now(question, choice))

    def _settings(self, slot_id: int) -> SlotSettings:
        try:
            return self.slots.settings(slot_id)
        except KeyError:  # opened since
            self.slots.refresh()
            return self.slots.settings(slot_id)


def check_tenant(engine: Engine, tenant: str) -> None:
    """Raise `MissingError` unless there is such a tenant."""
    with reading(engine) as connection:
        names = sorted(connection.scalars(select(TenantRow.name)))
    if tenant not in names:
        raise MissingError(
            f"there is no tenant {tenant!r}; there are: {', '.join(names) or 'none'}. `copyloom slots open` makes one"
        )


def _decided(connection: Connection, entries: Sequence[Entry]) -> set[str]:
    """Return the keys of the events to decide that have their decision already."""
    keys = [entry.choice.key for entry in entries if isinstance(entry, Decide)]
    return {row.key for row in matching(connection, select(DecisionRow.key), DecisionRow.key, keys)}


def _refused(status: int, why: str, entry: Entry | None = None) -> Taken:
    return Taken("refused", status, why, entry)


def _wrong(error: ValidationError, line: bytes) -> str:
    """Return why a line cannot be read: what was given, and what is allowed."""
    return "; ".join(_one_wrong(one, line) for one in error.errors()[:3])


def _one_wrong(one: Mapping[str, Any], line: bytes) -> str:
    given = repr(line.decode("utf-8", "replace") if one["type"] == "json_invalid" else one["input"])
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    what = one["msg"].removeprefix("Value error, ")
    match one["type"]:
        case "union_tag_not_found":
            return f'it has no "type"; write decide, expose or reward; given: {given}'
        case "extra_forbidden":
            fields = ", ".join(_MODELS[one["loc"][0]].model_fields)
            return f"{one['loc'][-1]}: there is no such field of {one['loc'][0]}; it has {fields}"
        case "missing":
            return f"{'.'.join(map(str, one['loc']))} is missing"
    where = ".".join(map(str, one["loc"]))
    return f"{where + ': ' if where else ''}{what}; given: {given}"
