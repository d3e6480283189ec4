"""A rule of its own for what a text invents: numbers and names that none of its sources holds.

The product refuses such texts by `generator.words`, which takes any word that it does not know as ordinary for a name.
This rule does not know ordinary words: it has a list of names, which was written for it, and reads numbers as numbers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache
from importlib import resources

_NAMES = "data/names.txt"
_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:,\d{3})*(?:[.:]\d+)*|[½¼¾]")
_BEGINS = re.compile(r"(?:^|[.!?:;|/—–(\"“'‘…•*~\n]\s*|\s-\s*)[^\w]*$")
_UNITS = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen""".split()  # noqa: SIM905
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_NUMBERS = (
    {word: number for number, word in enumerate(_UNITS, 1)}
    | {word: 10 * number for number, word in enumerate(_TENS, 2)}
    | {ten + unit: 10 * tens + units for tens, ten in enumerate(_TENS, 2) for units, unit in enumerate(_UNITS[:9], 1)}
    | {"half": 0.5, "½": 0.5, "¼": 0.25, "¾": 0.75, "twice": 2, "double": 2, "triple": 3, "dozen": 12, "dozens": 12}
    | {word + end: 10**power for word, power in (("hundred", 2), ("thousand", 3), ("million", 6), ("billion", 9))
       for end in ("", "s")}
)  # fmt: skip
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)})[- ](?=(?:{'|'.join(_UNITS[:9])})\b)", re.IGNORECASE)
_OF_A_PLACE = re.compile("(?:n|an|ian|ish|ese|i|ic)s?")
_STEM, _LETTERS = 4, 3
"""Letters that a name and its form begin with, at least, and those of either that may follow."""
_TITLED = 0.5
"""Share of words in capitals from which on a capital says nothing."""


def invented_words(text: str, sources: Sequence[str]) -> list[str]:
    """Return the numbers and names in a text that no source holds.

    Examples
    --------
    >>> invented_words("Kim Kardashian loves two Italian knives, twenty-one say", ["Who loves 2 knives from Italy?"])
    ['Kim', 'Kardashian', 'twentyone']
    """
    held = {known for source in sources for known in map(_known, _words(source))}
    text = _COMPOUND.sub(r"\1", text)
    words = list(_TOKEN.finditer(text))
    titled = sum(match[0][0].isupper() for match in words) > _TITLED * len(words)
    always, found = _names(), list[str]()
    for match in words:
        word, known = match[0], _known(match[0])
        if known in held or word.lower() in ("one", "i") or _is_form(word.lower(), held):
            continue
        inner = word[0].isupper() and not _BEGINS.search(text[: match.start()])
        if word[0].isdigit() or isinstance(known, float) or word.lower() in always or (inner and not titled):
            found.append(word)
    return found


def _words(text: str) -> list[str]:
    return _TOKEN.findall(_COMPOUND.sub(r"\1", text))


def _known(word: str) -> str | float:
    """Return a word as it is compared: a number as such, others small and without the ending of a plural."""
    small = word.lower()
    if small in _NUMBERS:
        return float(_NUMBERS[small])
    if small[0].isdigit():
        whole, _, rest = small.replace(",", "").partition(".")
        return small if ":" in small or "." in rest else float(f"{whole}.{rest or 0}")
    return small.removesuffix("s") if len(small) > _STEM else small


def _is_form(word: str, held: Collection[str | float]) -> bool:
    """Say whether a word says of which place something is, and a source names the place, or the other way round."""
    return any(_of_place(word, other) or _of_place(other, word) for other in map(str, held))


def _of_place(word: str, place: str) -> bool:
    ends = range(max(_STEM, len(place) - _LETTERS + 1), len(place) + 1)
    return any(place[:end] == word[:end] and _OF_A_PLACE.fullmatch(word[end:]) for end in ends)


@cache
def _names() -> frozenset[str]:
    """Return the words that are always names."""
    lines = resources.files("experiments").joinpath(_NAMES).read_text(encoding="utf-8")
    return frozenset(lines.split())
