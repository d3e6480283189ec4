"""The judge of fluency: Gemma 3 270M, which nothing here is trained or chosen with, and a list of words."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import torch
from torch import Tensor

from generator.decoding import MAX_TOKENS
from generator.device import Device
from generator.language_model import LanguageModel
from generator.likelihood import surprisals_alone
from generator.models import JUDGE
from generator.reader import words_of

_WORDS = "data/words.txt.gz"


@dataclass(frozen=True, eq=False)
class Judge:
    """How far texts surprise a language model, and the words that are words.

    Parameters
    ----------
    model : LanguageModel
    words : frozenset of str
        In lower case: those of the real texts at hand when the benchmark was made, and of the grammar.
    """

    model: LanguageModel
    words: frozenset[str]

    @classmethod
    def load(cls, model: LanguageModel | None = None) -> Judge:
        """Return the benchmark's judge; another model than `generator.models.JUDGE` starts all numbers anew.

        Raises
        ------
        InputError
            If that model is not on this machine; the message says how to get it.
        """
        packed = resources.files("experiments").joinpath(_WORDS).read_bytes()
        words = frozenset(gzip.decompress(packed).decode().split("\n"))
        return cls(model or LanguageModel.load(JUDGE, Device.choose("cpu")), words)

    def nats_per_token(self, texts: Sequence[str]) -> Tensor:
        """Return the mean surprisal of each text's tokens, end-of-text included: a Tensor of shape (n,), in nats."""
        return surprisals_alone(self.model, texts)

    def bits_per_byte(self, texts: Sequence[str]) -> Tensor:
        """Return the surprisal of each text (n,) by the bytes of its UTF-8, so that tokenizers and lengths compare."""
        rows = [self.model.tokenize(text)[: MAX_TOKENS - 1] for text in texts]  # of longer texts, what is read
        tokens = torch.tensor([len(row) + 1 for row in rows])
        size = torch.tensor([len(self.model.detokenize(row).encode()) + 1 for row in rows])
        return self.nats_per_token(texts) * tokens / size / math.log(2)

    def broken_words(self, text: str, more: frozenset[str] = frozenset()) -> list[str]:
        """Return the words of `text` that are none, not even among `more`, nor made of words, nor hold a digit."""
        return [word for word in words_of(text) if not _is_word(word, self.words, more)]


def _is_word(word: str, *known: frozenset[str]) -> bool:
    if any(word in words for words in known) or any(letter.isdigit() for letter in word):
        return True
    parts = [part for part in re.split(r"[-.&,]|'s?$", word) if part]
    return parts != [word] and all(_is_word(part, *known) for part in parts)
