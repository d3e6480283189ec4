"""What no training may see: a share of all texts, and claims of the grammar among them to measure with."""

from __future__ import annotations

import hashlib
import random
import re

from generator.grammar import HELD_OUT_PRODUCT, Claim, Grammar

_HELD_OUT_SHARE = 0.02


def is_held_out(text: str) -> bool:
    """Say whether training must not see `text`: 2 % of all texts, real or the grammar's, by a hash of their letters."""
    return hashed(text) < _HELD_OUT_SHARE


def held_out_claims(grammar: Grammar, count: int) -> list[Claim]:
    """Return distinct claims of `grammar` that are held out, one in ten about a held-out product."""
    rng = random.Random("held out")
    found: dict[str, Claim] = {}
    while len(found) < count:
        product = HELD_OUT_PRODUCT if rng.random() < 0.1 else None
        claim = grammar.claim(rng, grammar.record(rng, product=product))
        if is_held_out(claim.text):
            found.setdefault(claim.text, claim)
    return list(found.values())


def hashed(text: str, salt: str = "") -> float:
    """Return a number in [0, 1) that the letters of `text` decide."""
    letters = salt + re.sub(r"\W+", " ", text.lower()).strip()
    return int.from_bytes(hashlib.sha256(letters.encode()).digest()[:4]) / 2**32
