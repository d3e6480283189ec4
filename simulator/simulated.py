"""A feed of simulated shoppers: a click model, the effects that are added to it, and the same shoppers for all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simulator.click_model import ClickModel, checked_probabilities, checked_shares, segment_names
from simulator.config import ShopperConfig
from simulator.counting import draw_bots, draw_people
from simulator.effects import effects_of, mean_probability
from simulator.feed import Outcome, Snapshot
from simulator.rewards import WayBack
from simulator.streams import text_uniforms, uniforms


class SimulatedFeed:
    """A `RewardFeed` of simulated shoppers.

    The clicks of one text in one snapshot depend on the seed, the snapshot's number, the text, its impressions and,
    with some effects, on what was shown of it before; on nothing else: another policy meets the same shoppers (common
    random numbers), and each effect draws from a stream of its own.

    Parameters
    ----------
    shoppers : ClickModel
    seed : int
    config : ShopperConfig, optional
        Its effects but drift, which is the click model's.
    """

    def __init__(self, shoppers: ClickModel, seed: int, config: ShopperConfig | None = None) -> None:
        self.shoppers, self.seed, self.config = shoppers, seed, config or ShopperConfig()
        self.shares = checked_shares(shoppers)
        self.segments = segment_names(shoppers, len(self.shares))
        self._effects = effects_of(self.config, self.shares, seed)
        self._way_back = None if self.config.rewards is None else WayBack(self.config.rewards, seed)
        self._known: dict[tuple[str, int], NDArray[np.float64]] = {}
        self._waiting: list[tuple[int, Outcome]] = []
        self._published = -1

    @property
    def remembers(self) -> bool:
        """Whether outcomes depend on earlier snapshots, or come late: see `recall`."""
        return self._way_back is not None or any(effect.remembers for effect in self._effects)

    @property
    def drifts(self) -> bool:
        """Whether true rates differ from snapshot to snapshot; of a click model that does not say, they may."""
        return bool(getattr(self.shoppers, "drifts", True))

    def publish(self, snapshot: Snapshot) -> None:
        """Show the texts of `snapshot` to shoppers, who answer at once; one that was shown is not shown again."""
        if snapshot.sequence <= self._published:
            return
        self._published = snapshot.sequence
        outcome = self.outcome(snapshot)
        people = outcome.impressions - self._bots(snapshot, outcome.impressions)[0]
        for effect in self._effects:
            effect.after(snapshot, people)
        sent = [(snapshot.sequence, outcome)] if self._way_back is None else self._way_back.send(outcome)
        self._waiting.extend(sent)

    def closed(self) -> list[Outcome]:
        """Return the outcomes that closed since this was asked last; those still on their way when all ends never."""
        found = [outcome for due, outcome in self._waiting if due <= self._published]
        self._waiting = [(due, outcome) for due, outcome in self._waiting if due > self._published]
        return found

    def recall(self, snapshots: Iterable[Snapshot]) -> None:
        """Show the snapshots of a campaign that goes on after a restart once more, from the first.

        Shoppers do what they did, and remember it; outcomes are told again, each with the id that it had.
        """
        for snapshot in snapshots:
            self.publish(snapshot)

    def outcome(self, snapshot: Snapshot) -> Outcome:
        """Return impressions and clicks (N, G) drawn for `snapshot`, all of them, as they are before the way back."""
        rng = np.random.default_rng([self.seed, snapshot.sequence])
        impressions = self._impressions(snapshot, rng)
        probabilities = self._kept(snapshot.texts, snapshot.sequence)
        bots, bot_clicks = self._bots(snapshot, impressions)
        people = impressions - bots
        mixtures = [effect.mixture(snapshot, people) for effect in self._effects]
        probabilities = mean_probability(probabilities, mixtures)
        clicks = draw_people(self.config.sessions, people, probabilities, partial(self._draws, snapshot)) + bot_clicks
        return Outcome(str(snapshot.sequence), snapshot.sequence, snapshot.texts, impressions, clicks)

    def probabilities(self, texts: Sequence[str], snapshot: int | None = None) -> NDArray[np.float64]:
        """Return click probabilities (n, G) of people who see a text for the first time, and do not find it new.

        Parameters
        ----------
        texts : sequence of str
        snapshot : int, optional
            As tastes are then; the last one that was published unless given.
        """
        number = max(self._published, 0) if snapshot is None else snapshot
        shown = Snapshot(number, tuple(texts), np.full(len(texts), 1 / max(len(texts), 1)), 0)
        none = np.zeros((len(texts), len(self.segments)), np.int64)
        lasting = [effect.mixture(shown, none) for effect in self._effects if effect.lasting]
        return mean_probability(self._kept(texts, number), lasting)

    def true_rates(self, texts: Sequence[str], snapshot: int | None = None) -> NDArray[np.float64]:
        """Return the true CTR of each text (n,), of people: for reports, never for policies; see `probabilities`."""
        return self.probabilities(texts, snapshot) @ self.shares

    def _kept(self, texts: Sequence[str], snapshot: int) -> NDArray[np.float64]:
        """Return the click model's probabilities (n, G), each text read once, or once a snapshot where they drift."""
        number = snapshot if self.drifts else 0
        fresh = [text for text in dict.fromkeys(texts) if (text, number) not in self._known]
        if fresh:
            found = checked_probabilities(self.shoppers, fresh, number)
            self._known.update(((text, number), row) for text, row in zip(fresh, found, strict=True))
        return np.stack([self._known[text, number] for text in texts])

    def _bots(self, snapshot: Snapshot, impressions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return impressions and clicks of bots (N, G), the same whenever they are asked for."""
        return draw_bots(self.config.bots, impressions, partial(self._draws, snapshot))

    def _draws(self, snapshot: Snapshot, purpose: str) -> NDArray[np.float64]:
        """Return uniform numbers (N, G) for one purpose; those of clicks are named as before there were others."""
        if purpose == "clicks":
            return np.array([self._uniforms(snapshot.sequence, text) for text in snapshot.texts])
        return text_uniforms(self.seed, purpose, snapshot.sequence, snapshot.texts, len(self.segments))

    def _impressions(self, snapshot: Snapshot, rng: np.random.Generator) -> NDArray[np.int64]:
        segments = rng.multinomial(snapshot.impressions, self.shares)
        chances = [snapshot.chances(segment) for segment in range(len(segments))]
        drawn = [rng.multinomial(count, each / each.sum()) for count, each in zip(segments, chances, strict=True)]
        return np.stack(drawn, axis=1).astype(np.int64)

    def _uniforms(self, sequence: int, text: str) -> NDArray[np.float64]:
        return uniforms(f"{self.seed}/{sequence}/{text}", len(self.segments))
