"""Settings of a simulated study: many campaigns, and the shoppers that they meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import PositiveInt, model_validator

from experiments.campaigns.config import CampaignConfig, PolicyConfig, Strict
from simulator.click_model import ClickModelConfig
from simulator.config import TASTE, ShopperConfig


class WorldConfig(Strict):
    """What shoppers see in a text, and where tastes come from; its name alone may stand for all: ``world: words``.

    Parameters
    ----------
    name : str
        grammar (attributes that the grammar reads, about a subject: the best text is known), sentence-space (the
        vectors that the policy's features come from), unseen-space (what of them the policy's features leave out),
        words (hashed words and letters), headlines (what an archive of headline tests taught) or ratings (people who
        rated things, clustered into segments).
    archive : Path, optional
        For headlines: tests in the columns of the Upworthy Research Archive.
    ratings : Path, optional
        For ratings: a table with the columns userId, movieId and rating, as MovieLens has them.
    items : Path, optional
        For ratings: a table with the column movieId, and what is said of each.
    text : str
        Column of `items` that holds what is said.
    """

    name: Literal["grammar", "sentence-space", "unseen-space", "words", "headlines", "ratings"]
    archive: Path | None = None
    ratings: Path | None = None
    items: Path | None = None
    text: str = "extract"

    @model_validator(mode="before")
    @classmethod
    def _of_a_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _has_its_files(self) -> Self:
        needed = {"headlines": ("archive",), "ratings": ("ratings", "items")}.get(self.name, ())
        for name in ("archive", "ratings", "items"):
            if (getattr(self, name) is None) == (name in needed):
                raise ValueError(f"the world {self.name} needs {' and '.join(needed) or 'no file'}; "
                                 f"{'give' if name in needed else 'leave out'} {name}")  # fmt: skip
        return self


class RunConfig(CampaignConfig):
    """One simulated study: campaigns with mixing and without, for each of many tastes.

    Parameters
    ----------
    seeds : int
        Campaigns, each with a fresh taste.
    beside : tuple of PolicyConfig
        Further policies whose campaigns, with mixing, meet the same shoppers: names, or names with settings.
    world : WorldConfig, optional
        Unless given: the grammar's with the shipped claims, else sentence-space.
    shoppers : ShopperConfig
    click_model : ClickModelConfig, optional
        In the place of tastes that are drawn in a world; effects of `shoppers` are added to it. Its class alone may
        stand for all: ``click_model: shoppers.py:ShortTexts``.
    """

    seeds: PositiveInt = 20
    beside: tuple[PolicyConfig, ...] = ()
    world: WorldConfig | None = None
    shoppers: ShopperConfig = ShopperConfig()
    click_model: ClickModelConfig | None = None

    @model_validator(mode="after")
    def _each_policy_once(self) -> Self:
        policies = [self.policy, *self.beside]
        if doubled := [policy.label for policy in policies if policies.count(policy) > 1]:
            raise ValueError(f"{doubled[0]} plays twice; name each policy once, in policy or in beside")
        own, usual = self.click_model is not None, ShopperConfig()
        if own and (decided := [name for name in TASTE if getattr(self.shoppers, name) != getattr(usual, name)]):
            raise ValueError(
                f"shoppers.{decided[0]} is for tastes that are drawn; a click_model of your own decides it"
            )
        if not own and len(self.shoppers.segment_shares) < 2 and any(policy.segments for policy in policies):
            raise ValueError("a policy tells segments apart, and shoppers.segment_shares has one only; give two")
        return self
