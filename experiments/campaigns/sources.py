"""Where new texts come from, where not mixing writes them: the one place at which others enter the loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from bandits import Posterior
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Happening, Written

if TYPE_CHECKING:
    from experiments.campaigns.workshop import Workshop


class Source(Protocol):
    """Writes new texts of campaigns. What it writes is checked, admitted, shown and learned from as mixtures are."""

    def first(self) -> list[Draft]:
        """Return what is written before the first impression, the same for all campaigns."""
        ...

    def more(self, shop: Workshop, campaigns: Sequence[Campaign], belief: Posterior) -> list[list[Draft]]:
        """Return what is written next for each of some campaigns, by what is believed of their texts."""
        ...


def taken(campaigns: Sequence[Campaign], drafts: Sequence[Sequence[Draft]]) -> list[list[Happening]]:
    """Return that each of some campaigns was given drafts: of them those whose texts it does not have yet."""
    found: list[list[Happening]] = []
    for campaign, given in zip(campaigns, drafts, strict=True):
        known = {draft.text for draft in campaign.state.drafts}
        fresh = {draft.text: draft for draft in reversed(given) if draft.text not in known}
        found.append([Written(drafts=tuple(fresh.values())[::-1])] if fresh else [])
    return found
