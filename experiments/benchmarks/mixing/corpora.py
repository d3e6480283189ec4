"""The texts of the mix benchmark: parents that training never saw, in pairs and triples, and stored texts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from copyloom import InputError, Report
from embeddings.encoder import Encoder
from experiments.corpora.real_texts import real_texts, training_share
from experiments.held_out import held_out_claims, is_held_out
from generator.checks import normalised
from generator.grammar import Claim, Grammar

WEIGHTS = tuple(step / 10 for step in range(1, 10))
"""Of the second parent of a pair."""
TRIPLE = (0.5, 0.3, 0.2)
STORED = 10_000
NEIGHBOURS = 50
_LONGEST = 100
_PARENTS = 2000


@dataclass(frozen=True, eq=False)
class Cases:
    """What is to be mixed: parents (B, K), numbers of texts of the corpus, and weights (B, K)."""

    parents: Tensor
    weights: Tensor

    def __len__(self) -> int:
        """Return B."""
        return len(self.parents)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Parents, their mixtures, and the texts that are stored beside them.

    Parameters
    ----------
    name : str
    texts : sequence of str
        The parents.
    sentence_vectors : Tensor of shape (M, S)
    pairs : Tensor of shape (N, 2)
        Numbers of texts.
    triples : Tensor of shape (T, 3)
    stored : sequence of str
        Texts that retrieval may return and of which a new text must not be a copy; parents are not among them.
    stored_vectors : Tensor of shape (n, S)
    claims : sequence of Claim, optional
        What the texts say, where the grammar wrote them.
    """

    name: str
    texts: Sequence[str]
    sentence_vectors: Tensor
    pairs: Tensor
    triples: Tensor
    stored: Sequence[str]
    stored_vectors: Tensor
    claims: Sequence[Claim] = ()

    @cached_property
    def stored_words(self) -> frozenset[str]:
        """The stored texts in normal form."""
        return frozenset(map(normalised, self.stored))

    def at(self, weight: float, first: int = 0) -> Cases:
        """Return all pairs from number `first` on, with `weight` for the second parent."""
        pairs = self.pairs[first:]
        return Cases(pairs, torch.tensor([1 - weight, weight]).expand(len(pairs), 2))

    def everywhere(self, most: int) -> Cases:
        """Return the first `most` pairs at all of `WEIGHTS`: the first pair at each, then the second, and so on."""
        weights, pairs = torch.tensor([[1 - weight, weight] for weight in WEIGHTS]), self.pairs[:most]
        return Cases(pairs.repeat_interleave(len(weights), 0), weights.repeat(len(pairs), 1))

    def of_three(self) -> Cases:
        """Return all triples."""
        return Cases(self.triples, torch.tensor(TRIPLE).expand(len(self.triples), 3))


def grammar_corpus(encoder: Encoder, pairs: int, report: Report) -> Corpus:
    """Return held-out claims of the grammar, in random pairs about different products."""
    grammar, rng = Grammar.load(), random.Random("mix benchmark")
    claims = held_out_claims(grammar, 2 * pairs)
    drawn = [_differing(rng, claims, 2) for _ in range(pairs)]
    triples = [_differing(rng, claims, 3) for _ in range(pairs // 4)]
    theirs = {claim.text for claim in claims}
    stored: dict[str, None] = {}
    while len(stored) < STORED:
        stored |= dict.fromkeys({grammar.claim(rng, grammar.record(rng)).text} - theirs)
    texts = [claim.text for claim in claims]
    return _corpus("grammar claims", texts, list(stored), drawn, triples, encoder, report, claims)


def real_corpora(folder: Path, encoder: Encoder, pairs: int, report: Report) -> list[Corpus]:
    """Return held-out real headlines and product lines: in pairs within a topic, and in random pairs."""
    every = [text for text in real_texts(folder) if len(text) <= _LONGEST]
    held_out = [text for text in every if is_held_out(text)]
    texts = random.Random(0).sample(held_out, min(_PARENTS, len(held_out)))
    seen = training_share(every)
    stored = random.Random("stored").sample(seen, STORED)
    return _by_topic_and_random("real texts", texts, stored, encoder, pairs, report)


def own_corpora(texts: Sequence[str], encoder: Encoder, pairs: int, report: Report) -> list[Corpus]:
    """Return a person's texts: the parents of at most `pairs` pairs, and the others as what is stored.

    Raises
    ------
    InputError
        If there are fewer than 20 distinct texts.
    """
    distinct = sorted(set(texts))
    if len(distinct) < 20:
        raise InputError(f"{len(distinct)} distinct texts were given; the mix benchmark needs at least 20")
    shuffled = random.Random(0).sample(distinct, len(distinct))
    parents = min(4 * pairs, max(len(distinct) // 2, 10))
    return _by_topic_and_random("own texts", shuffled[:parents], shuffled[parents:][:STORED], encoder, pairs, report)


def _by_topic_and_random(
    name: str, texts: Sequence[str], stored: Sequence[str], encoder: Encoder, pairs: int,
    report: Report,
) -> list[Corpus]:  # fmt: skip
    rng = random.Random("mix benchmark")
    chance = [rng.sample(range(len(texts)), 2) for _ in range(pairs)]
    triples = [rng.sample(range(len(texts)), 3) for _ in range(pairs // 4)]
    at_random = _corpus(f"{name}, random pairs", texts, stored, chance, triples, encoder, report)
    near = (at_random.sentence_vectors @ at_random.sentence_vectors.T).fill_diagonal_(-1)
    neighbours = near.topk(min(NEIGHBOURS, len(texts) - 1), dim=1).indices
    firsts = [rng.randrange(len(texts)) for _ in range(pairs)]
    topical = [[first, int(rng.choice(neighbours[first].tolist()))] for first in firsts]
    within = Corpus(f"{name}, within a topic", texts, at_random.sentence_vectors, torch.tensor(topical),
                    at_random.triples, stored, at_random.stored_vectors)  # fmt: skip
    return [within, at_random]


def _corpus(
    name: str, texts: Sequence[str], stored: Sequence[str], pairs: list[list[int]], triples: list[list[int]],
    encoder: Encoder, report: Report, claims: Sequence[Claim] = (),
) -> Corpus:  # fmt: skip
    every = [*texts, *stored]
    parts = []
    for first in range(0, len(every), 512):
        parts.append(encoder.encode(every[first : first + 512]))
        report(f"reading {name}", min(first + 512, len(every)), len(every))
    vectors = torch.cat(parts)
    return Corpus(name, texts, vectors[: len(texts)], torch.tensor(pairs), torch.tensor(triples), stored,
                  vectors[len(texts) :], claims)  # fmt: skip


def _differing(rng: random.Random, claims: Sequence[Claim], count: int) -> list[int]:
    """Return the numbers of `count` claims about as many products."""
    while True:
        drawn = rng.sample(range(len(claims)), count)
        if len({claims[number].record.name for number in drawn}) == count:
            return drawn
