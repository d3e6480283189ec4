"""Thompson sampling one decision at a time: a belief that follows every outcome, fitted anew now and then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.linalg import cholesky

from bandits.inputs import Array
from bandits.numbers import check_count, check_number
from bandits.online.bandit import Decision, Slate, check_outcome, share_left
from bandits.policies.policy import check_floor
from bandits.posterior import Posterior
from bandits.rewards.reward_model import LogisticRewardModel, RewardPrior


class OnlineThompson:
    """Probability matching with the logistic reward model, for streams of single decisions.

    The belief is that of `LogisticRewardModel`. Each outcome moves it by one Newton step, whose Hessian changes by a
    matrix of rank one; after `refit_every` outcomes it is fitted from the counts anew, so that what it knows then
    depends on the counts alone, not on their order. A decision draws the unknowns `draws` times and shows one of the
    winners: its share of the draws is the exact probability of the choice, given them.

    Use `ThompsonSampling` instead for snapshots, which is many times as fast an impression.

    Parameters
    ----------
    features : array of shape (N, d)
        Whitened features of the texts as realised.
    prior : RewardPrior or LogisticRewardModel
        A model where coefficients have priors of their own, such as that of `TextPrior.model`.
    scale : float
        Factor on the deviations of the draws from the posterior mean, at first.
    final_scale : float
        The factor after `horizon` decisions, to which it goes in a straight line.
    horizon : int, optional
        Decisions that are planned. Without it the factor stays what it is at first.
    half_life : float, optional
        Outcomes after which one counts half, where tastes change; all count alike unless given.
    draws : int
        A decision's.
    floor : float
        Least probability of each text that may be shown.
    refit_every : int
        Outcomes from one fit to the next.
    seed : int

    Examples
    --------
    >>> bandit = OnlineThompson([[1.0], [-1.0]], RewardPrior(base_rate=0.1, logit_sd=1.0))
    >>> for _ in range(300):
    ...     bandit.learn(Decision(0, 1.0), 0.0)
    ...     bandit.learn(Decision(1, 1.0), 1.0)
    >>> bandit.choose()
    Decision(text=1, propensity=1.0)
    """

    def __init__(
        self, features: Any, prior: RewardPrior | LogisticRewardModel, *, scale: float = 0.7, final_scale: float = 0.2,
        horizon: int | None = None, half_life: float | None = None, draws: int = 32, floor: float = 0.0,
        refit_every: int = 100, seed: int = 0,
    ) -> None:  # fmt: skip
        check_number("scale", scale, least=0)
        check_count("draws", draws)
        check_count("refit_every", refit_every)
        check_count("seed", seed, least=0)
        check_floor(floor)
        check_number("final_scale", final_scale, least=0)
        if horizon is not None:
            check_count("horizon", horizon)
        if half_life is not None:
            check_number("half_life", half_life, least=0, above=True)
        self.slate = Slate(features)
        self.model = prior if isinstance(prior, LogisticRewardModel) else LogisticRewardModel(prior)
        self.prior, self.scale, self.final_scale, self.horizon = self.model.prior, scale, final_scale, horizon
        self.half_life, self.draws, self.floor = half_life, draws, floor
        self.refit_every = refit_every
        self._rng = np.random.default_rng(seed)
        self._impressions, self._clicks = np.zeros((2, len(self.slate.features)))
        self._decided = self._since_fit = 0
        self._posterior: Posterior | None = None
        self._coefficients, self._effects = np.zeros(0), np.zeros(0)
        self._fit()

    def add(self, features: Any) -> list[int]:
        """Add texts of features (n, d); return their numbers. See `OnlineBandit.add`."""
        numbers = self.slate.add(features)
        self._impressions = np.concatenate([self._impressions, np.zeros(len(numbers))])
        self._clicks = np.concatenate([self._clicks, np.zeros(len(numbers))])
        self._fit()
        return numbers

    def retire(self, texts: Sequence[int]) -> None:
        """Never choose these texts again. See `OnlineBandit.retire`."""
        self.slate.retire(texts)

    def choose(self, eligible: Sequence[int] | None = None) -> Decision:
        """Return what to show, with its probability. See `OnlineBandit.choose`."""
        texts = self.slate.eligible(eligible)
        free = share_left(len(texts), self.floor)
        best = self._winners(texts)
        explored = self.floor > 0 and self._rng.random() >= free
        chosen = int(self._rng.integers(len(texts))) if explored else int(best[0])
        self._decided += 1
        return Decision(int(texts[chosen]), self.floor + free * float((best == chosen).mean()))

    def learn(self, decision: Decision, reward: float) -> None:
        """Take in a reward in [0, 1]. See `OnlineBandit.learn`."""
        check_outcome(decision, reward, self.slate)
        i = decision.text
        if self.half_life is not None:
            kept = 0.5 ** (1 / self.half_life)
            self._impressions *= kept
            self._clicks *= kept
        before = self._curvature(i)
        self._impressions[i] += 1
        self._clicks[i] += reward
        self._since_fit += 1
        if self._since_fit >= self.refit_every:
            self._fit()
        else:
            self._follow(i, float(reward), self._curvature(i) - before)

    def logits(self) -> tuple[Array, Array]:
        """Return posterior mean and variance (N,) of all texts' logits, retired ones included."""
        sd2 = self.prior.text_effect_sd**2
        spread = ((self._design @ self._covariance) * self._design).sum(-1)
        return self._design @ self._coefficients + self._effects, self._openness**2 * spread + sd2 * self._openness

    def _winners(self, texts: np.ndarray) -> np.ndarray:
        """The best of `texts` in each draw, as places in it: (draws,)."""
        rng, scale = self._rng, self._scale_now()
        root = cholesky(self._covariance, lower=True, check_finite=False)
        deviations = rng.standard_normal((self.draws, len(root))) @ root.T
        rows = self._design[texts]
        if self.prior.text_effect_sd == 0:
            return ((self._coefficients + scale * deviations) @ rows.T).argmax(1)
        openness = self._openness[texts]
        own = rng.standard_normal((self.draws, len(texts))) * (self.prior.text_effect_sd * np.sqrt(openness))
        mean = rows @ self._coefficients + self._effects[texts]
        return (mean + scale * (deviations @ (openness[:, None] * rows).T + own)).argmax(1)

    def _scale_now(self) -> float:
        if self.horizon is None:
            return self.scale
        left = max(0.0, 1 - self._decided / self.horizon)
        return self.final_scale + (self.scale - self.final_scale) * left

    def _fit(self) -> None:
        """Set the belief to what the counts say."""
        model, last = self.model, self._posterior
        if last is not None and last.design.shape[0] == len(self._impressions):
            coefficients, effects = torch.from_numpy(self._coefficients), torch.from_numpy(self._effects)
            start = replace(last, coefficients=coefficients, text_effects=effects)
            posterior = model.refit(start, self._impressions, self._clicks)
        else:
            posterior = model.fit(self.slate.features, self._impressions, self._clicks)
        self._posterior, self._design = posterior, posterior.design.numpy()
        self._coefficients = posterior.coefficients.numpy().copy()
        self._effects = posterior.text_effects.numpy().copy()
        self._openness = posterior.openness.numpy().copy()
        self._covariance = torch.cholesky_inverse(posterior.precision_cholesky).numpy()
        self._since_fit = 0

    def _curvature(self, i: int) -> float:
        """What text i adds to the precision of the coefficients, along its features."""
        weight = self._impressions[i] * _variance(self._design[i] @ self._coefficients + self._effects[i])
        return float(weight / (1 + self.prior.text_effect_sd**2 * weight))

    def _follow(self, i: int, reward: float, more: float) -> None:
        """Move the belief by one Newton step for one outcome of text i, which adds `more` to the precision along it."""
        x, sd2 = self._design[i], self.prior.text_effect_sd**2
        along = self._covariance @ x
        self._covariance -= np.outer(along, along * (more / (1 + more * float(x @ along))))
        logit = x @ self._coefficients + self._effects[i]
        surprise = reward - 1 / (1 + np.exp(-logit))
        self._openness[i] = 1 / (1 + sd2 * self._impressions[i] * _variance(logit))
        step = self._covariance @ x * (self._openness[i] * surprise)
        self._coefficients += step
        if sd2 > 0:
            self._effects -= (1 - self._openness) * (self._design @ step)
            self._effects[i] += sd2 * self._openness[i] * surprise


def _variance(logit: float) -> float:
    """Variance of a click at this logit."""
    rate = 1 / (1 + np.exp(-logit))
    return float(rate * (1 - rate))
