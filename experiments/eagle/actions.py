"""What may be done to a text: asked of an instruct model in words, or done by the shipped writer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from copyloom import InputError

Kind = Literal["generic", "personal", "macro"]
Domain = Literal["products", "films"]
SetName = Literal["default", "without personal", "macro", "combined"]
TOGETHER, MACROS = 3, 12
"""Actions of a macro; macros of a set."""

_TEXT, _WISH = "{text}", "{wish}"
_FRAMES: dict[Domain, str] = {
    "products": (
        "Here is a line of advertising:\n\n{text}\n\nChange it as follows. {wish} Keep the product, and add no names, "
        "numbers or offers. Answer with the new line alone."
    ),
    "films": "{text}\n\nRewrite this description of a film. {wish} Answer with the new description alone.",
}
_GENERIC: dict[Domain, dict[str, str]] = {
    "products": {
        "warmer": "Make it warmer.",
        "more factual": "Make it more factual.",
        "shorter": "Make it shorter.",
        "name a benefit": "Say what good it does whoever buys it.",
        "speak to the reader": "Speak to the reader.",
        "more vivid": "Say it so that one sees it.",
        "plainer": "Say it in plainer words.",
        "more playful": "Make it more playful.",
        "more elegant": "Make it more elegant.",
        "bolder": "Make it bolder.",
        "as a question": "Make it a question.",
        "an occasion": "Say when one would use it.",
    },
    "films": {
        "another place": "Set it somewhere else.",
        "another time": "Set it in another time.",
        "a twist": "Give the plot a turn that nobody expects.",
        "darker": "Make it darker.",
        "lighter": "Make it lighter.",
        "funnier": "Make it funnier.",
        "more romance": "Give love a larger part.",
        "more suspense": "Make it more suspenseful.",
        "a deeper hero": "Give the main character an inner conflict.",
        "a rival": "Give the main character a rival.",
        "for families": "Make it a film for the whole family.",
        "closer to life": "Make it more realistic.",
    },
}


@dataclass(frozen=True)
class Steer:
    """Moves a text along a direction of sentence vectors (`embeddings.steering.towards`).

    Parameters
    ----------
    direction : str
        Its name.
    strength : float
        Share of the trust region, from -1 (away) to 1.
    """

    direction: str
    strength: float

    def __post_init__(self) -> None:
        """Raise where no text can be moved so."""
        if not -1 <= self.strength <= 1 or self.strength == 0:
            raise InputError(f"strength is {self.strength:g}; it must lie between -1 and 1, and not be 0")


@dataclass(frozen=True)
class Mix:
    """Mixes a text with another one (`embeddings.writing.MixtureWriter.write_nearest`).

    Parameters
    ----------
    other : str
    weight : float
        Of the other, above 0 and below 1.
    """

    other: str
    weight: float

    def __post_init__(self) -> None:
        """Raise where nothing is mixed."""
        if not 0 < self.weight < 1:
            raise InputError(f"weight is {self.weight:g}; it must lie above 0 and below 1")


@dataclass(frozen=True)
class Rewrite:
    """Says the same otherwise: the best text, never the old one, at the point where the text already lies."""


Operation = Steer | Mix | Rewrite


@dataclass(frozen=True)
class Action:
    """Something that may be done to a text: in words, or by operations of the shipped writer.

    Parameters
    ----------
    name : str
    kind : str
        ``"generic"``, ``"personal"`` (made of a tag, or of another text) or ``"macro"`` (several at once).
    wishes : tuple of str
        What an instruct model is asked for, a sentence or two each.
    frame : str
        The question, with the places ``{text}``, once at most, and ``{wish}``, once.
    operations : tuple of Operation
        In their order; instead of wishes.
    """

    name: str
    kind: Kind
    wishes: tuple[str, ...] = ()
    frame: str = ""
    operations: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        """Raise where it cannot be asked for."""
        if bool(self.wishes) == bool(self.operations):
            raise InputError(f"action {self.name!r} needs either wishes in words or operations of the writer")
        if self.wishes and (self.frame.count(_WISH) != 1 or self.frame.count(_TEXT) > 1):
            raise InputError(f"the frame of action {self.name!r} needs {_WISH} once, and {_TEXT} at most once")
        if any(place in wish for wish in self.wishes for place in (_TEXT, _WISH)):
            raise InputError(f"a wish of action {self.name!r} holds {_TEXT} or {_WISH}; they stand in the frame")

    @property
    def key(self) -> str:
        """What tells what is done from anything else that may be: names do not matter."""
        if self.wishes:
            return self.question(_TEXT)
        return repr([(type(one).__name__, asdict(one)) for one in self.operations])

    def question(self, text: str) -> str:
        """Return what an instruct model is asked to do to a text.

        Raises
        ------
        InputError
            If it is not an action in words.
        """
        if not self.wishes:
            raise InputError(f"action {self.name!r} is the shipped writer's own; an instruct model needs words")
        wish = self.wishes[0] if len(self.wishes) == 1 else f"All of this: {' '.join(self.wishes)}"
        return self.frame.replace(_WISH, wish).replace(_TEXT, text)


STOP = Action("stop", "generic", ("Leave it as it is.",), "{wish}")
"""Ends a trajectory: the text is final. No environment is called for it."""


def generic(domain: Domain) -> list[Action]:
    """Return the actions in words that suit any text of a domain.

    Raises
    ------
    InputError
        If the domain is another than ``"products"`` and ``"films"``.
    """
    if domain not in _FRAMES:
        raise InputError(f"there are no actions for {domain!r}; choose from {', '.join(_FRAMES)}")
    return [Action(name, "generic", (wish,), _FRAMES[domain]) for name, wish in _GENERIC[domain].items()]


def personal(domain: Domain, tags: Sequence[str]) -> list[Action]:
    """Return the actions in words that make a text more about each tag: of a user, say.

    Raises
    ------
    InputError
        If a tag is empty, or the domain unknown.
    """
    if not all(tag.strip() for tag in tags):
        raise InputError("a tag is empty; give words that a text can be about")
    frame = generic(domain)[0].frame
    return [Action(f"more about {tag}", "personal", (f"Make it more about {tag}.",), frame)
            for tag in dict.fromkeys(tags)]  # fmt: skip


def edits(directions: Sequence[str], strength: float = 0.75) -> list[Action]:
    """Return what the shipped writer can do to any text: steer it both ways along directions, and rewrite it."""
    steered = [
        Action(f"{'more' if sign > 0 else 'less'} {name}", "generic", operations=(Steer(name, sign * strength),))
        for name in directions
        for sign in (1, -1)
    ]
    return [*steered, Action("rewrite", "generic", operations=(Rewrite(),))]


def mixed_in(others: Sequence[str], weight: float = 0.5) -> list[Action]:
    """Return what brings each of some other texts in: personal actions of the shipped writer."""
    return [Action(f"mix in {other!r}", "personal", operations=(Mix(other, weight),))
            for other in dict.fromkeys(others)]  # fmt: skip


def macros(actions: Sequence[Action], count: int = MACROS, seed: int = 0) -> list[Action]:
    """Return actions that are three of the given ones at once, drawn with a seed; none twice.

    Raises
    ------
    InputError
        If there are fewer than three to draw from, or they are not all in the same words.
    """
    if len(actions) < TOGETHER or len({(one.frame, bool(one.wishes)) for one in actions}) > 1:
        raise InputError(
            f"macros are made of {TOGETHER} actions of one kind; {len(actions)} were given, with "
            f"{len({one.frame for one in actions})} different frames; give more, in one frame"
        )
    rng, found = random.Random(f"{seed} macros"), dict[frozenset[str], Action]()
    for _ in range(20 * count):
        parts = rng.sample(list(actions), TOGETHER)
        found.setdefault(frozenset(part.name for part in parts), _together(parts))
        if len(found) == count:
            break
    return list(found.values())


def _together(parts: Sequence[Action]) -> Action:
    wishes = tuple(wish for part in parts for wish in part.wishes)
    operations = tuple(operation for part in parts for operation in part.operations)
    return Action(" + ".join(part.name for part in parts), "macro", wishes, parts[0].frame, operations)


def action_set(name: SetName, generic: Sequence[Action], personal: Sequence[Action], seed: int = 0) -> list[Action]:
    """Return one of the paper's four sets: generic and personal actions, generic ones, macros of both, or all of them.

    Parameters
    ----------
    name : str
    generic, personal : sequence of Action
    seed : int
        Of the macros.

    Raises
    ------
    InputError
        If there is no such set.
    """
    if name not in get_args(SetName):
        raise InputError(f"there is no set of actions {name!r}; choose from {', '.join(get_args(SetName))}")
    both = [*generic, *personal]
    if name == "without personal":
        return list(generic)
    if name == "default":
        return both
    drawn = macros(both, seed=seed)
    return drawn if name == "macro" else [*both, *drawn]
