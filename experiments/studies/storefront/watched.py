"""Campaigns that are watched: which alarms ever ring, and what another policy is said to have earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from bandits.evaluation import Columns, evaluate
from embeddings.database import reading
from experiments.campaigns.config import PriorConfig, ProposerConfig
from experiments.campaigns.given import Given
from experiments.campaigns.state import State
from experiments.storefront import overview
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.decide import Question
from experiments.storefront.log import write_log
from experiments.storefront.slots import DEFAULT_TENANT, Slots, open_storefront
from experiments.storefront.verify import verify
from experiments.studies.storefront.crowd import Crowd, Visits
from experiments.studies.storefront.shop import SLOT, Shop, TurnedClock, open_shop, secret_of

TEXTS = ("A backpack you can trust.", "A backpack for every train journey.", "The backpack that holds more.",
         "Say yes to a lightweight backpack.")  # fmt: skip
"""The first is the baseline."""
BEST = TEXTS[3]
CONFIG = SlotConfig(
    impressions=500, model="copyloom-tiny", prior=PriorConfig(base_rate=0.08),
    proposer=ProposerConfig(every=10**9, warm_up=1),
)  # fmt: skip
"""Of a slot whose worker learns, and writes nothing."""
ALARMS = ("verdict", "verdict, visits counted as visitors", "guardrail", "sample ratio, texts", "sample ratio, holdout")
_ESTIMATORS = ("IPS", "SNIPS", "DR")


@dataclass(frozen=True)
class Scene:
    """What happens in a campaign.

    Parameters
    ----------
    name : str
    rates : tuple of float
        True click rates of `TEXTS`, of the average visitor.
    holdout : float
    people : int
        Who come back again and again; 0: everyone comes once.
    spread : float
        Standard deviation between people of their click logit.
    frozen : bool
        The policy does not learn: it shows all texts alike.
    unseen : float
        Share of its pages on which nobody ever sees the last text.
    estimated : bool
        Whether other policies are estimated from the log.
    looks, visits : int
        How often windows close and someone looks; visits before each look.
    """

    name: str
    rates: tuple[float, ...]
    holdout: float
    people: int = 0
    spread: float = 0.0
    frozen: bool = False
    unseen: float = 0.0
    estimated: bool = False
    looks: int = 8
    visits: int = 250

    def crowd(self, seed: int) -> Crowd:
        """Return the shoppers of a seed."""
        kinds = max(self.people, 1)
        offsets = self.spread * np.random.default_rng([seed, 1]).normal(size=kinds)
        logits = dict(zip(TEXTS, logit(self.rates), strict=True))

        @cache
        def rates(text: str) -> NDArray[np.float64]:
            return np.asarray(expit(logits[text] + offsets))

        return Crowd(seed, np.full(kinds, 1 / kinds), rates, bool(self.people))

    @property
    def settings(self) -> dict[str, Any]:
        """What the slot is set to."""
        return {"holdout": self.holdout, "mode": "frozen" if self.frozen else "online", "activation_seconds": 1800}


ALIKE = (Scene("equal texts, everyone comes once", (0.08,) * 4, 0.3),
         Scene("equal texts, 60 people come back", (0.08,) * 4, 0.3, people=60, spread=1.5))  # fmt: skip
UNLIKE = (Scene("unequal texts, everyone comes once", (0.06, 0.04, 0.08, 0.12), 0.2, estimated=True),
          Scene("unequal texts, 200 people come back", (0.06, 0.04, 0.08, 0.12), 0.2, people=200, spread=1.0,
                estimated=True))  # fmt: skip
HARM = (Scene("the texts do harm, nothing is learned", (0.14, 0.04, 0.04, 0.04), 0.3, frozen=True, looks=16),
        Scene("pages lose a text every fifth time", (0.08,) * 4, 0.3, frozen=True, unseen=0.2, looks=16))  # fmt: skip


def given() -> Given:
    """Return the texts of a watched slot."""
    return Given(list(TEXTS), None, list(TEXTS), [])


def play(scene: Scene, seed: int, database: Path) -> dict[str, Any]:
    """Play a campaign in a copied database, and return at which look each alarm rang first, and estimates.

    It ends early where the guardrail turns the slot off: nothing is compared from then on.
    """
    crowd, tallies = scene.crowd(seed), overview.Tallies()
    rang: dict[str, int | None] = dict.fromkeys(ALARMS)
    seen: list[Visits] = []
    with open_shop(database, seed, scene.settings) as shop:
        for number in range(scene.looks):
            unseen = (lambda text: scene.unseen * (text == TEXTS[-1])) if scene.unseen else None
            seen.append(crowd.visit(shop, number, scene.visits, unseen))
            shop.close_windows()
            for name in _ringing(shop, tallies):
                rang[name] = number + 1 if rang[name] is None else rang[name]
            if shop.slot.settings.mode == "off":
                break
        kinds = [visits.kinds for visits in seen]
        estimates = _estimated(shop, crowd, kinds) if scene.estimated else []
        return {"rang": rang, "off": shop.slot.settings.mode == "off", "looks": len(seen),
                "snapshots": len(shop.slot.state.snapshots), "estimates": estimates,
                "faults": len(verify(shop.worker.engine))}  # fmt: skip


def count(scene: Scene, seed: int, database: Path) -> dict[str, Any]:
    """Return what `play` does of a scene in which nothing is learned, without HTTP and ledger: alarms alone.

    Each visit is given what the slot would choose, and counted at once as the overview counts what closed.
    """
    crowd, engine = scene.crowd(seed), open_storefront(str(database), create=False)
    slot = replace(Slots(engine).get(DEFAULT_TENANT, SLOT), secret=secret_of(seed),
                   settings=SlotSettings.model_validate(scene.settings))  # fmt: skip
    engine.dispose()
    tally, people = overview.Tally(TurnedClock().at), {True: set[str](), False: set[str]()}
    rang: dict[str, int | None] = dict.fromkeys(ALARMS)
    for number in range(scene.looks):
        events, units, kinds, _, clicks = crowd.arrivals(number, scene.visits)
        for event, unit, kind, click in zip(events, units, kinds, clicks, strict=True):
            choice = slot.choose(Question(event, unit))
            held, clicked = choice.reason == "holdout", int(click < crowd.rates(slot.state.slate[choice.place])[kind])
            overview.add(tally.counts[choice.snapshot, choice.segment, choice.place, choice.reason], (1, clicked, 0))
            overview.add(tally.groups[held, choice.unit[:2]], (1, clicked, 0))
            people[held].add(unit)
        arms = overview.holdout_ratio(len(people[False]), len(people[True]), scene.holdout)
        for name in _rings(tally, slot.state, arms):
            rang[name] = number + 1 if rang[name] is None else rang[name]
        if rang["guardrail"]:
            break
    return {"rang": rang, "off": bool(rang["guardrail"]), "looks": number + 1, "snapshots": 1, "estimates": [],
            "faults": 0}  # fmt: skip


def _ringing(shop: Shop, tallies: overview.Tallies) -> list[str]:
    """Return the alarms that the overview shows now."""
    with reading(shop.worker.engine) as connection:
        tally = tallies.of(connection, shop.slot)
        arms = overview.arm_ratio(connection, shop.slot, tally.since)
    return _rings(tally, shop.slot.state, arms)


def _rings(tally: overview.Tally, state: State, arms: overview.Ratio) -> list[str]:
    comparison, texts = overview.compare(tally), overview.text_ratio(tally, state)
    bandit, holdout = comparison.bandit, comparison.holdout
    low, high = overview.difference_of_means((bandit.clicks, bandit.impressions), (holdout.clicks, holdout.impressions))
    guards = any(guard.alarm for guard in overview.guardrails(comparison))
    rings = (comparison.verdict != "unclear", bool(low > 0 or high < 0), guards, texts.alarm, arms.alarm)
    return [name for name, loud in zip(ALARMS, rings, strict=True) if loud]


def _estimated(shop: Shop, crowd: Crowd, kinds: Sequence[NDArray[np.int64]]) -> list[dict[str, Any]]:
    """Return what `copyloom evaluate` says of the service's log, beside the truth."""
    chances = shop.slot.state.snapshots[-1].probabilities
    favourite = TEXTS[int(np.argmax(chances))]
    targets = {"all alike": dict.fromkeys(TEXTS, 1 / len(TEXTS)), "always the baseline": {TEXTS[0]: 1.0},
               "always the fourth": {BEST: 1.0}, "always the favourite at the end": {favourite: 1.0}}  # fmt: skip
    found = []
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log.parquet"
        write_log(shop.worker.engine, shop.slot, log)
        for name, target in targets.items():
            said = evaluate(log, target, columns=Columns(visitor="visitor"), texts=list(TEXTS))
            truth = crowd.value(target, kinds)
            found += [{"target": name, "estimator": row.estimator, "value": row.value, "low": row.low,
                       "high": row.high, "truth": truth, "verdict": said.support.verdict}
                      for row in said.estimates if row.estimator in _ESTIMATORS]  # fmt: skip
    return found
