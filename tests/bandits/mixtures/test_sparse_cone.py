"""The search finds what brute force finds, keeps within its region, and does not mind awkward pools."""

import itertools
import math
import random

import pytest
import torch
from torch.nn.functional import normalize

from bandits import LogisticRewardModel, RealisedFeatureMap, RewardPrior
from bandits.mixtures.mixture_reward import LinearReward
from bandits.mixtures.realised_bound import RealisedBound
from bandits.mixtures.region import MixtureRegion
from bandits.mixtures.sparse_cone import SparseCone
from copyloom import InputError
from tests.bandits.mixtures.brute_force import brute_force


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(d, seed):
    theta = draw(1, d, seed=seed)
    return LinearReward(theta), lambda features: features @ theta[0]


def optimistic(d, seed):
    """A bound from clicks on eight texts, through a channel from nine decoded mixtures."""
    clicks = torch.randint(10, 120, (1, 8), generator=torch.Generator().manual_seed(seed))
    posterior = LogisticRewardModel(RewardPrior(0.025)).fit(draw(1, 8, d, seed=seed), torch.full((1, 8), 2000), clicks)
    channel = RealisedFeatureMap().fit(draw(9, d, seed=seed + 1), draw(9, d, seed=seed + 2))
    bound = RealisedBound(channel, posterior, exploration=1.0)

    def value(features):
        realised, error = channel.predict(features)
        mean, variance = posterior.predict(realised[None])
        variance = variance + (error[None] @ posterior.theta_second_moment()[..., None])[..., 0]
        return (mean + variance.sqrt())[0]

    return bound, value


@pytest.mark.parametrize(("kind", "pools"), [(linear, 60), (optimistic, 30)])
def test_hardly_ever_is_another_mixture_better(kind, pools):
    """In none of some pools of up to 12 texts, half of them with copies and opposites, in regions of all sorts."""
    assert not [seed for seed in range(pools) if falls_short(kind, seed, 1, 12, (0.0, 0.15), (1.0, 0.97))]


def test_local_optima_of_the_weights_are_rare():
    """In pools of 3 or 4 texts that must keep apart from their parents: at most 1 in 20."""
    missed = [seed for seed in range(20) if falls_short(linear, seed, 3, 4, (0.0, 0.15, 0.5), (0.95, 0.97))]
    assert len(missed) <= 1, missed


def falls_short(kind, seed, fewest, most, negative, apart):
    rng = random.Random(seed)
    M, S, d = rng.randint(fewest, most), rng.randint(2, 10), rng.randint(2, 6)
    pool = normalize(draw(M, S, seed=seed), dim=-1)
    if M > 3 and rng.random() < 0.5:
        pool[1], pool[3] = pool[0], -pool[2]
    features, offset = pool @ draw(S, d, seed=seed + 3), draw(d, seed=seed + 4)
    region = MixtureRegion(
        most_parents=rng.randint(1, 3),
        negative=rng.choice(negative),
        nearest=rng.choice([0.0, 0.7, 0.85]),
        apart=rng.choice(apart),
    )
    reward, value = kind(d, seed)
    found = SparseCone(pool, features, offset).best(reward, region).value.item()
    return found < brute_force(pool, features, offset, value, region) - 1e-6


def test_a_mixture_is_what_it_says():
    """Weights sum to 1, stay in the region, and give the point, features and value."""
    pool = normalize(draw(300, 12), dim=-1)
    features, theta = pool @ draw(12, 5, seed=1), draw(3, 5, seed=2)
    region = MixtureRegion(most_parents=4, negative=0.2, nearest=0.6, apart=0.98)
    found = SparseCone(pool, features).best(LinearReward(theta), region, allowed=torch.ones(3, 300).bool())
    for b in range(3):
        live = found.parents[b] >= 0
        parents, weights = found.parents[b, live], found.weights[b, live]
        assert (parents.diff() > 0).all()
        assert 2 <= len(parents) <= 4
        assert weights.sum().item() == pytest.approx(1)
        assert weights.min() >= -0.2 - 1e-9
        sums = weights @ pool[parents]
        torch.testing.assert_close(found.points[b], sums / sums.norm())
        near = (pool[parents] @ found.points[b]).max().item()
        assert 0.6 - 1e-6 <= near <= 0.98 + 1e-6
        assert (weights @ features[parents] / sums.norm() @ theta[b]).item() == pytest.approx(found.value[b].item())


def test_large_pools_hold_what_was_hidden_in_them():
    """The wanted direction is a mixture of three texts among 5,000: no other comes near."""
    pool = normalize(draw(5000, 32), dim=-1)
    hidden, share = [17, 1234, 4999], torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    wanted = normalize(share @ pool[hidden], dim=0)
    found = SparseCone(pool.float(), pool.float()).best(LinearReward(wanted[None]), MixtureRegion(most_parents=3))
    assert found.parents[0].tolist() == hidden
    torch.testing.assert_close(found.weights[0], share, atol=1e-4, rtol=0)
    assert found.value.item() == pytest.approx(1, abs=1e-6)


def test_more_parents_are_never_worse():
    pool = normalize(draw(400, 24), dim=-1)
    reward, _ = linear(24, 5)
    cone = SparseCone(pool, pool)
    values = [cone.best(reward, MixtureRegion(most_parents=k)).value.item() for k in range(1, 9)]
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(values))
    assert values[-1] > 1.5 * values[0]


def test_normalising_is_what_lets_a_mixture_win():
    """Of two orthogonal texts of equal reward 1, the normalised middle has sqrt 2; the plain one would have 1."""
    reward = LinearReward(torch.ones(1, 2, dtype=torch.float64))
    found = SparseCone(torch.eye(2), torch.eye(2)).best(reward, MixtureRegion(most_parents=2))
    assert found.value.item() == pytest.approx(math.sqrt(2))
    torch.testing.assert_close(found.weights, torch.full((1, 2), 0.5, dtype=torch.float64))


def test_only_allowed_texts_are_mixed():
    pool = normalize(draw(50, 8), dim=-1)
    reward, _ = linear(8, 3)
    allowed = torch.zeros(2, 50, dtype=torch.bool)
    allowed[0, ::5], allowed[1, 7] = True, True
    cone = SparseCone(pool, pool)
    found = cone.best(LinearReward(reward.theta.expand(2, -1)), MixtureRegion(most_parents=3), allowed=allowed)
    assert (found.parents[0] % 5 == 0).logical_or(found.parents[0] == -1).all()
    assert found.parents[1].tolist() == [7, -1, -1]
    own = SparseCone(pool[::5], pool[::5]).best(reward, MixtureRegion(most_parents=3))
    assert own.value.item() == pytest.approx(found.value[0].item(), abs=1e-9)


def test_points_keep_apart_from_blocked_ones():
    pool = normalize(draw(60, 6), dim=-1)
    reward, _ = linear(6, 1)
    region, cone = MixtureRegion(most_parents=3, apart=0.95), SparseCone(pool, pool)
    free = cone.best(reward, region)
    other = cone.best(reward, region, blocked=free.points[None])
    assert (free.points @ other.points.T).item() <= 0.95 + 1e-9
    assert other.value < free.value


@pytest.mark.parametrize("beams", [1, 16])
@pytest.mark.parametrize(("M", "K"), [(1, 1), (1, 3), (2, 3), (3, 8)])
def test_pools_smaller_than_a_mixture(M, K, beams):
    pool = normalize(draw(M, 5), dim=-1)
    reward, value = linear(5, 2)
    found = SparseCone(pool, pool).best(reward, MixtureRegion(most_parents=K), beams=beams)
    assert found.parents.shape == (1, K)
    assert found.value.item() >= value(pool).max().item() - 1e-9


def test_nothing_to_mix():
    """A single text where two are wanted, opposites alone, and no text at all that may be mixed."""
    pair = MixtureRegion(most_parents=2, apart=0.99)
    reward, _ = linear(3, 2)
    one = normalize(draw(1, 3), dim=-1)
    for cone, allowed in (
        (SparseCone(one, one), None),
        (SparseCone(torch.cat([one, one]), torch.cat([one, one])), None),
        (SparseCone(torch.eye(3), torch.eye(3)), torch.zeros(1, 3, dtype=torch.bool)),
    ):
        found = cone.best(reward, pair, allowed=allowed)
        assert found.value.item() == -math.inf
        assert (found.parents == -1).all()
        assert (found.weights == 0).all()
        assert (found.points == 0).all()


def test_the_same_pool_gives_the_same_mixture():
    pool = normalize(draw(200, 16), dim=-1)
    reward, _ = linear(16, 9)
    cone = SparseCone(pool, pool)
    first, second = (cone.best(reward, MixtureRegion(most_parents=4)) for _ in range(2))
    assert torch.equal(first.parents, second.parents)
    assert torch.equal(first.weights, second.weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2 * torch.eye(3), torch.eye(3)), "pool vector 0 has norm 2"),
        ((math.nan * torch.eye(3), torch.eye(3)), "pool vector 0 has norm nan"),
        ((torch.eye(3), math.inf * torch.ones(3, 2)), "features holds 6 NaN or infinite"),
        ((torch.eye(3), torch.ones(2, 2)), r"pass a row for each text, \(3, d\)"),
        ((torch.eye(3), torch.ones(3, 2), torch.ones(3)), r"offset has shape \(3,\); pass \(2,\)"),
    ],
)
def test_unusable_pools_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        SparseCone(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allowed": torch.ones(2, dtype=torch.bool)}, "allowed has shape"),
        ({"allowed": torch.ones(1, 2, dtype=torch.bool)}, "allowed has shape"),
        ({"allowed": torch.ones(1, 3)}, "pass booleans"),
        ({"blocked": torch.ones(1, 2, 4)}, r"pass \(1, T, 3\)"),
        ({"blocked": torch.ones(1, 2, 3) * math.nan}, "blocked holds 6 NaN"),
        ({"beams": 0}, "beams is 0"),
        ({"singles": torch.zeros(2, 3)}, "singles has shape"),
    ],
)
def test_unusable_options_are_refused(options, message):
    reward, _ = linear(3, 1)
    with pytest.raises(InputError, match=message):
        SparseCone(torch.eye(3), torch.eye(3)).best(reward, MixtureRegion(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"most_parents": 0}, "most_parents is 0"),
        ({"negative": 0.6}, "negative is 0.6"),
        ({"nearest": -0.1}, "nearest is -0.1"),
        ({"apart": 0}, "apart is 0"),
        ({"nearest": 0.9, "apart": 0.9}, "pass nearest below apart"),
    ],
)
def test_unusable_regions_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        MixtureRegion(**options)
