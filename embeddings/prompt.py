"""What a writer reads in front of the summary vectors, as text: a product record, and the texts that are mixed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from generator.agreement import is_done, is_thing
from generator.other_facts import facts_touched
from generator.record import ProductRecord

_AS_SAID = {
    "quality": "{}", "material": "made of {}", "feature": "with {}", "benefit": "that {}", "audience": "for {}",
    "use": "for {}", "proof": "is {}", "offer": "get {}",
}  # fmt: skip
"""How a fact of each kind stands in a sentence."""
_OF_THINGS = ("feature", "audience", "use", "proof", "offer")
"""Kinds whose words go with a thing, or with what was done, alone."""
FACTS = 7
"""Of a record with more facts a writer is told as many, and an editor what texts may have taken from it: the one
learned from few longer ones, the other from none of more than ten."""
_PRICE = re.compile(r"[£$€]")


def prompt(parents: Sequence[str], record: ProductRecord | None = None) -> str:
    """Return the lines that stand before the vectors; without parents and record nothing does.

    Examples
    --------
    >>> print(prompt(["Buy this knife."], ProductRecord(name="mug", feature=["a lid"], quality=["light"])), end="")
    About the mug: light; with a lid.
    - Buy this knife.
    >>> about(ProductRecord(name="tuning", use=["before a concert"], proof=["since 1974"], offer=["£60 a piano"]))
    'About the tuning: before a concert; since 1974; £60 a piano.'
    >>> about(ProductRecord(name="vest", audience=["over-60s"], proof=["handmade in Leeds", "need no ironing"]))
    'About the vest: for over-60s; is handmade in Leeds; need no ironing.'
    """
    lines = [] if record is None else [about(record)]
    return "".join(f"{line}\n" for line in [*lines, *(f"- {' '.join(parent.split())}" for parent in parents)])


def drawn(record: ProductRecord, seed: str) -> ProductRecord:
    """Return a record with as many facts as a writer is told, drawn by a seed."""
    every = [phrase for _, phrase in record.attributes()]
    return record if len(every) <= FACTS else record.only(random.Random(seed).sample(every, FACTS))


def touched(record: ProductRecord, texts: Sequence[str]) -> ProductRecord:
    """Return a record as an editor of some texts reads it: of a long one what any of them may have taken from it."""
    many = len(list(record.attributes())) > FACTS
    return record.only(facts_touched(texts, record)) if many else record


def about(record: ProductRecord) -> str:
    """Return a record in one line, its facts in the order of their kinds."""
    facts = [_said(slot[1:-1].split()[0], phrase) for slot, phrase in record.attributes()]
    return f"About the {record.name}{': ' if facts else ''}{'; '.join(facts)}."


def _said(kind: str, phrase: str) -> str:
    """Return a fact as it stands in a sentence; as it was jotted, where the words of its kind do not go with it."""
    fits = is_done(phrase) if kind == "proof" else is_thing(phrase) and not _PRICE.match(phrase)
    return _AS_SAID[kind].format(phrase) if fits or kind not in _OF_THINGS else phrase
