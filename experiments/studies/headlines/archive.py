"""Tests of headlines as an archive holds them: read, cleaned and pooled, with what was left out and why.

The columns are those of the Upworthy Research Archive (Matias, Munger, Aubin Le Quere and Ebersole 2021, Scientific
Data 8:195): a row is a package, which is a headline with its picture in one test.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2

from copyloom import InputError
from copyloom.tables import Reading, open_table

NEEDED = ("clickability_test_id", "headline", "impressions", "clicks")
PICTURE, DAY, WEEK = "eyecatcher_id", "created_at", "test_week"
FAULTY_DAYS = ("2013-06-25", "2014-01-10")
"""First and last day on which readers were probably not assigned one by one: the archive's note of June 2024."""
_FAULTY_WEEKS = ("201325", "201401")
RATIO_LEVEL = 0.001
"""A test whose packages were not shown alike at this level (chi-square) is left out."""

WINDOW, RATIO, SINGLE, UNSEEN, WORDLESS = (
    "tests on days of faulty assignment", "tests whose packages were not shown alike", "tests with one headline",
    "packages without impressions", "packages without a headline",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Archive:
    """Tests of n articles with N headlines in all, those of a test beside each other.

    Parameters
    ----------
    headlines : tuple of str
        N of them.
    tests : array of shape (N,)
        Which test each belongs to, 0 to n - 1, ascending.
    impressions, clicks : array of shape (N,)
    groups : array of shape (n,)
        Tests of one number share an article or a headline: what is learned from one is not tried on the other.
    sound : array of shape (n,)
        Whether a test's readers were assigned as they should. Of the others words may be learned, no more.
    left_out : dict
        How many tests and packages are not among the sound ones, by reason.
    """

    headlines: tuple[str, ...]
    tests: NDArray[np.int64]
    impressions: NDArray[np.int64]
    clicks: NDArray[np.int64]
    groups: NDArray[np.int64]
    sound: NDArray[np.bool_]
    left_out: dict[str, int]

    @property
    def count(self) -> int:
        """N."""
        return len(self.groups)

    @property
    def arms(self) -> NDArray[np.int64]:
        """Headlines of each test, (n,)."""
        return np.bincount(self.tests, minlength=self.count)

    @property
    def rates(self) -> NDArray[np.float64]:
        """Clicks per impression of each headline, (N,)."""
        return self.clicks / self.impressions

    def test_rates(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return clicks per impression of each test (n,), where impressions count as much as `weights` (N,) say."""
        shown = self.impressions if weights is None else self.impressions * weights
        found: NDArray[np.float64] = np.bincount(self.tests, self.clicks) / np.bincount(self.tests, shown)
        return found

    def only(self, tests: Sequence[int] | NDArray[np.int64]) -> Archive:
        """Return some of the tests, in their order here."""
        chosen = np.sort(np.asarray(tests))
        keep = np.isin(self.tests, chosen)
        places = np.searchsorted(chosen, self.tests[keep])
        kept = tuple(headline for headline, stays in zip(self.headlines, keep, strict=True) if stays)
        return replace(self, headlines=kept, tests=places, impressions=self.impressions[keep],
                       clicks=self.clicks[keep], groups=self.groups[chosen], sound=self.sound[chosen])  # fmt: skip


def plain(headline: str) -> str:
    """Return a headline such that two are equal if a reader would call them the same."""
    return " ".join(unicodedata.normalize("NFKC", headline).casefold().split())


def read_archive(path: Path | str, reading: Reading | None = None, keep_faulty: bool = False) -> Archive:
    """Return the sound tests of an archive; parameters and errors are those of `read_whole`."""
    whole = read_whole(path, reading, keep_faulty)
    return whole.only(np.flatnonzero(whole.sound))


def read_whole(path: Path | str, reading: Reading | None = None, keep_faulty: bool = False) -> Archive:
    """Return the tests of an archive, those that are not sound among them.

    Packages of one test with one picture (where pictures are known) and equal headlines are pooled. A test is a
    picture of a test with two headlines or more.

    Parameters
    ----------
    path : Path or str
        CSV, Parquet or any other table with the archive's columns; `eyecatcher_id`, `created_at` and `test_week` may be
        missing.
    reading : Reading, optional
    keep_faulty : bool
        Whether tests of the faulty days, and those that fail the check of the sample ratio, are taken for sound.

    Raises
    ------
    InputError
        If columns are missing, a count is no whole number, there are more clicks than impressions, or no sound test is
        left.
    """
    table = open_table(path, reading, wanted=NEEDED)
    optional = [name for name in (PICTURE, DAY, WEEK) if name in table.columns]
    columns = table.table([*NEEDED, *optional])
    ids = _strings(columns["clickability_test_id"])
    headlines = _strings(columns["headline"])
    impressions, clicks = (_counts(columns[name], name, table.name) for name in NEEDED[2:])
    if (more := np.flatnonzero(clicks > impressions)).size:
        row = int(more[0])
        raise InputError(
            f"{table.name}, row {row + 1}: {clicks[row]} clicks on {impressions[row]} impressions; "
            "an impression has one click at most"
        )
    left_out: Counter[str] = Counter()
    worded = np.array([bool(headline.strip()) for headline in headlines], dtype=bool)
    left_out[WORDLESS], left_out[UNSEEN] = int((~worded).sum()), int((worded & (impressions == 0)).sum())
    rows = np.flatnonzero(worded & (impressions > 0))
    articles = _numbered([ids[row] for row in rows])
    sound = np.ones(int(articles.max(initial=-1)) + 1, dtype=bool)
    if not keep_faulty:
        days = {name: _strings(columns[name]) for name in (DAY, WEEK) if name in optional}
        faulty, uneven = _faulty(articles, rows, days), _uneven(articles, impressions[rows])
        left_out[WINDOW], left_out[RATIO] = int(faulty.sum()), int((uneven & ~faulty).sum())
        sound = ~(faulty | uneven)
    pictures = _strings(columns[PICTURE]) if PICTURE in optional else [""] * len(ids)
    return _pooled(table.name, rows, articles, sound, pictures, headlines, impressions, clicks, left_out)


def _pooled(
    name: str, rows: NDArray[np.int64], articles: NDArray[np.int64], sound: NDArray[np.bool_], pictures: Sequence[str],
    headlines: Sequence[str], impressions: NDArray[np.int64], clicks: NDArray[np.int64], left_out: Counter[str],
) -> Archive:  # fmt: skip
    """Pool packages that differ in nothing but their number, and leave out tests with nothing to choose."""
    tests: dict[tuple[int, str], dict[str, list[Any]]] = {}
    for row, article in zip(rows.tolist(), articles.tolist(), strict=True):
        arms = tests.setdefault((article, pictures[row]), {})
        arm = arms.setdefault(plain(headlines[row]), [headlines[row], 0, 0])
        arm[1] += int(impressions[row])
        arm[2] += int(clicks[row])
    left_out[SINGLE] = sum(len(arms) < 2 for (article, _), arms in tests.items() if sound[article])
    kept = {key: arms for key, arms in tests.items() if len(arms) > 1}
    of_tests = sound[np.array([article for article, _ in kept], dtype=np.int64)]
    if not of_tests.any():
        raise InputError(f"{name} has no test with two headlines that were shown, once {dict(+left_out)} are left out")
    flat = [(place, *arm) for place, arms in enumerate(kept.values()) for arm in arms.values()]
    places, texts, shown, clicked = zip(*flat, strict=True)
    groups = _groups([article for article, _ in kept], np.array(places), _numbered([plain(text) for text in texts]))
    return Archive(tuple(texts), np.array(places), np.array(shown), np.array(clicked), groups, of_tests,
                   dict(+left_out))  # fmt: skip


def _groups(articles: Sequence[int], tests: NDArray[np.int64], texts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the groups of tests (n,) that share an article or a headline with one another."""
    count = len(articles)
    others = np.concatenate([np.array(articles), max(articles) + 1 + texts])
    pairs = (np.concatenate([np.arange(count), tests]), count + others)
    links = coo_array((np.ones(len(others)), pairs), shape=(count + int(others.max()) + 1,) * 2)
    labels = connected_components(links, directed=False)[1][:count]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _faulty(articles: NDArray[np.int64], rows: NDArray[np.int64], days: dict[str, list[str]]) -> NDArray[np.bool_]:
    """Say of each article whether its test began on a faulty day: by its day where that is known, else by its week."""
    count = int(articles.max(initial=-1)) + 1
    for column, (first, last), letters in ((DAY, FAULTY_DAYS, 10), (WEEK, _FAULTY_WEEKS, 6)):
        if column in days:
            begun = [""] * count
            for row, article in zip(rows.tolist(), articles.tolist(), strict=True):
                day = days[column][row][:letters]
                begun[article] = min(filter(None, (begun[article], day)), default="")
            return np.array([first <= day <= last for day in begun], dtype=bool)
    return np.zeros(count, dtype=bool)


def _uneven(articles: NDArray[np.int64], impressions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of each article whether its packages fail the chi-square test of having been shown alike."""
    packages = np.bincount(articles)
    expected = np.bincount(articles, impressions) / packages
    statistic = np.bincount(articles, (impressions - expected[articles]) ** 2 / expected[articles])
    found: NDArray[np.bool_] = (packages > 1) & (chi2.sf(statistic, np.maximum(packages - 1, 1)) < RATIO_LEVEL)
    return found


def _strings(column: pa.ChunkedArray) -> list[str]:
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _numbered(values: Sequence[str]) -> NDArray[np.int64]:
    """Number equal values alike, in order of appearance."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def _counts(column: pa.ChunkedArray, name: str, file: str) -> NDArray[np.int64]:
    found = np.zeros(len(column), dtype=np.int64)
    for row, value in enumerate(column.to_pylist()):
        try:
            number = float(value)
            found[row] = int(number)
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        if number < 0 or number != found[row]:
            raise InputError(f"{file}, row {row + 1}: {name} is {value!r}; give a whole number from 0")
    return found
