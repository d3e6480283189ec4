"""Checks of single numbers among settings; those of arrays stand in `bandits.inputs`."""

import math
from typing import Any

import numpy as np

from copyloom import InputError

ROUNDING = 0.001 + 1e-9
"""How far from 1 a sum of probabilities or weights may be that somebody rounded; they are then made to sum to 1."""


def check_number(name: str, value: Any, *, least: float, most: float = math.inf, above: bool = False) -> None:
    """Raise unless the value is a finite number in [least, most], or in (least, most] when `above`."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    number = number and math.isfinite(value)
    if number and least <= value <= most and not (above and value == least):
        return
    allowed = f"above {least:g}" if above else f"at least {least:g}"
    allowed += "" if most == math.inf else f" and at most {most:g}"
    raise InputError(f"{name} is {value!r}; pass a finite number {allowed}")


def check_count(name: str, value: Any, *, least: int = 1) -> None:
    """Raise unless the value is a whole number of at least `least`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value!r}; pass a whole number of at least {least}")
