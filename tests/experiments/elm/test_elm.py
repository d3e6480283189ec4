"""An ELM reads vectors where they stand, goes on learning to the bit, and is asked 30 kinds of questions."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from copyloom import InputError
from embeddings.adapter import load_language_model
from embeddings.encoder import SentenceEncoder
from experiments.domains.domain import is_held_out
from experiments.domains.films import load_films
from experiments.domains.products import load_products
from experiments.elm.baselines import Known, between_nearest, prompted, vector_of
from experiments.elm.consistency import behavioural, behavioural_interval
from experiments.elm.film_facts import description, genres_in
from experiments.elm.film_tasks import FilmTasks
from experiments.elm.model import Elm, pieces_of
from experiments.elm.product_tasks import ProductTasks
from experiments.elm.questions import PERSON, RATED, TEXT, Question
from experiments.elm.training import ElmTraining, Questions, train_elm
from generator.device import Device
from generator.models import SHIPPED
from tests.experiments.domains.invented import invented_data

SMALL = ElmTraining(model=SHIPPED, adapter_steps=2, steps=4, rows=4, rank=2, checkpoint_seconds=0)
SILENT = lambda *_: None  # noqa: E731


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    folder, encode = invented_data(tmp_path_factory.mktemp("data")), SentenceEncoder().encode
    return load_films(folder, encode), load_products(folder, encode)


@pytest.fixture(scope="module")
def tasks(domains):
    return FilmTasks.of(domains[0]), ProductTasks(domains[1])


@pytest.fixture(scope="module")
def questions(domains, tasks):
    rows = [
        *((task, domains[0].known) for task in tasks[0].tasks),
        *((task, domains[1].known) for task in tasks[1].tasks),
    ]
    return Questions(rows)


@pytest.fixture(scope="module")
def sizes(domains):
    size = domains[0].tastes.item_values.shape[1]
    return {TEXT: 384, RATED: size, PERSON: size}


@pytest.fixture(scope="module")
def trained(questions, sizes, tmp_path_factory):
    return train_elm(SMALL, questions, sizes, tmp_path_factory.mktemp("elm"), SILENT, "cpu")


@pytest.fixture(scope="module")
def elm(trained):
    return Elm.load(trained, Device.choose("cpu"))


def drawn(tasks, domain, name, count=3, seed=0):
    task = next(one for one in tasks.tasks if one.name == name)
    rng = random.Random(seed)
    found = (task.question(number, rng) for number in rng.sample(domain.held_out, len(domain.held_out)))
    return [one for one in found if one is not None][:count]


def test_there_are_thirty_tasks_whose_own_answers_are_right_and_others_are_not(domains, tasks):
    assert (len(tasks[0].tasks), len(tasks[1].tasks)) == (24, 6)
    rng = random.Random(0)
    for some, domain in zip(tasks, domains, strict=True):
        for task in some.tasks:
            asked = [one for n in domain.known[:80] if (one := task.question(n, rng)) is not None]
            assert len(asked) >= 8, task.name
            own = np.mean([one.check(one.target) for one in asked])
            shuffled = np.mean([one.check(other.target) for one, other in pairwise(asked)])
            assert own > 0.3, task.name
            assert own >= shuffled - 0.05, task.name
            assert max(one.check("") for one in asked) == 0, task.name
            assert all(
                0 <= one.check(text) <= 1 for one in asked[:3] for text in ("comedy; war; x", "The 1990s. would")
            )


def test_answers_are_made_of_what_is_known_alone(domains, tasks):
    films = domains[0]
    hidden = {description(films.entities[n]) for n in films.held_out} - {
        description(films.entities[n]) for n in films.known
    }
    for name in ("in between", "sequel", "more of", "less of", "film for viewer"):
        assert not {one.target for one in drawn(tasks[0], films, name, 30)} & hidden


def test_no_question_of_the_training_is_about_people_who_are_held_out(domains, tasks, questions):
    seen, rng = domains[0].tastes.users_seen, random.Random(0)
    out = [seen[p] for p in range(len(seen)) if is_held_out(f"person {p}")]
    asked = [one for one in (questions.draw(rng) for _ in range(400)) if "viewer" in one.places]
    assert len(asked) > 20
    assert not any(torch.equal(one.places["viewer"].vector, vector) for one in asked for vector in out)
    others = [one for name in ("viewer", "would this viewer") for one in drawn(tasks[0], domains[0], name, 20)]
    assert all(any(torch.equal(one.places["viewer"].vector, vector) for vector in out) for one in others)


def test_genres_are_read_by_any_of_their_names():
    assert genres_in("A satirical sci-fi Western about warmth") == {"comedy", "science fiction", "western"}
    assert genres_in("A war film, warm and wordy") == {"war"}


def test_vectors_stand_at_their_places_and_words_may_take_their_stead(domains, tasks, elm):
    (one,) = drawn(tasks[0], domains[0], "compare", 1)
    pieces = pieces_of(elm.model, one, told=False)
    assert [type(piece) is tuple for piece in pieces] == [True, False, True, False, False]
    assert torch.equal(pieces[2][1], one.places["other"].vector)
    told = pieces_of(elm.model, one, told=True)
    assert all(isinstance(piece, torch.Tensor) for piece in told)
    moved = one.at(film=one.places["other"].vector)
    assert isinstance(pieces_of(elm.model, moved, told=True)[0], tuple)  # a point that no words say stays a vector


def test_an_answer_depends_on_its_question_alone(domains, tasks, elm):
    asked = [*drawn(tasks[0], domains[0], "describe"), *drawn(tasks[0], domains[0], "film for viewer", 2),
             *drawn(tasks[1], domains[1], "product compare", 2)]  # fmt: skip
    together = elm.answers(asked, max_tokens=12)
    assert together == [elm.answers([one], max_tokens=12)[0] for one in asked]
    assert together == elm.answers(asked[::-1], max_tokens=12)[::-1]
    assert together != elm.answers(asked, told=True, max_tokens=12)


def test_a_stopped_training_ends_as_one_that_was_not(questions, sizes, trained, tmp_path):
    def stop(stage, done, total):
        raise KeyboardInterrupt

    for _ in range(2):  # in either stage, before the ELM is written
        with pytest.raises(KeyboardInterrupt):
            train_elm(SMALL, questions, sizes, tmp_path, stop, "cpu")
    assert not (tmp_path / "elm.safetensors").exists()
    train_elm(SMALL, questions, sizes, tmp_path, SILENT, "cpu")
    assert (tmp_path / "elm.safetensors").read_bytes() == (trained / "elm.safetensors").read_bytes()
    with pytest.raises(InputError, match="holds a training of another configuration"):
        train_elm(SMALL.model_copy(update={"steps": 5}), questions, sizes, tmp_path, SILENT, "cpu")


def test_the_first_stage_trains_adapters_alone(trained):
    first = load_file(trained / "adapters" / "checkpoint.safetensors")
    assert not [name for name in first if ".down" in name or ".up" in name]
    both = load_file(trained / "elm.safetensors")
    assert any(bool(value.any()) for name, value in both.items() if name.endswith(".up"))


def test_questions_are_drawn_of_the_seed_alone_and_their_digest_tells_them_apart(domains, tasks, questions):
    again = Questions(list(questions.tasks))
    assert again.digest == questions.digest
    assert Questions(list(questions.tasks)[1:]).digest != questions.digest
    moved = FilmTasks.of(replace(domains[0], semantic=-domains[0].semantic))
    one, other = (Questions([(some.tasks[2], domains[0].known)]) for some in (tasks[0], moved))  # genres: no point
    assert one.draw(random.Random(0)).target == other.draw(random.Random(0)).target
    assert one.digest != other.digest


def test_the_nearest_known_question_to_a_known_one_is_itself(domains, tasks):
    task = next(one for one in tasks[0].tasks if one.name == "genres")
    known = Known(task, domains[0])
    rng = random.Random(1)
    for number in domains[0].known[:20]:
        one = task.question(number, rng)
        same = [n for n in domains[0].known if torch.equal(domains[0].semantic[n], domains[0].semantic[number])]
        assert known.nearest(one) in {task.question(n, rng).target for n in same}
    genre = drawn(tasks[0], domains[0], "more of", 1)[0]
    moved = Known(next(one for one in tasks[0].tasks if one.name == "more of"), domains[0])
    assert moved.nearest(genre) in {one.target for one in moved.asked if one.asked == genre.asked}
    pairs = Known(next(one for one in tasks[0].tasks if one.name == "compare"), domains[0])
    n, m = domains[0].known[3], domains[0].known[8]
    assert pairs.nearest(pairs.task.pair(n, m)) == pairs.task.pair(n, m).target
    assert pairs.nearest(pairs.task.pair(n, n)).startswith(pairs.task.pair(n, n).target[:9])  # with another beside


def test_the_text_at_a_point_is_the_known_one_nearest_to_it(domains, tasks):
    films = domains[0]
    (one,) = drawn(tasks[0], films, "in between", 1)
    said = Known(next(task for task in tasks[0].tasks if task.name == "in between"), films).at_point(one)
    near = {films.entities[n].text: float(films.semantic[n] @ one.point) for n in films.known}
    assert near[said] == pytest.approx(max(near.values()), abs=1e-6)
    with pytest.raises(InputError, match="should lie nowhere"):
        Known(tasks[0].tasks[0], films).at_point(drawn(tasks[0], films, "genres", 1)[0])


def test_the_constant_answer_is_the_best_of_the_commonest(domains, tasks):
    task = next(one for one in tasks[0].tasks if one.name == "reception")
    known = Known(task, domains[0])
    worth = [np.mean([one.check(answer) for one in known.asked]) for answer in {one.target for one in known.asked}]
    assert np.mean([one.check(known.constant) for one in known.asked]) > max(worth) - 0.1


def test_the_mean_of_the_two_nearest_is_between_them(domains, tasks):
    (one,) = drawn(tasks[0], domains[0], "describe", 1)
    known = domains[0].semantic[list(domains[0].known)]
    found = between_nearest(one, {TEXT: known}).places["film"].vector
    near = (known @ one.places["film"].vector).topk(2).indices
    assert torch.allclose(found, torch.nn.functional.normalize(known[near].mean(0), dim=-1))
    assert vector_of(one).norm() == pytest.approx(1, abs=1e-5)


def test_an_instruct_model_is_told_words(domains, tasks):
    model, _ = load_language_model(SHIPPED, Device.choose("cpu"))
    asked = drawn(tasks[0], domains[0], "describe", 2)
    assert len(prompted(model, asked, 6)) == 2
    with pytest.raises(InputError, match="has no words"):
        prompted(model, [asked[0].at(film=asked[1].places["film"].vector)], 6)


def test_behavioural_consistency_has_its_closed_forms():
    rng = np.random.default_rng(0)
    ratings = rng.normal(size=(12, 5))
    assert behavioural(ratings, np.exp(ratings)) == pytest.approx(1)
    assert behavioural(ratings, -ratings) == pytest.approx(-1)
    assert np.isnan(behavioural(ratings, np.ones_like(ratings)))
    flat = np.where(np.arange(5) == 2, 0.0, ratings)  # who is foretold to rate all alike
    assert behavioural(flat, ratings) == pytest.approx(4 / 5)  # of answers: they say nothing
    assert behavioural(ratings, flat) == pytest.approx(1)  # of points: there is nothing to say
    assert behavioural(np.ones_like(ratings), ratings) == 0
    low, high = behavioural_interval(ratings, rng.normal(size=(12, 5)))
    assert -1 <= low < 0.2 < high <= 1 or low < 0 < high


def test_bad_questions_are_named(domains, tasks, elm, tmp_path):
    (one,) = drawn(tasks[0], domains[0], "compare", 1)
    with pytest.raises(InputError, match=r"needs film, other|needs other"):
        Question(one.asked, {"film": one.places["film"]}, "", lambda _: 0.0, (0,))
    with pytest.raises(InputError, match="has no place 'user'; it has film, other"):
        one.at(user=torch.zeros(384))
    with pytest.raises(InputError, match=r"film is a vector of \(3,\) numbers"):
        one.at(film=torch.zeros(3))
    with pytest.raises(InputError, match="or not finite"):
        elm.answers([one.at(film=torch.full((384,), float("nan")))])
    odd = {**one.places, "film": replace(one.places["film"], kind="smell")}
    with pytest.raises(InputError, match="'smell' vector; this model reads"):
        elm.answers([replace(one, places=odd)])
    with pytest.raises(InputError, match="there is no ELM in"):
        Elm.load(tmp_path, Device.choose("cpu"))
    with pytest.raises(InputError, match="no task could be asked"):
        Questions([(replace(tasks[0].tasks[0], draw=lambda n, rng: None), [0])]).draw(random.Random(0))
