"""The texts that an adapter is trained on and judged by, with their vectors, and the batches drawn from them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from embeddings.inversion import fault
from embeddings.inversion_config import InversionConfig
from embeddings.training.config import AdapterTraining
from generator.language_model import LanguageModel

FEWEST = 8
"""Texts, at least."""
_MOST_HELD_OUT = 512
_LENGTHS = 8
"""Batches are padded to a multiple of this."""
_WINDOW = 16
"""Rows of a batch are drawn from so many times their number of neighbours in length, so that little is padding."""


@dataclass(frozen=True)
class Batch:
    """Texts of one step: vectors (B, S) and token ids (B, L), end-of-text included, -100 behind it."""

    vectors: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Fit:
    """Texts that the model can write, by their numbers, and why others cannot be."""

    rows: list[int]
    left_out: int
    reason: str


def fit_texts(model: LanguageModel, texts: Sequence[str], config: AdapterTraining) -> Fit:
    """Return which texts the model can write.

    Raises
    ------
    InputError
        If a text is there twice, or fewer than 8 can be written.
    """
    first: dict[str, int] = {}
    for number, text in enumerate(texts):
        if first.setdefault(text, number) != number:
            raise InputError(f"text {number + 1} is text {first[text] + 1} again ({text[:30]!r}); give each text once")
    limits = InversionConfig(max_tokens=config.max_tokens)
    faults = [fault(model, text, limits, config.per_text) for text in texts]
    rows = [number for number, reason in enumerate(faults) if reason is None]
    reason = next((f"text {number + 1} {why}" for number, why in enumerate(faults) if why is not None), "")
    if len(rows) < FEWEST:
        raise InputError(
            f"{len(rows)} of {len(texts)} texts can be trained on; give {FEWEST} or more{reason and ': ' + reason}"
        )
    return Fit(rows, len(texts) - len(rows), reason)


def split(texts: Sequence[str], config: AdapterTraining) -> tuple[list[int], list[int]]:
    """Return the numbers of the texts to train on and of those held out, by a hash of seed and text."""
    count = min(max(round(config.held_out * len(texts)), 2), _MOST_HELD_OUT)
    hashed = sorted(range(len(texts)), key=lambda i: hashlib.sha256(f"{config.seed} {texts[i]}".encode()).digest())
    return sorted(hashed[count:]), sorted(hashed[:count])


def noisy(vectors: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Return unit vectors (B, S) with Gaussian noise, each row's as long as a random share of `most`."""
    spread = most * torch.rand(len(vectors), 1, generator=generator) / vectors.shape[1] ** 0.5
    return normalize(vectors + spread * torch.randn(vectors.shape, generator=generator), dim=-1)


class Examples:
    """Texts as token ids with their vectors.

    Parameters
    ----------
    model : LanguageModel
    texts : sequence of str
    vectors : Tensor of shape (texts, S)
        Unit length.
    """

    def __init__(self, model: LanguageModel, texts: Sequence[str], vectors: Tensor) -> None:
        self.texts, self.vectors = list(texts), vectors
        self._ids = [[*model.tokenize(text), model.end] for text in texts]
        self._by_length = sorted(range(len(texts)), key=lambda i: (len(self._ids[i]), i))

    def drawn(self, config: AdapterTraining, stage: str, step: int) -> Batch:
        """Return the batch of one step, noise on its vectors: a pure function of the seed, the stage and the step."""
        rng = random.Random(f"{config.seed} {stage} {step}")
        rows = min(config.rows, len(self.texts))
        width = _WINDOW * rows
        start = rng.randrange(rows - width, len(self.texts))
        window = self._by_length[max(start, 0) : start + width]
        batch = self._batch(rng.sample(window, min(rows, len(window))))
        noise = torch.Generator().manual_seed(rng.getrandbits(63))
        return Batch(noisy(batch.vectors, config.noise, noise), batch.targets)

    def in_order(self, rows: int) -> Iterator[Batch]:
        """Yield all texts by length, `rows` at a time, without noise."""
        for first in range(0, len(self._by_length), rows):
            yield self._batch(self._by_length[first : first + rows])

    def _batch(self, numbers: Sequence[int]) -> Batch:
        ids = [self._ids[number] for number in numbers]
        length = -(-max(map(len, ids)) // _LENGTHS) * _LENGTHS
        targets = torch.full((len(ids), length), -100)
        for row, tokens in enumerate(ids):
            targets[row, : len(tokens)] = torch.tensor(tokens)
        return Batch(self.vectors[list(numbers)], targets)
