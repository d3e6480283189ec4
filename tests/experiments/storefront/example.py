"""A slot of the shipped claims that has run for two weeks: for tests of pages, and to look at them.

``python tests/experiments/storefront/example.py --port 8123`` serves it; the keys are in `KEYS`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from embeddings.database import writing
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted, Draft, Happening, Published, Written
from experiments.campaigns.given import Given, given_texts
from experiments.campaigns.ledger import Ledger
from experiments.storefront import review
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Question, Slot
from experiments.storefront.journal import Decide, Expose, Reward, record
from experiments.storefront.slots import Slots, change_settings, open_slot, open_storefront
from experiments.storefront.worker import Worker
from generator.checks import Refusal

TENANT, SLOT = "outdoor-shop", "product-hero"
LOOK = "read"
EDIT = "read review publish"
ALL = "read review publish admin"


@dataclass(frozen=True)
class Someone:
    """A key that holds."""

    prefix: str
    tenant: str
    name: str
    scopes: frozenset[str]


@dataclass
class FakeKeys:
    """Keys by what is presented."""

    held: dict[str, Someone] = field(default_factory=dict)

    def add(self, key: str, name: str, scopes: str, tenant: str = TENANT) -> None:
        self.held[key] = Someone(key[:8], tenant, name, frozenset(scopes.split()))

    def find(self, presented: str) -> Someone | None:
        return self.held.get(presented)

    def known(self, prefix: str) -> Someone | None:
        return next((one for one in self.held.values() if one.prefix == prefix), None)


def keys() -> FakeKeys:
    """Anna keeps the shop, Bert edits, Cleo looks; Dora belongs to another shop."""
    found = FakeKeys()
    found.add("anna-key", "Anna", ALL)
    found.add("bert-key", "Bert", EDIT)
    found.add("cleo-key", "Cleo", LOOK)
    found.add("dora-key", "Dora", ALL, "other-shop")
    return found


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **how: float) -> None:
        self.at += timedelta(**how)


def happen(slots: Slots, name: str, events: Sequence[Happening], tenant: str = TENANT) -> None:
    """Record events of a slot's campaign, as its worker would."""
    campaign = Campaign(slots.get(tenant, name).campaign, ())
    ledger = Ledger(slots.engine)
    ledger.resume([campaign])
    with ledger.step([campaign]) as step:
        step([events])
    slots.refresh()


def publish(slots: Slots, name: str, favour: dict[str, float], tenant: str = TENANT) -> None:
    """Admit what was approved, and publish a snapshot in which some texts are shown more than others."""
    state = slots.get(tenant, name).state
    if state.waiting:
        happen(slots, name, [Admitted(texts=tuple(state.waiting))], tenant)
        state = slots.get(tenant, name).state
    shown = set(state.shown)
    weights = [favour.get(text, 1.0) if text in shown else 0.0 for text in state.slate]
    chances = tuple(weight / sum(weights) for weight in weights)
    event = Published(snapshot=len(state.snapshots), probabilities=chances, impressions=1000)
    happen(slots, name, [event], tenant)


def shop(slot: Slot, rates: dict[str, float], many: int, clock: Clock, rng: random.Random, units: int = 4000) -> None:
    """Let shoppers come, see and click; some pages are never shown."""
    with writing(slots_of[slot.id].engine) as connection:
        entries = []
        for _ in range(many):
            question = Question(f"e{rng.getrandbits(64):x}", f"u{rng.randrange(units)}", deferred=rng.random() < 0.1)
            choice = slot.choose(question)
            entries.append(Decide(slot, question, choice))
            if question.deferred and rng.random() < 0.9:
                entries.append(Expose(slot.tenant, question.event_id))
            if rng.random() < rates.get(slot.state.slate[choice.place], 0.02):
                entries.append(Reward(slot.tenant, question.event_id, "r", 1.0, "click"))
        for first in range(0, len(entries), 500):
            record(connection, entries[first : first + 500], lambda _: slot.settings, clock())


slots_of: dict[int, Slots] = {}


def fill(database: str, clock: Clock, rounds: int = 14, many: int = 1500) -> Engine:
    """Open two slots, write, review, show and click in the first, and return the database."""
    engine, rng = open_storefront(database), random.Random(7)
    given = given_texts(SlotConfig())
    settings = SlotSettings(holdout=0.1, baseline=given.own[0])
    open_slot(engine, TENANT, SLOT, SlotConfig(), given, settings, "Anna", clock)
    other = Given(["Warm boots for cold days.", "Dry feet, whatever the weather."], None,
                  ["Warm boots for cold days.", "Dry feet, whatever the weather."], [])  # fmt: skip
    open_slot(engine, TENANT, "newsletter", SlotConfig(), other, SlotSettings(mode="shadow"), "Anna", clock)
    slots = Slots(engine)
    slots_of[slots.get(TENANT, SLOT).id] = slots
    own, stored = given.own, [text for text in given.texts if text not in given.own]
    rates = {text: 0.018 + 0.004 * rng.random() for text in given.own}
    worker = Worker(engine, clock=clock, write=False)

    def days(count: int, favour: dict[str, float] | None = None) -> None:
        for day in range(count):
            if day or favour:
                publish(slots, SLOT, {text: 1 + day * more for text, more in (favour or {}).items()})
            clock.turn(hours=20)
            shop(slots.get(TENANT, SLOT), rates, many, clock, rng)
            clock.turn(hours=4)
            worker.round()
            slots.refresh()

    days(3)
    good = [
        Draft(Lineage((own[0], own[3]), (0.7, 0.3)), "A lightweight waxed canvas backpack, made with love."),
        Draft(Lineage((own[1], own[2]), (0.5, 0.5)), "Your heart will know this backpack by its passport slot."),
        Draft(Lineage((own[4], stored[3]), (1.15, -0.15)), "A 20 percent discount on a backpack that holds more."),
        Draft(Lineage((own[0], own[1]), (0.3, 0.7)), "Everything within reach, on every train journey: a backpack."),
    ]
    bad = [
        Draft(Lineage((own[0], own[5]), (0.5, 0.5)), "Free backpack backpack now.",
              (Refusal("repetition", "repeats 'backpack backpack'"),)),
        Draft(Lineage((own[2], own[4]), (0.7, 0.3)), "A 40 percent discount, the backpack of",
              (Refusal("invented number", "the number '40' does not stand in a phrase of the record"),
               Refusal("unfinished", "not a finished sentence"))),
    ]  # fmt: skip
    happen(slots, SLOT, [Written(drafts=(*good, *bad))])
    clock.turn(hours=1)
    review.decide(engine, slots, TENANT, SLOT, "approve", [draft.text for draft in good[:3]], "Bert",
                  "as in our leaflet", clock)  # fmt: skip
    review.decide(engine, slots, TENANT, SLOT, "reject", [good[3].text], "Bert", "it reads like a riddle", clock)
    rates |= {good[0].text: 0.044, good[1].text: 0.012, good[2].text: 0.03}
    days(4, {good[0].text: 3.0, own[4]: 1.0})
    review.write(engine, slots, TENANT, SLOT, "A lightweight waxed canvas backpack, made to last.", "Anna",
                 good[0].text, "“with love” is not our tone", clock)  # fmt: skip
    review.decide(engine, slots, TENANT, SLOT, "approve", ["A lightweight waxed canvas backpack, made to last."],
                  "Bert", "true of our canvas", clock)  # fmt: skip
    rates["A lightweight waxed canvas backpack, made to last."] = 0.048
    lasting = "A lightweight waxed canvas backpack, made to last."
    days(rounds - 7, {good[0].text: 9.0, good[2].text: 2.0, lasting: 12.0})
    review.decide(engine, slots, TENANT, SLOT, "pause", [good[1].text], "Bert", "few click it", clock)
    change_settings(engine, slots.get(TENANT, SLOT), {"sticky_days": 1.0}, "Anna", "fewer flips for regulars", clock)
    waiting = [
        Draft(Lineage((good[0].text, own[4]), (0.7, 0.3)), "Made with love from waxed canvas, 20 percent off."),
        Draft(Lineage((good[0].text, own[2]), (0.5, 0.5)), "A water-resistant backpack in copper, loved by Vogue."),
        Draft(Lineage((own[1], stored[7]), (0.7, 0.3)), "A backpack with 3 hidden pockets for train journeys."),
        Draft(Lineage((good[2].text, good[0].text), (1.15, -0.15)), "A backpack that holds more than it seems."),
        Draft(Lineage((own[0], own[2], own[3]), (0.4, 0.3, 0.3)),
              "<script>alert(1)</script> {{ 1111*37 }} the backpack of your heart & more."),
    ]  # fmt: skip
    happen(slots, SLOT, [Written(drafts=tuple(waiting))])
    clock.turn(hours=2)
    review.write(engine, slots, TENANT, SLOT, "A backpack whose passport slot your heart will know.", "Bert",
                 good[1].text, "shorter", clock)  # fmt: skip
    slots.refresh()
    return engine


def main() -> None:
    """Serve the example."""
    import sys
    import tempfile

    import uvicorn
    from fastapi import FastAPI

    from experiments.storefront.pages import pages

    clock = Clock(datetime(2026, 11, 2, 6, tzinfo=UTC))
    engine = fill(str(Path(tempfile.mkdtemp()) / "shop.db"), clock)
    app = FastAPI()
    app.include_router(pages(engine, Slots(engine), keys(), clock))
    uvicorn.run(app, port=int(sys.argv[sys.argv.index("--port") + 1]), log_level="warning")


if __name__ == "__main__":
    main()
