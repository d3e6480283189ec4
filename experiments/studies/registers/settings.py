"""Settings of the study of registers."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, PositiveInt, model_validator

from experiments.campaigns.config import Strict

MIXED = "mixed"
"""What a model is called that learns from equal parts of all registers."""
QUICK: dict[str, Any] = {
    "texts": 1200, "passes": 3, "steps": 60, "hidden_size": 64, "layers": 2, "vocabulary": 1024, "width": 128,
    "vectors": 4, "judged": 24, "inversion_steps": 60,
}  # fmt: skip
"""Within two minutes: shows what comes out, and measures nothing."""
FEWEST = 200
"""Texts of a register, at least."""


class RegisterStudy(Strict):
    """What models are trained and how they are measured. The defaults take about two hours on 2 cores.

    Parameters
    ----------
    texts : int
        Of a register at most; what is trained on is cut to as many tokens as the shortest register has.
    trainings : int
        Models of each register, from different random parameters.
    passes : float
        Times that each text is seen.
    steps : int
        Of each training; rows of a step follow from them, so that all models see as many tokens in as many steps.
    vocabulary : int
        Tokens, learnt from equal parts of all registers: one tokenizer for all models.
    hidden_size, layers, width : int
        Of the language model, and of the adapter's hidden layer.
    vectors : int
        Of a text, P.
    rate : float
        Peak learning rate (AdamW).
    noise : float
        Most that is added to the unit vectors in training, as a share of their length.
    judged : int
        Held-out texts of each register that are read, stored, mixed and steered.
    inversion_steps : int
        Most steps in which a text is stored.
    judge : str
        Language model that says how likely what was written is.
    seed : int
    """

    texts: int = Field(default=40_000, ge=FEWEST)
    trainings: PositiveInt = 1
    passes: float = Field(default=6.0, gt=0)
    steps: int = Field(default=1500, ge=10)
    vocabulary: int = Field(default=4096, ge=512)
    hidden_size: int = Field(default=192, ge=32)
    layers: PositiveInt = 4
    width: PositiveInt = 768
    vectors: PositiveInt = 8
    rate: float = Field(default=2e-3, gt=0)
    noise: float = Field(default=0.25, ge=0)
    judged: int = Field(default=120, ge=20)
    inversion_steps: PositiveInt = 300
    judge: str = "smollm2"
    seed: int = Field(default=0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.hidden_size % HEAD_SIZE:
            raise ValueError(f"hidden_size is {self.hidden_size}; give a multiple of {HEAD_SIZE}, the size of a head")
        return self


HEAD_SIZE = 32
