"""How a slot does: the bandit against the holdout beside it, its texts, and what looks wrong; without a web.

What is compared are arms of shoppers that chance made: units in the holdout saw the baseline throughout, all others
what the policy drew. Intervals hold at any time, while the policy learns and seasons change.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from scipy.stats import chi2
from sqlalchemy import Connection, and_, case, func, select

from bandits.inputs import Array
from bandits.sequential.running_means import running_mean_interval
from experiments.campaigns.state import State
from experiments.storefront.decide import Slot
from experiments.storefront.tables import DecisionRow, OutcomeRow, SettingsRow

ALPHA = 0.05
ALARM = 0.001
"""p-value of a sample ratio below which it is an alarm."""
_LEAST_EXPECTED = 5.0
_COMPARED = ("bandit", "sticky", "holdout")
_AMONG = "among"
"""The reason under which a bandit's events are counted that left it some of the texts only."""

Cell = tuple[int, int, int, str]
"""A snapshot, the number of a segment, a text's place on the slate, and the reason for which it was shown."""


@dataclass(frozen=True)
class Arm:
    """Closed impressions of one arm.

    Parameters
    ----------
    impressions, clicks : int
    never_shown : int
        Deferred decisions that no page ever showed.
    """

    impressions: int
    clicks: int
    never_shown: int = 0

    @property
    def rate(self) -> float | None:
        """Clicks per impression; None without any."""
        return self.clicks / self.impressions if self.impressions else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where its mean rate so far is, with probability 1 - `ALPHA` at all times."""
        low, high = mean_interval(self.clicks, self.impressions)
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

    @property
    def interval(self) -> tuple[float, float]:
        """Where the difference of both mean rates is, with probability 1 - `ALPHA` at all times."""
        return _difference((self.bandit.clicks, self.bandit.impressions),
                           (self.holdout.clicks, self.holdout.impressions))  # fmt: skip

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
        Of the chi-square statistic; None where too little was expected of every cell.
    cells : int
        That were compared: those of which `_LEAST_EXPECTED` or more were expected.
    worst : str
        The cell that is furthest off, in words.
    """

    what: str
    p_value: float | None
    cells: int
    worst: str = ""

    @property
    def alarm(self) -> bool:
        """Whether chance alone does this less often than once in 1,000 looks."""
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

    def update(self, connection: Connection, slot: Slot) -> None:
        """Count the batches that closed since."""
        last = connection.scalar(select(func.max(OutcomeRow.batch)).where(OutcomeRow.slot_id == slot.id)) or 0
        if last == self.batch:
            return
        some = and_(DecisionRow.reason == "bandit", DecisionRow.among != "")
        reason = case((some, _AMONG), else_=DecisionRow.reason).label("reason")
        keys = DecisionRow.snapshot, DecisionRow.segment, DecisionRow.place, reason
        query = select(*keys, OutcomeRow.why, OutcomeRow.clicked, func.count().label("many"))
        query = query.join(DecisionRow, DecisionRow.key == OutcomeRow.key)
        query = query.where(OutcomeRow.slot_id == slot.id, OutcomeRow.batch > self.batch, OutcomeRow.batch <= last)
        query = query.where(DecisionRow.reason.in_(_COMPARED), DecisionRow.at >= self.since)
        for row in connection.execute(query.group_by(*keys, OutcomeRow.why, OutcomeRow.clicked)):
            cell = self.counts[row.snapshot, row.segment, row.place, row.reason]
            if row.why == "void":
                cell[2] += row.many
            else:
                cell[0] += row.many
                cell[1] += row.many * bool(row.clicked)
        self.batch = last

    def arm(self, held: bool, until: int | None = None) -> Arm:
        """Return the holdout, or all others; of snapshots before `until`, where that is given."""
        rows = [counts for (snapshot, _, _, reason), counts in self.counts.items()
                if (reason == "holdout") == held and (until is None or snapshot < until)]  # fmt: skip
        return Arm(*map(sum, zip(*rows, strict=True))) if rows else Arm(0, 0)


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
    return copied


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


def _difference(first: tuple[int, int], second: tuple[int, int]) -> tuple[float, float]:
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
        low, high = mean_interval([arm.clicks for arm in rows], [arm.impressions for arm in rows])
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
    groups: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for (snapshot, segment, place, reason), (shown, *_) in tally.counts.items():
        if reason == "bandit":
            groups[snapshot, segment][place] = shown
    statistic, freedom, cells, worst = 0.0, 0, 0, (0.0, "")
    for (snapshot, segment), by_place in groups.items():
        chances = np.array(state.snapshots[snapshot].chances(segment))
        kept = chances * sum(by_place.values()) >= _LEAST_EXPECTED
        if kept.sum() < 2:
            continue
        observed = np.array([by_place.get(int(place), 0) for place in kept.nonzero()[0]])
        expected = observed.sum() * chances[kept] / chances[kept].sum()  # given how many fell on these cells
        parts = (observed - expected) ** 2 / expected
        statistic, freedom, cells = statistic + parts.sum(), freedom + len(parts) - 1, cells + len(parts)
        place = int(parts.argmax())
        words = (f"snapshot {snapshot}: {state.slate[kept.nonzero()[0][place]]!r} was shown {observed[place]:,} times, "
                 f"{expected[place]:,.0f} were expected")  # fmt: skip
        worst = max(worst, (float(parts[place]), words))
    p_value = float(chi2.sf(statistic, freedom)) if freedom else None
    return Ratio("texts among those that the policy drew", p_value, cells, worst[1])


def arm_ratio(connection: Connection, slot: Slot, since: datetime) -> Ratio:
    """Return whether the holdout is as large as it was set: by units, as each of them stays where it is."""
    held = case((DecisionRow.reason == "holdout", 1), else_=0)
    alone = func.sum(case((DecisionRow.unit == "", 1), else_=0))
    units = func.count(func.distinct(case((DecisionRow.unit != "", DecisionRow.unit))))
    query = select(held.label("held"), units.label("units"), alone.label("alone"))
    query = query.where(DecisionRow.slot_id == slot.id, DecisionRow.at >= since, DecisionRow.reason.in_(_COMPARED))
    found = {bool(row.held): row.units + int(row.alone or 0) for row in connection.execute(query.group_by(held))}
    observed = np.array([found.get(False, 0), found.get(True, 0)])
    share = slot.settings.holdout
    expected = observed.sum() * np.array([1 - share, share])
    what = "visitors in the holdout"
    if expected.min() < _LEAST_EXPECTED:
        return Ratio(what, None, 0)
    statistic = ((observed - expected) ** 2 / expected).sum()
    words = f"{observed[1]:,} are in the holdout, {expected[1]:,.0f} were expected"
    return Ratio(what, float(chi2.sf(statistic, 1)), 2, words)


def guardrails(comparison: Comparison) -> list[Guardrail]:
    """Return what must not get worse than in the holdout, by tests that hold at any time."""
    bandit, holdout = comparison.bandit, comparison.holdout
    asked = [arm.impressions + arm.never_shown for arm in (bandit, holdout)]
    lost = _difference((bandit.never_shown, asked[0]), (holdout.never_shown, asked[1]))
    one, other = (arm.never_shown / many if many else None for arm, many in zip((bandit, holdout), asked, strict=True))
    return [
        Guardrail("Clicks per impression", comparison.verdict == "fewer", bandit.rate, holdout.rate,
                  comparison.interval),
        Guardrail("Decisions that no page showed", lost[0] > 0, one, other, lost),
    ]  # fmt: skip
