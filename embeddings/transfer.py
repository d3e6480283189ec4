"""Embeddings of one version of a model carried over to another: the old vectors are where inversion starts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import eq

import torch
from torch.nn.functional import cosine_similarity

from copyloom import InputError, Progress
from embeddings.inversion_config import InversionConfig
from embeddings.inverting import invert
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding, check_same_space, exact_share, mean_steps


@dataclass(frozen=True)
class TransferReport:
    """How well embeddings carried over to another model.

    Parameters
    ----------
    texts : int
    exact_unchanged : float
        Share of texts that the new model writes from the old vectors as they are.
    exact_carried, steps_carried, cosine_carried : float
        Of inversion from the old vectors: share of exact texts, mean steps a text, and mean cosine between the old
        and the new vectors of a text, their P * D numbers as one.
    compared : int
        Texts that were also inverted from the new space's own start.
    exact_afresh, steps_afresh, cosine_afresh : float
        The same of these.
    """

    texts: int
    exact_unchanged: float
    exact_carried: float
    steps_carried: float
    cosine_carried: float
    compared: int
    exact_afresh: float
    steps_afresh: float
    cosine_afresh: float


def carry_over(
    space: Space,
    stored: Sequence[SummaryEmbedding],
    config: InversionConfig | None = None,
    sample: int = 64,
    progress: Progress = lambda done, total: None,
) -> tuple[list[SummaryEmbedding], TransferReport]:
    """Return the embeddings of stored texts in `space`, found from their old vectors, and how well that went.

    Vectors from which the new model writes the text by the wanted margin stay as they are. Use `Space.invert` instead
    where the report shows no fewer steps, and where mixing matters more than steps: it keeps vectors near the new
    model's adapter.

    Parameters
    ----------
    space : Space
        Of the new version of the model.
    stored : sequence of SummaryEmbedding
        All of one space, that of the old version.
    config : InversionConfig, optional
        Its start is the one that old vectors are compared with. By default the space's own.
    sample : int
        So many texts, drawn with a fixed seed, are also inverted afresh.
    progress : callable

    Raises
    ------
    InputError
        If there are no embeddings or no sample, P or D differ from the space's, or a text cannot be inverted.
    SpaceError
        If `stored` are of several spaces.
    """
    config = config or space.default_inversion
    _check_fit(space, stored, sample)
    texts = [embedding.text for embedding in stored]
    drawn = random.Random(0).sample(range(len(texts)), min(sample, len(texts)))
    afresh = space.invert([texts[index] for index in drawn], config)
    given = config.model_copy(update={"start": "given"})
    carried = invert(space, texts, given, progress, torch.stack([embedding.vectors for embedding in stored]))
    carried = [replace(new, lineage=old.lineage) for new, old in zip(carried, stored, strict=True)]
    unchanged = space.decode([replace(embedding, space=space.identity) for embedding in stored])
    return carried, TransferReport(
        len(texts),
        sum(map(eq, unchanged, texts)) / len(texts),
        *_measured(carried, stored),
        len(drawn),
        *_measured(afresh, [stored[index] for index in drawn]),
    )


def _check_fit(space: Space, stored: Sequence[SummaryEmbedding], sample: int) -> None:
    if not stored or sample < 1:
        raise InputError(f"{len(stored)} embeddings and a sample of {sample} were given; give at least one of each")
    old, new = check_same_space(stored), space.identity
    if (old.vectors, old.hidden_size) != (new.vectors, new.hidden_size):
        raise InputError(
            f"the embeddings are of {old}, the space is of {new}; only vectors of equal P and D carry over: invert the "
            "texts afresh"
        )


def _measured(found: Sequence[SummaryEmbedding], stored: Sequence[SummaryEmbedding]) -> tuple[float, float, float]:
    """Return the exact share, the mean steps, and the mean cosine to the stored vectors."""
    new, old = (torch.stack([embedding.vectors for embedding in part]).flatten(1) for part in (found, stored))
    return exact_share(found), mean_steps(found), float(cosine_similarity(new, old).mean())
