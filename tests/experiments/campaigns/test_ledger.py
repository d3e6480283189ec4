"""The ledger: whole steps or nothing; a feed that is late, doubles, loses and shuffles ends like one that does not."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from sqlalchemy import insert, update
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import InputError
from embeddings.database import TextRow, open_database, reading, writing
from embeddings.geometry import Reduction
from experiments.campaigns import people, phases
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.config import CampaignConfig, PolicyConfig
from experiments.campaigns.events import Closed, Opened, Published
from experiments.campaigns.ledger import Ledger, StaleError
from experiments.campaigns.state import State
from experiments.campaigns.tables import EventRow
from experiments.campaigns.workshop import Workshop
from experiments.loop import collect, run
from simulator import Outcome, ShopperConfig, SimulatedFeed, Snapshot, draw_shoppers

TEXTS = tuple(f"claim {number}" for number in range(6))
OPENED = Opened(slate=TEXTS, parents=TEXTS, segments=("a", "b", "c"), mixing=False)


class Bag:
    """A writer that only encodes: each text a vector of its own."""

    def sentence_vectors(self, texts: Sequence[str]) -> Tensor:
        rows = [torch.randn(12, generator=torch.Generator().manual_seed(crc32(text.encode()))) for text in texts]
        return normalize(torch.stack(rows), dim=-1)

    def embed(self, lineages: object) -> None:
        """Invert nothing."""

    def keep(self, connection: object, happened: object) -> None:
        """Keep nothing."""


class Unreliable:
    """A feed through which outcomes come late, twice, out of order, or, for as long as it is closed, not at all."""

    def __init__(self, feed: SimulatedFeed, seed: int) -> None:
        self.feed, self.segments, self.rng = feed, feed.segments, random.Random(seed)
        self.held: list[Outcome] = []
        self.open = False

    def publish(self, snapshot: Snapshot) -> None:
        self.feed.publish(snapshot)
        if self.rng.random() < 0.3:
            self.feed.publish(snapshot)

    def closed(self) -> list[Outcome]:
        self.held.extend(self.feed.closed())
        self.rng.shuffle(self.held)
        count = len(self.held) if self.open else self.rng.randrange(len(self.held) + 1)
        found, self.held = self.held[:count], self.held[count:]
        again = [one for one in found if self.rng.random() < 0.3]
        return [*found, *again]


def feed() -> SimulatedFeed:
    bag = Bag()
    shoppers = draw_shoppers(ShopperConfig(), lambda texts: bag.sentence_vectors(texts).double().numpy(), TEXTS,
                             np.random.default_rng(0))  # fmt: skip
    return SimulatedFeed(shoppers, 5)


def workshop(rounds: int = 12) -> Workshop:
    config = CampaignConfig(rounds=rounds, impressions=500, features=3)
    bag = Bag()
    return Workshop(config, bag, Reduction.fit(bag.sentence_vectors(TEXTS), 3), lambda *_: None)  # type: ignore[arg-type]


def started(ledger: Ledger, policy: str = "thompson") -> Campaign:
    campaign = Campaign("c", (0, 1))
    with ledger.step([campaign]) as record:
        record([[OPENED.model_copy(update={"policy": PolicyConfig.model_validate(policy)})]])
    return campaign


def played(path: Path, policy: str, wrap: Callable[[SimulatedFeed], Unreliable | SimulatedFeed]) -> Campaign:
    ledger, shop = Ledger(open_database(path), "config"), workshop()
    campaign, chosen = started(ledger, policy), wrap(feed())
    run(shop, [campaign], [chosen], ledger, lambda done, total: None)
    if isinstance(chosen, Unreliable):
        chosen.open = True
        collect([campaign], [chosen], ledger)
    return campaign


def unlearned(state: State) -> State:
    """A state without what its snapshots knew when they were published."""
    return replace(state, snapshots=tuple(one.model_copy(update={"learned": 0}) for one in state.snapshots))


@pytest.mark.parametrize("seed", range(4))
def test_a_feed_that_cannot_be_relied_on_ends_like_one_that_can(tmp_path: Path, seed: int) -> None:
    """Under a policy that does not listen, so that both show the same: state and posterior are equal in all digits."""
    clean = played(tmp_path / "clean.sqlite", "uniform", lambda feed: feed)
    late = played(tmp_path / "late.sqlite", "uniform", lambda feed: Unreliable(feed, seed))
    assert unlearned(late.state) == unlearned(clean.state)
    believed = [phases.learn(workshop(), [campaign]).mean for campaign in (clean, late)]
    assert torch.equal(*believed)


@pytest.mark.parametrize("seed", range(4))
def test_the_ledger_tells_the_state_again(tmp_path: Path, seed: int) -> None:
    """Under a policy that listens to what came late: what it did is on record, and so is all that it knew."""
    campaign = played(tmp_path / "a.sqlite", "thompson", lambda feed: Unreliable(feed, seed))
    again = Campaign("c", (0, 1))
    Ledger(open_database(tmp_path / "a.sqlite"), "config").resume([again])
    assert again.state == campaign.state
    assert again.recorded == campaign.recorded
    assert len(again.state.closed) == 12
    assert again.state.totals[0].sum() == 12 * 500


@pytest.mark.parametrize("stop", [1, 3, 4, 8, 11])
def test_stopped_between_publishing_and_closing(tmp_path: Path, stop: int) -> None:
    """What was published is shown again, and counted once."""
    whole = played(tmp_path / "whole.sqlite", "thompson", lambda feed: feed)

    class Dies(SimulatedFeed):
        def closed(self) -> list[Outcome]:
            found = super().closed()
            if found and found[-1].snapshot == stop:
                raise KeyboardInterrupt
            return found

    ledger, first = Ledger(open_database(tmp_path / "broken.sqlite"), "config"), feed()
    campaign = started(ledger)
    with pytest.raises(KeyboardInterrupt):
        run(workshop(), [campaign], [Dies(first.shoppers, first.seed)], ledger, lambda *_: None)
    again = Campaign("c", (0, 1))
    ledger.resume([again])
    assert again.state == campaign.state
    assert len(again.state.snapshots) == len(again.state.closed) + 1
    run(workshop(), [again], [feed()], ledger, lambda *_: None)
    assert again.state == whole.state


def test_a_step_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.sqlite")
    ledger = Ledger(engine, "config")
    campaign = started(ledger)
    before = campaign.state

    def keep(connection: object, happened: object) -> None:
        connection.execute(insert(TextRow).values(id="half", text="written", created_at=datetime.now(UTC)))  # type: ignore[attr-defined]
        raise OSError("disk gone")

    snapshot = Published(snapshot=0, probabilities=(1 / 6,) * 6, impressions=9)

    def step() -> None:
        with ledger.step([campaign], keep) as record:
            record([[snapshot]])
            assert campaign.state.snapshots == (snapshot,)

    with pytest.raises(OSError, match="disk gone"):
        step()
    assert campaign.state is before
    assert len(ledger.events("c")) == campaign.recorded == 1
    with reading(engine) as connection:
        assert not connection.exec_driver_sql("SELECT * FROM texts WHERE id = 'half'").all()


def test_two_processes_cannot_go_on_with_one_campaign(tmp_path: Path) -> None:
    ledger = Ledger(open_database(tmp_path / "a.sqlite"), "config")
    one, other = started(ledger), Campaign("c", (0, 1))
    ledger.resume([other])
    snapshot = Published(snapshot=0, probabilities=(1 / 6,) * 6, impressions=9)
    with ledger.step([one]) as record:
        record([[snapshot]])
    with pytest.raises(StaleError, match="another process"), ledger.step([other]) as record:
        record([[snapshot]])
    assert other.state.snapshots == ()
    assert [event.sequence for event in ledger.events("c")] == [0, 1]


def test_events_say_when_they_happened_and_of_which_version(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.sqlite")
    ledger = Ledger(engine, "config")
    started(ledger)
    (event,) = ledger.events("c")
    assert event.at.utcoffset() is not None
    assert event.what == OPENED
    with writing(engine) as connection:
        connection.execute(update(EventRow).values(version=99))
    with pytest.raises(InputError, match="an event of version 99"):
        ledger.events("c")


def test_a_database_of_other_settings_is_refused(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "a.sqlite")
    Ledger(engine, "config")
    started(Ledger(engine, "another: nothing had begun"))
    with pytest.raises(InputError, match="other settings"):
        Ledger(engine, "config")


def test_retired_texts_are_shown_no_more_but_what_they_taught_stays(tmp_path: Path) -> None:
    ledger, shop = Ledger(open_database(tmp_path / "a.sqlite"), "config"), workshop(rounds=3)
    campaign = started(ledger)
    run(shop, [campaign], [feed()], ledger, lambda *_: None)
    before = phases.learn(shop, [campaign]).coefficients
    with ledger.step([campaign]) as record:
        record([people.retire(campaign, [TEXTS[2]], "sold out")])
        belief = phases.learn(shop, [campaign])
        record(phases.publish(shop, [campaign], belief))
    assert torch.equal(before, belief.coefficients)
    assert campaign.state.snapshots[-1].probabilities[2] == 0
    for texts, why in (([TEXTS[2]], "is not shown"), (list(TEXTS[:2] + TEXTS[3:]), "nothing left")):
        with pytest.raises(InputError, match=why):
            people.retire(campaign, texts, "all")


def test_outcomes_keep_their_context(tmp_path: Path) -> None:
    ledger = Ledger(open_database(tmp_path / "a.sqlite"), "config")
    campaign = started(ledger)

    class Phone(SimulatedFeed):
        def closed(self) -> list[Outcome]:
            return [Outcome("x", 0, TEXTS[3:4], *(torch.tensor([[0, 1, 0]]).numpy(),) * 2, context="phone")]

    first = feed()
    with ledger.step([campaign]) as record:
        record([[Published(snapshot=0, probabilities=(1 / 6,) * 6, impressions=1)]])
    collect([campaign], [Phone(first.shoppers, 0)], ledger)
    assert campaign.state.counts == {(3, 1, "phone"): (1, 1)}
    assert ledger.events("c")[-1].what == Closed(id="x", snapshot=0, counts=((3, 1, 1, 1),), context="phone")


@pytest.mark.parametrize(("changes", "says"), [
    ({"texts": ("never shown", *TEXTS[1:])}, "names 'never shown', which its snapshot does not show"),
    ({"snapshot": 3}, "snapshot 3, which was never published"),
    ({"impressions": np.ones((6, 4), int)}, r"shape \(6, 4\)"),
    ({"clicks": np.full((6, 3), 2)}, "more clicks than impressions"),
    ({"id": "\ud800"}, "not valid Unicode"),
])  # fmt: skip
def test_outcomes_that_cannot_be_are_refused_by_name(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    ledger = Ledger(open_database(tmp_path / "a.sqlite"), "config")
    campaign = started(ledger)
    with ledger.step([campaign]) as record:
        record([[Published(snapshot=0, probabilities=(1 / 6,) * 6, impressions=18)]])
    right = Outcome("a", 0, TEXTS, np.ones((6, 3), int), np.zeros((6, 3), int))

    class Wrong(SimulatedFeed):
        def closed(self) -> list[Outcome]:
            return [replace(right, **changes), replace(right, id="good")]

    with pytest.raises(InputError, match=says):
        collect([campaign], [Wrong(feed().shoppers, 0)], ledger)
    assert list(campaign.state.closed) == ["good"]
    assert len(ledger.events("c")) == 3
