"""What simulated shoppers see in a text: what the grammar reads in it, or where it lies in sentence space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.readability import Readability
from generator.reader import GrammarReader
from generator.record import ProductRecord
from simulator.shoppers import TextFeatures


@dataclass(frozen=True, eq=False)
class World:
    """The features that tastes are drawn over, and the texts over which their scale is set.

    Parameters
    ----------
    name : str
    features : callable
    reference : tuple of str
        Texts over which base rate and spread of the click logit hold.
    writable : tuple of str
        Every text that the grammar can write about the subject; empty where there is no grammar to say so.
    readable : callable
        Share of its clicks that each of n texts keeps: see `generator.readability.Readability`.
    """

    name: str
    features: TextFeatures
    reference: tuple[str, ...]
    writable: tuple[str, ...]
    readable: TextFeatures


def grammar_world(record: ProductRecord, judge: LanguageModel, usual: Sequence[str]) -> World:
    """Return the world of shoppers who care about style, attributes, length and tone of texts about `record`.

    Texts that `judge` finds much stranger than the `usual` ones lose clicks.
    """
    grammar = Grammar.load()
    reader = GrammarReader(grammar, record)
    slots = [slot for slot, _ in record.attributes()]
    known: dict[str, NDArray[np.float64]] = {}

    def features(texts: Sequence[str]) -> NDArray[np.float64]:
        for text in texts:
            if text not in known:
                known[text] = _says(text, reader, slots)
        return np.stack([known[text] for text in texts])

    writable = tuple(dict.fromkeys(claim.text for claim in grammar.claims_about(record)))
    return World("grammar", features, writable, writable, Readability(judge, usual, writable))


def _says(text: str, reader: GrammarReader, slots: Sequence[str]) -> NDArray[np.float64]:
    """Return style (one-hot), attributes mentioned, length in units of ten words, question, exclamation."""
    reading = reader.read(text)
    style = [float(reading.style == style) for style in reader.grammar.styles]
    mentioned = [float(slot in reading.slots) for slot in slots]
    tone = [reading.words / 10, float("?" in text), float("!" in text)]
    return np.array([*style, *mentioned, *tone])


def embedding_world(
    encode: Callable[[Sequence[str]], Tensor], reference: Sequence[str], judge: LanguageModel, usual: Sequence[str]
) -> World:
    """Return the world of shoppers whose taste is a direction in sentence space; see `grammar_world` for the judge."""

    def features(texts: Sequence[str]) -> NDArray[np.float64]:
        vectors: NDArray[np.float64] = encode(texts).double().numpy()
        return vectors

    return World("sentence space", features, tuple(reference), (), Readability(judge, usual))
