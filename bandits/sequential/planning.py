"""How many texts a given traffic can tell apart, and how long that takes: what to know before the first impression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq
from scipy.optimize.elementwise import find_root
from scipy.special import logsumexp
from scipy.stats import binom, norm

from bandits.numbers import check_count, check_number
from bandits.sequential.ratios import LOG_RATIOS
from copyloom import InputError

if TYPE_CHECKING:
    from bandits.inputs import Array

#: The largest slate that is planned for.
MOST_TEXTS = 1000
_STRATA = 400
_MOST_IMPRESSIONS = 2.0**50
_EFFECTS = 25


@dataclass(frozen=True)
class PlannedCampaign:
    """What is planned: a traffic, and texts to tell apart with it.

    Parameters
    ----------
    impressions_per_day : int
    days : float
    base_rate : float
        Click rate of an average text, strictly between 0 and 1.
    texts : int
        Texts in the slate, at least 2.
    lift : float, optional
        By how much the best text's rate exceeds that of all others, which are alike: 0.2 for 20 %. This is the
        hardest case for its lift.
    logit_sd : float, optional
        Instead of a lift: standard deviation of the texts' logits, which then lie where a normal sample of this size is
        expected to lie. In every second campaign the two best are closer together than that.
    features : int
        Features of the reward model.
    alpha : float
        Probability that the stopping rule ever errs: `delta` of `identify_best`.
    power : float
        Probability with which the best text should be named in time.
    margin : float
        Of the stopping rule, relative.

    Raises
    ------
    InputError
        If a value is out of range, or not exactly one of lift and logit_sd is given.
    """

    impressions_per_day: int
    days: float
    base_rate: float
    texts: int
    lift: float | None = None
    logit_sd: float | None = None
    features: int = 16
    alpha: float = 0.05
    power: float = 0.8
    margin: float = 0.0

    def __post_init__(self) -> None:
        check_count("impressions_per_day", self.impressions_per_day)
        check_number("days", self.days, least=0, above=True)
        check_number(
            "impressions_per_day * days", self.impressions_per_day * self.days, least=0, most=_MOST_IMPRESSIONS
        )
        check_number("base_rate", self.base_rate, least=1e-6, most=0.5)
        check_count("texts", self.texts, least=2)
        if self.texts > MOST_TEXTS:
            raise InputError(f"texts is {self.texts}; pass at most {MOST_TEXTS}")
        check_count("features", self.features)
        check_number("alpha", self.alpha, least=1e-9, most=0.5)
        check_number("power", self.power, least=0.01, most=0.99)
        check_number("margin", self.margin, least=0, most=1e6)
        if (self.lift is None) == (self.logit_sd is None):
            raise InputError(f"lift is {self.lift} and logit_sd is {self.logit_sd}; pass exactly one of them")
        check_number(self.effect_name, self.effect, least=0.01)
        if self.rates(self.effect, self.texts).max() >= 1:
            raise InputError(f"a {self.effect_name} of {self.effect} takes rates to 1; pass a smaller one")

    @property
    def effect_name(self) -> str:
        """Which of lift and logit_sd is given."""
        return "lift" if self.logit_sd is None else "logit_sd"

    @property
    def effect(self) -> float:
        """The given one's value."""
        return self.lift if self.lift is not None else self.logit_sd or 0.0

    @property
    def impressions(self) -> int:
        """In all."""
        return int(self.impressions_per_day * self.days)

    def rates(self, effect: float, texts: int) -> Array:
        """Click rates of a slate, best first: (texts,)."""
        if self.logit_sd is None:
            return self.base_rate * np.array([1 + effect] + [1.0] * (texts - 1))
        logit = math.log(self.base_rate / (1 - self.base_rate))
        return 1 / (1 + np.exp(-logit - effect * _normal_scores(texts)))


@dataclass(frozen=True)
class TrafficPlan:
    """Whether a campaign can finish, and what it takes; `plan_traffic` makes it.

    Attributes
    ----------
    feasible : bool
        Whether the chance is at least the power asked for.
    verdict : str
        The same in words, with what to change where the campaign cannot finish.
    chance : float
        Probability that the best text is named in time, by a look at the end alone; looking after every
        snapshot, as `identify_best` may, adds a few percentage points.
    impressions, impressions_per_text : int
        What there is, with equal shares.
    needed, needed_per_text : int or None
        What the power takes; None if no traffic tells these texts apart.
    days_needed : float or None
    most_texts : int
        The largest slate whose best this traffic names with that power; 1 if it cannot tell two texts apart,
        and 1,000 stands for that many or more.
    least_effect : float or None
        The smallest lift (or logit sd) that would do for this slate, 0.01 standing for any; None if none does.
    prior_logit_sd : float
        The given logit sd; with a lift, the one at which the best text is expected to lead the average by it.
    prior_impressions : int
        Impressions until clicks weigh as much as the reward model's prior, `impressions_to_match_prior`.
    learnable_features : int
        Features at which that number is what there is.
    """

    feasible: bool
    verdict: str
    chance: float
    impressions: int
    impressions_per_text: int
    needed: int | None
    needed_per_text: int | None
    days_needed: float | None
    most_texts: int
    least_effect: float | None
    prior_logit_sd: float
    prior_impressions: int
    learnable_features: int


def plan_traffic(campaign: PlannedCampaign) -> TrafficPlan:
    """Say whether the stopping rule can be expected to name the best text in time, and what would change that.

    Reckoned for equal shares throughout. Top-two Thompson sampling needs less, by 40 % where texts spread
    evenly; plain Thompson sampling, which starves runners-up, needs far more.

    Examples
    --------
    >>> plan = plan_traffic(PlannedCampaign(impressions_per_day=10_000, days=14, base_rate=0.02, texts=2, lift=0.2))
    >>> plan.feasible, round(plan.chance, 2), plan.most_texts
    (True, 0.96, 2)
    """
    rates = campaign.rates(campaign.effect, campaign.texts)
    per_text = campaign.impressions // campaign.texts
    chance = chance_to_name_best(per_text, rates, campaign.alpha, campaign.margin)
    each, most_texts, least = _impressions_needed(rates, campaign), _most_texts(campaign), _least_effect(campaign)
    needed = None if each is None else each * campaign.texts
    sd = campaign.logit_sd or math.log1p(campaign.effect) / float(_normal_scores(campaign.texts)[0])
    per_feature = impressions_to_match_prior(1, sd, campaign.base_rate)
    return TrafficPlan(
        feasible=chance >= campaign.power,
        verdict=_verdict(campaign, chance, needed, most_texts, least),
        chance=chance,
        impressions=campaign.impressions,
        impressions_per_text=per_text,
        needed=needed,
        needed_per_text=each,
        days_needed=None if needed is None else needed / campaign.impressions_per_day,
        most_texts=most_texts,
        least_effect=least,
        prior_logit_sd=sd,
        prior_impressions=math.ceil(campaign.features * per_feature),
        learnable_features=int(campaign.impressions / per_feature),
    )


def _verdict(campaign: PlannedCampaign, chance: float, needed: int | None, most_texts: int, least: float | None) -> str:
    """Whether the campaign can finish, and what else would let it."""
    near = f" (or one within {campaign.margin:g} of it)" if campaign.margin else ""
    task = f"name the best of {campaign.texts} texts{near} in {campaign.days:g} days with probability {chance:.2f}"
    if chance >= campaign.power:
        return f"can finish: it will {task}, and {campaign.power:g} was asked for"
    changes = []
    if needed is not None:
        changes += [f"{needed / campaign.impressions_per_day:,.1f} days"]
        changes += [f"{math.ceil(needed / campaign.days):,} impressions a day"]
    if most_texts > 1:
        changes.append(f"at most {most_texts} texts")
    if least is not None:
        differ = f"more ({campaign.effect_name} {least:.2f} or more)"
        if least < campaign.effect:  # so different that the best click rates are all near 1
            differ = f"less ({campaign.effect_name} {least:.2f})"
        changes.append(f"texts that differ {differ}")
    if campaign.margin < campaign.effect:
        changes.append("a larger margin, to accept a text that is nearly as good as the best")
    asked = f"but {campaign.power:g} was asked for" + (", and no traffic tells them apart" if needed is None else "")
    return f"cannot finish: it will {task}, {asked}; change one: " + "; ".join(changes)


def impressions_to_match_prior(features: int, logit_sd: float, base_rate: float) -> float:
    """Impressions until the clicks say as much about the reward model's theta as its prior does.

    T = d / (sigma^2 p (1 - p)): each impression adds p (1 - p) to the information about the logit, d
    whitened features share it, and the prior holds d / sigma^2 for each.

    Parameters
    ----------
    features : int
        d.
    logit_sd : float
        sigma, as in `RewardPrior`.
    base_rate : float
        p.

    Examples
    --------
    >>> round(impressions_to_match_prior(16, 0.29, 0.014), -3)
    14000.0
    """
    check_count("features", features)
    check_number("logit_sd", logit_sd, least=0, above=True)
    check_number("base_rate", base_rate, least=0, above=True, most=0.999999)
    return features / (logit_sd**2 * base_rate * (1 - base_rate))


def chance_to_name_best(impressions_per_text: int, rates: Any, delta: float = 0.05, margin: float = 0.0) -> float:
    """Probability that `identify_best` names the best text at one look after equal shares of impressions.

    Exact but for averaging over 400 strata of the best text's clicks: a rival is beaten by that text alone
    when its own clicks, a binomial count, are few enough. Other texts' evidence against it is left out.

    Parameters
    ----------
    impressions_per_text : int
    rates : array of shape (N,)
        Click rates; the best must be the only one of its rate, unless there is a margin.
    delta, margin : float
        As in `identify_best`.

    Examples
    --------
    >>> round(chance_to_name_best(50_000, [0.024, 0.02]), 2)
    0.83
    """
    check_count("impressions_per_text", impressions_per_text, least=0)
    given = np.asarray(rates, dtype=float)
    if given.ndim != 1 or len(given) == 0 or not ((given >= 0) & (given <= 1)).all():  # False for NaN too
        raise InputError(f"rates are {rates}; pass a click rate from 0 to 1 for each text")
    best, *others = np.sort(given)[::-1]
    share = (np.arange(_STRATA) + 0.5) / _STRATA
    clicks = binom.ppf(share, impressions_per_text, best)
    beaten = _most_clicks_of_beaten(clicks, math.log((1 + len(others)) / delta), margin)
    values, counts = np.unique(others, return_counts=True)
    chances = binom.cdf(beaten[:, None], impressions_per_text, values) ** counts
    return float(chances.prod(axis=1).mean())


def _most_clicks_of_beaten(clicks: Array, bar: float, margin: float) -> Array:
    """Clicks up to which a rival is beaten by a text of that many, at equal impressions; -1 if at none."""
    price = np.log1p(np.expm1(LOG_RATIOS) / (2 + margin))

    def surplus(rival: Array, own: Array) -> Array:
        evidence = logsumexp(LOG_RATIOS * own[..., None] - (own + rival)[..., None] * price, axis=-1)
        return np.asarray(evidence - math.log(len(LOG_RATIOS)) - bar)

    possible = surplus(np.zeros_like(clicks), clicks) >= 0
    most = (1 + margin) * clicks + 1  # as many clicks per share of the exposures: no evidence
    root = find_root(surplus, (np.zeros_like(clicks), most), args=(clicks,))
    return np.where(possible, root.x, -1)


def _impressions_needed(rates: Array, campaign: PlannedCampaign) -> int | None:
    """Impressions per text that the power takes; None if no number does."""

    def surplus(log_impressions: float) -> float:
        count = math.ceil(math.exp(log_impressions))
        return chance_to_name_best(count, rates, campaign.alpha, campaign.margin) - campaign.power

    most = math.log(_MOST_IMPRESSIONS)
    return None if surplus(most) < 0 else math.ceil(math.exp(brentq(surplus, 0, most, xtol=1e-4)))


def _most_texts(campaign: PlannedCampaign) -> int:
    """The largest slate that has the power, up to 1,000."""

    def enough(texts: int) -> bool:
        rates = campaign.rates(campaign.effect, texts)
        chance = chance_to_name_best(campaign.impressions // texts, rates, campaign.alpha, campaign.margin)
        return chance >= campaign.power

    fits, fails = 1, 2
    while fails <= MOST_TEXTS and enough(fails):
        fits, fails = fails, 2 * fails
    fails = min(fails, MOST_TEXTS + 1)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if enough(middle) else (fits, middle)
    return fits


def _least_effect(campaign: PlannedCampaign) -> float | None:
    """The smallest lift or logit sd that has the power with this slate; None if none below 100 % (or 3) has."""

    def surplus(log_effect: float) -> float:
        rates = campaign.rates(math.exp(log_effect), campaign.texts)
        per_text = campaign.impressions // campaign.texts
        return chance_to_name_best(per_text, rates, campaign.alpha, campaign.margin) - campaign.power

    high = math.log(3.0 if campaign.logit_sd else min(10.0, 0.9 / campaign.base_rate - 1))
    grid = np.linspace(math.log(0.01), high, _EFFECTS)  # a large logit sd makes the best rates alike, near 1
    first = next((i for i, effect in enumerate(grid) if surplus(effect) >= 0), None)
    if first is None:
        return None
    return 0.01 if first == 0 else math.exp(brentq(surplus, grid[first - 1], grid[first], xtol=1e-4))


def _normal_scores(texts: int) -> Array:
    """Where a standard normal sample is expected to lie, greatest first, nearly (Blom 1958): (texts,)."""
    return np.asarray(norm.ppf((texts - np.arange(texts) - 0.375) / (texts + 0.25)))
