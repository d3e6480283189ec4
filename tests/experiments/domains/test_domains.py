"""Films and products: facts from files, vectors that foretell what people like, and what is held out."""

import random

import numpy as np
import pytest
import torch
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
    assert film.fact("director") == "Jane A. Doe"
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


def test_a_rating_that_is_no_number_is_named(tmp_path):
    data = invented_data(tmp_path, 60, 4)
    path = data / "movielens-latest-small" / "ratings.csv"
    rows = path.read_text().splitlines()
    rows[7] = rows[7].replace(rows[7].split(",")[2], "good")
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match="ratings, row 7: 'good' is no number"):
        load_films(data, letters)


def test_real_films_and_products(shared_data):
    films = load_films(shared_data, lambda texts: normalize(torch.ones(len(texts), 4), dim=-1), 300)
    assert len(films.entities) == 300
    rng = random.Random(0)
    for one in rng.sample(films.entities, 50):
        assert one.name.rpartition(" (")[0] not in one.text or len(one.name) < 12
        assert one.fact("plot")[0].isupper() or not one.fact("plot")[0].isalpha()
