"""What a text claims, and what backs each claim: the product's record or, without one, texts that are known.

A record is given with the slot, or comes from the shop's catalogue.

Numbers with their units, sizes, materials, names and selling claims are read off the text, backed or not, so that a
person sees both. The checks that a writer's drafts pass (`generator.checks`) refuse more, and know no reasons.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import Literal

from experiments.campaigns.state import State
from experiments.storefront.decide import Slot
from generator.checks import Checker, Refusal, WritingRules
from generator.grammar import Grammar
from generator.reader import GrammarReader
from generator.record import ProductRecord
from generator.unbacked import unbacked_claims
from generator.words import inventions, is_number, ordinary_words, words_in

Kind = Literal["number", "size", "material", "name", "urgency", "scarcity", "social proof", "offer", "attribute"]

Source = Literal["record", "parent", "given"]

_UNITS = {
    "%": "% percent pct", "cm": "cm centimetre centimeter centimetres centimeters", "mm": "mm millimetre millimetres",
    "m": "m metre metres meter meters", "km": "km kilometre kilometres kilometers", "in": "in inch inches ″ \"",
    "ft": "ft foot feet ′", "g": "g gram grams gramme grammes", "kg": "kg kilo kilos kilogram kilograms",
    "oz": "oz ounce ounces", "lb": "lb lbs pound pounds", "l": "l litre litres liter liters", "ml": "ml millilitres",
    "w": "w watt watts", "v": "v volt volts", "mah": "mah", "gb": "gb", "tb": "tb", "mp": "mp", "°": "° °c °f degrees",
    "hour": "h hr hrs hour hours", "minute": "min mins minute minutes", "day": "day days", "week": "week weeks",
    "month": "month months", "year": "year years yr yrs", "thousand": "thousand k", "million": "million millions",
    "hundred": "hundred", "dozen": "dozen", "piece": "piece pieces pcs pack packs", "star": "star stars",
}  # fmt: skip
_UNIT = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_NUMBER = r"\d+(?:[.,]\d+)*(?:[- ]\d+/\d+|/\d+)?(?:\s?[x×]\s?\d+(?:[.,]\d+)*)*"
_LONGEST_FIRST = "|".join(sorted(map(re.escape, _UNIT), key=len, reverse=True))
_QUANTITY = re.compile(rf"(?<![\w/.,])([£$€]?)({_NUMBER})(?:[\s-]?({_LONGEST_FIRST})(?!\w))?", re.IGNORECASE)
_SIZE = re.compile(
    r"\b(?:size [XSML]{1,4}|X{1,3}[SL]|(?:king|queen|full|twin|plus|travel)[- ]size[d]?)\b", re.IGNORECASE
)
_MATERIALS = """acrylic alpaca aluminium bronze cashmere ceramic chrome cork crystal diamond elastane enamel felt gold
    graphite hemp ivory jute latex lycra mahogany merino mohair pearl platinum polypropylene porcelain satin silk silver
    slate spandex steel stone tin titanium tweed velvet zinc"""
_NO_MATERIAL = frozenset(
    """acid blend blends board bottles butter composite crops essence extract farms flowers harvests ingredients juice
    leaves materials mix offcuts oil paint petals plants protein pulp tubing varieties vera water weave
    berries""".split()  # noqa: SIM905
)
"""Words in which a material of the grammar ends that name none of their own."""


@dataclass(frozen=True)
class Fact:
    """Something that a text claims.

    Parameters
    ----------
    kind : str
        number, size, material, name, attribute, or a kind of `generator.unbacked`.
    words : str
        As they stand in the text.
    by : str
        What backs it: record, parent, given (a stored text that is no parent); "" where nothing does.
    source : str
        The phrase or text that does.
    """

    kind: Kind
    words: str
    by: Source | Literal[""] = ""
    source: str = ""

    @property
    def backed(self) -> bool:
        """Whether anything backs it."""
        return bool(self.by)


@dataclass(frozen=True)
class Sources:
    """What may back a text.

    Parameters
    ----------
    record : ProductRecord, optional
        All that counts, where there is one.
    products : tuple of tuples of str
        Else all that counts, where the text is about products of a catalogue: what that says of each. What a text
        claims must be true of all of them.
    parents, given : tuple of str
        Texts that the text was made of, and all other known ones.
    own : tuple of str
        Those that the slot was opened with, which back selling claims (urgency, offers) even beside a record.
    """

    record: ProductRecord | None = None
    parents: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    products: tuple[tuple[str, ...], ...] = ()

    def rows(self) -> list[tuple[Source, str]]:
        """Return what each source of facts is, and its words."""
        if self.record is not None:
            return [("record", phrase) for phrase in self.record.phrases().values()]
        if self.products:
            return [("record", phrase) for phrases in self.products for phrase in phrases]
        return [*(("parent", text) for text in self.parents), *(("given", text) for text in self.given)]

    def of_claims(self) -> list[tuple[Source, str]]:
        """Return the same for selling claims."""
        own: list[tuple[Source, str]] = [("given", text) for text in self.own]
        return [*self.rows(), *own] if self.record is not None else self.rows()


def sources_of(slot: Slot, text: str, state: State | None = None) -> Sources:
    """Return what may back a text of a slot, by the state of its campaign.

    What was written backs nothing before it was approved: a draft's parents are followed to texts that were.
    """
    state = slot.state if state is None else state
    known = dict.fromkeys((*state.opening.slate, *state.opening.parents, *state.slate))
    parents = [one for one in _ancestors(state, text) if one in known]
    rest = [one for one in known if one not in parents and one != text]
    products = sorted(frozenset().union(*slot.products_of(text, state)))
    records = tuple(slot.records.get(product, ()) for product in products)
    return Sources(record_of(slot), tuple(parents), tuple(rest), state.opening.slate, records)


def record_of(slot: Slot) -> ProductRecord | None:
    """Return the record of the product that a slot is about, where it is about one."""
    subject = json.loads(slot.subject)["subject"]
    return ProductRecord.model_validate(subject) if subject else None


def facts(text: str, sources: Sources) -> list[Fact]:
    """Return what a text claims, each once, what nothing backs first.

    Examples
    --------
    >>> record = ProductRecord(name="wrench", feature=["a 9/16 inch socket"], material=["carbon steel"])
    >>> [(fact.kind, fact.words, fact.backed) for fact in facts("A 1-9/16 inch wrench in steel.", Sources(record))]
    [('number', '1-9/16 inch', False), ('material', 'steel', True)]
    """
    if sources.record is None and len(sources.products) > 1:
        each = [facts(text, replace(sources, products=(one,))) for one in sources.products]
        return _each_once(sorted(chain.from_iterable(each), key=lambda one: one.backed))
    found = [*_quantities(text, sources), *_materials(text, sources), *_names(text, sources), *_claims(text, sources)]
    if sources.record is not None:
        reading = GrammarReader(Grammar.load(), sources.record).read(text)
        phrases = sources.record.phrases()
        said = [Fact("attribute", phrases[slot], "record", phrases[slot]) for slot in sorted(reading.slots)]
        found += [*said, *(Fact("attribute", phrase) for phrase in reading.foreign)]
        told = {word for fact in found for word in words_in(fact.words.lower()) if not fact.backed or _has_unit(fact)}
        found += [Fact("number", word) for word in reading.invented_numbers if word not in told]
    return _each_once(sorted(found, key=lambda one: one.backed))


def objections(slot: Slot, text: str, state: State | None = None) -> list[str]:
    """Return why a text of a slot may be shown only for a reason that a person gives: facts, and a person's slips.

    The form of what the campaign's own writer wrote was checked before; what a person wrote is held to it here.
    """
    state = slot.state if state is None else state
    found = [f"nothing backs the {fact.kind} “{fact.words}”"
             for fact in facts(text, sources_of(slot, text, state)) if not fact.backed]  # fmt: skip
    return found + [refusal.reason for refusal in slips(slot, text, state)]


def slips(slot: Slot, text: str, state: State | None = None) -> list[Refusal]:
    """Return what the brand's rules have against a text, and what form a person's text lacks.

    The form of what the campaign's own writer wrote was checked when it was written; the brand's rules may be newer.
    """
    state = slot.state if state is None else state
    brands = slot.rules.refusals(text)
    if text not in state.authors:
        return brands
    rules = slot.config.rules or WritingRules.like(state.opening.slate)
    stored = (*state.opening.slate, *state.opening.parents)
    return [*brands, *Checker(rules.model_copy(update={"only_known_words": False}), stored).refusals(text)]


def _each_once(found: Sequence[Fact]) -> list[Fact]:
    """Return facts without those whose words stand in another's that is backed as it is."""
    kept: list[Fact] = []
    for fact in sorted(found, key=lambda one: -len(one.words)):
        inside = [one for one in kept if f" {fact.words.lower()} " in f" {one.words.lower()} "]
        if not any(one.backed == fact.backed or len(one.words) == len(fact.words) for one in inside):
            kept.append(fact)
    return [fact for fact in found if any(fact is one for one in kept)]


def _ancestors(state: State, text: str) -> list[str]:
    found: dict[str, None] = {}
    waiting = [text]
    while waiting:
        draft = state.usable.get(waiting.pop())
        fresh = [one for one in (draft.lineage.parents if draft else ()) if one not in found and one != text]
        found.update(dict.fromkeys(fresh))
        waiting += fresh
    return list(found)


def _quantities(text: str, sources: Sources) -> Iterator[Fact]:
    for match in _QUANTITY.finditer(text):
        words = match[0] if _unit(match) or not match[1] else match[1] + match[2]  # "€5 in red" is no length
        yield _backed("number", words.strip(), sources, _QUANTITY, _measure)


def _unit(match: re.Match[str]) -> str:
    """Return the unit of a number in one spelling; of an amount of money, only hundred, thousand, million."""
    unit = _UNIT.get((match[3] or "").lower(), "")
    return unit if not match[1] or unit in ("hundred", "thousand", "million") else ""


def _measure(match: re.Match[str]) -> list[object]:
    """Return currency, number and unit, in one spelling: 25.00 is 25."""
    number = re.sub(r"(?<=\d),(?=\d{3})", "", re.sub(r"\s", "", match[2])).replace("×", "x")
    if re.fullmatch(r"\d+\.\d+", number):
        number = number.rstrip("0").rstrip(".")
    return [(match[1], number, _unit(match))]


def _materials(text: str, sources: Sources) -> Iterator[Fact]:
    patterns: list[tuple[re.Pattern[str], Kind]] = [(_material_pattern(), "material"), (_SIZE, "size")]
    for pattern, kind in patterns:
        for match in pattern.finditer(text):
            yield _backed(kind, match[0], sources, pattern, _said)


def _has_unit(fact: Fact) -> bool:
    match = _QUANTITY.search(fact.words)
    return fact.kind == "number" and match is not None and bool(match[3])


def _said(match: re.Match[str]) -> list[object]:
    """Return a material or size, and that of which it is a kind: carbon steel is steel, faux leather no leather."""
    words = match[0].lower()
    first, _, rest = words.partition(" ")
    return [words] if not rest or first in ("faux", "vegan", "size") else [words, rest]


@cache
def _material_pattern() -> re.Pattern[str]:
    """Words for materials: the last of each of the grammar's, and common ones; "stainless steel" is one."""
    last = {phrase.split()[-1] for one in Grammar.load().categories for phrase in one.attributes.get("material", ())}
    words = sorted((last - _NO_MATERIAL) | set(_MATERIALS.split()), key=len, reverse=True)
    before = "stainless|carbon|sterling|solid|pure|genuine|real|faux|vegan|organic|recycled|full-grain|top-grain"
    return re.compile(rf"(?<![\w-])(?:(?:{before}) )?(?:{'|'.join(words)})(?![\w-])", re.IGNORECASE)


def _names(text: str, sources: Sources) -> Iterator[Fact]:
    """Yield words that may be names of persons, places and brands, and numbers in words."""
    words = [words for _, words in sources.rows()]
    without = set(inventions(text, words, ordinary_words()))
    for word in inventions(text, (), ordinary_words()):
        kind: Kind = "number" if is_number(word) else "name"
        if any(letter.isdigit() for letter in word) and _QUANTITY.search(word):
            continue  # told above, with its unit
        if word in without:
            yield Fact(kind, word)
        else:
            yield next((Fact(kind, word, by, one) for by, one in sources.rows()
                        if word not in inventions(word, (one,), ())), Fact(kind, word))  # fmt: skip


def _claims(text: str, sources: Sources) -> Iterator[Fact]:
    for kind, claim in unbacked_claims(text, ()):
        by, source = next(((by, one) for by, one in sources.of_claims() if not _lacks(text, one, claim)), ("", ""))
        yield Fact(kind, claim, by, source)  # type: ignore[arg-type]  # the kinds are named in `Kind`


def _lacks(text: str, source: str, claim: str) -> bool:
    """Say whether a source makes no claim like one of a text: "20 % off" is like "a 20 percent discount"."""
    amount = _QUANTITY.search(claim)
    if amount and amount[3] and any(kind == "offer" for kind, _ in unbacked_claims(source, ())):
        return not any(_measure(amount) == _measure(match) for match in _QUANTITY.finditer(source))
    return claim in [words for _, words in unbacked_claims(text, (source,))]


def _backed(
    kind: Kind, words: str, sources: Sources, pattern: re.Pattern[str], said: Callable[[re.Match[str]], list[object]]
) -> Fact:
    """Return what a text claims in `words`, backed by the first source that says it too.

    `said` returns what a match says, the whole first, and then what follows from it.
    """
    whole = pattern.search(words)
    for by, source in sources.rows():
        if whole and any(said(whole)[0] in said(match) for match in pattern.finditer(source)):
            return Fact(kind, words, by, source)
    return Fact(kind, words)
