"""L-BFGS over many independent problems at once, one a row, each with its own history and trust radius."""

from __future__ import annotations

import torch
from torch import Tensor

_HISTORY = 10
"""Pairs of steps and gradient changes that a row remembers."""
_CURVATURE = 1e-4
"""Least cosine between a step and the change of the gradient along it for the pair to be remembered."""


class RowwiseLBFGS:
    """Minimise B functions of N variables each, evaluated together, without a line search.

    Each step is the two-loop recursion (Nocedal and Wright, Numerical Optimization, 2nd edition, algorithm 7.4), cut to
    the row's trust radius. A line search would evaluate again for the slowest row; the radius costs nothing. Under it
    the long step of Barzilai and Borwein (1988), s's / s'y, can be the first guess of the inverse curvature: it takes a
    fifth fewer steps than the usual s'y / y'y. Rows may be replaced at any time, as their history is their own.

    Parameters
    ----------
    rows, size : int
        B and N.
    device : torch.device

    Attributes
    ----------
    points : Tensor of shape (B, N)
        float32; where the next gradient is wanted.
    """

    def __init__(self, rows: int, size: int, device: torch.device) -> None:
        zeros = torch.zeros(rows, size, device=device)
        self.points = zeros.clone()
        self._last_points, self._last_gradients = zeros.clone(), zeros.clone()
        self._steps, self._changes = zeros.repeat(_HISTORY, 1, 1), zeros.repeat(_HISTORY, 1, 1)
        self._inverse_curvatures = torch.zeros(_HISTORY, rows, device=device)  # newest first; 0: no pair there
        self._scales = torch.zeros(rows, device=device)  # 0: no pair yet
        self._radii = torch.zeros(rows, device=device)
        self._moved = torch.zeros(rows, dtype=torch.bool, device=device)

    def put(self, rows: Tensor, points: Tensor, radii: Tensor) -> None:
        """Start `rows` (n,) afresh at `points` (n, N), with trust `radii` (n,): root mean square of a step."""
        for state in self._states():
            state[rows] = 0  # all of it: what is not a number would outlive a weight of nought
        for history in self._histories():
            history[:, rows] = 0
        self.points[rows], self._radii[rows] = points, radii

    def move(self, source: Tensor, target: Tensor) -> None:
        """Copy the state of rows `source` (n,) to rows `target` (n,)."""
        for state in self._states():
            state[target] = state[source]
        for history in self._histories():
            history[:, target] = history[:, source]

    def step(self, gradients: Tensor) -> None:
        """Move the first n rows, given their `gradients` (n, N)."""
        n = len(gradients)
        self._remember(gradients)
        direction, weights = gradients.clone(), []
        order = range(len(self._steps))
        for i in order:
            weight = self._inverse_curvatures[i, :n] * _dot(self._steps[i, :n], direction)
            direction.addcmul_(self._changes[i, :n], weight[:, None], value=-1)
            weights.append(weight)
        direction *= torch.where(self._scales > 0, self._scales, 1)[:n, None]
        for i, weight in zip(reversed(order), reversed(weights), strict=True):
            back = weight - self._inverse_curvatures[i, :n] * _dot(self._changes[i, :n], direction)
            direction.addcmul_(self._steps[i, :n], back[:, None])
        length = direction.square().mean(1).sqrt().clamp_min(1e-30)
        shrink = self._radii[:n] / length
        shrink = torch.where(self._scales[:n] > 0, shrink.clamp_max(1), shrink)  # the first step has the radius itself
        self._last_points[:n], self._last_gradients[:n] = self.points[:n], gradients
        self._moved[:n] = True
        self.points[:n] -= shrink[:, None] * direction

    def _states(self) -> tuple[Tensor, ...]:
        return self.points, self._last_points, self._last_gradients, self._scales, self._radii, self._moved

    def _histories(self) -> tuple[Tensor, ...]:
        return self._steps, self._changes, self._inverse_curvatures

    def _remember(self, gradients: Tensor) -> None:
        """Store the last step and what it changed first, and drop the oldest pair."""
        n = len(gradients)
        self._steps, self._changes, self._inverse_curvatures = (history.roll(1, 0) for history in self._histories())
        step = self.points[:n] - self._last_points[:n]
        change = gradients - self._last_gradients[:n]
        curvature, step_squared, change_squared = _dot(step, change), _dot(step, step), _dot(change, change)
        good = self._moved[:n] & (curvature > _CURVATURE * (step_squared * change_squared).sqrt())
        self._steps[0, :n], self._changes[0, :n] = step, change
        self._inverse_curvatures[0] = 0
        self._inverse_curvatures[0, :n] = torch.where(good, 1 / curvature, 0)
        self._scales[:n] = torch.where(good, step_squared / curvature, self._scales[:n])


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """Return the inner product of each row, (n,)."""
    return torch.linalg.vecdot(first, second)
