"""Which click rates a worker's belief expects of texts that wait for a person: kept with each snapshot, for pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, select

from bandits import Posterior
from embeddings.database import reading, text_id
from experiments.campaigns.workshop import Workshop
from experiments.storefront.decide import Slot
from experiments.storefront.journal import insert_new
from experiments.storefront.tables import PredictionRow

_WIDTH = 1.96
"""Standard deviations to either side, of a 95 % interval."""


@dataclass(frozen=True)
class Predicted:
    """A click rate that a belief expects of a text: the median, and the 95 % interval of the rate that it may have."""

    rate: float
    low: float
    high: float


def predict(shop: Workshop, belief: Posterior, texts: Sequence[str]) -> dict[str, Predicted]:
    """Return what the belief of one campaign expects of texts that were never shown."""
    if not texts:
        return {}
    mean, variance = belief.predict(shop.rewards.widen(shop.features(texts)[None]))
    half = _WIDTH * variance.sqrt()
    rates = [(mean + shift).sigmoid()[0].tolist() for shift in (0 * half, -half, half)]
    return {text: Predicted(*row) for text, row in zip(texts, zip(*rates, strict=True), strict=True)}


def keep_predictions(connection: Connection, slot: Slot, snapshot: int, expected: Mapping[str, Predicted]) -> None:
    """Write what is expected into the transaction of a snapshot, in the place of what was expected before."""
    connection.execute(delete(PredictionRow).where(PredictionRow.slot_id == slot.id, PredictionRow.snapshot < snapshot))
    insert_new(connection, PredictionRow, [
        {"slot_id": slot.id, "snapshot": snapshot, "text_id": text_id(text), "rate": one.rate, "low": one.low,
         "high": one.high} for text, one in expected.items()])  # fmt: skip


def predictions(engine: Engine, slot: Slot) -> dict[str, Predicted]:
    """Return what was expected at the last snapshot for which anything was, by the ids of texts."""
    mine = PredictionRow.slot_id == slot.id
    last = select(func.max(PredictionRow.snapshot)).where(mine).scalar_subquery()
    with reading(engine) as connection:
        rows = connection.execute(select(PredictionRow.__table__).where(mine, PredictionRow.snapshot == last)).all()
    return {row.text_id: Predicted(row.rate, row.low, row.high) for row in rows}
