"""``copyloom study elm``: a language model that answers questions about points, beside what knows as much."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from copyloom import InputError, Report
from embeddings.encoder import SentenceEncoder
from embeddings.folders import held
from experiments.domains.domain import Domain, is_held_out
from experiments.domains.films import load_films
from experiments.domains.products import load_products
from experiments.elm.baselines import Known
from experiments.elm.feedback import FeedbackTraining, train_on_rewards
from experiments.elm.film_tasks import FilmTasks
from experiments.elm.model import Elm
from experiments.elm.product_tasks import ProductTasks
from experiments.elm.questions import PERSON, RATED, TEXT, Question, Task
from experiments.elm.rewards import ConsistencyReward
from experiments.elm.training import ElmTraining, Questions, train_elm
from experiments.studies.elm.answering import METHODS, RULES, Answers
from experiments.studies.elm.curves import along_genres, between_films
from experiments.studies.elm.scores import Scored, compared, rows_of, score
from experiments.studies.elm.settings import ElmStudy
from generator.device import Device
from generator.language_model import LanguageModel

TRAINED, REWARDS, ANSWERS = "trained", "rewarded", "answers"


def measure(settings: ElmStudy, data: Path, folder: Path, device: str, report: Report) -> dict[str, Any]:
    """Return all that the command prints; the model and what was answered are kept in `folder`.

    Parameters
    ----------
    settings : ElmStudy
    data : Path
        Holds the films and the products: see `experiments.domains`.
    folder : Path
    device : str
    report : callable

    Raises
    ------
    InputError
        If data are lacking, or `folder` holds a model of other settings or data.
    """
    with held(folder, "study", "--folder"):
        report("reading films and products", 0, 1)
        most = settings.entities
        encoder = SentenceEncoder(Device.choose(device).torch)
        films, products = load_films(data, encoder.encode, most), load_products(data, encoder.encode, most)
        report("reading films and products", 1, 1)
        film_tasks = FilmTasks.of(films)
        asked = _asked(settings, film_tasks, ProductTasks(products))
        drawn = {task.name: (_held_out(task, domain, settings), domain) for task, domain in asked}
        where = Device.choose(device)
        instruct, judge = (LanguageModel.load(name, where).fast for name in (settings.prompted, settings.judge))
        known = Questions([(task, domain.known) for task, domain in asked])
        trained = train_elm(_training(settings), known, _sizes(films), folder / TRAINED, report, device)
        elm = Elm.load(trained, where)
        reward = ConsistencyReward(encoder.encode, instruct)
        rewarded = _rewarded(settings, trained, known, reward, folder, report, device)
        answered = {task.name: Known(task, domain, settings.seed) for task, domain in asked}
        vectors = _known(films, products)
        answers = Answers(elm, rewarded, instruct, judge, answered, vectors, settings.tokens, folder / ANSWERS)
        scored = _scored(drawn, answers, encoder.encode, settings, report)
        return {
            "settings": settings.model_dump(), "device": elm.model.device.type, **_about(films, products),
            "tasks": [row for name, some in scored.items() for row in rows_of(name, drawn[name][1].name, some)],
            "compared": compared({name: some for name, some in scored.items() if drawn[name][1] is films}),
            "between": between_films(film_tasks, answers, encoder.encode, settings.pairs, settings.seed, report),
            "along": along_genres(film_tasks, answers, encoder.encode, settings.pairs, settings.seed, report),
            "samples": _samples(drawn, answers, report),
        }  # fmt: skip


def _asked(settings: ElmStudy, films: FilmTasks, products: ProductTasks) -> list[tuple[Task, Domain]]:
    """Return the tasks that are taught and asked, with what they are about."""
    every = [*((task, films.films) for task in films.tasks), *((task, products.products) for task in products.tasks)]
    names = [task.name for task, _ in every]
    if unknown := [name for name in settings.tasks if name not in names]:
        raise InputError(f"there is no task {unknown[0]!r}; there are {', '.join(names)}")
    return [(task, domain) for task, domain in every if not settings.tasks or task.name in settings.tasks]


def _training(settings: ElmStudy) -> ElmTraining:
    given = settings.model_dump(include={"model", "adapter_steps", "steps", "rows", "rank", "seed"})
    return ElmTraining(**given)


def _sizes(films: Domain) -> dict[str, int]:
    assert films.tastes is not None
    behavioural = films.tastes.item_values.shape[1]
    return {TEXT: films.semantic.shape[1], RATED: behavioural, PERSON: behavioural}


def _about(films: Domain, products: Domain) -> dict[str, Any]:
    assert films.tastes is not None
    return {
        "domains": [{"domain": one.name, "entities": len(one.entities), "held_out": len(one.held_out)}
                    for one in (films, products)],
        "ratings": len(films.tastes.ratings), "people": len(films.tastes.factors.users),
        "rated": int(films.tastes.rated.sum()), "foretold": films.tastes.explained,
    }  # fmt: skip


def _held_out(task: Task, domain: Domain, settings: ElmStudy) -> list[Question]:
    """Return questions of a task about held-out entities, as many as are asked for or can be asked."""
    rng = random.Random(f"{settings.seed} asked {task.name}")
    found: list[Question] = []
    for number in rng.sample(domain.held_out, len(domain.held_out)):
        if len(found) < settings.questions and (one := task.question(number, rng)) is not None:
            found.append(one)
    if len(found) < 8:
        raise InputError(f"task {task.name!r} can be asked of {len(found)} held-out {domain.name}; give more of them "
                         "(--entities), or name other tasks (--task)")  # fmt: skip
    return found


def _rewarded(
    settings: ElmStudy, trained: Path, known: Questions, reward: ConsistencyReward, folder: Path, report: Report,
    device: str,
) -> Elm | None:  # fmt: skip
    """Return what the ELM becomes by learning from rewards, if it is to: of the same questions that it learnt from."""
    if not settings.feedback_steps:
        return None
    config = FeedbackTraining(steps=settings.feedback_steps, tokens=settings.tokens, seed=settings.seed)
    out = train_on_rewards(config, trained, known, reward, reward.about, folder / REWARDS, report, device)
    return Elm.load(out, Device.choose(device))


def _known(films: Domain, products: Domain) -> dict[str, Tensor]:
    """Return the vectors of each kind of entities and people that are not held out."""
    assert films.tastes is not None
    rated = [n for n in films.known if films.tastes.rated[n]]
    people = [p for p in range(len(films.tastes.factors.users)) if not is_held_out(f"person {p}")]
    return {
        TEXT: torch.cat([films.semantic[list(films.known)], products.semantic[list(products.known)]]),
        RATED: films.tastes.items_seen[rated], PERSON: films.tastes.users_seen[people],
    }  # fmt: skip


def _scored(
    drawn: Mapping[str, tuple[list[Question], Domain]], answers: Answers, encode: Callable[[Sequence[str]], Tensor],
    settings: ElmStudy, report: Report,
) -> dict[str, dict[str, Scored]]:  # fmt: skip
    found: dict[str, dict[str, Scored]] = {}
    for name, (questions, domain) in drawn.items():

        def said(stage: str, done: int, total: int, name: str = name) -> None:
            report(f"{name}: {stage}", done, total)

        texts = {method: answers.of(method, questions, said) for method in (*answers.methods(questions), RULES)}
        found[name] = {method: score(questions, some, domain, answers, encode, settings.people)
                       for method, some in texts.items()}  # fmt: skip
    return found


def _samples(
    drawn: Mapping[str, tuple[list[Question], Domain]], answers: Answers, report: Report
) -> list[dict[str, Any]]:
    """Return the first question of each task, with all answers: none is picked."""
    found = []
    for name, (questions, domain) in drawn.items():
        one = questions[0]
        able = answers.methods(questions)
        said = {method: answers.of(method, questions, report)[0] if method in able else None for method in METHODS}
        found.append({"task": name, "about": " and ".join(domain.entities[n].name for n in one.entities),
                      "rules": one.target, **said})  # fmt: skip
    return found
