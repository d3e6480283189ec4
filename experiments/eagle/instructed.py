"""An instruct model on this machine as environment: it changes many texts at a time, greedily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from experiments.asking import TEMPERATURE, chat_ids
from experiments.eagle.actions import Action
from experiments.eagle.environments import Change
from experiments.eagle.prompted import change_of
from experiments.elm.model import written
from experiments.versions import source_hash
from generator.decoding import Choice
from generator.language_model import LanguageModel

_ROWS = 8
"""Texts that are decoded at a time."""


@dataclass(eq=False)
class Instructed:
    """Asks an instruct model for every change and takes its likeliest answer, so that a seed does not matter.

    An answer that is no changed text (`nonsense`) leaves the text as it was.

    Parameters
    ----------
    model : LanguageModel
    longest : int
        Tokens of an answer, at most.
    """

    model: LanguageModel
    longest: int

    def __post_init__(self) -> None:
        """Let few texts be decoded at a time: trajectories ask for a few each, and empty rows cost as much."""
        device = replace(self.model.device, decode_rows=_ROWS)
        self.model = LanguageModel(self.model.model, self.model.tokenizer, self.model.name, device)

    @property
    def name(self) -> str:
        """The model's parameters, with what bears on its answers."""
        model = f"{self.model.identity.parameters} {self.model.model.dtype}"
        return f"{model}, greedy, {self.longest} tokens, {source_hash(change_of)}"

    def changes(self, texts: Sequence[str], actions: Sequence[Action], seed: int) -> Iterator[Change]:
        """Yield what came of each action; see `Changer`.

        Raises
        ------
        InputError
            If an action has no words.
        """
        questions = [action.question(text) for text, action in zip(texts, actions, strict=True)]
        for first in range(0, len(texts), _ROWS):
            part = slice(first, first + _ROWS)
            answers = written(self.model, [self._read(one) for one in questions[part]], self.longest)
            for text, action, answer in zip(texts[part], actions[part], answers, strict=True):
                yield change_of(answer.text, text, action)

    def answers(self, question: str, count: int, seed: int) -> list[str]:
        """Return answers to a question, drawn with a seed: what best-of-n prompting takes."""
        read, found = self._read(question), list[str]()
        while len(found) < count:
            choice = Choice((TEMPERATURE,) * _ROWS, seed=seed * 1_000 + len(found))
            found += [one.text for one in written(self.model, [read] * _ROWS, self.longest, choice)]
        return found[:count]

    def _read(self, question: str) -> Tensor:
        return self.model.embed(chat_ids(self.model.tokenizer, question)[0]).float().cpu()
