"""The page of a map: one HTML file that opens without a network; click a text, read it, its parents and neighbours."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from experiments.explorer.maps.mapping import TextMap
from experiments.reports import report
from experiments.reports.report import environment, write_page

PAGE, TABLE = "map.html", "map.parquet"
_SHOWN = 8
_COLOURS = 10
_WIDE = 10_000
_SCRIPT = Path(report.__file__).parent / "templates" / "map.js"


def write(found: TextMap, path: Path) -> None:
    """Write the page of a map.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    script, summary = _SCRIPT.read_text(encoding="utf-8"), found.summary()
    allowed = "sha256-" + b64encode(sha256(script.encode()).digest()).decode()
    page = environment().get_template("map.html.j2").render(
        {**summary, "counted": [text.impressions for text in found.texts if text.impressions]},
        data=Markup(_as_json(data_of(found))), script=Markup(script), allowed=allowed, verdict=verdict(summary),
    )  # fmt: skip
    write_page(page, path)


def verdict(found: Mapping[str, Any]) -> str:
    """Return in a sentence how far the map can be trusted.

    Examples
    --------
    >>> verdict({"texts": 60, "kept": 0.41, "by_chance": 0.17, "neighbours": 10, "in_one_place": False})
    "60 texts. Of a text's 10 nearest in the space, 4.1 are among its 10 nearest on this map, 1.7 by chance."
    """
    texts = "1 text" if found["texts"] == 1 else f"{found['texts']:,} texts"
    if found["texts"] == 1:
        return f"{texts}. Two make a map."
    if found["in_one_place"]:
        return f"{texts}. All lie in one place."
    if found["kept"] is None:
        return f"{texts}. So few texts that a map keeps all neighbours: nothing can be told of it."
    near = found["neighbours"]
    kept, chance = (f"{found[name] * near:.1f}" for name in ("kept", "by_chance"))
    told = f"{kept} are among its {near} nearest on this map, {chance} by chance."
    return f"{texts}. Of a text's {near} nearest in the space, {told}"


def data_of(found: TextMap) -> dict[str, Any]:
    """Return what the page's script draws: columns, one entry a text; names by number, places as whole numbers."""
    texts = found.texts
    rows = {text.text: number for number, text in enumerate(texts)}
    styles, style = _numbered([text.style or "unknown" for text in texts], "unknown")
    kinds, kind = _numbered([text.kind for text in texts])
    across, up = _whole(found.plane.places)
    return {
        "text": [text.text for text in texts], "x": across, "y": up, "style": style, "kind": kind,
        "styles": [name.replace("_", " ") for name in styles], "kinds": kinds,
        "ctr": [None if text.ctr is None else round(text.ctr, 6) for text in texts],
        "interval": [text.interval and [round(end, 6) for end in text.interval] for text in texts],
        "shown": [text.impressions for text in texts], "clicks": [text.clicks for text in texts],
        "parents": {number: [[rows.get(parent, parent), round(weight, 4)]
                             for parent, weight in zip(text.parents, text.weights, strict=True)]
                    for number, text in enumerate(texts) if text.parents},
        "near": found.near.ids[:, :_SHOWN].tolist(),
        "cosine": np.round(100 * found.near.cosines[:, :_SHOWN]).astype(int).tolist(),
    }  # fmt: skip


def _numbered(names: Sequence[str], last: str | None = None) -> tuple[list[str], list[int]]:
    """Return names, the commonest first, as many as there are colours, and the number of each entry's.

    What is rarer is together one entry, "others"; `last` stands at the end and has no colour.
    """
    counted = Counter(name for name in names if name != last)
    ordered = sorted(counted, key=lambda name: (-counted[name], name))
    kept = ordered if len(ordered) <= _COLOURS else [*ordered[: _COLOURS - 1], "others"]
    places = {name: min(number, len(kept) - 1) for number, name in enumerate(ordered)}
    if last in names:
        kept, places = [*kept, str(last)], {**places, str(last): len(kept)}
    return kept, [places[name] for name in names]


def _whole(places: Any) -> tuple[list[int], list[int]]:
    """Return places as whole numbers from 0, at one scale for both axes; y grows downwards, as on a screen."""
    low, high = places.min(0), places.max(0)
    scale = _WIDE / max(float((high - low).max()), 1e-12)
    x, y = np.round((places[:, 0] - low[0]) * scale), np.round((high[1] - places[:, 1]) * scale)
    return x.astype(int).tolist(), y.astype(int).tolist()


def _as_json(data: Mapping[str, Any]) -> str:
    """Return JSON that may stand in a script element, whatever texts hold: no tag, no comment begins in it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
