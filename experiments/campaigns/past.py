"""What past campaigns teach the next one: the prior under which what happened in them was likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from bandits.rewards.empirical_bayes import LearnedPrior, learn_prior
from copyloom import InputError
from embeddings.database import open_database
from embeddings.encoded import stored_vectors
from embeddings.geometry import Reduction
from experiments.campaigns.campaign import Campaign, Slates
from experiments.campaigns.config import PriorConfig
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.rewards import reward_prior


def prior_of(databases: Sequence[Path], features: int) -> LearnedPrior:
    """Return the prior that campaigns on record teach; their texts are not encoded again.

    All campaigns of a database share the features of its texts, whitened over those that were shown.

    Parameters
    ----------
    databases : sequence of Path
        Ledgers, such as ``runs/quickstart/study.sqlite``.
    features : int
        d, of the reward model that the prior is for.

    Raises
    ------
    InputError
        If one is no ledger, or holds no campaign with outcomes, or a text without a vector.
    """
    found = [_slates(database, features) for database in databases]
    wide, long = (max(part.features.shape[axis] for part in found) for axis in (2, 1))
    parts = zip(*(_padded(part, long, wide) for part in found), strict=True)
    return learn_prior(*(torch.cat(list(part)) for part in parts), guess=reward_prior(PriorConfig()))


def _slates(database: Path, features: int) -> Slates:
    engine = open_database(database, create=False)
    try:
        ledger, vectors = Ledger(engine), stored_vectors(engine)
        campaigns = [Campaign(name, (0,)) for name in ledger.names()]
        ledger.resume(campaigns)
    finally:
        engine.dispose()
    played = [campaign for campaign in campaigns if campaign.state.closed]
    if not played:
        raise InputError(f"{database} holds no campaign with outcomes; give the database of one that was played")
    texts = list(dict.fromkeys(text for campaign in played for text in campaign.state.slate))
    if missing := [text for text in texts if text not in vectors]:
        raise InputError(f"{database} holds no sentence vector of {missing[0]!r}; play the study again with --force")
    reduce = Reduction.fit(torch.stack([vectors[text] for text in texts]), features)
    return Slates.of(played, lambda some: reduce(torch.stack([vectors[text] for text in some])))


def _padded(slates: Slates, texts: int, features: int) -> tuple[Tensor, ...]:
    """Return features, impressions, clicks and presence, filled up with nothing to so many texts and features."""
    more, wider = texts - slates.present.shape[1], features - slates.features.shape[2]
    return (
        torch.nn.functional.pad(slates.features, (0, wider, 0, more)),
        *(torch.nn.functional.pad(counts, (0, more)) for counts in slates.for_all),
        torch.nn.functional.pad(slates.present, (0, more)),
    )
