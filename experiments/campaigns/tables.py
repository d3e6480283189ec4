"""Tables of the ledger, beside those of texts and embeddings in the same database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from embeddings.database import Base


class RunRow(Base):
    """The settings, texts and subject that the database belongs to."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    config: Mapped[str]


class CampaignRow(Base):
    """A campaign, by name."""

    __tablename__ = "campaigns"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class EventRow(Base):
    """An event of a campaign; rows are only ever added. See `experiments.campaigns.events.Event`."""

    __tablename__ = "events"
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    at: Mapped[datetime]
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16), index=True)
    body: Mapped[str] = mapped_column(Text)
