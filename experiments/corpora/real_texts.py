"""The real texts that copyloom-tiny trains on, and the split that holds some of them out."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from experiments.held_out import hashed, is_held_out
from generator.settings import read_yaml

MIN_CHARACTERS, MAX_CHARACTERS = 12, 110
_JUDGES_SHARE = 0.25
_MARKUP = re.compile(r"<[^>]*>")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def shared_data() -> Path | None:
    """Return the folder of real texts, or None where there is none.

    It is ``$COPYLOOM_DATA``, or ``../shared/data`` beside the project.
    """
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("COPYLOOM_DATA", beside))
    return folder if folder.is_dir() else None


def real_texts(folder: Path) -> list[str]:
    """Return the distinct short texts (12 to 110 characters) of all sources in `folder`, sorted."""
    texts: set[str] = set()
    for read in _READERS:
        texts.update(" ".join(text.split()) for text in read(folder) if text)
    return sorted(text for text in texts if MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS)


def sentences(folder: Path) -> list[str]:
    """Return the distinct short sentences of listings and of longer news descriptions, sorted."""
    rows = [*_descriptions(folder), *_huffpost(folder)]
    found = {" ".join(sentence.split()) for row in rows for sentence in split_sentences(row)}
    return sorted(text for text in found if MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS)


def headlines(folder: Path) -> list[str]:
    """Return the headlines of news sites, as they stand."""
    rows = [row for read in (_clickbait, _abc, _upworthy) for row in read(folder)]
    return [*rows, *islice(_huffpost(folder), 0, None, 2)]


def listings(folder: Path) -> list[str]:
    """Return titles of rooms to let and the sentences of their descriptions."""
    return [*_airbnb(folder), *(sentence for row in _descriptions(folder) for sentence in split_sentences(row))]


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text that may hold mark-up and lines."""
    return [sentence for part in _MARKUP.sub("\n", text).split("\n") for sentence in _SENTENCE.split(part)]


def is_judges(text: str) -> bool:
    """Say whether a real text is kept from copyloom-tiny, for judges of it to be trained on: a quarter of the rest."""
    return hashed(text, "judge") < _JUDGES_SHARE and not is_held_out(text)


def training_share(texts: Iterable[str]) -> list[str]:
    """Return the texts that are neither held out nor the judge's."""
    return [text for text in texts if not is_held_out(text) and not is_judges(text)]


def _clickbait(folder: Path) -> Iterator[str]:
    for name in ("clickbait_data.gz", "non_clickbait_data.gz"):
        with gzip.open(folder / "headlines-clickbait" / name, "rt", encoding="utf-8") as lines:
            yield from lines


def _abc(folder: Path) -> Iterator[str]:
    with gzip.open(folder / "headlines-abc" / "abcnews-date-text.csv.gz", "rt", encoding="utf-8") as lines:
        next(lines)
        yield from (line.partition(",")[2] for line in lines)


def _huffpost(folder: Path) -> Iterator[str]:
    with gzip.open(folder / "news-huffpost" / "News_Category_Dataset_v3.json.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield from (row["headline"], row["short_description"])


def _retail(folder: Path) -> Iterator[str]:
    for product in read_yaml(folder / "products-retail-demo-store" / "products.yaml"):
        yield product["name"]
        yield from _SENTENCE.split(product["description"])


def _fashion(folder: Path) -> Iterator[str]:
    table = pq.read_table(folder / "products-womens-fashion" / "products.parquet", columns=["title", "description"])
    yield from table["title"].to_pylist()
    for description in table["description"].to_pylist():
        yield from _SENTENCE.split(description or "")


def _descriptions(folder: Path) -> list[str]:
    columns = ["description", "neighborhood_overview"]
    table = pq.read_table(folder / "ads-airbnb-listings" / "listings_text.parquet", columns=columns)
    return [row or "" for column in columns for row in table[column].to_pylist()]


def _airbnb(folder: Path) -> Iterator[str]:
    table = pq.read_table(folder / "ads-airbnb-listings" / "listings_text.parquet", columns=["name"])
    yield from table["name"].to_pylist()


def _upworthy(folder: Path) -> Iterator[str]:
    yield from pq.read_table(folder / "upworthy" / "exploratory.parquet", columns=["headline"])["headline"].to_pylist()


_READERS: tuple[Callable[[Path], Iterator[str]], ...] = (
    _clickbait, _abc, _huffpost, _retail, _fashion, _airbnb, _upworthy,
)  # fmt: skip
