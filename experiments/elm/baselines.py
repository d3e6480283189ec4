"""What else answers the questions: what was answered to the nearest known one, and an instruct model told texts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from experiments.asking import chat_ids
from experiments.elm.model import told_plainly, written
from experiments.elm.questions import PLACE, TEXT, Question, Task
from generator.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Nearest:
    """Answers with what rules say of the known question of the same task whose vectors are nearest.

    So it has the same information as an ELM: the vectors of a question, and the answers that the ELM learnt from.

    Parameters
    ----------
    task : Task
    known : sequence of int
        Entities of which a question is known, one each.
    seed : int
    """

    task: Task
    known: Sequence[int]
    seed: int = 0

    @cached_property
    def _asked(self) -> list[Question]:
        rng = random.Random(f"{self.seed} known {self.task.name}")
        found = [one for number in self.known if (one := self.task.question(number, rng)) is not None]
        if not found:
            raise InputError(f"task {self.task.name!r} can be asked of no known entity; give more facts")
        return found

    @cached_property
    def _vectors(self) -> Tensor:
        return torch.stack([vector_of(one) for one in self._asked])

    def answer(self, question: Question) -> str:
        """Return the answer to the nearest known question, of those that ask in the same words if there are any."""
        alike = [number for number, one in enumerate(self._asked) if one.asked == question.asked]
        rows = torch.tensor(alike or range(len(self._asked)))
        best = int((self._vectors[rows] @ vector_of(question)).argmax())
        return self._asked[int(rows[best])].target


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
