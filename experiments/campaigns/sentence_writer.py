"""Writes mixtures of sentence vectors alone: the plainest that can be done in the encoder's space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Self

import torch
from sqlalchemy import Connection

from copyloom import InputError
from embeddings.adapter import AnyAdapter
from embeddings.mixing import adapt
from embeddings.summary import Lineage, SummaryEmbedding
from experiments.campaigns.events import Happening
from experiments.campaigns.writer import Writer


class SentenceWriter(Writer):
    """A writer for which a text's embedding is what the adapter says to its sentence vector, and no more.

    Nothing is inverted, no residual is mixed, and each mixture is decoded once, without a search. Texts that become
    parents do not join the pool.
    """

    @classmethod
    def beside(cls, writer: Writer) -> Self:
        """Return one that shares space, checks and sentence vectors with another writer.

        Raises
        ------
        InputError
            If the model has no adapter: nothing leads from sentence vectors to texts.
        """
        if writer.space.adapter is None:
            raise InputError(f"model {writer.space.model.name!r} has no adapter, so that no sentence vector can be put "
                             "into words; train one with `copyloom train adapter`, or leave out encoder")  # fmt: skip
        plain = [_plain(one, writer.space.adapter) for one in writer.embeddings.values()]
        effort = replace(writer.effort, drafts=1, turns=1, jitter=0.0)
        return cls(writer.space, writer.pool, plain, writer.subject, writer.checker, effort, writer.inversion)

    def recall_parents(self, parents: Iterable[str]) -> None:
        """Make the embeddings of `parents` that are not known."""
        missing = [text for text in dict.fromkeys(parents) if text not in self.embeddings]
        adapter = self.space.adapter
        for text, vector in zip(missing, self.sentence_vectors(missing), strict=True):
            assert adapter is not None  # or there would be no such writer
            bare = SummaryEmbedding(text, torch.empty(0), vector, self.space.identity, False, 0.0, 0, "adapter")
            self.embeddings[text] = _plain(bare, adapter)

    def embed(self, lineages: Mapping[str, Lineage]) -> None:
        """Make the embeddings of written texts that become parents."""
        self.recall_parents(lineages)

    def keep(self, connection: Connection, happened: Sequence[Happening]) -> None:
        """Write into a transaction the sentence vectors of texts; the pool is for texts that were inverted."""
        super().keep(connection, [event for event in happened if event.kind != "promoted"])


def _plain(embedding: SummaryEmbedding, adapter: AnyAdapter) -> SummaryEmbedding:
    """Return an embedding without its residual."""
    return replace(embedding, vectors=adapt(adapter, embedding.sentence_vector[None])[0], exact=False)
