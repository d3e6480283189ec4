"""Where the texts of a map come from: a run, a database, what was inverted, texts as they are.

Tables: `experiments.explorer.maps.tables`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import aliased
from torch import Tensor

from copyloom import InputError
from embeddings.database import EmbeddingRow, LineageRow, SpaceRow, TextRow, from_bytes, reading
from embeddings.encoded import vectors_of
from embeddings.exchange import load_embeddings
from embeddings.summary import Lineage, SummaryEmbedding
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.state import State
from experiments.explorer.maps.collection import (
    LENT,
    STORED,
    WRITTEN,
    Collection,
    MapText,
    Of,
    collected,
    with_intervals,
)

Vectors = Callable[[Sequence[str]], Tensor]
"""Returns the vectors of some texts: sentence vectors (N, S), or summary embeddings (N, P, D)."""


def of_texts(texts: Sequence[str], vectors: Vectors, of: Of) -> Collection:
    """Return texts as they are, each once."""
    distinct = list(dict.fromkeys(texts))
    return collected([MapText(text) for text in distinct], list(vectors(distinct)), of)


def of_embeddings(path: Path, of: Of) -> Collection:
    """Return what ``copyloom invert --out`` wrote."""
    stored = {one.text: one for one in load_embeddings(path)}
    vectors = [one.sentence_vector if of == "meaning" else one.vectors for one in stored.values()]
    return collected([_stored_text(one) for one in stored.values()], vectors, of)


def of_database(engine: Engine, of: Of, campaign: str | None = None) -> Collection:
    """Return the texts of a run's campaigns and their parents; without campaigns, all with a summary embedding.

    Impressions and clicks are added up over campaigns. With `of` "vectors", texts are mapped that were inverted:
    stored ones and mixtures that became parents.

    Parameters
    ----------
    engine : Engine
    of : str
    campaign : str, optional
        Of this one alone.

    Raises
    ------
    InputError
        If there is no such campaign, no text, or texts lie in several spaces.
    """
    texts = _of_states(Ledger(engine).states(campaign))
    texts = texts or _with_embeddings(engine)
    if not texts:
        raise InputError("the database holds no campaign and no summary embedding; there is nothing to map")
    vectors = vectors_of(engine, list(texts)) if of == "meaning" else _summary_embeddings(engine)
    return collected(list(texts.values()), [vectors.get(text) for text in texts], of)


def _stored_text(one: SummaryEmbedding) -> MapText:
    lineage = one.lineage or Lineage((), ())
    return _of_lineage(one.text, lineage.parents, lineage.weights)


def _of_lineage(text: str, parents: Sequence[str] = (), weights: Sequence[float] = ()) -> MapText:
    return MapText(text, WRITTEN if parents else STORED, parents=tuple(parents), weights=tuple(weights))


def _of_states(states: Sequence[State]) -> dict[str, MapText]:
    """Return each text of some campaigns, then the stored ones that mixtures may take alone.

    A text that was written several times has the lineage that it was written with first.
    """
    shown, clicked, lineages = Counter[str](), Counter[str](), dict[str, Lineage]()
    for state in states:
        for text, impressions, clicks in zip(state.slate, *state.totals, strict=True):
            shown[text] += int(impressions)
            clicked[text] += int(clicks)
        lineages = {**state.written, **lineages}
    found = [_counted(text, shown[text], clicked[text], lineages.get(text)) for text in shown]
    lent = [MapText(text, LENT) for state in states for text in state.parents if text not in shown]
    return {text.text: text for text in (*(with_intervals(found) if len(states) == 1 else found), *lent)}


def _counted(text: str, impressions: int, clicks: int, lineage: Lineage | None) -> MapText:
    parents, weights = (lineage.parents, lineage.weights) if lineage else ((), ())
    return MapText(text, WRITTEN if lineage else STORED, None, impressions, clicks,
                   clicks / impressions if impressions else None, None, parents, weights)  # fmt: skip


def _with_embeddings(engine: Engine) -> dict[str, MapText]:
    """Return all texts of a database that have a summary embedding, each with the lineage of one space."""
    texts = select(TextRow.text).join(EmbeddingRow, EmbeddingRow.text_id == TextRow.id)
    texts = texts.order_by(EmbeddingRow.created_at, TextRow.id)
    parent = aliased(TextRow)
    lineage = select(TextRow.text, LineageRow.space_id, parent.text.label("parent"), LineageRow.weight)
    lineage = lineage.join(TextRow, TextRow.id == LineageRow.text_id).join(parent, parent.id == LineageRow.parent_id)
    found: dict[str, dict[int, list[tuple[str, float]]]] = {}
    with reading(engine) as connection:
        known = list(dict.fromkeys(connection.scalars(texts)))
        for row in connection.execute(lineage.order_by(LineageRow.space_id, LineageRow.position)):
            found.setdefault(row.text, {}).setdefault(row.space_id, []).append((row.parent, row.weight))
    first = {text: next(iter(spaces.values())) for text, spaces in found.items()}
    return {text: _of_lineage(text, *zip(*first.get(text, []), strict=True)) for text in known}


def _summary_embeddings(engine: Engine) -> dict[str, Tensor]:
    """Return all summary embeddings (P, D) of a database by text; they must lie in one space."""
    query = select(TextRow.text, EmbeddingRow).join(TextRow, TextRow.id == EmbeddingRow.text_id)
    query = query.order_by(EmbeddingRow.created_at, TextRow.id)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
        spaces = {row.space_id for row in rows}
        if len(spaces) > 1:
            models = connection.scalars(select(SpaceRow.model).where(SpaceRow.id.in_(spaces)))
            raise InputError(
                f"the database holds embeddings of {len(spaces)} spaces ({', '.join(models)}), which do not compare; "
                "map the texts --of meaning, or the file of one with `copyloom invert --out`"
            )
    return {row.text: from_bytes(row.vectors, row.vector_count, row.hidden_size) for row in rows}
