"""What is believed about the rewards of texts, shown and unseen: a Gaussian over their logits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import broadcasts_to, finite_tensor, mask_tensor
from bandits.numbers import check_count, check_number
from bandits.streams import Generators, standard_normal
from copyloom import InputError


@dataclass(frozen=True, eq=False)
class Posterior:
    """Gaussian over each campaign's intercept, theta and text effects; `LogisticRewardModel.fit` makes it.

    A text's logit is b + x_i . theta + u_i. The belief is stored in two exact parts. The coefficients, beta =
    (b, theta), are N(m, Lambda^-1). Given them, the text effects are independent: u_i | beta ~ N(mean_i - (1 - o_i)
    x_i . (beta - m), o_i text_effect_sd^2), where o_i in (0, 1] is how open the effect of text i's own still is (1 for
    a text never shown, towards 0 with its impressions). So nothing of size N x N is ever factorised.

    Attributes
    ----------
    design : Tensor of shape (..., N, 1 + d)
        A one, then the features of the slate's texts; zeros in absent rows.
    present : Tensor of shape (..., N), bool
        False in the padding rows of ragged slates. Whatever is said of an absent text has no meaning.
    coefficients : Tensor of shape (..., 1 + d)
        Posterior mean m of the intercept and theta.
    text_effects : Tensor of shape (..., N)
        Posterior mean of the text effects.
    precision_cholesky : Tensor of shape (..., 1 + d, 1 + d)
        Lower Cholesky factor of Lambda, the marginal precision of the coefficients.
    openness : Tensor of shape (..., N)
        The o_i.
    text_effect_variance : float
        Prior variance of a text's own effect, in squared logits.
    """

    design: Tensor
    present: Tensor
    coefficients: Tensor
    text_effects: Tensor
    precision_cholesky: Tensor
    openness: Tensor
    text_effect_variance: float

    @property
    def leading(self) -> torch.Size:
        """The leading dimensions: campaigns held side by side; empty for a single one."""
        return self.coefficients.shape[:-1]

    @property
    def mean(self) -> Tensor:
        """Posterior mean of (intercept, theta, text effects): Tensor of shape (..., 1 + d + N)."""
        return torch.cat([self.coefficients, self.text_effects], dim=-1)

    @property
    def covariance(self) -> Tensor:
        """Posterior covariance in the order of `mean`: Tensor of shape (..., 1 + d + N, 1 + d + N)."""
        head = torch.cholesky_inverse(self.precision_cholesky)
        pull = (1 - self.openness)[..., None] * self.design  # (..., N, 1 + d)
        cross = -pull @ head
        effects = torch.diag_embed(self._effect_variance()) - cross @ pull.mT
        top = torch.cat([head, cross.mT], dim=-1)
        return torch.cat([top, torch.cat([cross, effects], dim=-1)], dim=-2)

    def logits(self) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of the slate's logits b + x_i . theta + u_i.

        Returns
        -------
        mean, variance : Tensor of shape (..., N)
            In logits and squared logits.
        """
        spread = self._coefficient_variance(self.design)
        return self._logit_mean(), self.openness**2 * spread + self._effect_variance()

    def predict(self, features: Any) -> tuple[Tensor, Tensor]:
        """Mean and variance of the logits of texts that were never shown, their own effects included.

        Use `logits` instead for texts of the slate: it knows what their own clicks say.

        Parameters
        ----------
        features : array of shape (..., Q, d)
            Features of the unseen texts; the leading dimensions broadcast against the campaigns'.

        Returns
        -------
        mean, variance : Tensor of shape (..., Q)
        """
        rows = with_intercept(self._matching(features))
        mean = (rows @ self.coefficients[..., None])[..., 0]
        return mean, self._coefficient_variance(rows) + self.text_effect_variance

    def sample_logits(
        self, draws: int, generator: Generators, scale: float = 1.0, dtype: torch.dtype = torch.float64
    ) -> Tensor:
        """Joint posterior draws of the slate's logits.

        Parameters
        ----------
        draws : int
            Draws per campaign.
        generator : torch.Generator or sequence of them
            One per campaign; a campaign's draws depend on its own generator and present texts alone.
        scale : float
            Factor on the deviations from the mean: 1 is the posterior, 0.5 half-scale Thompson sampling.
        dtype : torch.dtype
            float64, or float32, which is about twice as fast and off by some 1e-6.

        Returns
        -------
        Tensor of shape (..., draws, N), of that type

        Raises
        ------
        InputError
            If draws, scale or the number of generators are not usable.
        """
        deviations = self._flat(scale * self._coefficient_draws(draws, generator, scale, dtype), 2)
        pull = self._flat(self.openness[..., None] * self.design, 2).mT.to(dtype)
        logits = self._flat(self._logit_mean(), 1)[:, None].to(dtype)
        if self.text_effect_variance > 0:
            noise = standard_normal(draws, self._flat(self.present, 1), generator, dtype)
            noise *= scale * self._flat(self._effect_variance(), 1).sqrt()[:, None].to(dtype)
            logits = noise.add_(logits)  # in place: this array is large
        return torch.baddbmm(logits, deviations, pull).reshape(*self.leading, draws, self.present.shape[-1])

    def theta_second_moment(self) -> Tensor:
        """E[theta_j^2], by which independent errors in the features are weighed: Tensor of shape (..., d)."""
        variance = torch.cholesky_inverse(self.precision_cholesky).diagonal(dim1=-2, dim2=-1)
        return (self.coefficients.square() + variance)[..., 1:]

    def of(self, campaigns: Sequence[int]) -> "Posterior":
        """Return the belief of some campaigns, by their numbers in the first leading dimension."""
        rows = list(campaigns)
        return Posterior(
            self.design[rows],
            self.present[rows],
            self.coefficients[rows],
            self.text_effects[rows],
            self.precision_cholesky[rows],
            self.openness[rows],
            self.text_effect_variance,
        )

    def joined_by(self, features: Any, present: Any = None) -> "Posterior":
        """Return the belief after texts that were never shown have joined the slates, at their ends.

        It is what `fit` would return with them: without impressions they teach nothing.

        Parameters
        ----------
        features : array of shape (..., Q, d)
            Leading dimensions as the campaigns'.
        present : array of shape (..., Q), bool, optional
            False in padding rows.
        """
        rows = with_intercept(self._matching(features)).expand(*self.leading, -1, -1)
        mask = mask_tensor("present", present, rows.shape[:-1]).to(rows.device)
        rows = torch.where(mask[..., None], rows, 0.0)
        unseen = torch.ones(rows.shape[:-1], dtype=rows.dtype, device=rows.device)
        return Posterior(
            torch.cat([self.design, rows], dim=-2),
            torch.cat([self.present, mask], dim=-1),
            self.coefficients,
            torch.cat([self.text_effects, torch.zeros_like(unseen)], dim=-1),
            self.precision_cholesky,
            torch.cat([self.openness, unseen], dim=-1),
            self.text_effect_variance,
        )

    def _logit_mean(self) -> Tensor:
        return (self.design @ self.coefficients[..., None])[..., 0] + self.text_effects

    def _effect_variance(self) -> Tensor:
        """Variance of the text effects when the coefficients are known: (..., N)."""
        return self.text_effect_variance * self.openness

    def _coefficient_variance(self, rows: Tensor) -> Tensor:
        """Variance of rows . beta: (..., Q)."""
        half = torch.linalg.solve_triangular(self.precision_cholesky, rows.mT, upper=False)
        return half.square().sum(dim=-2)

    def _coefficient_draws(self, draws: int, generator: Generators, scale: float, dtype: torch.dtype) -> Tensor:
        """Draws of beta - m: (..., draws, 1 + d); rows z L^-1 have covariance (L L')^-1."""
        check_count("draws", draws)
        check_number("scale", scale, least=0)
        everything = torch.ones_like(self._flat(self.coefficients, 1), dtype=torch.bool)
        noise = standard_normal(draws, everything, generator, dtype)
        factor = self._flat(self.precision_cholesky, 2).to(dtype)
        deviations = torch.linalg.solve_triangular(factor, noise, upper=False, left=False)
        return deviations.reshape(*self.leading, *deviations.shape[1:])

    def _flat(self, tensor: Tensor, trailing: int) -> Tensor:
        """All leading dimensions as one: (B, ...)."""
        return tensor.reshape(math.prod(self.leading), *tensor.shape[tensor.ndim - trailing :])

    def _matching(self, features: Any) -> Tensor:
        """Features as a tensor, (..., Q, d), that broadcasts against the campaigns."""
        tensor = finite_tensor("features", features).to(self.coefficients.device)
        d = self.coefficients.shape[-1] - 1
        leading = tensor.shape[:-2]
        fits = broadcasts_to(leading, self.leading) or broadcasts_to(self.leading, leading)
        if tensor.ndim < 2 or tensor.shape[-1] != d or not fits:
            wanted = ", ".join([*map(str, self.leading), "Q", str(d)])
            raise InputError(f"features has shape {tuple(tensor.shape)}; pass ({wanted}) or (Q, {d})")
        return tensor


def with_intercept(features: Tensor) -> Tensor:
    """Features with a leading column of ones: Tensor of shape (..., N, 1 + d)."""
    return torch.cat([torch.ones_like(features[..., :1]), features], dim=-1)
