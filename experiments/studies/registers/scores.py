"""What was made is worth: one number for each held-out text and measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embeddings.encoder import Encoder
from embeddings.mixing import is_new, wanted_point
from experiments.studies.registers.measuring import Made, Written
from experiments.studies.registers.wishes import has
from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone

Array = NDArray[np.float64]
_USUAL = 0.95
_LIMIT_TEXTS = 300
"""Training texts of a register that set the limit of its readable ones."""


@dataclass(frozen=True)
class Measure:
    """One thing that is wanted of a model.

    Parameters
    ----------
    task : {"read", "store", "mix", "steer"}
    title : str
    better : {"high", "low"}
    share : bool
        Whether it is a share of texts.
    """

    task: Literal["read", "store", "mix", "steer"]
    title: str
    better: Literal["high", "low"]
    share: bool


MEASURES = {
    "bits": Measure("read", "bits a byte", "low", False),
    "straight_exact": Measure("store", "exact, straight", "high", True),
    "straight_cosine": Measure("store", "cosine, straight", "high", False),
    "exact": Measure("store", "exact, refined", "high", True),
    "steps": Measure("store", "steps of refinement", "low", False),
    "mixed_good": Measure("mix", "mixtures new and readable", "high", True),
    "mixed_cosine": Measure("mix", "mixtures' cosine", "high", False),
    "steered_good": Measure("steer", "wish met, readable", "high", True),
    "steered_cosine": Measure("steer", "cosine kept when steered", "high", False),
}
HEADLINES = ("bits", "exact", "mixed_good", "steered_good")
"""One of each task."""


class Judge:
    """Says what texts mean and how likely they are; no measured model has a part in it.

    Parameters
    ----------
    model : LanguageModel
    encoder : Encoder
    texts : mapping of str to sequence of str
        Texts of each register that no model is asked for: 95 % of them are readable.
    """

    def __init__(self, model: LanguageModel, encoder: Encoder, texts: Mapping[str, Sequence[str]]) -> None:
        self._model, self._encoder = model, encoder
        self.limits = {name: float(surprisals_alone(model, some[:_LIMIT_TEXTS]).quantile(_USUAL))
                       for name, some in texts.items()}  # fmt: skip

    def scores(self, register: str, made: Made) -> dict[str, list[float]]:
        """Return each measure of each text, NaN where a text lacks no trait that it could be asked for."""
        points = torch.stack([one.sentence_vector for one in made.stored])
        said = (_cosines(self._meaning(made.straight), points)).tolist()
        mixed, mixed_cosine = self._mixtures(register, made, points)
        steered, steered_cosine = self._steered(register, made, points)
        return {
            "bits": made.bits,
            "straight_exact": [float(own == one.text) for own, one in zip(made.straight, made.stored, strict=True)],
            "straight_cosine": said,
            "exact": [float(one.exact) for one in made.stored],
            "steps": [float(one.steps) for one in made.stored],
            "mixed_good": mixed, "mixed_cosine": mixed_cosine,
            "steered_good": steered, "steered_cosine": steered_cosine,
        }  # fmt: skip

    def _mixtures(self, register: str, made: Made, points: Tensor) -> tuple[list[float], list[float]]:
        number = {one.text: row for row, one in enumerate(made.stored)}
        pairs = torch.tensor([[number[text] for text in one.sources] for one in made.mixed])
        wanted = wanted_point(points[pairs], torch.full(pairs.shape, 0.5))
        good = [float(fine and is_new(one.text, one.sources))
                for one, fine in zip(made.mixed, self._readable(register, made.mixed), strict=True)]  # fmt: skip
        return good, _cosines(self._meaning([one.text for one in made.mixed]), wanted).tolist()

    def _steered(self, register: str, made: Made, points: Tensor) -> tuple[list[float], list[float]]:
        """Return for each text the mean over all that it was asked for."""
        number = {one.text: row for row, one in enumerate(made.stored)}
        rows = [number[one.sources[0]] for one in made.steered]
        if not rows:
            return [nan] * len(points), [nan] * len(points)
        good = [float(fine and has(one.wish, one.text))
                for one, fine in zip(made.steered, self._readable(register, made.steered), strict=True)]  # fmt: skip
        kept = _cosines(self._meaning([one.text for one in made.steered]), points[rows]).tolist()
        return _means(good, rows, len(points)), _means(kept, rows, len(points))

    def _readable(self, register: str, written: Sequence[Written]) -> list[bool]:
        losses = surprisals_alone(self._model, [one.text for one in written]).tolist()
        limit = self.limits[register]
        return [one.finished and bool(one.text.strip()) and loss <= limit
                for one, loss in zip(written, losses, strict=True)]  # fmt: skip

    def _meaning(self, texts: Sequence[str]) -> Tensor:
        return self._encoder.encode([text.removesuffix(" [cut]") or " " for text in texts])


def _cosines(some: Tensor, others: Tensor) -> Tensor:
    return (some * others).sum(1)


def _means(values: Sequence[float], rows: Sequence[int], count: int) -> list[float]:
    """Return the mean of values by row, NaN where a row has none."""
    of = np.array(rows)
    return [float(np.mean(np.array(values)[of == row])) if (of == row).any() else nan for row in range(count)]
