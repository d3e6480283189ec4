"""When mixing cannot pay, and why ours can (design, section 4.5).

Mix K texts with features x_1 ... x_K by weights on the simplex, w >= 0 and sum w = 1, and value the mixture
at f(sum_k w_k x_k). If f is convex, f(sum w x) <= sum w f(x) <= max f(x): the best "mixture" is one of the
parents, all by itself. That is so when f is

- linear, f(x) = b + x . theta (equality, then);
- logistic: convex it is not, but its link is monotone, so what maximises the logit maximises the click rate;
- either with an upper-confidence bonus, as the sd of a logit is a norm of (1, x), and norms are convex.

A bandit over plain convex mixtures with such a reward is decoration. A mixture can gain only if something is
not so: here, that the mixed point is scaled back to the unit sphere, or leaves the simplex, or that the reward model
has curvature, so that f may be highest in between.
"""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from bandits import LogisticRewardModel, RewardPrior
from bandits.rewards.features import QuadraticFeatures, RandomFourierFeatures

K = 3
CORNERS_AND_BETWEEN = [(i, j, 20 - i - j) for i, j in itertools.product(range(21), repeat=2) if i + j <= 20]
GRID = torch.tensor(CORNERS_AND_BETWEEN, dtype=torch.float64) / 20


def random_problem(seed, d=4):
    """Parents on the unit sphere, a posterior that has seen some clicks, and weights all over the simplex."""
    stream = torch.Generator().manual_seed(seed)
    parents = normalize(torch.randn(K, d, generator=stream, dtype=torch.float64), dim=-1)
    shown = torch.randn(8, d, generator=stream, dtype=torch.float64)
    clicks = torch.randint(5, 60, (8,), generator=stream)
    posterior = LogisticRewardModel(RewardPrior(0.025)).fit(shown, torch.full((8,), 1000), clicks)
    dirichlet = torch.rand(200, K, generator=stream, dtype=torch.float64).log().neg()
    weights = torch.cat([GRID, dirichlet / dirichlet.sum(-1, keepdim=True)])
    return parents, posterior, weights


def click_rate(posterior, features, bonus):
    mean, variance = posterior.predict(features)
    return torch.sigmoid(mean + bonus * variance.sqrt())


@pytest.mark.parametrize("bonus", [0.0, 0.5, 5.0])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_plain_mixture_beats_the_best_single_parent(bonus, seed):
    parents, posterior, weights = random_problem(seed)
    best_parent = click_rate(posterior, parents, bonus).max()
    best_mixture = click_rate(posterior, weights @ parents, bonus).max()
    assert best_mixture <= best_parent + 1e-12


def test_a_mixture_scaled_back_to_the_sphere_can_beat_both_parents():
    """One parent pulls on one thing, the other on another; halfway lies the unit vector that does both."""
    theta = torch.tensor([0.6, 0.8], dtype=torch.float64)
    parents = torch.eye(2, dtype=torch.float64)
    plain = torch.tensor([0.5, 0.5], dtype=torch.float64) @ parents
    assert (parents @ theta).tolist() == pytest.approx([0.6, 0.8])
    assert (plain @ theta).item() == pytest.approx(0.7)  # between its parents, as it must be
    assert (normalize(plain, dim=0) @ theta).item() == pytest.approx(0.7 * 2**0.5)  # 0.99: above both


def test_another_parent_helps_exactly_if_it_pulls_more_than_its_likeness_explains():
    """Scaled mixtures of the best parent z and another, y, beat z iff y . theta > (y . z) (z . theta).

    That is the slope of the logit at z, on the way to y along the sphere; on the arc the logit is a cosine,
    which rises first or never. So mixing pays often but not always: here for about one pair in four.
    """
    steps = torch.cat([torch.tensor([1e-4]), torch.linspace(0.01, 0.99, 99)]).double()[:, None]
    gains = []
    for seed in range(200):
        parents, posterior, _ = random_problem(seed)
        theta = posterior.coefficients[1:]
        z, *others = parents[(parents @ theta).argsort(descending=True)]
        for y in others:
            slope = y @ theta - (y @ z) * (z @ theta)
            mixtures = normalize((1 - steps) * z + steps * y, dim=-1)
            gains.append(bool((mixtures @ theta).max() > z @ theta))
            assert gains[-1] == bool(slope > 0) or slope.abs() < 1e-4
    assert 0.2 < sum(gains) / len(gains) < 0.35


def test_extrapolation_leaves_the_simplex_and_can_beat_both_parents_too():
    """Weights (1.15, -0.15) go past the better parent, away from the worse."""
    logits = torch.tensor([0.6, 0.2], dtype=torch.float64)
    assert (torch.tensor([1.15, -0.15], dtype=torch.float64) @ logits).item() == pytest.approx(0.66)


@pytest.mark.parametrize("wide", [QuadraticFeatures(d=2, share=0.7), RandomFourierFeatures(d=2, share=0.7)])
def test_with_curvature_the_best_plain_mixture_can_lie_inside(wide):
    """Shoppers like a bit of everything: clicks fall with the distance from the middle of the three parents.

    From the same clicks, the linear model finds a vertex and the curved one the inside, where the truth is.
    """
    parents = torch.tensor([[2.0, 0.0], [-1.0, 1.7], [-1.0, -1.7]], dtype=torch.float64)
    points = GRID @ parents
    rates = torch.sigmoid(-2.5 - 0.4 * points.square().sum(-1))
    shown = torch.full_like(rates, 2000)
    best = {}
    for name, features in {"linear": lambda x: x, "curved": wide}.items():
        prior = RewardPrior(base_rate=0.03, logit_sd=1.0, text_effect_sd=0)
        posterior = LogisticRewardModel(prior).fit(features(points), shown, shown * rates)
        best[name] = click_rate(posterior, features(points), bonus=0.0).argmax()
    assert GRID[best["linear"]].max() == 1
    assert GRID[best["curved"]].max() < 0.5
    assert rates[best["curved"]] > 1.5 * rates[best["linear"]]
