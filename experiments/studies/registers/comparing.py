"""Models beside each other: each on each register, and a register's own beside the mixed one and the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.bootstrap import bounds, drawn_counts
from experiments.studies.registers.settings import MIXED

Array = NDArray[np.float64]
OTHERS = "others"


def matrix(measure: str, values: Mapping[str, Array], models: Sequence[str]) -> list[dict[str, Any]]:
    """Return the mean of a measure for each model and register, with its interval.

    Parameters
    ----------
    measure : str
    values : mapping of str to array of shape (models, trainings, N)
        By register; NaN where a text has none, for all models alike.
    models : sequence of str

    Returns
    -------
    list of dict
        ``value`` with ``low`` and ``high``, 95 % over texts, and ``least`` and ``most``, over trainings.
    """
    found = []
    for register, every in values.items():
        for name, one in zip(models, every, strict=True):
            own = _known(one)
            if not own.size:
                continue
            low, high = bounds(_samples(own.mean(0), 0))
            means = own.mean(1)
            found.append({
                "measure": measure, "model": name, "register": register, "value": float(own.mean()), "low": low,
                "high": high, "least": float(means.min()), "most": float(means.max()),
            })  # fmt: skip
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
        One of each register and one of all, ``register`` None: the mean over registers. ``above`` with ``low`` and
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
            low, high = bounds(drawn)
            found.append({"measure": measure, "beside": beside, "register": register, "above": float(means.mean()),
                          "low": low, "high": high, "trainings": means.tolist()})  # fmt: skip
    return found


def _difference(every: Array, register: str, beside: str, models: Sequence[str]) -> Array:
    """Return a register's own model less another, or less the mean of the others: (trainings, N) of known texts."""
    own = every[models.index(register)]
    rows = [number for number, name in enumerate(models)
            if (name == MIXED if beside == MIXED else name not in (MIXED, register))]  # fmt: skip
    return _known(own - every[rows].mean(0))


def _known(values: Array) -> Array:
    return values[:, ~np.isnan(values).any(0)]


def _samples(values: Array, seed: int) -> Array:
    """Return bootstrap samples of the mean of values (N,); registers are drawn apart."""
    counts = drawn_counts(np.arange(len(values)), seed)
    found: Array = counts @ values / len(values)
    return found
