"""Words that a text may not invent: numbers, and names of persons, places and brands."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from importlib import resources

import regex

UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
"""Letters of languages in which a word may follow another, or an ending a name, without a space."""
_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_NUMBERS = frozenset(
    """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions
    billion billions dozen dozens twice double triple half third quarter""".split()  # noqa: SIM905
)
ENDINGS = ("'s", "s", "es", "ies", "ed", "d", "ing", "er", "ers", "ly", "y", "n't", "'re", "'ve", "'ll", "'d")
"""What a word may end in beside another of which it is a form."""
_INNER = re.compile(rf"(?<=\w ){_WORD.pattern}")
"""A word behind another."""
_SHORT = 4
"""Letters of a word from which on its end may be an ending."""
_LEAST_LOWER, _MORE_OFTEN = 0.6, 2.0
_NO_TITLE = 0.4
"""Share of small letters among a text's long words, but the first, above which a capital means a name."""


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


def as_written(text: str, sources: Sequence[str]) -> str:
    """Return a text with names and words such as "MOT" and "iPhone" in the capitals in which its sources write them.

    Sources that shout tell nothing, and titles nothing of names.

    Examples
    --------
    >>> as_written("Seven days in leeds: an mot for uk-made vans.", ["MOTs in Leeds, for vans of the UK", "NO FEES"])
    'Seven days in Leeds: an MOT for UK-made vans.'
    """
    forms, names = dict[str, set[str]](), set[str]()
    for source in sources:
        words = _PART.findall(source)
        loud = [word for word in words if word.isupper()]
        if 2 * len(loud) <= len(words) and all(len(word) < _SHORT for word in loud):
            names |= _named(source)
            for word in words:
                forms.setdefault(word.lower(), set()).add(word)
    kept = {small: form for small, (form, *more) in forms.items() if not more and (
        form in names or _keeps_capitals(form))}  # fmt: skip
    kept |= {small[:-1]: form[:-1] for small, form in kept.items() if form[:-1].isupper() and form.endswith("s")}
    return _PART.sub(lambda match: kept.get(match[0].lower(), match[0]), text) if kept else text


def begun_as(text: str, others: Sequence[str]) -> str:
    """Return a text with a capital at its beginning, if all others have one there.

    Examples
    --------
    >>> begun_as("tea for two", ["Coffee for one.", "A pot."]), begun_as("tea for two", ["coffee for one"])
    ('Tea for two', 'tea for two')
    """
    first = _PART.match(text)
    if first and first[0].islower() and all(other[:1].isupper() for other in others):
        return text[:1].upper() + text[1:]
    return text


def _keeps_capitals(word: str) -> bool:
    """Whether a word has capitals within, and is no ordinary one that is shouted."""
    if word.isupper():
        return 1 < len(word) < _SHORT and word.lower() not in ordinary_words()
    return re.search("[a-z][A-Z]|[A-Z]{2}s$", word) is not None


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
        Words in small letters that are no names, but where one of them has a capital within a sentence. Any other word
        may be one, in capitals or not.

    Examples
    --------
    >>> inventions("Kim Kardashian loves 21 knives", ["Who loves knives?"], {"loves", "knives", "love", "who"})
    ['Kim', 'Kardashian', '21']
    >>> inventions("Knife's edge", ["A knife."], {"edge"})
    []
    >>> inventions("Cut well with our sharp Sunrise Edge", ["Our sharp edge cuts"], {"sunrise", "well", "with"})
    ['Sunrise']
    """
    held = _held(sources)
    named = _named(text)
    found = []
    for word in words_in(text):
        known = word.lower() in held or _stem_in(word.lower(), held)
        if known or (not is_number(word) and word not in named and _is_ordinary(word.lower(), ordinary, held)):
            continue
        found.append(word)
    return list(dict.fromkeys(found))


def _named(text: str) -> set[str]:
    """Return the words that have a capital within a sentence, in a text that does not write most long words so."""
    inner = _INNER.findall(text.replace("’", "'"))
    long = [word for word in inner if len(word) >= _SHORT]
    if sum(word.islower() for word in long) <= _NO_TITLE * len(long):
        return set()
    return {word for word in inner if word[0].isupper() and not word.isupper() and "-" not in word and word[:2] != "I'"}


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
