"""Nested values by dotted names: settings as parameters, results as columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested values by dotted names.

    Examples
    --------
    >>> dict(flat({"seeds": 2, "policy": {"name": "ucb"}, "beside": [{"name": "uniform"}]}))
    {'seeds': 2, 'policy.name': 'ucb', 'beside.0.name': 'uniform'}
    """
    for name, value in values.items():
        if isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
            value = {str(place): one for place, one in enumerate(value)}
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def numbers_in(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among what was found by dotted names; lists and tables are left out.

    Examples
    --------
    >>> numbers_in({"tests": 3, "words": {"right": 0.6, "rows": [1, 2]}, "exact": True})
    {'tests': 3.0, 'words.right': 0.6}
    """
    return {name: float(value) for name, value in flat(_without_lists(found))
            if isinstance(value, int | float) and not isinstance(value, bool)}  # fmt: skip


def tables_in(found: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the lists of mappings among what was found, nested ones by dotted names, as rows of plain columns.

    Examples
    --------
    >>> tables_in({"tests": 3, "rows": [{"name": "a", "share": {"low": 1, "high": 2}}]})
    {'rows': [{'name': 'a', 'share.low': 1, 'share.high': 2}]}
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    for name, value in found.items():
        if isinstance(value, Mapping):
            tables |= {f"{name}.{inner}": rows for inner, rows in tables_in(value).items()}
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            tables[name] = [dict(flat(row)) for row in value]
    return tables


def _without_lists(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _without_lists(value) if isinstance(value, Mapping) else value
            for name, value in found.items() if not isinstance(value, list | tuple)}  # fmt: skip


def finite(value: Any) -> Any:
    """Return what JSON can hold: None in place of numbers that are not finite, lists in place of tuples.

    Examples
    --------
    >>> finite({"radii": (0.5, float("inf"))})
    {'radii': [0.5, None]}
    """
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None
