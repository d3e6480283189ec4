"""What a writer reads in front of the summary vectors, as text: a product record, and the texts that are mixed."""

from __future__ import annotations

from collections.abc import Sequence

from generator.agreement import is_thing
from generator.record import ProductRecord

_AS_SAID = {
    "quality": "{}", "material": "made of {}", "feature": "with {}", "benefit": "that {}", "audience": "for {}",
    "use": "for {}", "proof": "is {}", "offer": "get {}",
}  # fmt: skip
"""How a fact of each kind stands in a sentence."""


def prompt(parents: Sequence[str], record: ProductRecord | None = None) -> str:
    """Return the lines that stand before the vectors; without parents and record nothing does.

    Examples
    --------
    >>> print(prompt(["Buy this knife."], ProductRecord(name="mug", feature=["a lid"], quality=["light"])), end="")
    About the mug: light; with a lid.
    - Buy this knife.
    """
    lines = [] if record is None else [about(record)]
    return "".join(f"{line}\n" for line in [*lines, *(f"- {' '.join(parent.split())}" for parent in parents)])


def about(record: ProductRecord) -> str:
    """Return a record in one line, its facts in the order of their kinds."""
    facts = [_said(slot[1:-1].split()[0], phrase) for slot, phrase in record.attributes()]
    return f"About the {record.name}{': ' if facts else ''}{'; '.join(facts)}."


def _said(kind: str, phrase: str) -> str:
    """Return a fact as it stands in a sentence: behind a "with" only what names a thing."""
    return phrase if kind == "feature" and not is_thing(phrase) else _AS_SAID[kind].format(phrase)
