"""From texts to the summary embeddings of a space: encode, start, invert."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from torch import Tensor

from copyloom import InputError, Progress
from embeddings.inversion import Inverter, Refused, check_texts, fault
from embeddings.inversion_config import InversionConfig
from embeddings.slots import Target
from embeddings.starts import check_start, starts_of
from embeddings.summary import SummaryEmbedding

if TYPE_CHECKING:
    from embeddings.space import Space

_READ_AHEAD = 256
"""Texts that are encoded together on their way to inversion."""


def invert(
    space: Space,
    texts: Sequence[str],
    config: InversionConfig | None = None,
    progress: Progress = lambda done, total: None,
    starts: Tensor | None = None,
) -> list[SummaryEmbedding]:
    """Return the summary embedding of each text; one that stays inexact is returned and says so.

    Parameters
    ----------
    space : Space
    texts : sequence of str
    config : InversionConfig, optional
        The space's own by default.
    progress : callable
    starts : Tensor of shape (B, P, D), optional
        Where to start, with ``start="given"``: vectors found under another version of the model, say.

    Raises
    ------
    InputError
        If a text cannot be inverted, or the adapter start is asked of a model without adapter.
    """
    config = config or space.default_inversion
    check_texts(space.model, texts, config, space.prefix)
    check_start(space, config, starts, len(texts))
    found: dict[int, SummaryEmbedding] = {}
    for index, embedding in stream(space, texts, config, starts):
        if isinstance(embedding, SummaryEmbedding):
            found[index] = embedding
        progress(len(found), len(texts))
    return [found[index] for index in range(len(texts))]


def stream(
    space: Space, texts: Iterable[str], config: InversionConfig | None = None, starts: Tensor | None = None
) -> Iterator[tuple[int, SummaryEmbedding | Refused]]:
    """Yield (number, embedding) of each text as it is finished, in any order; of unfit ones what is wrong.

    Texts are read some hundreds ahead, so that memory does not grow with their number.

    Raises
    ------
    InputError
        If the adapter start is asked of a model without adapter, or starts do not fit.
    """
    config = config or space.default_inversion
    check_start(space, config, starts)
    known: dict[int, tuple[str, Tensor]] = {}
    targets = _targets(space, enumerate(texts), config, starts, known)
    for result in Inverter(space.model, config, space.context_ids).run(targets):
        if isinstance(result, Refused):
            yield result.index, result
            continue
        text, sentence_vector = known.pop(result.index)
        yield (
            result.index,
            SummaryEmbedding(
                *(text, result.vectors, sentence_vector, space.identity),
                *(result.exact, result.margin, result.steps, config.start),
            ),
        )


def unrefined(space: Space, texts: Sequence[str]) -> list[SummaryEmbedding | Refused]:
    """Return the summary embedding of each text as the adapter has it, not exact; of unfit texts what is wrong.

    It is there at once, and is enough where a pretrained writer composes: it reads the texts themselves.

    Raises
    ------
    InputError
        If there is no adapter.
    """
    config, known = InversionConfig(start="adapter"), dict[int, tuple[str, Tensor]]()
    check_start(space, config)
    found: dict[int, SummaryEmbedding | Refused] = {}
    for target in _targets(space, enumerate(texts), config, None, known):
        if isinstance(target, Refused):
            found[target.index] = target
            continue
        found[target.index] = SummaryEmbedding(
            *(target.text, target.start, known[target.index][1], space.identity), *(False, -inf, 0, config.start)
        )
    return [found[number] for number in range(len(texts))]


def _targets(
    space: Space, texts: Iterator[tuple[int, str]], config: InversionConfig, starts: Tensor | None,
    known: dict[int, tuple[str, Tensor]],
) -> Iterator[Target | Refused]:  # fmt: skip
    """Yield the targets of fit texts, noting each in `known`, and why the others are unfit."""
    while chunk := list(islice(texts, _READ_AHEAD)):
        if starts is not None and chunk[-1][0] >= len(starts):
            raise InputError(f"{len(starts)} starts were given for more texts; give one start a text")
        fit = []
        for index, text in chunk:
            reason = fault(space.model, text, config, space.prefix)
            if reason is None:
                fit.append((index, text))
            else:
                yield Refused(index, text, reason)
        sentence_vectors = space.encoder.encode([text for _, text in fit])
        given = None if starts is None else starts[[index for index, _ in fit]]
        first = starts_of(space, [text for _, text in fit], sentence_vectors, config.start) if given is None else given
        for (index, text), sentence_vector, start in zip(fit, sentence_vectors, first, strict=True):
            known[index] = (text, sentence_vector)
            yield Target.of(space.model, index, text, start, sentence_vector)
