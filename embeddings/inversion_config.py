"""How hard inversion tries."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt

Start = Literal["adapter", "token_mean", "random", "given"]
Precision = Literal["auto", "float32", "bfloat16"]


class InversionConfig(BaseModel):
    """How hard inversion tries, and where it starts.

    Parameters
    ----------
    start : {"adapter", "token_mean", "random", "given"}
        Where vectors start. The adapter's output needs few steps and keeps them where they can be mixed; the mean of
        the text's token embeddings works with any model; given starts are an earlier solution, of another version of
        the model say.
    margin : float
        Least lead, in logits, of every token over its best rival.
    max_steps : int
        Budget of a text at each of three attempts, with other radii. What is not exact then is reported so.
    steps_per_nat : float, optional
        Shortens the budget of easy texts: to 20 steps, and so many for each nat of surprisal at the start.
    radius : float, optional
        Longest step, as a share of the root mean square of the start or of the model's token embeddings, whichever
        is larger. By default 0.1 from the adapter, which keeps vectors near it, or given starts, and 2 from elsewhere;
        `embeddings.probe` finds the fastest for a model.
    relational_weight : float
        Of `embeddings.relational.relational_loss` among the texts in the slots; 0 leaves it out, and vectors then do
        not depend on the texts that are inverted beside them, but for rounding.
    rows : int
        Slots: texts optimised at a time. Memory grows with them, not with the number of texts.
    max_tokens : int
        Longer texts are refused; see `embeddings.documents` for those.
    precision : {"auto", "float32", "bfloat16"}
        In which the model computes while it is optimised through. Vectors are float32 and exactness is decided in the
        decoder's precision. float32 gives the same vectors, but for rounding, on every machine. "auto", which
        ``copyloom invert`` takes, is bfloat16 where the device multiplies matrices at least three times faster in it.
    compiled : bool
        Use `torch.compile`: worth its wait, at each call, for many thousand texts. Needs a C++ compiler on CPUs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Start = "adapter"
    margin: PositiveFloat = 1.0
    max_steps: PositiveInt = 300
    steps_per_nat: PositiveFloat | None = None
    radius: PositiveFloat | None = None
    relational_weight: NonNegativeFloat = 0
    rows: PositiveInt = 64
    max_tokens: PositiveInt = 160
    precision: Precision = "float32"
    compiled: bool = False

    @property
    def longest_step(self) -> float:
        """The radius, given or by default."""
        return self.radius or (0.1 if self.start in ("adapter", "given") else 2.0)
