"""What the reward model believes before a click and after, with curvature, earlier texts and segments."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bandits import LogisticRewardModel
from bandits.rewards.features import QuadraticFeatures
from copyloom import InputError
from experiments.campaigns.campaign import standardised
from experiments.campaigns.config import CampaignConfig, PriorConfig, SegmentsConfig
from experiments.campaigns.rewards import Rewards, opinion_of, reward_prior
from experiments.counts import read_past

APART = SegmentsConfig()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def everyone(*shape: int) -> Tensor:
    return torch.ones(*shape, dtype=torch.bool)


def test_plain_settings_are_the_plain_model() -> None:
    features, impressions = normal(2, 5, 3), torch.full((2, 5), 800.0)
    clicks, prior = (0.03 * impressions).round(), PriorConfig()
    ours = Rewards(prior, 3).fit(features, impressions, clicks, everyone(2, 5))
    plain = LogisticRewardModel(reward_prior(prior)).fit(features, impressions, clicks)
    assert torch.equal(ours.coefficients, plain.coefficients)
    assert Rewards(prior, 3).feature_map is None


def test_before_a_click_segments_share_what_the_prior_says_they_share() -> None:
    """Over whitened texts, in logits: variance as for all shoppers; what two segments share, without their own part."""
    prior, config, segments, texts = PriorConfig(), SegmentsConfig(share=0.3), 3, 20_000
    rewards, features, few = Rewards(prior, 4), normal(1, texts, 4), 8
    nothing = torch.zeros(1, few, segments, dtype=torch.float64)
    belief = rewards.fit_segments(features[:, :few], nothing, nothing, everyone(1, few), config)
    columns = rewards.segment_columns(features, segments, config)[0].reshape(texts, segments, -1)
    width = columns.shape[-1]
    theta = belief.covariance[0, 1 : 1 + width, 1 : 1 + width]
    within = torch.einsum("nsi,ij,nsj->ns", columns, theta, columns).mean()
    between = torch.einsum("ni,ij,nj->n", columns[:, 0], theta, columns[:, 1]).mean()
    assert within.item() == pytest.approx(prior.logit_sd**2, rel=0.03)
    common = 1 - 0.2 - config.share  # without the segments' base rates and their own tastes
    own = -(0.2 + config.share) / (segments - 1)  # deviations of segments sum to nothing
    assert between.item() == pytest.approx(prior.logit_sd**2 * (common + own), rel=0.05)
    _, variance = belief.logits()
    drawn = torch.einsum("ri,ij,rj->r", columns[:few].flatten(0, 1), theta, columns[:few].flatten(0, 1))
    rest = variance[0] - drawn - prior.intercept_sd**2
    torch.testing.assert_close(rest, torch.full_like(rest, prior.text_effect_sd**2))


def test_what_one_segment_clicks_is_learned_for_it_most_and_for_others_a_little() -> None:
    features = torch.eye(4, dtype=torch.float64)[None]
    impressions = torch.zeros(1, 4, 2, dtype=torch.float64)
    impressions[..., 0] = 4000.0
    clicks = torch.zeros_like(impressions)
    clicks[0, :, 0] = torch.tensor([60.0, 60, 160, 60])
    mean, variance = (part.reshape(4, 2) for part in
                      Rewards(PriorConfig(), 4).fit_segments(features, impressions, clicks, everyone(1, 4), APART)
                      .logits())  # fmt: skip
    first, second = mean[2] - mean[0]
    assert first > 0.5
    assert 0.2 < second / first < 0.9
    assert bool((variance[:, 0] < variance[:, 1]).all())


def test_a_text_that_a_keen_segment_sees_most_is_no_better_for_all() -> None:
    """Equal texts in two segments of other rates, shown unevenly: their rates for all are equal."""
    impressions = torch.tensor([[9000.0, 1000], [1000, 9000], [5000, 5000], [0, 3000]], dtype=torch.float64)
    clicks = impressions * torch.tensor([0.02, 0.10], dtype=torch.float64)
    count, clicked = standardised(impressions, clicks)
    shares = impressions.sum(0) / impressions.sum()
    assert (clicked / count).tolist() == pytest.approx(
        [float(shares @ torch.tensor([0.02, 0.1]).double())] * 4, rel=1e-2
    )
    assert count.tolist() == impressions.sum(1).tolist()
    assert [part.tolist() for part in standardised(torch.zeros(2, 2), torch.zeros(2, 2))] == [[0, 0], [0, 0]]


def test_padding_teaches_nothing_in_segments_either() -> None:
    rewards, features, impressions = Rewards(PriorConfig(), 3), normal(1, 4, 3), torch.full((1, 4, 2), 500.0)
    clicks = normal(1, 4, 2).abs().mul(9).round()
    alone = rewards.fit_segments(features, impressions, clicks, everyone(1, 4), APART)
    wider = [torch.nn.functional.pad(part, (0, 0, 0, 2)) for part in (features, impressions, clicks)]
    padded = rewards.fit_segments(*wider, torch.nn.functional.pad(everyone(1, 4), (0, 2)), APART)
    for ours, theirs in zip(padded.logits(), alone.logits(), strict=True):
        torch.testing.assert_close(ours[:, :8], theirs)


def test_a_curved_belief_finds_the_optimum_between_texts() -> None:
    prior = PriorConfig.model_validate({"curvature": {"kind": "quadratic", "share": 0.6}})
    rewards, x = Rewards(prior, 1), torch.linspace(-2, 2, 9, dtype=torch.float64)[None, :, None]
    impressions = torch.full((1, 9), 20_000.0)
    clicks = (impressions * torch.sigmoid(-3.6 - 0.3 * x[..., 0].square())).round()
    belief = rewards.fit(x, impressions, clicks, everyone(1, 9))
    assert rewards.feature_map is not None
    mean, _ = belief.predict(rewards.widen(torch.tensor([[[-2.0], [0.0], [2.0]]])))
    assert mean[0, 1] > mean[0, [0, 2]].max() + 0.5
    assert torch.equal(rewards.widen(x), QuadraticFeatures(1, share=0.6)(x))


def told(trust: float = 0.5) -> tuple[Rewards, Tensor]:
    """Return rewards that were told by earlier texts that the first feature is good."""
    prior = PriorConfig.model_validate({"text_prior": {"past": "past.csv", "trust": trust}})
    past = normal(60, 3)
    impressions = torch.full((60,), 5000.0)
    clicks = (impressions * torch.sigmoid(-3.9 + 0.5 * past[:, 0])).round()
    return Rewards(prior, 3, opinion_of(prior, past, impressions, clicks)), torch.eye(3, dtype=torch.float64)[None]


def test_earlier_texts_are_followed_before_a_click_and_given_up_against_clicks() -> None:
    rewards, features = told()
    assert rewards.opinion is not None
    assert rewards.opinion.tolist() == pytest.approx([0.5, 0, 0], abs=0.06)
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    before, _ = rewards.fit(features, nothing, nothing, everyone(1, 3)).logits()
    assert (before[0, 0] - before[0, 1]).item() == pytest.approx(0.25, abs=0.03)
    impressions, clicks = torch.full((1, 3), 20_000.0), torch.tensor([[200.0, 600.0, 600.0]])
    after, _ = rewards.fit(features, impressions, clicks, everyone(1, 3)).logits()
    assert after[0, 0] < after[0, 1] - 0.8
    cells = [part[..., None].expand(1, 3, 2) for part in (nothing, nothing)]
    apart, _ = rewards.fit_segments(features, *cells, everyone(1, 3), APART).logits()
    torch.testing.assert_close(apart.reshape(3, 2), before[0][:, None].expand(3, 2))


@pytest.mark.parametrize(("rows", "says"), [
    ("text,impressions\na,1\n", "no column 'clicks'"),
    ("text,impressions,clicks\na,10,11\n", r"more than the impressions in 1 row: row 1 \(11 of 10\)"),
    ("text,impressions,clicks\na,10,1\n,10,1\n", "row 2"),
    ("text,impressions,clicks\na,1.5,1\n", "no whole number in 1 row"),
    ("text,impressions,clicks\na,10,0\n", "no click in 1 rows"), ("text,impressions,clicks\n", "no click in 0 rows"),
    ("text,impressions,clicks\na,,1\n", "row 1"),
])  # fmt: skip
def test_earlier_texts_that_cannot_be_are_refused(tmp_path: Path, rows: str, says: str) -> None:
    file = tmp_path / "past.csv"
    file.write_text(rows)
    with pytest.raises(InputError, match=says):
        read_past(file)
    with pytest.raises(InputError, match="there is no file"):
        read_past(tmp_path / "missing.csv")


def test_earlier_texts_are_read(tmp_path: Path) -> None:
    file = tmp_path / "past.CSV"
    file.write_text('text,impressions,clicks\n"Dry,  on every trail",1000,20\nQuiet nights,500,0\n')
    assert read_past(file) == (("Dry, on every trail", 1000, 20), ("Quiet nights", 500, 0))
    with file.open("a") as more:
        more.write("Total: Ads,1500,20\n --,1500,20\n")
    assert [text for text, _, _ in read_past(file)] == ["Dry, on every trail", "Quiet nights"]


@pytest.mark.parametrize(("prior", "says"), [
    ({"curvature": {"kind": "cubic"}}, "kind"), ({"curvature": {"share": 1}}, "share"),
    ({"text_prior": {}}, "past"), ({"text_prior": {"past": "x.csv", "trust": 2}}, "trust is above trust_sd"),
])  # fmt: skip
def test_settings_that_do_not_fit_are_named(prior: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        CampaignConfig.checked(prior=prior)
