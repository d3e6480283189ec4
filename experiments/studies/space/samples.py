"""The texts that all spaces are compared on, and what is known of each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from copyloom import InputError
from experiments.held_out import is_held_out
from experiments.studies.space.resampling import Array, Groups, Mask, Pairs
from experiments.studies.space.settings import FEWEST
from generator.grammar import HELD_OUT_PRODUCT, Claim, Grammar
from generator.reader import words_of
from generator.record import ProductRecord

EACH = 3
"""Claims about a product, so that some pairs share one."""
_MOST_PAIRS = 2000


@dataclass(frozen=True, eq=False)
class Sample:
    """Texts that are measured on.

    Parameters
    ----------
    texts : tuple of str
        Distinct.
    groups : array of shape (n,)
        Which product each is about; of own texts each is a group.
    claims : tuple of Claim
        What the grammar knows of each; empty for own texts.
    """

    texts: tuple[str, ...]
    groups: Groups
    claims: tuple[Claim, ...] = ()

    def only(self, rows: Sequence[int]) -> Sample:
        """Return the sample of some of the texts."""
        kept = tuple(self.claims[row] for row in rows) if self.claims else ()
        return Sample(tuple(self.texts[row] for row in rows), self.groups[list(rows)], kept)

    def halves(self) -> tuple[list[int], list[int]]:
        """Return the numbers of the texts in two halves; no product is in both."""
        firsts = set(np.unique(self.groups)[::2].tolist())
        first = [row for row, group in enumerate(self.groups.tolist()) if group in firsts]
        return first, sorted(set(range(len(self.texts))) - set(first))


def drawn_claims(count: int, seed: int = 0) -> Sample:
    """Return claims of the grammar that are held out from every training, three at a time about a product.

    Held out as `experiments.held_out.held_out_claims` has them: by the hash of a text, and one product in ten is one
    that training never saw. There most pairs of claims share nothing; here some share a product.

    Raises
    ------
    InputError
        If fewer than 30 are asked for.
    """
    _check_count(count, "asked for; ask for")
    grammar, rng = Grammar.load(), random.Random(f"qualities of spaces {seed}")
    found: dict[str, Claim] = {}
    while len(found) < count:
        record = grammar.record(rng, product=HELD_OUT_PRODUCT if rng.random() < 0.1 else None)
        for claim in _about(grammar, rng, record):
            found.setdefault(claim.text, claim)
    claims = tuple(found.values())[:count]
    _, groups = np.unique([claim.record.name for claim in claims], return_inverse=True)
    return Sample(tuple(claim.text for claim in claims), groups.astype(np.int64), claims)


def _about(grammar: Grammar, rng: random.Random, record: ProductRecord) -> list[Claim]:
    """Return three held-out claims about a record, or those of 400 draws that are."""
    own: dict[str, Claim] = {}
    for _ in range(400):
        claim = grammar.claim(rng, record)
        if is_held_out(claim.text):
            own.setdefault(claim.text, claim)
        if len(own) == EACH:
            break
    return list(own.values())


def own_texts(texts: Sequence[str], count: int, seed: int = 0) -> Sample:
    """Return texts of a person's own, so many of them drawn at random.

    Raises
    ------
    InputError
        If there are fewer than 30.
    """
    distinct = list(dict.fromkeys(texts))
    _check_count(min(len(distinct), count), "given; give")
    drawn = random.Random(f"own texts {seed}").sample(distinct, min(count, len(distinct)))
    return Sample(tuple(drawn), np.arange(len(drawn)))


def relatedness(sample: Sample) -> Array:
    """Return how much each two texts share, (n, n), by what no vector was made of.

    Of claims: 1 for the same product, 1 for the same style, and the share of their attributes that both say. Of own
    texts the share of their words that both hold (Jaccard's index).
    """
    if not sample.claims:
        return _overlaps([frozenset(words_of(text)) for text in sample.texts])
    styles = np.array([claim.frame.style for claim in sample.claims])
    same = [(some[:, None] == some[None]).astype(np.float64) for some in (sample.groups, styles)]
    found: Array = same[0] + same[1] + _overlaps([frozenset(said(claim)) for claim in sample.claims])
    return found


def said(claim: Claim) -> list[str]:
    """Return the attributes that a claim says, as its record has them."""
    return [getattr(claim.record, kind)[pick - 1] for kind, pick in zip(claim.frame.kinds, claim.picks, strict=True)]


def telling_pairs(sample: Sample, rows: Sequence[int], seed: int = 0) -> Pairs:
    """Return pairs (m, 2) of some texts on which a cosine can show what it follows.

    Of claims: all that share a product, as many that share only a style, and twice as many that share neither; random
    pairs alone would share nearly nothing. Of own texts random pairs, 2,000 at most.
    """
    rng = np.random.default_rng(seed)
    upper = np.array(np.triu_indices(len(rows), 1)).T
    pairs: Pairs = np.array(rows)[upper]
    if not sample.claims:
        return rng.permutation(pairs)[:_MOST_PAIRS]
    product, style = shared(sample, pairs)
    many = max(int(product.sum()), 1)
    kinds = [pairs[product], *(rng.permutation(pairs[mask])[:most] for mask, most in
                               ((style & ~product, many), (~product & ~style, 2 * many)))]  # fmt: skip
    return np.concatenate(kinds)


def shared(sample: Sample, pairs: Pairs) -> tuple[Mask, Mask]:
    """Return which pairs (m, 2) of claims share a product, and which a style."""
    styles = np.array([claim.frame.style for claim in sample.claims])
    return sample.groups[pairs[:, 0]] == sample.groups[pairs[:, 1]], styles[pairs[:, 0]] == styles[pairs[:, 1]]


def random_pairs(count: int, seed: int = 0) -> Pairs:
    """Return random pairs of different texts of so many, (m, 2), each once and 2,000 at most."""
    pairs: Pairs = np.array(np.triu_indices(count, 1)).T
    return np.random.default_rng(seed).permutation(pairs)[:_MOST_PAIRS]


def _overlaps(sets: Sequence[frozenset[str]]) -> Array:
    rows = [[len(one & other) / max(len(one | other), 1) for other in sets] for one in sets]
    return np.array(rows)


def _check_count(count: int, what: str) -> None:
    if count < FEWEST:
        raise InputError(f"{count} distinct texts were {what} {FEWEST} or more, as halves of them are compared")
