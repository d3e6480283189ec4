"""Settings of a campaign: the same model is YAML, command line and run record."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from bandits.online.vowpal_wabbit_config import VowpalWabbitConfig
from copyloom.tables import Reading
from embeddings.effort import Effort
from embeddings.inversion_config import InversionConfig
from generator.checks import WritingRules
from generator.models import SHIPPED
from generator.settings import read_mapping, validated


class Strict(BaseModel):
    """Settings that never change, of which unknown ones are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class HoldoutConfig(Strict):
    """A text that always keeps a share of the impressions, as a control.

    Parameters
    ----------
    share : float
        Of the impressions.
    text : str, optional
        The slate's first unless named.
    """

    share: float = Field(0.1, gt=0, lt=1)
    text: str | None = None


class ForgettingConfig(Strict):
    """What old clicks still count; one of `half_life` and `window` must be given.

    Parameters
    ----------
    half_life : float, optional
        After each, clicks count half as much.
    window : float, optional
        Clicks before it count nothing.
    clock : {"rounds", "impressions"}
        In which both are measured.
    """

    half_life: float | None = Field(None, gt=0)
    window: float | None = Field(None, gt=0)
    clock: Literal["rounds", "impressions"] = "rounds"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.half_life is None) == (self.window is None):
            raise ValueError("give either half_life or window")
        return self


class SegmentsConfig(Strict):
    """How far segments of shoppers differ, for a policy that shows each of them what it likes.

    Parameters
    ----------
    share : float
        Share of what is not known of a text's click logit that is a segment's own taste, and not all shoppers'.
    """

    share: float = Field(0.2, gt=0, lt=0.8)


class PolicyConfig(Strict):
    """Which policy allocates impressions, and its settings.

    Parameters
    ----------
    name : str
        Alone it may stand for all: ``policy: ucb``.
    scale, final_scale : float
        Width of the first and of the last snapshot, for thompson and ucb: 1 is the posterior's. It falls evenly from
        one to the other; a campaign without end keeps the first.
    epsilon : float
        Share at random, for epsilon-greedy.
    floor : float
        Least probability of each text, for all but uniform, of what a holdout leaves. No more texts are admitted than
        it has room for.
    design_rounds : int
        Snapshots at the start that follow the optimal design, which learns most about all texts at once.
    holdout : HoldoutConfig, optional
    forgetting : ForgettingConfig, optional
        For shoppers whose tastes drift. Not for vowpal-wabbit.
    segments : SegmentsConfig, optional
        Give each segment probabilities of its own, learned from all: ``segments: {}``. Texts are still written for all
        shoppers. Unless given, what a segment likes is shown to all alike.
    vowpal_wabbit : VowpalWabbitConfig, optional
        For vowpal-wabbit (extra ``vw``), which learns of its own from features and outcomes; a bag of ten unless given,
        which did best of those in ``docs/measured/policies.md``.
    mixes : bool
        Whether vowpal-wabbit, through its slates, also chooses which texts to mix, with which weights. Unless it does,
        the reward model proposes mixtures for all policies alike.
    """

    name: Literal["thompson", "ucb", "uniform", "epsilon-greedy", "top-two", "optimal-design", "vowpal-wabbit"] = (
        "thompson"
    )
    scale: float = Field(1.0, gt=0)
    final_scale: float = Field(0.0, ge=0)
    epsilon: float = Field(0.1, ge=0, le=1)
    floor: float = Field(0.0, ge=0, lt=0.1)
    design_rounds: int = Field(0, ge=0)
    holdout: HoldoutConfig | None = None
    forgetting: ForgettingConfig | None = None
    segments: SegmentsConfig | None = None
    vowpal_wabbit: VowpalWabbitConfig | None = None
    mixes: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_a_name(cls, given: Any) -> Any:
        named = {"name": given} if isinstance(given, str) else given
        if isinstance(named, dict) and isinstance(named.get("name"), str):  # Python's modules have other names
            return {**named, "name": named["name"].replace("_", "-")}
        return named

    @model_validator(mode="after")
    def _remembers(self) -> Self:
        if self.forgetting is not None and self.name == "vowpal-wabbit":
            raise ValueError("vowpal-wabbit cannot forget; leave forgetting out")
        if self.mixes and self.name != "vowpal-wabbit":
            raise ValueError("mixes is for vowpal-wabbit; the reward model proposes mixtures for all other policies")
        return self

    @property
    def label(self) -> str:
        """The name, and what is not as usual, for tables."""
        parts: list[str] = [self.name]
        whole = self.model_dump()
        for key, changed in self.model_dump(exclude_defaults=True, exclude={"name"}).items():
            if changed == {}:  # all of it as usual
                changed = {name: value for name, value in whole[key].items() if value is not None}
            settings = changed.items() if isinstance(changed, dict) else [("", changed)]
            given = [f"{name} {setting}".strip() for name, setting in settings]
            parts.append(" ".join([key, *given]))
        return ", ".join(parts)


class CurvatureConfig(Strict):
    """Lets the click logit bend, so that what lies between two texts may be better than both.

    Parameters
    ----------
    kind : str
        quadratic (one broad optimum, for up to some sixteen features) or fourier (a Gaussian process).
    share : float
        Share of the prior variance that is curvature.
    """

    kind: Literal["quadratic", "fourier"] = "quadratic"
    share: float = Field(0.5, gt=0, lt=1)


class TextPriorConfig(Strict):
    """What earlier texts and their clicks say of new ones: followed at first, and as far as clicks bear it out.

    Parameters
    ----------
    past : Path
        A table with the columns text, impressions and clicks.
    trust, trust_sd, cap : float
        See `bandits.rewards.text_prior.TextPrior`.
    """

    past: Path
    trust: float = Field(0.5, ge=0)
    trust_sd: float = Field(1.0, gt=0)
    cap: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _may_be_wrong(self) -> Self:
        if self.trust > self.trust_sd:
            raise ValueError("trust is above trust_sd; clicks could not show soon that the past misleads")
        return self


class PriorConfig(Strict):
    """What is believed of click rates before a click.

    Parameters
    ----------
    base_rate, logit_sd, text_effect_sd, intercept_sd : float
        See `bandits.RewardPrior`; ``copyloom prior`` learns them from campaigns that were played.
    curvature : CurvatureConfig, optional
    text_prior : TextPriorConfig, optional
    """

    base_rate: float = Field(0.02, gt=0, lt=1)
    logit_sd: float = Field(0.4, gt=0)
    text_effect_sd: float = Field(0.25, gt=0)
    intercept_sd: float = Field(0.3, gt=0)
    curvature: CurvatureConfig | None = None
    text_prior: TextPriorConfig | None = None


class ProposerConfig(Strict):
    """How new mixtures are proposed. Where a pretrained writer composes, `COMPOSING` holds what is not given.

    Parameters
    ----------
    after : int
        Rounds at the start, a tenth of all at most, in which only stored texts are shown: what is new is held against
        what is known of them.
    every : int
        Rounds from one proposal to the next.
    until : float
        Share of the rounds after which nothing new is proposed, so that the last texts can still be judged.
    shortlist : int
        Mixtures decoded for a campaign at each proposal.
    admit_every : int
        Rounds from one time that written texts join the slate to the next.
    admit : int
        How many join it each time, at most: of all that passed the checks, the most promising.
    shortfall : float
        How many standard deviations of its predicted logit a text may lie below the best one on the slate; what lies
        further below does not join it. Impressions go to texts that can still turn out best, and where the stored texts
        cannot be bettered, soon to none of the others.
    warm_up : int
        Random mixtures decoded before the first impression, to learn how decoding maps parents and weights to texts; 0
        where none are wanted.
    exploration : float
        Standard deviations added to the predicted logit.
    promote_at : float
        Probability of being shown at which a written text becomes a parent.
    effort : Effort
        How far to search for the text of a mixture where there is no subject: no rounds of rewriting unless asked for,
        as a study writes thousands of mixtures. For a pretrained writer, how much it writes, and that a text is shown
        from a probability of 0.4 to be printed: a study needs something to try. Of each mixture, up to eight texts;
        and about a subject a writer that does not compose moves them, by 1.4, so that texts vary more.
    """

    after: NonNegativeInt = 4
    every: PositiveInt = 6
    until: float = Field(0.6, gt=0, le=1)
    shortlist: PositiveInt = 8
    admit_every: PositiveInt = 2
    admit: PositiveInt = 16
    shortfall: float = Field(1.75, ge=0)
    warm_up: NonNegativeInt = 192
    exploration: float = Field(0.5, ge=0)
    promote_at: float = Field(0.3, gt=0, le=1)
    effort: Effort = Effort(rounds=0, each=3, together=8, turns=1, printed=0.4, kept=8, jitter=1.4)

    @field_validator("effort", mode="before")
    @classmethod
    def _of_a_study(cls, given: Any) -> Any:
        """Let what a mapping leaves out be a study's, not that of one mixture."""
        return {**asdict(cls.model_fields["effort"].default), **given} if isinstance(given, dict) else given

    def resolved(self, composes: bool) -> ProposerConfig:
        """Return the settings, those that were not given in the measure of the writer: one that composes, or not."""
        changes = {name: value for name, value in COMPOSING.items() if name not in self.model_fields_set}
        return self.model_copy(update=changes) if composes else self


COMPOSING = {"every": 13, "shortlist": 1, "warm_up": 24}
"""What a study asks of a writer that takes a second for a mixture, so that it ends within four minutes on two cores."""


class CampaignConfig(Strict):
    """What a campaign works with, whoever clicks.

    Parameters
    ----------
    seed : int
        Of all random numbers.
    rounds : int
        Snapshots of a campaign.
    impressions : int
        Of each snapshot.
    features : int
        d, of the reward model.
    texts : Path, optional
        Stored texts, in any file that `copyloom.tables` reads, of a table those of `column`; the shipped claims unless
        given.
    column : str, optional
        Which column of `texts` and `own` holds the texts: its name, or its number from 1.
    reading : Reading
        What is said of that file: delimiter, encoding, header, html, sheet; found out unless given.
    subject : Path, optional
        YAML product record that new texts are about; the shipped one with the shipped claims.
    own : Path, optional
        File of those stored texts that are about the subject, read like `texts`; those that name it unless given.
    model : str
        What writes: copyloom-tiny, smollm2, a folder, or the hub id of a causal model.
    trust_remote_code : bool
        Run the code that the model brings with it.
    device : str
        auto, cpu, cuda, mps or neuron.
    rules : WritingRules, optional
        Those that the stored texts keep themselves, unless given: see `generator.checks.WritingRules.like`.
    """

    seed: int = Field(0, ge=0)
    rounds: PositiveInt = 40
    impressions: PositiveInt = 3000
    features: PositiveInt = 32
    texts: Path | None = None
    column: str | None = None
    reading: Reading = Reading()
    subject: Path | None = None
    own: Path | None = None
    model: str = SHIPPED
    trust_remote_code: bool = False
    device: str = "auto"
    policy: PolicyConfig = PolicyConfig()
    prior: PriorConfig = PriorConfig()
    proposer: ProposerConfig = ProposerConfig()
    rules: WritingRules | None = None
    inversion: InversionConfig | None = None

    @classmethod
    def from_yaml(cls, path: Path, **changes: Any) -> Self:
        """Return the configuration in a YAML file, with `changes` on top.

        Raises
        ------
        InputError
            If the file cannot be read, or holds an unknown key or a wrong value.
        """
        data = read_mapping(path, "a mapping of settings such as 'seeds: 20'", empty=True)
        return cls.checked(source=str(path), **{**data, **changes})

    @classmethod
    def checked(cls, source: str = "the command line", **values: Any) -> Self:
        """Return the configuration of `values`; InputError says what does not fit."""
        return validated(cls, values, f"settings from {source}")
