"""Journal and feed beside a small model: whatever comes in whichever order, as often as it likes, counts the same."""

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.database import writing
from experiments.campaigns.given import Given
from experiments.storefront import SlotConfig, SlotSettings
from experiments.storefront.decide import Question
from experiments.storefront.journal import ConflictError, Decide, Expose, Reward, record
from experiments.storefront.rebuild import rebuild
from experiments.storefront.slots import Slots, open_slot, open_storefront
from experiments.storefront.verify import verify
from experiments.storefront.worker import Worker

from .conftest import TEXTS, Hands

WINDOW, ACTIVATION = 10, 20
SETTINGS = SlotSettings(
    holdout=0.0, window_seconds=WINDOW, grace_seconds=0, activation_seconds=ACTIVATION, aggregation="sum",
    click_above=0.5,
)  # fmt: skip


@dataclass
class Shopper:
    """An event, as the model has it."""

    question: tuple[int, bool] | None = None
    due: datetime | None = None
    shown: bool = False
    rewards: dict[str, float] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    closed: bool = False

    @property
    def value(self) -> float:
        return min(sum(value for name, value in self.rewards.items() if name not in self.late), 1.0)


@dataclass
class Model:
    """What an engineer would say happens: forty lines that know nothing of databases."""

    events: dict[str, Shopper] = field(default_factory=dict)
    outcomes: list[float] = field(default_factory=list)

    def decide(self, event: str, question: tuple[int, bool], at: datetime) -> str | None:
        one = self.events.setdefault(event, Shopper())
        if one.question is not None:
            return None if one.question == question else "conflict"
        one.question = question
        waits = ACTIVATION if question[1] and not one.shown else WINDOW
        one.due = at + timedelta(seconds=waits)
        return None

    def expose(self, event: str, at: datetime) -> None:
        one = self.events.setdefault(event, Shopper())
        if not one.closed and not one.shown:
            one.shown = True
            if one.question is not None and one.question[1]:
                one.due = at + timedelta(seconds=WINDOW)

    def reward(self, event: str, name: str, value: float) -> str:
        one = self.events.setdefault(event, Shopper())
        if name in one.rewards:
            return "duplicate" if one.rewards[name] == value else "conflict"
        one.rewards[name] = value
        if one.closed:
            one.late.add(name)
        return "late" if one.closed else "dangling" if one.question is None else "joined"

    def close(self, at: datetime) -> None:
        for one in self.events.values():
            if one.due is not None and one.due <= at and not one.closed:
                one.closed = True
                if one.shown or not (one.question and one.question[1]):
                    self.outcomes.append(one.value)


EVENT, VALUE = st.sampled_from("abcd"), st.sampled_from([0.25, 0.5])
STEP = st.one_of(
    st.tuples(st.just("decide"), EVENT, st.tuples(st.integers(0, 1), st.booleans())),
    st.tuples(st.just("expose"), EVENT),
    st.tuples(st.just("reward"), EVENT, st.sampled_from("xyz"), VALUE),
    st.tuples(st.just("turn"), st.sampled_from([1, 5, 10, 20])),
    st.tuples(st.just("close")),
    st.tuples(st.just("again")),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    engine = open_storefront(str(tmp_path_factory.mktemp("model") / "shop.db"))
    yield engine
    engine.dispose()


numbers = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=40), together=st.integers(1, 4))
def test_any_interleaving_counts_what_the_model_counts(shop: Any, steps: Any, together: int) -> None:
    """Each example is a tenant of its own; entries are written `together` at once."""
    clock, tenant, model = Hands(), f"t{next(numbers)}", Model()
    open_slot(shop, tenant, "hero", SlotConfig(), Given(list(TEXTS), None, list(TEXTS), []), SETTINGS, "test", clock)
    slots = Slots(shop)
    slot = slots.get(tenant, "hero")
    waiting: list[tuple[Any, Any]] = []
    last: Any = None

    def write() -> None:
        """Write what waits, decisions first, then exposures, as a journal does, and compare the answers."""
        waiting.sort(key=lambda pair: [Decide, Expose, Reward].index(type(pair[0])))
        with writing(shop) as connection:
            found = record(connection, [entry for entry, _ in waiting], slots.settings, clock())
        for (entry, right), said in zip([(entry, ask()) for entry, ask in waiting], found, strict=True):
            said = "conflict" if isinstance(said, ConflictError) else said if isinstance(entry, Reward) else None
            assert said == right, entry
        waiting.clear()

    def take(step: Any) -> None:
        match step:
            case "decide", event, (unit, deferred):
                question = Question(event, str(unit), deferred=deferred)
                waiting.append((Decide(slot, question, slot.choose(question)),
                                lambda: model.decide(event, (unit, deferred), clock())))  # fmt: skip
            case "expose", event:
                waiting.append((Expose(tenant, event), lambda: model.expose(event, clock())))
            case "reward", event, name, value:
                waiting.append((Reward(tenant, event, name, value), lambda: model.reward(event, name, value)))
        if len(waiting) >= together:
            write()

    def close() -> None:
        write()
        model.close(clock())
        worker = Worker(shop, clock=clock, write=False)
        done = worker.work(worker.slots.get(tenant, "hero"))
        assert done.written == 0
        shown, clicked = worker.slots.campaign(worker.slots.get(tenant, "hero")).state.totals
        assert (int(shown.sum()), int(clicked.sum())) == (
            len(model.outcomes), sum(value > SETTINGS.click_above for value in model.outcomes)
        )  # fmt: skip

    for step in steps:
        if step[0] in ("turn", "close"):
            write()
            clock.turn(step[1]) if step[0] == "turn" else close()
        elif step[0] != "again":
            last = step
            take(step)
        elif last is not None:
            take(last)
    write()
    clock.turn(ACTIVATION + WINDOW)
    close()


def test_the_ledger_that_all_examples_wrote_has_no_fault(shop: Any) -> None:
    assert verify(shop) == []
    assert rebuild(shop, check=True).faults == []
