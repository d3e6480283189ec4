"""What is judged at a time: a text, or two that were written for the same item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

from copyloom import InputError
from experiments.raters.questions import Of

Sources = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A text, and who wrote it.

    Parameters
    ----------
    text : str
    source : str
        The system that wrote it.
    item : str
        What it was written for; texts of one item can be compared.
    about : str
        What it was to say; "" where that is not known.
    other, other_source : str
        A text that it is to be compared with, and who wrote that; "" where there is none.
    """

    text: str
    source: str
    item: str
    about: str = ""
    other: str = ""
    other_source: str = ""


@dataclass(frozen=True)
class Unit:
    """What is judged at a time.

    Parameters
    ----------
    item, about : str
    texts : tuple of str
        One or two.
    sources : tuple of tuples of str
        Who wrote each; several where they wrote the same.
    """

    item: str
    about: str
    texts: tuple[str, ...]
    sources: tuple[Sources, ...]

    @property
    def of(self) -> Of:
        """Whether it is a text or a pair."""
        return "text" if len(self.texts) == 1 else "pair"

    @property
    def labels(self) -> list[Sources]:
        """Its source, or the two sources that it compares; several where more wrote the same."""
        return sorted({tuple(sorted(names)) for names in product(*self.sources)})

    @property
    def seen(self) -> frozenset[str]:
        """What a rater has seen who has judged it: the item, and the texts by their words."""
        return frozenset((f"item {self.item}", *(f"text {plain(text)}" for text in self.texts)))


def plain(text: str) -> str:
    """Return a text with single spaces; two that differ in nothing else are one."""
    return " ".join(text.split())


def text_units(entries: Sequence[Entry]) -> list[Unit]:
    """Return each text of each item once, with all who wrote it."""
    return [Unit(item, about, (text,), (sources,)) for (item, about), texts in _by_item(entries).items()
            for text, sources in texts]  # fmt: skip


def pair_units(entries: Sequence[Entry]) -> tuple[list[Unit], int]:
    """Return each two different texts that different sources wrote for an item, and how many pairs were of equal texts.

    Equal texts are not shown: there is nothing to choose.

    Raises
    ------
    InputError
        If no two sources wrote for one item.
    """
    given = [entry for entry in entries if entry.other]
    pairs = {_pair(entry): None for entry in given if plain(entry.text) != plain(entry.other)}
    equal = sum(plain(entry.text) == plain(entry.other) for entry in given)
    for (item, about), texts in _by_item(entries).items():
        equal += sum(len(sources) * (len(sources) - 1) // 2 for _, sources in texts)
        for (first, ours), (second, theirs) in combinations(texts, 2):
            sides = (_without(ours, theirs), first), (_without(theirs, ours), second)
            if sides[0][0] and sides[1][0]:
                pairs[_ordered(item, about, *sides)] = None
    if not pairs and not equal:
        raise InputError("no two sources wrote for one item, so that there is nothing to compare; give a column 'item' "
                         "that says what each text was written for, or a column 'other' with a text to compare it "
                         "with")  # fmt: skip
    if not pairs:
        raise InputError(f"all {equal} pairs are of equal texts, so that there is nothing to compare; ask questions of "
                         "single texts, or give other texts")  # fmt: skip
    return list(pairs), equal


def _pair(entry: Entry) -> Unit:
    return _ordered(entry.item, entry.about, ((entry.source,), entry.text), ((entry.other_source,), entry.other))


def _ordered(item: str, about: str, *sides: tuple[Sources, str]) -> Unit:
    """Return a pair with its sources in the order of their names, the same for all items."""
    (ours, first), (theirs, second) = sorted(sides)
    return Unit(item, about, (first, second), (ours, theirs))


def _without(ours: Sources, theirs: Sources) -> Sources:
    return tuple(source for source in ours if source not in theirs)


def _by_item(entries: Sequence[Entry]) -> dict[tuple[str, str], list[tuple[str, Sources]]]:
    """Return the different texts of each item and what it is about, with those who wrote them in the order of names."""
    found: dict[tuple[str, str], dict[str, list[Entry]]] = {}
    for entry in entries:
        found.setdefault((entry.item, entry.about), {}).setdefault(plain(entry.text), []).append(entry)
    return {key: [(same[0].text, tuple(sorted({entry.source for entry in same}))) for same in texts.values()]
            for key, texts in found.items()}  # fmt: skip
