"""What simulated shoppers see in a text: what the grammar reads in it, where it lies in sentence space, its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from copyloom import InputError
from embeddings.geometry import Reduction
from experiments.simulation.config import WorldConfig
from experiments.simulation.past_clicks import crowd_of, headline_taste
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.readability import Readability
from generator.reader import GrammarReader
from generator.record import ProductRecord
from simulator.worlds import World, headline_world, rating_world, word_world

Encode = Callable[[Sequence[str]], Tensor]
"""From n texts to their sentence vectors, a Tensor of shape (n, S)."""


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


def embedding_world(encode: Encode, reference: Sequence[str], judge: LanguageModel, usual: Sequence[str]) -> World:
    """Return the world of shoppers whose taste is a direction in sentence space; see `grammar_world` for the judge.

    A policy's features come from the same vectors: use `unseen_world` where that is too easy.
    """

    def features(texts: Sequence[str]) -> NDArray[np.float64]:
        vectors: NDArray[np.float64] = encode(texts).double().numpy()
        return vectors

    return World("sentence space", features, tuple(reference), (), Readability(judge, usual))


def unseen_world(
    encode: Encode, reduction: Reduction, reference: Sequence[str], judge: LanguageModel, usual: Sequence[str]
) -> World:
    """Return the world of shoppers whose taste lies in that part of sentence space which a policy does not read.

    Of each vector what `reduction` leaves out is seen: it is orthogonal to all features of the policy, so that these
    say nothing of tastes but by chance, and each text has to be learned by itself.
    """
    seen = np.linalg.qr(reduction.basis.double().numpy())[0]
    mean = reduction.mean.double().numpy()
    known: dict[str, NDArray[np.float64]] = {}

    def features(texts: Sequence[str]) -> NDArray[np.float64]:
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        for text, vector in zip(fresh, encode(fresh).double().numpy(), strict=True) if fresh else ():
            centred = vector - mean  # one by one: the last digit of a larger product depends on its shape
            known[text] = centred - seen @ (centred @ seen)
        return np.stack([known[text] for text in texts])

    return World("unseen sentence space", features, tuple(reference), (), Readability(judge, usual))


def world_of(
    config: WorldConfig | None, encode: Encode, reduction: Reduction, reference: Sequence[str], judge: LanguageModel,
    usual: Sequence[str],
) -> World:  # fmt: skip
    """Return the world that settings name, but for the grammar's; the sentence space where they name none.

    Raises
    ------
    InputError
        If the policy's features are all of sentence space, or a file of clicks or ratings cannot be used.
    """
    name = config.name if config else "sentence-space"
    if name == "sentence-space":
        return embedding_world(encode, reference, judge, usual)
    if name == "unseen-space":
        if reduction.features >= min(len(reference) - 1, reduction.basis.shape[0]):
            raise InputError(f"the policy reads all {reduction.features} axes in which {len(reference)} texts differ, "
                             "so that nothing is unseen; give fewer features, or more texts")  # fmt: skip
        return unseen_world(encode, reduction, reference, judge, usual)
    readable = Readability(judge, usual)
    if name == "words":
        return word_world(reference, readable)
    assert config is not None
    if name == "headlines":
        return headline_world(headline_taste(config), reference, readable)
    return rating_world(crowd_of(config), reference, readable)
