"""Pairs of shops that meet the same shoppers: one shows what its worker writes, the other its stored texts alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embeddings.space import Space
from experiments.campaigns.config import PolicyConfig, PriorConfig, ProposerConfig
from experiments.campaigns.events import Draft
from experiments.campaigns.given import given_texts
from experiments.simulation.worlds import grammar_world
from experiments.storefront.config import SlotConfig
from experiments.storefront.verify import verify
from experiments.studies.storefront.crowd import Crowd
from experiments.studies.storefront.shop import open_shop
from generator.readability import READABLE
from simulator import Shoppers, draw_shoppers
from simulator.config import ShopperConfig
from simulator.worlds import World

BASE_RATE = 0.08
"""Four times that of the offline study, whose campaigns have five times the impressions: nearly as much is learned."""
ROUNDS, VISITS = 30, 750
"""Snapshots of a campaign, and visits from one to the next: 22,500 in all."""
EVERY = 6
"""Snapshots from one proposal to the next: some more proposals than a slot has unless it is told."""
FIRST = 448
"""Mixtures written before the first visit."""
FLOOR = 0.0005
"""Least chance of a text, a quarter of a slot's own: half a hundred texts still leave the others nearly everything."""
LAST_SHARE = 0.2
"""Share of the visits, at the end, over which click rates are also compared."""


def config(rounds: int = ROUNDS, visits: int = VISITS) -> SlotConfig:
    """Return what both slots of a pair are opened with: the shipped claims, and a writer whose texts nobody reviews.

    More is written than people can read; each of so many texts has a smaller chance at least.
    """
    usual: ProposerConfig = SlotConfig.model_fields["proposer"].default
    policy: PolicyConfig = SlotConfig.model_fields["policy"].default
    return SlotConfig(
        rounds=rounds, impressions=visits, model="copyloom-tiny", prior=PriorConfig(base_rate=BASE_RATE),
        policy=policy.model_copy(update={"floor": FLOOR}),
        proposer=ProposerConfig(every=EVERY, shortlist=usual.shortlist, warm_up=FIRST),
    )  # fmt: skip


@cache
def shoppers_world() -> World:
    """Return what shoppers see in a text: as in the offline study, the grammar's world."""
    space, given = Space.load("copyloom-tiny"), given_texts(config())
    if given.subject is None:
        raise LookupError("the shipped claims have a subject")
    return grammar_world(given.subject, space.critic or space.model, given.texts)


def shoppers(seed: int) -> Shoppers:
    """Return the shoppers of a seed: their taste is that of the same seed of an offline study."""
    world, rng = shoppers_world(), np.random.default_rng([0, seed])
    return draw_shoppers(ShopperConfig(base_rate=BASE_RATE), world.features, world.reference, rng, world.readable)


def play(mixing: bool, rounds: int, visits: int, seed: int, database: Path) -> dict[str, Any]:
    """Play a campaign in a copied database, and return the true click rate of what its policy showed, round by round.

    Both shops of a pair write; one approves what it wrote by itself, in the other that waits for ever.
    """
    drawn = shoppers(seed)

    @cache
    def rates(text: str) -> NDArray[np.float64]:
        found: NDArray[np.float64] = drawn.segment_probabilities([text])[0]
        return found

    def true(text: str) -> float:
        return float(rates(text) @ drawn.shares)

    crowd, own = Crowd(seed, drawn.shares, rates), given_texts(config()).own
    shown: list[float] = []
    bandit, written_shown, unreadable = 0, 0, 0
    with open_shop(database, seed, {"auto_approve": mixing}) as shop:
        for number in range(rounds):
            seen = crowd.visit(shop, number, visits)
            texts = [text for text, chosen in zip(seen.texts, seen.bandit, strict=True) if chosen]
            shown.append(float(np.mean([true(text) for text in texts])))
            bandit += len(texts)
            written_shown += sum(text not in own for text in texts)
            unreadable += sum(_unreadable(drawn, text) for text in texts)
            shop.close_windows()
        state = shop.slot.state
        mixtures = [draft for draft in state.drafts if len(draft.lineage.parents) > 1]
        rewritten = [draft for draft in state.drafts if len(draft.lineage.parents) == 1]
        return {"rates": shown, "texts": len(state.slate), "written": len(mixtures), "refused": _refused(mixtures),
                "rewritten": len(rewritten), "rewritten_refused": _refused(rewritten), "bandit": bandit,
                "written_shown": written_shown, "unreadable": unreadable, "off": shop.slot.settings.mode == "off",
                "best_stored": max(map(true, own)), "uniform": float(np.mean([true(text) for text in own])),
                "best_text": max(state.slate, key=true), "best": max(map(true, state.slate)),
                "faults": len(verify(shop.worker.engine))}  # fmt: skip


def _refused(drafts: Sequence[Draft]) -> int:
    return sum(bool(draft.refusals) for draft in drafts)


@cache
def _share_kept(text: str) -> float:
    return float(shoppers_world().readable([text])[0])


def _unreadable(drawn: Shoppers, text: str) -> bool:
    return drawn.readable is not None and _share_kept(text) < READABLE
