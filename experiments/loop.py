"""The loop: from stored texts to mixtures, to shoppers, to clicks, and back. Read this first.

A campaign is the fold of its events. Every phase looks at the states of campaigns that run side by side (one, live;
one for each seed and policy in a simulation) and returns what happens to them; `record` applies it, and at the end of a
step all of it goes into the ledger in one transaction: live, resumed and read again years later, they are the same.

Two clocks. The slow one proposes: parents and weights are chosen, mixed, put into words, checked, and the best new
texts join the slate. The fast one allocates: every impression draws one text of the snapshot; no shopper ever waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from copyloom import Progress, Report
from embeddings.summary import Lineage
from experiments.campaigns import phases
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.config import CampaignConfig
from experiments.campaigns.events import Opened
from experiments.campaigns.given import Given
from experiments.campaigns.ledger import Happened, Ledger
from experiments.campaigns.workshop import Workshop, first_lineages
from experiments.campaigns.writer import Writer
from simulator import RewardFeed

Record = Callable[[Happened], None]


def begin(campaigns: Sequence[Campaign], openings: Sequence[Opened], writer: Writer, ledger: Ledger) -> None:
    """Open the campaigns that the ledger does not know; bring the others, and their writer, to where it left them."""
    ledger.resume(campaigns)
    for campaign in campaigns:
        writer.recall(campaign.state.drafts)
    writer.encoder.recall(ledger.engine)
    writer.recall_parents(text for campaign in campaigns for text in campaign.state.parents)
    with ledger.step(campaigns, writer.keep) as record:
        record([[] if campaign.recorded else [opening] for campaign, opening in zip(campaigns, openings, strict=True)])


def opened(
    config: CampaignConfig, given: Given, writer: Writer, campaigns: Sequence[Campaign], openings: Sequence[Opened],
    ledger: Ledger, report: Report,
) -> Workshop:  # fmt: skip
    """Open campaigns, write their first mixtures, and return what their phases work with."""
    begin(campaigns, openings, writer, ledger)
    warm_up(campaigns, first_lineages(config, given), writer, ledger, report)
    return Workshop.of(config, given, writer, report)


def warm_up(
    campaigns: Sequence[Campaign], lineages: Sequence[Lineage], writer: Writer, ledger: Ledger, report: Report
) -> None:
    """Write the first lineages that are not on record yet, of which is learned what becomes of texts in a mixture."""
    mixing = [campaign.state.tried for campaign in campaigns if campaign.state.opening.mixing]
    done, fresh = 0, [lineage for lineage in lineages if any(lineage not in tried for tried in mixing)]
    for group in writer.together(fresh):
        report("writing the first mixtures", done, len(fresh))
        with ledger.step(campaigns, writer.keep) as record:
            record(phases.write(writer, group, campaigns))
        done += len(group)
    report("writing the first mixtures", done, len(fresh))


def run(
    shop: Workshop, campaigns: Sequence[Campaign], feeds: Sequence[RewardFeed], ledger: Ledger, progress: Progress
) -> None:
    """Play the rounds that are not on record yet; `progress` hears of the rounds done and in all."""
    phases.show(campaigns, feeds)  # after a restart the feeds know nothing
    collect(campaigns, feeds, ledger)
    for number in range(len(campaigns[0].state.snapshots), shop.config.rounds):
        with ledger.step(campaigns, shop.writer.keep) as record:
            decide(shop, campaigns, record)
        phases.show(campaigns, feeds)
        collect(campaigns, feeds, ledger)
        progress(number + 1, shop.config.rounds)


def decide(shop: Workshop, campaigns: Sequence[Campaign], record: Record) -> None:
    """Decide what the campaigns show next."""
    belief = phases.learn(shop, campaigns)  # what all clicks so far say about each text
    record(phases.propose(shop, campaigns, belief))  # parents and weights, mixed, put into words, checked
    record(phases.admit(shop, campaigns, belief))  # the most promising new texts join the slates
    record(phases.promote(shop, campaigns))  # the most shown new texts become parents
    record(phases.publish(shop, campaigns, belief))  # how often to show each text


def collect(campaigns: Sequence[Campaign], feeds: Sequence[RewardFeed], ledger: Ledger) -> None:
    """Take what shoppers did: outcomes that closed, of whichever snapshot, late or twice.

    Raises
    ------
    InputError
        If an outcome cannot be; the others are on record.
    """
    with ledger.step(campaigns) as record:
        happened, refused = phases.close(campaigns, feeds)
        record(happened)
    if refused:
        raise refused[0]
