"""The slots in which texts are optimised together, and the texts that wait for one."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.lbfgs import RowwiseLBFGS
from generator.language_model import LanguageModel

ATTEMPTS = (1.0, 0.5, 2.0)
"""Factors of the trust radius at the first, second and third attempt."""


@dataclass(eq=False)
class Target:
    """A text on its way through the slots.

    Parameters
    ----------
    index : int
        The caller's number for it.
    text : str
    ids : list of int
        Its tokens, end-of-text included.
    start : Tensor of shape (P, D)
    sentence_vector : Tensor of shape (S,), optional
        Needed where the configuration has a relational weight.
    """

    index: int
    text: str
    ids: list[int]
    start: Tensor
    sentence_vector: Tensor | None = None
    attempt: int = 0
    taken: int = 0
    """Steps of this attempt."""
    steps: int = 0
    surprisal: float = 0.0
    margin_factor: float = 1.0
    best: tuple[float, Tensor] | None = None
    """Least lead and vectors of the attempt that came closest."""

    @classmethod
    def of(
        cls, model: LanguageModel, index: int, text: str, start: Tensor, sentence_vector: Tensor | None = None
    ) -> Target:
        """Return the target that `text` is for a model."""
        return cls(index, text, [*model.tokenize(text), model.end], start, sentence_vector)


class Waiting:
    """Texts in order of length, taken as a lift serves floors: those that follow one another are about equally long."""

    def __init__(self) -> None:
        self._targets: list[Target] = []
        self._at, self._upwards = 0, True

    def __len__(self) -> int:
        """Return how many texts wait."""
        return len(self._targets)

    def add(self, target: Target) -> None:
        """Let a text wait among those of its length."""
        insort(self._targets, target, key=_length)

    def take(self) -> Target:
        """Return the next text on the way up or down."""
        first = bisect_left(self._targets, self._at if self._upwards else self._at + 1, key=_length)
        if first == (len(self._targets) if self._upwards else 0):
            self._upwards = not self._upwards
        target = self._targets.pop(first if self._upwards else first - 1)
        self._at = len(target.ids)
        return target


class Slots:
    """Rows of vectors and targets; the texts in them lie in the first rows.

    Parameters
    ----------
    rows : int
        The most texts at a time.
    length : int
        The most tokens of a text, end-of-text included.
    shape : tuple of int
        P and D.
    device : torch.device
    fixed : bool
        Whether tensors of indices keep one shape, for devices that compile for each.
    """

    def __init__(self, rows: int, length: int, shape: tuple[int, int], device: torch.device, fixed: bool) -> None:
        self.rows, self.active = rows, list[Target]()
        self.descent = RowwiseLBFGS(rows + 1, shape[0] * shape[1], device)  # the last row holds no text; see `_index`
        self.targets = torch.full((rows + 1, length), -100, device=device)
        self.margins = torch.ones(rows + 1, device=device)
        self._shape, self._fixed = shape, fixed

    def vectors(self, rows: int) -> Tensor:
        """Return the vectors (rows, P, D) of the first rows."""
        return self.descent.points[:rows].view(rows, *self._shape)

    def sentence_vectors(self) -> Tensor:
        """Return the sentence vectors (n, S) of the texts in slots.

        Raises
        ------
        InputError
            If a text came without.
        """
        known = [target.sentence_vector for target in self.active if target.sentence_vector is not None]
        if len(known) < len(self.active):
            raise InputError(
                "a text has no sentence vector, which a relational weight needs; use Space.invert, or set 0"
            )
        return torch.stack(known).to(self.margins.device)

    def fill(self, waiting: Waiting, margin: float, radius: float, scale: float) -> None:
        """Put waiting texts into the free slots.

        Parameters
        ----------
        waiting : Waiting
        margin : float
            Wanted, in logits.
        radius : float
            Longest step, as a share of the root mean square of the start, or of `scale` if that is larger.
        scale : float
        """
        first = len(self.active)
        new = [waiting.take() for _ in range(min(self.rows - first, len(waiting)))]
        if not new and not self._fixed:
            return
        rows = self._index(range(first, first + len(new)))
        padded = torch.full((len(rows), self.targets.shape[1]), -100)
        starts = torch.zeros(len(rows), *self._shape)
        margins, radii = torch.ones(len(rows)), torch.zeros(len(rows))
        for row, target in enumerate(new):
            padded[row, : len(target.ids)] = torch.tensor(target.ids)
            starts[row] = target.start
            margins[row], radii[row] = margin * target.margin_factor, radius * ATTEMPTS[target.attempt]
            target.taken = 0
        device, starts = self.targets.device, starts.flatten(1)
        radii *= starts.square().mean(1).sqrt().clamp_min(scale)
        self.targets[rows], self.margins[rows] = padded.to(device), margins.to(device)
        self.descent.put(rows, starts.to(device), radii.to(device))
        self.active += new

    def close_up(self, leaving: Sequence[int]) -> None:
        """Free the rows `leaving`; texts at the end move into the gaps."""
        if not leaving and not self._fixed:
            return
        kept, gone = len(self.active) - len(leaving), set(leaving)
        source = [row for row in range(kept, len(self.active)) if row not in gone]
        gaps = [row for row in leaving if row < kept]
        for row, gap in zip(source, gaps, strict=True):
            self.active[gap] = self.active[row]
        if source or self._fixed:
            rows, to = self._index(source), self._index(gaps)
            self.descent.move(rows, to)
            for state in (self.targets, self.margins):
                state[to] = state[rows]
        self.targets[self._index(range(kept, len(self.active)))] = -100
        del self.active[kept:]

    def _index(self, rows: Sequence[int]) -> Tensor:
        """Return the numbers of rows (n,); where each shape compiles, n is always one, filled up with the empty row."""
        empty = [self.rows] * (self.rows - len(rows)) if self._fixed else []
        return torch.tensor([*rows, *empty], device=self.targets.device)


def _length(target: Target) -> int:
    return len(target.ids)
