"""How far to search for the text of a mixture (`embeddings.search`), or how much to write (`embeddings.composing`)."""

from __future__ import annotations

from dataclasses import dataclass

from copyloom import InputError

_MOST_JITTER = 3.0
"""Beyond it nothing is left of a mixture."""


@dataclass(frozen=True)
class Effort:
    """How far to search for one text; and for a pretrained writer, how much it writes and how much of it at a time.

    Parameters
    ----------
    drafts : int
        Of the search: decodes around the mixture to begin with, at least one.
    rounds : int
        Of the search: changes of the best texts; 0 is fastest, and keeps the best draft.
    width : int
        Texts changed in a round; in the first, the parents and the best draft.
    rewritings, splices : int
        Of each, at most; splices with each other parent.
    each : int
        Texts that a pretrained writer writes each time that it is asked, for the best of them; at least two.
    together : int
        Mixtures that it writes at a time, in one shape. What it writes depends on the shape in the last digits, and so
        here and there in a word; it never depends on which mixtures are written together.
    turns : int
        Of a pretrained writer: times that it writes all this for a mixture, at most, until a text is good.
    printed : float
        Of a pretrained writer: how likely it must be that readers print a text and that it belongs, or there is none.
        A writer without an editor does not know.
    kept : int
        Texts of a mixture that it hands over, at most: the best, and others that may be shown. Where these are about a
        subject, sentences with other facts of its record are among them.
    jitter : float
        About a subject, where no pretrained writer composes: how far a mixture of several texts is moved before it is
        put into words, in lengths of its wanted point, by noise of a seed that its texts and weights give. Mixtures lie
        closer together than what they are mixed from, and so do their texts; noise brings the variety back.
    """

    drafts: int = 9
    rounds: int = 3
    width: int = 2
    rewritings: int = 8
    splices: int = 128
    each: int = 8
    together: int = 1
    turns: int = 2
    printed: float = 0.8
    kept: int = 1
    jitter: float = 0.0

    def __post_init__(self) -> None:
        """Raise where a number makes no sense."""
        if self.drafts < 1 or self.rounds < 0 or self.width < 1 or self.rewritings < 1 or self.splices < 1:
            raise InputError(f"{self} cannot be; rounds may be 0, the others are at least 1")
        if self.each < 2 or min(self.together, self.turns, self.kept) < 1:
            raise InputError(f"{self} cannot be; each is at least 2; together, turns and kept are at least 1")
        if not 0 <= self.printed <= 1:
            raise InputError(f"{self} cannot be; printed is a probability")
        if not 0 <= self.jitter <= _MOST_JITTER:
            raise InputError(f"{self} cannot be; jitter is between 0 and {_MOST_JITTER:g}")
