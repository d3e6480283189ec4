"""Outcomes as they really come: late, in batches, out of order and twice, yet always the same counts."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bandits.inputs import check_number
from copyloom import InputError


@dataclass(frozen=True, slots=True)
class Event:
    """That a text was shown, and what came of it if anything did.

    Attributes
    ----------
    decision : str
        Key of the decision, unique to it.
    text : str
    shown_at : float
        Seconds, in whatever epoch, the same for all events.
    reward : float, optional
        None says only that the text was shown.
    arrived_at : float, optional
        When the reward arose, not before `shown_at`; needed with a reward.
    """

    decision: str
    text: str
    shown_at: float
    reward: float | None = None
    arrived_at: float | None = None


class Outcomes:
    """Events of decisions, and the counts per text that follow from them.

    A decision counts once its attribution window has closed: with the largest reward that arose inside the window, or
    with 0 if none did. Until then it is left out, rewarded or not: to count clicks at once and their absence later
    would overstate the rate. So the counts of a moment are a function of the set of events alone, whatever their
    order, batches and repetitions, and a reward after the window changes nothing.

    Parameters
    ----------
    texts : sequence of str
        Known texts, in the order of the counts. Texts by segment work alike: name the pairs.
    window_seconds : float
        How long after a text was shown a reward is still its own.
    least, most : float
        Range of possible rewards; it contains 0.

    Raises
    ------
    InputError
        If a text is named twice or a setting is out of range.

    Examples
    --------
    >>> outcomes = Outcomes(["plain", "warm"], window_seconds=60)
    >>> outcomes.add([Event("a", "warm", 0.0, 1.0, 12.0), Event("b", "plain", 5.0), Event("c", "warm", 30.0)])
    >>> outcomes.add([Event("a", "warm", 0.0), Event("b", "plain", 5.0, 1.0, 90.0)])  # one again, one too late
    >>> shown, clicks, _ = outcomes.counts(now=70.0)
    >>> shown.tolist(), clicks.tolist()
    ([1.0, 1.0], [0.0, 1.0])
    """

    def __init__(self, texts: Sequence[str], *, window_seconds: float, least: float = 0.0, most: float = 1.0) -> None:
        check_number("window_seconds", window_seconds, least=0)
        check_number("least", least, least=-math.inf, most=0)
        check_number("most", most, least=0)
        self.window_seconds = window_seconds
        self.least = least
        self.most = most
        self._texts: dict[str, int] = {}
        self._decisions: dict[str, _Decision] = {}
        self.add_texts(texts)

    def add_texts(self, texts: Sequence[str]) -> None:
        """Make more texts known, behind those that are.

        Raises
        ------
        InputError
            If one is known already or named twice; then none is added.
        """
        known = dict(self._texts)
        for text in texts:
            if text in known:
                raise InputError(f"text {text!r} is named twice; pass each text once")
            known[text] = len(known)
        self._texts = known

    def add(self, events: Iterable[Event]) -> None:
        """Take in events, in any order, old ones again or new ones.

        Raises
        ------
        InputError
            If one has an unknown text, a reward out of range, times that are none, or contradicts another of its
            decision; then none of them is taken in.
        """
        changed: dict[str, _Decision] = {}
        for event in events:
            self._check(event)
            before = changed.get(event.decision) or self._decisions.get(event.decision)
            changed[event.decision] = self._merged(before, event)
        self._decisions.update(changed)

    def counts(self, now: float) -> tuple[Tensor, Tensor, Tensor]:
        """Counts, totals and squares of the rewards of closed decisions, per text: Tensors of shape (N,), float64.

        Parameters
        ----------
        now : float
            Decisions whose windows close after this are left out.

        Returns
        -------
        counts, totals, squares : Tensor of shape (N,)
            For `LinearRewardModel`. With rewards 0 and 1, counts and totals are impressions and clicks.
        """
        check_number("now", now, least=-math.inf)
        rewards: list[list[float]] = [[] for _ in self._texts]
        for decision in self._decisions.values():
            if decision.shown_at + self.window_seconds <= now:
                rewards[self._texts[decision.text]].append(decision.reward or 0.0)
        sums = [(float(len(each)), math.fsum(each), math.fsum(r * r for r in each)) for each in rewards]
        counts, totals, squares = torch.tensor(sums, dtype=torch.float64).reshape(-1, 3).unbind(-1)
        return counts, totals, squares

    def _check(self, event: Event) -> None:
        named = f"decision {event.decision!r}"
        if event.text not in self._texts:
            raise InputError(f"{named} shows text {event.text!r}, which is unknown; add it with `add_texts` first")
        check_number(f"shown_at of {named}", event.shown_at, least=-math.inf)
        if event.reward is not None:
            check_number(f"reward of {named}", event.reward, least=self.least, most=self.most)
            check_number(f"arrived_at of {named}", event.arrived_at, least=event.shown_at)

    def _merged(self, before: "_Decision | None", event: Event) -> "_Decision":
        """The decision with this event."""
        if before and (before.text, before.shown_at) != (event.text, event.shown_at):
            raise InputError(
                f"decision {event.decision!r} shows text {event.text!r} at {event.shown_at!r}, but before it showed "
                f"{before.text!r} at {before.shown_at!r}; give each decision a key of its own"
            )
        rewards = [before.reward if before else None, self._attributed(event)]
        best = max((reward for reward in rewards if reward is not None), default=None)
        return _Decision(event.text, event.shown_at, best)

    def _attributed(self, event: Event) -> float | None:
        """The event's reward if it arose inside the window."""
        if event.arrived_at is None or event.arrived_at > event.shown_at + self.window_seconds:
            return None
        return event.reward


@dataclass(frozen=True, slots=True)
class _Decision:
    text: str
    shown_at: float
    reward: float | None  # largest inside the window
