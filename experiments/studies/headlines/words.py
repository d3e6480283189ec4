"""What a headline's words promise, learned from other tests: a ridge regression of its rate relative to its test's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from experiments.studies.headlines.archive import Archive, plain

Array = NDArray[np.float64]
AXES = 300
"""Axes that the words and letters of headlines, and hidden states, are brought to."""
OWN = 0.25
"""Deviation of a headline's own factor: beyond some clicks, more of them say no more of words."""
PENALTIES = (10.0, 20.0, 40.0, 80.0, 160.0)
"""Ridge penalties that are tried, in headlines."""
INNER = 4
"""Parts in which the training tests try features and penalties."""
FAR = 4.0
"""Deviations from the mean at which a number of a vector is cut: a few numbers of hidden states drown all others."""
_FORM = (r"\?", r"\d", r"['\"\u2018-\u201d]", r"\.\.\.|\u2026", r"!", r"(?i)\byou", r"(?i)\bthis\b", r"(?i)\bhow\b",
         r"(?i)\bwhy\b", r"(?i)\bwhat\b", r"(?i)\b(?:he|she|they|him|her|them|his)\b")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Promise:
    """What was learned from the tests of all folds but one.

    Parameters
    ----------
    factors : array of shape (N,)
        What each headline promises beside the others of its test, whose mean is 1: of training tests as it was
        predicted from other training tests, of the fold's as predicted from all of them.
    features : tuple of str
        Chosen by cross-validation.
    penalty : float
    """

    factors: Array
    features: tuple[str, ...]
    penalty: float


def folds_of(archive: Archive, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the fold of each test (n,): tests that share an article or a headline have the same."""
    return np.random.default_rng(seed).integers(count, size=int(archive.groups.max()) + 1)[archive.groups]


def learn(archive: Archive, held_out: NDArray[np.bool_], vectors: Mapping[str, Array]) -> Promise:
    """Return what the words of all headlines promise, learned from the tests that are not held out.

    Features, and the penalty of a ridge regression on them, are those that predict best where they were not fitted.

    Parameters
    ----------
    archive : Archive
        Sound tests and others: a test with faulty assignment still says something of words.
    held_out : array of shape (n,)
    vectors : mapping of str to array of shape (N, d)
        Features that need no learning, such as sentence vectors. Words and letters (brought to few axes by the training
        headlines) and the form of headlines are tried beside them.
    """
    training = ~held_out[archive.tests]
    rate = archive.clicks[training].sum() / archive.impressions[training].sum()
    wanted = np.log((archive.clicks + 0.5) / (archive.impressions + 0.5 / rate))
    expected = archive.impressions * archive.test_rates()[archive.tests]
    weights = np.where(training, 1 / (OWN**2 + 1 / np.maximum(expected, 0.5)), 1.0)
    weights /= weights[training].mean()
    blocks = {"words": _words(archive.headlines, training), "form": _standardised(_form(archive.headlines), training)}
    blocks |= {name: _standardised(block, training) for name, block in vectors.items()}
    centred = {name: _few(_centred(archive, block, weights), training) for name, block in blocks.items()}
    wanted = _centred(archive, wanted[:, None], weights)[:, 0]
    names, everything = tuple(centred), np.concatenate(list(centred.values()), axis=1)
    ends = np.cumsum([0, *(block.shape[1] for block in centred.values())])
    places = {name: np.arange(*pair) for name, pair in zip(names, pairwise(ends), strict=True)}
    parts = folds_of(archive, INNER, seed=1)[archive.tests]
    own = [training & (parts == part) for part in range(INNER)]
    sums = [_products(everything[rows], wanted[rows], weights[rows]) for rows in own]
    best: tuple[float, Any] = (np.inf, None)
    for chosen in _subsets(names):
        columns = np.concatenate([places[name] for name in chosen])
        predicted = np.zeros((len(PENALTIES), len(wanted)))
        for part, rows in enumerate(own):
            slopes = _solved([one for other, one in enumerate(sums) if other != part], columns, PENALTIES)
            predicted[:, rows] = (everything[np.ix_(rows, columns)] @ slopes).T
        errors = (wanted - predicted)[:, training] ** 2 @ weights[training]
        if (error := float(errors.min())) < best[0]:
            place = int(errors.argmin())
            best = (error, (chosen, PENALTIES[place], columns, predicted[place]))
    chosen, penalty, columns, predicted = best[1]
    scale = float(weights[training] @ (predicted * wanted)[training])
    scale /= max(float(weights[training] @ predicted[training] ** 2), 1e-12)
    predicted[~training] = everything[np.ix_(~training, columns)] @ _solved(sums, columns, (penalty,))[:, 0]
    factors = np.exp(max(scale, 0.0) * predicted)
    factors /= (np.bincount(archive.tests, factors) / archive.arms)[archive.tests]
    return Promise(factors, chosen, penalty)


def accuracy(archive: Archive, factors: Array) -> dict[str, float]:
    """Return how well the words order headlines of a test as their clicks do.

    The share of pairs in the right order, and of tests whose best headline has the greatest promise, beside that of
    guessing; the correlation with relative rates within tests, as it is and with the noise of counts taken out, and the
    share of the true variance within tests that is explained. The first three are beside clicks, not the truth.
    """
    starts = np.searchsorted(archive.tests, np.arange(archive.count + 1))
    right = pairs = first = 0.0
    for start, end in pairwise(starts):
        rates, promised = archive.rates[start:end], factors[start:end]
        a, b = np.triu_indices(end - start, 1)
        apart = rates[a] != rates[b]
        agree = np.sign(rates[a] - rates[b]) * np.sign(promised[a] - promised[b])
        right, pairs = right + float((agree[apart] + 1).sum() / 2), pairs + float(apart.sum())
        first += float(rates[promised.argmax()] == rates.max())
    expected = np.maximum(archive.test_rates()[archive.tests] * archive.impressions, 1e-12)
    each = np.ones(len(factors))
    relative, promised = (
        _centred(archive, values[:, None], each)[:, 0] for values in (archive.clicks / expected, factors)
    )
    # of the variance of relative rates, what Poisson counts alone would make
    chance = float(((1 - 1 / archive.arms[archive.tests]) / np.maximum(expected, 1)).sum())
    true = max(float(relative @ relative) - chance, 1e-12)
    shared, own = float(relative @ promised), max(float(promised @ promised), 1e-12)
    return {"pairs_right": right / max(pairs, 1), "best_named": first / archive.count,
            "best_guessed": float((1 / archive.arms).mean()),
            "correlation": shared / float(np.sqrt(max(float(relative @ relative), 1e-12) * own)),
            "true_correlation": min(shared / float(np.sqrt(true * own)), 1.0),
            "variance_explained": min(shared**2 / (true * own), 1.0)}  # fmt: skip


def _subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all features together, and without each."""
    return [tuple(names), *(tuple(name for name in names if name != other) for other in names)]


def _words(headlines: Sequence[str], training: NDArray[np.bool_]) -> Array:
    """Return words, pairs of them, and runs of letters on the axes in which training headlines differ most."""
    texts = [plain(headline) for headline in headlines]
    seen = [text for text, known in zip(texts, training, strict=True) if known]
    counted = [
        TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=5, sublinear_tf=True),
    ]
    known = [counter.fit(seen).transform(texts) for counter in counted]
    joined = hstack(known).tocsr()
    axes = TruncatedSVD(min(AXES, joined.shape[1] - 1, len(seen) - 1), random_state=0).fit(joined[training])
    found: Array = axes.transform(joined)
    return found


def _form(headlines: Sequence[str]) -> Array:
    """Return how long headlines are, how many capitals and full stops they have, and what signs and words of a kind."""
    rows = [[len(text), len(text.split()), sum(map(str.isupper, text)), text.count("."),
             *(bool(re.search(pattern, text)) for pattern in _FORM)] for text in headlines]  # fmt: skip
    return np.array(rows, dtype=np.float64)


def _standardised(block: Array, training: NDArray[np.bool_]) -> Array:
    """Return vectors in deviations from the mean of training headlines, number by number, cut at `FAR`."""
    known = block[training]
    found: Array = ((block - known.mean(0)) / np.maximum(known.std(0), 1e-9)).clip(-FAR, FAR)
    return found


def _centred(archive: Archive, block: Array, weights: Array) -> Array:
    """Return features less the mean of their test."""
    block = np.asarray(block, dtype=np.float64)
    totals = np.zeros((archive.count, block.shape[1]))
    np.add.at(totals, archive.tests, block * weights[:, None])
    return block - (totals / np.bincount(archive.tests, weights)[:, None])[archive.tests]


def _few(block: Array, training: NDArray[np.bool_]) -> Array:
    """Return features on the axes in which training headlines differ most from the others of their tests.

    Scaled so that their variances sum to 1 over training headlines.
    """
    if block.shape[1] > AXES:
        axes = np.linalg.eigh(block[training].T @ block[training])[1][:, : -AXES - 1 : -1]
        block = block @ axes
    return block / max(float(np.sqrt((block[training] ** 2).sum(1).mean())), 1e-12)


def _products(features: Array, wanted: Array, weights: Array) -> tuple[Array, Array]:
    weighted = features * weights[:, None]
    return weighted.T @ features, weighted.T @ wanted


def _solved(sums: Sequence[tuple[Array, Array]], columns: NDArray[np.int64], penalties: Sequence[float]) -> Array:
    """Return the slopes under each penalty, one a column."""
    values, axes = np.linalg.eigh(sum(one for one, _ in sums)[np.ix_(columns, columns)])  # type: ignore[index]
    along = axes.T @ sum(one for _, one in sums)[columns]  # type: ignore[index]
    found: Array = axes @ (along[:, None] / (values[:, None] + np.asarray(penalties)))
    return found
