"""The append-only record of a study: who was shown what with which probability, and who clicked.

One transaction a round holds everything that happened in it, for all campaigns; a study that was killed goes on after
the last whole round, and all that it knows is a fold over these rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, ForeignKey, func, insert, inspect, select, update
from sqlalchemy.orm import Mapped, mapped_column

from copyloom import InputError
from embeddings.database import Base, reading, writing
from experiments.campaign import Campaign
from experiments.writer import Draft, Recipe
from generator.checks import Refusal
from simulator.feed import Outcomes, Snapshot


class RunRow(Base):
    """The settings, texts and subject that the database belongs to."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    config: Mapped[str]


class CampaignRow(Base):
    """One policy in one world with one seed."""

    __tablename__ = "campaigns"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class DraftRow(Base):
    """A text written for a campaign, refused or not."""

    __tablename__ = "drafts"
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    parents: Mapped[str]
    weights: Mapped[str]
    text: Mapped[str]
    refusals: Mapped[str]


class AdmissionRow(Base):
    """A written text that joined a campaign's slate, and its place there."""

    __tablename__ = "admissions"
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    parents: Mapped[str]
    weights: Mapped[str]
    text: Mapped[str]


class PromotionRow(Base):
    """A written text that became a parent."""

    __tablename__ = "promotions"
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class SnapshotRow(Base):
    """The probability of one text, by its place on the slate, in one snapshot."""

    __tablename__ = "snapshots"
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    probability: Mapped[float]


class OutcomeRow(Base):
    """Counts of one text in one segment in one snapshot; rows without impressions are left out."""

    __tablename__ = "outcomes"
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    segment: Mapped[int] = mapped_column(primary_key=True)
    impressions: Mapped[int]
    clicks: Mapped[int]


@dataclass(frozen=True, eq=False)
class RoundRecord:
    """What happened in one round of one campaign: drafts, those that joined the slate, promotions, outcomes."""

    drafts: list[Draft]
    admitted: list[Draft]
    promoted: list[str]
    snapshot: Snapshot
    outcomes: Outcomes


class Ledger:
    """Writes and replays the rounds of a study.

    Parameters
    ----------
    engine : Engine
        From `embeddings.database.open_database`.
    config : str
        What makes the study this one: settings, texts and subject; a database with rounds of another is refused.

    Raises
    ------
    InputError
        If the database belongs to another configuration.
    """

    def __init__(self, engine: Engine, config: str) -> None:
        self._engine = engine
        with writing(engine) as connection:
            known = connection.scalar(select(RunRow.config))
            if known is None:
                connection.execute(insert(RunRow).values(id=1, config=config))
            elif known != config and connection.scalar(select(func.count()).select_from(CampaignRow)):
                raise InputError(
                    "the run folder holds a study with other settings or texts; "
                    "choose another --out, or delete the folder"
                )
            else:
                connection.execute(update(RunRow).values(config=config))

    @property
    def rounds(self) -> int:
        """Whole rounds on record."""
        with reading(self._engine) as connection:
            last = connection.scalar(select(func.max(SnapshotRow.sequence)))
        return 0 if last is None else last + 1

    def append(self, campaigns: Sequence[Campaign], records: Sequence[RoundRecord]) -> None:
        """Record one round of all campaigns, in one transaction."""
        tables = (DraftRow, AdmissionRow, PromotionRow, SnapshotRow, OutcomeRow)
        rows: dict[type[Base], list[dict[str, object]]] = {table: [] for table in tables}
        for number, record in enumerate(records):
            for table, found in _rows(number, record).items():
                rows[table].extend(found)
        with writing(self._engine) as connection:
            if connection.scalar(select(func.count()).select_from(CampaignRow)) == 0:
                names = [{"id": i, "name": campaign.name} for i, campaign in enumerate(campaigns)]
                connection.execute(insert(CampaignRow), names)
            for table, values in rows.items():
                if values:
                    connection.execute(insert(table), values)

    def replay(self, campaigns: Sequence[Campaign]) -> Iterator[list[RoundRecord]]:
        """Yield the recorded rounds in order, for campaigns in the state in which they began."""
        texts = [list(campaign.texts) for campaign in campaigns]
        for sequence in range(self.rounds):
            yield [self._round(number, sequence, slate, campaigns) for number, slate in enumerate(texts)]

    def _round(self, number: int, sequence: int, slate: list[str], campaigns: Sequence[Campaign]) -> RoundRecord:
        def rows(table: type[Any]) -> list[Any]:
            query = select(table).where(table.campaign_id == number, table.sequence == sequence)
            with reading(self._engine) as connection:
                return list(connection.execute(query.order_by(*inspect(table).primary_key)).all())

        drafts = [_draft(row, json.loads(row.refusals)) for row in rows(DraftRow)]
        admitted = [_draft(row, []) for row in rows(AdmissionRow)]
        slate.extend(draft.text for draft in admitted)
        shape = (len(slate), len(campaigns[number].feed.segments))
        impressions, clicks = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row in rows(OutcomeRow):
            impressions[row.position, row.segment] = row.impressions
            clicks[row.position, row.segment] = row.clicks
        shown = np.array([row.probability for row in rows(SnapshotRow)])
        snapshot = Snapshot(sequence, tuple(slate), shown, int(impressions.sum()))
        promoted = [row.text for row in rows(PromotionRow)]
        return RoundRecord(drafts, admitted, promoted, snapshot, Outcomes(sequence, impressions, clicks))


def _rows(campaign: int, record: RoundRecord) -> dict[type[Base], list[dict[str, object]]]:
    """Return the rows of one campaign's round, by table."""
    key = {"campaign_id": campaign, "sequence": record.snapshot.sequence}
    position = {text: i for i, text in enumerate(record.snapshot.texts)}
    drafts: list[dict[str, object]] = [
        {
            **key,
            **_recipe_columns(draft),
            "number": number,
            "refusals": json.dumps([vars(refusal) for refusal in draft.refusals], ensure_ascii=False),
        }
        for number, draft in enumerate(record.drafts)
    ]
    admissions: list[dict[str, object]] = [
        {**key, **_recipe_columns(draft), "position": position[draft.text]} for draft in record.admitted
    ]
    promotions: list[dict[str, object]] = [
        {**key, "number": number, "text": text} for number, text in enumerate(record.promoted)
    ]
    shown: list[dict[str, object]] = [
        {**key, "position": i, "probability": float(p)} for i, p in enumerate(record.snapshot.probabilities)
    ]
    impressions, clicks = record.outcomes.impressions, record.outcomes.clicks
    outcomes: list[dict[str, object]] = [
        {
            **key,
            "position": int(i),
            "segment": int(g),
            "impressions": int(impressions[i, g]),
            "clicks": int(clicks[i, g]),
        }
        for i, g in np.argwhere(impressions > 0)
    ]
    return {
        DraftRow: drafts,
        AdmissionRow: admissions,
        PromotionRow: promotions,
        SnapshotRow: shown,
        OutcomeRow: outcomes,
    }


def _recipe_columns(draft: Draft) -> dict[str, object]:
    parents, weights = draft.recipe.parents, draft.recipe.weights
    return {"parents": json.dumps(parents, ensure_ascii=False), "weights": json.dumps(weights), "text": draft.text}


def _draft(row: Any, refusals: list[dict[str, str]]) -> Draft:
    recipe = Recipe(tuple(json.loads(row.parents)), tuple(json.loads(row.weights)))
    return Draft(recipe, row.text, tuple(Refusal(**refusal) for refusal in refusals))
