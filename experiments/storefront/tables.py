"""What a storefront writes beside the events of its campaigns.

Rows are only ever added, but for the queue of those that wait for their window to close.

An event (one text shown once to one person) is known by `event_key`: its tenant's name and its id, hashed. So rewards
that arrive before their decision have a key already, and no tenant can name another's events.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from embeddings.database import Base

Part = Literal["title", "description", "short description"]
"""What of a product is a text."""


def event_key(tenant: str, event_id: str) -> str:
    """Return the key of an event: 32 hexadecimal digits."""
    return sha256(f"{tenant}\0{event_id}".encode()).hexdigest()[:32]


class TenantRow(Base):
    """A shop, whose slots, keys and events no other sees; unit ids are hashed with its secret."""

    __tablename__ = "tenants"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    secret: Mapped[bytes]
    created_at: Mapped[datetime]


class SlotRow(Base):
    """A place of a page: the campaign of its name, what that was opened with, and what it is about."""

    __tablename__ = "slots"
    __table_args__ = (UniqueConstraint("tenant", "name"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.name"))
    name: Mapped[str] = mapped_column(String(64))
    config: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class SettingsRow(Base):
    """A version of a slot's settings; the highest holds."""

    __tablename__ = "slot_settings"
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class BrandRow(Base):
    """A version of a tenant's brand rules (`generator.brand_book.BrandBook`); the highest holds."""

    __tablename__ = "brand_rules"
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.name"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class ScreeningRow(Base):
    """A text was held to a version of the brand rules: what they have against it (JSON), and what was done for that.

    What was left is looked at again: that becomes what was done then.
    """

    __tablename__ = "screenings"
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    text_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    refusals: Mapped[str] = mapped_column(Text)
    did: Mapped[str] = mapped_column(String(16))  # paused, taken back, left; "" where nothing was needed
    at: Mapped[datetime]


class PredictionRow(Base):
    """Which click rate the belief behind a snapshot expected of a text that waited, and its 95 % interval."""

    __tablename__ = "predictions"
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    snapshot: Mapped[int] = mapped_column(primary_key=True)
    text_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    rate: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]


class DecisionRow(Base):
    """Which text an event was given, from which snapshot, with which probability."""

    __tablename__ = "decisions"
    __table_args__ = (Index("decisions_by_unit", "slot_id", "unit", "at"),)
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(256))
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"))
    snapshot: Mapped[int]
    place: Mapped[int]  # of the text on the slate
    drawn: Mapped[int]  # the place that the policy drew: another one in shadow mode and for the holdout
    segment: Mapped[int]
    reason: Mapped[str] = mapped_column(String(16))
    propensity: Mapped[float]
    settings: Mapped[int]  # the version that held
    among: Mapped[str] = mapped_column(Text, default="")  # places of the texts that were asked for; "" for all
    unit: Mapped[str] = mapped_column(String(32))  # hashed; "" where none was given
    context: Mapped[str] = mapped_column(Text)
    product: Mapped[str] = mapped_column(String(256))
    deferred: Mapped[bool]
    request: Mapped[str] = mapped_column(String(32))  # hash of what was asked, so that another is refused; "" forgotten
    at: Mapped[datetime]


class ExposureRow(Base):
    """The page showed the text; `late` where the event had closed, so that it changed nothing."""

    __tablename__ = "exposures"
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    shown_at: Mapped[datetime]
    at: Mapped[datetime]
    late: Mapped[bool]


class RewardRow(Base):
    """A shopper did something; `late` where the event had closed, so that it is kept but not learned."""

    __tablename__ = "rewards"
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    reward_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    value: Mapped[float]
    kind: Mapped[str] = mapped_column(String(64))
    happened_at: Mapped[datetime]
    at: Mapped[datetime]
    late: Mapped[bool]


class PendingRow(Base):
    """An event that is open, and when its window closes: a queue, which decisions and outcomes alone make up."""

    __tablename__ = "pending"
    __table_args__ = (Index("pending_by_due", "slot_id", "due_at"),)
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"))
    due_at: Mapped[datetime]


class OutcomeRow(Base):
    """An event closed: once, with the others of its slot's batch."""

    __tablename__ = "outcomes"
    __table_args__ = (Index("outcomes_by_batch", "slot_id", "batch"),)
    key: Mapped[str] = mapped_column(String(32), primary_key=True)
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"))
    batch: Mapped[int]
    why: Mapped[str] = mapped_column(String(8))  # reward, default or void: never shown
    value: Mapped[float]
    clicked: Mapped[bool]
    settings: Mapped[int]  # the version that held
    at: Mapped[datetime]


class RetentionRow(Base):
    """The events of a slot's batches up to one were deleted: what they came to stays in the campaign's events.

    Parameters
    ----------
    batch : int
        The last one of which nothing is kept.
    until : datetime
        Everything that was deleted had closed by then.
    """

    __tablename__ = "retention"
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    batch: Mapped[int]
    until: Mapped[datetime]
    at: Mapped[datetime]


class ImportRow(Base):
    """A catalogue was read from a file; its number is the version of what it changed."""

    __tablename__ = "imports"
    __table_args__ = (Index("imports_by_tenant", "tenant", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.name"))
    file: Mapped[str] = mapped_column(Text)
    shop: Mapped[str] = mapped_column(String(32))
    by: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class ProductRow(Base):
    """What an import said of a product, where that was new; the highest holds. An empty body: it is gone."""

    __tablename__ = "products"
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.name"), primary_key=True)
    product: Mapped[str] = mapped_column(String(256), primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id"), primary_key=True)
    body: Mapped[str] = mapped_column(Text)


class AboutRow(Base):
    """A text of a slot is about a product: it stood there as its title, description or short description."""

    __tablename__ = "texts_about"
    slot_id: Mapped[int] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    text_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    product: Mapped[str] = mapped_column(String(256), primary_key=True)
    part: Mapped[Part] = mapped_column(String(32), primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id"))


class KeyRow(Base):
    """A key of the service: only its hash is kept."""

    __tablename__ = "api_keys"
    prefix: Mapped[str] = mapped_column(String(16), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.name"))
    name: Mapped[str] = mapped_column(String(200))
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class WebhookRow(Base):
    """A secret of a webhook, kept as it is: signatures are worked out with it. Several hold while one is replaced."""

    __tablename__ = "webhook_secrets"
    id: Mapped[str] = mapped_column(String(16), primary_key=True)  # of its hash: no secret
    name: Mapped[str] = mapped_column(String(64), index=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.name"))
    secret: Mapped[bytes]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class DeliveryRow(Base):
    """A message of a webhook, and what it was answered, so that it is answered the same when it comes again."""

    __tablename__ = "webhook_deliveries"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(256), primary_key=True)
    body: Mapped[str] = mapped_column(String(64))  # its SHA-256
    answer: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class TargetRow(Base):
    """Where a tenant wants to be told what happens, and the secret that messages to it are signed with."""

    __tablename__ = "webhook_targets"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.name"), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[bytes]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class MessageRow(Base):
    """A message to a target: due until it was taken, or given up."""

    __tablename__ = "webhook_messages"
    __table_args__ = (Index("webhook_messages_by_due", "tenant", "target", "due_at"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # of target, kind and subject: each is sent once
    tenant: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    tries: Mapped[int]
    due_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text)


class SessionRow(Base):
    """Somebody is signed in to the pages: the hash of the cookie, and the key; deleted when it ends."""

    __tablename__ = "sessions"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(16))
    until: Mapped[datetime]


class AuditRow(Base):
    """Who changed what, and why."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_tenant", "tenant", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(200))
    what: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
