"""The pool: which stored summary embeddings may be mixed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict, fields
from datetime import UTC, datetime
from math import isfinite, isnan
from typing import Any

import torch
from sqlalchemy import Connection, Engine, Row, Subquery, func, insert, select

from copyloom import InputError, SpaceError
from embeddings.database import (
    Action,
    EmbeddingRow,
    LineageRow,
    PoolEventRow,
    PoolRow,
    SpaceRow,
    TextRow,
    from_bytes,
    matching,
    reading,
    store_texts,
    text_id,
    to_bytes,
    writing,
)
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding, difference

_log = logging.getLogger(__name__)


class Pool:
    """The embeddings that may be mixed, kept in a database.

    A call that adds something does so in one transaction: it is there as a whole or, after an error or a kill, not at
    all. Its rows carry one new version of the pool, and a reason.

    A database holds one embedding of a text in a space, the first that was stored: a text that is added to a second
    pool keeps those vectors. A warning is logged if the new ones differ.

    Parameters
    ----------
    engine : Engine
        From `open_database`.
    name : str
        Of the pool; it comes into being with its first text.
    space : SpaceIdentity
        Of all its embeddings.

    Raises
    ------
    SpaceError
        If the pool exists in another space; the message names both.

    Examples
    --------
    >>> import torch
    >>> from embeddings.database import open_database
    >>> from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding, difference
    >>> space = SpaceIdentity("tiny", "a1", "b2", "minilm", "", vectors=4, hidden_size=8)
    >>> def stored(text, lineage=None):
    ...     return SummaryEmbedding(
    ...         text, torch.zeros(4, 8), torch.zeros(3), space, True, 1.0, 0, "adapter", lineage
    ...     )
    >>> pool = Pool(open_database("sqlite://"), "claims", space)
    >>> pool.add([stored("Tea that wakes you."), stored("A quiet kettle.")])
    2
    >>> pool.promote(
    ...     stored("A kettle that wakes.", Lineage(("Tea that wakes you.", "A quiet kettle."), (0.5, 0.5))),
    ...     "CTR above both parents",
    ... )
    True
    >>> [embedding.text for embedding in pool.members()]
    ['Tea that wakes you.', 'A quiet kettle.', 'A kettle that wakes.']
    """

    def __init__(self, engine: Engine, name: str, space: SpaceIdentity) -> None:
        self.engine = engine
        self.name = name
        self.space = space
        with reading(engine) as connection:
            self._find(connection)

    def add(self, embeddings: Iterable[SummaryEmbedding], reason: str = "") -> int:
        """Add `embeddings` in their order and return how many were not members yet.

        Members are left as they are.

        Raises
        ------
        SpaceError
            If one is of another space than the pool; the message names both and what differs.
        InputError
            If one has arrays that do not fit its space or are not finite, or a text that is not Unicode.
        """
        return self._append(list(embeddings), "add", reason)

    def promote(self, embedding: SummaryEmbedding, reason: str, connection: Connection | None = None) -> bool:
        """Add a text that was mixed; return False if it is a member already.

        Within the transaction of `connection` where one is given: it is a member once that is over.

        Raises
        ------
        InputError
            If `embedding` has no lineage, or for the causes that `add` names.
        SpaceError
            As for `add`.
        """
        if embedding.lineage is None:
            raise InputError(
                f"{embedding.text[:60]!r} has no lineage, so it was not mixed; use add for texts from outside"
            )
        return self._append([embedding], "promote", reason, connection) == 1

    def members(self) -> list[SummaryEmbedding]:
        """Return the members, in the order in which they were added, with the bytes that were stored."""
        with reading(self.engine) as connection:
            found = self._find(connection)
            return [] if found is None else _load(connection, _members(found.id), found.space_id, self.space)

    def _append(
        self, embeddings: list[SummaryEmbedding], action: Action, reason: str, within: Connection | None = None
    ) -> int:
        for embedding in embeddings:
            _check(embedding, self.name, self.space)
        with writing(self.engine) if within is None else nullcontext(within) as connection:
            found = self._find(connection, lock=True)
            new: dict[str, SummaryEmbedding] = {}
            for embedding in embeddings:
                new.setdefault(text_id(embedding.text), embedding)
            members = _members(found and found.id).c.text_id
            for row in matching(connection, select(members), members, list(new)):
                del new[row.text_id]
            if not new:
                return 0
            found = found or self._create(connection)
            now = datetime.now(UTC)
            _store(connection, found.space_id, new, now)
            _record(connection, found.id, list(new), action, reason, now)
            return len(new)

    def _find(self, connection: Connection, lock: bool = False) -> Row[Any] | None:
        """Return the pool's row, None before its first text; `lock` it where the database locks rows."""
        query = select(PoolRow).where(PoolRow.name == self.name)
        row = connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            return None
        columns = [getattr(SpaceRow, field.name) for field in fields(SpaceIdentity)]
        space = SpaceIdentity(*connection.execute(select(*columns).where(SpaceRow.id == row.space_id)).one())
        if space != self.space:
            raise SpaceError(
                f"the pool {self.name!r} is stored in {space}, but was opened in {self.space} "
                f"({difference(space, self.space)}); open it with its own model, or name a new pool"
            )
        return row

    def _create(self, connection: Connection) -> Row[Any]:
        identity = asdict(self.space)
        space_id = connection.scalar(select(SpaceRow.id).filter_by(**identity))
        if space_id is None:
            connection.execute(insert(SpaceRow).values(**identity))
            space_id = connection.scalar(select(SpaceRow.id).filter_by(**identity))
        connection.execute(insert(PoolRow).values(name=self.name, space_id=space_id))
        return connection.execute(select(PoolRow).where(PoolRow.name == self.name)).one()


def _check(embedding: SummaryEmbedding, name: str, space: SpaceIdentity) -> None:
    """Raise unless `embedding` can be a member of the pool `name` in `space`."""
    shown = repr(embedding.text[:60])
    if embedding.space != space:
        raise SpaceError(
            f"the pool {name!r} is stored in {space}, {shown} in {embedding.space} "
            f"({difference(space, embedding.space)}); invert it with the pool's model before adding it"
        )
    vectors, sentence, lineage = embedding.vectors, embedding.sentence_vector, embedding.lineage
    if vectors.shape != (space.vectors, space.hidden_size) or sentence.ndim != 1:
        raise InputError(
            f"{shown} has vectors of shape {tuple(vectors.shape)} and a sentence vector of shape "
            f"{tuple(sentence.shape)}; its space needs {(space.vectors, space.hidden_size)} and one dimension"
        )
    if vectors.dtype != torch.float32 or sentence.dtype != torch.float32:
        raise InputError(f"{shown} has vectors of {vectors.dtype} and {sentence.dtype}; pass float32")
    if isnan(embedding.margin) or not (torch.isfinite(vectors).all() and torch.isfinite(sentence).all()):
        raise InputError(f"{shown} has vectors or a margin that are not finite; invert it again")
    if lineage is not None and not (
        lineage.parents and len(lineage.parents) == len(lineage.weights) and all(map(isfinite, lineage.weights))
    ):
        raise InputError(
            f"{shown} has {len(lineage.parents)} parents and weights {lineage.weights}; "
            "pass at least one parent and a finite weight for each"
        )


def _members(pool_id: int | None) -> Subquery:
    """Return a query for the members: `text_id`, and `first` that orders them by when they were added."""
    rows = select(PoolEventRow.text_id, func.min(PoolEventRow.id).label("first"))
    return rows.where(PoolEventRow.pool_id == pool_id).group_by(PoolEventRow.text_id).subquery()


def _record(connection: Connection, pool_id: int, ids: list[str], action: Action, reason: str, now: datetime) -> None:
    newest = connection.scalar(select(func.max(PoolEventRow.version)).where(PoolEventRow.pool_id == pool_id)) or 0
    common = {"pool_id": pool_id, "version": newest + 1, "action": action, "reason": reason, "created_at": now}
    connection.execute(insert(PoolEventRow), [{**common, "text_id": key} for key in ids])


def _store(connection: Connection, space_id: int, embeddings: dict[str, SummaryEmbedding], now: datetime) -> None:
    """Write the texts, embeddings and lineages that the database does not hold yet; the keys are text ids."""
    lineages = {key: e.lineage for key, e in embeddings.items() if e.lineage is not None}
    parents = [parent for lineage in lineages.values() for parent in lineage.parents]
    store_texts(connection, [*(embedding.text for embedding in embeddings.values()), *parents], now)

    new = {key: _to_row(key, space_id, embedding, now) for key, embedding in embeddings.items()}
    stored = select(EmbeddingRow.text_id, EmbeddingRow.vectors, EmbeddingRow.sentence_vector)
    stored = stored.where(EmbeddingRow.space_id == space_id)
    for row in matching(connection, stored, EmbeddingRow.text_id, list(new)):
        offered = new.pop(row.text_id)
        if (row.vectors, row.sentence_vector) != (offered["vectors"], offered["sentence_vector"]):
            text = embeddings[row.text_id].text[:60]
            _log.warning("%r keeps the vectors stored first, the new ones differ", text)
    if new:
        connection.execute(insert(EmbeddingRow), list(new.values()))

    known = select(LineageRow.text_id).where(LineageRow.space_id == space_id, LineageRow.position == 0)
    for row in matching(connection, known, LineageRow.text_id, list(lineages)):
        del lineages[row.text_id]
    if lineages:
        connection.execute(
            insert(LineageRow),
            [
                {
                    "text_id": key,
                    "space_id": space_id,
                    "position": position,
                    "parent_id": text_id(parent),
                    "weight": float(weight),
                }
                for key, lineage in lineages.items()
                for position, (parent, weight) in enumerate(zip(lineage.parents, lineage.weights, strict=True))
            ],
        )


def _to_row(key: str, space_id: int, embedding: SummaryEmbedding, now: datetime) -> dict[str, Any]:
    return {
        "text_id": key,
        "space_id": space_id,
        "vectors": to_bytes(embedding.vectors),
        "vector_count": embedding.vectors.shape[0],
        "hidden_size": embedding.vectors.shape[1],
        "sentence_vector": to_bytes(embedding.sentence_vector),
        "sentence_size": embedding.sentence_vector.shape[0],
        "exact": bool(embedding.exact),
        "margin": float(embedding.margin),
        "steps": int(embedding.steps),
        "start": embedding.start,
        "created_at": now,
    }


def _load(connection: Connection, members: Subquery, space_id: int, space: SpaceIdentity) -> list[SummaryEmbedding]:
    parents: dict[str, list[tuple[str, float]]] = {}
    for key, parent, weight in connection.execute(
        select(LineageRow.text_id, TextRow.text, LineageRow.weight)
        .join(members, members.c.text_id == LineageRow.text_id)
        .join(TextRow, TextRow.id == LineageRow.parent_id)
        .where(LineageRow.space_id == space_id)
        .order_by(LineageRow.text_id, LineageRow.position)
    ):
        parents.setdefault(key, []).append((parent, weight))
    rows = connection.execute(
        select(EmbeddingRow, TextRow.text)
        .join(members, members.c.text_id == EmbeddingRow.text_id)
        .join(TextRow, TextRow.id == EmbeddingRow.text_id)
        .where(EmbeddingRow.space_id == space_id)
        .order_by(members.c.first)
    )
    return [
        SummaryEmbedding(
            text=row.text,
            vectors=from_bytes(row.vectors, row.vector_count, row.hidden_size),
            sentence_vector=from_bytes(row.sentence_vector, row.sentence_size),
            space=space,
            exact=row.exact,
            margin=row.margin,
            steps=row.steps,
            start=row.start,
            lineage=_lineage(parents[row.text_id]) if row.text_id in parents else None,
        )
        for row in rows
    ]


def _lineage(pairs: list[tuple[str, float]]) -> Lineage:
    return Lineage(tuple(parent for parent, _ in pairs), tuple(weight for _, weight in pairs))
