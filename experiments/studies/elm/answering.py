"""Who answers the questions, and what was answered before: an answer is written once, whatever stops the study."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

from copyloom import Report
from experiments.elm.baselines import Known, between_nearest, prompted
from experiments.elm.model import Elm
from experiments.elm.questions import Question
from experiments.kept import kept
from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone

ELM, REWARDED, TOLD, AVERAGE = "ELM", "rewarded", "told texts", "two nearest"
NEAREST, POINT, CONSTANT = "nearest", "nearest to the point", "constant"
PROMPTED, RULES = "instruct", "rules"
METHODS = (ELM, REWARDED, TOLD, AVERAGE, NEAREST, POINT, CONSTANT, PROMPTED)
_LOOKED_UP: Mapping[str, Callable[[Known, Question], str]] = {
    RULES: lambda known, asked: asked.target, NEAREST: Known.nearest, POINT: Known.at_point,
    CONSTANT: lambda known, asked: known.constant,
}  # fmt: skip
_CHUNK = 64
"""Questions that are answered, and their answers kept, at a time."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers by method, kept on disk.

    Parameters
    ----------
    elm : Elm
    rewarded : Elm, optional
        What it became by learning from rewards.
    instruct : LanguageModel
    judge : LanguageModel
        By which surprisal is measured.
    answered : mapping of str to Known
        What is known of each task.
    known : mapping of str to Tensor of shape (N, size)
        Vectors of each kind of entities and people that are not held out.
    tokens : int
        Of an answer, at most.
    folder : Path
        Receives what was answered.
    """

    elm: Elm
    rewarded: Elm | None
    instruct: LanguageModel
    judge: LanguageModel
    answered: Mapping[str, Known]
    known: Mapping[str, Tensor]
    tokens: int
    folder: Path

    def methods(self, questions: Sequence[Question]) -> tuple[str, ...]:
        """Return who answers questions, beside the rules: who is told texts only where all vectors have words."""
        told = all(place.words for one in questions for place in one.places.values())
        able = {REWARDED: self.rewarded is not None, TOLD: told, PROMPTED: told,
                POINT: all(one.point is not None for one in questions)}  # fmt: skip
        return tuple(method for method in METHODS if able.get(method, True))

    def _who(self, method: str) -> str:
        """Return what tells the model that answers by a method from others."""
        if method == PROMPTED:
            return self.instruct.identity.parameters
        return self._elm(method).digest

    def _elm(self, method: str) -> Elm:
        return self.rewarded if method == REWARDED and self.rewarded is not None else self.elm

    def of(self, method: str, questions: Sequence[Question], report: Report) -> list[str]:
        """Return a method's answers to questions, in order."""
        if method in _LOOKED_UP:
            return [_LOOKED_UP[method](self.answered[one.task], one) for one in questions]
        found: list[str] = []
        for first in range(0, len(questions), _CHUNK):
            report(f"answering, {method}", first, len(questions))
            found += self._kept(method, questions[first : first + _CHUNK])
        report(f"answering, {method}", len(questions), len(questions))
        return found

    def _kept(self, method: str, questions: Sequence[Question]) -> list[str]:
        """Return the answers to a few questions, from an earlier call where there was one."""
        digest = sha256(f"{self._who(method)} {method} {self.tokens}".encode())
        for one in questions:
            digest.update(repr((one.asked, one.task)).encode())
            for name, place in sorted(one.places.items()):
                digest.update(f"{name} {place.kind} {place.words}".encode() + place.vector.numpy().tobytes())
        found: list[str] = self._once(digest.hexdigest(), lambda: self._answered(method, questions))
        return found

    def surprisals(self, texts: Sequence[str]) -> list[float]:
        """Return the mean surprisal of each text's tokens on its own, by the judge, in nats."""
        digest = sha256(f"{self.judge.identity.parameters} {json.dumps(list(texts))}".encode()).hexdigest()
        found: list[float] = self._once(digest, lambda: surprisals_alone(self.judge, texts).tolist())
        return found

    def _once(self, digest: str, make: Callable[[], list[Any]]) -> Any:
        """Return what was made under a digest before, or make and keep it."""
        return kept(self.folder / f"{digest[:20]}.json", make)

    def _answered(self, method: str, questions: Sequence[Question]) -> list[str]:
        if method == PROMPTED:
            return prompted(self.instruct, questions, self.tokens)
        asked = [between_nearest(one, self.known) for one in questions] if method == AVERAGE else questions
        return self._elm(method).answers(asked, told=method == TOLD, max_tokens=self.tokens)
