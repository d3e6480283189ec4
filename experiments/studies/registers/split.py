"""The registers' texts, divided into what models learn from, of one size in tokens, and what none of them sees."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from copyloom import InputError
from experiments.held_out import hashed
from experiments.studies.registers.settings import FEWEST, MIXED, RegisterStudy
from generator.language_model import SHIPPED_FOLDER
from generator.reader import words_of

MAX_TOKENS = 63
"""Of a text; longer ones are left out."""
_LEAST_JUDGED = 10
_ALIKE = 0.05
"""Share of a register's texts that may stand in another one as well."""


@dataclass(frozen=True)
class Split:
    """Texts of the registers, by name.

    Parameters
    ----------
    training : dict of str to list of str
        As many tokens of each, and of the mixed one.
    held_out : dict of str to list of str
        No model has learnt from them, nor from a text that differs from one in a single word.
    near : dict of str to int
        How many more were held out, but are not measured, as they are near copies of what is learnt from.
    tokens : int
        Of each training part, end-of-text included, but for what a whole text is more or less.
    """

    training: dict[str, list[str]]
    held_out: dict[str, list[str]]
    near: dict[str, int]
    tokens: int


def tokenizer_of(texts: Mapping[str, Sequence[str]], vocabulary: int) -> PreTrainedTokenizerBase:
    """Return a byte-pair tokenizer, learnt from equally many texts of each register: any text comes back exactly."""
    fewest = min(map(len, texts.values()))
    shipped = AutoTokenizer.from_pretrained(SHIPPED_FOLDER)
    rows = (text for some in texts.values() for text in some[:fewest])
    found: PreTrainedTokenizerBase = shipped.train_new_from_iterator(rows, vocabulary, show_progress=False)
    return found


def split(texts: Mapping[str, Sequence[str]], settings: RegisterStudy, tokenizer: PreTrainedTokenizerBase) -> Split:
    """Return the registers' texts, divided; those that are held out are chosen by a hash of their letters.

    Raises
    ------
    InputError
        If a register has too few texts, or shares more than one in twenty with another.
    """
    short = {name: _short(name, some, settings, tokenizer) for name, some in texts.items()}
    _check_apart(short)
    chosen = {name: sorted(some, key=lambda text: hashed(text, "registers"))[: settings.judged]
              for name, some in short.items()}  # fmt: skip
    kept_apart = {text for some in chosen.values() for text in some}
    others = {name: [text for text in some if text not in kept_apart] for name, some in short.items()}
    sizes = {name: [len(tokenizer.tokenize(text)) + 1 for text in some] for name, some in others.items()}
    tokens = min(map(sum, sizes.values()))
    training = {name: _first(some, sizes[name], tokens) for name, some in others.items()}
    parts = [_first(some, sizes[name], tokens / len(others)) for name, some in others.items()]
    mixed = [text for part in parts for text in part]
    random.Random("mixed registers").shuffle(mixed)
    training[MIXED] = list(dict.fromkeys(mixed))
    held_out = {name: _measured(name, some, training) for name, some in chosen.items()}
    near = {name: len(some) - len(held_out[name]) for name, some in chosen.items()}
    return Split(training, held_out, near, tokens)


def _short(
    name: str, texts: Sequence[str], settings: RegisterStudy, tokenizer: PreTrainedTokenizerBase
) -> list[str]:  # fmt: skip
    found = [text for text in dict.fromkeys(texts) if len(tokenizer.tokenize(text)) <= MAX_TOKENS]
    if len(found) < settings.judged + FEWEST:
        raise InputError(
            f"{len(found)} texts of {name!r} have at most {MAX_TOKENS} tokens; give {settings.judged + FEWEST} or "
            f"more: {settings.judged} that are held out (--judged), and some to learn from (--texts)"
        )
    return found


def _check_apart(texts: Mapping[str, Sequence[str]]) -> None:
    for one, other in combinations(texts, 2):
        both = len(set(texts[one]) & set(texts[other]))
        if both > _ALIKE * min(len(texts[one]), len(texts[other])):
            raise InputError(f"registers {one!r} and {other!r} share {both} texts; give texts of two registers")


def _first(texts: Sequence[str], sizes: Sequence[int], tokens: float) -> list[str]:
    """Return the first texts that have so many tokens together, or a few more."""
    before = accumulate(sizes, initial=0)
    return [text for text, read in zip(texts, before, strict=False) if read < tokens]


def _measured(name: str, texts: Sequence[str], training: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the held-out texts that are no near copies of one that is learnt from, or of each other."""
    known = {mark for some in training.values() for text in some for mark in _with_a_gap(text)}
    found = []
    for text in texts:
        if not known & (own := _with_a_gap(text)):
            found.append(text)
            known |= own
    if len(found) < _LEAST_JUDGED:
        raise InputError(
            f"{len(found)} of the {len(texts)} held-out texts of {name!r} differ from all others in more than one "
            f"word; {_LEAST_JUDGED} or more are needed: give texts that differ more, or raise --judged"
        )
    return found


def _with_a_gap(text: str) -> set[tuple[str, ...]]:
    """Return the words of a text with each of them left out: two texts share one if they differ in a word at most."""
    words = words_of(text) or [text]
    return {(*words[:place], "", *words[place + 1 :]) for place in range(len(words))}
