"""How well the rules read design choices: beside the styles in which texts of the grammar were written.

``python -m experiments.studies.preferences.accuracy``: a table of Markdown. Whoever wrote the rules had seen claim
frames, so only headlines, descriptions and the last claim frames of each style are read here.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.bootstrap import interval
from experiments.studies.preferences.coding import code
from generator.grammar import Claim, Frame, Grammar, draw_picks, fits

SEEN = 26
"""Claim frames of each style that may have been seen while the rules were written."""
_LABELS = (
    ("appeal", "emotional", ("emotional",)), ("appeal", "factual", ("factual", "technical")),
    ("urgency", "yes", ("urgent",)), ("social proof", "yes", ("social_proof",)), ("question", "yes", ("question",)),
    ("imperative", "yes", ("inviting",)),
)  # fmt: skip
"""An attribute's level, and the styles whose texts should have it."""


def measure(each: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """Return a row a level: how many texts of its styles are read so, and of other styles.

    Parameters
    ----------
    each : int
        Texts of each frame, about products drawn at random.
    seed : int
    """
    claims = [claim for frame in held_out_frames() for claim in _texts(frame, each, random.Random(f"{seed}{frame}"))]
    coded = code([claim.text for claim in claims], "rules")
    styles = np.array([claim.frame.style for claim in claims])
    rows = []
    for attribute, level, meant in _LABELS:
        read = np.array(coded.level(attribute)) == level
        own = np.isin(styles, meant)
        # what appeal the other styles have is not said, but for those at its other end
        opposite = [style for name, other, some in _LABELS for style in some if name == attribute and other != level]
        others = np.isin(styles, opposite) if opposite else ~own
        rows.append({"attribute": attribute, "level": level, "texts": int(own.sum()), "read": float(read[own].mean()),
                     "read_interval": _interval(read, own, each), "others": int(others.sum()),
                     "others_read": float(read[others].mean()),
                     "others_interval": _interval(read, others, each)})  # fmt: skip
    return rows


def held_out_frames() -> list[Frame]:
    """Return the frames that were not seen while the rules were written."""
    grammar, count = Grammar.load(), defaultdict[str, int](int)
    found = []
    for frame in grammar.frames:
        count[frame.style] += frame.form == "claim"
        if frame.form != "claim" or count[frame.style] > SEEN:
            found.append(frame)
    return found


def _texts(frame: Frame, each: int, rng: random.Random) -> list[Claim]:
    grammar, found = Grammar.load(), list[Claim]()
    while len(found) < each:
        record = grammar.record(rng)
        if fits(frame, record):
            found.append(Claim(frame, record, draw_picks(rng, frame, record)))
    return found


def _interval(read: NDArray[np.bool_], chosen: NDArray[np.bool_], each: int) -> list[float]:
    """Return the interval of a share, by resampling frames, whose texts stand beside each other."""
    return interval(read[chosen].reshape(-1, each).mean(1))


def main() -> None:
    """Print the table."""
    print("| level | texts meant so | read so | other texts | read so |\n|---|--:|---|--:|---|")
    for row in measure():
        print(f"| {row['attribute']}: {row['level']} | {row['texts']:,} | {row['read']:.0%} "
              "({:.0%} to {:.0%})".format(*row["read_interval"]) + f" | {row['others']:,} | {row['others_read']:.0%} "
              "({:.0%} to {:.0%}) |".format(*row["others_interval"]))  # fmt: skip


if __name__ == "__main__":
    main()
