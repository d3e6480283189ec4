"""How far to search for the text of a mixture; see `embeddings.search`."""

from __future__ import annotations

from dataclasses import dataclass

from copyloom import InputError


@dataclass(frozen=True)
class Effort:
    """How far to search for one text.

    Parameters
    ----------
    drafts : int
        Decodes around the mixture to begin with, at least one.
    rounds : int
        Of changing the best texts; none keeps the best draft.
    width : int
        Texts changed in a round; in the first, the parents and the best draft.
    rewritings, splices : int
        Of each, at most; splices with each other parent.
    """

    drafts: int = 9
    rounds: int = 3
    width: int = 2
    rewritings: int = 8
    splices: int = 128

    def __post_init__(self) -> None:
        """Raise where a number makes no sense."""
        if self.drafts < 1 or self.rounds < 0 or self.width < 1 or self.rewritings < 1 or self.splices < 1:
            raise InputError(f"{self} cannot be; rounds may be 0, the others are at least 1")
