"""Every policy that settings can name: each shares a campaign's impressions in its own way."""

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from bandits import LogisticRewardModel, Posterior, RewardPrior
from bandits.rewards.forgetting import remembered
from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign, counted, forgetting_of
from experiments.campaigns.config import CampaignConfig, PolicyConfig, PriorConfig
from experiments.campaigns.events import Admitted, Closed, Draft, Happening, Opened, Published, Retired, Written
from experiments.campaigns.phases import _room, learn, publish
from experiments.campaigns.policies import Policies
from experiments.campaigns.rewards import Rewards
from experiments.campaigns.state import replay
from experiments.simulation.config import RunConfig

TEXTS = tuple(f"claim {number}" for number in range(4))
FEATURES = torch.eye(4, dtype=torch.float64)
CLICKS = (2, 4, 60, 6)


def campaign(policy: Any, rounds: int = 3, name: str = "c", clicks: Sequence[Sequence[int]] = (CLICKS,)) -> Campaign:
    """Return a campaign whose third text was clicked far more often than the others, in every round and segment."""
    segments = tuple(f"segment {number + 1}" for number in range(len(clicks)))
    happened: list[Happening] = [
        Opened(slate=TEXTS, parents=TEXTS, segments=segments, policy=PolicyConfig.model_validate(policy))
    ]
    for number in range(rounds):
        counts = tuple((place, segment, 500, clicked)
                       for segment, each in enumerate(clicks) for place, clicked in enumerate(each))  # fmt: skip
        happened.append(Published(snapshot=number, probabilities=(0.25,) * 4, impressions=2000))
        happened.append(Closed(id=str(number), snapshot=number, counts=counts))
    return Campaign(name, (0, 1), replay(happened))


def belief(campaigns: list[Campaign]) -> Posterior:
    counts = [torch.stack(rows).sum(-1) for rows in zip(*(counted(one.state) for one in campaigns), strict=True)]
    return LogisticRewardModel(RewardPrior(0.02)).fit(FEATURES.expand(len(campaigns), 4, 4), *counts)


def allocated(*campaigns: Campaign, shown: Tensor | None = None, rounds: int = 10**9) -> list[list[float]]:
    fitted = belief(list(campaigns))
    mask = fitted.present if shown is None else shown
    found = Policies(rounds).allocate(list(campaigns), fitted, mask, fitted.design[..., 1:])
    return [chances.tolist() for (chances,) in found]


@pytest.mark.parametrize("policy", [
    "thompson", "ucb", "epsilon-greedy", "top-two", "vowpal-wabbit", {"name": "thompson", "floor": 0.01},
    {"name": "thompson", "forgetting": {"half_life": 2}}, {"name": "ucb", "forgetting": {"window": 1}},
    {"name": "vowpal-wabbit", "vowpal_wabbit": {"explore": "epsilon", "strength": 0.1}},
])  # fmt: skip
def test_policies_that_listen_show_what_is_clicked(policy: Any) -> None:
    (chances,) = allocated(campaign(policy))
    assert abs(sum(chances) - 1) < 1e-9
    assert chances[2] == max(chances) > 0.4
    assert min(chances) >= PolicyConfig.model_validate(policy).floor


@pytest.mark.parametrize("name", ["thompson", "ucb"])
def test_the_width_falls_evenly_from_the_first_snapshot_to_the_last(name: str) -> None:
    def of(played: int, rounds: int, **scales: float) -> list[float]:
        return allocated(campaign({"name": name, **scales}, played), rounds=rounds)[0]

    for played, scale in ((0, 0.8), (1, 0.6), (4, 1e-9)):
        assert of(played, 5, scale=0.8, final_scale=0) == of(played, 10**9, scale=scale)
    assert max(of(4, 5)) == 1  # of what is known, the best alone
    assert of(2, 10**9) == of(2, 10**9, final_scale=5)  # without end


def test_policies_that_do_not_listen() -> None:
    assert allocated(campaign("uniform"))[0] == [0.25] * 4
    torch.testing.assert_close(
        torch.tensor(allocated(campaign("optimal-design"))[0]), torch.full((4,), 0.25), rtol=0, atol=0.01
    )


def test_campaigns_of_many_policies_are_allocated_as_they_are_alone() -> None:
    policies: list[Any] = ["thompson", "uniform", "vowpal-wabbit", "thompson", {"name": "ucb", "floor": 0.02}]
    several = [campaign(policy, name=str(number)) for number, policy in enumerate(policies)]
    together = allocated(*several)
    for one, chances in zip(several, together, strict=True):
        torch.testing.assert_close(torch.tensor(allocated(one)[0]), torch.tensor(chances))


def test_the_first_rounds_may_follow_the_design() -> None:
    policy = {"name": "ucb", "design_rounds": 3}
    assert max(allocated(campaign(policy, rounds=2))[0]) < 0.3
    assert max(allocated(campaign(policy, rounds=3))[0]) > 0.9


def test_a_holdout_keeps_its_share() -> None:
    ((first, *_),) = allocated(campaign({"name": "ucb", "holdout": {"share": 0.2}}))
    assert first == pytest.approx(0.2)
    ((*_, last),) = allocated(campaign({"name": "ucb", "holdout": {"share": 0.2, "text": TEXTS[3]}}))
    assert last == pytest.approx(0.2)
    with pytest.raises(InputError, match="its slate does not hold 'Never stored'"):
        allocated(campaign({"name": "ucb", "holdout": {"text": "Never stored"}}))


@pytest.mark.parametrize("policy", ["thompson", "vowpal-wabbit", "optimal-design", {"name": "ucb", "floor": 0.05}])
def test_what_may_not_be_shown_is_not(policy: Any) -> None:
    ((*_, third, _),) = allocated(campaign(policy), shown=torch.tensor([[True, True, False, True]]))
    assert third == 0


@pytest.mark.parametrize("settings", [{}, {"explore": "softmax", "strength": 20}, {"explore": "cover", "strength": 3}])
def test_vowpal_wabbit_learns_each_outcome_once_and_the_same_when_it_starts_anew(settings: dict[str, Any]) -> None:
    """A slate that grows, outcomes too few to be sure of: what went along knows what one that starts anew does."""
    policy = {"name": "vowpal-wabbit", "vowpal_wabbit": settings} if settings else "vowpal-wabbit"
    policies, one, texts = Policies(10**9), Campaign("c", (0, 1)), [f"more {number}" for number in range(6)]
    drafts = tuple(Draft(Lineage(TEXTS[:2], (0.5, 0.5 + place)), text) for place, text in enumerate(texts))
    opening = Opened(slate=TEXTS, parents=TEXTS, segments=("all",), policy=PolicyConfig.model_validate(policy))
    one.state = replay([opening, Written(drafts=drafts)])
    for number in range(6):
        count = len(one.state.slate)
        counts = tuple((place, 0, 60, (place * 7 + number) % 5) for place in range(count))
        one.state = replay([
            Published(snapshot=number, probabilities=(1 / count,) * count, impressions=60 * count),
            Closed(id=str(number), snapshot=number, counts=counts), Admitted(texts=(texts[number],)),
        ], one.state)  # fmt: skip
        rows = torch.eye(10, dtype=torch.float64)[None, : count + 1, :5] + 0.1
        fitted = LogisticRewardModel(RewardPrior(0.02)).fit(rows, *(part.T for part in counted(one.state)))
        (step,) = policies.allocate([one], fitted, fitted.present, rows)
    assert step.tolist() == Policies(10**9).allocate([one], fitted, fitted.present, rows)[0].tolist()
    assert 0 < float(step.max()) < 1


def test_what_is_forgotten_counts_less() -> None:
    one = campaign({"name": "thompson", "forgetting": {"half_life": 1}})
    impressions, clicks = counted(one.state)
    assert impressions.tolist() == [[500 * (1 + 0.5 + 0.25)]] * 4
    assert clicks.tolist() == [[count * 1.75] for count in CLICKS]
    config = one.state.opening.policy.forgetting
    assert config is not None
    expected = remembered(forgetting_of(config), *torch.from_numpy(one.state.histories).double().flatten(-2))
    assert torch.equal(expected[0], impressions[:, 0])


@pytest.mark.parametrize(("policy", "says"), [
    ({"name": "thompson", "forgetting": {}}, "either half_life or window"),
    ({"name": "thompson", "forgetting": {"half_life": 1, "window": 2}}, "either half_life or window"),
    ({"name": "vowpal-wabbit", "vowpal_wabbit": {"explore": "magic"}}, "explore"),
    ({"holdout": {"share": 1}}, "share"), ({"scale": float("inf")}, "scale"),
    ({"name": "vowpal-wabbit", "forgetting": {"half_life": 2}}, "cannot forget"), ("magic", "policy.name"),
    ({"name": "ucb", "mixes": True}, "mixes is for vowpal-wabbit"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_named(policy: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        CampaignConfig.checked(policy=policy)


def test_labels_say_what_is_not_as_usual() -> None:
    assert PolicyConfig().label == "thompson"
    policy = {"name": "ucb", "floor": 0.01, "holdout": {"share": 0.2}}
    assert PolicyConfig.model_validate(policy).label == "ucb, floor 0.01, holdout share 0.2"


def test_what_was_shown_without_a_chance_teaches_vowpal_wabbit_nothing() -> None:
    """A page that a shopper had kept, of a text that is retired, say: it counts, and the campaign goes on."""
    one = campaign("vowpal-wabbit", rounds=1)
    stray = Published(snapshot=1, probabilities=(0.5, 0.5, 0.0, 0.0), impressions=10)
    one.state = replay([stray, Closed(id="x", snapshot=1, counts=((0, 0, 9, 1), (3, 0, 1, 1)))], one.state)
    policies, mask = Policies(10**9), torch.ones(1, 4, dtype=torch.bool)
    columns = belief([one]).design[..., 1:]
    first, second = (policies.allocate([one], belief([one]), mask, columns)[0].tolist() for _ in range(2))
    assert first == second == allocated(one)


APART = (CLICKS, (60, 4, 2, 6))
"""The first segment clicks the third text, the second the first."""


def published(*campaigns: Campaign) -> list[Published]:
    """Return what a workshop of the texts' own features publishes next."""
    shop = SimpleNamespace(
        features=lambda texts: torch.stack([FEATURES[TEXTS.index(text)] for text in texts]),
        rewards=Rewards(PriorConfig(), 4), policies=Policies(10**9), config=CampaignConfig(impressions=100),
    )  # fmt: skip
    some: Any = shop
    happened = publish(some, campaigns, learn(some, campaigns))
    return [what for (what,) in happened if isinstance(what, Published)]


@pytest.mark.parametrize("policy", [
    "thompson", "ucb", "epsilon-greedy", "top-two", "vowpal-wabbit", {"name": "thompson", "floor": 0.01},
    {"name": "thompson", "forgetting": {"half_life": 2}},
])  # fmt: skip
def test_each_segment_is_shown_what_it_clicks(policy: Any) -> None:
    settings = {"name": policy} if isinstance(policy, str) else policy
    (said,) = published(campaign({**settings, "segments": {}}, clicks=APART))
    first, second = said.by_segment
    assert first[2] == max(first) > 0.4
    assert second[0] == max(second) > 0.4
    assert [sum(first), sum(second)] == pytest.approx([1, 1])
    assert min(first + second) >= settings.get("floor", 0)
    assert said.probabilities == pytest.approx([(one + two) / 2 for one, two in zip(first, second, strict=True)])


def test_what_is_shown_over_all_weighs_segments_by_their_impressions() -> None:
    one = campaign({"name": "uniform", "segments": {}}, clicks=APART)
    one.state = replay([Closed(id="more", snapshot=0, counts=((0, 1, 3000, 100),))], one.state)
    control = {"name": "ucb", "segments": {}, "holdout": {"share": 0.2, "text": TEXTS[3]}}
    other = campaign(control, name="other", clicks=APART)
    other.state = replay([Closed(id="more", snapshot=0, counts=((0, 1, 3000, 100),))], other.state)
    same, held = published(one, other)
    assert same.by_segment == ((0.25,) * 4,) * 2
    assert [chances[3] for chances in held.by_segment] == pytest.approx([0.2, 0.2])
    seen = (6001 / 15002, 9001 / 15002)
    overall = [sum(part) for part in zip(*([w * c for c in row] for w, row in zip(seen, held.by_segment, strict=True)),
                                         strict=True)]  # fmt: skip
    assert held.probabilities == pytest.approx(overall)


def test_policies_that_tell_segments_apart_play_beside_those_that_do_not() -> None:
    plain, apart = campaign("thompson", clicks=APART), campaign({"segments": {}}, name="apart", clicks=APART)
    together, alone = published(plain, apart), published(plain) + published(apart)
    assert together[0].by_segment == ()
    assert together[0].probabilities == alone[0].probabilities
    for first, second in zip(together[1].by_segment, alone[1].by_segment, strict=True):
        assert first == pytest.approx(second)


def test_retired_texts_are_shown_in_no_segment() -> None:
    one = campaign({"name": "thompson", "segments": {}}, clicks=APART)
    one.state = replay([Retired(texts=(TEXTS[0],), reason="sold out")], one.state)
    (said,) = published(one)
    assert [chances[0] for chances in said.by_segment] == [0, 0]
    assert said.by_segment[0][2] > 0.4


def test_one_segment_cannot_be_told_apart() -> None:
    with pytest.raises(InputError, match="tells segments apart, and there is one only"):
        campaign({"segments": {}})
    with pytest.raises(InputError, match=r"segment_shares has one only"):
        RunConfig.checked(policy={"segments": {}}, shoppers={"segment_shares": [1]})


def test_probabilities_by_segment_must_be_those_of_the_texts_and_segments() -> None:
    one = campaign({"segments": {}}, clicks=APART)
    for rows in (((0.25,) * 4,), ((0.5,) * 2,) * 2):
        with pytest.raises(InputError, match="by segment are not those"):
            replay([Published(snapshot=3, probabilities=(0.25,) * 4, impressions=1, by_segment=rows)], one.state)


def test_no_more_texts_are_admitted_than_the_floor_has_room_for() -> None:
    texts = tuple(f"text {number}" for number in range(9))
    for floor, room in ((0.0, sys.maxsize), (0.05, 11), (0.09, 2)):
        opening = Opened(slate=texts, parents=texts, segments=("all",), policy=PolicyConfig(floor=floor))
        assert _room(replay([opening])) == room
    assert _room(replay([opening, Retired(texts=texts[:2], reason="sold out")])) == 4
