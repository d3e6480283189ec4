"""Which mixtures are allowed."""

from dataclasses import dataclass

from bandits.numbers import check_count, check_number
from copyloom import InputError


@dataclass(frozen=True)
class MixtureRegion:
    """Which mixtures are allowed.

    Parameters
    ----------
    most_parents : int
        How many texts a mixture may have.
    negative : float
        How far below 0 a weight may fall; at most 0.5.
    nearest : float
        Trust region: the least cosine of a mixture's point to its nearest parent, that of its texts (of non-zero
        weight) which is most like it. 0 is no bound.
    apart : float
        The most that this cosine, and that to any blocked point, may be, so that decoding has something new to say.
        1 is no bound; below, a single text is no mixture.

    Raises
    ------
    InputError
        If a value is out of range, or nearest is not below apart.
    """

    most_parents: int = 3
    negative: float = 0.0
    nearest: float = 0.0
    apart: float = 1.0

    def __post_init__(self) -> None:
        check_count("most_parents", self.most_parents)
        check_number("negative", self.negative, least=0, most=0.5)
        check_number("nearest", self.nearest, least=0, most=1)
        check_number("apart", self.apart, least=0, most=1, above=True)
        if self.nearest >= self.apart:
            raise InputError(f"nearest is {self.nearest:g} but apart is {self.apart:g}; pass nearest below apart")
