"""Settings of the study of interventions."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, PositiveInt, model_validator

from experiments.campaigns.config import Strict
from generator.grammar import Grammar
from generator.models import SHIPPED

QUICK: dict[str, Any] = {
    "wishes": ("emotional",), "texts": 12, "validation": 8, "products": 12, "layers": 2, "strengths": 3, "ranges": 1,
}  # fmt: skip
"""Within a minute with copyloom-tiny."""


class InterventionStudy(Strict):
    """What is asked of which texts.

    Parameters
    ----------
    wishes : tuple of str
        Styles of the grammar; each text is asked for each of them.
    texts : int
        Held-out texts that are measured; none is in a wished style.
    validation : int
        Other held-out texts, on which layers and strengths are chosen.
    products : int
        Of the examples: one claim in each style about each.
    layers : int
        Layers at which activation addition is tried, evenly spaced.
    strengths : int
        How many of each method's strengths are tried, evenly spaced: 2 to 6.
    ranges : int
        1: in-context vectors at all layers and one number of heads, none read at the last token; 3: all of it, also at
        half the layers, and two other numbers of heads.
    target : float
        Share of texts in the wished style, readable, at which side effects are compared.
    model : str
        With an adapter.
    seed : int
        Of examples and random directions.
    """

    wishes: tuple[str, ...] = ("emotional", "urgent", "luxury")
    texts: int = Field(default=64, ge=2)
    validation: int = Field(default=24, ge=2)
    products: int = Field(default=60, ge=10)
    layers: PositiveInt = 6
    strengths: int = Field(default=6, ge=2, le=6)
    ranges: int = Field(default=3, ge=1, le=3)
    target: float = Field(default=0.5, gt=0, lt=1)
    model: str = SHIPPED
    seed: int = Field(default=0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _check_wishes(self) -> Self:
        styles = Grammar.load().styles
        unknown = [wish for wish in self.wishes if wish not in styles]
        if not self.wishes or unknown or len(set(self.wishes)) < len(self.wishes) or len(self.wishes) == len(styles):
            raise ValueError(
                f"wishes are {', '.join(self.wishes) or 'none'}; give one or more of {', '.join(styles)}, each once, "
                "but not all, for texts of another style are asked for them"
            )
        return self
