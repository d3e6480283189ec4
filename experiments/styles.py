"""The directions that come with Copyloom: the grammar's styles, and length, found from claims that it writes."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from embeddings.directions import Direction, label_directions, number_direction
from embeddings.encoder import Encoder
from experiments.held_out import is_held_out
from generator.grammar import HELD_OUT_PRODUCT, Claim, Grammar
from generator.reader import words_of
from generator.record import ProductRecord

LENGTH = "length"
"""The direction in which texts have more words."""
OPPOSITES = {"longer": (LENGTH, 1.0), "shorter": (LENGTH, -1.0)}
"""Words for going along a direction one way or the other."""
RECORDS = 60
"""Products with which the directions are found."""


def style_directions(encoder: Encoder, records: int = RECORDS) -> list[Direction]:
    """Return the direction of each style of the grammar, and that of length, from claims that are not held out.

    Cross-validation tests on frames that it has not learnt from: a style must be known by more than its phrases.
    """
    grammar = Grammar.load()
    claims = paired_claims(grammar.styles, records, "directions")
    texts = [claim.text for claim in claims]
    vectors, frames = encoder.encode(texts), [claim.frame.text for claim in claims]
    lengths = [float(len(words_of(text))) for text in texts]
    styles = label_directions(vectors, [claim.frame.style for claim in claims], frames, encoder.name)
    return [*styles, number_direction(vectors, lengths, LENGTH, frames, encoder.name)]


def paired_claims(
    styles: Sequence[str], records: int, seed: str, held_out: bool = False, frames: Collection[str] | None = None
) -> list[Claim]:
    """Return claims about random products, one in each style about each: so no style has products of its own.

    Parameters
    ----------
    styles : sequence of str
    records : int
        Products.
    seed : str
    held_out : bool
        Whether to return only claims that training never saw, one product in ten of them one that it never saw; else
        none of these.
    frames : collection of str, optional
        In which they are written; all, unless given.
    """
    grammar, rng = Grammar.load(), random.Random(seed)
    found: list[Claim] = []
    while len(found) < records * len(styles):
        unseen = held_out and rng.random() < 0.1
        record = grammar.record(rng, product=HELD_OUT_PRODUCT if unseen else None)
        written = [_claim(grammar, rng, record, style, held_out, frames) for style in styles]
        if None not in written:
            found += [claim for claim in written if claim]
    return found


def _claim(
    grammar: Grammar, rng: random.Random, record: ProductRecord, style: str, held_out: bool,
    frames: Collection[str] | None,
) -> Claim | None:  # fmt: skip
    """Return a claim of that style, held out or not as wanted; None if a number of draws gave none."""
    drawn = (grammar.claim(rng, record, style) for _ in range(30))
    return next((claim for claim in drawn if is_held_out(claim.text) == held_out
                 and (frames is None or claim.frame.text in frames)), None)  # fmt: skip
