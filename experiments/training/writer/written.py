"""Examples written for this project one by one: two texts and what stands between, a record and claims, or rewrites."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from generator.record import ProductRecord
from generator.words import unheld

BLENDS = {"lean_a": (0.65, 0.85), "even": (0.4, 0.6), "lean_b": (0.15, 0.35)}
"""Weights of the first parent for which a text of an example is right."""
_RECORDS = {"text_a": (1.0, 1.0), "text_ab": (0.35, 0.65), "text_b": (0.0, 0.0)}
FILE = "written.jsonl.xz"
_OFTEN, _OFTEN_ABOUT = 6, 4


@dataclass(frozen=True)
class Blend:
    """A text that stands between two others.

    Parameters
    ----------
    kind : str
        Register or topic.
    parents : tuple of str
    weights : (float, float)
        Between which the first parent's weight lies.
    text : str
    record : ProductRecord, optional
        What the text is about, where it is not what its parents are about.
    """

    kind: str
    parents: tuple[str, str]
    weights: tuple[float, float]
    text: str
    record: ProductRecord | None = None

    @property
    def rewritten(self) -> bool:
        """Whether it is made of one text alone."""
        return self.parents[0] == self.parents[1]


def written_blends() -> list[Blend]:
    """Return the examples that the package ships."""
    packed = resources.files("experiments.training.writer").joinpath(FILE).read_bytes()
    return [blend for line in lzma.decompress(packed).decode().splitlines() for blend in blends_of(json.loads(line))]


def free_words_of(blends: Iterable[Blend]) -> frozenset[str]:
    """Return the words that new texts use often though no source of theirs holds them.

    They become `generator.words.free_words`. Rewrites of one text do not count: where it is obscure they name what it
    is about.
    """
    counts, about = Counter[str](), Counter[str]()
    for blend in blends:
        if blend.rewritten and blend.record is None:
            continue
        sources = blend.parents if blend.record is None else tuple(blend.record.phrases().values())
        words = unheld(blend.text, sources)
        counts.update(words)
        about.update(words if blend.record else ())
    return frozenset(word for word in counts if counts[word] >= _OFTEN or about[word] >= _OFTEN_ABOUT)


def blends_of(row: dict[str, Any]) -> Iterator[Blend]:
    """Yield the blends of one line: two parents, and texts of several weights; or a text, and rewrites of it.

    With a record, the texts are about that: in the manner of their parents, and with its facts alone.
    """
    record = ProductRecord.model_validate(row["record"]) if "record" in row else None
    if "rewrites" in row:
        said = str(row["text"])
        for other in row["rewrites"]:
            yield Blend(str(row.get("kind", "subject")), (said, said), (1.0, 1.0), str(other), record)
        return
    for key, weights in (_RECORDS if record else BLENDS).items():
        if text := row.get(key):
            yield Blend(str(row.get("kind", "subject")), (str(row["a"]), str(row["b"])), weights, str(text), record)
