"""Product records, and the slots through which a text takes its facts from one."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from copyloom import InputError, in_words
from generator.agreement import is_plural
from generator.settings import read_mapping

KINDS = ("quality", "material", "feature", "benefit", "audience", "use", "proof", "offer")
"""The kinds of attributes, in the order in which a prompt lists them."""

SLOTS_PER_KIND = 3
SLOTS = ("<name>", "<names>", *(f"<{kind} {i}>" for kind in KINDS for i in range(1, SLOTS_PER_KIND + 1)))
ARTICLE = "<a>"
"""The article that agrees with the word after it."""

_SLOT = re.compile("|".join(re.escape(slot) for slot in (*SLOTS, ARTICLE)))
_NUMBERED = re.compile(rf"<({'|'.join(KINDS)}) \d>")
_SENTENCE_START = re.compile(r"(?:^|[.!?]\s)[\"']?$")
_A = re.compile(r"uni(?![nm])|use|usa|usu|uti|usb|ubiq|uv\b|uk\b|us\b|u-|eu|one\b|once\b", re.IGNORECASE)
_AN = re.compile(
    r"(?i:[aeiou]|hour|honest|heir|honou?r|8|1[18]\b|[fhlmnrsx]-"
    r"|(?:fm|hdd?|hdmi|html|lcd|lte|mdf|mp[34]|mri|nfc|rfid|rgb|sd|sms|spf|ssd|suv|x{1,3}l|xs)s?\b)"
    r"|[FHLMNRSX][A-Z0-9]+\b"
)
"""Vowels that sound like consonants, which take "a"; and what takes "an" otherwise."""


def _check_phrase(phrase: str) -> str:
    phrase = " ".join(phrase.split())
    if not phrase:
        raise ValueError("an attribute is empty; write a phrase or leave it out")
    if len(phrase) > 80:
        raise ValueError(f"{phrase[:30]!r}... has {len(phrase)} characters; an attribute has at most 80")
    if _SLOT.search(phrase):
        raise ValueError(f"{phrase!r} contains the name of a slot; leave the angle brackets out")
    return phrase


Phrase = Annotated[str, AfterValidator(_check_phrase)]


def _as_list(phrases: object) -> object:
    """Return a single phrase as a list of one, nothing as an empty list."""
    return (phrases,) if isinstance(phrases, str) else phrases or ()


def _unknown(phrases: object, known: set[str]) -> object:
    """Return the phrases that are not known yet, and know them; what is no list of phrases as it is."""
    if not isinstance(phrases, list | tuple) or not all(isinstance(phrase, str) for phrase in phrases):
        return phrases
    words = [" ".join(phrase.casefold().split()) for phrase in phrases]
    fresh = [phrase for place, phrase in enumerate(phrases) if words[place] not in {*known, *words[:place]}]
    known.update(word for word in words if word)
    return fresh


Phrases = Annotated[tuple[Phrase, ...], Field(max_length=SLOTS_PER_KIND), BeforeValidator(_as_list)]


class ProductRecord(BaseModel):
    """What is true of one product: all that a text about it may claim. A phrase that is given twice counts once.

    Parameters
    ----------
    name : str
        Singular noun phrase without article, as it stands after "the": ``"chef knife"``.
    plural : str, optional
        Its plural; unless given, the name with an ``s``, or the name itself where it looks like a plural.
    category : str
        For the reader of the record only.
    quality, material, feature, benefit, audience, use, proof, offer : sequence of str
        At most three phrases each. A quality goes before the name ("balanced"), a material after "made of", a feature
        after "with" ("a leak-proof lid"), a benefit after "that" ("keeps its edge for years"), an audience and a use
        after "for", a proof after "is" ("rated 4.8 out of 5"), an offer after "get" ("free shipping").

    Examples
    --------
    >>> mug = ProductRecord(name="trail mug", feature=["a leak-proof lid"])
    >>> fill("<a> <name> with <feature 1>.", mug)
    'A trail mug with a leak-proof lid.'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Phrase
    plural: Phrase = ""
    category: str = ""
    quality: Phrases = ()
    material: Phrases = ()
    feature: Phrases = ()
    benefit: Phrases = ()
    audience: Phrases = ()
    use: Phrases = ()
    proof: Phrases = ()
    offer: Phrases = ()

    @model_validator(mode="before")
    @classmethod
    def _default_plural(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("name") and not data.get("plural"):
            name = str(data["name"])
            return {**data, "plural": name if is_plural(name) else f"{name}s"}
        return data

    @model_validator(mode="before")
    @classmethod
    def _each_once(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = set[str]()
        return {**data, **{kind: _unknown(_as_list(data[kind]), known) for kind in KINDS if kind in data}}

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Return the record in a YAML file.

        Raises
        ------
        InputError
            If the file cannot be read or does not hold a record.
        """
        data = read_mapping(Path(path), "a mapping with 'name' and attributes such as 'quality: [...]'")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            allowed = "name, plural, category, " + ", ".join(KINDS)
            raise InputError(f"{path} is not a product record: {in_words(error)}. Allowed keys: {allowed}") from error

    def attributes(self) -> Iterator[tuple[str, str]]:
        """Yield (slot, phrase) of every attribute, in the order of `KINDS`."""
        for kind in KINDS:
            for i, phrase in enumerate(getattr(self, kind), start=1):
                yield f"<{kind} {i}>", phrase

    def only(self, phrases: Sequence[str]) -> Self:
        """Return the record with those of its facts alone.

        Examples
        --------
        >>> ProductRecord(name="mug", quality=["light"], feature=["a lid", "a loop"]).only(["a loop"]).feature
        ('a loop',)
        """
        kinds = {kind: tuple(one for one in getattr(self, kind) if one in phrases) for kind in KINDS}
        return self.model_copy(update=kinds)

    def phrases(self) -> dict[str, str]:
        """Return the phrase of every slot that this record fills."""
        return {"<name>": self.name, "<names>": self.plural, **dict(self.attributes())}


def indefinite_article(phrase: str) -> str:
    """Return ``"a"`` or ``"an"``, whichever goes before `phrase`.

    Examples
    --------
    >>> [indefinite_article(word) for word in ("oak desk", "useful mug", "hour", "8-cup pot")]
    ['an', 'a', 'an', 'an']
    """
    return "an" if _AN.match(phrase) and not _A.match(phrase) else "a"


def fill(slotted: str, record: ProductRecord) -> str:
    """Return `slotted` with its slots replaced by the phrases of `record`, articles and capitals agreeing.

    Raises
    ------
    InputError
        If a slot has no phrase in the record.
    """
    phrases = record.phrases()

    def phrase(match: re.Match[str]) -> str:
        if match[0] == ARTICLE:
            return ARTICLE
        if match[0] not in phrases:
            raise InputError(f"{match[0]} has no phrase in the record of {record.name!r}")
        return _capital_at_start(phrases[match[0]], match)

    def article(match: re.Match[str]) -> str:
        return _capital_at_start(indefinite_article(match.string[match.end() :].lstrip()), match)

    return re.sub(re.escape(ARTICLE), article, _SLOT.sub(phrase, slotted))


def choose_slots(slotted: str, record: ProductRecord, nearness: Mapping[str, float], count: int = 1) -> list[str]:
    """Return `slotted` with each slot's number chosen anew, in up to `count` ways, the nearest phrases first.

    Parameters
    ----------
    slotted : str
    record : ProductRecord
    nearness : mapping of str to float
        Of each phrase; those with the highest sum go first, and of the same phrases the nearest is said first. None is
        said twice.
    count : int
        At least one.

    Raises
    ------
    InputError
        If the record has fewer phrases of a kind than the text has slots for.

    Examples
    --------
    >>> mug = ProductRecord(name="mug", quality=["light", "sturdy"])
    >>> choose_slots("<a> <quality 1> <name>.", mug, {"light": 0.1, "sturdy": 0.4}, count=2)
    ['<a> <quality 2> <name>.', '<a> <quality 1> <name>.']
    """
    wanted = Counter(match[1] for match in _NUMBERED.finditer(slotted))
    ways = [_ways(record, kind, slots, nearness) for kind, slots in wanted.items()]
    nearest = sorted(itertools.product(*ways), key=_farness)[:count]
    return [_numbered(slotted, dict(zip(wanted, chosen, strict=True))) for chosen in nearest]


@dataclass(frozen=True)
class _Way:
    """A way to fill the slots of one kind: the numbers of phrases, how near each is, and its rank by that."""

    numbers: tuple[int, ...]
    nearness: tuple[float, ...]
    ranks: tuple[int, ...]


def _ways(record: ProductRecord, kind: str, slots: int, nearness: Mapping[str, float]) -> list[_Way]:
    phrases = getattr(record, kind)
    if slots > len(phrases):
        raise InputError(
            f"needs more than the {len(phrases)} phrases of kind {kind!r} in the record of {record.name!r}"
        )
    near = sorted(enumerate(phrases, start=1), key=lambda item: -nearness[item[1]])
    return [_Way(tuple(near[rank][0] for rank in ranks), tuple(nearness[near[rank][1]] for rank in ranks), ranks)
            for ranks in itertools.permutations(range(len(near)), slots)]  # fmt: skip


def _farness(ways: Sequence[_Way]) -> tuple[float, list[tuple[int, ...]]]:
    return -math.fsum(value for way in ways for value in way.nearness), [way.ranks for way in ways]


def _numbered(slotted: str, ways: Mapping[str, _Way]) -> str:
    left = {kind: iter(way.numbers) for kind, way in ways.items()}
    return _NUMBERED.sub(lambda match: f"<{match[1]} {next(left[match[1]])}>", slotted)


def slots_of(slotted: str) -> list[str]:
    """Return the slots in `slotted`, articles left out, in order of appearance."""
    return [slot for slot in _SLOT.findall(slotted) if slot != ARTICLE]


def at_sentence_start(opening: str) -> bool:
    """Say whether a sentence begins behind an opening.

    Examples
    --------
    >>> at_sentence_start("Sharp. "), at_sentence_start("A sharp ")
    (True, False)
    """
    return bool(_SENTENCE_START.search(opening))


def _capital_at_start(phrase: str, match: re.Match[str]) -> str:
    return phrase[:1].upper() + phrase[1:] if at_sentence_start(match.string[: match.start()]) else phrase
