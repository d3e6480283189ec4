"""A folder of invented films, ratings and products, in the form of the real ones."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

GENRES = {"Comedy": "comedy", "Horror": "horror", "War": "war", "Western": "Western", "Musical": "musical"}
_DOES = ("searches for", "runs from", "falls for", "betrays", "rescues", "is haunted by", "must defend")
_FIRST = ("bal", "dor", "fen", "gil", "hap", "jun", "kor", "lim", "mop", "nar", "pel")
_SECOND = ("aker", "ison", "umber", "etta", "ollow", "ivet", "adle", "ewer", "ither", "orne", "uddy", "ask", "igel",
           "oom", "urst", "evin", "odge", "anto", "eep", "isk")  # fmt: skip
_THINGS = [f"{first}{second}" for first in _FIRST for second in _SECOND]
"""Words that are in no other text."""


def invented_data(folder: Path, films: int = 400, products: int = 300) -> Path:
    """Write the folder and return it: people with even numbers like comedies and musicals, the others do not."""
    rng = random.Random(0)
    rows, tastes = [], {}
    for number in range(films):
        own = rng.sample(list(GENRES), rng.choice((1, 2)))
        tastes[number + 1] = bool({"Comedy", "Musical"} & set(own))
        year = rng.randrange(1950, 2020)
        one, *rest = rng.sample(_THINGS, 6)
        plot = f"It follows a {one} who {rng.choice(_DOES)} a {rest[0]}, {' and '.join(rest[1:4])}, near a {rest[4]}."
        said = " ".join(GENRES[one] for one in own)
        rows.append({
            "movieId": number + 1, "title": f"Invented {number}", "year": year, "genres": own,
            "cast": [f"Star {number % 9}", f"Actor {number}"],
            "extract": f"Invented {number} is a {year} American {said} film directed by Jane A. Doe. {plot}",
        })  # fmt: skip
    (folder / "movies-wikipedia").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "movies-wikipedia" / "movies.parquet")
    lens = folder / "movielens-latest-small"
    lens.mkdir()
    ratings = [(user, film, 4.5 if (user % 2 == 0) == tastes[film] else 2.0, 0)
               for user in range(40) for film in rng.sample(range(1, films + 1), films // 4)]  # fmt: skip
    _csv(lens / "ratings.csv", "userId,movieId,rating,timestamp", ratings)
    _csv(lens / "tags.csv", "userId,movieId,tag,timestamp", [(1, film, "slow", 0) for film in range(1, films, 7)])
    _products(folder, products, rng)
    return folder


def _products(folder: Path, count: int, rng: random.Random) -> None:
    kinds, looks = ("backpack", "kettle", "lamp", "scarf"), ("red", "quiet", "striped", "sturdy", "light", "warm")
    retail, fashion = [], []
    for number in range(count):
        kind, some = rng.choice(kinds), rng.sample(looks, 3)
        said = f"This {some[0]} {kind} is {some[1]} and {some[2]}. Made for day {number}."
        name = f"{' '.join(some).title()} {kind.title()}"
        if number % 2:
            fashion.append({"handle": f"f{number}", "title": name, "product_type": kind.title(),
                            "tags": " | ".join(["Ship from USA", *some]), "description": said})  # fmt: skip
        else:
            retail.append({"id": f"r{number}", "name": name, "style": kind, "category": "outdoors",
                           "description": said, "gender_affinity": "F"})  # fmt: skip
    (folder / "products-retail-demo-store").mkdir()
    (folder / "products-womens-fashion").mkdir()
    (folder / "products-retail-demo-store" / "products.yaml").write_text(yaml.safe_dump(retail))
    pq.write_table(pa.Table.from_pylist(fashion), folder / "products-womens-fashion" / "products.parquet")


def _csv(path: Path, names: str, rows: list[tuple[object, ...]]) -> None:
    path.write_text("\n".join([names, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
