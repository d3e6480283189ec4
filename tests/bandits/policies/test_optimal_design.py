"""D-optimal designs: the certificate holds, and known optima are found."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandits import LogisticRewardModel, OptimalDesign, RewardPrior
from bandits.policies.optimal_design import in_span, optimal_design
from copyloom import InputError


def information(features, weights):
    return features.mT @ (weights[..., None] * features)


def test_orthogonal_texts_share_alike():
    design = optimal_design(torch.eye(5), tolerance=1e-9)
    torch.testing.assert_close(design.weights, torch.full((5,), 0.2, dtype=torch.float64))
    assert float(design.certificate) == pytest.approx(1)


def test_a_parabola_is_measured_at_both_ends_and_the_middle():
    """The known optimum of quadratic regression on [-1, 1] (Fedorov 1972): a third each at -1, 0 and 1."""
    x = torch.linspace(-1, 1, 21, dtype=torch.float64)
    design = optimal_design(torch.stack([torch.ones_like(x), x, x**2], -1), tolerance=1e-6)
    third = torch.zeros(21, dtype=torch.float64)
    third[[0, 10, 20]] = 1 / 3
    torch.testing.assert_close(design.weights, third, atol=1e-3, rtol=0)


@given(seed=st.integers(0, 10_000), count=st.integers(6, 40), p=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_the_certificate_bounds_what_any_design_could_gain(seed, count, p):
    stream = torch.Generator().manual_seed(seed)
    features = torch.randn(count, p, generator=stream, dtype=torch.float64)
    design = optimal_design(features, tolerance=0.01)
    assert design.certificate <= 1.01
    assert design.weights.min() >= 0
    assert float(design.weights.sum()) == pytest.approx(1)
    leverage = ((features @ torch.linalg.inv(information(features, design.weights))) * features).sum(-1)
    assert float(leverage.max()) == pytest.approx(float(design.worst_variance), rel=1e-6)
    best = torch.logdet(information(features, design.weights)) + p * 0.01
    for _ in range(20):
        other = torch.rand(count, generator=stream, dtype=torch.float64) ** 4
        assert not torch.logdet(information(features, other / other.sum())) > best  # NaN: singular but for rounding


def test_campaigns_side_by_side_get_what_each_gets_alone():
    stream = torch.Generator().manual_seed(0)
    features = torch.randn(3, 12, 3, generator=stream, dtype=torch.float64)
    present = torch.ones(3, 12, dtype=torch.bool)
    present[1, :4] = False
    together = optimal_design(features, present, tolerance=1e-6)
    assert (together.weights[1, :4] == 0).all()
    for row in range(3):
        alone = optimal_design(features[row][present[row]], tolerance=1e-6)
        gained = torch.logdet(information(features[row][present[row]], alone.weights))
        reached = torch.logdet(information(features[row], together.weights[row]))
        torch.testing.assert_close(reached, gained, atol=1e-4, rtol=0)


def test_duplicates_do_no_harm_and_too_few_texts_are_refused():
    twice = torch.cat([torch.eye(3), torch.eye(3)])
    assert optimal_design(twice, tolerance=1e-6).certificate <= 1 + 1e-6
    with pytest.raises(InputError, match="do not span the 3 dimensions"):
        optimal_design(torch.eye(3)[:2])
    with pytest.raises(InputError, match="NaN"):
        optimal_design(torch.full((3, 2), math.nan))
    with pytest.raises(InputError, match="at least one text"):
        optimal_design(torch.empty(0, 2))


@given(seed=st.integers(0, 10_000), rank=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_a_design_in_the_span_is_the_design_with_a_pseudo_inverse(seed, rank):
    stream = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(*shape, generator=stream, dtype=torch.float64) for shape in ((8, rank), (rank, 5))]
    features = drawn[0] @ drawn[1]
    design = optimal_design(in_span(features), tolerance=1e-4)
    assert design.rank == rank
    inverse = torch.linalg.pinv(information(features, design.weights), rtol=1e-9)
    leverage = ((features @ inverse) * features).sum(-1)
    assert float(leverage.max()) == pytest.approx(float(design.worst_variance), rel=1e-6)
    assert 1 <= design.certificate + 1e-9 <= 1 + 2e-4


def test_nothing_spans_nothing():
    with pytest.raises(InputError, match="all features are zero"):
        in_span(torch.zeros(3, 2))
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        in_span(torch.zeros(3))


def test_as_a_policy_it_needs_no_full_rank_and_ignores_clicks():
    model = LogisticRewardModel(RewardPrior(0.02))
    few = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    for clicks in itertools.product((0, 30), repeat=2):
        found = OptimalDesign().allocate(model.fit(few, [900, 900], clicks), None, torch.Generator())
        torch.testing.assert_close(
            found.probabilities, torch.tensor([0.5, 0.5], dtype=torch.float64), atol=0.01, rtol=0
        )
