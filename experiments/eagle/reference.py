"""Reference policies over actions, given a text: what the agent starts from, and is held to.

What is followed of Tennenholtz et al. (NeurIPS 2024), "Embedding-aligned language models": the agent changes a text by
action prompts, a language model is the environment, an encoder maps each changed text back to a point, the reward is
the utility there, a policy gradient is penalised for leaving a reference policy, and there are three of these: uniform,
optimistic, G-optimal over a set of actions that depends on the text. The abstract, the introduction and the summary
of its reviews were at hand when this was written, not the method's equations or the appendix. So what follows is this
project's reading and not the paper's: that a design is over the changed texts' own principal components; that
probabilities are floored by `epsilon`; `STOP` as an action; the agent's form (`policy`), which is a linear softmax
here and a language model there; actions, which a language model proposes there and are given here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from bandits.numbers import check_number
from bandits.policies.optimal_design import in_span, optimal_design
from experiments.eagle.components import Components
from experiments.eagle.table import Table


class Policy(Protocol):
    """Says how likely each action is taken on a text."""

    def probabilities(self, texts: Sequence[str]) -> Tensor:
        """Return the probabilities (n, A + 1), float64, of actions on texts; each row sums to 1."""
        ...


@dataclass(frozen=True, eq=False)
class Uniform:
    """Every action alike, `STOP` among them. It calls no environment.

    Parameters
    ----------
    table : Table
    """

    table: Table

    def probabilities(self, texts: Sequence[str]) -> Tensor:
        """Return the same probability for all; see `Policy`."""
        count = len(self.table.actions)
        return torch.full((len(texts), count), 1 / count, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Optimistic:
    """The action whose realised change gains most, with what is left of `epsilon`, which all actions share.

    It tries every action on a text: A calls. Ties go to the first action; `STOP` gains 0.

    Parameters
    ----------
    table : Table
    epsilon : float
    """

    table: Table
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        """Raise where epsilon is no probability."""
        check_number("epsilon", self.epsilon, least=0, most=1)

    def probabilities(self, texts: Sequence[str]) -> Tensor:
        """Return the mass of the best action and the others' shares; see `Policy`."""
        came = self.table.realised(texts)
        gains = [self.table.gains([text] * len(row), row) for text, row in zip(texts, came, strict=True)]
        best = torch.stack(gains).argmax(1)
        return _spread(torch.eye(len(self.table.actions), dtype=torch.float64)[best], self.epsilon)


@dataclass(frozen=True, eq=False)
class GOptimal:
    """The design of actions from which a linear utility is learnt best: by Frank-Wolfe, with a certificate.

    The features of an action on a text are the components of the realised, changed text, those of `STOP` the text's
    own. The weights minimise the largest variance of an estimated utility over the actions (G-optimality; Kiefer and
    Wolfowitz 1960), in the dimensions that the changed texts span: their r components, and where they span fewer, so
    many. It tries every action on a text: A calls.

    Parameters
    ----------
    table : Table
    components : Components
    epsilon : float
        What all actions share: the design itself leaves most at 0.
    tolerance : float
        See `bandits.policies.optimal_design.optimal_design`.

    Attributes
    ----------
    certificates : dict of str to float
        For each text, the largest variance over the least possible: 1 at the optimum. Of the design as it is before
        `epsilon` is spread.
    """

    table: Table
    components: Components
    epsilon: float = 0.1
    tolerance: float = 0.01
    certificates: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise where epsilon is no probability."""
        check_number("epsilon", self.epsilon, least=0, most=1)

    def probabilities(self, texts: Sequence[str]) -> Tensor:
        """Return the design's weights; see `Policy`."""
        rows = [self._weights(text, came) for text, came in zip(texts, self.table.realised(texts), strict=True)]
        return _spread(torch.stack(rows), self.epsilon)

    def _weights(self, text: str, came: Sequence[str]) -> Tensor:
        design = optimal_design(in_span(self.components(self.table.vectors(came))), tolerance=self.tolerance)
        self.certificates[text] = float(design.certificate)
        return design.weights


def _spread(weights: Tensor, epsilon: float) -> Tensor:
    return (1 - epsilon) * weights + epsilon / weights.shape[1]
