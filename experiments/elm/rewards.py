"""What an answer is worth: consistency with its point or its facts, less what reads oddly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.elm.questions import Question
from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone

ODD = 0.1
"""What a nat a token costs by which an answer is stranger than the rules' own."""


@dataclass(frozen=True, eq=False)
class ConsistencyReward:
    """How right an answer is, in the mean with its semantic consistency where a question has a point; less oddity.

    Reads oddly what a pretrained model finds stranger, a token in the mean, than the answer that rules make.

    Parameters
    ----------
    encode : callable
        From texts to sentence vectors (B, S).
    judge : LanguageModel
    """

    encode: Callable[[Sequence[str]], Tensor]
    judge: LanguageModel

    @property
    def about(self) -> str:
        """What tells it from other rewards."""
        return f"check and consistency, {ODD:g} a nat of {self.judge.identity.parameters}"

    def __call__(self, questions: Sequence[Question], answers: Sequence[str]) -> list[float]:
        """Return what each answer is worth."""
        texts = [answer or "." for answer in answers]
        own = list(dict.fromkeys(one.target for one in questions))
        strange = dict(zip(own, surprisals_alone(self.judge, own).tolist(), strict=True))
        odd = surprisals_alone(self.judge, texts) - torch.tensor([strange[one.target] for one in questions])
        vectors, found = self.encode(texts), []
        for row, (one, answer) in enumerate(zip(questions, answers, strict=True)):
            right = one.check(answer)
            worth = right if one.point is None else (right + one.nearness(vectors[row])) / 2
            found.append(worth - ODD * max(float(odd[row]), 0.0))
        return found
