"""The loop: from stored texts to mixtures, to shoppers, to clicks, and back. Read this first.

Two clocks. The slow one proposes: parents and weights are chosen, mixed, decoded, checked, and the most promising new
texts join the slate. The fast one allocates: every impression draws one text of the slate. All campaigns of a study
(one for each seed and policy) run side by side as rows of tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from bandits import Posterior, mixture_key
from experiments.campaign import Campaign, Slates
from experiments.ledger import Ledger, RoundRecord
from experiments.study import Study
from experiments.writer import Draft, Recipe


def run(study: Study, ledger: Ledger, progress: Callable[[int, int], None]) -> None:
    """Play all rounds that `ledger` does not hold yet; `progress` hears of the rounds done and in all."""
    for records in ledger.replay(study.campaigns):
        for campaign, record in zip(study.campaigns, records, strict=True):
            learn(study, campaign, record)
    for sequence in range(ledger.rounds, study.config.rounds):
        records = play_round(study, sequence)
        ledger.append(study.campaigns, records)
        progress(sequence + 1, study.config.rounds)


def play_round(study: Study, sequence: int) -> list[RoundRecord]:
    """Play one round of every campaign and return what happened."""
    drafts = propose(study, sequence)  # parents and weights, mixed, decoded, checked
    admitted = admit(study, sequence)  # the most promising new texts join the slate
    promoted = promote(study, sequence)  # the most shown new texts become parents

    slates = Slates.of(study.campaigns, study.writer, study.reduce)
    posterior = fit(study, slates)  # what all clicks so far say about each text
    streams = [_stream(study.config.seed, campaign.seed, sequence) for campaign in study.campaigns]
    allocation = study.policy.allocate(posterior, slates.present, streams)  # how often to show each

    records = []
    for row, campaign in enumerate(study.campaigns):
        snapshot = campaign.snapshot(allocation.probabilities[row], study.config.impressions)
        outcomes = campaign.feed.outcomes(snapshot)  # shoppers see texts and click, or do not
        records.append(RoundRecord(drafts[row], admitted[row], promoted[row], snapshot, outcomes))
        campaign.learn(snapshot, outcomes)
    return records


def fit(study: Study, slates: Slates) -> Posterior:
    """Return the belief about all texts of all slates after the counts so far."""
    return study.reward_model.fit(slates.features, slates.impressions, slates.clicks, slates.present)


def propose(study: Study, sequence: int) -> list[list[Draft]]:
    """Return, for each campaign, drafts of the mixtures that its posterior is most hopeful about."""
    drafts: list[list[Draft]] = [[] for _ in study.campaigns]
    mixing = [row for row, campaign in enumerate(study.campaigns) if campaign.mixing]
    if not mixing or not study.proposes_at(sequence):
        return drafts
    campaigns = [study.campaigns[row] for row in mixing]
    parents = study.parents  # of all campaigns; each may use its own
    place = {text: i for i, text in enumerate(parents)}
    proposals = study.proposer.propose(
        study.writer.base_points(parents),
        study.reduce,
        study.channel,
        fit(study, Slates.of(campaigns, study.writer, study.reduce)),
        study.config.proposer.shortlist,
        tried=[{mixture_key([place[p] for p in r.parents], r.weights) for r in c.tried} for c in campaigns],
        members=torch.tensor([[text in set(c.parents) for text in parents] for c in campaigns]),
    )
    wanted = [
        _recipes(parents, *row) for row in zip(proposals.parents, proposals.weights, proposals.valid, strict=True)
    ]
    recipes = [recipe for recipes in wanted for recipe in recipes]
    written = iter(study.writer.write(recipes, lambda done, total: study.report("writing new mixtures", done, total)))
    for row, recipes in zip(mixing, wanted, strict=True):
        drafts[row] = [one for _ in recipes for one in next(written).every]
        study.campaigns[row].drafts.extend(drafts[row])
    return drafts


def admit(study: Study, sequence: int) -> list[list[Draft]]:
    """Add to each slate the unseen texts with the best upper bound; return them."""
    admitted: list[list[Draft]] = [[] for _ in study.campaigns]
    mixing = [row for row, campaign in enumerate(study.campaigns) if campaign.mixing]
    if not mixing or not study.proposes_at(sequence):
        return admitted
    campaigns = [study.campaigns[row] for row in mixing]
    posterior = fit(study, Slates.of(campaigns, study.writer, study.reduce))
    waiting = [campaign.waiting(study.library) for campaign in campaigns]
    texts = list(dict.fromkeys(text for drafts in waiting for text in drafts))
    if not texts:
        return admitted
    mean, variance = posterior.predict(study.reduce(study.writer.sentence_vectors(texts)))  # (S, texts)
    bounds = mean + study.config.proposer.exploration * variance.sqrt()
    for number, row in enumerate(mixing):
        mine = torch.tensor([text in waiting[number] for text in texts])
        bound = torch.where(mine, bounds[number], -torch.inf)
        for i in bound.argsort(descending=True, stable=True)[: study.config.proposer.admit].tolist():
            if bound[i] > -torch.inf:
                admitted[row].append(waiting[number][texts[i]])
                study.campaigns[row].admit(admitted[row][-1])
    return admitted


def promote(study: Study, sequence: int) -> list[list[str]]:
    """Make parents of written texts that were shown often enough; return them."""
    promoted: list[list[str]] = [[] for _ in study.campaigns]
    if not study.proposes_at(sequence + 1):
        return promoted
    for row, campaign in enumerate(study.campaigns):
        shown = campaign.shown[-1].tolist() if campaign.shown else []
        enough = [
            t for t, share in zip(campaign.texts, shown, strict=False) if share >= study.config.proposer.promote_at
        ]
        promoted[row] = [text for text in enough if text in campaign.recipes and text not in campaign.parents]
    study.add_parents(
        {text: study.campaigns[row].recipes[text] for row, texts in enumerate(promoted) for text in texts}
    )
    for campaign, texts in zip(study.campaigns, promoted, strict=True):
        campaign.parents.extend(texts)
    return promoted


def learn(study: Study, campaign: Campaign, record: RoundRecord) -> None:
    """Bring a campaign to the state after a recorded round."""
    campaign.drafts.extend(record.drafts)
    study.writer.remember(record.drafts)
    for draft in record.admitted:
        campaign.admit(draft)
    study.add_parents({text: campaign.recipes[text] for text in record.promoted})
    campaign.parents.extend(record.promoted)
    campaign.learn(record.snapshot, record.outcomes)


def _stream(*seeds: int) -> torch.Generator:
    """Return a generator of its own for one campaign and round: the same whatever runs beside it."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def _recipes(parents: Sequence[str], rows: torch.Tensor, weights: torch.Tensor, valid: torch.Tensor) -> list[Recipe]:
    return [
        Recipe(tuple(parents[i] for i in row.tolist()), tuple(weight.tolist()))
        for row, weight, usable in zip(rows, weights, valid, strict=True)
        if usable
    ]
