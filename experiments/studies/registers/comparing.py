"""Models beside each other: each on each register, and a register's own beside the mixed one and the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.bootstrap import bounds, drawn_counts
from experiments.studies.registers.scores import MEASURES
from experiments.studies.registers.settings import MIXED
from experiments.studies.space.wanted import Share

Array = NDArray[np.float64]
OTHERS = "others"


def matrix(measure: str, values: Mapping[str, Array], models: Sequence[str]) -> list[dict[str, Any]]:
    """Return the mean of a measure for each model and register, with its interval.

    Parameters
    ----------
    measure : str
        Of `experiments.studies.registers.scores.MEASURES`.
    values : mapping of str to array of shape (models, trainings, N)
        By register; NaN where a text has none, for all models alike.
    models : sequence of str

    Returns
    -------
    list of dict
        ``value`` with ``low`` and ``high``, 95 % over texts (a bootstrap; Wilson's of shares in one training), and
        ``trainings``, the value of each.
    """
    found = []
    for register, every in values.items():
        for name, one in zip(models, every, strict=True):
            own = _known(one)
            if own.size:
                found.append({"measure": measure, "model": name, "register": register,
                              **asdict(Share.of(own.mean(0).tolist())), "trainings": own.mean(1).tolist()})  # fmt: skip
    return found


def compared(measure: str, values: Mapping[str, Array], models: Sequence[str]) -> list[dict[str, Any]]:
    """Return how much a register's own model is above the mixed one, and above the mean of the other registers'.

    Parameters
    ----------
    measure, values, models
        As in `matrix`.

    Returns
    -------
    list of dict
        One of each register and one of all, ``register`` None: the mean over ``registers``. ``above`` with ``low`` and
        ``high``, 95 % over texts, the same texts for both; and ``trainings``, the difference in each.
    """
    found = []
    for beside in (MIXED, OTHERS):
        parts = {register: _difference(every, register, beside, models) for register, every in values.items()}
        parts = {register: part for register, part in parts.items() if part.size}
        if not parts:
            continue
        samples = {register: _samples(part.mean(0), number) for number, (register, part) in enumerate(parts.items())}
        rows: list[tuple[str | None, Array, Array]] = [
            (register, part.mean(1), samples[register]) for register, part in parts.items()
        ]
        rows.append((None, np.mean([part.mean(1) for part in parts.values()], 0), np.mean(list(samples.values()), 0)))
        for register, means, drawn in rows:
            texts = sum(part.shape[1] for name, part in parts.items() if register in (None, name))
            spare = _spare(texts) if MEASURES[measure].share and np.ptp(drawn) == 0 else 0.0
            low, high = bounds(drawn)
            found.append({"measure": measure, "beside": beside, "register": register, "registers": len(parts),
                          "above": float(means.mean()), "low": low - spare, "high": high + spare,
                          "trainings": means.tolist()})  # fmt: skip
    return found


def _difference(every: Array, register: str, beside: str, models: Sequence[str]) -> Array:
    """Return a register's own model less another, or less the mean of the others: (trainings, N) of known texts."""
    own = every[models.index(register)]
    rows = [number for number, name in enumerate(models)
            if (name == MIXED if beside == MIXED else name not in (MIXED, register))]  # fmt: skip
    return _known(own - every[rows].mean(0))


def _known(values: Array) -> Array:
    return values[:, ~np.isnan(values).any(0)]


def _spare(texts: int) -> float:
    """Return what share of so many texts may differ where none did: a bootstrap cannot know."""
    return Share.of([0.0] * texts).high


def _samples(values: Array, seed: int) -> Array:
    """Return bootstrap samples of the mean of values (N,); registers are drawn apart."""
    found: Array = drawn_counts(np.arange(len(values)), seed) @ values / len(values)
    return found
