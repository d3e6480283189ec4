"""Does the prior fit? How surprising the clicks are to everything that was believed before them."""

from typing import Any

import torch
from torch import Tensor

from bandits.inputs import check_count
from bandits.rewards.reward_model import LogisticRewardModel
from bandits.rewards.statistics import check_most, checked_rows
from bandits.streams import Generators
from copyloom import InputError


def predictive_conflict(
    model: LogisticRewardModel,
    features: Any,
    impressions: Any,
    clicks: Any,
    generator: Generators,
    *,
    present: Any = None,
    draws: int = 200,
) -> Tensor:
    """How surprising the clicks are to the whole prior: z-score of their log predictive score (Box 1980).

    The score is the log probability of the clicks given the impressions under the prior (Laplace's evidence). Its
    mean and standard deviation are taken over clicks drawn from the same prior. Around 0 if the prior fits; below
    about -3 something in it (base rate, scales, the text prior) is wrong. `TrustReport.conflict` says whether it is
    the text prior.

    Parameters
    ----------
    model : LogisticRewardModel
    features : array of shape (..., N, d)
    impressions, clicks : array of shape (..., N)
        Whole numbers.
    generator : torch.Generator or sequence of them
        One per campaign; each advances.
    present : array of shape (..., N), bool, optional
    draws : int
        Replications drawn per campaign; the z-score has a relative error of about 1 / sqrt(2 draws).

    Returns
    -------
    Tensor of shape (...)

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, or counts are impossible or not whole.
    """
    check_count("draws", draws, least=2)
    design, mask, (n, c) = checked_rows(features, present, impressions=impressions, clicks=clicks)
    check_most("clicks", c, "impressions", n)
    if (n != n.round()).any() or (c != c.round()).any():
        raise InputError("impressions or clicks are not whole numbers; pass counts that were not discounted")
    prior = model.fit(design[..., 1:], torch.zeros_like(n), torch.zeros_like(n), mask)
    rates = prior.sample_logits(draws, generator).sigmoid().movedim(-2, 0)  # (draws, ..., N)
    clicks = torch.cat([c[None], _drawn(n.expand_as(rates), rates, generator)])
    posterior = model.fit(design[..., 1:], n, clicks, mask)
    scores = model.log_evidence(posterior, n.expand_as(clicks), clicks) + _log_binomial(n, clicks)  # (1 + draws, ...)
    spread = scores[1:].std(0)
    return torch.where(spread > 0, (scores[0] - scores[1:].mean(0)) / spread, 0)  # nothing shown says nothing


def _drawn(impressions: Tensor, rates: Tensor, generator: Generators) -> Tensor:
    """Clicks, each campaign's from its own stream: (draws, ..., N)."""
    streams = [generator] if isinstance(generator, torch.Generator) else list(generator)
    campaigns = [tensor.flatten(1, -2).unbind(1) if tensor.ndim > 2 else [tensor] for tensor in (impressions, rates)]
    drawn = [
        torch.binomial(n.to(stream.device), p.to(stream.device), generator=stream)
        for n, p, stream in zip(*campaigns, streams, strict=True)
    ]
    return torch.stack(drawn, dim=1).reshape(rates.shape).to(rates.device)


def _log_binomial(n: Tensor, c: Tensor) -> Tensor:
    """Log binomial coefficients, summed over texts: (...)."""
    return ((n + 1).lgamma() - (c + 1).lgamma() - (n - c + 1).lgamma()).sum(-1)
