"""Maps keep the prior's scale, have the kernels they claim, and let a linear model see what is not linear."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits import LogisticRewardModel, RewardPrior
from bandits.rewards.features import Interactions, QuadraticFeatures, RandomFourierFeatures, segment_context
from copyloom import InputError

PRIOR = RewardPrior(base_rate=0.02, logit_sd=0.5, text_effect_sd=0)


def normal(*shape, seed=51):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def maps():
    return [
        QuadraticFeatures(d=3, share=0.4),
        RandomFourierFeatures(d=3, count=40, share=0.4, seed=7),
        RandomFourierFeatures(d=3, count=40, bandwidth=0.5, share=1.0),
    ]


@pytest.mark.parametrize("wide", maps())
def test_the_prior_variance_of_the_predictor_stays_logit_sd_squared(wide):
    """Averaged over 200,000 standard normal texts; the share of what the map adds is as stated."""
    columns = wide(normal(200_000, 3))
    assert columns.shape == (200_000, wide.width)
    second = columns.square().mean(0) / wide.width  # of each column, per unit of logit_sd^2
    assert second.sum().item() == pytest.approx(1, rel=0.02)
    assert second[3:].sum().item() == pytest.approx(wide.share, rel=0.02)
    assert (columns.mean(0).abs() < 0.05 * columns.square().mean(0).sqrt().clamp(min=0.1)).all()
    nothing = torch.zeros(0)
    posterior = LogisticRewardModel(PRIOR).fit(torch.zeros(0, wide.width), nothing, nothing)
    _, variance = posterior.predict(columns[:20_000])
    assert variance.mean().item() - 0.25 == pytest.approx(0.5**2, rel=0.05)


def test_quadratic_columns_are_orthonormal():
    columns = QuadraticFeatures(d=3, share=2 / 3)(normal(400_000, 3))  # 3 of 9 columns linear: scale 1
    torch.testing.assert_close(columns.mT @ columns / 400_000, torch.eye(9, dtype=torch.float64), rtol=0, atol=0.03)


def test_cosines_have_the_centred_gaussian_kernel():
    """With mean features taken off, k(x, y) - m(x) - m(y) + m, all in closed form; 1 / sqrt(20,000) = 0.007."""
    d, bandwidth = 3, 1.4
    wide = RandomFourierFeatures(d=d, count=20_000, bandwidth=bandwidth, share=1.0)
    x, y = normal(30, d), normal(30, d, seed=52)
    b2 = bandwidth**2
    middle = (b2 / (b2 + 2)) ** (d / 2)

    def mean(points):
        return (b2 / (b2 + 1)) ** (d / 2) * (-points.square().sum(-1) / (2 * (b2 + 1))).exp()

    kernel = (-torch.cdist(x, y).square() / (2 * b2)).exp() - mean(x)[:, None] - mean(y) + middle
    ours = wide(x) @ wide(y).mT / wide.width
    torch.testing.assert_close(ours, kernel / (1 - middle), rtol=0, atol=0.05)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_same_seed_is_the_same_map_and_batches_are_rows(seed):
    x, s = normal(2, 5, 4, seed=seed), normal(2, 5, 3, seed=seed + 1)
    for ours, theirs, arguments in (
        (RandomFourierFeatures(4, seed=seed), RandomFourierFeatures(4, seed=seed), (x,)),
        (QuadraticFeatures(4), QuadraticFeatures(4), (x,)),
        (Interactions(4, 3), Interactions(4, 3), (x, s)),
    ):
        assert ours == theirs
        columns = ours(*arguments)
        assert torch.equal(columns, theirs(*arguments))
        torch.testing.assert_close(columns[1, 3], ours(*(argument[1, 3] for argument in arguments)))
    assert not torch.equal(RandomFourierFeatures(4, seed=seed)(x), RandomFourierFeatures(4, seed=seed + 1)(x))


def test_interactions_are_theta_x_and_c_s_and_s_u_x():
    wide = Interactions(d=4, k=3, context_share=0.1, share=0.5)
    x, s, theta, c, U = normal(6, 4), normal(6, 3), normal(4), normal(3), normal(3, 4)
    blocks = [math.sqrt(share * 19 / n) for share, n in ((0.4, 4), (0.1, 3), (0.5, 12))]
    written = blocks[0] * x @ theta + blocks[1] * s @ c
    written = written + blocks[2] * ((s @ U) * x).sum(-1)
    torch.testing.assert_close(wide(x, s) @ torch.cat([theta, c, U.flatten()]), written)
    columns = wide(normal(200_000, 4), normal(200_000, 3, seed=53))
    second = columns.square().mean(0) / 19
    assert [second[:4].sum().item(), second[4:7].sum().item(), second[7:].sum().item()] == pytest.approx(
        [0.4, 0.1, 0.5], rel=0.02
    )


def test_segments_are_white_over_impressions():
    shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    context = segment_context([0, 1, 2], shares.tolist())
    assert (shares @ context).tolist() == pytest.approx([0, 0, 0])
    assert (shares @ context.square()).mean().item() == pytest.approx(1)


def test_a_fit_learns_which_text_is_for_whom():
    """Two segments that want opposite things: without interactions both texts look alike."""
    texts, segments = torch.tensor([[1.0], [-1.0]]), segment_context([0, 1], [0.5, 0.5])
    wide = Interactions(d=1, k=2)
    rows = wide(texts[:, None], segments).reshape(4, -1)
    posterior = LogisticRewardModel(PRIOR).fit(rows, [20_000] * 4, [600, 300, 300, 600])
    logits = posterior.logits()[0].reshape(2, 2)  # text, segment
    assert logits[0, 0] > logits[1, 0] + 0.4
    assert logits[1, 1] > logits[0, 1] + 0.4


def test_an_effect_of_a_text_in_all_its_rows_is_one_more_feature():
    """Exactly: a column per text with sd 0.2 is what text effects of sd 0.2 are, so it can be shared by rows."""
    x, n = normal(4, 2), torch.tensor([900.0, 1200.0, 300.0, 0.0], dtype=torch.float64)
    c = (0.03 * n).round()
    effects = LogisticRewardModel(RewardPrior(0.02, logit_sd=0.5, text_effect_sd=0.2)).fit(x, n, c)
    sds = [0.5 / math.sqrt(2)] * 2 + [0.2] * 4
    columns = torch.cat([x, torch.eye(4, dtype=torch.float64)], dim=-1)
    features = LogisticRewardModel(PRIOR, theta_sd=sds).fit(columns, n, c)
    for ours, theirs in zip(features.logits(), effects.logits(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_absent_rows_may_hold_anything():
    x = torch.full((2, 3), math.nan)
    x[0] = 1.0
    for wide in maps():
        columns = wide(x)
        assert torch.isfinite(columns[0]).all()
        nothing = torch.zeros(2)
        LogisticRewardModel(PRIOR).fit(columns, nothing, nothing, present=torch.tensor([True, False]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: QuadraticFeatures(d=0), "d is 0"),
        (lambda: QuadraticFeatures(d=2, share=1.5), "share is 1.5"),
        (lambda: RandomFourierFeatures(d=2, count=0), "count is 0"),
        (lambda: RandomFourierFeatures(d=2, bandwidth=0), "bandwidth is 0"),
        (lambda: RandomFourierFeatures(d=2, seed=-1), "seed is -1"),
        (lambda: Interactions(d=2, k=1, context_share=0.6, share=0.5), "share is 0.5"),
        (lambda: QuadraticFeatures(d=2)(torch.zeros(3, 3)), r"features has shape \(3, 3\); pass \(..., 2\)"),
        (lambda: Interactions(d=2, k=1)(torch.zeros(3, 2), torch.zeros(4, 1)), "do not fit"),
        (lambda: segment_context([0, 1], [1.0]), "at least two"),
        (lambda: segment_context([0, 1], [0.9, 0.2]), "sum to 1"),
        (lambda: segment_context([0, 2], [0.5, 0.5]), "numbers from 0 to 1"),
        (lambda: segment_context([0.0, 1.0], [0.5, 0.5]), "pass integers"),
    ],
)
def test_unusable_maps_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
