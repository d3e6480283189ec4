"""Rolling out: policies applied to texts, edit by edit; and the best of many trajectories at equal calls."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bandits.numbers import check_count
from copyloom import InputError, Report
from experiments.eagle.reference import Policy
from experiments.eagle.table import Table

HORIZON = 5
"""Edits of a trajectory, at most."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What a text became.

    Parameters
    ----------
    texts : tuple of str
        From the start, T + 1 of them.
    choices : tuple of int
        The numbers of the T actions taken; `STOP` is the last where it was taken.
    open : tuple of Tensor of shape (A + 1,)
        Which actions could be taken, each time.
    utilities : tuple of float
        Of the texts.
    gains : tuple of float
        Of the texts over the first one: the utility gained, less what the guard takes.
    calls : int
        Different changes that were needed, those of other trajectories of a search for the same text included.
    """

    texts: tuple[str, ...]
    choices: tuple[int, ...]
    open: tuple[Tensor, ...]
    utilities: tuple[float, ...]
    gains: tuple[float, ...]
    calls: int

    @property
    def gain(self) -> float:
        """Of the last text."""
        return self.gains[-1]

    @property
    def until_best(self) -> Trajectory:
        """Up to the first of its texts that gains most: utilities are known, so nobody goes on from there unseen."""
        last = max(range(len(self.gains)), key=self.gains.__getitem__)
        parts = {name: getattr(self, name)[: last + 1] for name in ("texts", "utilities", "gains")}
        return replace(self, choices=self.choices[:last], open=self.open[:last], **parts)


def roll_out(
    table: Table, policy: Policy, texts: Sequence[str], horizon: int | Sequence[int] = HORIZON, seed: int = 0,
    greedy: bool = False,
) -> list[Trajectory]:  # fmt: skip
    """Return a trajectory for each text.

    Parameters
    ----------
    table : Table
    policy : Policy
    texts : sequence of str
        The same text may come several times: each time has draws of its own.
    horizon : int or sequence of int
        Edits, at most; of each text.
    seed : int
        Draws depend on it, the text and how often the text came before, never on other texts or on the policy.
    greedy : bool
        Whether the likeliest action is taken, the first of equals.

    Raises
    ------
    InputError
        If there are no texts, or a horizon is below 0.
    """
    horizons = [horizon] * len(texts) if isinstance(horizon, int) else list(horizon)
    if not texts or len(horizons) != len(texts) or min(horizons) < 0:
        raise InputError(
            f"{len(texts)} texts and horizons {horizons} were given; give texts, and horizons of 0 or more"
        )
    draws = _draws(texts, max(horizons), seed)
    paths, choices = [[text] for text in texts], [list[int]() for _ in texts]
    opened = [list[Tensor]() for _ in texts]
    for step in range(max(horizons)):
        rows = [row for row, mine in enumerate(choices) if step < horizons[row] and mine[-1:] != [table.stop]]
        if not rows:
            break
        now = [paths[row][-1] for row in rows]
        allowed = table.open(now)
        likely = torch.where(allowed, policy.probabilities(now), 0)
        likely = torch.where(likely.sum(1, keepdim=True) > 0, likely, allowed.double())
        taken = likely.argmax(1) if greedy else _drawn(likely, allowed, draws[rows, step])
        for place, (row, text) in enumerate(zip(rows, table.changed(now, taken.tolist()), strict=True)):
            paths[row].append(text)
            choices[row].append(int(taken[place]))
            opened[row].append(allowed[place])
    return [_trajectory(table, *parts) for parts in zip(paths, choices, opened, strict=True)]


def best_of(
    table: Table, policy: Policy, texts: Sequence[str], calls: int, horizon: int = HORIZON, seed: int = 0,
    report: Report = lambda stage, done, total: None,
) -> list[Trajectory]:  # fmt: skip
    """Return the best of the trajectories that a number of calls allows, for each text, up to its best point.

    Of a text's calls none is spent twice on the same change. At most as many trajectories are tried as there are calls:
    a policy that stops at once spends none.

    Parameters
    ----------
    table, policy, texts, horizon, seed
        See `roll_out`.
    calls : int
        Of each text.
    report : callable

    Raises
    ------
    InputError
        If no calls are allowed; and as `roll_out`.
    """
    check_count("calls", calls)
    best: dict[str, Trajectory] = {}
    spent: dict[str, set[tuple[str, int]]] = {text: set() for text in texts}
    for turn in range(calls):
        left = {text: calls - len(known) for text, known in spent.items() if len(known) < calls}
        if not left:
            break
        report("searching", turn, calls)
        horizons = [min(horizon, most) for most in left.values()]
        for text, found in zip(left, roll_out(table, policy, [*left], horizons, seed * calls + turn), strict=True):
            spent[text] |= _edits(found, table.stop)
            cut = found.until_best
            if text not in best or cut.gain > best[text].gain:
                best[text] = cut
    return [replace(best[text], calls=len(spent[text])) for text in texts]


def _draws(texts: Sequence[str], horizon: int, seed: int) -> Tensor:
    """Return numbers (n, T) in [0, 1), from a stream for each text and time that it comes."""
    seen: dict[str, int] = {}
    rows = torch.zeros(len(texts), horizon, dtype=torch.float64)
    for row, text in enumerate(texts):
        seen[text] = seen.get(text, -1) + 1
        digest = hashlib.sha256(f"{seed} {seen[text]} {text}".encode()).digest()
        stream = torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)
        rows[row] = torch.rand(horizon, generator=stream, dtype=torch.float64)
    return rows


def _drawn(likely: Tensor, allowed: Tensor, draws: Tensor) -> Tensor:
    """Return the actions (n,) at which the summed probabilities (n, A + 1) pass the draws (n,)."""
    total = likely.cumsum(1)
    place = (total <= draws[:, None] * total[:, -1:]).sum(1)
    last = torch.where(allowed & (likely > 0), torch.arange(likely.shape[1]), 0).amax(1)  # where rounding went over
    return torch.minimum(place, last)


def _edits(found: Trajectory, stop: int) -> set[tuple[str, int]]:
    return {(text, a) for text, a in zip(found.texts, found.choices, strict=False) if a != stop}


def _trajectory(table: Table, path: list[str], choices: list[int], opened: list[Tensor]) -> Trajectory:
    utilities = tuple(table.utilities(path).tolist())
    gains = tuple(table.gains(path[:1] * len(path), path).tolist())
    found = Trajectory(tuple(path), tuple(choices), tuple(opened), utilities, gains, 0)
    return replace(found, calls=len(_edits(found, table.stop)))
