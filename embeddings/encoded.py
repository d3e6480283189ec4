"""Texts encoded once: what an encoder said of a text is kept in memory, and in the database between runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import torch
from sqlalchemy import Connection, Engine, insert, select
from torch import Tensor

from copyloom import InputError
from embeddings.database import (
    EmbeddingRow,
    SentenceVectorRow,
    SpaceRow,
    TextRow,
    from_bytes,
    matching,
    reading,
    store_texts,
    text_id,
    to_bytes,
)
from embeddings.encoder import Encoder


class EncodedOnce:
    """An encoder that gives every text to another one a single time.

    Parameters
    ----------
    encoder : Encoder
        Whose vectors do not depend on the texts beside.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._vectors: dict[str, Tensor] = {}

    @property
    def name(self) -> str:
        """The encoder's: its vectors are the same."""
        return self.encoder.name

    @property
    def size(self) -> int:
        """S."""
        return self.encoder.size

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors (B, S), float32, on the CPU."""
        fresh = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if fresh:
            self._vectors.update(zip(fresh, self.encoder.encode(fresh), strict=True))
        return torch.stack([self._vectors[text] for text in texts]) if len(texts) else torch.zeros(0, self.size)

    def learn(self, vectors: Mapping[str, Tensor]) -> None:
        """Take vectors (S,) of texts that this encoder made before and that are kept elsewhere."""
        self._vectors.update(vectors)

    def recall(self, engine: Engine) -> None:
        """Take all vectors of this encoder that a database holds."""
        query = select(TextRow.text, SentenceVectorRow.vector).join(TextRow, TextRow.id == SentenceVectorRow.text_id)
        with reading(engine) as connection:
            rows = connection.execute(query.where(SentenceVectorRow.encoder == self.name)).all()
        self.learn({text: from_bytes(vector, self.size) for text, vector in rows})

    def keep(self, connection: Connection, texts: Sequence[str]) -> None:
        """Write the vectors of texts that a database does not hold yet into a transaction."""
        fresh = {text_id(text): text for text in texts}
        known = select(SentenceVectorRow.text_id).where(SentenceVectorRow.encoder == self.name)
        for row in matching(connection, known, SentenceVectorRow.text_id, list(fresh)):
            del fresh[row.text_id]
        if fresh:
            store_texts(connection, fresh.values(), datetime.now(UTC))
            vectors = zip(fresh, self.encode(list(fresh.values())), strict=True)
            rows = [{"text_id": key, "encoder": self.name, "vector": to_bytes(vector)} for key, vector in vectors]
            connection.execute(insert(SentenceVectorRow), rows)


def vectors_of(engine: Engine, texts: Sequence[str]) -> dict[str, Tensor]:
    """Return the sentence vectors (S,) of those of some texts that a database holds, by text; of one encoder.

    Where it holds those of several, of the one that read the most of them.
    """
    ids = {text_id(text): text for text in texts}
    kept = select(SentenceVectorRow.text_id, SentenceVectorRow.encoder, SentenceVectorRow.vector)
    stored = select(EmbeddingRow.text_id, SpaceRow.encoder, EmbeddingRow.sentence_vector)
    stored = stored.join(SpaceRow, SpaceRow.id == EmbeddingRow.space_id)
    found: dict[str, dict[str, Tensor]] = {}
    with reading(engine) as connection:
        rows = [*matching(connection, stored, EmbeddingRow.text_id, list(ids)),
                *matching(connection, kept, SentenceVectorRow.text_id, list(ids))]  # fmt: skip
    for number, encoder, vector in rows:
        found.setdefault(encoder, {})[ids[number]] = from_bytes(vector, len(vector) // 4)
    return max(found.values(), key=len, default={})


def stored_vectors(engine: Engine) -> dict[str, Tensor]:
    """Return the sentence vectors (S,) of all texts of a database, by text."""
    kept = select(SentenceVectorRow.encoder, TextRow.text, SentenceVectorRow.vector)
    kept = kept.join(TextRow, TextRow.id == SentenceVectorRow.text_id)
    stored = select(SpaceRow.encoder, TextRow.text, EmbeddingRow.sentence_vector)
    stored = stored.join(TextRow, TextRow.id == EmbeddingRow.text_id)
    stored = stored.join(SpaceRow, SpaceRow.id == EmbeddingRow.space_id)
    with reading(engine) as connection:
        rows = [*connection.execute(kept), *connection.execute(stored)]
    if len(encoders := sorted({encoder for encoder, _, _ in rows})) > 1:
        raise InputError(f"the database holds vectors of the encoders {', '.join(encoders)}; they do not compare")
    return {text: from_bytes(vector, len(vector) // 4) for _, text, vector in rows}
