"""A map as a table that embedding-atlas opens, with neighbours in the columns that it documents.

Its page "Command Line Tool" names the options ``--text``, ``--x``, ``--y`` and ``--neighbors``, and the form of the
last one's column: zero-based rows and their distances.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from embeddings.folders import replacing
from experiments.explorer.maps.mapping import TextMap

_SCHEMA = pa.schema([
    ("text", pa.string()), ("x", pa.float64()), ("y", pa.float64()), ("kind", pa.string()), ("style", pa.string()),
    ("impressions", pa.int64()), ("clicks", pa.int64()), ("ctr", pa.float64()), ("low", pa.float64()),
    ("high", pa.float64()), ("lineage", pa.string()),
    ("parents", pa.list_(pa.string())), ("weights", pa.list_(pa.float64())),
    ("neighbors", pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float64()))])),
])  # fmt: skip


def write_atlas(found: TextMap, path: Path) -> None:
    """Write a map as Parquet, one row a text; distances of neighbours are 1 less the cosine.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    table = pa.Table.from_pylist([_row(found, number) for number in range(len(found.texts))], _SCHEMA)
    with replacing(path) as partial:
        pq.write_table(table, partial)


def command_line(path: Path) -> str:
    """Return the shell line that opens such a table in embedding-atlas."""
    return f"embedding-atlas {shlex.quote(str(path))} --text text --x x --y y --neighbors neighbors"


def _row(found: TextMap, number: int) -> dict[str, Any]:
    one, (x, y) = found.texts[number], found.plane.places[number]
    low, high = one.interval or (None, None)
    ids, cosines = found.near.ids[number], found.near.cosines[number]
    return {
        "text": clean(one.text), "x": float(x), "y": float(y), "kind": clean(one.kind),
        "style": clean(one.style or "unknown"), "impressions": one.impressions, "clicks": one.clicks, "ctr": one.ctr,
        "low": low, "high": high,
        "lineage": " + ".join(f"{weight:.2f} x {clean(parent)}"
                              for parent, weight in zip(one.parents, one.weights, strict=True)) or None,
        "parents": [clean(parent) for parent in one.parents], "weights": list(one.weights),
        "neighbors": {"ids": ids.tolist(), "distances": [round(1 - cosine, 6) for cosine in cosines.tolist()]},
    }  # fmt: skip


def clean(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
