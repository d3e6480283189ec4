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
from generator.checks import normalised
from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone

Array = NDArray[np.float64]
_USUAL = (0.05, 0.95)
_LIMIT_TEXTS = 300
"""Training texts of a register that set between which surprisals its readable texts are."""
_NEARER = 0.95


@dataclass(frozen=True)
class Measure:
    """One thing that is wanted of a model.

    Parameters
    ----------
    title : str
    better : {"high", "low"}
    share : bool
        Whether it is a share of texts.
    """

    title: str
    better: Literal["high", "low"]
    share: bool


MEASURES = {
    "bits": Measure("bits a byte", "low", False),
    "straight_exact": Measure("exact, straight", "high", True),
    "straight_cosine": Measure("cosine, straight", "high", False),
    "exact": Measure("exact, refined", "high", True),
    "steps": Measure("steps of refinement", "low", False),
    "mixed_good": Measure("mixtures good", "high", True),
    "mixed_cosine": Measure("mixtures' cosine", "high", False),
    "steered_good": Measure("wishes met well", "high", True),
    "steered_cosine": Measure("cosine kept when steered", "high", False),
}
HEADLINES = ("bits", "exact", "mixed_good", "steered_good")
"""One of reading, storing, mixing and steering."""


class Judge:
    """Says what is worth something; no measured model has a part in it.

    Parameters
    ----------
    model : LanguageModel
    encoder : Encoder
    training : mapping of str to sequence of str
        What each model learnt from. Of nine in ten of the first 300 texts of a register the surprisal lies within the
        limits of readable texts: what is odder, or as easy to foretell as a word said again and again, is not.
    """

    def __init__(self, model: LanguageModel, encoder: Encoder, training: Mapping[str, Sequence[str]]) -> None:
        self._model, self._encoder = model, encoder
        self._learnt = {name: {normalised(text) for text in some} for name, some in training.items()}
        self.limits: dict[str, tuple[float, float]] = {}
        for name, some in training.items():
            low, high = surprisals_alone(model, some[:_LIMIT_TEXTS]).quantile(torch.tensor(_USUAL)).tolist()
            self.limits[name] = (low, high)

    def scores(self, model: str, register: str, made: Made) -> dict[str, list[float]]:
        """Return each measure of each text, NaN where a text lacks no trait that it could be asked for.

        Parameters
        ----------
        model : str
            What the model learnt from: texts that it repeats from there are not good.
        register : str
            Of the texts.
        made : Made
        """
        points = torch.stack([one.sentence_vector for one in made.stored])
        mixed, mixed_cosine = self._mixtures(model, register, made, points)
        steered, steered_cosine = self._steered(model, register, made, points)
        return {
            "bits": made.bits,
            "straight_exact": [float(own == one.text) for own, one in zip(made.straight, made.stored, strict=True)],
            "straight_cosine": (self._meanings(made.straight) * points).sum(1).tolist(),
            "exact": [float(one.exact) for one in made.stored],
            "steps": [float(one.steps) for one in made.stored],
            "mixed_good": mixed, "mixed_cosine": mixed_cosine,
            "steered_good": steered, "steered_cosine": steered_cosine,
        }  # fmt: skip

    def _mixtures(self, model: str, register: str, made: Made, points: Tensor) -> tuple[list[float], list[float]]:
        pairs = _rows(made, made.mixed)
        wanted = wanted_point(points[pairs], torch.full(pairs.shape, 0.5))
        cosines = self._meanings([one.text for one in made.mixed]) @ wanted.T
        own = torch.arange(len(wanted))
        good = self._good(model, register, made.mixed) & follows(cosines, own)
        return good.astype(float).tolist(), cosines.diagonal().tolist()

    def _steered(self, model: str, register: str, made: Made, points: Tensor) -> tuple[list[float], list[float]]:
        """Return for each text the mean over all that it was asked for."""
        if not made.steered:
            return [nan] * len(points), [nan] * len(points)
        rows = _rows(made, made.steered)[:, 0]
        cosines = self._meanings([one.text for one in made.steered]) @ points.T
        met = np.array([has(one.wish, one.text) for one in made.steered])
        good = self._good(model, register, made.steered) & follows(cosines, rows) & met
        kept = cosines.gather(1, rows[:, None])[:, 0]
        return _means(good, rows, len(points)), _means(kept.numpy(), rows, len(points))

    def _good(self, model: str, register: str, written: Sequence[Written]) -> NDArray[np.bool_]:
        """Return which texts are whole, readable, and neither their sources nor learnt by heart."""
        losses = surprisals_alone(self._model, [one.text for one in written]).tolist()
        (low, high), learnt = self.limits[register], self._learnt[model]
        return np.array([
            one.finished and low <= loss <= high and is_new(one.text, one.sources)
            and normalised(one.text) not in learnt for one, loss in zip(written, losses, strict=True)
        ])  # fmt: skip

    def _meanings(self, texts: Sequence[str]) -> Tensor:
        return self._encoder.encode([text.removesuffix(" [cut]") or " " for text in texts])


def follows(cosines: Tensor, own: Tensor) -> NDArray[np.bool_]:
    """Return which of some texts are nearer to their own point than to 95 % of the others' points.

    One text in twenty is by chance, and no more are if all say the same.

    Parameters
    ----------
    cosines : Tensor of shape (N, M)
        Of N texts to M points.
    own : Tensor of shape (N,)
        Which point each should be near to.
    """
    mine = cosines.gather(1, own[:, None])
    further = (cosines < mine).double().sum(1) / (cosines.shape[1] - 1)
    found: NDArray[np.bool_] = (further >= _NEARER).numpy()
    return found


def _rows(made: Made, written: Sequence[Written]) -> Tensor:
    """Return the numbers (N, K) of the stored texts from which others were written."""
    number = {one.text: row for row, one in enumerate(made.stored)}
    return torch.tensor([[number[text] for text in one.sources] for one in written])


def _means(values: NDArray[np.generic], rows: Tensor, count: int) -> list[float]:
    """Return the mean of values by row, NaN where a row has none."""
    of = rows.numpy()
    return [float(values[of == row].mean()) if (of == row).any() else nan for row in range(count)]
