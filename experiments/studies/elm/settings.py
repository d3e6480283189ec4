"""Settings of the study of ELM."""

from __future__ import annotations

from typing import Any

from pydantic import Field, NonNegativeInt, PositiveInt

from experiments.campaigns.config import Strict
from generator.models import JUDGE, SHIPPED, WRITER

QUICK: dict[str, Any] = {
    "model": SHIPPED, "prompted": SHIPPED, "judge": SHIPPED, "entities": 800, "questions": 8, "pairs": 4,
    "adapter_steps": 5, "steps": 15, "rows": 8, "rank": 4, "feedback_steps": 2, "tokens": 24, "people": 40,
}  # fmt: skip
"""Within minutes: shows what comes out, and measures a model that has learnt next to nothing."""


class ElmStudy(Strict):
    """What is trained and asked. The defaults take hours on 2 cores with bfloat16 units.

    Parameters
    ----------
    model : str
        The writer that the ELM is made of.
    prompted : str
        The instruct model that is told in words what the ELM reads as vectors, and finds answers odd for the rewards.
    judge : str
        The model by which surprisal is measured; the usual one is trained and chosen by nothing here.
    entities : int
        Films, and products, that are taken at most.
    tasks : tuple of str
        That are taught and asked; all unless some are named.
    questions : int
        Of each task, about held-out entities.
    pairs : int
        Of held-out entities, between which and beyond which is looked; as many go along directions.
    adapter_steps, steps, rows, rank : int
        Of the training: see `experiments.elm.training.ElmTraining`.
    feedback_steps : int
        Of learning from rewards afterwards, which makes a second model; 0 makes none.
    tokens : int
        Of an answer, at most.
    people : int
        Over whom behavioural consistency is taken.
    seed : int
        Of parameters, questions and answers.
    """

    model: str = WRITER
    prompted: str = WRITER
    judge: str = JUDGE
    entities: int = Field(default=100_000, ge=200)
    tasks: tuple[str, ...] = ()
    questions: int = Field(default=40, ge=8)
    pairs: int = Field(default=30, ge=2)
    adapter_steps: PositiveInt = 80
    steps: PositiveInt = 560
    rows: PositiveInt = 32
    rank: PositiveInt = 16
    feedback_steps: NonNegativeInt = 100
    tokens: int = Field(default=80, ge=8, le=256)
    people: int = Field(default=100, ge=2)
    seed: int = Field(default=0, ge=0, le=2**20)
