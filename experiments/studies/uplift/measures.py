"""What a campaign came to: click rates, regret, what was refused, and how varied and printable is what it showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from copyloom import InputError
from embeddings.prompt import prompt, touched
from embeddings.space import Space
from experiments.campaigns.given import Given
from experiments.simulation.arms import Arm, Played
from experiments.simulation.results import LAST_SHARE, expected_ctr, last_share
from generator.editor import Editor
from generator.models import WRITER, is_there

_SOURCES = 2
"""Stored texts that the editor reads beside the record."""
_RARE = 0.005
"""Texts with less than this share of the last impressions are not given to the editor."""

Array = NDArray[np.float64]


def campaign_row(arm: Arm, possible: float | None, vectors: Array, editor: PrintJudge | None) -> dict[str, Any]:
    """Return the numbers of one campaign; click rates are expected ones.

    Parameters
    ----------
    arm : Arm
    possible : float, optional
        The best rate that a text can have, where it is known.
    vectors : array of shape (N, S)
        Sentence vectors of its slate, of unit length.
    editor : PrintJudge, optional

    Returns
    -------
    dict
        ``ctr`` over the last fifth of the impressions and ``ctr_whole`` over all; ``regret``, the expected clicks lost
        against the best text; ``refused_share`` of the distinct texts ``written``; ``effective_texts``, the exponential
        of the entropy of impressions over texts, and ``distance``, the mean cosine distance of two impressions' texts;
        ``new_share`` and ``printable_share`` of what was shown in the last fifth.
    """
    played, state = arm.played(), arm.campaign.state
    expected = expected_ctr(played)
    shares = played.impressions / played.impressions.sum()
    late = late_shares(played)
    drafts = {draft.text: bool(draft.refusals) for draft in reversed(state.drafts)}
    stored = stored_rates(arm)
    return {
        "seed": arm.seed,
        "campaigns": arm.world,
        "ctr": last_share(expected),
        "ctr_whole": float(expected.mean()),
        "regret": None if possible is None else float((possible - expected) @ snapshot_impressions(played)),
        "ctr_best_stored": float(stored.max()),
        "ctr_uniform": float(stored.mean()),
        "written": len(drafts),
        "refused_share": float(np.mean(list(drafts.values()))) if drafts else None,
        "shown": len(state.slate),
        "effective_texts": effective_texts(shares),
        "distance": mean_distance(shares, vectors),
        "new_share": float(late[len(state.opening.slate) :].sum()),
        "printable_share": None if editor is None else editor.share(state.slate, late),
    }


def curve_rows(arm: Arm) -> list[dict[str, Any]]:
    """Return what a campaign showed, snapshot by snapshot."""
    played, before = arm.played(), len(arm.campaign.state.opening.slate)
    snapshots = zip(np.cumsum(snapshot_impressions(played)), expected_ctr(played), played.chances, strict=True)
    return [{"seed": arm.seed, "campaigns": arm.world, "snapshot": number, "impressions": int(impressions),
             "ctr": float(rate), "new_share": float(chances[before:].sum()),
             "effective_texts": effective_texts(chances)}
            for number, (impressions, rate, chances) in enumerate(snapshots)]  # fmt: skip


def snapshot_impressions(played: Played) -> Array:
    """Return the impressions of each snapshot (rounds,): they are shared out evenly."""
    rounds = len(played.chances)
    return np.full(rounds, played.impressions.sum() / rounds)


def late_shares(played: Played) -> Array:
    """Return the share of each text of the slate (N,) in the last `LAST_SHARE` of the impressions."""
    last = played.chances[-max(1, round(LAST_SHARE * len(played.chances))) :]
    whole = np.zeros(len(played.texts))
    for chances in last:
        whole[: len(chances)] += chances
    return whole / whole.sum()


def stored_rates(arm: Arm) -> Array:
    """Return the true rates of the texts with which a campaign began, over the last `LAST_SHARE` of its snapshots."""
    texts, rounds = arm.campaign.state.opening.slate, len(arm.campaign.state.snapshots)
    if not arm.feed.drifts:
        return arm.feed.true_rates(texts)
    moments = range(rounds - max(1, round(LAST_SHARE * rounds)), rounds)
    found: Array = np.mean([arm.feed.true_rates(texts, moment) for moment in moments], axis=0)
    return found


def effective_texts(shares: Array) -> float:
    """Return how many texts, shown alike, would be as varied: the exponential of the entropy (Hill 1973, order 1).

    Examples
    --------
    >>> round(effective_texts(np.array([0.5, 0.5, 0.0])), 6)
    2.0
    """
    return float(np.exp(entr(shares).sum()))


def mean_distance(shares: Array, vectors: Array) -> float:
    """Return the mean cosine distance between the texts of two impressions drawn at random (Rao 1982).

    Examples
    --------
    >>> mean_distance(np.array([0.5, 0.5]), np.eye(2))
    0.5
    """
    return max(0.0, 1.0 - float(np.square(shares @ vectors).sum()))


@dataclass(eq=False)
class PrintJudge:
    """The program's own editor, which says how likely readers print a text. It learned that from people; it is none.

    Every text is read beside what it may have taken from the record and the same few stored texts, whoever wrote it.

    Parameters
    ----------
    editor : Editor
    given : Given
    """

    editor: Editor
    given: Given
    _known: dict[str, float] = field(default_factory=dict)

    def share(self, texts: Sequence[str], shares: Array) -> float:
        """Return the mean probability of being printed of what was shown with these shares, but for what was rare."""
        some = [(text, share) for text, share in zip(texts, shares, strict=True) if share >= _RARE]
        fresh = [text for text, _ in some if text not in self._known]
        self._known.update((text, self._printed(text)) for text in fresh)
        weights = np.array([share for _, share in some])
        return float(np.average([self._known[text] for text, _ in some], weights=weights))

    def _printed(self, text: str) -> float:
        """Return how likely readers print a text, whichever others there are."""
        subject = self.given.subject
        sources = prompt(self.given.own[:_SOURCES], subject and touched(subject, [text]))
        return float(self.editor.verdicts(sources, [text])[0, 0].sigmoid())


def load_editor(device: str) -> Editor | None:
    """Return the editor that comes with smollm2; None where that is not on this machine."""
    if not is_there(WRITER):
        return None
    composer = Space.load(WRITER, device).writer.composer
    if composer is None or composer.editor is None:
        raise InputError("the writer smollm2 lacks its editor; install copyloom anew")
    return composer.editor
