"""What steering does to held-out claims, beside a random direction and the nearest stored text."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError, Report
from embeddings.directions import Direction
from embeddings.effort import Effort
from embeddings.mixing import is_new
from embeddings.search import CASES
from embeddings.space import Space
from embeddings.steering import TRUST_DEGREES, angles_between, like, steer, towards, turned, without
from embeddings.summary import SummaryEmbedding
from experiments.bootstrap import interval
from experiments.held_out import held_out_claims
from experiments.styles import LENGTH, paired_claims, style_directions
from generator.checks import normalised
from generator.grammar import Claim, Grammar
from generator.reader import GrammarReader, words_of

STRENGTHS = (0.5, 0.75, 1.0)
LIBRARY = 200
_DONORS = 5
"""Texts whose style a claim is given together."""


@dataclass(frozen=True, eq=False)
class _Case:
    """Held-out claims, their embeddings, the style asked of each, and what they are compared with."""

    space: Space
    claims: Sequence[Claim]
    stored: Sequence[SummaryEmbedding]
    styles: Sequence[str]
    library: Sequence[str]
    library_vectors: Tensor

    @property
    def points(self) -> Tensor:
        """Of the claims, (B, S)."""
        return torch.stack([embedding.sentence_vector for embedding in self.stored])


@dataclass(frozen=True, eq=False)
class _Way:
    """One way to move the claims; and whether a style that is read, beside the claim's own and the wanted, is right."""

    name: str
    strength: float
    points: Tensor
    as_asked: Callable[[str, str, str], bool] = lambda read, own, wanted: read == wanted


def measure(
    count: int, strengths: Sequence[float], effort: Effort, library: int, model: str, device: str, report: Report
) -> dict[str, Any]:
    """Return all that ``copyloom study steering`` prints.

    Parameters
    ----------
    count : int
        Held-out claims; each is asked for one style other than its own.
    strengths : sequence of float
        Shares of the trust region, above 0 and at most 1.
    library : int
        Products of the stored texts that are compared with, one text in each style about each.

    Raises
    ------
    InputError
        If there are fewer than two claims or no strengths, or the model has no adapter.
    """
    if count < 2 or library < 1 or not strengths or not all(0 < strength <= 1 for strength in strengths):
        raise InputError(
            f"{count} claims, {library} products and strengths {list(strengths)} were given; give two claims or more, "
            "a product or more, and strengths above 0 and at most 1"
        )
    space = Space.load(model, device)
    if space.adapter is None:
        raise InputError(f"model {model!r} has no adapter, so moved points cannot be written; use copyloom-tiny")
    report("finding directions", 0, 1)
    directions = {direction.name: direction for direction in style_directions(space.encoder)}
    case = _case(space, count, library, report)
    ways = list(_ways(case, directions, sorted(strengths)))
    written = _written(case, ways, effort, report)
    rows = [_row(case, way, texts) for way, texts in zip(ways, written, strict=True)]
    rows += [_row(case, _Way("nearest stored text", w.strength, w.points), _nearest(case, w.points))
             for w in ways if w.name == "towards a style" and w.strength]  # fmt: skip
    return {
        "claims": count, "library": len(case.library), "model": space.model.name, "device": space.model.device.type,
        "trust_degrees": TRUST_DEGREES, "effort": vars(effort),
        "directions": [direction.description for direction in directions.values()],
        "rows": rows,
        "dose": _doses(case, directions, ways, written),
        "samples": _samples(case, ways, written),
    }  # fmt: skip


def _case(space: Space, count: int, library: int, report: Report) -> _Case:
    grammar, rng = Grammar.load(), random.Random("wanted styles")
    claims = held_out_claims(grammar, count)
    styles = [rng.choice([style for style in grammar.styles if style != claim.frame.style]) for claim in claims]
    texts = [claim.text for claim in claims]
    stored = space.invert(texts, None, lambda done, total: report("inverting", done, total))
    others = list(dict.fromkeys(claim.text for claim in paired_claims(grammar.styles, library, "library")))
    return _Case(space, claims, stored, styles, others, space.encoder.encode(others))


def _written(case: _Case, ways: Sequence[_Way], effort: Effort, report: Report) -> list[list[str | None]]:
    """Return what is written for each way and claim, searched for in groups that fill the decoder's rows."""
    points, stored = torch.cat([way.points for way in ways]), list(case.stored) * len(ways)
    texts: list[str | None] = []
    for first in range(0, len(stored), CASES):
        part = slice(first, first + CASES)
        texts += [None if one is None else one.text for one in steer(case.space, stored[part], points[part], effort)]
        report("steering", len(texts), len(stored))
    return [texts[first : first + len(case.stored)] for first in range(0, len(texts), len(case.stored))]


def _ways(case: _Case, directions: dict[str, Direction], strengths: Sequence[float]) -> Iterator[_Way]:
    wanted = [directions[style] for style in case.styles]
    for strength in (0.0, *strengths):
        moved = [towards([e], direction, strength) for e, direction in zip(case.stored, wanted, strict=True)]
        yield _Way("towards a style", strength, torch.cat(moved))
    generator = torch.Generator().manual_seed(0)
    somewhere = normalize(torch.randn(case.points.shape, generator=generator), dim=1)
    for strength in strengths:
        yield _Way("random direction", strength, turned(case.points, somewhere, np.radians(strength * TRUST_DEGREES)))
    for strength in (-strengths[-1], *(-s for s in strengths[-2:-1]), *strengths[-2:-1], strengths[-1]):
        yield _Way("length", strength, towards(case.stored, directions[LENGTH], strength), _own)
    styles, donors = [direction for name, direction in directions.items() if name != LENGTH], _donors(case)
    for name, count, strength in (("like another text", 1, 1.0), ("like another text", 1, 3.0),
                                  (f"like {_DONORS} texts", _DONORS, 3.0)):  # fmt: skip
        moved = [like([e], d[:count], styles, strength) for e, d in zip(case.stored, donors, strict=True)]
        yield _Way(name, strength, torch.cat(moved))
    for strength in (1.0, 3.0):
        moved = [without([e], [directions[claim.frame.style]], strength)
                 for e, claim in zip(case.stored, case.claims, strict=True)]  # fmt: skip
        yield _Way("own style removed", strength, torch.cat(moved), lambda read, own, wanted: read != own)


def _own(read: str, own: str, wanted: str) -> bool:
    return read == own


def _donors(case: _Case) -> list[list[SummaryEmbedding]]:
    """Return for each claim some in the wanted style about other products, encoded only: their vectors are not used."""
    grammar, rng = Grammar.load(), random.Random("donors")
    texts = [grammar.claim(rng, grammar.record(rng), style).text for style in case.styles for _ in range(_DONORS)]
    one = case.stored[0]
    found = [SummaryEmbedding(text, one.vectors, vector, one.space, False, 0.0, 0, "given")
             for text, vector in zip(texts, case.space.encoder.encode(texts), strict=True)]  # fmt: skip
    return [found[first : first + _DONORS] for first in range(0, len(found), _DONORS)]


def _nearest(case: _Case, points: Tensor) -> list[str | None]:
    return [case.library[index] for index in (points @ case.library_vectors.T).argmax(1).tolist()]


def _row(case: _Case, way: _Way, texts: Sequence[str | None]) -> dict[str, Any]:
    """Return the means over the texts that were found; None where there are none."""
    kept = [i for i, text in enumerate(texts) if text is not None]
    found = [text for text in texts if text is not None]
    vectors = case.space.encoder.encode(found)
    claims = [case.claims[i] for i in kept]
    readings = [
        GrammarReader(Grammar.load(), claim.record).read(text) for claim, text in zip(claims, found, strict=True)
    ]
    asked = [way.as_asked(reading.style, claim.frame.style, case.styles[i])
             for reading, claim, i in zip(readings, claims, kept, strict=True)]  # fmt: skip
    known = {normalised(text) for text in case.library}
    words = [len(words_of(text)) - len(words_of(claim.text)) for text, claim in zip(found, claims, strict=True)]
    return {
        "way": way.name, "strength": way.strength,
        "degrees": float(angles_between(case.points, way.points).mean()),
        "finished_share": len(found) / len(texts),
        "semantic_consistency": _mean((vectors * way.points[kept]).sum(1).tolist()),
        "cosine_kept": _mean((vectors * case.points[kept]).sum(1).tolist()),
        "style_as_asked_share": _mean(asked),
        "style_as_asked_interval": interval(np.array(asked, dtype=float)) if asked else None,
        "product_share": _mean([reading.names_subject for reading in readings]),
        "true_share": _mean([reading.names_subject and not reading.foreign for reading in readings]),
        "more_words": _mean(words),
        "new_share": _mean([is_new(text, [claim.text]) and normalised(text) not in known
                            for text, claim in zip(found, claims, strict=True)]),
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _doses(
    case: _Case, directions: dict[str, Direction], ways: Sequence[_Way], written: Sequence[Sequence[str | None]]
) -> list[dict[str, Any]]:
    """Return the rank correlation of strength and effect for each kind of move, its mean over claims.

    The effect on style is how far the written text lies along the direction; on length, its number of words.
    """

    def along(texts: Sequence[str], row: int) -> list[float]:
        return (case.space.encoder.encode(texts) @ directions[case.styles[row]].normal).tolist()

    def words(texts: Sequence[str], row: int) -> list[float]:
        return [float(len(words_of(text))) for text in texts]

    start = [(w.strength, texts) for w, texts in zip(ways, written, strict=True) if w.strength == 0]
    found = []
    for name, effect in (("towards a style", along), ("random direction", along), ("length", words)):
        doses = [(w.strength, texts) for w, texts in zip(ways, written, strict=True) if w.name == name and w.strength]
        correlations = np.array([_correlation(start + doses, row, effect) for row in range(len(case.claims))])
        found.append({"way": name, "rank_correlation": float(correlations.mean()), "interval": interval(correlations)})
    return found


def _correlation(
    doses: Sequence[tuple[float, Sequence[str | None]]], row: int, effect: Callable[[Sequence[str], int], list[float]]
) -> float:
    """Return Spearman's correlation for one claim; 0 where nothing changes or too little was found."""
    pairs = [(strength, texts[row]) for strength, texts in doses]
    texts = [text for _, text in pairs if text is not None]
    effects: NDArray[np.float64] = np.array(effect(texts, row)) if len(texts) > 1 else np.zeros(0)
    if len(effects) < 2 or effects.std() == 0:
        return 0.0
    return float(spearmanr([strength for strength, text in pairs if text is not None], effects).statistic)


def _samples(case: _Case, ways: Sequence[_Way], written: Sequence[Sequence[str | None]]) -> list[dict[str, Any]]:
    """Return what the first claims became at full strength, for people."""
    last = {way.name: texts for way, texts in zip(ways, written, strict=True)}
    return [
        {"text": claim.text, "style": claim.frame.style, "wanted_style": style}
        | {name: texts[row] for name, texts in last.items()}
        for row, (claim, style) in enumerate(zip(case.claims[:8], case.styles, strict=False))
    ]
