"""Between two entities, beyond them, and along the direction of a genre: what is said at points that are nobody's."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from copyloom import Report
from experiments.bootstrap import interval
from experiments.elm.film_facts import genres_in
from experiments.elm.film_tasks import FilmTasks
from experiments.elm.questions import between
from experiments.studies.elm.answering import AVERAGE, ELM, NEAREST, Answers
from experiments.studies.space.wanted import Share

WEIGHTS = (-0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4)
"""Weights of the first of two films: below 0 and above 1 the point lies beyond one of them."""
ANGLES = (-0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9)
"""Radians by which a point goes towards films of a genre, or away from them."""
_METHODS = (ELM, AVERAGE, NEAREST)


def between_films(
    tasks: FilmTasks, answers: Answers, encode: Callable[[Sequence[str]], Tensor], pairs: int, seed: int, report: Report
) -> list[dict[str, Any]]:
    """Return for each weight and method how near descriptions lie to their point, and to either film."""
    rng, films = random.Random(f"{seed} pairs"), tasks.films
    chosen = [rng.sample(films.held_out, 2) for _ in range(pairs)]
    points = {weight: [between(films.semantic[n], films.semantic[m], weight) for n, m in chosen] for weight in WEIGHTS}
    ends = {"first": films.semantic[[n for n, _ in chosen]], "second": films.semantic[[m for _, m in chosen]]}
    found = []
    for method, weight, texts in _described(tasks, answers, [n for n, _ in chosen], points, report):
        said = encode([text or "." for text in texts])
        for to, there in {"point": torch.stack(points[weight]), **ends}.items():
            found.append({"weight": weight, "method": method, "to": to, **_mean((said * there).sum(1))})
    return found


def along_genres(
    tasks: FilmTasks, answers: Answers, encode: Callable[[Sequence[str]], Tensor], count: int, seed: int, report: Report
) -> list[dict[str, Any]]:
    """Return for each angle and method how many descriptions name the genre, and how near they lie to their point."""
    rng, films = random.Random(f"{seed} directions"), tasks.films
    common = [g for g in tasks.facts.genres if tasks.facts.has[:, tasks.facts.genres.index(g)].mean() > 0.03]
    chosen = list[tuple[int, str]]()
    while len(chosen) < count:
        number, genre = rng.choice(films.held_out), rng.choice(common)
        if genre not in films.entities[number].facts["genres"]:
            chosen.append((number, genre))
    points = {angle: [tasks.moved(films.semantic[n], genre, angle) for n, genre in chosen] for angle in ANGLES}
    found = []
    for method, angle, texts in _described(tasks, answers, [n for n, _ in chosen], points, report):
        named = Share.of([float(genre in genres_in(text)) for text, (_, genre) in zip(texts, chosen, strict=True)])
        near = _mean((encode([text or "." for text in texts]) * torch.stack(points[angle])).sum(1))
        found.append({"angle": angle, "method": method, "named": named.value, "named_low": named.low,
                      "named_high": named.high, **near})  # fmt: skip
    return found


def _described(
    tasks: FilmTasks, answers: Answers, numbers: Sequence[int], points: Mapping[float, Sequence[Tensor]], report: Report
) -> Iterator[tuple[str, float, list[str]]]:
    """Yield each method and step, and what is said of some films where they are moved to by it."""
    task = next(one for one in tasks.tasks if one.name == "describe")
    asked = [one for number in numbers if (one := task.question(number, random.Random(0))) is not None]
    questions = [one.at(film=point) for some in points.values() for one, point in zip(asked, some, strict=True)]
    for method in _METHODS:
        texts = answers.of(method, questions, report)
        for place, step in enumerate(points):
            yield method, step, texts[place * len(asked) : (place + 1) * len(asked)]


def _mean(values: Tensor) -> dict[str, float]:
    found = values.double().numpy()
    low, high = interval(np.asarray(found))
    return {"value": float(found.mean()), "low": low, "high": high}
