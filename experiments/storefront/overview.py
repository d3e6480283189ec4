"""How a slot does: the bandit against the holdout beside it, its texts, and what looks wrong; without a web.

What is compared are arms of shoppers that chance made: units in the holdout saw the baseline throughout, all others
what the policy drew. Intervals hold at any time, while the policy learns and seasons change; they are as much wider as
visitors come back who click more, or less, than others (the design effect, Kish 1965), which clicks themselves show.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy.special import logsumexp
from sqlalchemy import Connection, and_, case, func, select

from bandits.inputs import Array
from bandits.sequential.running_means import running_mean_interval
from bandits.sequential.sample_ratio import tilt_evidence
from experiments.campaigns.state import State
from experiments.storefront.decide import Slot
from experiments.storefront.tables import DecisionRow, OutcomeRow, SettingsRow

ALPHA = 0.05
ALARM = 0.001
"""p-value of a sample ratio below which it is an alarm: in so many slots a false one, however often one looks."""
_LEAST_EXPECTED = 5.0
_COMPARED = ("bandit", "sticky", "holdout")
_AMONG = "among"
"""The reason under which a bandit's events are counted that left it some of the texts only."""

Cell = tuple[int, int, int, str]
"""A snapshot, the number of a segment, a text's place on the slate, and the reason for which it was shown."""


Group = tuple[bool, str]
"""Whether they are in the holdout, and the first two digits of their hash: one of 256 groups of visitors."""


@dataclass(frozen=True)
class Arm:
    """Closed impressions of one arm.

    Parameters
    ----------
    impressions, clicks : int
    never_shown : int
        Deferred decisions that no page ever showed.
    effect, effect_never : float
        The design effects of clicks, and of what was never shown: how much less it says, as visitors come back.
    """

    impressions: int
    clicks: int
    never_shown: int = 0
    effect: float = 1.0
    effect_never: float = 1.0

    @property
    def rate(self) -> float | None:
        """Clicks per impression; None without any."""
        return self.clicks / self.impressions if self.impressions else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where its mean rate so far is, with probability 1 - `ALPHA` at all times."""
        low, high = mean_interval(*_as_if(self.clicks, self.impressions, self.effect))
        return float(low), float(high)


@dataclass(frozen=True)
class Comparison:
    """The bandit beside the holdout.

    Parameters
    ----------
    since : datetime
        When the share of the holdout, or what it sees, was last set: before that, other arms were compared.
    bandit, holdout : Arm
    """

    since: datetime
    bandit: Arm
    holdout: Arm

    @property
    def difference(self) -> float | None:
        """The bandit's rate less the holdout's; None unless both were shown."""
        if self.bandit.rate is None or self.holdout.rate is None:
            return None
        return self.bandit.rate - self.holdout.rate

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where the difference of both mean rates is, with probability 1 - `ALPHA` at all times."""
        return _difference(*(_as_if(arm.clicks, arm.impressions, arm.effect) for arm in (self.bandit, self.holdout)))

    @property
    def verdict(self) -> Literal["more", "fewer", "unclear"]:
        """Whether the bandit earns more clicks, fewer, or one cannot tell yet."""
        low, high = self.interval
        return "more" if low > 0 else "fewer" if high < 0 else "unclear"


@dataclass(frozen=True)
class Ratio:
    """How well what was counted follows the probabilities that were logged.

    Parameters
    ----------
    what : str
    p_value : float, optional
        That holds at all times at once; None before `_LEAST_EXPECTED` were expected of two kinds.
    worst : str
        What is furthest off, in words.
    """

    what: str
    p_value: float | None
    worst: str = ""

    @property
    def alarm(self) -> bool:
        """Whether chance alone ever does this in less than one of 1,000 slots."""
        return self.p_value is not None and self.p_value < ALARM


@dataclass(frozen=True)
class Guardrail:
    """Something that must not get worse than in the holdout.

    Parameters
    ----------
    what : str
    alarm : bool
    bandit, holdout : float, optional
        What was measured.
    interval : (float, float)
        Of the difference, at any time.
    """

    what: str
    alarm: bool
    bandit: float | None
    holdout: float | None
    interval: tuple[float, float]


@dataclass
class Tally:
    """Closed events of a slot, counted: those of batches that it has read, as batches never change.

    Parameters
    ----------
    since : datetime
        Decisions before it are left out.
    """

    since: datetime
    batch: int = 0
    counts: dict[Cell, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    groups: dict[Group, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))

    def update(self, connection: Connection, slot: Slot) -> None:
        """Count the batches that closed since."""
        last = connection.scalar(select(func.max(OutcomeRow.batch)).where(OutcomeRow.slot_id == slot.id)) or 0
        if last == self.batch:
            return
        one = DecisionRow
        drawn_among = and_(one.reason == "bandit", one.among != "")
        reason = case((drawn_among, _AMONG), else_=one.reason)
        whose = func.substr(case((one.unit != "", one.unit), else_=one.key), 1, 2)  # hashes of either kind
        cells = self._counted(connection, slot, last, one.snapshot, one.segment, one.place, reason)
        for snapshot, segment, place, why, *counts in cells:
            add(self.counts[snapshot, segment, place, why], counts)
        for held, group, *counts in self._counted(connection, slot, last, one.reason == "holdout", whose):
            add(self.groups[bool(held), group], counts)
        self.batch = last

    def arm(self, held: bool, until: int | None = None) -> Arm:
        """Return the holdout, or all others; of snapshots before `until`, where that is given."""
        rows = [counts for (snapshot, _, _, reason), counts in self.counts.items()
                if (reason == "holdout") == held and (until is None or snapshot < until)]  # fmt: skip
        if not rows:
            return Arm(0, 0)
        shown, clicked, never = np.array([counts for (one, _), counts in sorted(self.groups.items()) if one == held]).T
        impressions, clicks, never_shown = map(sum, zip(*rows, strict=True))
        return Arm(impressions, clicks, never_shown, design_effect(clicked, shown), design_effect(never, shown + never))

    def _counted(self, connection: Connection, slot: Slot, last: int, *keys: Any) -> Iterator[tuple[Any, ...]]:
        """Yield keys with what was shown, clicked and never shown, in batches up to one that were not counted yet."""
        void = OutcomeRow.why == "void"
        shown = func.sum(case((void, 0), else_=1))
        clicked = func.sum(case((and_(~void, OutcomeRow.clicked), 1), else_=0))
        never = func.sum(case((void, 1), else_=0))
        named = {f"key_{number}": key for number, key in enumerate(keys)}
        query = select(*[key.label(name) for name, key in named.items()], shown, clicked, never)
        query = query.join(DecisionRow, DecisionRow.key == OutcomeRow.key)
        query = query.where(OutcomeRow.slot_id == slot.id, OutcomeRow.batch > self.batch, OutcomeRow.batch <= last)
        query = query.where(DecisionRow.reason.in_(_COMPARED), DecisionRow.at >= self.since)
        for row in connection.execute(query.group_by(*named)):
            yield tuple(row)


class Tallies:
    """The tallies of slots, kept from one look to the next."""

    def __init__(self) -> None:
        self._kept: dict[int, Tally] = {}

    def of(self, connection: Connection, slot: Slot) -> Tally:
        """Return the tally of a slot, up to date."""
        since = compared_since(connection, slot)
        known = self._kept.get(slot.id)
        fresh = Tally(since) if known is None or known.since != since else _copy(known)
        fresh.update(connection, slot)
        self._kept[slot.id] = fresh  # whole, as another thread may look
        return fresh


def _copy(tally: Tally) -> Tally:
    copied = Tally(tally.since, tally.batch)
    copied.counts.update((cell, list(counts)) for cell, counts in tally.counts.items())
    copied.groups.update((group, list(counts)) for group, counts in tally.groups.items())
    return copied


def add(to: list[int], more: Sequence[int]) -> None:
    """Count what was shown, clicked and never shown."""
    to[:] = [one + int(other) for one, other in zip(to, more, strict=True)]


def design_effect(clicks: Any, impressions: Any) -> float:
    """Return by how much the variance of a rate exceeds that of independent impressions, 1 at the least.

    Parameters
    ----------
    clicks, impressions : array of shape (B,)
        Of groups of visitors that chance made; the ratio estimator's variance between them is what is compared.

    Examples
    --------
    >>> design_effect([10, 10, 0, 0], [10, 10, 10, 10])  # four visitors, of whom two always click
    13.33...
    """
    clicks, impressions = np.asarray(clicks, float), np.asarray(impressions, float)
    some = int((impressions > 0).sum())
    total = impressions.sum()
    rate = clicks.sum() / total if total else 0.0
    independent = total * rate * (1 - rate)
    if some < 2 or independent <= 0:
        return 1.0
    between = ((clicks - rate * impressions) ** 2).sum() * some / (some - 1)
    return max(1.0, float(between / independent))


def _as_if(clicks: int, impressions: int, effect: float) -> tuple[float, float]:
    """Return clicks and impressions that say as much, had each been another visitor's."""
    shown = math.floor(impressions / effect)
    return min(clicks / effect, shown), shown


def mean_interval(clicks: Any, impressions: Any, alpha: float = ALPHA) -> tuple[Array, Array]:
    """Return where mean click rates of all impressions so far are, whatever moved them, at all times at once."""
    counts, shown = np.asarray(clicks)[..., None], np.asarray(impressions)[..., None]
    # One step, so that nothing is guessed from other impressions: they close in any order.
    low, high = running_mean_interval(counts, counts, shown, least=0, most=1, alpha=alpha)
    return low[..., 0], high[..., 0]


def difference_of_means(first: tuple[Any, Any], second: tuple[Any, Any], alpha: float = ALPHA) -> tuple[Array, Array]:
    """Return where the first mean rate less the second is, at all times at once, from their clicks and impressions.

    Of either an interval of alpha / 2. Use `bandits.sequential.confidence_sequences.difference_interval` instead for
    texts whose rates stand still.
    """
    (low, high), (least, most) = mean_interval(*first, alpha / 2), mean_interval(*second, alpha / 2)
    return low - most, high - least


def _difference(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    low, high = difference_of_means(first, second)
    return float(low), float(high)


def compared_since(connection: Connection, slot: Slot) -> datetime:
    """Return when the holdout's share or its text was last set."""
    query = select(SettingsRow.body, SettingsRow.at).where(SettingsRow.slot_id == slot.id)
    since, before = None, None
    for row in connection.execute(query.order_by(SettingsRow.version)):
        body = json.loads(row.body)
        arms = body["holdout"], body["baseline"]
        if since is None or arms != before:
            since, before = row.at, arms
    if since is None:
        raise LookupError(f"slot {slot.name!r} has no settings")
    return since


def compare(tally: Tally) -> Comparison:
    """Return the bandit beside the holdout."""
    return Comparison(tally.since, tally.arm(held=False), tally.arm(held=True))


def curves(tally: Tally, snapshots: int, points: int = 40) -> dict[str, Any]:
    """Return both arms' mean rates so far with their intervals, up to each of some snapshots, for a plot."""
    ends = sorted({int(end) for end in np.linspace(1, max(snapshots, 1), points)})
    arms = {held: [tally.arm(held, end) for end in ends] for held in (False, True)}
    found: dict[str, Any] = {
        "impressions": [one.impressions + other.impressions for one, other in zip(*arms.values(), strict=True)]
    }
    for name, rows in (("bandit", arms[False]), ("holdout", arms[True])):
        clicks, shown = zip(*(_as_if(arm.clicks, arm.impressions, arm.effect) for arm in rows), strict=True)
        low, high = mean_interval(clicks, shown)
        known = [arm.impressions > 0 for arm in rows]
        found[name] = {"mean": [arm.rate for arm in rows]} | {
            end: [float(bound) if some else None for bound, some in zip(bounds, known, strict=True)]
            for end, bounds in (("low", low), ("high", high))
        }
    return found


def text_ratio(tally: Tally, state: State) -> Ratio:
    """Return whether texts were shown as often as their logged probabilities say, within snapshots and segments.

    Of shoppers outside the holdout, whose text was drawn anew among all: given that, a text's chance is the snapshot's.
    """
    places: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for (snapshot, segment, place, reason), (many, *_) in tally.counts.items():
        if reason == "bandit":
            places[snapshot, segment][place] = many
    shown = np.zeros((len(places), len(state.slate)))
    chances = np.zeros_like(shown)
    for row, ((snapshot, segment), by_place) in enumerate(places.items()):
        known = np.array(state.snapshots[snapshot].chances(segment))
        chances[row, : len(known)] = known / known.sum()
        shown[row, list(by_place)] = list(by_place.values())
    return _ratio("texts among those that the policy drew", shown, chances, [repr(text) for text in state.slate])


def arm_ratio(connection: Connection, slot: Slot, since: datetime) -> Ratio:
    """Return whether the holdout is as large as it was set: by units, as each of them stays where it is."""
    held = case((DecisionRow.reason == "holdout", 1), else_=0)
    forgotten = DecisionRow.request == ""  # many events, perhaps, of one unit that nobody knows any more
    alone = func.sum(case((and_(DecisionRow.unit == "", ~forgotten), 1), else_=0))
    units = func.count(func.distinct(case((DecisionRow.unit != "", DecisionRow.unit))))
    query = select(held.label("held"), units.label("units"), alone.label("alone"))
    query = query.where(DecisionRow.slot_id == slot.id, DecisionRow.at >= since, DecisionRow.reason.in_(_COMPARED))
    found = {bool(row.held): row.units + int(row.alone or 0) for row in connection.execute(query.group_by(held))}
    return holdout_ratio(found.get(False, 0), found.get(True, 0), slot.settings.holdout)


def holdout_ratio(rest: int, held: int, share: float) -> Ratio:
    """Return whether as many visitors are in the holdout as its share says."""
    chances = np.array([[1 - share, share]])
    return _ratio("visitors in the holdout", np.array([[rest, held]]), chances, ["the rest", "the holdout"])


def _ratio(what: str, shown: Array, chances: Array, names: Sequence[str]) -> Ratio:
    """Return how well counts (T, N) follow their chances, by a test that holds at any time."""
    expected = (shown.sum(1, keepdims=True) * chances).sum(0)
    if (expected >= _LEAST_EXPECTED).sum() < 2:
        return Ratio(what, None)
    evidence = tilt_evidence(shown, chances)
    p_value = math.exp(min(0.0, math.log(len(names)) - logsumexp(evidence)))  # of the mean of e-values
    worst = int(evidence.argmax())
    words = f"{names[worst]} was shown {int(shown[:, worst].sum()):,} times, {expected[worst]:,.0f} were expected"
    return Ratio(what, p_value, words)


def guardrails(comparison: Comparison) -> list[Guardrail]:
    """Return what must not get worse than in the holdout, by tests that hold at any time."""
    bandit, holdout = comparison.bandit, comparison.holdout
    asked = [arm.impressions + arm.never_shown for arm in (bandit, holdout)]
    lost = _difference(*(_as_if(arm.never_shown, many, arm.effect_never)
                         for arm, many in zip((bandit, holdout), asked, strict=True)))  # fmt: skip
    one, other = (arm.never_shown / many if many else None for arm, many in zip((bandit, holdout), asked, strict=True))
    return [
        Guardrail("Clicks per impression", comparison.verdict == "fewer", bandit.rate, holdout.rate,
                  comparison.interval),
        Guardrail("Decisions that no page showed", lost[0] > 0, one, other, lost),
    ]  # fmt: skip
