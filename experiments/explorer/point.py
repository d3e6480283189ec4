"""A point of the space, wherever it comes from: a text, a mixture, a step along a direction, a draw, a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError, Progress
from embeddings.directions import Direction
from embeddings.mixing import adapt, mix, wanted_point, whole_weights
from embeddings.space import Space
from embeddings.steering import TRUST_DEGREES, adapter_of, check_move, towards
from embeddings.summary import SummaryEmbedding

Kind = Literal["text", "mixture", "step", "draw", "vector"]

_SMALL = 1e-6


@dataclass(frozen=True, eq=False)
class Point:
    """A place in the input space of a language model.

    Parameters
    ----------
    vectors : Tensor of shape (P, D)
        float32, on the CPU.
    meaning : Tensor of shape (S,), optional
        The sentence vector that is meant there, of unit length: of a text its own, of a mixture the wanted point; None
        where only vectors are known.
    kind : str
    said : str
        Where it comes from, for people.
    parents : tuple of str
        The texts that it was made of; of a text itself.
    weights : tuple of float
        One a parent.
    stored : tuple of SummaryEmbedding
        The parents of a mixture.
    room : int
        Tokens that its text may take, end-of-text included; 0 where no text says so.
    """

    vectors: Tensor
    meaning: Tensor | None
    kind: Kind
    said: str
    parents: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    stored: tuple[SummaryEmbedding, ...] = ()
    room: int = 0

    @property
    def text(self) -> str | None:
        """The text that the point was made to say, of a text alone."""
        return self.parents[0] if self.kind == "text" else None

    @property
    def length(self) -> float:
        """Length of all its numbers, in units of which distances are given."""
        return float(self.vectors.norm())

    @classmethod
    def of_text(cls, space: Space, text: str, progress: Progress = lambda done, total: None) -> Point:
        """Return the summary embedding of a text: the model writes that text from it, if it was found exactly."""
        (stored,) = space.invert([text], None, progress)
        return cls(stored.vectors, stored.sentence_vector, "text", "a text", (text,), (1.0,), room=_room(space, [text]))

    @classmethod
    def of_mixture(
        cls, space: Space, texts: Sequence[str], weights: Sequence[float] | None = None,
        progress: Progress = lambda done, total: None,
    ) -> Point:  # fmt: skip
        """Return the mixture of texts, alike unless weights that sum to 1 are given."""
        if len(texts) < 2:
            raise InputError(f"a mixture needs two texts or more, {len(texts)} given; give --mix once for each")
        shares = whole_weights([1 / len(texts)] * len(texts) if weights is None else weights, len(texts))
        stored = space.invert(texts, None, progress)
        vectors = torch.stack([one.vectors for one in stored])[None]
        sentences = torch.stack([one.sentence_vector for one in stored])[None]
        row = torch.tensor(shares)[None]
        (mixed,), (meaning,) = mix(vectors, sentences, row, space.adapter), wanted_point(sentences, row)
        said = " + ".join(f"{weight:.2f} x “{text}”" for text, weight in zip(texts, shares, strict=True))
        return cls(mixed, meaning, "mixture", said, tuple(texts), tuple(map(float, shares)), tuple(stored),
                   _room(space, texts))  # fmt: skip

    @classmethod
    def of_step(
        cls, space: Space, text: str, direction: Direction, strength: float = 1.0, trust: float = TRUST_DEGREES,
        progress: Progress = lambda done, total: None,
    ) -> Point:  # fmt: skip
        """Return a text's point turned along a direction, by a share of `trust` degrees; see `embeddings.steering`."""
        check_move(strength, trust, along=True)
        adapter = adapter_of(space)
        (stored,) = space.invert([text], None, progress)
        meaning = towards([stored], direction, strength, trust)
        vectors = stored.vectors + (adapt(adapter, meaning) - adapt(adapter, stored.sentence_vector[None]))[0]
        way = "towards" if strength >= 0 else "away from"
        said = f"“{text}”, turned by {abs(strength) * trust:.0f} degrees {way} {direction.name}"
        return cls(vectors, meaning[0], "step", said, (text,), (1.0,), room=_room(space, [text]))

    @classmethod
    def drawn(cls, space: Space, seed: int) -> Point:
        """Return a random meaning, as likely in every direction, put into vectors by the adapter."""
        adapter = adapter_of(space)
        noise = torch.randn(space.encoder.size, generator=torch.Generator().manual_seed(seed))
        meaning = normalize(noise, dim=0)
        return cls(adapt(adapter, meaning[None])[0], meaning, "draw", f"a random point, seed {seed}")

    @classmethod
    def of_file(cls, space: Space, path: Path) -> Point:
        """Return the vectors (P, D) in a file, or a sentence vector (S,), which the adapter puts into vectors.

        Raises
        ------
        InputError
            If the file is neither ``.npy`` nor safetensors, holds more than one array, or one that does not fit the
            space or holds what is no number.
        """
        found = _read(path)
        size, shape = space.encoder.size, (space.vectors, space.model.hidden_size)
        if not bool(found.isfinite().all()) or not bool(found.norm().isfinite()):
            raise InputError(f"{path} holds numbers that are not finite, or too large; give a vector of usual size")
        if tuple(found.shape) == shape and not float(found.norm()) > _SMALL:
            raise InputError(f"{path} holds zeros, or nearly; a point has a length, in units of which it is moved")
        if tuple(found.shape) == shape:
            return cls(found, None, "vector", f"the vectors in {path.name}")
        if tuple(found.shape) == (size,) and space.adapter is not None and float(found.norm()) > 0:
            meaning = normalize(found, dim=0)
            return cls(adapt(space.adapter, meaning[None])[0], meaning, "vector", f"the sentence vector in {path.name}")
        also = "" if space.adapter is None else f", or a sentence vector of {size} numbers that are not all zero"
        raise InputError(f"{path} has the shape {tuple(found.shape)}; {space.model.name} takes {shape}{also}")


def _room(space: Space, texts: Sequence[str]) -> int:
    return max(len(space.model.tokenize(text)) for text in texts) + 1


def _read(path: Path) -> Tensor:
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                raise ValueError("it holds no array of real numbers")
            return torch.from_numpy(array.astype(np.float32))
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            if len(names) == 1:
                found: Tensor = file.get_tensor(names[0]).float()
                return found
    except (OSError, EOFError, ValueError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a .npy file, or safetensors with one array") from error
    raise InputError(f"{path} holds the arrays {', '.join(names) or 'none'}; give a file with one")
