"""What people want of a space's vectors: that they decode to their texts, and mixtures of them to whole, true ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from copyloom import Report
from embeddings.adapter import folder_of
from embeddings.context import decode_texts, decode_vectors, room_for
from embeddings.mixing import adapt, is_new, mix, wanted_point
from embeddings.prompt import prompt
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from experiments.bootstrap import interval
from experiments.studies.space.samples import Sample
from experiments.studies.space.spaces import ADAPTER, REFINED_MEAN, SENTENCE, SUMMARY, TOKEN_MEAN, Made
from generator.decoding import Decoded
from generator.editor import Editor
from generator.grammar import Claim, Grammar
from generator.reader import GrammarReader

IN_FRAME = 0.85
"""Cosine to a frame of the grammar from which on a text counts as one of its own, as `generator.checks` has it."""

Verdict = Callable[[Decoded, int, int], float]
"""What a decoded mixture of two texts, by their numbers, is worth: from 0 to 1."""


@dataclass(frozen=True)
class Share:
    """A mean of values from 0 to 1 over texts or pairs, with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Share:
        """Return the mean of values; its interval is Wilson's where all are 0 or 1, else a bootstrap one.

        A bootstrap has no width where all are 1.
        """
        found = np.array(values, dtype=np.float64)
        if not np.isin(found, (0.0, 1.0)).all():
            return cls(float(found.mean()), *interval(found))
        counted = binomtest(int(found.sum()), len(found)).proportion_ci(method="wilson")
        return cls(float(found.mean()), float(counted.low), float(counted.high))


def exactness(space: Space, made: Made, judged: int, report: Report) -> dict[str, dict[str, Share | None]]:
    """Return for each kind that decodes how many texts are exact: straight from the vectors, and after refinement.

    Parameters
    ----------
    space : Space
    made : Made
    judged : int
        Texts, the first ones, that are decoded straight.
    report : Report

    Returns
    -------
    dict
        ``straight`` and ``refined``, None where it was not tried; ``reached``: mean cosine of what is decoded straight
        to the text, from 0 on.
    """
    found: dict[str, dict[str, Share | None]] = {}
    for kind, refined in ((SUMMARY, made.stored), (ADAPTER, made.stored), (TOKEN_MEAN, _of_mean(space, made)),
                          (REFINED_MEAN, made.from_mean)):  # fmt: skip
        if kind not in made.values:
            continue
        report("decoding texts", len(found), 4)
        straight, reached = _straight(space, made.vectors(kind, space.model.hidden_size), made.stored[:judged])
        after = Share.of([one.exact for one in refined]) if refined else None
        found[kind] = {"straight": straight, "refined": after, "reached": reached}
    report("decoding texts", 4, 4)
    return found


def _of_mean(space: Space, made: Made) -> list[SummaryEmbedding]:
    return made.from_mean if space.adapter is not None else made.stored


def _straight(space: Space, vectors: Tensor, stored: Sequence[SummaryEmbedding]) -> tuple[Share, Share]:
    texts = [one.text for one in stored]
    written = decode_texts(space.model, list(vectors[: len(texts)]), texts, space.context_ids)
    reached = space.encoder.encode([text.removesuffix(" [cut]") or " " for text in written])
    near = (reached * torch.stack([one.sentence_vector for one in stored])).sum(1).clamp(0, 1)
    return Share.of([text == own for text, own in zip(written, texts, strict=True)]), Share.of(near.tolist())


def pairs_of(sample: Sample, count: int, seed: int = 0) -> list[tuple[int, int]]:
    """Return pairs of texts of different groups, each text as seldom as can be."""
    rng = random.Random(f"pairs {seed}")
    found: list[tuple[int, int]] = []
    while len(found) < count:
        order = rng.sample(range(len(sample.texts)), len(sample.texts))
        found += [(one, other) for one, other in zip(order[::2], order[1::2], strict=False)
                  if sample.groups[one] != sample.groups[other]]  # fmt: skip
    return found[:count]


def mixtures(
    space: Space,
    made: Made,
    sample: Sample,
    count: int,
    verdict: Verdict | None,
    report: Report,
    seed: int = 0,
) -> dict[str, dict[str, Share]]:
    """Return for each kind that decodes how good and how new what is decoded from equal mixtures of two texts is.

    Each kind is mixed in its own space: summary embeddings as Copyloom mixes them (`embeddings.mixing.mix`), other
    vectors position by position, and sentence embeddings before the adapter puts them into vectors.

    Parameters
    ----------
    space : Space
    made : Made
    sample : Sample
    count : int
        Pairs of texts about different products.
    verdict : callable, optional
        None where nothing can judge: then only ``new`` is told.
    report : Report
    seed : int
        Of the pairs.
    """
    pairs = pairs_of(sample, count, seed)
    found: dict[str, dict[str, Share]] = {}
    for kind, vectors in _mixed(space, made, pairs).items():
        report("decoding mixtures", len(found), 4)
        written = _read(space, vectors, sample.texts)
        new = [is_new(one.text, [sample.texts[row] for row in pair]) for one, pair in zip(written, pairs, strict=True)]
        found[kind] = {"new": Share.of(new)}
        if verdict is not None:
            found[kind]["good"] = Share.of([verdict(one, *pair) for one, pair in zip(written, pairs, strict=True)])
    report("decoding mixtures", 4, 4)
    return found


def _mixed(space: Space, made: Made, pairs: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
    """Return the equal mixtures (B, P, D) of each kind."""
    rows, even = torch.tensor(pairs), torch.full((len(pairs), 2), 0.5)
    sentence = torch.stack([one.sentence_vector for one in made.stored])[rows]
    adapters = {SUMMARY: space.adapter, ADAPTER: None, REFINED_MEAN: None}
    found = {kind: mix(made.vectors(kind, space.model.hidden_size)[rows], sentence, even, adapter)
             for kind, adapter in adapters.items() if kind in made.values}  # fmt: skip
    if space.adapter is not None and SENTENCE in made.values:
        found[SENTENCE] = adapt(space.adapter, wanted_point(sentence, even))
    return found


def _read(space: Space, vectors: Tensor, texts: Sequence[str]) -> list[Decoded]:
    """Return what mixtures decode to, in the room that twice the longest text needs."""
    longest = max(len(space.model.tokenize(text)) for text in texts)
    return decode_vectors(space.model, vectors, room_for(space.model, 2 * longest, space.prefix), space.context_ids)


def grammar_verdict(claims: Sequence[Claim]) -> Verdict:
    """Return a judge that gives 1 to whole claims that are true of one of the two products, else 0."""
    readers = [GrammarReader(Grammar.load(), claim.record) for claim in claims]

    def verdict(written: Decoded, one: int, other: int) -> float:
        if not written.finished:
            return 0.0
        return float(any(reads_true(readers[row], written.text) for row in (one, other)))

    return verdict


def reads_true(reader: GrammarReader, text: str) -> bool:
    """Say whether a text is a whole claim of the grammar about a product, and says what its record says alone."""
    reading = reader.read(text)
    strange = reading.foreign or reading.unknown_words or reading.invented_numbers
    return reading.names_subject and not strange and reading.frame_similarity >= IN_FRAME


def editor_verdict(space: Space, texts: Sequence[str]) -> Verdict | None:
    """Return a judge that gives how likely an editor prints a text beside its parents; None where there is none."""
    editor = Editor.load(folder_of(space.model.name), space.model)
    if editor is None:
        return None

    def verdict(written: Decoded, one: int, other: int) -> float:
        if not written.finished or not written.text.strip():
            return 0.0
        said = editor.verdicts(prompt([texts[one], texts[other]]), [written.text])
        return float(said[0, 0].sigmoid())

    return verdict
