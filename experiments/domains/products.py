"""Products: those of the retail demo store and of a catalogue of women's fashion."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from torch import Tensor

from copyloom import InputError
from experiments.domains.domain import Domain, Entity, make_domain, thinned
from generator.settings import read_yaml

RETAIL, FASHION = "products-retail-demo-store/products.yaml", "products-womens-fashion/products.parquet"
_WANTED = ["handle", "title", "product_type", "tags", "description"]
_HEADINGS = ("Why you'll reach for it", "Fabric & care", "Fit & sizing", "Wear it with", "Details")
"""Of the catalogue's descriptions: they stand between sentences without a full stop."""
_SPLIT = re.compile("|".join(map(re.escape, _HEADINGS)))
_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_TAG = re.compile(r"[a-z]{3,}(?:[ -][a-z]+)*")
_NO_TAGS = re.compile(r"\b(?:ships?|usa|issues|sales?|sizes?|new|vendor|livo|collections?)\b")
_AUDIENCE = {"F": ("women",), "M": ("men",)}
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
        If a file is not there or lacks a column.
    """
    if lacking := [name for name in (RETAIL, FASHION) if not (data / name).is_file()]:
        raise InputError(f"there is no {data / lacking[0]}; give the folder that holds {RETAIL} and {FASHION}")
    table = pq.read_table(data / FASHION)
    if missing := [name for name in _WANTED if name not in table.column_names]:
        raise InputError(f"{data / FASHION} lacks the columns {', '.join(missing)}")
    found = [_retail(row) for row in read_yaml(data / RETAIL)]
    found += [_fashion(row) for row in table.select(_WANTED).to_pylist() if row["description"]]
    entities = {one.text: one for one in found if len(one.facts["about"]) > 0}
    return make_domain("products", thinned(list(entities.values()), most), encode)


def _retail(row: Mapping[str, Any]) -> Entity:
    style, category = (str(row[name]).replace("_", " ") for name in ("style", "category"))
    audience = _AUDIENCE.get(str(row.get("gender_affinity")), ())
    return _product(str(row["id"]), str(row["name"]), style, str(row["description"]), (category,), audience)


def _fashion(row: Mapping[str, Any]) -> Entity:
    tags = [one.strip().lower() for one in str(row["tags"] or "").split("|")]
    kept = [one for one in dict.fromkeys(tags) if len(one) < 24 and _TAG.fullmatch(one) and not _NO_TAGS.search(one)]
    said = _SPLIT.split(str(row["description"]))[0]
    return _product(str(row["handle"]), str(row["title"]), str(row["product_type"] or "clothing").lower(), said,
                    tuple(kept[:_FEATURES]), ("women",))  # fmt: skip


def _product(
    key: str, name: str, category: str, description: str, tags: tuple[str, ...], audience: tuple[str, ...]
) -> Entity:
    sentences, about, length = _SENTENCES.split(" ".join(description.split())), list[str](), 0
    for one in sentences:
        if about and length + len(one) > _LONGEST:
            break
        about.append(one)
        length += len(one)
    facts = {"category": (category,), "tags": tags, "audience": audience, "about": tuple(one for one in about if one),
             "title": (name,)}  # fmt: skip
    said = " ".join([f"{category.capitalize()}.", *facts["about"], *[f"Tags: {', '.join(tags)}."] * bool(tags)])
    return Entity(key, name, said, {kind: values for kind, values in facts.items() if values})
