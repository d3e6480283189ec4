"""Documents: texts of any length as consecutive spans, each with its own summary embedding, and one record for all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import Any

from copyloom import InputError, Progress
from embeddings.exchange import read_file, write_file
from embeddings.inversion import most_tokens
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
from embeddings.spans import Span, spans
from embeddings.summary import SummaryEmbedding, check_same_space

FORMAT = "copyloom documents 1"
SPAN_TOKENS = 40
"""Tokens of a span unless said otherwise: few vectors, and no text that does not come back.

Measured by ``copyloom study inversion`` on 5,000 characters of headlines, default settings: at 20, 40, 60 and 80 tokens
a span all of 93, 48, 30 and 25 spans were exact, in 640, 629, 750 and 7,550 steps. So shorter spans save nothing.
"""


@dataclass(frozen=True, eq=False)
class DocumentEmbedding:
    """A text of any length and the summary embeddings of its spans, in order.

    Parameters
    ----------
    embeddings : tuple of SummaryEmbedding
        At least one, all of one space; their texts, joined, are the document.
    """

    embeddings: tuple[SummaryEmbedding, ...]

    def __post_init__(self) -> None:
        if not self.embeddings:
            raise InputError("a document without spans is no document; give at least one embedding")
        check_same_space(self.embeddings)

    def __len__(self) -> int:
        """Return the number of characters."""
        return sum(len(embedding.text) for embedding in self.embeddings)

    @property
    def text(self) -> str:
        """The document as it was given."""
        return "".join(embedding.text for embedding in self.embeddings)

    @property
    def spans(self) -> list[Span]:
        """Where each span starts and ends, and what it says."""
        ends = accumulate((len(embedding.text) for embedding in self.embeddings), initial=0)
        return [
            Span(start, end, embedding.text)
            for (start, end), embedding in zip(pairwise(ends), self.embeddings, strict=True)
        ]

    @property
    def exact(self) -> bool:
        """Whether every span decoded back when it was inverted; `read_documents` decodes again."""
        return all(embedding.exact for embedding in self.embeddings)


@dataclass(frozen=True)
class Reconstruction:
    """A document decoded from its vectors alone.

    Parameters
    ----------
    text : str
        What the spans decode to, joined; a span that does not come to its end closes with `` [cut]``.
    exact : bool
        Whether that is the document, letter for letter.
    first_wrong : int, optional
        The first character of the document that `text` does not repeat; None if exact. It is the length of the
        document if `text` only goes on behind it.
    wrong_spans : tuple of int
        Numbers, from 0, of the spans that decode to something else.
    """

    text: str
    exact: bool
    first_wrong: int | None
    wrong_spans: tuple[int, ...]


def invert_documents(
    space: Space,
    texts: Sequence[str],
    config: InversionConfig | None = None,
    progress: Progress = lambda done, total: None,
    most: int | None = None,
) -> list[DocumentEmbedding]:
    """Return the embedding of each document; the distinct spans of all of them are inverted together.

    Use `Space.invert` instead for short texts that are to be mixed: a span may begin and end anywhere in a thought.

    Parameters
    ----------
    space : Space
    texts : sequence of str
        Of any length.
    config : InversionConfig, optional
    progress : callable
        Called with the number of spans finished and of distinct spans in all.
    most : int, optional
        Tokens of a span; `SPAN_TOKENS` unless given, or fewer where the model holds fewer.

    Raises
    ------
    InputError
        If a text is blank or cannot be cut into spans, or `most` is more than a summary embedding holds.
    """
    if isinstance(texts, str):
        raise InputError("one text was given for a list of texts; pass [text]")
    config = config or space.default_inversion
    allowed = most_tokens(space.model, config, space.prefix)
    if most is not None and most > allowed:
        raise InputError(f"spans of {most} tokens were asked for; a summary embedding holds at most {allowed} here")
    most = min(SPAN_TOKENS, allowed) if most is None else most
    cut = [_cut(space, number, text, most) for number, text in enumerate(texts, start=1)]
    distinct = list(dict.fromkeys(piece for pieces in cut for piece in pieces))
    found = dict(zip(distinct, space.invert(distinct, config, progress), strict=True))
    return [DocumentEmbedding(tuple(found[piece] for piece in pieces)) for pieces in cut]


def read_documents(space: Space, documents: Sequence[DocumentEmbedding]) -> list[Reconstruction]:
    """Return each document as decoded from its vectors; the spans of all of them are decoded together."""
    if not documents:
        return []
    decoded = iter(space.decode([embedding for document in documents for embedding in document.embeddings]))
    return [_compared(document, list(islice(decoded, len(document.embeddings)))) for document in documents]


def save_documents(documents: Sequence[DocumentEmbedding], path: Path) -> None:
    """Write documents of one space to one safetensors file, all or nothing."""
    embeddings = [embedding for document in documents for embedding in document.embeddings]
    counts = json.dumps([len(document.embeddings) for document in documents])
    write_file(embeddings, path, FORMAT, {"spans": counts})


def load_documents(path: Path) -> list[DocumentEmbedding]:
    """Return the documents in a file that `save_documents` wrote."""
    embeddings, metadata = read_file(path, FORMAT, "copyloom document invert --out")
    try:
        counts: Any = json.loads(metadata["spans"])
        if not all(type(count) is int and count > 0 for count in counts) or sum(counts) != len(embeddings):
            raise ValueError(f"{len(embeddings)} spans for documents of {counts}")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); write it anew with `copyloom document invert --out`") from error
    left: Iterator[SummaryEmbedding] = iter(embeddings)
    return [DocumentEmbedding(tuple(islice(left, count))) for count in counts]


def _cut(space: Space, number: int, text: str, most: int) -> list[str]:
    try:
        return [span.text for span in spans(text, most, lambda piece: len(space.model.tokenize(piece)))]
    except InputError as error:
        raise InputError(f"document {number}: {error}") from error


def _compared(document: DocumentEmbedding, decoded: Sequence[str]) -> Reconstruction:
    """Return the reconstruction, with the first place where the decoded spans, joined, leave the document."""
    wanted, found = document.text, "".join(decoded)
    pairs = zip(document.embeddings, decoded, strict=True)
    wrong = tuple(number for number, (embedding, text) in enumerate(pairs) if embedding.text != text)
    if found == wanted:
        return Reconstruction(found, True, None, wrong)
    first = next((i for i, (one, other) in enumerate(zip(wanted, found, strict=False)) if one != other), None)
    return Reconstruction(found, False, min(len(wanted), len(found)) if first is None else first, wrong)
