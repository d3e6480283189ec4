"""Attribution of all tokens of a text at once, in the manner of Captum's `Attribution` classes.

Captum's methods explain one target a call: for a text of T tokens they read the input T times anew. Here a forward
function takes inputs (B, ...), such as P vectors or K weights, and returns one number a token, (B, T); attributions
have a place for the token before those of the input, (B, T, ...).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from captum.attr import Attribution
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from experiments.explorer.jacobian import token_jacobian

STEPS = 20


class TokenInputXGradient(Attribution):
    """Each number of the input times the slope of a token's number; Captum's `InputXGradient` for all tokens."""

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions are slopes times inputs."""
        return True

    def attribute(self, inputs: Tensor) -> Tensor:
        """Return attributions (B, T, ...) for inputs (B, ...)."""
        return token_jacobian(self.forward_func, inputs)[1] * inputs[:, None]


class TokenSensitivity(Attribution):
    """How far each token's number moves with its input: the norm of the Jacobian's rows."""

    def attribute(self, inputs: Tensor) -> Tensor:
        """Return norms (B, T) for inputs (B, ...)."""
        return token_jacobian(self.forward_func, inputs)[1].flatten(2).norm(dim=-1)


class TokenIntegratedGradients(Attribution):
    """Integrated gradients [Sundararajan2017]_ of all tokens, by Gauss and Legendre's rule.

    Slopes are averaged along the straight way from a baseline to the input, and multiplied by the difference. Their sum
    is the difference of the token's number at both ends, but for the error of the rule: the convergence delta.

    .. [Sundararajan2017] M. Sundararajan, A. Taly, Q. Yan. Axiomatic attribution for deep networks. ICML 2017.
    """

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions are slopes times differences of inputs."""
        return True

    def has_convergence_delta(self) -> bool:
        """Return whether `compute_convergence_delta` is there."""
        return True

    def attribute(
        self, inputs: Tensor, baselines: Tensor | None = None, n_steps: int = STEPS, internal_batch_size: int = 16,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> Tensor:  # fmt: skip
        """Return attributions (B, T, ...).

        Parameters
        ----------
        inputs : Tensor of shape (B, ...)
        baselines : Tensor of the same shape, optional
            Zero unless given.
        n_steps : int
            Places along the way at which slopes are taken.
        internal_batch_size : int
            How many of them are read together.
        report : callable
            Hears how many of all places were read.
        """
        start = torch.zeros_like(inputs) if baselines is None else baselines.expand_as(inputs)
        places, shares = (torch.from_numpy(numbers).to(inputs) / 2 for numbers in leggauss(n_steps))
        found = []
        for row, (here, there) in enumerate(zip(start, inputs, strict=True)):
            total = inputs.new_zeros(())
            for first in range(0, n_steps, internal_batch_size):
                part = slice(first, first + internal_batch_size)
                along = (places[part] + 0.5).view(-1, *[1] * here.ndim)
                slopes = token_jacobian(self.forward_func, here + along * (there - here))[1]
                total = total + torch.einsum("n,n...->...", shares[part].to(slopes), slopes)
                report(row * n_steps + min(part.stop, n_steps), len(inputs) * n_steps)
            found.append(total * (there - here))
        return torch.stack(found)

    @torch.no_grad()
    def compute_convergence_delta(self, attributions: Tensor, start_point: Tensor, end_point: Tensor) -> Tensor:
        """Return by how much the attributions of each token (B, T) miss the difference of its number at both ends."""
        ends = self.forward_func(end_point) - self.forward_func(start_point.expand_as(end_point))
        return attributions.flatten(2).sum(-1) - ends


class TokenOcclusion(Attribution):
    """How much of each token's number goes when parts of the input are put back to a baseline, one at a time."""

    @torch.no_grad()
    def attribute(self, inputs: Tensor, baselines: Tensor | None = None) -> Tensor:
        """Return what each part brings: (B, T, N) for N parts, the P vectors of (B, P, D) or K weights of (B, K).

        Parameters
        ----------
        inputs : Tensor of shape (B, N, ...)
        baselines : Tensor of the same shape, optional
            Zero unless given.
        """
        start = torch.zeros_like(inputs) if baselines is None else baselines.expand_as(inputs)
        count = inputs.shape[1]
        parts = torch.eye(count, dtype=torch.bool, device=inputs.device).view(count, 1, count, *[1] * (inputs.ndim - 2))
        without = torch.where(parts, start, inputs)  # (N, B, N, ...)
        left = self.forward_func(without.flatten(0, 1)).unflatten(0, without.shape[:2])
        return (self.forward_func(inputs) - left).permute(1, 2, 0)
