"""The texts that a writer is trained on, their sentence vectors, and their neighbours."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from copyloom import Report
from embeddings.encoder import SentenceEncoder
from embeddings.folders import replacing
from experiments.corpora.real_texts import real_texts, sentences
from experiments.held_out import is_held_out
from generator.grammar import Claim, Grammar
from generator.words import ordinary_words_of

NEIGHBOURS = 16
"""Neighbours of a text among which its parents are sought."""
_SAME = 0.93
"""Cosine from which on a neighbour is a near copy."""
_AMONG = 80_000
"""Texts among which neighbours are sought."""
_CLAIMS = 40_000
_FORM_SHARES = {"claim": 0.65, "headline": 0.25, "description": 0.1}
_SENTENCES = 60_000
_CHUNK = 2048
_WORDY = re.compile(r"[^\W\d_]{2}")


@dataclass(frozen=True)
class Corpus:
    """Real texts and the grammar's claims, by number.

    Parameters
    ----------
    texts : list of str
    vectors : Tensor of shape (texts, S)
    neighbours : Tensor of shape (texts, `NEIGHBOURS`)
        Numbers of the nearest texts that are no near copies.
    claims : list of Claim
    claim_vectors : Tensor of shape (claims, S)
    ordinary : frozenset of str
        Words that the texts write in small letters: all others may be names.
    """

    texts: list[str]
    vectors: Tensor
    neighbours: Tensor
    claims: list[Claim]
    claim_vectors: Tensor
    ordinary: frozenset[str]


def training_texts(data: Path) -> list[str]:
    """Return the real texts that a writer trains on: short ones, and some sentences of longer ones; none held out."""
    short = [text for text in real_texts(data) if not is_held_out(text)]
    known = set(short)
    longer = [text for text in sentences(data) if text not in known and not is_held_out(text)]
    chosen = random.Random(0).sample(longer, min(_SENTENCES, len(longer)))
    return [text for text in [*short, *sorted(chosen)] if _WORDY.search(text)]


def training_claims(grammar: Grammar, seed: int) -> list[Claim]:
    """Return texts of the grammar, none held out."""
    rng = random.Random(f"{seed} claims of a writer")
    forms = rng.choices(tuple(_FORM_SHARES), tuple(_FORM_SHARES.values()), k=_CLAIMS)
    drawn = (grammar.claim(rng, grammar.record(rng), form=form) for form in forms)
    return [claim for claim in drawn if not is_held_out(claim.text)]


def load_corpus(data: Path | None, folder: Path, seed: int, report: Report) -> Corpus:
    """Return the corpus; vectors and neighbours are kept in `folder`."""
    texts = training_texts(data) if data else []
    claims = training_claims(Grammar.load(), seed)
    every = [*texts, *(claim.text for claim in claims)]
    vectors = sentence_vectors(every, folder / "vectors.safetensors", report)
    mine, theirs = vectors.split([len(texts), len(claims)])
    neighbours = _neighbours(mine, folder / "neighbours.safetensors", hash_of_texts(texts), report)
    return Corpus(texts, mine, neighbours, claims, theirs, ordinary_words_of(every))


def sentence_vectors(texts: Sequence[str], path: Path, report: Report) -> Tensor:
    """Return the sentence vectors (texts, S) of texts, kept in a file."""
    key = hash_of_texts(texts)
    if path.exists() and key in (kept := load_file(path)):
        return kept[key]
    encoder, parts = SentenceEncoder(dtype=torch.bfloat16), []
    for first in range(0, len(texts), _CHUNK):
        parts.append(encoder.encode(texts[first : first + _CHUNK]))
        report("sentence vectors", min(first + _CHUNK, len(texts)), len(texts))
    vectors = torch.cat(parts) if parts else torch.zeros(0, encoder.size)
    with replacing(path) as partial:
        save_file({key: vectors}, partial)
    return vectors


def _neighbours(vectors: Tensor, path: Path, key: str, report: Report) -> Tensor:
    """Return the numbers (M, `NEIGHBOURS`) of each text's nearest among at most `_AMONG` of the texts."""
    if path.exists() and key in (kept := load_file(path)):
        return kept[key]
    among = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))[:_AMONG]
    halved, found = vectors[among].bfloat16(), []
    for first in range(0, len(vectors), _CHUNK):
        near = (vectors[first : first + _CHUNK].bfloat16() @ halved.T).float()
        near[near > _SAME] = -1.0
        found.append(among[near.topk(min(NEIGHBOURS, len(among)), dim=1).indices])
        report("neighbours", min(first + _CHUNK, len(vectors)), len(vectors))
    numbers = torch.cat(found) if found else torch.zeros(0, NEIGHBOURS, dtype=torch.long)
    with replacing(path) as partial:
        save_file({key: numbers}, partial)
    return numbers


def hash_of_texts(texts: Iterable[str]) -> str:
    """Return a hash of texts and their order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()[:16]
