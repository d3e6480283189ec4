"""Films and products: facts from files, vectors that foretell what people like, and what is held out."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from torch.nn.functional import normalize

from copyloom import InputError
from experiments.domains.domain import Entity, is_held_out, make_domain, thinned
from experiments.domains.films import load_films
from experiments.domains.products import load_products
from experiments.domains.tastes import Tastes, standardised
from tests.experiments.domains.invented import invented_data


def letters(texts):
    """Return vectors that count letters: quick, and alike for texts that are."""
    counts = torch.tensor([[text.lower().count(chr(97 + place)) for place in range(26)] for text in texts])
    return normalize(counts.float(), dim=-1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return invented_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def films(folder):
    return load_films(folder, letters)


def test_a_film_has_its_facts_and_its_name_is_not_in_its_text(films):
    film = next(one for one in films.entities if one.key == "4")
    assert film.name == f"Invented 3 ({film.fact('year')})"
    assert film.fact("period") == f"{film.fact('year')[:3]}0s"
    assert film.fact("plot").startswith("It follows ")
    assert "Invented" not in film.text
    assert "Jane" not in film.text
    assert film.fact("plot") in film.text
    assert all(genre in film.text for genre in film.facts["genres"])
    assert film.facts["stars"] == ("Star 3",)


def test_people_who_like_comedies_are_foretold_to(films):
    tastes = films.tastes
    comedy = [n for n, one in enumerate(films.entities) if one.facts["genres"] == ("comedy",)]
    war = [n for n, one in enumerate(films.entities) if one.facts["genres"] == ("war",)]
    even = np.array([int(name) % 2 == 0 for name in sorted(map(str, range(40)))])
    for values in (tastes.item_values, tastes.foretold(films.semantic)):
        ratings = tastes.ratings_of(values, range(40))
        above = ratings[comedy].mean(0) - ratings[war].mean(0)
        assert (above[even] > 0.3).all()
        assert (above[~even] < -0.3).all()
    assert tastes.explained > 0.1


def test_held_out_by_key_alone_and_evenly_thinned(films, folder):
    assert {films.entities[n].key for n in films.held_out} == {e.key for e in films.entities if is_held_out(e.key)}
    assert not set(films.held_out) & set(films.known)
    few = load_films(folder, letters, 80)
    assert len(few.entities) == 80
    assert {few.entities[n].key for n in few.held_out} <= {films.entities[n].key for n in films.held_out}
    assert thinned(films.entities[:3], 5) == list(films.entities[:3])


def test_what_is_held_out_does_not_teach_how_texts_are_liked(films):
    tastes, upside_down = films.tastes, films.semantic.clone()
    upside_down[list(films.held_out)] *= -1
    again = tastes.with_texts(upside_down.numpy(), films.known)
    assert np.array_equal(again.weights, tastes.weights)


def test_the_nearest_is_by_cosine_among_those_that_are_given(films):
    points = films.semantic[:5]
    assert films.nearest(points, range(len(films.entities)))[:, 0].tolist() == list(range(5))
    assert films.nearest(points, [7, 9], 2).sort().values.tolist() == [[7, 9]] * 5
    assert films.nearest(points, [7, 9], 40).shape == (5, 2)  # no more than there are


def test_products_have_titles_features_and_texts_of_both_sources(folder):
    products = load_products(folder, letters)
    assert {one.key[0] for one in products.entities} == {"r", "f"}
    one = next(one for one in products.entities if one.key[0] == "f")
    assert "usa" not in " ".join(one.facts["tags"])
    assert one.facts["about"][0] in one.text


def test_standardised_values_are_about_as_long_as_sentence_vectors():
    values = standardised(np.random.default_rng(0).normal(3, 9, (500, 16)), np.ones(500, bool))
    assert values.norm(dim=1).mean() == pytest.approx(1, abs=0.05)


def test_bad_data_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*movies.parquet"):
        load_films(tmp_path, letters)
    with pytest.raises(InputError, match=r"there is no .*products.yaml"):
        load_products(tmp_path, letters)
    some = [Entity(str(n), "a", "words", {}) for n in range(50)]
    with pytest.raises(InputError, match="1 films have no text, such as 'silent'"):
        make_domain("films", [*some, Entity("x", "silent", " ", {})], letters)
    with pytest.raises(InputError, match="some films have the same key"):
        make_domain("films", [*some, some[0]], letters)
    with pytest.raises(InputError, match="12 films were given"):
        make_domain("films", some[:12], letters)
    with pytest.raises(InputError, match="0 ratings teach no tastes"):
        Tastes.fit(np.zeros(0, int), np.zeros(0, int), np.zeros(0), 3)


@pytest.mark.parametrize(("given", "said"), [("good", "'good' is no number"), ("450", "450 is no rating; give 0.5 to")])
def test_a_rating_that_is_none_is_named(tmp_path, given, said):
    data = invented_data(tmp_path, 60, 4)
    path = data / "movielens-latest-small" / "ratings.csv"
    rows = path.read_text().splitlines()
    rows[7] = rows[7].replace(rows[7].split(",")[2], given)
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match=f"ratings, row 7: {said}"):
        load_films(data, letters)


@pytest.mark.parametrize(
    ("name", "given"), [("year", None), ("cast", "Jane A. Doe"), ("genres", [None]), ("title", None)]
)
def test_a_film_that_is_not_as_its_columns_should_be_is_named(tmp_path, name, given):
    data = invented_data(tmp_path, 60, 4)
    path = data / "movies-wikipedia" / "movies.parquet"
    rows = pq.read_table(path).to_pylist()
    for number, row in enumerate(rows):
        row[name] = given if number == 2 or name == "cast" else row[name]
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(InputError, match=rf"movies.parquet, row \d: {name} is .*; give a "):
        load_films(data, letters)


def with_products(data, change):
    """Write the store's products anew, changed."""
    path = data / "products-retail-demo-store" / "products.yaml"
    rows = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(change(rows) or rows))
    return data


@pytest.mark.parametrize(("change", "said"), [
    (lambda rows: rows[3].pop("style"), "product 4: style is None; give a text"),
    (lambda rows: rows[3].update(description=7), "product 4: description is 7; give a text"),
    (lambda rows: rows.__setitem__(3, "kettle"), "product 4 is 'kettle'; give a mapping with id, name"),
    (lambda rows: {"products": rows}, "must hold a list of products"),
])  # fmt: skip
def test_a_product_that_is_not_as_it_should_be_is_named(tmp_path, change, said):
    def changed(rows):
        found = change(rows)
        return found if isinstance(found, dict) and "products" in found else None

    with pytest.raises(InputError, match=said):
        load_products(with_products(invented_data(tmp_path, 60, 100), changed), letters)


def test_products_without_a_description_are_left_out(tmp_path):
    def silent(rows):
        rows[0]["description"], rows[1]["description"] = None, "  "
        rows[2].pop("description")

    data = with_products(invented_data(tmp_path, 60, 100), silent)
    path = data / "products-womens-fashion" / "products.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["description"] = "Details Made of wool."
    pq.write_table(pa.Table.from_pylist(rows), path)
    kept = {one.key for one in load_products(data, letters).entities}
    assert not {"r0", "r2", "r4", "f1"} & kept
    assert {"r6", "f3"} <= kept


def test_products_of_one_description_are_held_out_together(tmp_path):
    def alike(rows):
        for number, row in enumerate(rows[:30]):
            row.update(name=f"Kettle {number}", description=f"It boils {number // 10}.", style=f"kettle {number}")

    products = load_products(with_products(invented_data(tmp_path, 60, 200), alike), letters)
    groups = {}
    for one in products.entities:
        groups.setdefault(one.facts["about"], set()).add(one.held_out)
    assert len(groups[("It boils 1.",)]) == 1
    assert all(len(found) == 1 for found in groups.values())


def test_real_films_and_products(shared_data):
    films = load_films(shared_data, lambda texts: normalize(torch.ones(len(texts), 4), dim=-1), 300)
    assert len(films.entities) == 300
    rng = random.Random(0)
    for one in rng.sample(films.entities, 50):
        assert one.name.rpartition(" (")[0] not in one.text or len(one.name) < 12
        assert one.fact("plot")[0].isupper() or not one.fact("plot")[0].isalpha()
