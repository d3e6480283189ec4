"""Wanted to realised: what the text of a mixture will be like once it is decoded."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bandits.inputs import as_tensor, finite_tensor, mask_tensor
from bandits.numbers import check_number
from bandits.posterior import with_intercept
from copyloom import InputError


@dataclass(frozen=True, eq=False)
class Channel:
    """A fitted `RealisedFeatureMap`: predicts realised features from wanted ones.

    Attributes
    ----------
    coefficients_ : Tensor of shape (..., 1 + d, d)
        Row 0 is the offset, rows 1 to d the linear map.
    residual_variance_ : Tensor of shape (..., d)
        Variance of each realised feature around its prediction, were the map known.
    precision_cholesky_ : Tensor of shape (..., 1 + d, 1 + d)
        Lower factor of the ridge matrix: how well the map is known, in units of the residual variance.
    """

    coefficients_: Tensor
    residual_variance_: Tensor
    precision_cholesky_: Tensor

    def predict(self, features: Any) -> tuple[Tensor, Tensor]:
        """Mean and variance of the realised features of mixtures not yet decoded.

        Parameters
        ----------
        features : array of shape (..., Q, d)
            Reduced features of the wanted points; leading dimensions broadcast.

        Returns
        -------
        mean, variance : Tensor of shape (..., Q, d)
            The variance is the residual's plus that of the fitted map.
        """
        features = finite_tensor("features", features).to(self.coefficients_.device)
        d = self.coefficients_.shape[-1]
        if features.ndim < 2 or features.shape[-1] != d:
            raise InputError(f"features has shape {tuple(features.shape)}; the channel was fitted on (..., Q, {d})")
        rows = with_intercept(features)
        half = torch.linalg.solve_triangular(self.precision_cholesky_, rows.mT, upper=False)
        leverage = half.square().sum(dim=-2)
        variance = self.residual_variance_[..., None, :] * (1 + leverage[..., None])
        return rows @ self.coefficients_, variance


class RealisedFeatureMap:
    """Ridge regression from wanted to realised features, shrunk towards the identity.

    Conjugate Bayesian linear regression per feature (Bishop 2006, section 3.3, with an inverse-gamma residual
    variance), whose prior mean says that decoding gives what was wanted. With no pair seen it
    predicts the wanted point's own features.

    Parameters
    ----------
    strength : float
        Weight of the identity, in mixtures seen: with whitened features it counts as much as this many pairs.
    residual_variance : float
        What the residual variance is taken to be before any pair, in units of whitened features (variance
        1). Half is what a cosine of about 0.7 between wanted and realised leaves.
    residual_strength : float
        Weight of that, in pairs.

    Examples
    --------
    >>> import torch
    >>> untaught = RealisedFeatureMap().fit(torch.empty(0, 2), torch.empty(0, 2))
    >>> untaught.predict(torch.tensor([[0.5, -1.0]]))[0].tolist()
    [[0.5, -1.0]]
    """

    def __init__(
        self, *, strength: float = 10.0, residual_variance: float = 0.5, residual_strength: float = 10.0
    ) -> None:
        check_number("strength", strength, least=0, above=True)
        check_number("residual_variance", residual_variance, least=0, above=True)
        check_number("residual_strength", residual_strength, least=0, above=True)
        self.strength = strength
        self.residual_variance = residual_variance
        self.residual_strength = residual_strength

    def fit(self, wanted: Any, realised: Any, present: Any = None) -> Channel:
        """The map after these pairs, which may come in any order.

        Parameters
        ----------
        wanted, realised : array of shape (..., n, d)
            Reduced features of the wanted points and of the texts really decoded; n may be 0.
        present : array of shape (..., n), bool, optional
            False in padding rows, whose values are ignored.
        """
        wanted, realised = as_tensor("wanted", wanted), as_tensor("realised", realised)
        if wanted.ndim < 2 or wanted.shape != realised.shape or wanted.shape[-1] < 1:
            raise InputError(
                f"wanted has shape {tuple(wanted.shape)} and realised {tuple(realised.shape)}; "
                "pass (..., n, d) for both"
            )
        seen = mask_tensor("present", present, wanted.shape[:-1]).to(wanted.device)[..., None]
        wanted = finite_tensor("wanted", torch.where(seen, wanted, 0))
        drift = finite_tensor("realised", torch.where(seen, realised, 0)) - wanted
        design = torch.where(seen, with_intercept(wanted), 0)
        return self._regress(design, drift, seen.sum(dim=-2))

    def _regress(self, design: Tensor, drift: Tensor, count: Tensor) -> Channel:
        """Ridge of the drift (realised minus wanted) towards 0, which is the map towards the identity."""
        p, d = design.shape[-1], drift.shape[-1]
        ridge = self.strength * torch.eye(p, dtype=design.dtype, device=design.device)
        factor = torch.linalg.cholesky(design.mT @ design + ridge)
        pull = torch.cholesky_solve(design.mT @ drift, factor)  # (..., 1 + d, d)
        misfit = (drift - design @ pull).square().sum(dim=-2) + self.strength * pull.square().sum(dim=-2)
        prior = self.residual_strength * self.residual_variance
        identity = torch.eye(p, dtype=design.dtype, device=design.device)[:, 1:]
        return Channel(
            coefficients_=pull + identity.expand(*pull.shape[:-2], p, d),
            residual_variance_=(prior + misfit) / (self.residual_strength + count),
            precision_cholesky_=factor,
        )
