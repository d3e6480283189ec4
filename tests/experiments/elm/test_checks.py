"""Checks: what is wrong on purpose is told from the rules' answers, and what is right in other words is taken."""

import random
import re

import numpy as np
import pytest

from experiments.domains.films import load_films
from experiments.domains.products import load_products
from experiments.elm.film_facts import genres_in
from experiments.elm.film_tasks import FilmTasks
from experiments.elm.product_tasks import ProductTasks
from experiments.elm.questions import listed
from tests.experiments.domains.invented import invented_data
from tests.experiments.domains.test_domains import letters

EVERY_GENRE = "A comedy, horror, war, western, musical, crime, drama, action, romance and noir film."
EVERY_DECADE = " ".join(f"{year}s" for year in range(1890, 2030, 10))
HEARD = "I hated it. I enjoyed it: one leaves it humming."


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    folder = invented_data(tmp_path_factory.mktemp("data"))
    films, products = load_films(folder, letters), load_products(folder, letters)
    return lambda name, count=60: drawn(films, products, name, count)


def drawn(films, products, name, count):
    """Return a domain's held-out questions of a task, each with the domain."""
    domain, tasks = (products, ProductTasks(products)) if name.startswith("product") else (films, FilmTasks.of(films))
    task, rng = next(one for one in tasks.tasks if one.name == name), random.Random(0)
    found = (task.question(number, rng) for number in rng.sample(domain.held_out, len(domain.held_out)))
    return [(one, domain) for one in found if one is not None][:count]


def swapped(one, domain):
    """Return the rules' answer with the first called the second."""
    return re.sub("first|second", lambda found: {"first": "second"}.get(found.group(), "first"), one.target)


def genres_of(one, domain):
    return listed(domain.entities[one.entities[0]].facts["genres"])


def other_decades(one, domain):
    return "The first is from the 1890s, the second from the 1900s."


def tastes_of(one):
    """Return the genres that the answer about a viewer says are liked, and those that are not."""
    likes, dislikes = one.target.split(";")
    return sorted(genres_in(likes)), sorted(genres_in(dislikes))


def denied(one, domain):
    return f"Does not like {listed(tastes_of(one)[0])} films."


def turned_round(one, domain):
    likes, dislikes = tastes_of(one)
    return f"Likes {listed(dislikes)} films; does not care for {listed(likes)}."


def opposite(one, domain):
    return "No, never." if "would like" in one.target else "Yes, this viewer would."


def liked(one):
    return "would like" in one.target


def all_features(one, domain):
    return " and ".join(one.target.split("; "))


def echo(one, domain):
    return one.asked.partition("\n")[2]


WRONG = [
    ("more of", echo, 0),
    ("more of", EVERY_GENRE, 0),
    ("less of", EVERY_GENRE, 0),
    ("similarities", "Zorp.", 0),
    ("similarities", EVERY_GENRE, 0.5),
    ("differences", "Zorp.", 0),
    ("differences", swapped, 0),
    ("differences", other_decades, 0),
    ("period", EVERY_DECADE, 0),
    ("cast", "An ensemble, a handful of parts or a few parts, with well-known and lesser-known names.", 0),
    ("reception", "Above, about and below the mean film.", 0),
    ("reception", "People do not like it.", 0),
    ("film for viewer", EVERY_GENRE, 0),
    ("would this viewer", "This viewer would or would not like it.", 0),
    ("would this viewer", "Would this viewer like it?", 0),
    ("would this viewer", opposite, 0),
    ("viewer", denied, 0),
    ("viewer", turned_round, 0),
    ("favourable review", lambda one, domain: f"{HEARD} {genres_of(one, domain)}", 0.5),
    ("critical review", lambda one, domain: f"{HEARD} {genres_of(one, domain)}", 0.5),
    ("characteristics", lambda one, domain: all_features(one, domain), 0.2),
    ("characteristics", lambda one, domain: "; ".join([one.target.split(";")[0]] * 5), 0.2),
    ("product features", lambda one, domain: all_features(one, domain), 0.2),
    ("product in between", lambda one, domain: domain.entities[one.entities[0]].facts["about"][0].split()[1], 0.4),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "most"), WRONG)
def test_what_is_wrong_on_purpose_is_worth_little(asked, name, answer, most):
    questions = asked(name)
    assert len(questions) >= 4
    said = [answer if isinstance(answer, str) else answer(one, domain) for one, domain in questions]
    pairs = [(one, text) for (one, _), text in zip(questions, said, strict=True) if text != one.target]
    assert max(one.check(text) for one, text in pairs) <= most + 1e-9


@pytest.mark.parametrize("name", ["compare", "product compare"])
def test_who_takes_the_first_for_the_second_is_not_right(asked, name):
    kinds = ("genres", "period") if name == "compare" else ("category",)

    def apart(one, domain):
        first, second = (domain.entities[number].facts for number in one.entities)
        return not any(set(first[kind]) & set(second[kind]) for kind in kinds)

    worth = [(one.check(swapped(one, domain)), one.check(one.target))
             for one, domain in asked(name) if apart(one, domain)]  # fmt: skip
    assert len(worth) >= 2
    assert max(wrong for wrong, _ in worth) < 0.1
    assert min(right for _, right in worth) > 0.7


def of_two(one, domain):
    """Return what two films are in other words than the rules'."""
    first, second = (domain.entities[number] for number in one.entities)
    return " ".join(f"The {which} is a {listed(film.facts['genres'])} movie made in {film.fact('year')}."
                    for which, film in (("former", first), ("latter", second)))  # fmt: skip


def shared(one, domain):
    first, second = (domain.entities[number] for number in one.entities)
    same = [genre for genre in first.facts["genres"] if genre in second.facts["genres"]]
    same += [first.fact("period")] * (first.fact("period") == second.fact("period"))
    return f"They share {listed(same)}." if same else "They have nothing in common."


def apart(one, domain):
    first, second = (domain.entities[number] for number in one.entities)
    said = []
    for which, film, other in (("former", first, second), ("latter", second, first)):
        own = [genre for genre in film.facts["genres"] if genre not in other.facts["genres"]]
        own += [film.fact("period")] * (film.fact("period") != other.fact("period"))
        said += [f"the {which} has {listed(own)}"] * bool(own)
    return f"{'; '.join(said)}." if said else "They do not differ."


RIGHT = [
    ("favourable review", lambda one, domain: f"A wonderful, gripping {genres_of(one, domain)} film that I loved."),
    ("favourable review", lambda one, domain: f"Not boring at all: this {genres_of(one, domain)} film is great fun."),
    ("critical review", lambda one, domain: f"A dull, predictable {genres_of(one, domain)} film; it was not any good."),
    ("critical review", lambda one, domain: f"I didn't like this {genres_of(one, domain)} film: I was bored."),
    ("would this viewer", lambda one, domain: "Yes." if liked(one) else "No, this viewer wouldn't like it."),
    ("would this viewer", lambda one, domain: "They'd probably love it, yes." if liked(one) else "They would hate it."),
    ("reception", lambda one, domain: f"It is {one.target.lower()}"),
    ("reception", lambda one, domain: {"Above": "People rate it higher.", "Below": "It is worse than the mean one.",
                                       "About": "Near the mean."}[one.target.split()[0]]),
    ("cast", lambda one, domain: one.target.replace("lesser-known", "no well-known").replace("An ", "It has an ")),
    ("viewer", lambda one, domain: f"They enjoy {listed(tastes_of(one)[0])} but dislike {listed(tastes_of(one)[1])}."),
    ("viewer", lambda one, domain: "They aren't into {1}; a fan of {0}.".format(*map(listed, tastes_of(one)))),
    ("period", lambda one, domain: f"It came out in {domain.entities[one.entities[0]].fact('year')}."),
    ("compare", of_two),
    ("similarities", shared),
    ("differences", apart),
    ("characteristics", lambda one, domain: " ".join(
        f"{number}. {item}" for number, item in enumerate(one.target.rstrip(".").split("; "), 1))),
    ("characteristics", lambda one, domain: one.target.replace(";", ",")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_what_is_right_in_other_words_is_right(asked, name, answer):
    worth = [one.check(answer(one, domain)) for one, domain in asked(name)]
    assert len(worth) >= 4
    assert np.mean(worth) == pytest.approx(1), [answer(one, domain) for one, domain in asked(name, 2)]


def test_facts_are_learnt_from_what_is_known_alone(tmp_path):
    folder = invented_data(tmp_path)
    films = load_films(folder, letters)
    facts = FilmTasks.of(films).facts
    known = [person for person in range(40) if not facts.held_out_people[person]]
    assert 0 < len(known) < 40
    assert {n for person in range(40) for n in facts.seen(person)} <= set(films.known)
    for number in films.known[:50]:  # no genre is said to like a film whose fans do not, be it its own
        scores = facts.fans @ facts.tastes.factors.items[number]
        most, least = facts.fans_of(number)
        assert scores[[facts.genres.index(one) for one in most]].min() > np.median(scores)
        assert scores[facts.genres.index(least[0])] == scores.min()
    held = next(n for n in films.held_out if facts.keywords[n])
    counts = [sum(word in one.fact("plot").casefold() for one in (films.entities[n] for n in films.known))
              for word in facts.keywords[held]]  # fmt: skip
    assert min(counts) >= 3
