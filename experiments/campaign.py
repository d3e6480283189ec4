"""One campaign: its slate, its counts, its parents. Many campaigns run at once as rows of padded tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from copyloom import InputError
from embeddings.geometry import Reduction
from experiments.writer import Draft, Recipe, Writer
from generator.readability import READABLE
from simulator import Outcomes, RewardFeed, SimulatedFeed, Snapshot


@dataclass(eq=False)
class Campaign:
    """A policy's slate, and what shoppers have done with it so far.

    Parameters
    ----------
    name : str
    seed : int
    world : str
    mixing : bool
        Whether new texts are written.
    feed : RewardFeed
    texts : list of str
        The slate in order of admission.
    parents : list of str
        Texts that mixtures may take.
    """

    name: str
    seed: int
    world: str
    mixing: bool
    feed: RewardFeed
    texts: list[str]
    parents: list[str]
    recipes: dict[str, Recipe] = field(default_factory=dict)
    """How each written text of the slate came about."""
    drafts: list[Draft] = field(default_factory=list)
    """All that was written for this campaign, refused or not."""
    impressions: NDArray[np.int64] = field(init=False)
    clicks: NDArray[np.int64] = field(init=False)
    shown: list[NDArray[np.float64]] = field(default_factory=list)
    """Probabilities of the slate's texts, one array a snapshot."""

    def __post_init__(self) -> None:
        self.impressions = np.zeros(len(self.texts), dtype=np.int64)
        self.clicks = np.zeros(len(self.texts), dtype=np.int64)

    @property
    def tried(self) -> set[Recipe]:
        """Recipes that were already written."""
        return {draft.recipe for draft in self.drafts}

    def true_rates(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the true CTR of each text, an array of shape (n,); simulated shoppers alone can tell.

        Raises
        ------
        InputError
            If clicks come from elsewhere.
        """
        if not isinstance(self.feed, SimulatedFeed):
            raise InputError(f"{self.name}: true rates are known of simulated shoppers only")
        return self.feed.true_rates(texts)

    def readable(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which texts (n,) can be read; all where nothing says otherwise."""
        judge = self.feed.shoppers.readable if isinstance(self.feed, SimulatedFeed) else None
        found: NDArray[np.bool_] = np.ones(len(texts), bool) if judge is None else judge(texts) >= READABLE
        return found

    def waiting(self, library: Sequence[Draft]) -> dict[str, Draft]:
        """Return the drafts that passed the checks and are not on the slate yet, by text: `library`'s and its own."""
        usable = {draft.text: draft for draft in [*library, *self.drafts] if not draft.refusals}
        return {text: draft for text, draft in usable.items() if text not in self.texts}

    def admit(self, draft: Draft) -> None:
        """Add a written text to the slate."""
        self.texts.append(draft.text)
        self.recipes[draft.text] = draft.recipe
        self.impressions = np.append(self.impressions, 0)
        self.clicks = np.append(self.clicks, 0)

    def snapshot(self, probabilities: Tensor, impressions: int) -> Snapshot:
        """Return the next snapshot; `probabilities` (N,) may be padded beyond the slate."""
        shown = probabilities[: len(self.texts)].numpy()
        return Snapshot(len(self.shown), tuple(self.texts), shown / shown.sum(), impressions)

    def learn(self, snapshot: Snapshot, outcomes: Outcomes) -> None:
        """Add closed outcomes to the counts; texts are in the order of the snapshot."""
        count = len(snapshot.texts)
        self.impressions[:count] += outcomes.impressions.sum(1)
        self.clicks[:count] += outcomes.clicks.sum(1)
        self.shown.append(snapshot.probabilities)


@dataclass(frozen=True, eq=False)
class Slates:
    """The slates of S campaigns, padded to the longest: what the reward model and the policy read.

    Parameters
    ----------
    features : Tensor of shape (S, N, d)
    impressions, clicks : Tensor of shape (S, N)
    present : Tensor of shape (S, N)
        bool; False where a row is padding.
    """

    features: Tensor
    impressions: Tensor
    clicks: Tensor
    present: Tensor

    @classmethod
    def of(cls, campaigns: Sequence[Campaign], writer: Writer, reduce: Reduction) -> Slates:
        """Return the slates of `campaigns`, with the reduced features of the texts as they were realised."""
        texts = list(dict.fromkeys(text for campaign in campaigns for text in campaign.texts))
        features = dict(zip(texts, reduce(writer.sentence_vectors(texts)), strict=True))
        shape = (len(campaigns), max(len(campaign.texts) for campaign in campaigns))
        stacked = cls(
            torch.zeros(*shape, reduce.features, dtype=torch.float64),
            torch.zeros(shape, dtype=torch.float64),
            torch.zeros(shape, dtype=torch.float64),
            torch.zeros(shape, dtype=torch.bool),
        )
        for row, campaign in enumerate(campaigns):
            count = len(campaign.texts)
            stacked.features[row, :count] = torch.stack([features[text] for text in campaign.texts])
            stacked.impressions[row, :count] = torch.from_numpy(campaign.impressions).double()
            stacked.clicks[row, :count] = torch.from_numpy(campaign.clicks).double()
            stacked.present[row, :count] = True
        return stacked
