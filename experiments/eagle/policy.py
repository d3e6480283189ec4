"""The agent's policy: a softmax over actions, linear in a text's components and in where actions lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from copyloom import InputError
from experiments.eagle.components import Components
from experiments.eagle.table import Table

_RIDGE = 1e-4
"""Penalty of squared parameters where a policy learns another's probabilities: it keeps them finite."""


@dataclass(frozen=True, eq=False)
class Softmax:
    """Logits x' (own_a + shared m_a) of each action a, for x = (1, components of the text).

    `shared` learns from all actions at once which way to go; `own`, what is particular to one.

    Parameters
    ----------
    table : Table
    components : Components
    changes : Tensor of shape (A + 1, d)
        m: how far each action moves the components, in the mean (`Table.mean_changes`).
    own : Tensor of shape (d + 1, A + 1), float64
    shared : Tensor of shape (d + 1, d), float64
    """

    table: Table
    components: Components
    changes: Tensor
    own: Tensor
    shared: Tensor

    @classmethod
    def even(cls, table: Table, components: Components) -> Softmax:
        """Return the policy that prefers nothing."""
        d = components.columns.shape[1]
        own = torch.zeros(d + 1, len(table.actions), dtype=torch.float64)
        return cls(table, components, table.mean_changes(components), own, torch.zeros(d + 1, d, dtype=torch.float64))

    @property
    def parameters(self) -> tuple[Tensor, Tensor]:
        """What is learnt."""
        return self.own, self.shared

    def log_probabilities(self, texts: Sequence[str]) -> Tensor:
        """Return the log-probabilities (n, A + 1) of actions on texts."""
        return (self.features(texts) @ (self.own + self.shared @ self.changes.T)).log_softmax(1)

    def features(self, texts: Sequence[str]) -> Tensor:
        """Return a column of ones and the components of texts: (n, d + 1)."""
        rows = self.components(self.table.vectors(texts))
        return torch.cat([torch.ones(len(rows), 1, dtype=torch.float64), rows], 1)

    @torch.no_grad()
    def probabilities(self, texts: Sequence[str]) -> Tensor:
        """Return the probabilities (n, A + 1) of actions on texts; see `experiments.eagle.reference.Policy`."""
        return self.log_probabilities(texts).exp()

    def imitating(self, texts: Sequence[str], wanted: Tensor) -> Softmax:
        """Return the policy that is likest given probabilities (n, A + 1) on texts, by cross-entropy.

        The problem is convex, and nothing in it is drawn at random.

        Raises
        ------
        InputError
            If the probabilities do not fit the texts.
        """
        if wanted.shape != (len(texts), len(self.table.actions)) or not len(texts):
            raise InputError(f"wanted has shape {tuple(wanted.shape)}; pass ({len(texts)}, {len(self.table.actions)})")
        own, shared = (part.clone().requires_grad_() for part in self.parameters)
        fitted = replace(self, own=own, shared=shared)
        optimiser = torch.optim.LBFGS([own, shared], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            found = -(wanted * fitted.log_probabilities(texts)).sum(1).mean()
            found = found + _RIDGE * (own.square().sum() + shared.square().sum())
            found.backward()
            return found

        optimiser.step(loss)
        return replace(self, own=own.detach(), shared=shared.detach())
