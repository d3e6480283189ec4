"""What raters are asked: marks for a text or for two beside each other, and a choice between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from copyloom import InputError

Of = Literal["text", "pair"]
A, B, TIE = "A", "B", "tie"
"""The texts of a pair as they stand on a sheet, A first, and neither of them."""
SCALES = (5, 7)


@dataclass(frozen=True)
class Question:
    """A question, and how it is answered.

    Parameters
    ----------
    name : str
        The column of its answers.
    words : str
        As raters read it.
    of : str
        What it is about: text, or pair (two texts beside each other).
    ends : tuple of str
        What the lowest and the highest mark mean; empty where one of two texts is chosen.
    highest : int
        Marks are whole numbers from 1 to this.
    needs_about : bool
        Whether it can only be answered beside what the text was to say.
    """

    name: str
    words: str
    of: Of = "text"
    ends: tuple[str, ...] = ("not at all", "very much")
    highest: int = 7
    needs_about: bool = False

    @property
    def choice(self) -> bool:
        """Whether one of two texts is chosen, or neither."""
        return not self.ends

    @property
    def options(self) -> list[tuple[str, str]]:
        """Answers, and how they are called on a page."""
        if self.choice:
            return [(A, "Text A"), (TIE, "no preference"), (B, "Text B")]
        return [(str(mark), str(mark)) for mark in range(1, self.highest + 1)]

    @property
    def rule(self) -> str:
        """What may be written into a cell, in words."""
        if self.choice:
            return f"{A}, {B} or {TIE}"
        return f"a whole number from 1 ({self.ends[0]}) to {self.highest} ({self.ends[1]})"


PAPERS = {
    one.name: one
    for one in (
        Question("consistency", "Does the text say what it was to say?", ends=("something else", "just that"),
                 needs_about=True),
        Question("quality", "How good is the text?", ends=("poor", "excellent")),
        Question("similarity", "How much alike is what the two texts say?", "pair", ("nothing alike", "the same")),
        Question("preference", "Which of the two texts do you prefer?", "pair", ()),
    )
}  # fmt: skip
"""What Tenneholtz et al. (Demystifying Embedding Spaces using Large Language Models, ICLR 2024) asked, in our words."""


def asked_of(names: Sequence[str], highest: int = 5) -> tuple[Question, ...]:
    """Return the questions of `PAPERS` that are asked for, each once.

    Parameters
    ----------
    names : sequence of str
    highest : int
        Of all marks: 5 or 7.

    Raises
    ------
    InputError
        If there is none, or one of another name or scale.
    """
    if not names:
        raise InputError(f"no question was given; --ask one or more of {', '.join(PAPERS)}")
    if unknown := [name for name in names if name not in PAPERS]:
        raise InputError(f"{unknown[0]!r} is no question for raters; ask {', '.join(PAPERS)}")
    if highest not in SCALES:
        raise InputError(f"a scale from 1 to {highest} is not offered; give {' or '.join(map(str, SCALES))}")
    return tuple(replace(PAPERS[name], highest=highest) for name in PAPERS if name in names)
