"""The grammar that writes claims, headlines and descriptions, and that reads what a decoded text says."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable

from copyloom import InputError
from generator.record import KINDS, ProductRecord, fill, indefinite_article
from generator.settings import read_yaml

FORMS = ("claim", "headline", "description")
"""What a text of the grammar can be: a sentence, a headline without full stop, or two or three sentences."""

HELD_OUT_PRODUCT = 11
"""Position, in every category, of the product that training never sees."""


@dataclass(frozen=True)
class Frame:
    """A text with slots: ``"Looking for <a> <name> that <benefit>?"``, the style it is written in, and its form."""

    style: str
    text: str
    form: str = "claim"

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of its attribute slots, in order of appearance."""
        found = re.findall(r"<(\w+)>", self.text)
        return tuple(kind for kind in found if kind in KINDS)

    def slotted(self, picks: Sequence[int]) -> str:
        """Return the text with numbered slots; `picks` holds a number from 1 for each of `kinds`."""
        numbers = iter(picks)
        return re.sub(r"<(\w+)>", lambda m: f"<{m[1]} {next(numbers)}>" if m[1] in KINDS else m[0], self.text)


@dataclass(frozen=True)
class Category:
    """Products of one kind and the attributes that any of them may have."""

    name: str
    products: tuple[tuple[str, str], ...]
    attributes: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Claim:
    """A text that the grammar wrote: its frame, the record it is about, and the attributes that it picked."""

    frame: Frame
    record: ProductRecord
    picks: tuple[int, ...]

    @property
    def slotted(self) -> str:
        """The text with its slots still open."""
        return self.frame.slotted(self.picks)

    @property
    def text(self) -> str:
        """The text as a shopper reads it."""
        return fill(self.slotted, self.record)


@dataclass(frozen=True, eq=False)
class Grammar:
    """Frames of every form and categories, and the texts that can be made of them.

    Use `Grammar.load` for the one that the package ships.
    """

    frames: tuple[Frame, ...]
    categories: tuple[Category, ...]
    stopped: frozenset[str] = frozenset()
    """Texts of frames that readers stop with too many facts (``frames/stopped.yaml``)."""

    @staticmethod
    @cache
    def load() -> Grammar:
        """Return the shipped grammar, the same object at every call."""
        folder = resources.files("generator")
        frames = tuple(frame for form in FORMS for frame in _frames(folder.joinpath("frames", f"{form}s.yaml"), form))
        files = sorted(folder.joinpath("lexicon").iterdir(), key=lambda file: file.name)
        lexica = [read_yaml(file) for file in files if file.name.endswith(".yaml")]
        texts = itertools.chain(*read_yaml(folder.joinpath("frames", "stopped.yaml")).values())
        return Grammar(frames, tuple(map(_category, lexica)), frozenset(map(_with_slots, texts)))

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """The styles, in the order of the frames."""
        return tuple(dict.fromkeys(frame.style for frame in self.frames))

    def stops(self, slotted: str) -> bool:
        """Say whether a text, its slots still open, is in a frame that readers stop."""
        return re.sub(r"<(\w+) \d+>", r"<\1>", slotted) in self.stopped

    def frames_of(self, form: str) -> tuple[Frame, ...]:
        """Return the frames of one of `FORMS`.

        Raises
        ------
        InputError
            If there is no such form.
        """
        if form not in FORMS:
            raise InputError(f"form is {form!r}; pass one of {', '.join(FORMS)}")
        return tuple(frame for frame in self.frames if frame.form == form)

    def record(self, rng: random.Random, category: Category | None = None, product: int | None = None) -> ProductRecord:
        """Return a record drawn at random: two or three attributes of each kind that the category has.

        Parameters
        ----------
        rng : random.Random
        category : Category, optional
            Drawn unless given.
        product : int, optional
            Position of the product in its category; drawn from those of the training unless given.
        """
        category = category or rng.choice(self.categories)
        name, plural = category.products[rng.randrange(HELD_OUT_PRODUCT) if product is None else product]
        drawn = {
            kind: tuple(rng.sample(_without(phrases, name), rng.choice((2, 3))))
            for kind, phrases in category.attributes.items()
        }
        proofs, offers = (tuple(draw(rng) for _ in range(rng.choice((1, 2)))) for draw in (_proof, _offer))
        return ProductRecord(
            name=name,
            plural=plural,
            category=category.name,
            proof=tuple(dict.fromkeys(proofs)),
            offer=tuple(dict.fromkeys(offers)),
            **drawn,
        )

    def claim(self, rng: random.Random, record: ProductRecord, style: str | None = None, form: str = "claim") -> Claim:
        """Return a text about `record` drawn at random: a claim, or another of `FORMS`; in `style` if one is given."""
        frames = [f for f in self.frames_of(form) if style in (None, f.style) and fits(f, record)]
        frame = rng.choice(frames)
        return Claim(frame, record, draw_picks(rng, frame, record))

    def claims_about(self, record: ProductRecord) -> Iterator[Claim]:
        """Yield every claim that the grammar can write about `record`; headlines and descriptions are none."""
        for frame in self.frames_of("claim"):
            if not fits(frame, record):
                continue
            choices = [range(1, len(getattr(record, kind)) + 1) for kind in frame.kinds]
            for picks in itertools.product(*choices):
                if _distinct(frame, picks):
                    yield Claim(frame, record, picks)


def _frames(file: Traversable, form: str) -> Iterator[Frame]:
    for style, texts in read_yaml(file).items():
        for text in texts:
            yield Frame(style, _with_slots(text), form)


def _with_slots(text: str) -> str:
    return re.sub(r"\{(\w+)\}", r"<\1>", text)


def _category(lexicon: dict[str, object]) -> Category:
    plural = {kind: f"{kind}s" for kind in KINDS} | {"quality": "qualities"}
    return Category(
        name=str(lexicon["category"]),
        products=tuple((p["name"], p["plural"]) for p in lexicon["products"]),  # type: ignore[attr-defined]
        attributes={kind: tuple(lexicon[plural[kind]]) for kind in KINDS if plural[kind] in lexicon},  # type: ignore[arg-type]
    )


def _without(phrases: Sequence[str], name: str) -> list[str]:
    """Return the phrases that are no word of `name`, which would double it: "a portable portable projector"."""
    return [phrase for phrase in phrases if phrase not in name.split()]


def fits(frame: Frame, record: ProductRecord) -> bool:
    """Say whether `record` has a phrase for every slot of `frame`."""
    return all(len(getattr(record, kind)) >= frame.kinds.count(kind) for kind in frame.kinds)


def _distinct(frame: Frame, picks: Sequence[int]) -> bool:
    pairs = list(zip(frame.kinds, picks, strict=True))
    return len(set(pairs)) == len(pairs)


def draw_picks(rng: random.Random, frame: Frame, record: ProductRecord) -> tuple[int, ...]:
    """Return a random pick for each of the frame's slots, no phrase twice."""
    unused = {
        kind: rng.sample(range(1, len(getattr(record, kind)) + 1), frame.kinds.count(kind))
        for kind in KINDS
        if kind in frame.kinds
    }
    return tuple(unused[kind].pop() for kind in frame.kinds)


def _proof(rng: random.Random) -> str:
    stars = f"4.{rng.randrange(10)}"
    thousands = rng.choice((2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 75, 90, 100, 250))
    count = f"{rng.randrange(1, 60)},{rng.randrange(10)}00"
    return rng.choice(
        (
            f"rated {stars} out of 5",
            f"rated {stars} stars by {count} buyers",
            f"trusted by over {thousands} thousand homes",
            f"chosen by more than {thousands} thousand customers",
            f"recommended by {rng.choice((7, 8, 9))} in 10 owners",
            f"recommended by {rng.randrange(80, 100)} percent of buyers",
            f"named best in test in {rng.randrange(2019, 2027)}",
            f"backed by {count} glowing reviews",
            f"tested by {rng.randrange(20, 900)} volunteers",
            f"bought again by {rng.randrange(50, 96)} percent of customers",
        )
    )


def _offer(rng: random.Random) -> str:
    percent = rng.choice((10, 15, 20, 25, 30, 35, 40, 50, 60, 70))
    years = f"{rng.randrange(2, 13)}-year"
    return rng.choice(
        (
            f"a {percent} percent discount",
            f"a discount of {percent} percent",
            f"{percent} percent off",
            f"{rng.choice((5, 10, 15, 20, 25, 30, 50))} dollars off",
            "free shipping",
            "free returns",
            "a free gift",
            "free gift wrapping",
            f"{rng.randrange(20, 121)} days to return it free of charge",
            f"{indefinite_article(years)} {years} warranty",
        )
    )
