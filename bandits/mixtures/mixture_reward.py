"""What a search for mixtures maximises."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class MixtureReward(Protocol):
    """What a search maximises: a differentiable function of features, one per campaign."""

    def value(self, features: Tensor) -> Tensor:
        """Rewards (B, Q) of features (B, Q, d), float64."""

    def gradient(self, features: Tensor) -> Tensor:
        """Gradients (B, Q, d) at features (B, Q, d), float64."""


@dataclass(frozen=True, eq=False)
class LinearReward:
    """features . theta: a posterior mean, or one draw for Thompson sampling.

    Attributes
    ----------
    theta : Tensor of shape (B, d), float64
    """

    theta: Tensor

    def value(self, features: Tensor) -> Tensor:
        """Rewards: (B, Q)."""
        return (features @ self.theta[..., None])[..., 0]

    def gradient(self, features: Tensor) -> Tensor:
        """Theta, everywhere: (B, Q, d)."""
        return self.theta[..., None, :].expand_as(features)
