"""Writes mixtures: mix, put into words, check; each lineage once, whichever campaign asks first."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from sqlalchemy import Connection
from torch import Tensor

from copyloom import Progress
from embeddings.effort import Effort
from embeddings.encoded import EncodedOnce
from embeddings.inversion_config import InversionConfig
from embeddings.pool import Pool
from embeddings.space import Space
from embeddings.summary import Lineage, SummaryEmbedding
from embeddings.writing import NOTHING_FIT, STOPPED, Wording
from experiments.campaigns.events import Draft, Happening, Opened, Promoted, Written
from experiments.campaigns.memo import Memo, inverted
from generator.checks import Checker, Refusal
from generator.record import ProductRecord

_TOGETHER = 64
"""Mixtures that a search works on together."""


def _parents(lineage: Lineage) -> int:
    return len(lineage.parents)


def _size(lineage: Lineage) -> tuple[int, int]:
    """Return how many parents there are, and their letters: mixtures of a size are written together soonest."""
    return _parents(lineage), sum(map(len, lineage.parents))


class Writer:
    """Puts lineages into words, and keeps what it wrote, the pool that it writes from, and sentence vectors.

    Parameters
    ----------
    space : Space
        Its encoder is replaced by one that encodes each text once.
    pool : Pool
        Promoted texts join it.
    stored : sequence of SummaryEmbedding
        Members of the pool that are parents from the beginning.
    subject : ProductRecord, optional
    checker : Checker
    effort : Effort, optional
        How far to search without a subject; as far as `Space.mix` unless given.
    inversion : InversionConfig, optional
        Of texts that become parents; the space's own unless given.
    memo : Memo, optional
        What was written before with these settings, which is not written again.
    """

    def __init__(
        self,
        space: Space,
        pool: Pool,
        stored: Sequence[SummaryEmbedding],
        subject: ProductRecord | None,
        checker: Checker,
        effort: Effort | None = None,
        inversion: InversionConfig | None = None,
        memo: Memo | None = None,
    ) -> None:
        self.effort, self.inversion = effort or Effort(), inversion
        self.encoder = space.encoder if isinstance(space.encoder, EncodedOnce) else EncodedOnce(space.encoder)
        self.space = space if space.encoder is self.encoder else replace(space, encoder=self.encoder)
        self.pool, self.subject, self.checker, self.memo = pool, subject, checker, memo
        self.encoder.learn({embedding.text: embedding.sentence_vector for embedding in stored})
        self.embeddings = {embedding.text: embedding for embedding in stored}
        self.drafts: dict[Lineage, tuple[Draft, ...]] = {}

    def write(
        self, lineages: Sequence[Lineage], progress: Progress = lambda done, total: None
    ) -> list[tuple[Draft, ...]]:
        """Return the drafts of each lineage, writing those not yet written; `progress` hears of them, and of all."""
        self._recall_written(lineages)
        done, fresh = 0, self.unwritten(lineages)
        for group in self.together(fresh):
            progress(done, len(fresh))
            self._write(group)
            done += len(group)
        progress(done, len(fresh))
        return [self.drafts[lineage] for lineage in lineages]

    def unwritten(self, lineages: Iterable[Lineage]) -> list[Lineage]:
        """Return those of some lineages that were not put into words, each once."""
        return [lineage for lineage in dict.fromkeys(lineages) if lineage not in self.drafts]

    def together(self, lineages: Sequence[Lineage]) -> list[list[Lineage]]:
        """Return lineages in the groups in which they are written soonest."""
        many = 2 * self.effort.together if self.space.composes else _TOGETHER
        families = [list(group) for _, group in itertools.groupby(sorted(lineages, key=_size), key=_parents)]
        return [family[first : first + many] for family in families for first in range(0, len(family), many)]

    def recall(self, drafts: Iterable[Draft]) -> None:
        """Take back what an earlier process wrote."""
        for draft in drafts:
            known = self.drafts.get(draft.lineage, ())
            if draft not in known:
                self.drafts[draft.lineage] = (*known, draft)

    def recall_parents(self, parents: Iterable[str]) -> None:
        """Take the summary embeddings of `parents` from the pool, those that it holds."""
        missing = {text for text in parents if text not in self.embeddings}
        if missing:
            self.embeddings.update((one.text, one) for one in self.pool.members() if one.text in missing)

    def keep(self, connection: Connection, happened: Sequence[Happening]) -> None:
        """Write into a transaction what belongs to its events: vectors of texts, and new members of the pool."""
        texts = [text for event in happened if isinstance(event, Opened) for text in event.slate]
        texts += [draft.text for event in happened if isinstance(event, Written) for draft in event.drafts]
        self.encoder.keep(connection, [text for text in dict.fromkeys(texts) if text])
        for text in dict.fromkeys(text for event in happened if isinstance(event, Promoted) for text in event.texts):
            self.pool.promote(self.embeddings[text], "shown to a large share of shoppers", connection)

    def sentence_vectors(self, texts: Sequence[str]) -> Tensor:
        """Return the sentence vectors (n, S) of texts, each encoded once."""
        return self.encoder.encode(texts)

    def base_points(self, texts: Sequence[str]) -> Tensor:
        """Return the points (n, S) between which mixtures are wanted.

        Without a subject a text's point is its sentence vector. With one, a stored text about another product stands
        where it lands when it is rewritten for the subject.
        """
        return self.sentence_vectors([self._landing(text) for text in texts])

    def embed(self, lineages: Mapping[str, Lineage]) -> None:
        """Find the summary embeddings of written texts that become parents, inverting those that the pool lacks."""
        self.recall_parents(lineages)
        fresh = [text for text in lineages if text not in self.embeddings]
        for embedding in inverted(self.space, fresh, self.inversion, self.memo) if fresh else ():
            self.embeddings[embedding.text] = replace(embedding, lineage=lineages[embedding.text])

    def _recall_written(self, lineages: Iterable[Lineage]) -> None:
        fresh = self.unwritten(lineages)
        if self.memo is not None and fresh:
            self.drafts.update(self.memo.recall(fresh, self.embeddings))

    def _write(self, lineages: Sequence[Lineage]) -> None:
        parents = [[self.embeddings[text] for text in lineage.parents] for lineage in lineages]
        vectors = torch.stack([torch.stack([parent.vectors for parent in row]) for row in parents])
        sentence_vectors = torch.stack([torch.stack([parent.sentence_vector for parent in row]) for row in parents])
        found = dict(zip(lineages, self.worded(lineages, vectors, sentence_vectors), strict=True))
        self.drafts.update(found)
        if self.memo is not None:
            self.memo.keep(found, self.embeddings)

    def worded(self, lineages: Sequence[Lineage], vectors: Tensor, sentence_vectors: Tensor) -> list[tuple[Draft, ...]]:
        """Return the drafts of B lineages of K parents whose embeddings are these.

        Parameters
        ----------
        lineages : sequence of Lineage
        vectors : Tensor of shape (B, K, P, D)
        sentence_vectors : Tensor of shape (B, K, S)
        """
        weights = torch.tensor([lineage.weights for lineage in lineages])
        mixtures = (vectors, sentence_vectors, weights, [lineage.parents for lineage in lineages])
        if self.subject:
            texts = self.space.writer.write_about(self.subject, *mixtures, self.effort, self.checker)
        else:
            texts = [written for written, _ in self.space.writer.write_nearest(*mixtures, self.effort, self.checker)]
        return [(Draft(lineage, written.text, self._refusals(written)),
                 *(Draft(lineage, text, tuple(self.checker.refusals(text))) for text in written.others))
                for lineage, written in zip(lineages, texts, strict=True)]  # fmt: skip

    def _refusals(self, written: Wording) -> tuple[Refusal, ...]:
        if written.fault:
            return (Refusal("unfit" if written.fault in (NOTHING_FIT, STOPPED) else "slot", written.fault),)
        return tuple(self.checker.refusals(written.text, written.finished))

    def _landing(self, text: str) -> str:
        first = self.drafts.get(Lineage((text,), (1.0,)), ())[:1]
        return first[0].text if self.subject and first and not first[0].refusals else text
