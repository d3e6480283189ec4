"""Settings of the study of spaces."""

from __future__ import annotations

from dataclasses import dataclass

from copyloom import InputError

FEWEST = 30
"""Texts, at least: halves are compared, and intervals are over products."""


@dataclass(frozen=True)
class SpaceStudy:
    """Settings of the study.

    Parameters
    ----------
    models : tuple of str
        copyloom-tiny, smollm2, folders or hub ids.
    count : int
        Texts.
    mixtures : int
        Pairs of texts that are mixed; as many texts are decoded straight from their vectors.
    tastes : int
        Simulated rewards of each kind, linear and pairwise.
    seed : int
        Of texts, mixtures and tastes.
    refine_mean : bool
        Whether texts are also refined from the token mean, but by models that compose: it takes them minutes.
    runs : bool
        Whether adapters are trained for copyloom-tiny's language model and compared as well.
    device : str
    trust_remote_code : bool
    """

    models: tuple[str, ...]
    count: int = 150
    mixtures: int = 60
    tastes: int = 60
    seed: int = 0
    refine_mean: bool = True
    runs: bool = True
    device: str = "auto"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Raise where a setting makes no sense."""
        if not self.models or len(set(self.models)) < len(self.models):
            raise InputError(f"models {', '.join(self.models) or 'none'} were given; give one or more, each once")
        if self.count < FEWEST or self.mixtures < 8 or self.tastes < 8 or self.seed < 0:
            raise InputError(
                f"{self.count} texts, {self.mixtures} mixtures, {self.tastes} tastes and seed {self.seed} were given; "
                f"give texts from {FEWEST}, mixtures and tastes from 8, and a seed from 0"
            )
