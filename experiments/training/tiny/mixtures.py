"""What mixtures should read as: the targets of training on them, chosen by the sentence encoder.

An even mixture of two grammar texts should become the text nearest to the wanted point among those about one parent's
product in the other's style; an uneven one the heavier parent, or that in other words. (Nearer still are texts that
change one phrase of a parent, but those recombine nothing.) For real texts there is no grammar; there a text is the
target of the mixture of two of its neighbours.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import Report
from embeddings.folders import replacing
from generator.grammar import Claim, Frame, Grammar, draw_picks, fits
from generator.record import KINDS, SLOTS_PER_KIND, ProductRecord, fill

Encode = Callable[[Sequence[str]], Tensor]

WEIGHTS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Of the heavier parent; one pair gives one target at each."""
_PARENT_FROM = 0.8
"""From this weight on, the heavier parent itself may be the target."""
_VARIANTS, _OTHER_FRAMES, _CHOICES = 5, 5, 5
_PART = 500
_NEIGHBOURS, _AMONG, _SAME = 12, 60_000, 0.97


@dataclass(frozen=True)
class MixedClaim:
    """Two texts, by number, the weight of the first, and the text that their mixture should decode to."""

    first: int
    second: int
    weight: float
    text: str


def mixture_targets(
    grammar: Grammar, claims: Sequence[Claim], vectors: Tensor, phrase_vectors: dict[str, Tensor], pairs: int,
    seed: int, encode: Encode, folder: Path, report: Report,
) -> list[MixedClaim]:  # fmt: skip
    """Return targets for random pairs of texts of one form, kept in parts in `folder` so that no work is lost.

    Parameters
    ----------
    vectors : Tensor of shape (M, S)
        Their sentence vectors.
    phrase_vectors : dict of str to Tensor of shape (S,)
        Of every phrase of the grammar.
    encode : callable
        From texts to sentence vectors (B, S).
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\n".join(claim.text for claim in claims).encode()).hexdigest()[:16]
    numbers: dict[str, list[int]] = {}
    for number, claim in enumerate(claims):
        numbers.setdefault(claim.frame.form, []).append(number)
    found: list[MixedClaim] = []
    for part in range(-(-pairs // _PART)):
        count = min(_PART, pairs - part * _PART)
        path = folder / f"{key}-{seed}-{part}-{count}.json"
        if not path.exists():
            rng = random.Random(f"{seed} mixtures {part}")
            drawn = [rng.sample(numbers[claims[rng.randrange(len(claims))].frame.form], 2) for _ in range(count)]
            mixed = _targets(rng, grammar, claims, vectors, phrase_vectors, drawn, encode)
            with replacing(path) as partial:
                partial.write_text(json.dumps([[m.first, m.second, m.weight, m.text] for m in mixed]))
        found += [MixedClaim(*row) for row in json.loads(path.read_text())]
        report("targets of mixtures", min((part + 1) * _PART, pairs), pairs)
    return found


def _targets(
    rng: random.Random, grammar: Grammar, claims: Sequence[Claim], vectors: Tensor,
    phrase_vectors: dict[str, Tensor], pairs: Sequence[Sequence[int]], encode: Encode,
) -> list[MixedClaim]:  # fmt: skip
    weights = torch.tensor(WEIGHTS)[:, None]
    wanted = [normalize(weights * vectors[i] + (1 - weights) * vectors[j], dim=1) for i, j in pairs]
    families = []
    for (i, j), points in zip(pairs, wanted, strict=True):
        near = _Nearness(phrase_vectors, points[0])
        first, second = claims[i], claims[j]
        between = recombined(rng, grammar, first, second, near) + recombined(rng, grammar, second, first, near)
        new = [text for text in between if text not in (first.text, second.text)]
        families.append((new, [first.text, *reworded(rng, grammar, first, second, near)]))
    reached = iter(encode([text for pair in families for family in pair for text in family]))
    found = []
    for (i, j), (between, beside), points in zip(pairs, families, wanted, strict=True):
        theirs = torch.stack([next(reached) for _ in [*between, *beside]])
        cosines = points @ theirs.T
        even = weights[:, 0] < _PARENT_FROM
        if between:  # else the two have no kind of attribute in common that a frame asks for
            cosines[even, len(between) :] = -1.0
        cosines[~even, : len(between)] = -1.0
        for weight, choice in zip(WEIGHTS, cosines.argmax(1).tolist(), strict=True):
            found.append(MixedClaim(i, j, weight, [*between, *beside][choice]))
    return found


@dataclass(frozen=True)
class _Nearness:
    """Says how near a phrase is to a point (S,)."""

    vectors: dict[str, Tensor]
    point: Tensor

    def __call__(self, phrase: str) -> float:
        return float(self.vectors[phrase] @ self.point)


def recombined(
    rng: random.Random, grammar: Grammar, first: Claim, second: Claim, nearness: Callable[[str], float]
) -> list[str]:
    """Return texts about the product of `first` in the style of `second`, most of them in its very frame.

    Parameters
    ----------
    first, second : Claim
        Of one form.
    nearness : callable
        Says of a phrase how near it is to what is wanted; phrases are drawn from the nearest that such a product has.
    """
    others = [frame for frame in grammar.frames_of(second.frame.form) if frame.style == second.frame.style]
    frames = [second.frame] * _VARIANTS + rng.sample(others, min(_OTHER_FRAMES, len(others)))
    return _written(rng, frames, _widened(rng, grammar, first.record, second.record, nearness))


def reworded(
    rng: random.Random, grammar: Grammar, first: Claim, second: Claim, nearness: Callable[[str], float]
) -> list[str]:
    """Return texts in the frame of `first` about its product, with phrases nearer to `second`; see `recombined`."""
    return _written(rng, [first.frame] * _VARIANTS, _widened(rng, grammar, first.record, second.record, nearness))


def _written(rng: random.Random, frames: Sequence[Frame], record: ProductRecord) -> list[str]:
    fitting = (frame for frame in frames if fits(frame, record))
    return list({fill(frame.slotted(draw_picks(rng, frame, record)), record): None for frame in fitting})


def _widened(
    rng: random.Random, grammar: Grammar, mine: ProductRecord, other: ProductRecord,
    nearness: Callable[[str], float],
) -> ProductRecord:  # fmt: skip
    """Return `mine` with those attributes of its category, and proofs and offers of both, that are nearest."""
    category = next(category for category in grammar.categories if category.name == mine.category)
    changes = {}
    for kind in KINDS:
        shared = (*getattr(mine, kind), *getattr(other, kind)) if kind in ("proof", "offer") else ()
        phrases = category.attributes.get(kind, ()) or tuple(dict.fromkeys(shared))
        words = mine.name.split()
        near = sorted((p for p in phrases if p not in words), key=nearness, reverse=True)[:_CHOICES]
        changes[kind] = tuple(rng.sample(near, min(SLOTS_PER_KIND, len(near))))
    return mine.model_copy(update=changes)


def neighbour_pairs(vectors: Tensor, report: Report) -> tuple[Tensor, Tensor]:
    """Return for each text the two neighbours (M, 2) whose equal mixture is nearest to it, and that cosine (M,).

    Neighbours are sought among at most 60,000 of the texts; near-copies are none.

    Parameters
    ----------
    vectors : Tensor of shape (M, S)
        Sentence vectors.
    """
    among = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))[:_AMONG]
    halved = vectors[among].bfloat16()
    pairs, cosines = [], []
    many = min(_NEIGHBOURS, len(among) - 1)
    upper = torch.triu_indices(many, many, 1)
    for first in range(0, len(vectors), 1024):
        mine = vectors[first : first + 1024]
        near = (mine.bfloat16() @ halved.T).float()
        near[near > _SAME] = -1.0
        chosen = among[near.topk(many, dim=1).indices]  # (rows, many)
        theirs = vectors[chosen]
        sums = (theirs @ mine[..., None])[..., 0]
        gram = theirs @ theirs.mT
        a, b = upper
        reached = (sums[:, a] + sums[:, b]) / (2 + 2 * gram[:, a, b]).clamp_min(1e-6).sqrt()
        best, which = reached.max(1)
        pairs.append(torch.stack([chosen.gather(1, side[which][:, None])[:, 0] for side in (a, b)], 1))
        cosines.append(best)
        report("neighbours of real texts", min(first + 1024, len(vectors)), len(vectors))
    return torch.cat(pairs), torch.cat(cosines)


def frames_in_style(grammar: Grammar, frame: Frame, record: ProductRecord) -> list[Frame]:
    """Return the frames of `frame`'s form that `record` fills: those of its style, or all where there is none."""
    frames = [other for other in grammar.frames_of(frame.form) if fits(other, record)]
    return [other for other in frames if other.style == frame.style] or frames
