"""What an adapter is and how it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from embeddings.inversion_config import Precision
from generator.models import ENCODER_ID, SHIPPED
from generator.settings import Settings, read_mapping, validated

Stage = Literal["adapter", "model", "lora"]


class Schedule(BaseModel):
    """When the learning rate of a training rises, stays and falls (Hu et al. 2024, MiniCPM), and what is kept of it.

    Parameters
    ----------
    seed : int
        Of all random numbers.
    warmup : int
        Steps over which the learning rate rises.
    cooldown : float
        Share of the steps, the last, over which it falls.
    checkpoint_seconds : float
        From one checkpoint to the next.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: NonNegativeInt = 0
    warmup: PositiveInt = 60
    cooldown: float = Field(0.4, gt=0, le=1)
    checkpoint_seconds: NonNegativeFloat = 120.0


class AdapterTraining(Schedule):
    """How an adapter is trained: alone, then together with its language model (ELM, Tennenholtz et al., ICLR 2024).

    The learning rate rises and falls anew at each stage.

    Parameters
    ----------
    model : str
        copyloom-tiny, a folder, or the hub id of a causal model.
    encoder : str
        all-MiniLM-L6-v2, or the folder or hub id of a sentence-transformers model; unused where vectors are given.
    trust_remote_code : bool
        Run the code that a model or an encoder brings with it.
    stage : {"adapter", "model", "lora"}
        What is trained last. The adapter alone; then the whole model with it; or low-rank updates of the model (LoRA,
        Hu et al. 2022), which are merged at the end.
    per_text : int
        Vectors of a text, P.
    width : int
        Of the adapter's hidden layer.
    held_out : float
        Share of the texts that is never trained on; at least 2 and at most 512 texts.
    max_tokens : int
        Longer texts are left out, and counted.
    rows : int
        Texts of a step.
    noise : float
        Most that is added to the unit vectors, as a share of their length: what lies between texts is then decoded too.
    adapter_steps : int
        Most steps of the adapter alone.
    joint_steps : int
        Most steps together with the model.
    adapter_rate, joint_adapter_rate, model_rate, lora_rate : float
        Peak learning rates of the adapter alone, of the adapter beside the model, and of what trains beside it.
    lora_rank : int
        Of the low-rank updates.
    evaluate_every : int
        Steps between looks at the held-out texts.
    judged : int
        Held-out texts that are decoded at each look; all of them at the end.
    patience : int, optional
        Looks without a lower held-out loss after which a stage ends; it keeps the parameters of the lowest. None goes
        through all steps and keeps the last parameters.
    precision : {"auto", "float32", "bfloat16"}
        In which the model computes; parameters are float32. "auto" is bfloat16 where the device multiplies matrices at
        least three times faster in it.
    """

    model: str = SHIPPED
    encoder: str = ENCODER_ID
    trust_remote_code: bool = False
    stage: Stage = "model"
    per_text: PositiveInt = 8
    width: PositiveInt = 1536
    held_out: float = Field(0.05, gt=0, le=0.5)
    max_tokens: PositiveInt = 63
    rows: PositiveInt = 64
    noise: NonNegativeFloat = 0.25
    adapter_steps: NonNegativeInt = 2000
    joint_steps: PositiveInt = 4000
    adapter_rate: PositiveFloat = 3e-3
    joint_adapter_rate: PositiveFloat = 3e-4
    model_rate: PositiveFloat = 1e-4
    lora_rate: PositiveFloat = 1e-3
    lora_rank: PositiveInt = 16
    evaluate_every: PositiveInt = 100
    judged: PositiveInt = 64
    patience: PositiveInt | None = 8
    precision: Precision = "float32"

    @property
    def stages(self) -> tuple[tuple[Stage, int], ...]:
        """The stages in order, each with its steps."""
        alone: tuple[Stage, int] = ("adapter", self.adapter_steps)
        return (alone,) if self.stage == "adapter" else (alone, (self.stage, self.joint_steps))


def share_of_rate(step: int, steps: int, warmup: int, cooldown: float) -> float:
    """Return the share of the peak learning rate: up linearly, level, and down linearly (Hu et al. 2024, MiniCPM).

    Examples
    --------
    >>> [share_of_rate(step, 100, warmup=10, cooldown=0.4) for step in (0, 50, 80)]
    [0.1, 1.0, 0.5]
    """
    return min((step + 1) / warmup, (steps - step) / (cooldown * steps), 1.0)


def read_settings(kind: type[Settings], path: Path | None, changes: dict[str, Any]) -> Settings:
    """Return the settings in a YAML file, with those of `changes` on top that are not None."""
    given = read_mapping(path, "a mapping of settings such as 'steps: 1000'", empty=True) if path else {}
    chosen = {name: value for name, value in changes.items() if value is not None}
    return validated(kind, given | chosen, f"training settings {path or chosen}")
