"""Which design choices a text makes: rules over words of our own (`lexicon.yaml`), or styles as the grammar reads them.

The rules read English. They count words and look at signs; whoever reads a text sees more. `experiments.studies.
preferences.accuracy` says how well they agree with the styles that texts of the grammar were written in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from copyloom import InputError
from generator.grammar import Grammar
from generator.reader import gist, words_of
from generator.settings import read_yaml

Array = NDArray[np.float64]
Coding = Literal["auto", "rules", "styles"]
READABLE = 0.6
"""Similarity to a frame of the grammar from which it reads a text; styles are used where it reads `_MOST` of them."""
_MOST, _TRIED = 0.8, 300
_ENGLISH = ("usual words", "imperative", "concrete")
_SENTENCE = re.compile(r"[.!?:;…—–]+\s*")


@dataclass(frozen=True)
class Attribute:
    """A choice that a copywriter makes.

    Parameters
    ----------
    name : str
    levels : tuple of str
        What can be chosen.
    contrast : (str, str)
        The level that the study compares with another: the first less the second.
    rule : str
        How it is read, for people.
    """

    name: str
    levels: tuple[str, ...]
    contrast: tuple[str, str]
    rule: str


APPEAL = Attribute("appeal", ("factual", "neither", "emotional"), ("emotional", "factual"),
                   "more emotional or more factual words (figures count as factual)")  # fmt: skip
WORDING = Attribute("wording", ("concrete", "neither", "abstract"), ("concrete", "abstract"),
                    "more words for things, bodies and senses, or more abstract words and endings")  # fmt: skip
LENGTH = Attribute("length", ("short", "medium", "long"), ("long", "short"), "words, in thirds of all texts")
PROMISE = Attribute("promise", ("feature", "neither", "benefit"), ("benefit", "feature"),
                    "more words for what it does for a reader, or for what it is and has")  # fmt: skip
STYLE = Attribute("style", Grammar.load().styles, ("emotional", "factual"), "the style of the grammar's nearest frame")
_YOU = {"you", "your", "yours", "yourself", "you're", "you'll", "you've", "you'd"}
_DECIDED_BY_STYLE = ("appeal", "urgency", "social proof", "question")
_YES = {
    "number": "a figure or a number word from two on",
    "question": "a question mark",
    "exclamation": "an exclamation mark",
    "quotation": "quotation marks around words",
    "direct address": "you, your, yours, yourself",
    "imperative": "a sentence begins with a verb that asks for something",
    "urgency": "words for little time or little stock",
    "social proof": "words for what others buy, say or do",
    "offer": "words for prices, discounts, gifts",
    "curiosity": "points at something that it does not say (here's, what happens, the reason)",
}
NAMED = "named"


def _choice(name: str, rule: str) -> Attribute:
    return Attribute(name, ("no", "yes"), ("yes", "no"), rule)


RULES = (APPEAL, WORDING, LENGTH, *(_choice(*one) for one in _YES.items()), PROMISE)
"""The attributes that rules read in any text."""


@dataclass(frozen=True, eq=False)
class Coded:
    """N texts and their levels of A attributes.

    Parameters
    ----------
    attributes : tuple of Attribute
    levels : array of shape (A, N)
        Place of each text's level among those of the attribute.
    by : {"rules", "styles"}
    emotion : array of shape (N,)
        Emotional words less factual ones, as a share of all words: how emotional a text is meant to be.
    cuts : (int, int)
        Words up to which a text is short, and up to which it is medium.
    english : float
        Share of texts with an English word that is known here.
    """

    attributes: tuple[Attribute, ...]
    levels: NDArray[np.int64]
    by: str
    emotion: Array
    cuts: tuple[int, int]
    english: float

    def level(self, name: str) -> list[str]:
        """Return the level of each text."""
        place = [one.name for one in self.attributes].index(name)
        return [self.attributes[place].levels[level] for level in self.levels[place]]

    def seen(self, texts: NDArray[np.int64]) -> tuple[Coded, list[str]]:
        """Return it with the levels that some of the texts have, and the names of attributes without two of these."""
        attributes, rows, alike = [], [], []
        for attribute, own in zip(self.attributes, self.levels, strict=True):
            there = np.unique(own[texts])
            if len(there) < 2:
                alike.append(attribute.name)
                continue
            levels = tuple(attribute.levels[place] for place in there)
            whole = set(attribute.contrast) <= set(levels)
            contrast = attribute.contrast if whole else (levels[-1], levels[0])
            attributes.append(replace(attribute, levels=levels, contrast=contrast))
            rows.append(np.searchsorted(there, np.clip(own, there[0], there[-1])))
        if not attributes:
            raise InputError("the texts make the same choices as far as these can be read, so nothing can be compared")
        return replace(self, attributes=tuple(attributes), levels=np.array(rows)), alike

    def beside(self, own: Mapping[str, Sequence[str]]) -> Coded:
        """Return it with attributes that somebody coded by hand, which take the place of those of the same name.

        Raises
        ------
        InputError
            If one of them has one level only.
        """
        kept = [place for place, one in enumerate(self.attributes) if one.name not in own]
        attributes, rows = [self.attributes[place] for place in kept], [self.levels[place] for place in kept]
        for name, values in own.items():
            levels = tuple(sorted(set(values)))
            if len(levels) < 2:
                raise InputError(f"attribute {name!r} is {levels[0]!r} in all texts; give one that differs among them")
            attributes.append(Attribute(name, levels, (levels[-1], levels[0]), "as coded in the file"))
            rows.append(np.array([levels.index(value) for value in values]))
        return replace(self, attributes=tuple(attributes), levels=np.array(rows))


def code(texts: Sequence[str], coding: Coding = "auto", names: Sequence[str] = ()) -> Coded:
    """Return the levels of texts.

    Parameters
    ----------
    texts : sequence of str
    coding : {"auto", "rules", "styles"}
        Styles are those of the grammar, in place of appeal, urgency, social proof and question; auto takes them where
        the grammar reads most texts.
    names : sequence of str
        Brands and products: whether a text names one is an attribute.

    Examples
    --------
    >>> coded = code(["Save 20 minutes with your kettle!", "Why love is never lost on a kettle"], "rules")
    >>> coded.level("number"), coded.level("appeal"), coded.level("direct address")
    (['yes', 'no'], ['factual', 'emotional'], ['yes', 'no'])
    """
    words = [words_of(text) for text in texts]
    by = "styles" if coding == "styles" or (coding == "auto" and _grammar_reads(texts)) else "rules"
    read: dict[str, list[str]] = {attribute.name: [] for attribute in RULES}
    counts = [len(one) for one in words]
    cuts = (int(np.quantile(counts, 1 / 3)), int(np.quantile(counts, 2 / 3)))
    emotion = []
    for text, own in zip(texts, words, strict=True):
        feeling, fact = _found("emotional", own), _found("factual", own) + sum(map(_has_digit, own))
        emotion.append((feeling - fact) / max(len(own), 1))
        read["appeal"].append(_more(feeling, fact, APPEAL))
        read["wording"].append(_more(_abstract(own), _found("concrete", own), WORDING))
        read["promise"].append(_more(_found("benefit", own), _found("feature", own), PROMISE))
        read["length"].append(LENGTH.levels[int(len(own) > cuts[0]) + int(len(own) > cuts[1])])
        for name, holds in _signs(text, own).items():
            read[name].append("yes" if holds else "no")
    attributes = list(RULES)
    if by == "styles":
        gists = [gist(text, Grammar.load()) for text in texts]
        attributes = [STYLE, *(one for one in RULES if one.name not in _DECIDED_BY_STYLE)]
        read[STYLE.name] = [one.style for one in gists]
    if names:
        pattern = re.compile("|".join(rf"(?<!\w){re.escape(name.casefold())}(?!\w)" for name in names))
        attributes.append(_choice(NAMED, f"names {' or '.join(names)}"))
        read[NAMED] = ["yes" if pattern.search(text.casefold()) else "no" for text in texts]
    levels = [[one.levels.index(level) for level in read[one.name]] for one in attributes]
    english = float(np.mean([any(_found(name, own) for name in _ENGLISH) for own in words]))
    return Coded(tuple(attributes), np.array(levels), by, np.array(emotion), cuts, english)


def _grammar_reads(texts: Sequence[str]) -> bool:
    """Say whether the grammar reads most of the texts, by some of them."""
    tried = list(texts)[:: max(1, len(texts) // _TRIED)]
    read = [gist(text, Grammar.load()).frame_similarity >= READABLE for text in tried]
    return float(np.mean(read)) >= _MOST


def _signs(text: str, words: Sequence[str]) -> dict[str, bool]:
    """Return the choices of which a text makes each or does not."""
    begins = [words_of(sentence)[:1] for sentence in _SENTENCE.split(text)]
    return {
        "number": any(map(_has_digit, words)) or bool(_found("number words", words)),
        "question": bool(re.search("[?？]", text)),
        "exclamation": bool(re.search("[!！]", text)),
        "quotation": bool(re.search(r"[“”«»]|\"[^\"]+\"|(?<!\w)['‘][^'‘’]+['’](?!\w)", text)),
        "direct address": not _YOU.isdisjoint(words),
        "imperative": any(_found("imperative", first) for first in begins),
        "urgency": bool(_found("urgency", words)),
        "social proof": bool(_found("social proof", words)),
        "offer": bool(_found("offer", words)),
        "curiosity": bool(_found("curiosity", words)),
    }  # fmt: skip


def _more(high: int, low: int, attribute: Attribute) -> str:
    """Return the last level of three where more words speak for it, the first where more speak for that."""
    return attribute.levels[1 + int(np.sign(high - low))]


def _abstract(words: Sequence[str]) -> int:
    lists = _lexicon()
    endings, kept = (set(re.split(r",\s*", lists[name])) for name in
                     ("abstract endings", "concrete in spite of their endings"))  # fmt: skip
    ended = sum(len(word) > 6 and word.endswith(tuple(endings)) and word not in kept for word in words)
    return ended + _found("abstract", [word for word in words if not word.endswith(tuple(endings))])


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _found(name: str, words: Sequence[str]) -> int:
    """Return how many words and phrases of a list stand in a text."""
    whole, beginnings, phrases = _entries(name)
    found = sum(word in whole or word.startswith(beginnings) for word in words)
    if not phrases:
        return found
    text = f" {' '.join(words)} "
    return found + sum(text.count(phrase) for phrase in phrases)


@cache
def _entries(name: str) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """Return the words of a list, the beginnings of words, and its phrases between spaces."""
    entries = re.split(r",\s*", _lexicon()[name].strip())
    phrases = tuple(f" {entry} ".replace("* ", "") for entry in entries if " " in entry)
    single = [entry for entry in entries if " " not in entry]
    beginnings = tuple(entry[:-1] for entry in single if entry.endswith("*"))
    return frozenset(entry for entry in single if not entry.endswith("*")), beginnings, phrases


@cache
def _lexicon() -> dict[str, str]:
    return {name: str(words) for name, words in
            read_yaml(resources.files(__package__).joinpath("lexicon.yaml")).items()}  # fmt: skip
