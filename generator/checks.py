"""Checks that a written text must pass before a shopper sees it. Each refusal says why."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

from generator.grammar import Grammar
from generator.reader import GrammarReader, Reading, gist, mixed_facts, words_of
from generator.record import ProductRecord, indefinite_article

_FINISHED = re.compile(r"[.!?…][\"'”’)]*$")
_DANGLING = frozenset(
    ["a", "an", "the", "and", "or", "of", "with", "by", "that", "is", "are", "our", "your", "its", "as", "than"]
)
_NO_OPENING = frozenset("?!.,;:)]}>|/\\-–—=+~_^%*")
"""Marks that begin no text, unless a stored one begins so."""
_DOUBLED = re.compile(r"(?<![\w-])([\w'-]+) \1(?![\w-])", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(an?) (?=(\w\S*))", re.IGNORECASE)
_TWO_DETERMINERS = re.compile(
    r"\b(?i:an?|the|our|your|my|its|their|every) (?:a|(?i:an|the|this|these|those|our|your|my|its|their))(?![\w'’-])"
)
_INNER_CAPITAL = re.compile(
    r"(?<=[\w,] )(?:The|An|Our|Your|My|Its|Their|This|These|Those|And|Or|Of|With|For|From|To|In|On|That)\b"
)
_WEIGHTY = 4
_EVERYWHERE = frozenset("with that this your from their have what when which will they them more than".split())  # noqa: SIM905
"""Words of four letters or more say something, but for these."""
_IN_FRAME = 0.85
"""Cosine to the nearest frame from which on the grammar knows a text's style."""
STRAYS = frozenset(["another product", "another style", "repeated word", "article", "capital"])
"""Codes of refusals of a text that could be shown, but does not keep to its family."""


class WritingRules(BaseModel):
    """What every text that is written must keep to: length, full stop, known words; a setting of a campaign.

    Use `generator.brand_book.BrandRules` for what a brand says of its texts, which people change while a shop runs.

    Parameters
    ----------
    min_characters, max_characters : int
        Length of a text.
    banned_words : tuple of str
        Words or phrases that must not appear, in any case.
    full_stop : bool
        Whether a text must end with ``.``, ``!`` or ``?``; headlines need not.
    only_known_words : bool
        Whether a text about a subject may use only words of its record and of the grammar's frames. The strictest guard
        against claims that nobody made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_characters: PositiveInt = 12
    max_characters: PositiveInt = 140
    banned_words: tuple[str, ...] = ()
    full_stop: bool = True
    only_known_words: bool = True

    @classmethod
    def like(cls, texts: Sequence[str], subject: bool = False) -> Self:
        """Return rules that hold new texts to what `texts` do: half to twice their length, full stops or not.

        With a subject, a new text may use only words of its record and of the grammar's frames.
        """
        lengths = sorted(map(len, texts))
        return cls(
            min_characters=max(1, lengths[0] // 2),
            max_characters=max(2 * lengths[-1], 40),
            full_stop=2 * sum(map(is_stopped, texts)) > len(texts),
            only_known_words=subject,
        )

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.min_characters > self.max_characters:
            raise ValueError(f"min_characters {self.min_characters} is above max_characters {self.max_characters}")
        return self


@dataclass(frozen=True)
class Refusal:
    """Why a text was refused: a short code for counting, and a sentence for people."""

    code: str
    reason: str


def is_stopped(text: str) -> bool:
    """Say whether a text ends with a mark that ends a sentence, perhaps in quotation marks or brackets."""
    return bool(_FINISHED.search(text.rstrip()))


def normalised(text: str) -> str:
    """Return the words of `text` in lower case, one space apart; texts that differ in marks only are equal so.

    Examples
    --------
    >>> normalised("It is HERE -- the knife!")
    'it is here the knife'
    """
    return " ".join(re.findall(r"\w+", text.lower()))


class Checker:
    """Checks texts against rules of writing, stored texts and, where there is one, the subject's record.

    Parameters
    ----------
    rules : WritingRules
    stored : iterable of str
        Texts of which a new one must not be a copy.
    reader : GrammarReader, optional
        Of the subject's record.
    grammar : Grammar, optional
        Without a record: refuse texts that mix up what it knows of products, as two products in one.
    family : sequence of str
        Texts that a new one is made of. It must repeat no word that none of them repeats, use articles and capitals as
        they do, and, as far as the grammar knows theirs, keep to one of their products and one of their styles.
    any_style : bool
        Whether another style than theirs will do.

    Attributes
    ----------
    also : callable
        Further refusals of a text: a brand's, whose rules may change while others write.

    Examples
    --------
    >>> Checker(WritingRules(), ["Buy this knife."]).refusals("Buy this knife!")[0].reason
    'the same words as a stored text: Buy this knife.'
    """

    def __init__(
        self, rules: WritingRules, stored: Iterable[str], reader: GrammarReader | None = None,
        grammar: Grammar | None = None, family: Sequence[str] = (), any_style: bool = False,
    ) -> None:  # fmt: skip
        self.rules, self.reader, self.grammar = rules, reader, grammar
        self.also: Callable[[str], list[Refusal]] = lambda text: []
        self._family = _Family.of(family, any_style) if family else None
        self._stored = {normalised(text): text for text in stored}
        self._openings = {text[:1] for text in self._stored.values()}
        self._banned = [
            (word, re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)) for word in rules.banned_words
        ]

    def refusals(self, text: str, finished: bool = True) -> list[Refusal]:
        """Return every reason against `text`; none if it may be shown.

        Parameters
        ----------
        text : str
        finished : bool
            Whether the model wrote end-of-text.
        """
        found = [*self._form(text, finished), *self._copies(text), *self.also(text)]
        for word, pattern in self._banned:
            if pattern.search(text):
                found.append(Refusal("banned", f"the brand bans {word!r}"))
        if self.grammar and (mixed := mixed_facts(text, self.grammar)):
            found.append(Refusal("mixed facts", f"no one product is all of: {mixed}"))
        reading = self.reader.read(text) if self.reader else None
        if self._family:
            found += self._family.refusals(text, reading)
        return found + (self._facts(reading, self.reader.record) if self.reader and reading else [])

    def _form(self, text: str, finished: bool) -> list[Refusal]:
        found = []
        rules, words = self.rules, words_of(text)
        if not rules.min_characters <= len(text) <= rules.max_characters:
            allowed = f"{rules.min_characters} to {rules.max_characters}"
            found.append(Refusal("length", f"{len(text)} characters; {allowed} are allowed"))
        trigrams = list(zip(words, words[1:], words[2:], strict=False))
        doubled = _DOUBLED.search(text)
        if doubled or len(set(trigrams)) < len(trigrams):
            found.append(
                Refusal("repetition", f"repeats {doubled[0]!r}" if doubled else "repeats three words in a row")
            )
        if text[:1] in _NO_OPENING and text[:1] not in self._openings:
            found.append(Refusal("opening", f"begins with {text[0]!r}, as no stored text does"))
        dangling = not words or words[-1] in _DANGLING
        if not finished or dangling or (rules.full_stop and not is_stopped(text)) or text.count('"') % 2:
            found.append(Refusal("unfinished", "not a finished sentence"))
        return found

    def _copies(self, text: str) -> list[Refusal]:
        mine = normalised(text)
        if mine in self._stored:
            return [Refusal("copy", f"the same words as a stored text: {self._stored[mine]}")]
        inside = next((s for s in self._stored if s.count(" ") >= 2 and f" {s} " in f" {mine} "), None)
        if inside:
            return [Refusal("concatenation", f"contains a whole stored text: {self._stored[inside]}")]
        return []

    def _facts(self, reading: Reading, record: ProductRecord) -> list[Refusal]:
        found = []
        if not reading.names_subject:
            found.append(Refusal("off subject", f"does not name the {record.name}"))
        for phrase in reading.foreign:
            found.append(Refusal("foreign attribute", f"claims {phrase!r}, which the record does not have"))
        for number in reading.invented_numbers:
            found.append(Refusal("invented number", f"the number {number!r} does not stand in a phrase of the record"))
        if self.rules.only_known_words:
            for word in reading.unknown_words:
                if not found:
                    found.append(Refusal("unknown word", f"{word!r} is neither in the record nor in a known frame"))
        return found


@dataclass(frozen=True)
class _Family:
    """What the texts that a new one is made of do: words and articles, products and styles.

    Parameters
    ----------
    counts : Counter of str
        How often a word or a pair of words stands in one of them, at most.
    articles : bool
        Whether English articles agree with what follows in all of them, and no two determiners stand side by side.
        Otherwise it may be another language.
    capitals : bool
        Whether small words in the midst of one of them begin with a capital, as titles have it.
    products, styles : frozenset of str
        Empty where one of the texts is not the grammar's, or none need be kept.
    """

    counts: Counter[str]
    articles: bool
    capitals: bool
    products: frozenset[str]
    styles: frozenset[str]

    @classmethod
    def of(cls, texts: Sequence[str], any_style: bool) -> _Family:
        read = [gist(text, Grammar.load()) for text in texts]
        counts: Counter[str] = Counter()
        for text in texts:
            counts |= _counts(text)
        named = all(len(one.products) == 1 for one in read)
        known = not any_style and all(one.frame_similarity >= _IN_FRAME for one in read)
        return cls(
            counts,
            not any(map(_article_faults, texts)),
            any(map(_INNER_CAPITAL.search, texts)),
            frozenset(product for one in read for product in one.products if named),
            frozenset(one.style for one in read if known),
        )

    def refusals(self, text: str, reading: Reading | None) -> list[Refusal]:
        """Return what keeps `text`, read for a subject if there is one, out of the family."""
        found = []
        again = next((word for word, count in _counts(text).items() if count > max(self.counts[word], 1)), None)
        if again:
            found.append(Refusal("repeated word", f"says {again!r} more often than the texts that it is made of"))
        if self.articles:
            found += [Refusal("article", reason) for reason in _article_faults(text)]
        if not self.capitals and (inner := _INNER_CAPITAL.search(text)):
            found.append(Refusal("capital", f"{inner[0]!r} does not begin a sentence"))
        read = gist(text, Grammar.load()) if not reading and (self.products or self.styles) else None
        if read and self.products and not (len(read.products) == 1 and read.products <= self.products):
            allowed = ", ".join(sorted(self.products))
            found.append(Refusal("another product", f"names none of its parents' products, {allowed}, or several"))
        style = reading.style if reading else read.style if read else ""
        if self.styles and style not in self.styles:
            found.append(Refusal("another style", f"the style is {style}, not {' or '.join(sorted(self.styles))}"))
        return found


def _counts(text: str) -> Counter[str]:
    """Return how often each word that says something, and each pair of words, stands in a text."""
    words = words_of(text)
    weighty = [word for word in words if len(word) >= _WEIGHTY and word not in _EVERYWHERE]
    return Counter([*weighty, *(f"{one} {other}" for one, other in itertools.pairwise(words))])


def _article_faults(text: str) -> list[str]:
    """Return what is wrong with the articles of a text, were it English; "the A" may be a name."""
    articles = sorted({(match[1], match[2]) for match in _ARTICLE.finditer(text)})
    faults = [f"{a!r} stands before {word!r}" for a, word in articles if a.lower() != indefinite_article(word)]
    return faults + [f"{match[0]!r} is one word too many" for match in _TWO_DETERMINERS.finditer(text)]
