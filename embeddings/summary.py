"""Summary embeddings and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from torch import Tensor

from copyloom import SpaceError


@dataclass(frozen=True)
class SpaceIdentity:
    """What must be equal for two summary embeddings to be mixed.

    Parameters
    ----------
    model, parameters, tokenizer : str
        Name of the language model, hash of its parameters, hash of its tokenizer.
    encoder : str
        Name of the sentence encoder.
    adapter : str
        Hash of the adapter; empty where there is none.
    vectors, hidden_size : int
        P and D.
    dtype : str
        Of the vectors as stored.
    decoding : str
        Settings with which exactness was decided.
    """

    model: str
    parameters: str
    tokenizer: str
    encoder: str
    adapter: str
    vectors: int
    hidden_size: int
    dtype: str = "float32"
    decoding: str = "greedy, constant shape"

    def __str__(self) -> str:
        """Return a short name for messages."""
        return f"{self.model} (parameters {self.parameters}, P={self.vectors}, D={self.hidden_size})"


@dataclass(frozen=True)
class Lineage:
    """The texts that a text was mixed from, and their weights."""

    parents: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class SummaryEmbedding:
    """A text and the vectors that a frozen language model decodes back to it.

    Parameters
    ----------
    text : str
    vectors : Tensor of shape (P, D)
        float32, on the CPU.
    sentence_vector : Tensor of shape (S,)
        float32, unit length.
    space : SpaceIdentity
    exact : bool
        Whether constant-shape greedy decoding of `vectors` alone returns `text`.
    margin : float
        Least difference in logit, over the tokens of the text, between the token and its best rival.
    steps : int
        Optimisation steps taken.
    start : str
        ``"adapter"`` or ``"token_mean"``.
    lineage : Lineage, optional
        For texts that were mixed.
    """

    text: str
    vectors: Tensor
    sentence_vector: Tensor
    space: SpaceIdentity
    exact: bool
    margin: float
    steps: int
    start: str
    lineage: Lineage | None = field(default=None)


def check_same_space(embeddings: Sequence[SummaryEmbedding], space: SpaceIdentity | None = None) -> SpaceIdentity:
    """Return the space that all `embeddings` share: `space`, or else the first one's.

    Raises
    ------
    SpaceError
        If one is of another; the message names both spaces and what differs.
    """
    wanted = space or embeddings[0].space
    whose = "this model" if space else repr(embeddings[0].text)
    for other in embeddings:
        if other.space != wanted:
            raise SpaceError(
                f"{whose} works in {wanted}, {other.text!r} is stored in {other.space} "
                f"({difference(wanted, other.space)}); invert the texts with one model before mixing them"
            )
    return wanted


def difference(first: SpaceIdentity, second: SpaceIdentity) -> str:
    """Return in words in which fields two spaces differ."""
    one, other = asdict(first), asdict(second)
    return ", ".join(f"{key}: {one[key]} and {other[key]}" for key in one if one[key] != other[key])


def exact_share(found: Sequence[SummaryEmbedding]) -> float:
    """Return the share of embeddings that are exact."""
    return sum(embedding.exact for embedding in found) / len(found)


def mean_steps(found: Sequence[SummaryEmbedding]) -> float:
    """Return the mean number of steps of an embedding."""
    return sum(embedding.steps for embedding in found) / len(found)
