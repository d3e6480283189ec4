"""Products: those of the retail demo store and of a catalogue of women's fashion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from torch import Tensor

from copyloom import InputError
from experiments.domains.domain import Domain, Entity, make_domain, thinned
from generator.settings import read_yaml

RETAIL, FASHION = "products-retail-demo-store/products.yaml", "products-womens-fashion/products.parquet"
_WANTED, _NEEDED = ("handle", "title", "product_type", "tags", "description"), ("handle", "title")
_WANTED_RETAIL, _NEEDED_RETAIL = ("id", "name", "style", "category", "description"), ("id", "name", "style", "category")
"""Columns of the catalogue and of the store, and those that no product may lack."""
_HEADINGS = ("Why you'll reach for it", "Fabric & care", "Fit & sizing", "Wear it with", "Details")
"""Of the catalogue's descriptions: they stand between sentences without a full stop."""
_SPLIT = re.compile("|".join(map(re.escape, _HEADINGS)))
_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_TAG = re.compile(r"[a-z]{3,}(?:[ -][a-z]+)*")
_NO_TAGS = re.compile(r"\b(?:ships?|usa|issues|sales?|sizes?|new|vendor|livo|collections?)\b")
_LONGEST, _FEATURES = 260, 6


def load_products(data: Path, encode: Callable[[Sequence[str]], Tensor], most: int = 100_000) -> Domain:
    """Return the products of a folder that holds `RETAIL` and `FASHION`.

    Parameters
    ----------
    data : Path
    encode : callable
        From texts to sentence vectors (B, S).
    most : int
        Products that are taken at most, evenly from all.

    Raises
    ------
    InputError
        If a file is not there, lacks a column or holds something else than texts.
    """
    if lacking := [name for name in (RETAIL, FASHION) if not (data / name).is_file()]:
        raise InputError(f"there is no {data / lacking[0]}; give the folder that holds {RETAIL} and {FASHION}")
    table = pq.read_table(data / FASHION)
    if missing := [name for name in _WANTED if name not in table.column_names]:
        raise InputError(f"{data / FASHION} lacks the columns {', '.join(missing)}")
    rows = read_yaml(data / RETAIL)
    if not isinstance(rows, list):
        raise InputError(f"{data / RETAIL} must hold a list of products")
    found = [_retail(row) for row in _described(rows, _WANTED_RETAIL, _NEEDED_RETAIL, data / RETAIL)]
    fashion = table.select(list(_WANTED)).to_pylist()
    found += [_fashion(row) for row in _described(fashion, _WANTED, _NEEDED, data / FASHION)]
    entities = {one.text: one for one in found if one.facts.get("about")}
    return make_domain("products", thinned(list(entities.values()), most), encode)


def _described(
    rows: Sequence[Any], wanted: Sequence[str], needed: Sequence[str], path: Path
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows that have a description.

    Raises
    ------
    InputError
        If one is no mapping, or holds no text where one is needed, or something else than a text.
    """
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InputError(f"{path}, product {number} is {row!r}; give a mapping with {', '.join(wanted)}")
        for name in wanted:
            if not isinstance(row.get(name), str) and (name in needed or row.get(name) is not None):
                raise InputError(f"{path}, product {number}: {name} is {row.get(name)!r}; give a text")
        if (row.get("description") or "").strip():
            yield row


def _retail(row: Mapping[str, Any]) -> Entity:
    style, category = (row[name].replace("_", " ") for name in ("style", "category"))
    return _product(row["id"], row["name"], style, row["description"], (category,))


def _fashion(row: Mapping[str, Any]) -> Entity:
    tags = [one.strip().lower() for one in (row["tags"] or "").split("|")]
    kept = [one for one in dict.fromkeys(tags) if len(one) < 24 and _TAG.fullmatch(one) and not _NO_TAGS.search(one)]
    said, category = _SPLIT.split(row["description"])[0], (row["product_type"] or "clothing").lower()
    return _product(row["handle"], row["title"], category, said, tuple(kept[:_FEATURES]))


def _product(key: str, name: str, category: str, description: str, tags: tuple[str, ...]) -> Entity:
    """Return a product; those of one description are held out together, as shops describe several in the same words."""
    sentences, about, length = _SENTENCES.split(" ".join(description.split())), list[str](), 0
    for one in sentences:
        if about and length + len(one) > _LONGEST:
            break
        about.append(one)
        length += len(one)
    facts = {"category": (category,), "tags": tags, "about": tuple(one for one in about if one), "title": (name,)}
    said = " ".join([f"{category.capitalize()}.", *facts["about"], *[f"Tags: {', '.join(tags)}."] * bool(tags)])
    given = {kind: values for kind, values in facts.items() if values}
    return Entity(key, name, said, given, " ".join(facts["about"]).casefold())
