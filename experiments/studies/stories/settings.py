"""Settings of the study of stories."""

from __future__ import annotations

from dataclasses import dataclass

from copyloom import InputError
from generator.models import WRITER

LEAST = 4
"""Headlines that people wrote for a story, at least: two can be told, and two held back."""
SURE = 0.8
"""How likely a text must be printed to be shown for one mixture (`embeddings.effort.Effort`), beside a study's 0.4."""


@dataclass(frozen=True)
class StoryStudy:
    """Settings of the study.

    Parameters
    ----------
    tests : int
        Stories, drawn at random among the sound tests with four headlines or more; all of them if there are fewer. The
        first of a longer study are those of a shorter one.
    mixtures : int
        Of each story: pairs of its headlines that are mixed, each for one written headline at most.
    folds : int
        Parts of the archive: what words promise in one is learned from the others.
    draws : int
        Of the click rates that counts and words leave possible.
    seed : int
        Of which stories and mixtures are drawn.
    model : str
        What writes: smollm2, copyloom-tiny, a folder, or a hub id.
    keep_faulty : bool
        Whether tests with faulty assignment stay.
    """

    tests: int = 200
    mixtures: int = 5
    folds: int = 5
    draws: int = 400
    seed: int = 0
    model: str = WRITER
    keep_faulty: bool = False

    def __post_init__(self) -> None:
        """Raise where a number makes no sense."""
        if min(self.tests, self.mixtures) < 1 or self.folds < 2 or self.draws < 50 or self.seed < 0:
            raise InputError(
                f"{self.tests} tests, {self.mixtures} mixtures, {self.folds} folds, {self.draws} draws and seed "
                f"{self.seed} were given; give tests and mixtures from 1, folds from 2, draws from 50 and a seed from 0"
            )
