"""What a mixture may be worth once it is decoded: an optimistic bound on the logit of its text."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from bandits.inputs import broadcasts_to, finite_tensor
from bandits.mixtures.channel import Channel
from bandits.posterior import Posterior, with_intercept
from copyloom import InputError

#: From features (..., N, d) to the posterior's features (..., N, p), such as `QuadraticFeatures`.
FeatureMap: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class RealisedBound:
    """Mean + exploration * sd of the logit of the text that will come of a wanted point: a `MixtureReward`.

    The channel says what text will come, with an error; the posterior what that text may be worth. The sd includes
    the channel's error and the new text's own effect (by the law of total variance). Behind a
    feature map both moments are taken over the error by the cubature rule of third degree (Arasaratnam and Haykin 2009,
    IEEE Trans. Automatic Control 54(6), equation 28), by which the mean is exact for a quadratic map.

    Attributes
    ----------
    channel : Channel
        Shared, or one per campaign in its leading dimensions.
    posterior : Posterior
        One per campaign in its leading dimensions; in the features of the map, if there is one.
    exploration : float
        Width of the bound in standard deviations.
    feature_map : callable, optional
        Differentiable by torch.
    """

    channel: Channel
    posterior: Posterior
    exploration: float
    feature_map: FeatureMap | None = None

    def __post_init__(self) -> None:
        d, known = self.channel.coefficients_.shape[-1], self.posterior.coefficients.shape[-1] - 1
        if self.feature_map is None and d != known:
            raise InputError(
                f"the channel gives {d} features but the posterior knows {known}; pass the feature_map that it was "
                "fitted with, or a posterior of the channel's features"
            )
        leading = self.channel.coefficients_.shape[:-2]
        if not broadcasts_to(leading, self.posterior.leading):
            raise InputError(
                f"the channel is for campaigns {tuple(leading)} but the posterior for {tuple(self.posterior.leading)}; "
                "pass a channel for the same, or one for all"
            )

    def of(self, features: Tensor) -> Tensor:
        """Bounds (..., Q) of wanted points with these features, (Q, d) or (..., Q, d)."""
        if self.feature_map is not None:
            return self._mapped(features, self.feature_map)
        rows = self._rows(features)
        line, square, rest = self._form
        variance = ((rows @ square) * rows).sum(-1) + rest
        return (rows @ line[..., None])[..., 0] + self.exploration * variance.sqrt()

    def value(self, features: Tensor) -> Tensor:
        """Bounds (B, Q) of points with features (B, Q, d), all leading dimensions in one."""
        bounds = self.of(features.reshape(*self.posterior.leading, *features.shape[1:]))
        return bounds.reshape(features.shape[:-1]).cpu()

    def gradient(self, features: Tensor) -> Tensor:
        """Gradients (B, Q, d) of the bounds at features (B, Q, d)."""
        if self.feature_map is None:
            rows = self._rows(features.reshape(*self.posterior.leading, *features.shape[1:]))
            line, square, rest = self._form
            pull = rows @ square
            sd = ((pull * rows).sum(-1) + rest).sqrt()
            slope = line[..., None, :] + self.exploration * pull / sd[..., None]
            return slope[..., 1:].reshape(features.shape).cpu()
        features = features.detach().requires_grad_()
        total = self.value(features).sum()
        if not total.requires_grad:
            raise InputError("the feature map is not differentiable by torch; compute it with torch operations")
        return torch.autograd.grad(total, features)[0]

    @functools.cached_property
    def _form(self) -> tuple[Tensor, Tensor, Tensor]:
        """The bound's moments as polynomials of x, a one and then features: line . x, and x' square x + rest."""
        coefficients, error = self.channel.coefficients_, self.channel.residual_variance_
        p = coefficients.shape[-2]
        one = torch.eye(p, dtype=coefficients.dtype, device=coefficients.device)[:, :1]
        realised = torch.cat([one.expand(*coefficients.shape[:-1], 1), coefficients], dim=-1)  # x to (1, mean)
        beta = self.posterior.coefficients
        covariance = torch.cholesky_inverse(self.posterior.precision_cholesky)
        drift = (error * self.posterior.theta_second_moment()).sum(-1)[..., None]
        square = realised @ covariance @ realised.mT
        square = square + drift[..., None] * torch.cholesky_inverse(self.channel.precision_cholesky_)
        return (realised @ beta[..., None])[..., 0], square, drift + self.posterior.text_effect_variance

    def _mapped(self, features: Tensor, feature_map: FeatureMap) -> Tensor:
        """Bounds (..., Q) behind a feature map."""
        realised, error = self.channel.predict(features)
        *_, Q, d = realised.shape
        away = torch.diag_embed((d * error).sqrt())  # (..., Q, d, d)
        nodes = torch.cat([realised[..., None, :] + away, realised[..., None, :] - away], dim=-2)
        mapped, known = feature_map(nodes.flatten(-3, -2)), self.posterior.coefficients.shape[-1] - 1
        if mapped.shape[-1] != known:
            raise InputError(f"the feature map gives {mapped.shape[-1]} features; the posterior was fitted on {known}")
        mean, variance = self.posterior.predict(mapped)
        mean, variance = mean.unflatten(-1, (Q, 2 * d)), variance.unflatten(-1, (Q, 2 * d))
        variance = variance.mean(-1) + mean.var(-1, correction=0)
        return mean.mean(-1) + self.exploration * variance.sqrt()

    def _rows(self, features: Tensor) -> Tensor:
        """A one, then the features."""
        features = finite_tensor("features", features).to(self.channel.coefficients_.device)
        d = self.channel.coefficients_.shape[-1]
        if features.shape[-1] != d:
            raise InputError(f"reduce gave {features.shape[-1]} features; the channel was fitted on {d}")
        return with_intercept(features)
