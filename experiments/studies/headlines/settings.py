"""Settings of the study of headlines."""

from __future__ import annotations

from dataclasses import dataclass

from copyloom import InputError

TAUS = (50, 200, 1000)
TRUTHS = {
    "corrected": "rates drawn, a seed each, from what the archive's counts leave possible",
    "raw": "the archive's clicks an impression, noise included",
}
ENTRANTS = (
    "uniform", "explore then commit", "thompson", "ucb", "words alone", "lola",
    "ours to name the best", "ours without words", "ours",
)  # fmt: skip
"""Rules for choosing a headline; `experiments.studies.headlines.rules` has them."""
CEILING = "ceiling"
"""Told of every headline at every impression, with our belief (words included): what no rule with that belief can
reach on average."""
ORACLE = "oracle"
"""Knows the rates from the start."""


@dataclass(frozen=True)
class HeadlineStudy:
    """Settings of the study.

    Parameters
    ----------
    taus : tuple of int
        Impressions a headline, each of them a study of its own.
    seeds : int
        Of shoppers, at least 2.
    folds : int
        Parts of the archive: what words promise in one, and how rates vary, is learned from the others.
    truths : tuple of str
        Of `TRUTHS`.
    entrants : tuple of str
        Of `ENTRANTS`; uniform, ours, the ceiling and the oracle always enter.
    keep_faulty : bool
        Whether tests with faulty assignment stay.
    best_rule : int
        Tests of two headlines for which it is found how far the best of all rules with our belief could come; they take
        some seconds each.
    """

    taus: tuple[int, ...] = TAUS
    seeds: int = 20
    folds: int = 5
    truths: tuple[str, ...] = tuple(TRUTHS)
    entrants: tuple[str, ...] = ENTRANTS
    keep_faulty: bool = False
    best_rule: int = 0

    def __post_init__(self) -> None:
        if not self.taus or min(self.taus) < 1 or self.seeds < 2 or self.folds < 2 or self.best_rule < 0:
            raise InputError(f"taus {list(self.taus)}, {self.seeds} seeds, {self.folds} folds and best_rule "
                             f"{self.best_rule} were given; give taus from 1, two seeds and folds or more, and "
                             "best_rule from 0")  # fmt: skip
        for given, known in ((self.truths, TRUTHS), (self.entrants, ENTRANTS)):
            if wrong := [name for name in given if name not in known]:
                raise InputError(f"there is no {wrong[0]!r}; there are {', '.join(known)}")

    @property
    def names(self) -> list[str]:
        """The entrants, with those that always enter."""
        return [*(name for name in ENTRANTS if name in {*self.entrants, "uniform", "ours"}), CEILING, ORACLE]
