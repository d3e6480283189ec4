"""What words of other tests promise of headlines that nobody clicked: those written for stories stand beside the own.

A story that is judged is taken a second time, as a test that nothing is learned from, with further texts that were
never shown: what it teaches others is not changed by them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bandits.rewards.pooled_rates import RatePrior
from copyloom import Report
from experiments.studies.headlines.archive import Archive
from experiments.studies.headlines.vectors import vectors_of
from experiments.studies.headlines.words import Array, accuracy, folds_of, learn

HUMAN, WRITTEN, SHUFFLED, GLUED = "human", "written", "words shuffled", "halves glued"
"""Kinds of texts. The last two show whether spoilt text fools what was learned: people's headlines with the words in a
random order, and the first half of one with the second half of another."""
_STEPS = 60
"""Rates of tests that are told apart: of texts that were never shown nothing else says where they lie."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Sound tests with what other tests promise of them, and stories with further texts.

    Parameters
    ----------
    archive : Archive
        The sound tests (N headlines).
    factors : array of shape (N,)
        What words promise of each headline beside the others of its test, learned in other folds.
    near : array of shape (N,)
        Cosine of each headline's sentence vector to the nearest one in other folds.
    priors : tuple of RatePrior
        One a fold: how rates spread around what words promise, in the others.
    folds : array of shape (n,)
        Of the sound tests.
    stories : Archive
        The stories, with all texts.
    of_stories : array of shape (stories,)
        Which sound test each is.
    kinds : tuple of str
        Of the stories' texts (R of them).
    promised : array of shape (R,)
        What words promise of them; the mean of a story's human headlines is 1.
    stories_near : array of shape (R,)
        As `near`, of their texts.
    words : dict
        How good the promises are (`accuracy`), and whether the pretrained writer's states are among the features.
    """

    archive: Archive
    factors: Array
    near: Array
    priors: tuple[RatePrior, ...]
    folds: NDArray[np.int64]
    stories: Archive
    of_stories: NDArray[np.int64]
    kinds: tuple[str, ...]
    promised: Array
    stories_near: Array
    words: dict[str, float | bool]


def score(
    everything: Archive, stories: NDArray[np.int64], written: Sequence[Sequence[str]], folds: int, folder: Path,
    report: Report,
) -> Scored:  # fmt: skip
    """Return what words promise, each fold's tests judged by the others.

    Parameters
    ----------
    everything : Archive
        Sound tests and others.
    stories : array of int
        Which of them are judged.
    written : sequence of sequence of str
        Further texts of each.
    folds : int
    folder : Path
        Where vectors are kept.
    report : callable
    """
    texts, kinds = _texts(everything, stories, written)
    whole = _beside(everything, stories, texts)
    vectors = _vectors(everything.headlines, [text for some in texts for text in some], folder, report)
    fold, judged = folds_of(whole, folds), np.arange(whole.count) >= everything.count
    fold_of, judged_rows, sound = fold[whole.tests], judged[whole.tests], everything.sound[everything.tests]
    factors, priors = np.ones(len(whole.headlines)), []
    for number in range(folds):
        report("learning from other tests", number, folds)
        promise = learn(whole, (fold == number) | judged, vectors).factors
        factors[fold_of == number] = promise[fold_of == number]
        past = np.flatnonzero(everything.sound & (fold[: everything.count] != number))
        counted = everything.only(past)
        promises = promise[: len(everything.headlines)][np.isin(everything.tests, past)]
        priors.append(RatePrior.fit(counted.tests, counted.impressions, counted.clicks, promises, _STEPS))
    report("learning from other tests", folds, folds)
    nearest = _nearest(vectors["sentence"], fold_of, judged_rows)
    own, places = np.array(kinds) == HUMAN, whole.tests[judged_rows] - everything.count
    of_people = np.bincount(places[own], factors[judged_rows][own]) / np.bincount(places[own])
    archive, known = everything.only(np.flatnonzero(everything.sound)), np.flatnonzero(sound)
    return Scored(
        archive, factors[known], nearest[known], tuple(priors), fold[: everything.count][everything.sound],
        whole.only(np.flatnonzero(judged)), np.searchsorted(np.flatnonzero(everything.sound), stories), kinds,
        factors[judged_rows] / of_people[places], nearest[judged_rows],
        {**accuracy(archive, factors[known]), "states": "states" in vectors},
    )  # fmt: skip


def _texts(
    everything: Archive, stories: NDArray[np.int64], written: Sequence[Sequence[str]]
) -> tuple[list[list[str]], tuple[str, ...]]:
    """Return all texts of each story, its own first, and the kinds of all."""
    starts = np.searchsorted(everything.tests, [stories, stories + 1])
    texts, kinds = [], list[str]()
    for first, end, more in zip(*starts, written, strict=True):
        own = everything.headlines[first:end]
        parts = {HUMAN: own, WRITTEN: more, SHUFFLED: [shuffled(text) for text in own], GLUED: glued(own)}
        texts.append([text for part in parts.values() for text in part])
        kinds += [kind for kind, part in parts.items() for _ in part]
    return texts, tuple(kinds)


def shuffled(text: str) -> str:
    """Return the words of a text in an order that is drawn, always the same one for a text."""
    words = text.split()
    random.Random(text).shuffle(words)
    return " ".join(words)


def glued(texts: Sequence[str]) -> list[str]:
    """Return the first half of each text with the second half of the next.

    Examples
    --------
    >>> glued(["A mug for cold days", "Why tea is never late"])
    ['A mug is never late', 'Why tea for cold days']
    """
    halves = [(words[: len(words) // 2], words[len(words) // 2 :]) for words in map(str.split, texts)]
    return [" ".join([*halves[place][0], *halves[(place + 1) % len(halves)][1]]) for place in range(len(halves))]


def _beside(everything: Archive, stories: NDArray[np.int64], texts: Sequence[Sequence[str]]) -> Archive:
    """Return the archive and, after it, each story with all its texts; what is not its own was never shown."""
    sizes = [len(some) for some in texts]
    counts = np.zeros((2, sum(sizes)), dtype=np.int64)  # impressions, clicks
    own = np.stack([everything.impressions, everything.clicks])
    for place, story in zip(np.cumsum([0, *sizes[:-1]]), stories, strict=True):
        mine = own[:, everything.tests == story]
        counts[:, place : place + mine.shape[1]] = mine
    again = np.repeat(np.arange(everything.count, everything.count + len(stories)), sizes)
    return replace(
        everything, headlines=(*everything.headlines, *(text for some in texts for text in some)),
        tests=np.concatenate([everything.tests, again]),
        impressions=np.concatenate([everything.impressions, counts[0]]),
        clicks=np.concatenate([everything.clicks, counts[1]]),
        groups=np.concatenate([everything.groups, everything.groups[stories]]),
        sound=np.concatenate([everything.sound, np.zeros(len(stories), dtype=bool)]),
    )  # fmt: skip


def _vectors(known: Sequence[str], further: Sequence[str], folder: Path, report: Report) -> dict[str, Array]:
    """Return the vectors of the archive's headlines, which are kept whatever is written, and of further texts."""
    new = sorted(set(further) - set(known))
    parts = vectors_of(known, folder, report), vectors_of(new, folder, report)
    places = {text: place for place, text in enumerate([*known, *new])}
    order = [places[text] for text in (*known, *further)]
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _nearest(vectors: Array, folds: NDArray[np.int64], judged: NDArray[np.bool_]) -> Array:
    """Return the cosine of each text to the nearest headline of the archive in another fold."""
    directions = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = np.zeros(len(vectors))
    for fold in np.unique(folds):
        found[folds == fold] = (directions[folds == fold] @ directions[~judged & (folds != fold)].T).max(1)
    return found
