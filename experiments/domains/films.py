"""Films: MovieLens' ratings and tags, with the first paragraphs of Wikipedia's articles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from bandits.evaluation.tables import read_table
from copyloom import InputError
from copyloom.numbers import parse_numbers
from experiments.domains.domain import Domain, Entity, is_held_out, make_domain, thinned
from experiments.domains.tastes import Tastes

RATINGS, WIKIPEDIA = "movielens-latest-small", "movies-wikipedia"
_COLUMNS = {"ratings": ("userId", "movieId", "rating"), "tags": ("movieId", "tag")}
_WANTED = ["movieId", "title", "year", "genres", "cast", "extract"]
GENRES = {
    "Action": "action", "Adventure": "adventure", "Animation": "animated", "Animated": "animated",
    "Children": "family", "Family": "family", "Comedy": "comedy", "Crime": "crime", "Documentary": "documentary",
    "Drama": "drama", "Fantasy": "fantasy", "Film-Noir": "noir", "Noir": "noir", "Historical": "historical",
    "Horror": "horror", "Slasher": "horror", "Musical": "musical", "Mystery": "mystery", "Romance": "romance",
    "Sci-Fi": "science fiction", "Science Fiction": "science fiction", "Sports": "sports", "Superhero": "superhero",
    "Thriller": "thriller", "Suspense": "thriller", "War": "war", "Western": "western", "Biography": "biographical",
}  # fmt: skip
"""What genres of MovieLens and Wikipedia are called here; all others are left out."""
_KIND = re.compile(
    r"\b(?:is|was) an? ((?:[\w'/&–-]+,? ){0,12}?(?:film|movie|comedy|drama|western|musical|documentary|thriller|"
    r"adaptation))s?\b(?: film\b)?", re.IGNORECASE)  # fmt: skip
_PLOT = re.compile(
    r"\b(?:follows?|tells|cent(?:er|re)s|revolves|concerns|depicts|focuses|story of|story about|plot|about an?|"
    r"about the|chronicles|portrays|set in|set during|deals with|explores|recounts)\b", re.IGNORECASE)  # fmt: skip
_MADE = re.compile(
    r"\b(?:directed|released|box office|produced|written by|screenplay|nominated|awards?|reviews|grossed|sequel|"
    r"prequel|distributed|premiered|critics|critical|Pictures|soundtrack|filmed|filming|shot|budget|installment|franchise|score|"
    r"Academy|remake|stars?|starring|novel|directorial)\b", re.IGNORECASE)  # fmt: skip
"""Words of sentences that say how a film was made and received, not what it is about."""
_SENTENCES = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\b(?:Dr|Mr|Ms|St|Jr|vs)\.)(?<!\bMrs\.)\s+(?=[A-Z\"“])")
_ASIDE = re.compile(r"\s*\([^()]*\)")
_TAIL = re.compile(
    r"\b(?:as|plays|playing|play|portrays) (an? [^,.]* (?:who|that|whose) .+)$|"
    r"\b(?:follows|following|tells the story of|cent(?:er|re)s on|about|depicts|depicting|concerns|revolves around|"
    r"chronicles|chronicling|focuses on|focusing on|in which) ((?:an?|the|his|her|two|three|four|five|\w+s?\b) .+)$"
)
"""How a sentence of another kind ends that says at last what a film is about."""
_YEAR, _ARTICLE = re.compile(r"\b(?:18|19|20)\d\d\b"), re.compile(r"^(?:an?|the) ", re.IGNORECASE)
_LONGEST = 240
"""Characters of a plot, at most."""
_CAST, _FAMOUS = 8, 12
"""Names that are kept of a cast, and known films of the collection from which on one is a star."""
_STARS = (0.5, 5.0)
"""Of a rating, at least and at most."""
_NO_TAGS = {"in netflix queue", "imdb top 250", "seen more than once", "dvd", "own", "to see"}


def load_films(data: Path, encode: Callable[[Sequence[str]], Tensor], most: int = 100_000) -> Domain:
    """Return the films of a folder that holds ``movielens-latest-small`` and ``movies-wikipedia``.

    Films whose article says not what they are about are left out.

    Parameters
    ----------
    data : Path
    encode : callable
        From texts to sentence vectors (B, S).
    most : int
        Films that are taken at most, evenly from all.

    Raises
    ------
    InputError
        If a file is not there, lacks a column or has other values than its column should.
    """
    rows = _wikipedia(data / WIKIPEDIA / "movies.parquet")
    ratings, tags = (_table(data / RATINGS / f"{name}.csv", columns) for name, columns in _COLUMNS.items())
    said: dict[str, Counter[str]] = {}
    for movie, tag in zip(tags["movieId"].to_pylist(), tags["tag"].to_pylist(), strict=True):
        said.setdefault(str(movie), Counter())[str(tag).strip().lower()] += 1
    famous = Counter(name for row in rows if not is_held_out(str(row["movieId"])) for name in row["cast"] or ())
    films = [_film(row, said.get(str(row["movieId"]), Counter()), famous) for row in rows]
    entities = thinned([one for one in films if one.facts.get("plot")], most)
    return make_domain("films", entities, encode, _tastes(ratings, [one.key for one in entities]))


def _wikipedia(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise InputError(f"there is no {path}; give the folder that holds {WIKIPEDIA} and {RATINGS}")
    table = pq.read_table(path)
    if lacking := [name for name in _WANTED if name not in table.column_names]:
        raise InputError(f"{path} lacks the columns {', '.join(lacking)}")
    rows: list[dict[str, Any]] = table.select(_WANTED).to_pylist()
    for number, row in enumerate(rows, 1):
        _check(row, f"{path}, row {number}")
    return sorted((row for row in rows if (row["extract"] or "").strip()), key=lambda row: row["movieId"])


def _check(row: Mapping[str, Any], where: str) -> None:
    """Raise `InputError` where a film's columns hold something else than they should."""
    for name in ("movieId", "year"):
        if type(row[name]) is not int:
            raise InputError(f"{where}: {name} is {row[name]!r}; give a whole number")
    for name in ("title", "extract"):
        if not isinstance(row[name], str) and (name == "title" or row[name] is not None):
            raise InputError(f"{where}: {name} is {row[name]!r}; give a text")
    for name in ("genres", "cast"):
        if row[name] is not None and not (isinstance(row[name], list) and all(isinstance(n, str) for n in row[name])):
            raise InputError(f"{where}: {name} is {row[name]!r}; give a list of texts")


def _table(path: Path, columns: Sequence[str]) -> pa.Table:
    if not path.is_file():
        raise InputError(f"there is no {path}; give the folder that holds {RATINGS} and {WIKIPEDIA}")
    return read_table(path, columns)


def _tastes(ratings: pa.Table, keys: Sequence[str]) -> Tastes:
    places = {key: number for number, key in enumerate(keys)}
    items = np.array([places.get(str(movie), -1) for movie in ratings["movieId"].to_pylist()])
    kept = items >= 0
    if not kept.any():
        raise InputError("no rating is of a film that has an article; give files of the same films")
    values = np.array(parse_numbers([str(one) for one in ratings["rating"].to_pylist()]))
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"ratings, row {row + 1}: {ratings['rating'][row].as_py()!r} is no number")
    if (odd := (values < _STARS[0]) | (values > _STARS[1])).any():
        row = int(np.flatnonzero(odd)[0])
        raise InputError(f"ratings, row {row + 1}: {values[row]:g} is no rating; give {_STARS[0]:g} to {_STARS[1]:g}")
    people = np.unique([str(user) for user in ratings["userId"].to_pylist()], return_inverse=True)[1]
    return Tastes.fit(people[kept].astype(np.int64), items[kept], values[kept], len(keys))


def _film(row: Mapping[str, Any], tags: Counter[str], famous: Counter[str]) -> Entity:
    title, year = str(row["title"]), int(row["year"])
    sentences = [_cleaned(one) for one in _SENTENCES.split(" ".join(row["extract"].split()))]
    found = _KIND.search(sentences[0])
    kind = _ARTICLE.sub("", _YEAR.sub("", found.group(1))).strip() if found else "film"
    plot = [_as_plot(one, title) for one in _about(sentences)]
    cast = tuple(row["cast"] or ())[:_CAST]
    genres = tuple(dict.fromkeys(GENRES[name] for name in row["genres"] or () if name in GENRES))
    facts = {
        "genres": genres or ("drama",), "period": (f"{year // 10 * 10}s",), "year": (str(year),), "kind": (kind,),
        "plot": tuple(plot), "cast": cast,
        "tags": tuple(tag for tag, _ in tags.most_common() if tag not in _NO_TAGS and len(tag) <= 24)[:6],
        "stars": tuple(name for name in cast if famous[name] >= _FAMOUS),
    }  # fmt: skip
    tagged = f"Tags: {', '.join(facts['tags'])}." if facts["tags"] else ""
    said = " ".join([f"A {facts['period'][0]} {kind}.", f"Genres: {', '.join(facts['genres'])}.", *plot, tagged])
    return Entity(str(row["movieId"]), f"{title} ({year})", said.strip(), {k: v for k, v in facts.items() if v})


def _about(sentences: Sequence[str]) -> list[str]:
    """Return the sentences that say what a film is about, the first ones of them that fit."""
    found, length = list[str](), 0
    for one in sentences[1:]:
        if _PLOT.search(one) and not _MADE.search(one) and (length + len(one) <= _LONGEST or not found):
            found.append(one)
            length += len(one)
    return found or [f"It is about {said}" for one in sentences if (said := _tail(one))][:1]


def _tail(sentence: str) -> str:
    """Return what the end of a sentence says that a film is about, or nothing."""
    for found in _TAIL.finditer(sentence):
        said = found.group(1) or found.group(2)
        if not _MADE.search(said) and len(said.split()) > 4:
            return said
    return ""


def _as_plot(sentence: str, title: str) -> str:
    """Return a sentence that calls its film "the film"."""
    found = re.sub(rf"\b{re.escape(title)}\b", "the film", sentence)
    return found[:1].upper() + found[1:]


def _cleaned(sentence: str) -> str:
    return _ASIDE.sub("", sentence).strip()
