"""Steering: from a stored text's point to another one, nearby, and the text that is written there.

Points are sentence vectors, which have unit length, so every move is a turn by some angle. It is bounded: beyond the
trust region there are no texts like the stored one, and what would be written has little to do with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from embeddings.adapter import AnyAdapter
from embeddings.directions import Direction, check_encoder
from embeddings.effort import Effort
from embeddings.mixed import Mixed
from embeddings.mixing import adapt, around, is_new
from embeddings.refusals import refusals_of
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from embeddings.writing import unfitness
from generator.checks import Checker, WritingRules, normalised
from generator.grammar import Grammar
from generator.language_model import LanguageModel
from generator.readability import strange_words
from generator.reader import GrammarReader
from generator.record import ProductRecord

TRUST_DEGREES = 60.0
"""The most that a point may turn."""
MOST_EXAGGERATED = 5.0
"""The largest strength with which a part is removed or exchanged."""
LEAST_REACHED = 0.05
"""Share of the way below which a text has not been moved: without its first word it goes less far, with a phrase of the
style before it farther."""
UNUSUAL = 6.0
"""Nats from which on a new word is strange to the critic where it stands; the words of its styles it knows well."""
_NEAR = {"copy", "concatenation"}
_WORDS = {"unknown word", "invented"}
_CLAIMED = {"urgent": ("urgency", "scarcity"), "social_proof": ("social proof",)}
"""Kinds of claims that a style consists of."""
_NOTHING = 1e-4
"""A part of a unit vector that is too small to have a direction."""


@dataclass(frozen=True, eq=False)
class Steered:
    """A text written at a moved point.

    Parameters
    ----------
    text : str
    parent : str
        The stored text that was moved.
    point : Tensor of shape (S,)
        Where it was moved to.
    semantic_consistency : float
        Cosine of the text's sentence vector to that point.
    cosine_kept : float
        Cosine of the text's sentence vector to the stored text's.
    sentence_vector : Tensor of shape (S,)
        Of the text.
    """

    text: str
    parent: str
    point: Tensor
    semantic_consistency: float
    cosine_kept: float
    sentence_vector: Tensor

    @property
    def new(self) -> bool:
        """Whether the text is not the parent and does not contain it whole."""
        return is_new(self.text, [self.parent])


def towards(
    stored: Sequence[SummaryEmbedding], direction: Direction, strength: float = 1.0, trust: float = TRUST_DEGREES
) -> Tensor:
    """Return the points (B, S) of stored texts, turned along a direction.

    Parameters
    ----------
    stored : sequence of SummaryEmbedding
    direction : Direction
    strength : float
        Share of the trust region, from -1 (away) over 0 (as it is) to 1.
    trust : float
        The most that a point may turn, in degrees.

    Raises
    ------
    InputError
        If strength or trust is out of range.
    SpaceError
        If the direction is of another encoder than a text.
    """
    points = _points(stored, [direction])
    check_move(strength, trust, along=True)
    target = math.copysign(1.0, strength) * direction.normal
    return turned(points, target.expand_as(points), abs(strength) * math.radians(trust))


def without(
    stored: Sequence[SummaryEmbedding], directions: Sequence[Direction], strength: float = 1.0,
    trust: float = TRUST_DEGREES,
) -> Tensor:  # fmt: skip
    """Return the points (B, S) of stored texts with the directions projected out.

    Parameters
    ----------
    stored : sequence of SummaryEmbedding
    directions : sequence of Direction
        What must not be told from the points any more (as in Bolukbasi et al., NeurIPS 2016, section 6).
    strength : float
        From 0 (as it is) over 1 (projection zero) to 5: beyond 1 the point goes on to the other side.
    trust : float
        The most that a point may turn, in degrees; one that would turn further stops there.

    Raises
    ------
    InputError, SpaceError
        As `towards`; and if a text is nothing but what is to be removed.
    """
    points = _points(stored, directions)
    return _exchanged(points, torch.zeros_like(points), directions, strength, trust)


def like(
    stored: Sequence[SummaryEmbedding], others: Sequence[SummaryEmbedding], directions: Sequence[Direction],
    strength: float = 1.0, trust: float = TRUST_DEGREES,
) -> Tensor:  # fmt: skip
    """Return the points (B, S) of stored texts with another text's part in the directions' subspace: its style, say.

    Parameters
    ----------
    stored : sequence of SummaryEmbedding
    others : sequence of SummaryEmbedding
        That they should be like. Of several the mean part is taken: one text's alone also holds what is only its own.
    directions : sequence of Direction
        In which it should be like it: those of all styles, for a style.
    strength : float
        From 0 (as it is) over 1 (the other's part exactly) to 5: beyond 1 the difference is exaggerated.
    trust : float
        The most that a point may turn, in degrees; one that would turn further stops there.

    Raises
    ------
    InputError, SpaceError
        As `without`; and if there is no other text.
    """
    points, wanted = _points(stored, directions), _points(others, directions).mean(0)
    return _exchanged(points, wanted.expand_as(points), directions, strength, trust)


def basis(directions: Sequence[Direction]) -> Tensor:
    """Return orthonormal columns (S, k) that span the directions; fewer than them where they depend on each other."""
    normals = torch.stack([direction.normal for direction in directions]).double()
    _, scale, rows = torch.linalg.svd(normals, full_matrices=False)
    return rows[scale > _NOTHING].T


def turned(points: Tensor, targets: Tensor, angles: Tensor | float) -> Tensor:
    """Return unit vectors (B, S) turned towards targets (B, S) on the great circle, by angles in radians at most.

    Where the target is nearer than the angle, the point lands on it. Angle 0 gives the points as they are.

    Examples
    --------
    >>> turned(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), math.pi / 4).square().round(decimals=4).tolist()
    [[0.5, 0.5]]
    """
    here, there = points.double(), normalize(targets.double(), dim=-1)
    along = (here * there).sum(-1, keepdim=True)
    across = there - along * here
    whole = torch.atan2(across.norm(dim=-1, keepdim=True), along)  # more precise than the arc cosine
    angle = torch.as_tensor(angles, dtype=torch.float64).reshape(-1, 1).expand_as(whole).minimum(whole)
    moved = normalize(angle.cos() * here + angle.sin() * normalize(across, dim=-1), dim=-1)
    return torch.where(angle > 0, moved.to(points.dtype), points)


def exchanged(points: Tensor, others: Tensor, columns: Tensor, strength: float = 1.0) -> Tensor:
    """Return unit vectors (B, S) whose part in the span of orthonormal columns (S, k) is moved to that of `others`.

    The part goes from the point's own at strength 0 to the other's at 1, and as far again for each 1 more, at most to
    length 1. What lies across keeps its direction and fills up to unit length. With `others` zero, the part is removed.

    Raises
    ------
    InputError
        If nothing of a point lies across.
    """
    here = points.double()
    mine = (here @ columns) @ columns.T
    across = here - mine
    if bool((across.norm(dim=-1) < _NOTHING).any()):
        raise InputError("a text lies wholly in the directions, nothing else of it is left; pass fewer directions")
    part = mine + strength * ((others.double() @ columns) @ columns.T - mine)
    part = part / part.norm(dim=-1, keepdim=True).clamp_min(1.0)
    rest = (1 - part.square().sum(-1, keepdim=True)).clamp_min(0).sqrt()
    return (part + rest * normalize(across, dim=-1)).to(points.dtype)


def angles_between(points: Tensor, others: Tensor) -> Tensor:
    """Return the angles (B,) in degrees between unit vectors (B, S)."""
    one, other = points.double(), others.double()
    return 2 * torch.atan2((one - other).norm(dim=-1), (one + other).norm(dim=-1)).rad2deg()


def check_move(strength: float, trust: float, along: bool) -> None:
    """Raise `InputError` if no point can be moved so: along a direction, or by removing or exchanging a part."""
    low, high = (-1.0, 1.0) if along else (0.0, MOST_EXAGGERATED)
    for name, value, least, most in (("strength", strength, low, high), ("trust", trust, 0.0, 90.0)):
        if not least <= value <= most:
            raise InputError(f"{name} is {value:g}; it must lie between {least:g} and {most:g}")


def adapter_of(space: Space) -> AnyAdapter:
    """Return what writes a moved point in a space; raise `InputError` where there is none."""
    if space.adapter is None:
        raise InputError(
            f"model {space.model.name!r} has no adapter, so a moved point cannot be written; use copyloom-tiny, or "
            "train an adapter for the model"
        )
    return space.adapter


def steer(
    space: Space, stored: Sequence[SummaryEmbedding], points: Tensor, effort: Effort | None = None,
    subject: ProductRecord | None = None,
) -> list[Steered | None]:  # fmt: skip
    """Return the text written at each moved point: the best one, never the stored text itself, that a search finds.

    Vectors are the adapter's at the moved point plus the text's residual, as in `embeddings.mixing.mix`.

    Parameters
    ----------
    space : Space
        With an adapter.
    stored : sequence of SummaryEmbedding
        Of this space.
    points : Tensor of shape (B, S)
        Where each was moved to: what `towards`, `without` or `like` returned.
    effort : Effort, optional
    subject : ProductRecord, optional
        What the texts should be about: the moved point lends the style, the record the facts. No search then, only
        drafts.

    Returns
    -------
    list of Steered or None
        None where no acceptable text was found.

    Raises
    ------
    SpaceError, InputError
        If a text is of another space, points do not fit, or the model has no adapter.
    """
    space.check_mine(stored)
    adapter = adapter_of(space)
    here = torch.stack([embedding.sentence_vector for embedding in stored])
    if points.shape != here.shape or not bool(points.isfinite().all()):
        raise InputError(f"points has shape {tuple(points.shape)}; {tuple(here.shape)} is needed, all of it finite")
    residuals = torch.stack([embedding.vectors for embedding in stored]) - adapt(adapter, here)
    vectors, texts = adapt(adapter, points) + residuals, [(embedding.text,) for embedding in stored]
    effort = effort or Effort()
    if space.composes:
        mixtures = [Mixed(*row, subject) for row in zip(vectors, points, texts, strict=True)]
        found = [None if one.fault else one.text for one in space.writer.composed(mixtures, effort)]
    elif subject is None:
        found = space.writer.nearest(vectors, points, texts, effort, any_style=True)
    else:
        bare = vectors - residuals  # the record brings the facts that residuals are for
        drafts = torch.cat([around(rows, points, effort.drafts, adapter) for rows in (vectors, bare)], 1)
        found = [_about(space, subject, *row) for row in zip(drafts, points, texts, strict=True)]
    written = iter(space.encoder.encode([text for text in found if text is not None]))
    return [
        None if text is None else _steered(text, row.text, point, row.sentence_vector, next(written))
        for text, row, point in zip(found, stored, points, strict=True)
    ]


def _about(space: Space, subject: ProductRecord, drafts: Tensor, point: Tensor, parents: Sequence[str]) -> str | None:
    """Return the draft nearest to the point of those that are true to the subject's record, and new."""
    checker = Checker(WritingRules.like(parents, subject=True), parents, GrammarReader(Grammar.load(), subject))
    written = space.writer.write(drafts, subject, point.expand(len(drafts), -1))
    fit = [draft.text for draft in written if not unfitness(draft, checker)]
    return fit[int((space.encoder.encode(fit) @ point).argmax())] if fit else None


def _steered(text: str, parent: str, point: Tensor, here: Tensor, vector: Tensor) -> Steered:
    return Steered(text, parent, point, float(vector @ point), float(vector @ here), vector)


def objections(
    found: Steered, subject: ProductRecord | None = None, asked: str = "", own_words: bool = False,
    critic: LanguageModel | None = None,
) -> list[str]:  # fmt: skip
    """Return why a text that was written at a moved point may not be shown; nothing where it may.

    Form, grammar and truth beside the text that was moved, or beside a record. It may be near to that text, and make
    the kind of claim that was `asked` for: urgency, say, when it was moved towards urgent. A writer that learned a
    grammar has `own_words` for each style, which no record holds; its `critic` knows them, and says where a new word
    does not fit. What a pretrained writer composes has been judged by the model that it was before.
    """
    let = _NEAR | (_WORDS if own_words else set())
    mixture = Mixed(found.point, found.point, (found.parent,), subject)
    claims = {f"({kind})" for kind in _CLAIMED.get(asked, ())}
    against = [
        refusal.reason
        for refusal in refusals_of(mixture, [found.text], uncounted=False)[0]
        if refusal.code not in let and not any(claim in refusal.reason for claim in claims)
    ]
    strange = [] if critic is None else _misplaced(found.text, (found.parent, *mixture.sources), critic)
    return against + [f"{word!r} does not fit where it stands" for word in strange]


def _misplaced(text: str, sources: Sequence[str], critic: LanguageModel) -> list[str]:
    """Return the words of a text that no source holds and that are `UNUSUAL` where they stand."""
    held = set(normalised(" ".join(sources)).split())
    return [word for word, nats in strange_words(critic, text)
            if nats > UNUSUAL and not held.issuperset(normalised(word).split())]  # fmt: skip


def share_reached(found: Steered, here: Tensor, used: Sequence[Direction]) -> float:
    """Return how much of the way along the directions the text went that its point was moved; 1 where it was not.

    Parameters
    ----------
    found : Steered
    here : Tensor of shape (S,)
        Sentence vector of the stored text.
    used : sequence of Direction
    """
    normals = torch.stack([direction.normal for direction in used]).to(here.dtype)
    asked, went = normals @ (found.point - here), normals @ (found.sentence_vector - here)
    return float(went @ asked / asked.square().sum()) if float(asked.norm()) > _NOTHING else 1.0


def _points(stored: Sequence[SummaryEmbedding], directions: Sequence[Direction]) -> Tensor:
    """Return the sentence vectors (B, S) of texts whose encoder is the directions'."""
    if not stored:
        raise InputError("no stored text was given; pass at least one")
    for embedding in stored:
        check_encoder(directions, embedding.space.encoder, repr(embedding.text))
    points = torch.stack([embedding.sentence_vector for embedding in stored])
    sizes = {len(direction.normal) for direction in directions}
    if sizes != {points.shape[1]}:
        raise InputError(f"directions have sizes {sorted(sizes)}, sentence vectors {points.shape[1]}; find them again")
    return points


def _exchanged(
    points: Tensor, others: Tensor, directions: Sequence[Direction], strength: float, trust: float
) -> Tensor:
    """Return what `exchanged` does; a point that would leave the trust region stops at its edge."""
    check_move(strength, trust, along=False)
    if strength == 0:
        return points
    moved, limit = exchanged(points, others, basis(directions), strength), math.radians(trust)
    outside = angles_between(points, moved).deg2rad() > limit
    return torch.where(outside[:, None], turned(points, moved, limit), moved)
