"""The report of one campaign, whoever clicked: what its ledger alone can say, with intervals that hold at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits import LogisticRewardModel, RewardPrior
from bandits.rewards.drift import DriftAlarm
from bandits.rewards.forgetting import Discount
from bandits.sequential.confidence_sequences import difference_interval, rate_interval
from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.events import Event, Happening
from experiments.campaigns.state import State, replay
from experiments.reports.report import REASONS, environment, write_page

_BINS, _EXAMPLES, _LAST = 30, 12, 15
_ALPHA = 0.05
_RECENT = 5.0
"""Snapshots after which the recent past counts half, for the alarm that rates move."""


def campaign_data(name: str, events: Sequence[Event], true_rates: NDArray[np.float64] | None = None) -> dict[str, Any]:
    """Return what the report of a campaign shows.

    Rates of texts come with confidence sequences (`rate_interval`): they hold whenever one looks, whatever the
    policy made of earlier clicks, and at 95 % for all texts together.

    Parameters
    ----------
    name : str
    events : sequence of Event
        All that happened to it.
    true_rates : array of shape (N,), optional
        Of its slate's texts, where shoppers are simulated.

    Raises
    ------
    InputError
        If nothing happened to it.
    """
    if not events:
        raise InputError(f"nothing is on record of a campaign {name!r}")
    state = replay(event.what for event in events)
    shown, clicked = state.totals
    answered = {event.snapshot for event in state.closed.values()}
    return {
        "name": name,
        "began_at": _moment(events[0].at),
        "ended_at": _moment(events[-1].at),
        "policy": state.opening.policy.label,
        "mixing": state.opening.mixing,
        "impressions": int(shown.sum()),
        "clicks": int(clicked.sum()),
        "snapshots": len(state.snapshots),
        "snapshots_closed": len(answered),
        "apart": state.tells_apart,
        "texts": text_rows(state, true_rates),
        "segments": _segments(state),
        "drifted_at": _drifted_at(state),
        "curves": _curves(state),
        "new_beside_stored": _new_beside_stored(state),
        "control": _control(state),
        "refused": _refused(state),
        "waiting": state.waiting[:_EXAMPLES],
        "waiting_count": len(state.waiting),
        "last": [{"at": _moment(event.at), "what": in_words(event.what)} for event in events[-_LAST:]][::-1],
        "events": len(events),
    }


def write_campaign_report(data: Mapping[str, Any], path: Path) -> None:
    """Write the page of `campaign_data`; see `experiments.reports.report.write_report`."""
    highs = sorted(row["high"] for row in data["texts"] if row["impressions"])
    most = highs[int(0.9 * (len(highs) - 1))] * 1.05 if highs else 0.0  # the widest tenth may reach beyond it
    reasons = sorted(data["refused"]["counts"].items(), key=lambda item: (-item[1], item[0]))
    page = environment().get_template("campaign.html.j2")
    write_page(page.render(data, most=most, reasons=reasons, words=REASONS), path)


def in_words(what: Happening) -> str:
    """Return what happened, in a few words."""
    match what.kind:
        case "opened":
            return f"opened with {len(what.slate)} texts"
        case "written":
            fit = sum(not draft.refusals for draft in what.drafts)
            return f"{len(what.drafts)} texts written, {fit} fit to show"
        case "reviewed":
            return f"{what.by} {'approved' if what.approved else 'rejected'} {len(what.texts)}"
        case "published":
            return f"snapshot {what.snapshot} published, {what.impressions:,} impressions asked for"
        case "closed":
            shown, clicks = (sum(row[place] for row in what.counts) for place in (2, 3))
            return f"{shown:,} impressions of snapshot {what.snapshot} closed, {clicks:,} clicks"
        case _:
            return f"{what.kind}: {len(what.texts)} texts"


def text_rows(state: State, true_rates: NDArray[np.float64] | None) -> list[dict[str, Any]]:
    """Return each text of the slate with what is known of it: the most shown first.

    Where segments are told apart, each text is shown to those who like it, and its clicks say nothing of its true CTR
    among all shoppers: that is left out.
    """
    if state.tells_apart:
        true_rates = None
    shown, clicked = state.totals
    low, high = rate_interval(clicked, shown, _ALPHA / max(len(state.slate), 1))
    now = state.snapshots[-1].probabilities if state.snapshots else ()
    rows = [
        {
            "text": text,
            "kind": "written" if text in state.written else "stored",
            "parents": lineage_rows(state.written.get(text)),
            "impressions": int(shown[place]),
            "clicks": int(clicked[place]),
            "ctr": float(clicked[place] / shown[place]) if shown[place] else None,
            "low": float(low[place]),
            "high": float(high[place]),
            "probability": float(now[place]) if place < len(now) else None,
            "retired": text in state.retired,
            "ctr_true": None if true_rates is None else float(true_rates[place]),
        }
        for place, text in enumerate(state.slate)
    ]
    return sorted(rows, key=lambda row: (-row["impressions"], row["text"]))


def _segments(state: State) -> list[dict[str, Any]]:
    """Return what each segment did, and what it is shown most; nothing where there is one only."""
    names, (shown, clicked) = state.opening.segments, state.by_segment.sum(1)
    if len(names) < 2:
        return []
    low, high = rate_interval(clicked, shown, _ALPHA / len(names))
    rows = []
    for number, name in enumerate(names):
        row = {"name": name, "impressions": int(shown[number]), "clicks": int(clicked[number]),
               "ctr": float(clicked[number] / shown[number]) if shown[number] else None,
               "low": float(low[number]), "high": float(high[number]), "text": None, "probability": None}  # fmt: skip
        if state.snapshots and state.snapshots[-1].by_segment:
            chances = state.snapshots[-1].chances(number)
            place = int(np.argmax(chances))
            row |= {"text": state.slate[place], "probability": float(chances[place])}
        rows.append(row)
    return rows


def _drifted_at(state: State) -> int | None:
    """Return the snapshot by which clicks said that rates move; None as long as they may stand still.

    The features of texts are not on record: each has a rate of its own, about one that all share; in each segment,
    where the policy tells them apart and so moves the rates over all of them.
    """
    histories = state.histories.astype(float)  # (2, T, N, G)
    impressions, clicks = histories.reshape(*histories.shape[:2], -1) if state.tells_apart else histories.sum(-1)
    features = np.zeros((impressions.shape[1], 1))
    model = LogisticRewardModel(RewardPrior(0.02, text_effect_sd=0.5, intercept_sd=2.0))
    alarm = DriftAlarm(model=model, recent=Discount(half_life=_RECENT, clock="rounds"), false_alarm_rate=_ALPHA)
    if not state.snapshots:
        return None
    raised = alarm.raised(features, impressions, clicks).nonzero()
    return int(raised[0, 0]) if len(raised) else None


def lineage_rows(lineage: Lineage | None) -> list[dict[str, Any]]:
    """Return the parents of a text and their weights, the heaviest first; none of a stored one."""
    if lineage is None:
        return []
    pairs = sorted(zip(lineage.parents, lineage.weights, strict=True), key=lambda pair: -pair[1])
    return [{"text": text, "weight": weight} for text, weight in pairs]


def _curves(state: State) -> dict[str, Any]:
    """Return the observed rates of new and of stored texts along the campaign, in at most `_BINS` stretches."""
    counts = state.histories.sum(-1)  # (2, T, N)
    new = np.array([text in state.written for text in state.slate], bool)
    found: dict[str, Any] = {"impressions": [], "new": [], "stored": []}
    stretches = np.array_split(np.arange(counts.shape[1]), min(_BINS, max(counts.shape[1], 1)))
    total = 0
    for stretch in stretches:
        part = counts[:, stretch].sum(1)
        total += int(part[0].sum())
        found["impressions"].append(total)
        for key, chosen in (("new", new), ("stored", ~new)):
            shown, clicked = part[:, chosen].sum(1)
            low, high = rate_interval(clicked, shown, _ALPHA) if shown else (None, None)
            found[key].append((clicked / shown if shown else None, low, high))
    return {"impressions": found["impressions"]} | {
        key: dict(zip(("mean", "low", "high"), map(_floats, zip(*found[key], strict=True)), strict=True))
        if found[key] else {"mean": [], "low": [], "high": []} for key in ("new", "stored")
    }  # fmt: skip


def _floats(values: Sequence[Any]) -> list[float | None]:
    return [None if value is None else float(value) for value in values]


def _new_beside_stored(state: State) -> dict[str, Any] | None:
    """Return the most shown new text beside the most shown stored one, for every pair that might have been it."""
    if state.tells_apart:
        return None  # each text is shown to shoppers of its own
    shown, clicked = state.totals
    new = [place for place, text in enumerate(state.slate) if text in state.written and shown[place]]
    stored = [place for place, text in enumerate(state.slate) if text not in state.written and shown[place]]
    if not new or not stored:
        return None
    first, second = (max(places, key=lambda place: int(shown[place])) for places in (stored, new))
    pairs = len(stored) * len(new)
    return {"stored": state.slate[first], "new": state.slate[second], "pairs": pairs} | _difference(
        (clicked[first], shown[first]), (clicked[second], shown[second]), _ALPHA / pairs
    )


def _control(state: State) -> dict[str, Any] | None:
    """Return all other impressions beside those of the text that a holdout shows, in the same snapshots."""
    holdout = state.opening.policy.holdout
    if holdout is None or state.tells_apart:
        return None
    text = holdout.text or state.slate[0]
    place, (shown, clicked) = state.slate.index(text), state.totals
    others = (clicked.sum() - clicked[place], shown.sum() - shown[place])
    return {"text": text, "share": holdout.share} | _difference((clicked[place], shown[place]), others, _ALPHA)


def _difference(first: tuple[Any, Any], second: tuple[Any, Any], alpha: float) -> dict[str, Any]:
    """Return how much the second of two (clicks, impressions) has more clicks an impression, and in which interval."""
    low, high = difference_interval(*first, *second, alpha)
    rates = [float(clicks / shown) if shown else None for clicks, shown in (first, second)]
    known = rates[0] is not None and rates[1] is not None
    return {"rates": rates, "difference": rates[1] - rates[0] if known else None,  # type: ignore[operator]
            "interval": [float(low), float(high)]}  # fmt: skip


def _refused(state: State) -> dict[str, Any]:
    refused = [draft for draft in state.drafts if draft.refusals]
    counts = Counter(code for draft in refused for code in sorted({refusal.code for refusal in draft.refusals}))
    why = {draft.text: "; ".join(refusal.reason for refusal in draft.refusals) for draft in refused if draft.text}
    examples = [{"text": text, "reason": reason} for text, reason in list(why.items())[:_EXAMPLES]]
    return {"counts": dict(counts), "written": len(state.drafts), "examples": examples}


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
