"""The same sentence with other facts of a product's record, where its grammar is sure to bear them.

A fact takes the place of another of its own kind where the words beside it leave no doubt of its role: "made of" before
a material, the name after a quality, the end of a sentence. Where that is all that is known, facts of any form may
stand; in more places, facts of the same form: both plural, both with "a". What is unsure is not offered.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from generator.agreement import is_done, is_plural, is_thing
from generator.reader import words_of
from generator.record import KINDS, ProductRecord, at_sentence_start, indefinite_article

_START, _END = "^", "$"
"""What stands before the first word of a sentence, and after the last word of a text."""
_ANYTHING = None
_ENDS = frozenset([_END, *".!?,:;—–", "and"])
"""What ends the part of a sentence that a fact closes."""
_STOPS = frozenset([_END, ".", "!", "?"])
"""What ends the sentence."""
_AFTER = frozenset(["and", ",", ":", "—", "–"])
_LISTED = _AFTER | {_START}
_BOUND = frozenset(["who", "that", "which", "until", "within", "worth"])
"""What says more of the very fact before it."""
_NAMES = frozenset(["<name>", "<names>"])
_DETERMINED = frozenset(["a", "an", "the", "this", "our", "your", "every", "<quality>"])
_HAVING = _AFTER | {"with", "has", "have", "had", "offers", "includes", "featuring", "plus"}
_GETTING = _AFTER | {"get", "with", "claim", "enjoy", "plus"}


@dataclass(frozen=True)
class _Role:
    """Where a fact of some kind may stand: behind some words, marks or kinds of other facts, and before some others.

    Parameters
    ----------
    behind : frozenset of str
    before : frozenset of str, optional
        Before anything unless given.
    alike : bool
        Whether only a fact of the same form may take its place.
    """

    behind: frozenset[str]
    before: frozenset[str] | None
    alike: bool = False

    def holds(self, behind: str, before: str) -> bool:
        """Say whether a fact between these two has this role."""
        return behind in self.behind and (self.before is None or before in self.before)


_ROLES = {
    "quality": (
        _Role(_LISTED | _DETERMINED, _NAMES | {"<quality>", "<material>"}),
        _Role(_LISTED | _DETERMINED | {"is", "are"}, _ENDS, alike=True),
    ),
    "material": (
        _Role(frozenset(["of", "from", "in", "with"]), _ENDS | {"for", "with", "is"}),
        _Role(_LISTED | _DETERMINED, _ENDS | _NAMES, alike=True),
    ),
    "feature": (
        _Role(_HAVING, _ENDS | {"for"}),
        _Role(_HAVING | {_START, "get", "enjoy", "love", "of", "by", "to"}, _ANYTHING, alike=True),
    ),
    "benefit": (_Role(_NAMES | {"that", "which", "it", "and", "also"}, _ENDS),),
    "audience": (
        _Role(frozenset(["for", "to"]), _ENDS | {"with"}),
        _Role(_LISTED | {"for", "to", "by", "of", "makes", "make", "treat", "love"}, _ANYTHING, alike=True),
    ),
    "use": (
        _Role(frozenset(["for", "to"]), _ENDS | {"with"}),
        _Role(_LISTED | {"for", "to", "of", "makes", "make", "enjoy", "during"}, _ANYTHING, alike=True),
    ),
    "proof": (_Role(_LISTED | _NAMES | {"is", "are"}, _ENDS),),
    "offer": (_Role(_GETTING, _STOPS), _Role(_GETTING | {_START, "of"}, _STOPS, alike=True)),
}
"""By kind; see `ProductRecord` for how facts of each stand in a sentence."""

_MORE = re.compile(r"\b(?:for|of|with|in|on|to|from|by|at|as|than|and|or|that|which|when|so)\b", re.IGNORECASE)
"""Words that make more of a fact than adjectives and a noun."""
_MOST = re.compile(r"(?:most|least|more|less|best|first|only)\b|(?!honest\b|modest\b)\w{3,}est\b", re.IGNORECASE)
_DOES = re.compile(r"(?:is|has|does|\w+[^\Wsu]s) ", re.IGNORECASE)
_CHOSEN = re.compile(r"(?:chosen|worn|bought|given|seen|driven|ridden|taught|kept|written)\b", re.IGNORECASE)
"""Words for what was done, beside those that `is_done` knows."""
_IS_SO = re.compile(
    r"^(?!(?:luxury|country|military|family|party|city)$)"
    r".*(?:able|ible|ful|less|proof|resistant|[^ae]ed|[dmnlrstv]y|ous|ive|weight|light|free)$",
    re.IGNORECASE,
)
"""How qualities end that stand behind "is", too, and not only before a name, as "winter" does."""
_NO_NOUN = re.compile(r"-(?:safe|proof|free|resistant|friendly|ready)$", re.IGNORECASE)
_AMOUNT = re.compile(r"[£$€\d]|.*\b(?:off\b|free$)", re.IGNORECASE)
"""Offers that stand in a sentence each in its own way."""
_MANY = re.compile(r"\b(?:people|children|men|women|feet)\b", re.IGNORECASE)
_TOKEN = re.compile(r"[\w'’-]*\w|[^\w\s]")
_CHANGED = 3
"""Facts of a text that others take the places of, at most."""
_WEIGHTY, _STEM = 4, 5
"""Letters from which on a word says something, and the first of it by which it is known."""
_WEIGHTLESS = frozenset(["with", "that", "this", "your", "from", "have", "than", "more", "made", "every", "when"])


@dataclass(frozen=True)
class Said:
    """A phrase of a record where it stands in a text; its kind is one of `KINDS`, or ``name`` or ``names``."""

    start: int
    end: int
    kind: str
    phrase: str


def facts_said(text: str, record: ProductRecord) -> list[Said]:
    """Return the phrases of a record that stand in a text, in their order; of overlapping ones the longest.

    Examples
    --------
    >>> mug = ProductRecord(name="trail mug", quality=["light"])
    >>> [(said.kind, said.phrase) for said in facts_said("A light trail mug.", mug)]
    [('quality', 'light'), ('name', 'trail mug')]
    """
    found: list[Said] = []
    for slot, phrase in sorted(record.phrases().items(), key=lambda item: -len(item[1])):
        pattern = rf"(?<![\w'’-])(?i:{re.escape(phrase[0])}){re.escape(phrase[1:])}(?![\w'’-])"
        for match in re.finditer(pattern, text):
            if all(match.end() <= one.start or one.end <= match.start() for one in found):
                found.append(Said(match.start(), match.end(), slot[1:-1].split()[0], phrase))
    return sorted(found, key=lambda one: one.start)


def said_again(text: str, record: ProductRecord) -> list[str]:
    """Return the facts of a text that say what an earlier one or a longer one says.

    Examples
    --------
    >>> bag = ProductRecord(name="bag", use=["the daily commute"], benefit=["stands up to daily commuting"])
    >>> said_again("A bag for the daily commute that stands up to daily commuting.", bag)
    ['the daily commute']
    """
    facts = [said.phrase for said in facts_said(text, record) if said.kind in KINDS]
    says = [_stems(phrase) or {phrase} for phrase in facts]
    return [phrase for place, phrase in enumerate(facts)
            if any(says[place] < other or (says[place] == other and at < place)
                   for at, other in enumerate(says) if at != place)]  # fmt: skip


def facts_touched(texts: Iterable[str], record: ProductRecord) -> list[str]:
    """Return the phrases of a record that stand in one of some texts, or share a longer word, or how it begins.

    Examples
    --------
    >>> kettle = ProductRecord(name="kettle", feature=["a lid"], benefit=["boils in a minute", "hums"])
    >>> facts_touched(["A kettle that boils fast.", "The kettle has a lid."], kettle)
    ['a lid', 'boils in a minute']
    """
    words, said = frozenset[str]().union(*map(_stems, texts)), "\n".join(texts).casefold()
    return [phrase for _, phrase in record.attributes() if phrase.casefold() in said or words & _stems(phrase)]


def with_other_facts(text: str, record: ProductRecord, nearness: Mapping[str, float], count: int) -> list[str]:
    """Return a text with other facts of a record in place of some of its own, in up to `count` ways.

    No fact that is put in says what another one, or the rest of the text, says already; and no two of the texts say the
    same facts in another order.

    Parameters
    ----------
    text : str
    record : ProductRecord
    nearness : mapping of str to float
        Of each phrase. Fewest changes go first, and of as many those with the highest sum over what is put in.
    count : int

    Examples
    --------
    >>> mug = ProductRecord(name="mug", quality=["light", "enamelled"], feature=["a lid", "a steel rim"])
    >>> near = {"light": 0.0, "enamelled": 0.3, "a lid": 0.0, "a steel rim": 0.1}
    >>> with_other_facts("A light mug with a lid.", mug, near, 2)
    ['An enamelled mug with a lid.', 'A light mug with a steel rim.']
    """
    facts = facts_said(text, record)
    others = {place: _others(text, facts, place, record) for place in range(len(facts))}
    changes = [dict(zip(places, phrases, strict=True))
               for changed in range(1, _CHANGED + 1) for places in itertools.combinations(others, changed)
               for phrases in itertools.product(*(others[place] for place in places))]  # fmt: skip
    changes.sort(key=lambda change: (len(change), -math.fsum(nearness[phrase] for phrase in change.values())))
    own = [said.phrase for said in facts]
    found = {frozenset(own): text}
    for change in changes:
        chosen = [change.get(place, phrase) for place, phrase in enumerate(own)]
        if len(found) <= count and frozenset(chosen) not in found and _says_nothing_again(text, facts, chosen):
            found[frozenset(chosen)] = _put_in(text, facts, chosen)
    return list(found.values())[1:]


def _others(text: str, facts: Sequence[Said], place: int, record: ProductRecord) -> list[str]:
    """Return the phrases that may stand in the place of a fact."""
    said = facts[place]
    form = _form(said.kind, said.phrase)
    behind, before = _beside(text, facts, place)
    roles = [role for role in _ROLES.get(said.kind, ()) if role.holds(behind, before) and before not in _BOUND]
    titled = text[said.start : said.end] != said.phrase and not at_sentence_start(text[: said.start])
    if form is None or not roles or titled:
        return []
    others = {phrase: _form(said.kind, phrase) for phrase in getattr(record, said.kind) if phrase != said.phrase}
    any_form = not all(role.alike for role in roles)
    return [phrase for phrase, other in others.items() if other == form or (any_form and other is not None)]


def _beside(text: str, facts: Sequence[Said], place: int) -> tuple[str, str]:
    """Return what stands behind and before a fact: a word in small letters, a mark, or the kind of another fact."""
    said = facts[place]
    behind = re.findall(_TOKEN, text[: said.start])[-1:]
    before = re.findall(_TOKEN, text[said.end :])[:1]
    if at_sentence_start(text[: said.start]):
        behind = [_START]
    elif place and not text[facts[place - 1].end : said.start].strip():
        behind = [f"<{facts[place - 1].kind}>"]
    if place + 1 < len(facts) and not text[said.end : facts[place + 1].start].strip():
        before = [f"<{facts[place + 1].kind}>"]
    return "".join(behind).lower(), "".join(before).lower() or _END


def _form(kind: str, phrase: str) -> str | None:
    """Return the grammatical form of a fact, as far as its words show; None where it is not sure."""
    article = re.match(r"an?\b|the\b", phrase, re.IGNORECASE)
    if kind == "quality" or (kind == "material" and not article):
        plain = not (article or _MORE.search(phrase) or _MOST.match(phrase))
        return ("plain" if kind == "material" or _IS_SO.search(phrase) else phrase) if plain else None
    if kind == "benefit":
        return "does" if _DOES.match(phrase) else None
    if kind == "proof":
        return "done" if is_done(phrase) or _CHOSEN.match(phrase) else None
    if not is_thing(phrase) or _NO_NOUN.search(phrase) or (kind == "offer" and _AMOUNT.match(phrase)):
        return None
    first = article[0][0].lower() if article else "doing" if re.match(r"\w+ing\b", phrase) else "bare"
    things = re.split(r" (?:that|which|who|whose|where|when) ", phrase)[0]
    return f"{first} {'many' if is_plural(things) or _MANY.search(things) else 'one'}"


def _says_nothing_again(text: str, facts: Sequence[Said], chosen: Sequence[str]) -> bool:
    """Say whether no phrase that is put in shares a word with another one or with the rest of the text."""
    says = [_stems(phrase) or {phrase} for phrase in chosen]
    rest = frozenset[str]().union(*map(_stems, _around(text, facts)))
    return not any(says[place] & rest.union(*says[:place], *says[place + 1 :])
                   for place, said in enumerate(facts) if chosen[place] != said.phrase)  # fmt: skip


def _around(text: str, facts: Sequence[Said]) -> list[str]:
    """Return what stands before, between and after the facts of a text: one piece more than facts."""
    starts, ends = [said.start for said in facts], [said.end for said in facts]
    return [text[start:end] for start, end in zip([0, *ends], [*starts, len(text)], strict=True)]


def _put_in(text: str, facts: Sequence[Said], chosen: Sequence[str]) -> str:
    """Return a text with phrases in the places of its facts, articles and capitals agreeing."""
    new, *pieces = _around(text, facts)
    for said, phrase, piece in zip(facts, chosen, pieces, strict=True):
        written = text[said.start : said.end]
        if phrase != said.phrase:
            article = re.search(r"\b([Aa])n? $", new)
            new = f"{new[: article.start()]}{article[1]}{indefinite_article(phrase)[1:]} " if article else new
            written = phrase[:1].upper() + phrase[1:] if at_sentence_start(new) else phrase
        new += written + piece
    return new


def _stems(words: str) -> frozenset[str]:
    """Return how the words begin that say something."""
    weighty = (word for word in words_of(words) if len(word) >= _WEIGHTY and word not in _WEIGHTLESS)
    return frozenset(word[:_STEM] for word in weighty)
