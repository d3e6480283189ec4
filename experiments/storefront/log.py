"""The log of a slot as a table: one row an event that closed, for `copyloom evaluate` and for analysts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from sqlalchemy import Engine, select

from copyloom import InputError
from embeddings.database import reading
from embeddings.folders import replacing
from experiments.storefront.decide import Slot
from experiments.storefront.tables import DecisionRow, OutcomeRow

COLUMNS = ("at", "event_id", "snapshot", "text", "propensity", "reason", "segment", "visitor", "product", "reward",
           "click", "closed_at")  # fmt: skip


def decision_log(engine: Engine, slot: Slot) -> pa.Table:
    """Return the events of a slot that closed and were shown, in the order of their decisions.

    Text, reward, propensity and visitor are what `bandits.evaluation` reads. A visitor is a hash, "" where none was
    given. A sticky text has the propensity of its first draw: name the visitor, as these rows are not independent.
    """
    one = DecisionRow
    query = select(one.at, one.event_id, one.snapshot, one.place, one.propensity, one.reason, one.segment, one.unit,
                   one.product, OutcomeRow.value, OutcomeRow.clicked, OutcomeRow.at.label("closed_at"))  # fmt: skip
    query = query.join(OutcomeRow, OutcomeRow.key == DecisionRow.key)
    query = query.where(DecisionRow.slot_id == slot.id, OutcomeRow.why != "void")
    with reading(engine) as connection:
        rows = list(connection.execute(query.order_by(DecisionRow.at, DecisionRow.key)))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in COLUMNS]
    texts, segments = slot.state.slate, slot.config.all_segments
    columns[3] = [texts[place] for place in columns[3]]
    columns[6] = [segments[number] for number in columns[6]]
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))


def write_log(engine: Engine, slot: Slot, path: Path) -> int:
    """Write the log of a slot to a Parquet or CSV file, and return how many events it holds.

    Raises
    ------
    InputError
        If the name ends otherwise, or the file cannot be written.
    """
    write = {".parquet": pq.write_table, ".csv": pacsv.write_csv}.get(path.suffix.lower())
    if write is None:
        raise InputError(f"the log cannot be written to {path}; give a name that ends in .parquet or .csv")
    table = decision_log(engine, slot)
    with replacing(path) as partial:
        write(table, partial)
    return table.num_rows
