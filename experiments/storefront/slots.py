"""The slots of a database: opened, set, and kept in memory as every process must see them."""

from __future__ import annotations

import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, func, insert, select

from copyloom import CopyloomError, InputError, in_words
from embeddings.database import BUSY_SECONDS, open_database, reading, writing
from experiments.campaigns import people
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Opened
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Ledger
from experiments.storefront.alarms import cause
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import DamagedError, Slot, campaign_name
from experiments.storefront.journal import Clock, now
from experiments.storefront.products import Catalogue, catalogue_of
from experiments.storefront.tables import AuditRow, BrandRow, ImportRow, SettingsRow, SlotRow, TenantRow, event_key
from generator.brand_book import BrandBook
from generator.models import SHIPPED, WRITER, is_there

DEFAULT_TENANT = "default"
UNSAID = "no reason given"
_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError)  # what reading JSON of another shape raises
_MEND = "open it with the Copyloom that wrote it, or restore a copy"
_log = logging.getLogger(__name__)


class MissingError(InputError):
    """A slot or text that is not there."""


def open_storefront(path_or_url: str, *, create: bool = True, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """Return the opened database of a storefront; see `embeddings.database.open_database`."""
    return open_database(path_or_url, create=create, busy_seconds=busy_seconds)


def open_slot(
    engine: Engine, tenant: str, name: str, config: SlotConfig, given: Given, settings: SlotSettings, by: str,
    clock: Clock = now, also: Callable[[Connection, int], None] = lambda connection, slot_id: None,
) -> None:  # fmt: skip
    """Open a campaign for a slot, of the given texts, and publish its first snapshot: all texts alike.

    Where the settings name no model, smollm2 writes if it is installed. Nothing happens where the slot is open already,
    with the same texts and settings of its campaign. What `also` writes beside the slot, by its id, is in the same
    transaction.

    Raises
    ------
    InputError
        If a name or setting is wrong, or the slot is open with others.
    """
    _check_name("slot", name)
    if not given.own:
        raise InputError(f"slot {name!r} has no text to show; give at least one")
    _check_baseline(settings, given.own)
    subject = json.dumps({"subject": given.subject and given.subject.model_dump(), "past": given.past})
    campaign = Campaign(campaign_name(tenant, name), seeds=(config.seed, int(event_key(tenant, name)[:8], 16)))
    with writing(engine) as connection:
        _make_tenant(connection, tenant, clock())
        row = connection.execute(select(SlotRow).where(SlotRow.tenant == tenant, SlotRow.name == name)).first()
    ledger = Ledger(engine, clock=clock)
    ledger.resume([campaign])
    if "model" not in config.model_fields_set:
        installed = WRITER if is_there(WRITER) else SHIPPED
        model = installed if row is None else SlotConfig.model_validate_json(row.config).model
        config = config.model_copy(update={"model": model})
    kept = config.model_dump_json()
    if row is not None:
        if (row.config, row.subject) != (kept, subject) or campaign.state.opening.parents != tuple(given.texts):
            raise InputError(
                f"slot {name!r} of {tenant!r} is open with other texts or settings; to add texts, write them at /ui or "
                f"with POST /v1/texts, or give a table of past results to `copyloom import --slot {name}`; for others "
                "choose another name"
            )
        return
    opening = Opened(
        slate=tuple(given.own), parents=tuple(given.texts), segments=config.all_segments, review=True,
        policy=config.policy,
    )  # fmt: skip

    def keep(connection: Connection, events: Any) -> None:
        row = {"tenant": tenant, "name": name, "config": kept, "subject": subject, "created_at": clock()}
        number = connection.execute(insert(SlotRow).returning(SlotRow.id), row).scalar_one()
        _set(connection, number, 1, settings, by, "opened", clock())
        audit(connection, tenant, by, "slot opened", name, None, settings.model_dump(), "", clock())
        also(connection, number)

    with ledger.step([campaign], keep) as record:
        record([[opening]])
        record([[people.first_snapshot(campaign.state, config.impressions)]])


class Slots:
    """The slots of a database in memory, as `refresh` found them last; `follow` does that again and again.

    A slot whose record cannot be read stays as it was read last, and harms no other.

    Parameters
    ----------
    engine : Engine

    Attributes
    ----------
    unreadable : dict of tuple of str to str
        Tenants and names of such slots, and why.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine, self.ledger = engine, Ledger(engine)
        self._slots: dict[tuple[str, str], Slot] = {}
        self._campaigns: dict[str, Campaign] = {}
        self._by_id: dict[int, Slot] = {}
        self._imports: dict[int, int] = {}
        self._catalogues: dict[int, Catalogue] = {}
        self._brands: dict[str, tuple[int, BrandBook]] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self.unreadable: dict[tuple[str, str], str] = {}
        self.failed: str | None = None
        self._read_at = time.monotonic()
        self.refresh()

    def follow(self, every: float) -> None:
        """Look at the database in the background from now on, every so many seconds."""
        threading.Thread(target=self._follow, args=(every,), name="copyloom slots", daemon=True).start()

    def get(self, tenant: str, name: str) -> Slot:
        """Return a slot as it was last seen.

        Raises
        ------
        MissingError
            If the tenant has no slot of this name.
        DamagedError
            If it could never be read.
        """
        slot = self._slots.get((tenant, name))
        if slot is None:
            if why := self.unreadable.get((tenant, name)):
                raise DamagedError(f"slot {name!r} cannot be read: {why}")
            known = sorted(mine for whose, mine in list(self._slots) if whose == tenant)
            raise MissingError(f"there is no slot {name!r}; the slots are: {', '.join(known) or 'none'}")
        return slot

    def of(self, tenant: str) -> list[Slot]:
        """Return the slots of a tenant, by name."""
        return [self._slots[key] for key in sorted(self._slots) if key[0] == tenant]

    def all(self) -> list[Slot]:
        """Return the slots of all tenants, by tenant and name."""
        return [self._slots[key] for key in sorted(self._slots)]

    def settings(self, slot_id: int) -> SlotSettings:
        """Return the settings of a slot as they were last seen."""
        return self._by_id[slot_id].settings

    def campaign(self, slot: Slot) -> Campaign:
        """Return the campaign of a slot, which `refresh` keeps up to date."""
        return self._campaigns[slot.campaign]

    def refresh(self) -> None:
        """Read what changed since: new slots, settings, and what happened to campaigns."""
        with self._lock:
            with reading(self.engine) as connection:
                rows = list(
                    connection.execute(
                        select(SlotRow.__table__, TenantRow.secret).join(TenantRow, TenantRow.name == SlotRow.tenant)
                    )
                )
                newest = select(SettingsRow.slot_id, func.max(SettingsRow.version).label("version"))
                latest = newest.group_by(SettingsRow.slot_id).subquery()
                query = select(SettingsRow.slot_id, SettingsRow.version, SettingsRow.body)
                query = query.join(latest, (SettingsRow.slot_id == latest.c.slot_id)
                                   & (SettingsRow.version == latest.c.version))  # fmt: skip
                settings = {row.slot_id: (row.version, row.body) for row in connection.execute(query)}
                catalogues, brands = self._read_catalogues(connection, rows), self._read_brands(connection)
            unreadable = {}
            for row in rows:
                why = self._try(row, settings.get(row.id)) or catalogues.get(row.id) or brands.get(row.tenant)
                if why:
                    unreadable[row.tenant, row.name] = why
            for name in unreadable.keys() - self.unreadable.keys():
                _log.error("slot %s cannot be read: %s; what was read last holds", "/".join(name), unreadable[name])
            for name in self.unreadable.keys() - unreadable.keys():
                _log.warning("slot %s can be read again", "/".join(name))
            self.unreadable = unreadable
            self._read_at = time.monotonic()

    @property
    def age(self) -> float:
        """How many seconds ago the database was read."""
        return time.monotonic() - self._read_at

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()

    def _try(self, row: Any, settings: tuple[int, str] | None) -> str:
        """Read a slot; return why that failed, "" where it did not."""
        try:
            if settings is None:
                return "it has no settings"
            self._update(row, *settings)
        except ValidationError as error:
            return f"its settings do not fit this Copyloom: {in_words(error)}"
        except CopyloomError as error:
            return str(error)
        return ""

    def _update(self, row: Any, version: int, body: str) -> None:
        key, name = (row.tenant, row.name), campaign_name(row.tenant, row.name)
        known, failed = self._slots.get(key), None
        brand_version, brand = self._brands.get(row.tenant, (0, BrandBook()))
        if known is None:
            config = SlotConfig.model_validate_json(row.config)
            seeds = (config.seed, int(event_key(row.tenant, row.name)[:8], 16))
            self._campaigns[name] = Campaign(name, seeds)
            self.ledger.resume([self._campaigns[name]])
        else:
            config = known.config
            try:
                self.ledger.refresh(self._campaigns[name])
            except CopyloomError as error:  # its settings are followed all the same: it may be turned off
                failed = error
        state, catalogue = self._campaigns[name].state, self._catalogues[row.id]
        same = known is not None and known.state is state and known.about is catalogue.about
        if known is None or not same or (known.version, known.brand_version) != (version, brand_version):
            slot = Slot(row.id, row.tenant, row.name, row.secret, config, row.subject,
                        SlotSettings.model_validate_json(body), version, state, brand, brand_version,
                        catalogue.about, catalogue.records)  # fmt: skip
            self._slots[key] = self._by_id[row.id] = slot
        if failed is not None:
            raise failed
        self._slots[key].chances  # noqa: B018  # or say what is wrong with the snapshot: pages get the baseline

    def _read_catalogues(self, connection: Connection, slots: Sequence[Any]) -> dict[int, str]:
        """Read what catalogues say of slots' texts, where their tenant has imported one since.

        Return by the ids of slots why that failed; what was read last holds.
        """
        query = select(ImportRow.tenant, func.count().label("many")).group_by(ImportRow.tenant)
        imports = {row.tenant: row.many for row in connection.execute(query)}
        failed = {}
        for row in slots:
            many = imports.get(row.tenant, 0)
            known = self._catalogues.setdefault(row.id, Catalogue({}, {}))
            if self._imports.get(row.id, 0) != many:
                try:
                    self._catalogues[row.id] = catalogue_of(connection, row.tenant, row.id) if many else known
                    self._imports[row.id] = many
                except _DAMAGED as error:
                    failed[row.id] = f"its catalogue cannot be read ({error}); {_MEND}"
        return failed

    def _read_brands(self, connection: Connection) -> dict[str, str]:
        """Read the brand rules of tenants that have others since; return by tenants why that failed."""
        failed = {}
        versions = select(BrandRow.tenant, func.max(BrandRow.version).label("version")).group_by(BrandRow.tenant)
        for tenant, version in connection.execute(versions).all():
            if self._brands.get(tenant, (0,))[0] != version:
                query = select(BrandRow.body).where(BrandRow.tenant == tenant, BrandRow.version == version)
                body = connection.execute(query).scalar_one()
                try:
                    self._brands[tenant] = version, BrandBook.kept(body)
                except _DAMAGED as error:
                    said = in_words(error) if isinstance(error, ValidationError) else error
                    failed[tenant] = f"the brand rules, version {version}, cannot be read ({said}); {_MEND}"
        return failed

    def _follow(self, every: float) -> None:
        while not self._stop.wait(every):
            try:
                self.refresh()
                self.failed = None
            except Exception as error:  # it goes on with what it knows; health and metrics tell
                if self.failed is None:
                    _log.error("the slots could not be read again; what was read last holds: %s", cause(error))
                self.failed = str(error)


def change_settings(
    engine: Engine, slot: Slot, changes: dict[str, Any], by: str, reason: str, clock: Clock = now
) -> SlotSettings:
    """Record a new version of a slot's settings, with `changes` on top of the last, and return it.

    Raises
    ------
    InputError
        If a setting is unknown or wrong.
    """
    with writing(engine) as connection:
        mine = select(SlotRow.id).where(SlotRow.id == slot.id)
        connection.execute(mine.with_for_update(key_share=True)).all()  # one version at a time
        query = select(SettingsRow).where(SettingsRow.slot_id == slot.id).order_by(SettingsRow.version.desc()).limit(1)
        last = connection.execute(query).one()
        old = json.loads(last.body)
        try:
            settings = SlotSettings.model_validate({**old, **changes})
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"{'.'.join(map(str, first['loc']))}: {first['msg']}; the settings stay as they were"
            ) from None
        if "baseline" in changes:  # the kill switch works while the baseline is paused
            _check_baseline(settings, slot.state.shown)
        _set(connection, slot.id, last.version + 1, settings, by, reason, clock())
        audit(connection, slot.tenant, by, "settings changed", slot.name,
              {key: old.get(key) for key in changes}, changes, reason, clock())  # fmt: skip
    return settings


def switch(engine: Engine, slot: Slot, on: bool, by: str, reason: str, clock: Clock = now) -> SlotSettings:
    """Show everyone the baseline from now on; or, to turn a slot on again, go back to the mode that it had before."""
    mode = "off"
    if on:
        query = select(SettingsRow.body).where(SettingsRow.slot_id == slot.id).order_by(SettingsRow.version.desc())
        with reading(engine) as connection:
            modes = [json.loads(body)["mode"] for body in connection.scalars(query)]
        mode = next((one for one in modes if one != "off"), "online")
    return change_settings(engine, slot, {"mode": mode}, by, reason.strip() or UNSAID, clock)


def make_tenant(engine: Engine, tenant: str, clock: Clock = now) -> None:
    """Make a tenant, unless it is there."""
    with writing(engine) as connection:
        _make_tenant(connection, tenant, clock())


def audit(
    connection: Connection, tenant: str, by: str, what: str, subject: str, before: Any, after: Any, reason: str,
    at: datetime,
) -> None:  # fmt: skip
    """Write down who changed what, and why; rows are only ever added."""
    connection.execute(insert(AuditRow), {
        "tenant": tenant, "at": at, "by": by, "what": what, "subject": subject, "reason": reason,
        "before": json.dumps(before, ensure_ascii=False), "after": json.dumps(after, ensure_ascii=False)})  # fmt: skip


def _make_tenant(connection: Connection, tenant: str, at: datetime) -> None:
    _check_name("tenant", tenant)
    if connection.scalar(select(TenantRow.name).where(TenantRow.name == tenant)) is None:
        row = {"name": tenant, "secret": secrets.token_bytes(32), "created_at": at}
        connection.execute(insert(TenantRow), row)


def _set(
    connection: Connection, slot_id: int, version: int, settings: SlotSettings, by: str, reason: str, at: datetime
) -> None:
    connection.execute(insert(SettingsRow), {"slot_id": slot_id, "version": version, "by": by, "reason": reason,
                                             "body": settings.model_dump_json(), "at": at})  # fmt: skip


def _check_name(what: str, name: str) -> None:
    if not re.fullmatch(_NAME, name):
        raise InputError(f"{name!r} is no name of a {what}: use 1 to 63 small letters, digits, '.', '_' and '-'")


def _check_baseline(settings: SlotSettings, texts: Sequence[str]) -> None:
    if settings.baseline is not None and settings.baseline not in texts:
        raise InputError(
            f"the baseline {settings.baseline!r} is none of the texts that may be shown; choose one of them"
        )
