"""From counts to beliefs: what the reward model reads of a text, what it reads of a text in a segment, and the fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from bandits import LogisticRewardModel, Posterior, RewardPrior
from bandits.rewards.features import Interactions, QuadraticFeatures, RandomFourierFeatures, segment_context
from bandits.rewards.text_prior import TextPrior, TrustReport
from experiments.campaigns.config import PriorConfig, SegmentsConfig


@dataclass(frozen=True, eq=False)
class Rewards:
    """What clicks teach about texts, from d features of each.

    Parameters
    ----------
    prior : PriorConfig
    features : int
        d.
    opinion : Tensor of shape (d,), optional
        What earlier texts say of each feature, in logits; see `opinion_of`.
    """

    prior: PriorConfig
    features: int
    opinion: Tensor | None = None

    @property
    def feature_map(self) -> Callable[[Tensor], Tensor] | None:
        """What a mixture proposer must know of `widen`; None where it changes nothing."""
        return None if self._curve is None and self.opinion is None else self.widen

    def widen(self, features: Tensor) -> Tensor:
        """Return the columns that the model reads, (..., N, p), of d features: curved, and with what the past says."""
        wide = features.double() if self._curve is None else self._curve(features)
        if self.opinion is None:
            return wide
        return self._text_prior.append(wide, features.double() @ self.opinion, 0.0)

    def fit(self, features: Tensor, impressions: Tensor, clicks: Tensor, present: Tensor) -> Posterior:
        """Return the belief about all shoppers, from features (S, N, d) and counts (S, N)."""
        if self.opinion is None:
            model = LogisticRewardModel(reward_prior(self.prior))
        else:
            model = self._text_prior.model(reward_prior(self.prior), self._width)
        return model.fit(self.widen(features), impressions, clicks, present)

    def trust(self, belief: Posterior) -> TrustReport:
        """Return how far clicks bore out what the past says, by a belief of `fit`."""
        return self._text_prior.report(belief)

    def fit_segments(
        self, features: Tensor, impressions: Tensor, clicks: Tensor, present: Tensor, config: SegmentsConfig
    ) -> Posterior:
        """Return the belief about texts in each of G segments, from features (S, N, d) and counts (S, N, G).

        Its texts are the N x G pairs, the segments of a text side by side: taste that all segments share, taste of
        each, a base rate of each, and what features do not explain, of the text everywhere and of the pair alone.

        The first columns describe the pair: see `segment_columns`.
        """
        S, N, G = impressions.shape
        rows = self.segment_columns(features, G, config)
        own = math.sqrt(1 - config.share) * self.prior.text_effect_sd  # of a text, in all segments
        everywhere = torch.eye(N, dtype=torch.float64).repeat_interleave(G, 0).expand(S, -1, -1)
        width = self._interactions(G, config).width
        told = rows.shape[-1] - width
        sds = [self.prior.logit_sd / math.sqrt(width)] * width
        mean = [0.0] * width + [self._text_prior.trust] * told + [0.0] * N
        scales = replace(reward_prior(self.prior), text_effect_sd=math.sqrt(config.share) * self.prior.text_effect_sd)
        model = LogisticRewardModel(
            scales, theta_mean=mean, theta_sd=sds + [self._text_prior.trust_sd] * told + [own] * N
        )
        there = present.repeat_interleave(G, 1)
        return model.fit(torch.cat([rows, everywhere], -1), impressions.flatten(1), clicks.flatten(1), there)

    def segment_columns(self, features: Tensor, segments: int, config: SegmentsConfig) -> Tensor:
        """Return what describes texts in G segments, (S, N x G, p), of their features (S, N, d)."""
        wide = self.widen(features)
        context = segment_context(list(range(segments)), [1 / segments] * segments)
        pairs = self._interactions(segments, config)(wide[..., None, : self._width], context)
        told = wide[..., None, self._width :].expand(*pairs.shape[:-1], -1)
        return torch.cat([pairs, told], -1).flatten(-3, -2)

    def _interactions(self, segments: int, config: SegmentsConfig) -> Interactions:
        return Interactions(d=self._width, k=segments, share=config.share)

    @property
    def _width(self) -> int:
        return self.features if self._curve is None else self._curve.width

    @cached_property
    def _curve(self) -> QuadraticFeatures | RandomFourierFeatures | None:
        curvature = self.prior.curvature
        if curvature is None:
            return None
        kind = {"quadratic": QuadraticFeatures, "fourier": RandomFourierFeatures}[curvature.kind]
        return kind(d=self.features, share=curvature.share)

    @cached_property
    def _text_prior(self) -> TextPrior:
        given = self.prior.text_prior
        return TextPrior() if given is None else TextPrior(trust=given.trust, trust_sd=given.trust_sd, cap=given.cap)


def reward_prior(prior: PriorConfig) -> RewardPrior:
    """Return the prior of the plain reward model."""
    return RewardPrior(prior.base_rate, prior.logit_sd, prior.text_effect_sd, prior.intercept_sd)


def opinion_of(prior: PriorConfig, features: Tensor, impressions: Tensor, clicks: Tensor) -> Tensor:
    """Return what earlier texts and their clicks say of each feature, in logits, (d,).

    Parameters
    ----------
    prior : PriorConfig
    features : Tensor of shape (n, d)
        Of the earlier texts.
    impressions, clicks : Tensor of shape (n,)
    """
    shown, clicked = impressions.sum().item(), clicks.sum().item()
    scales = replace(reward_prior(prior), base_rate=(clicked + prior.base_rate) / (shown + 1))
    return LogisticRewardModel(scales).fit(features, impressions, clicks).coefficients[1:]
