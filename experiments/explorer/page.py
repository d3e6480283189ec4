"""The page of a point: one HTML file that opens without a network, for readers who know no linear algebra."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.explorer.pictures import pictures_of, words_of_tokens
from experiments.reports.report import environment, write_page

PAGE = "point.html"
_SURE, _UNSURE = 0.9, 0.5
_LAYERS = 7
_TURNED = 0.02
"""Difference along a style's direction from which on it is named."""
_CLEAR = 0.5
"""Nats from which it is said that a vector brings a word."""


def write(found: Mapping[str, Any], path: Path) -> None:
    """Write the page of what `experiments.explorer.exploring.explore` returned."""
    page = environment().get_template("point.html.j2").render(
        {**found, "shades": [_shade(token["probability"]) for token in found["tokens"]]},
        pictures=pictures_of(found), verdict=verdict(found), layers=_some_layers(found), share=share,
        turn=turn, bringers=bringers(found) if found["owed"] else [],
    )  # fmt: skip
    write_page(page, path)


def verdict(found: Mapping[str, Any]) -> str:
    """Return in a sentence what the point says and how firmly."""
    said = f"It says “{found['decoded']}”" if found["decoded"].strip() else "It says nothing"
    if not found["finished"]:
        said += ", and does not come to an end"
    if (radius := found["basin_middle"]) is None:
        return f"{said}: along half of all random directions nothing else is said within ten times its length."
    if radius <= 0:
        return f"{said}, by a hair: along half of all random directions the least move changes it."
    firm = "firmly" if radius >= 0.3 else "rather firmly" if radius >= 0.1 else "loosely"
    return f"{said}, {firm}: half of all random directions change it within {share(radius)} of its length."


def share(value: float) -> str:
    """Return a distance as a percentage of two digits that count.

    Examples
    --------
    >>> share(0.41234), share(0.0112), share(0.00591), share(2.5e-7)
    ('41 %', '1.1 %', '0.59 %', 'less than 0.001 %')
    """
    return "less than 0.001 %" if value < 1e-5 else f"{100 * value:.{max(0, -1 - math.floor(math.log10(value)))}f} %"


def turn(styles: Mapping[str, float]) -> str:
    """Return towards which style, or away from it, it went farthest.

    Examples
    --------
    >>> turn({"urgent": 0.051, "luxury": -0.12}), turn({"urgent": 0.001}), turn({})
    ('from luxury (-0.12)', '–', '–')
    """
    name = max(styles, key=lambda one: abs(styles[one]), default="")
    if not name or abs(styles[name]) < _TURNED:
        return "–"
    return f"{'to' if styles[name] > 0 else 'from'} {name} ({styles[name]:+.2f})"


def bringers(found: Mapping[str, Any]) -> list[tuple[int, list[str]]]:
    """Return for each vector the tokens to which it brings most of all, and half a nat or more."""
    words: dict[int, list[str]] = {}
    for word, row in zip(words_of_tokens(found["tokens"]), found["owed"]["vectors"], strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        if row[best] >= _CLEAR:
            words.setdefault(best, []).append(word)
    return sorted(words.items())


def _some_layers(found: Mapping[str, Any]) -> list[int]:
    """Return the numbers of a few layers, the first and the last among them."""
    last = len(found["lens"]["layers"]) - 1 if found["lens"] else -1
    count = min(_LAYERS, last + 1)
    return [round(number * last / (count - 1)) for number in range(count)] if count > 1 else []


def _shade(probability: float) -> str:
    return "sure" if probability >= _SURE else "unsure" if probability < _UNSURE else "fair"
