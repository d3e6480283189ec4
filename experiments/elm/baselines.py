"""What else answers the questions: what is known of the nearest, always the same, and an instruct model told texts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from experiments.asking import chat_ids
from experiments.domains.domain import Domain
from experiments.elm.model import told_plainly, written
from experiments.elm.questions import PLACE, TEXT, Question, Task
from generator.language_model import LanguageModel

_COMMON, _COUNTED = 20, 100
"""Known answers that may be given always, and known questions by which one is chosen."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a task: a question about each known entity, with the rules' answer that an ELM learns from.

    Parameters
    ----------
    task : Task
    domain : Domain
    seed : int
    """

    task: Task
    domain: Domain
    seed: int = 0

    @cached_property
    def asked(self) -> list[Question]:
        """The questions."""
        rng = random.Random(f"{self.seed} known {self.task.name}")
        found = [one for number in self.domain.known if (one := self.task.question(number, rng)) is not None]
        if not found:
            raise InputError(f"task {self.task.name!r} can be asked of no known entity; give more facts")
        return found

    @cached_property
    def _vectors(self) -> Tensor:
        return torch.stack([vector_of(one) for one in self.asked])

    def nearest(self, question: Question) -> str:
        """Return the rules' answer to the known question whose vectors are nearest.

        Of two entities that is the question about the known ones nearest to each; else the one among those that ask in
        the same words, if there are any.
        """
        if self.task.pair is not None:
            points = torch.stack([place.vector for place in question.places.values()])
            (first, _), near = self.domain.nearest(points, self.domain.known, 2).tolist()
            return self.task.pair(first, next(number for number in near if number != first)).target
        alike = [number for number, one in enumerate(self.asked) if one.asked == question.asked]
        rows = torch.tensor(alike or range(len(self.asked)))
        best = int((self._vectors[rows] @ vector_of(question)).argmax())
        return self.asked[int(rows[best])].target

    def at_point(self, question: Question) -> str:
        """Return the text of the known entity nearest to the point of a question that has one."""
        if question.point is None:
            raise InputError(f"an answer to {question.asked!r} should lie nowhere; ask what has a point")
        return self.domain.entities[int(self.domain.nearest(question.point[None], self.domain.known)[0, 0])].text

    @cached_property
    def constant(self) -> str:
        """Of the commonest known answers the one that is right most often of known questions."""
        common = [answer for answer, _ in Counter(one.target for one in self.asked).most_common(_COMMON)]
        some = random.Random(self.seed).sample(self.asked, min(_COUNTED, len(self.asked)))
        return max(common, key=lambda answer: sum(one.check(answer) for one in some))


def vector_of(question: Question) -> Tensor:
    """Return the vectors at a question's places one after the other, each of unit length."""
    return torch.cat([normalize(place.vector, dim=-1) for _, place in sorted(question.places.items())])


def between_nearest(question: Question, known: Mapping[str, Tensor]) -> Question:
    """Return a question whose vectors are each the mean of the two known ones nearest to it.

    Parameters
    ----------
    question : Question
    known : mapping of str to Tensor of shape (N, size)
        Vectors of each kind.
    """
    moved = {}
    for name, place in question.places.items():
        rows = known[place.kind]
        near = (normalize(rows, dim=-1) @ normalize(place.vector, dim=-1)).topk(2).indices
        moved[name] = rows[near].mean(0)
        if place.kind == TEXT:
            moved[name] = normalize(moved[name], dim=-1)
    return question.at(**moved)


def prompted(model: LanguageModel, questions: Sequence[Question], max_tokens: int) -> list[str]:
    """Return what an instruct model answers, greedily, that is told in words what stands at each place.

    Parameters
    ----------
    model : LanguageModel
        As it comes; where its tokenizer has a chat template, the question is put as a user's.
    questions : sequence of Question
        Each place with words.
    max_tokens : int
    """
    read = [model.embed(chat_ids(model.tokenizer, _in_words(one))[0]).float().cpu() for one in questions]
    return [told_plainly(one) for one in written(model, read, max_tokens)]


def _in_words(question: Question) -> str:
    if silent := [name for name, place in question.places.items() if not place.words]:
        raise InputError(f"{silent[0]} of {question.asked!r} has no words; an instruct model cannot be asked it")
    words = PLACE.sub(lambda found: question.places[found.group(1)].words, question.asked)
    return f"{words} Answer in a sentence or two."
