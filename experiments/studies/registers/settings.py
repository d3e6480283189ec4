"""Settings of the study of registers."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, PositiveInt, model_validator

from experiments.campaigns.config import Strict
from generator.models import WRITER

MIXED = "mixed"
"""What the model is called that learns from equal parts of all registers."""
QUICK: dict[str, Any] = {
    "texts": 1200, "passes": 3.0, "steps": 60, "hidden_size": 64, "layers": 2, "vocabulary": 1024, "width": 128,
    "vectors": 4, "judged": 40, "inversion_steps": 60,
}  # fmt: skip
"""Within minutes: shows what comes out, and measures nothing."""
FEWEST = 200
"""Texts of a register to learn from, at least."""
HEAD_SIZE = 32
"""Of the attention of all models."""


class RegisterStudy(Strict):
    """What models are trained and how they are measured. The defaults take about two hours on 2 cores.

    Parameters
    ----------
    texts : int
        Of a register at most; what is learnt from is cut to as many tokens as the shortest register has.
    trainings : int
        Models of each register, from other random parameters and in another order.
    passes : float
        Times that each text is seen.
    steps : int
        Of each training at most: fewer where a step would have less than 32 texts.
    vocabulary : int
        Tokens of the one tokenizer that all models have, learnt from equally many texts of each register.
    hidden_size, layers, width : int
        Of the language model, and of the adapter's hidden layer.
    vectors : int
        Of a text, P.
    rate : float
        Peak learning rate (AdamW).
    noise : float
        Most that is added to the unit vectors in training, as a share of their length.
    judged : int
        Texts of each register that are held out from all models.
    inversion_steps : int
        Most steps in which a text is stored.
    judge : str
        Language model that says how likely what was written is.
    seed : int
        Of random parameters and of the order of texts.
    """

    texts: int = Field(default=40_000, ge=FEWEST)
    trainings: PositiveInt = 1
    passes: float = Field(default=6.0, gt=0)
    steps: int = Field(default=1500, ge=1)
    vocabulary: int = Field(default=4096, ge=512)
    hidden_size: int = Field(default=192, ge=32)
    layers: PositiveInt = 4
    width: PositiveInt = 768
    vectors: int = Field(default=8, ge=1, le=64)
    rate: float = Field(default=2e-3, gt=0, le=0.1)
    noise: float = Field(default=0.25, ge=0)
    judged: int = Field(default=120, ge=20)
    inversion_steps: PositiveInt = 100
    judge: str = WRITER
    seed: int = Field(default=0, ge=0, le=2**20)

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.hidden_size % HEAD_SIZE:
            raise ValueError(f"hidden_size is {self.hidden_size}; give a multiple of {HEAD_SIZE}, the size of a head")
        return self
