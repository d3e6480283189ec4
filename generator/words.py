"""Words that a text may not invent: numbers, and names of persons, places and brands."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from importlib import resources

_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
_NUMBERS = frozenset(
    """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions
    billion billions dozen dozens twice double triple half third quarter""".split()  # noqa: SIM905
)
ENDINGS = ("'s", "s", "es", "ies", "ed", "d", "ing", "er", "ers", "ly", "y", "n't", "'re", "'ve", "'ll", "'d")
"""What a word may end in beside another of which it is a form."""
_SHORT = 4
"""Letters of a word from which on its end may be an ending."""
_LEAST_LOWER, _MORE_OFTEN = 0.6, 2.0


def words_in(text: str) -> list[str]:
    """Return the words and numbers of `text` as they are written.

    Examples
    --------
    >>> words_in("Kim's 21 well-loved recipes — 4.5 stars!")
    ["Kim's", '21', 'well-loved', 'recipes', '4.5', 'stars']
    """
    return _WORD.findall(text.replace("’", "'"))


def ordinary_words_of(texts: Iterable[str]) -> frozenset[str]:
    """Return the words that texts write in small letters twice or more, and half as often in capitals at most.

    Only texts tell that write most words small: titles and shouts do not. Any word beside these may be a name.
    """
    small, capital = Counter[str](), Counter[str]()
    for text in texts:
        words = words_in(text)
        lower = [word for word in words if word.islower()]
        if text[:1].isupper() and len(lower) >= _LEAST_LOWER * len(words):
            small.update(lower)
            capital.update(word.lower() for word in words[1:] if not word.islower())
    return frozenset(word for word, count in small.items() if count > 1 and count > _MORE_OFTEN * capital[word])


@cache
def ordinary_words() -> frozenset[str]:
    """Return the words that are no names, as `ordinary_words_of` found them in the shipped writer's texts."""
    packed = resources.files("generator").joinpath("ordinary_words.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split())


@cache
def free_words() -> frozenset[str]:
    """Return words that people use in new texts though no source holds them: they say how, and hardly what."""
    packed = resources.files("generator").joinpath("free_words.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split())


def unheld(text: str, sources: Sequence[str]) -> list[str]:
    """Return the words of a text, in small letters and each once, of which no source holds the like.

    Examples
    --------
    >>> unheld("Walking boots that keep feet dry", ["A boot to walk in, waterproof"])
    ['that', 'keep', 'feet', 'dry']
    """
    held = _held(sources)
    words = dict.fromkeys(word.lower() for word in words_in(text))
    return [word for word in words if word not in held and not _stem_in(word, held)]


def is_number(word: str) -> bool:
    """Say whether a word is a number or holds one: "21", "2BR", "forty-five", "dozens"."""
    return any(letter.isnumeric() for letter in word) or not _NUMBERS.isdisjoint(word.lower().split("-"))


def inventions(text: str, sources: Sequence[str], ordinary: Collection[str]) -> list[str]:
    """Return the numbers and possible names in `text` that no source holds.

    Parameters
    ----------
    text : str
    sources : sequence of str
        The texts it is made of, and the facts of its record.
    ordinary : collection of str
        Words in small letters that are no names. Any other word may be one, in capitals or not.

    Examples
    --------
    >>> inventions("Kim Kardashian loves 21 knives", ["Who loves knives?"], {"loves", "knives", "love", "who"})
    ['Kim', 'Kardashian', '21']
    >>> inventions("Knife's edge", ["A knife."], {"edge"})
    []
    """
    held = _held(sources)
    found = []
    for word in words_in(text):
        known = word.lower() in held or _stem_in(word.lower(), held)
        if known or (not is_number(word) and _is_ordinary(word.lower(), ordinary, held)):
            continue
        found.append(word)
    return list(dict.fromkeys(found))


def _held(sources: Sequence[str]) -> set[str]:
    """Return the words of sources in small letters, and the parts of those that have a hyphen or apostrophe."""
    return {part for source in sources for word in words_in(source) for part in (word.lower(), *_parts(word))}


def _parts(word: str) -> list[str]:
    return re.split(r"[-']", word.lower())


def _is_ordinary(word: str, ordinary: Collection[str], held: Collection[str]) -> bool:
    if word in ordinary or word.partition("'")[0] == "i" or _stem_in(word, ordinary):
        return True
    parts = [part for part in _parts(word) if part]
    return len(parts) > 1 and all(part in ordinary or part in held or len(part) == 1 for part in parts)


def _stem_in(word: str, known: Collection[str]) -> bool:
    """Say whether `word` and a known word differ by an ending alone."""
    stems = {word[: -len(ending)] for ending in ENDINGS if word.endswith(ending) and len(word) - len(ending) > 2}
    stems |= {f"{word[:-3]}y" for ending in ("ies", "ied") if word.endswith(ending) and len(word) > _SHORT}
    stems |= {f"{stem}e" for stem in stems} | {
        stem[:-1] for stem in stems if stem[-1] == stem[-2] and len(stem) > _SHORT - 1
    }
    return not stems.isdisjoint(known) or any(f"{word}{ending}" in known for ending in ENDINGS[:4] if len(word) > 2)
