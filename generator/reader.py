"""What a text says about a product: style, attributes, foreign attributes, numbers. The grammar read backwards."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from generator.grammar import Grammar
from generator.record import KINDS, ProductRecord

_WORD = re.compile(r"[^\W_][\w'.,&-]*(?<![.,'-])")
_NUMBER_WORDS = frozenset(
    """zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds hundredth thousand
    thousands thousandth million millions billion dozen dozens half twice thrice""".split()  # noqa: SIM905
)
_LONGEST_PHRASE = 12


def words_of(text: str) -> list[str]:
    """Return the words of `text` in lower case, numbers with their commas and points, without other marks.

    Examples
    --------
    >>> words_of("Rated 4.8 by 2,300 buyers: it's leak-proof!")
    ['rated', '4.8', 'by', '2,300', 'buyers', "it's", 'leak-proof']
    """
    return _WORD.findall(text.lower().replace("’", "'"))


@dataclass(frozen=True)
class Reading:
    """What one text says about one product.

    Parameters
    ----------
    style : str
        Of the frame that the text is nearest to.
    frame_similarity : float
        Cosine to that frame, 1.0 for the grammar's own texts.
    names_subject : bool
    slots : frozenset of str
        The record's attributes that the text mentions, as slots.
    foreign : tuple of str
        Attributes and products of the grammar that the text mentions and the record lacks.
    unknown_words : tuple of str
        Words found neither in the record nor in any frame.
    invented_numbers : tuple of str
        Numbers that the record lacks.
    words : int
    """

    style: str
    frame_similarity: float
    names_subject: bool
    slots: frozenset[str]
    foreign: tuple[str, ...]
    unknown_words: tuple[str, ...]
    invented_numbers: tuple[str, ...]
    words: int


class GrammarReader:
    """Reads texts about one product record.

    Examples
    --------
    >>> knife = ProductRecord(name="chef knife", quality=["balanced"], proof=["rated 4.8 out of 5"])
    >>> reading = GrammarReader(Grammar.load(), knife).read("You will fall in love with this balanced chef knife.")
    >>> reading.style, sorted(reading.slots), reading.foreign
    ('emotional', ['<quality 1>'], ())
    """

    def __init__(self, grammar: Grammar, record: ProductRecord) -> None:
        self.grammar, self.record = grammar, record
        self._own = {slot: words_of(phrase) for slot, phrase in record.phrases().items()}
        self._own_words = {word for words in self._own.values() for word in words}
        self._frames = _frame_vectors(grammar)

    def read(self, text: str) -> Reading:
        """Return what `text` says."""
        words = words_of(text)
        slots, rest = self._take_out_own(words)
        style, similarity = _nearest_frame(rest, self._frames)
        names = {"<name>", "<names>"}
        plain = [word for word in rest if not word.startswith("<")]
        return Reading(
            style=style,
            frame_similarity=similarity,
            names_subject=bool(slots & names),
            slots=frozenset(slots - names),
            foreign=self._foreign(rest),
            unknown_words=tuple(w for w in plain if w not in self._vocabulary and w not in self._own_words),
            invented_numbers=tuple(w for w in plain if _is_number(w, _NUMBER_WORDS - self._vocabulary)),
            words=len(words),
        )

    def _take_out_own(self, words: list[str]) -> tuple[set[str], list[str]]:
        """Return the slots whose phrases stand in `words`, and the words with ``<kind>`` in place of each phrase."""
        found: set[str] = set()
        rest: list[str] = []
        position = 0
        longest_first = sorted(self._own.items(), key=lambda item: -len(item[1]))
        while position < len(words):
            for slot, phrase in longest_first:
                if phrase and words[position : position + len(phrase)] == phrase:
                    found.add(slot)
                    rest.append(f"<{slot[1:-1].split()[0]}>")
                    position += len(phrase)
                    break
            else:
                rest.append(words[position])
                position += 1
        return found, rest

    def _foreign(self, rest: list[str]) -> tuple[str, ...]:
        """Return the grammar's attributes and products in `rest` of which some word is not the record's."""
        found = phrases_in(rest, self.grammar)
        return tuple(" ".join(phrase) for phrase, _ in found if not set(phrase) <= self._own_words)

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        return _frame_words(self.grammar)


def _nearest_frame(rest: list[str], frames: _FrameVectors) -> tuple[str, float]:
    """Return the style of the frame nearest to words with ``<kind>`` in place of phrases, and the cosine to it."""
    vector = _ngrams(rest, frames.weight)
    norm = math.sqrt(sum(value**2 for value in vector.values())) or 1.0
    products = np.zeros(len(frames.styles))
    for ngram, value in vector.items():
        holders, others = frames.holders[ngram]
        products[holders] += value * others
    nearest = int(products.round(12).argmax())  # rounded, so that no order of sums decides
    return frames.styles[nearest], float(products[nearest]) / norm


@dataclass(frozen=True)
class _FrameVectors:
    """Unit tf-idf vectors of the frames' unigrams and bigrams, by n-gram, so that a text meets only what it shares.

    Parameters
    ----------
    styles : list of str
        Of each frame.
    weight : dict of str to float
        Of each n-gram.
    holders : dict of str to (ndarray of int, ndarray of float)
        The frames that hold an n-gram, and its value in each.
    """

    styles: list[str]
    weight: dict[str, float]
    holders: dict[str, tuple[NDArray[np.intp], NDArray[np.float64]]]


@lru_cache(maxsize=2)
def _frame_vectors(grammar: Grammar) -> _FrameVectors:
    tokens = [_frame_tokens(frame.text) for frame in grammar.frames]
    counts = Counter(ngram for frame in tokens for ngram in set(_pairs(frame)))
    weight = {ngram: math.log(len(tokens) / count) for ngram, count in counts.items()}
    holders: dict[str, list[tuple[int, float]]] = {ngram: [] for ngram in weight}
    for index, frame in enumerate(tokens):
        vector = _ngrams(frame, weight)
        norm = math.sqrt(sum(value**2 for value in vector.values())) or 1.0
        for ngram, value in vector.items():
            holders[ngram].append((index, value / norm))
    arrays = {ngram: (np.array([frame for frame, _ in found]), np.array([value for _, value in found]))
              for ngram, found in holders.items()}  # fmt: skip
    return _FrameVectors([frame.style for frame in grammar.frames], weight, arrays)


def _is_number(word: str, number_words: frozenset[str]) -> bool:
    """Say whether a word holds a digit of any script, or a part that is a number word: "forty-five"."""
    return any(letter.isnumeric() for letter in word) or not number_words.isdisjoint(word.split("-"))


def _frame_tokens(text: str) -> list[str]:
    """Return the words of a frame as the reader sees them: slots as ``<kind>``, "a" for the article that agrees."""
    pieces = re.split(r"(<\w+>)", text.replace("<a>", "a"))
    return [t for piece in pieces for t in ([piece] if piece.startswith("<") else words_of(piece))]


def _pairs(tokens: list[str]) -> list[str]:
    plain = ["a" if token == "an" else "<name>" if token == "<names>" else token for token in tokens]
    return plain + [f"{a} {b}" for a, b in zip(["^", *plain], [*plain, "$"], strict=True)]


def _ngrams(tokens: list[str], weight: dict[str, float]) -> dict[str, float]:
    return {ngram: count * weight[ngram] for ngram, count in Counter(_pairs(tokens)).items() if ngram in weight}


@lru_cache(maxsize=2)
def _frame_words(grammar: Grammar) -> frozenset[str]:
    words = {word for frame in grammar.frames for word in _frame_tokens(frame.text) if not word.startswith("<")}
    return frozenset(words | {"a", "an"})


@dataclass(frozen=True)
class Entry:
    """What a phrase of the grammar is.

    Parameters
    ----------
    product : str
        Its singular name; "" for an attribute.
    kind : str
        Of attribute; "name" for a product.
    categories : frozenset of str
        Whose products have it.
    """

    product: str
    kind: str
    categories: frozenset[str]


@lru_cache(maxsize=2)
def lexicon(grammar: Grammar) -> dict[tuple[str, ...], Entry]:
    """Return all product names and attributes by their words, articles dropped, but for those that stand in a frame."""
    found: dict[tuple[str, ...], list[tuple[str, str, str]]] = defaultdict(list)
    for category in grammar.categories:
        phrases = [("", kind, phrase) for kind in KINDS for phrase in category.attributes.get(kind, ())]
        phrases += [(product[0], "name", name) for product in category.products for name in product]
        for product_name, kind, phrase in phrases:
            found[tuple(words_of(re.sub(r"^(an?|the) ", "", phrase)))].append((product_name, kind, category.name))
    plain = _runs_of_words(grammar)
    return {
        words: Entry(*max(use[:2] for use in uses), frozenset(category for _, _, category in uses))
        for words, uses in found.items()
        if words not in plain
    }


def phrases_in(words: Sequence[str], grammar: Grammar) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """Yield the grammar's products and attributes that stand in a text's words, the longest first at each place."""
    known, position = lexicon(grammar), 0
    while position < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - position), 0, -1):
            phrase = tuple(words[position : position + length])
            if phrase in known:
                yield phrase, known[phrase]
                position += length
                break
        else:
            position += 1


@dataclass(frozen=True)
class Gist:
    """What a text is about and how it says so, as far as the grammar knows: read without a record.

    Parameters
    ----------
    products : frozenset of str
        The products that it names, by their singular names.
    style : str
        Of the frame that it is nearest to.
    frame_similarity : float
        Cosine to that frame.
    """

    products: frozenset[str]
    style: str
    frame_similarity: float


def gist(text: str, grammar: Grammar) -> Gist:
    """Return the products and the style of a text.

    Examples
    --------
    >>> found = gist("You will love this quiet cordless drill.", Grammar.load())
    >>> sorted(found.products), found.style
    (['cordless drill'], 'emotional')
    """
    words = words_of(text)
    known = list(phrases_in(words, grammar))
    rest, position = [], 0
    for phrase, entry in known:
        while tuple(words[position : position + len(phrase)]) != phrase:
            rest.append(words[position])
            position += 1
        rest.append(f"<{entry.kind}>")
        position += len(phrase)
    rest += words[position:]
    products = frozenset(entry.product for _, entry in known if entry.product)
    return Gist(products, *_nearest_frame(rest, _frame_vectors(grammar)))


def mixed_facts(text: str, grammar: Grammar) -> str:
    """Return what of the grammar's phrases in `text` cannot be said of one product; "" where all can.

    Examples
    --------
    >>> mixed_facts("A full-grain leather cordless drill for your hammer.", Grammar.load())
    'full-grain leather, cordless drill, hammer'
    >>> mixed_facts("A cordless drill made of die-cast aluminum.", Grammar.load())
    ''
    """
    found = list(phrases_in(words_of(text), grammar))
    products = {entry.product for _, entry in found if entry.product}
    if len(products) <= 1 and (not found or frozenset.intersection(*(entry.categories for _, entry in found))):
        return ""
    return ", ".join(" ".join(phrase) for phrase, _ in found)


def _runs_of_words(grammar: Grammar) -> set[tuple[str, ...]]:
    """Return every run of words that stands in a frame."""
    runs = set()
    for tokens in (_frame_tokens(frame.text) for frame in grammar.frames):
        for start, stop in itertools.combinations(range(len(tokens) + 1), 2):
            if stop - start <= _LONGEST_PHRASE:
                runs.add(tuple(tokens[start:stop]))
    return runs
