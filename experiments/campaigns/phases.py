"""The phases of a campaign: each reads the states of campaigns side by side and returns what happens to them.

None of them changes a state: `experiments.campaigns.state.apply` does, once what happens is recorded.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from bandits import Posterior
from bandits.mixtures.proposals import mixture_key
from copyloom import InputError
from embeddings.database import text_id
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign, Slates, padded
from experiments.campaigns.config import SegmentsConfig
from experiments.campaigns.events import (
    Admitted,
    Closed,
    Draft,
    Happening,
    Promoted,
    Published,
    Written,
)
from experiments.campaigns.ledger import Happened
from experiments.campaigns.slates import choose_mixtures
from experiments.campaigns.sources import taken
from experiments.campaigns.state import State
from experiments.campaigns.workshop import WEIGHTS, Workshop
from experiments.campaigns.writer import Writer
from simulator import Outcome, RewardFeed


def write(writer: Writer, lineages: Sequence[Lineage], campaigns: Sequence[Campaign]) -> Happened:
    """Put lineages into words, for each campaign that mixes and has not seen them."""
    drafts = _without_doubles(lineages, writer.write(lineages))
    states = [campaign.state for campaign in campaigns]
    fresh = [{lineage: () for lineage in lineages if state.opening.mixing and lineage not in state.tried}
             for state in states]  # fmt: skip
    return [_written(mine, drafts, state.usable) for state, mine in zip(states, fresh, strict=True)]


def learn(shop: Workshop, campaigns: Sequence[Campaign]) -> Posterior:
    """Return what all closed outcomes say about each text of each slate."""
    slates = Slates.of(campaigns, shop.features)
    impressions, clicks = slates.for_all
    return shop.rewards.fit(slates.features, impressions, clicks, slates.present)


def propose(shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> Happened:
    """Put into words the mixtures that each campaign's belief is most hopeful about; or what policy or source say."""
    rows = [row for row, campaign in enumerate(campaigns) if shop.proposes(campaign.state)]
    if not rows:
        return [[] for _ in campaigns]
    if shop.source is not None:
        some = [campaigns[row] for row in rows]
        given = dict(zip(rows, taken(some, shop.source.more(shop, some, belief.of(rows))), strict=True))
        return [given.get(row, []) for row in range(len(campaigns))]
    own = [row for row in rows if campaigns[row].state.opening.policy.mixes]
    others = [row for row in rows if not campaigns[row].state.opening.policy.mixes]
    believed = _most_hopeful(shop, [campaigns[row] for row in others], belief.of(others)) if others else []
    wanted: dict[int, dict[Lineage, tuple[float, ...]]] = dict(zip(others, believed, strict=True))
    for row in own:
        parents = shop.reduce(shop.writer.base_points(campaigns[row].state.parents))
        wanted[row] = choose_mixtures(campaigns[row], parents, WEIGHTS, shop.config.proposer.shortlist)
    every = [lineage for row in rows for lineage in wanted[row]]
    found = shop.writer.write(every, lambda done, total: shop.report("writing new mixtures", done, total))
    drafts = dict(zip(every, found, strict=True))
    return [_written(wanted.get(row, {}), drafts, shop.library) for row in range(len(campaigns))]


def _most_hopeful(
    shop: Workshop, mixing: Sequence[Campaign], belief: Posterior
) -> list[dict[Lineage, tuple[float, ...]]]:
    """Return the untried mixtures that each campaign's belief is most hopeful about; no chances, as none is drawn."""
    parents = list(dict.fromkeys(text for campaign in mixing for text in campaign.state.parents))
    place = {text: number for number, text in enumerate(parents)}
    proposals = shop.proposer.propose(
        shop.writer.base_points(parents),
        shop.reduce,
        shop.channel(mixing),
        belief,
        shop.config.proposer.shortlist,
        tried=[{mixture_key([place[text] for text in one.parents], one.weights)
                for one in campaign.state.tried if len(one.parents) > 1 and place.keys() >= set(one.parents)}
               for campaign in mixing],
        members=torch.tensor([[text in mine for text in parents]
                              for mine in (set(campaign.state.parents) for campaign in mixing)]),
        feature_map=shop.rewards.feature_map,
    )  # fmt: skip
    return [dict.fromkeys(_lineages(parents, *row), ())
            for row in zip(proposals.parents, proposals.weights, proposals.valid, strict=True)]  # fmt: skip


def admit(shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> Happened:
    """Let the most promising unseen texts join each slate; of those that a person approved, all."""
    states = [campaign.state for campaign in campaigns]
    rows = [row for row, state in enumerate(states) if state.opening.review or shop.admits(state)]
    some, waiting = [campaigns[row] for row in rows], [states[row].waiting for row in rows]
    if not any(waiting):
        return [[] for _ in campaigns]
    ordered, near = _by_promise(shop, some, waiting, belief.of(rows))
    happened: list[list[Happening]] = [[] for _ in campaigns]
    for row, texts, count in zip(rows, ordered, near, strict=True):
        most = len(texts) if states[row].opening.review else min(count, shop.config.proposer.admit)
        joining = texts[: min(most, _room(states[row]))]
        happened[row] = [Admitted(texts=tuple(joining))] if joining else []
    return happened


def most_promising(shop: Workshop, campaign: Campaign, texts: Sequence[str], belief: Posterior) -> list[str]:
    """Return the texts that are worth a campaign's impressions, at most `ProposerConfig.admit`, best bounds first.

    None lies too far below the best text that the campaign shows: see `ProposerConfig.shortfall`.
    """
    if not texts:
        return []
    (ordered,), (near,) = _by_promise(shop, [campaign], [texts], belief)
    return ordered[: min(near, shop.config.proposer.admit)]


def _by_promise(
    shop: Workshop, campaigns: Sequence[Campaign], texts: Sequence[Sequence[str]], belief: Posterior
) -> tuple[list[list[str]], list[int]]:
    """Return the texts of each campaign, and how many of them come first that lie near enough to the best shown.

    Those come by their upper bounds, the best first, and so do the others after them.
    """
    features, present = padded(texts, shop.features)
    mean, variance = belief.predict(shop.rewards.widen(features))
    best = belief.logits()[0].masked_fill(~_shown(campaigns, belief, 1), -torch.inf).amax(1, keepdim=True)
    settings, deviation = shop.config.proposer, variance.sqrt()
    near = present & (mean + settings.shortfall * deviation > best)
    bounds = torch.where(present, mean + settings.exploration * deviation, -torch.inf)
    order = bounds.argsort(dim=1, descending=True, stable=True)
    first = near.gather(1, order).long().argsort(dim=1, descending=True, stable=True)
    places = order.gather(1, first).tolist()
    ordered = [[mine[place] for place in row[: len(mine)]] for mine, row in zip(texts, places, strict=True)]
    return ordered, near.sum(1).tolist()


def promote(shop: Workshop, campaigns: Sequence[Campaign]) -> Happened:
    """Make parents of the written texts that were shown often enough, in time for the next proposal."""
    states = [campaign.state for campaign in campaigns]
    worth = [_worth_mixing(state, shop.config.proposer.promote_at) if shop.proposes(state, after=1) else ()
             for state in states]  # fmt: skip
    shop.writer.embed(
        {text: state.usable[text].lineage for state, texts in zip(states, worth, strict=True) for text in texts}
    )
    return [[Promoted(texts=texts)] if texts else [] for texts in worth]


def publish(shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> Happened:
    """Share the next impressions of each campaign among its slate; texts that have just joined are believed alike.

    Where a policy tells segments apart, each of them has probabilities of its own, of a belief about texts in segments.
    """
    groups: dict[tuple[SegmentsConfig | None, int], list[int]] = defaultdict(list)
    for row, opening in enumerate(campaign.state.opening for campaign in campaigns):
        apart = opening.policy.segments
        groups[apart, 1 if apart is None else len(opening.segments)].append(row)
    happened: dict[int, list[Happening]] = {}
    for (apart, segments), rows in groups.items():
        some = [campaigns[row] for row in rows]
        if apart is None:
            known, columns = _joined(shop, some, belief.of(rows))
        else:
            slates = Slates.of(some, shop.features)
            counts = slates.impressions[..., :segments], slates.clicks[..., :segments]
            known = shop.rewards.fit_segments(slates.features, *counts, slates.present, apart)
            columns = shop.rewards.segment_columns(slates.features, segments, apart)
        every = shop.policies.allocate(some, known, _shown(some, known, segments), columns, segments)
        impressions = shop.config.impressions
        happened |= {row: [_published(campaigns[row].state, chances, impressions)]
                     for row, chances in zip(rows, every, strict=True)}  # fmt: skip
    return [happened[row] for row in range(len(campaigns))]


def show(campaigns: Sequence[Campaign], feeds: Sequence[RewardFeed]) -> None:
    """Give each campaign's last snapshot to its feed, which may have it already."""
    for campaign, feed in zip(campaigns, feeds, strict=True):
        if campaign.state.snapshot is not None:
            feed.publish(campaign.state.snapshot)


def close(campaigns: Sequence[Campaign], feeds: Sequence[RewardFeed]) -> tuple[Happened, list[InputError]]:
    """Take the outcomes that closed since, each once; and return why some of them cannot be."""
    refused: list[InputError] = []
    return [_closed(campaign.state, feed.closed(), refused)
            for campaign, feed in zip(campaigns, feeds, strict=True)], refused  # fmt: skip


def _joined(shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> tuple[Posterior, Tensor]:
    """Return the belief after texts have joined the slates since, and what describes all of them, (S, N, p)."""
    known = belief.present.sum(-1).tolist()
    fresh = [campaign.state.slate[count:] for campaign, count in zip(campaigns, known, strict=True)]
    if any(fresh):
        features, present = padded(fresh, shop.features)
        belief = belief.joined_by(shop.rewards.widen(features), present)
    return belief, belief.design[..., 1:]


def _shown(campaigns: Sequence[Campaign], belief: Posterior, segments: int) -> Tensor:
    """Return which rows of a belief may be shown, (S, R): those of texts that are neither retired nor paused."""
    shown = belief.present.clone()
    for row, state in enumerate(campaign.state for campaign in campaigns):
        may = set(state.shown)
        allowed = torch.tensor([text in may for text in state.slate])
        shown[row, belief.present[row]] = allowed.repeat_interleave(segments)
    return shown


def _published(state: State, chances: Tensor, impressions: int) -> Published:
    """Return the next snapshot, of probabilities in each segment (G, N), or of those for all (1, N)."""
    overall = chances[0]
    if state.tells_apart:
        seen = torch.from_numpy(state.by_segment[0].sum(0) + 1.0)  # as if each had been seen once
        overall = seen / seen.sum() @ chances
    return Published(
        snapshot=len(state.snapshots),
        probabilities=tuple(overall.tolist()),
        impressions=impressions,
        by_segment=tuple(map(tuple, chances.tolist())) if state.tells_apart else (),
        learned=int(state.totals[0].sum()),
    )


def _lineages(parents: Sequence[str], rows: Tensor, weights: Tensor, valid: Tensor) -> list[Lineage]:
    return [
        Lineage(tuple(parents[number] for number in row.tolist()), tuple(weight.tolist()))
        for row, weight, usable in zip(rows, weights, valid, strict=True)
        if usable
    ]


def _written(
    chances: Mapping[Lineage, tuple[float, ...]], drafts: Mapping[Lineage, Sequence[Draft]], known: Collection[str]
) -> list[Happening]:
    """Return that some lineages, drawn with some chances, were written; nothing, where there are none.

    Of each the first draft is recorded, from which is learned what becomes of mixtures, and others that are not known.
    """
    found = tuple(draft for lineage in chances for place, draft in enumerate(drafts[lineage])
                  if not place or draft.text not in known)  # fmt: skip
    drawn = tuple(chances[draft.lineage] for draft in found)
    return [Written(drafts=found, chances=drawn if any(drawn) else ())] if found else []


def _without_doubles(
    lineages: Sequence[Lineage], written: Sequence[Sequence[Draft]]
) -> dict[Lineage, tuple[Draft, ...]]:
    """Return the drafts of lineages: of each the first, and others whose texts none of the lineages before has."""
    found: dict[Lineage, tuple[Draft, ...]] = {}
    known: set[str] = set()
    for lineage, (first, *others) in zip(lineages, written, strict=True):
        known.add(first.text)
        fresh = {draft.text: draft for draft in others if draft.text not in known}
        found[lineage] = (first, *fresh.values())
        known.update(fresh)
    return found


def _room(state: State) -> int:
    """Return how many more texts may be shown, each with the policy's least probability."""
    many, floor = len(state.slate) - len(state.retired), state.opening.policy.floor
    return max(int(1 / floor) - many, 0) if floor else sys.maxsize


def _worth_mixing(state: State, least: float) -> tuple[str, ...]:
    """Return the written texts that the last snapshot shows with a probability of at least `least`, not yet parents."""
    chances = state.snapshots[-1].probabilities if state.snapshots else ()
    often = [text for text, chance in zip(state.slate, chances, strict=False) if chance >= least]
    return tuple(text for text in often if text in state.written and text not in state.parents)


def _check(state: State, outcome: Outcome) -> None:
    """Raise unless an outcome is of a snapshot that was published, and of its texts and segments."""
    text_id(outcome.id + outcome.context)  # or they could not be stored
    if not 0 <= outcome.snapshot < len(state.snapshots):
        raise InputError(f"outcome {outcome.id!r} is of snapshot {outcome.snapshot}, which was never published")
    shown = set(state.slate[: len(state.snapshots[outcome.snapshot].probabilities)])
    if unknown := [text for text in outcome.texts if text not in shown]:
        raise InputError(f"outcome {outcome.id!r} names {unknown[0]!r}, which its snapshot does not show")
    shape = (len(outcome.texts), len(state.opening.segments))
    if outcome.impressions.shape != shape or outcome.clicks.shape != shape:
        raise InputError(f"outcome {outcome.id!r} has impressions of shape {outcome.impressions.shape} and clicks of "
                         f"{outcome.clicks.shape}; its texts and the campaign's segments need {shape}")  # fmt: skip
    if bool(((outcome.clicks < 0) | (outcome.clicks > outcome.impressions)).any()):
        raise InputError(f"outcome {outcome.id!r} has more clicks than impressions, or fewer than none")


def _closed(state: State, outcomes: Sequence[Outcome], refused: list[InputError]) -> list[Happening]:
    place, seen = {text: number for number, text in enumerate(state.slate)}, set(state.closed)
    found: list[Happening] = []
    for outcome in outcomes:
        if outcome.id in seen:
            continue
        try:
            _check(state, outcome)
        except InputError as error:
            refused.append(error)
            continue
        seen.add(outcome.id)
        counts = tuple(
            (place[outcome.texts[row]], int(segment), int(outcome.impressions[row, segment]),
             int(outcome.clicks[row, segment]))
            for row, segment in zip(*outcome.impressions.nonzero(), strict=True)
        )  # fmt: skip
        found.append(Closed(id=outcome.id, snapshot=outcome.snapshot, counts=counts, context=outcome.context))
    return found
