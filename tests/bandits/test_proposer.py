"""The proposer finds what brute force finds, once each, and spreads its bets."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import normalize

from bandits import LogisticRewardModel, MixtureProposer, RealisedFeatureMap, RewardPrior, mixture_key
from copyloom import InputError

M, S_ENC, D = 9, 12, 4
STREAM = torch.Generator().manual_seed(3)
POOL = normalize(torch.randn(M, S_ENC, generator=STREAM, dtype=torch.float64), dim=-1)
PROJECTION = torch.randn(S_ENC, D, generator=STREAM, dtype=torch.float64)


def project(points):
    return points @ PROJECTION


@pytest.fixture(scope="module")
def posterior():
    """Three campaigns with tastes of their own."""
    features = torch.randn(3, 10, D, generator=STREAM, dtype=torch.float64)
    clicks = torch.randint(20, 90, (3, 10), generator=STREAM)
    return LogisticRewardModel(RewardPrior(0.025)).fit(features, torch.full((3, 10), 2000), clicks)


@pytest.fixture(scope="module")
def channel():
    wanted = torch.randn(3, 15, D, generator=STREAM, dtype=torch.float64)
    realised = 0.7 * wanted + 0.3 * torch.randn(3, 15, D, generator=STREAM, dtype=torch.float64)
    return RealisedFeatureMap().fit(wanted, realised)


def brute_force(posterior, channel, s, weightings, exploration, pool=POOL):
    """Score of every mixture of campaign s, one at a time, from the posterior's full covariance."""
    scores = {}
    second_moment = posterior.coefficients[s, 1:] ** 2 + posterior.covariance[s].diagonal()[1 : 1 + D]
    for (i, j), (w, v) in itertools.product(itertools.combinations(range(len(pool)), 2), weightings):
        point = w * pool[i] + v * pool[j]
        mean, doubt = channel.predict(project(point / point.norm())[None])
        mean, doubt = (mean[s, 0], doubt[s, 0]) if mean.ndim == 3 else (mean[0], doubt[0])
        row = torch.cat([torch.ones(1), mean])
        variance = row @ posterior.covariance[s, : 1 + D, : 1 + D] @ row + doubt @ second_moment + 0.15**2
        bound = row @ posterior.coefficients[s] + exploration * variance.sqrt()
        scores[mixture_key((i, j), (w, v))] = bound.item()
    return scores


def keys(proposals, s):
    rows = zip(proposals.parents[s].tolist(), proposals.weights[s].tolist(), strict=True)
    return [mixture_key(parents, weights) for parents, weights in rows if parents[0] >= 0]


@pytest.mark.parametrize("exploration", [0.0, 0.5, 2.0])
def test_it_finds_what_brute_force_finds(posterior, channel, exploration):
    proposer = MixtureProposer(weights=((0.7, 0.3), (0.5, 0.5)), exploration=exploration, max_per_parent=99)
    found = proposer.propose(POOL, project, channel, posterior, 7)
    for s in range(3):
        scores = brute_force(posterior, channel, s, [(0.7, 0.3), (0.5, 0.5), (0.3, 0.7)], exploration)
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:7]
        assert keys(found, s) == best
        torch.testing.assert_close(found.score[s].tolist(), [scores[key] for key in best])
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(3, 7, dtype=torch.float64))


def test_chunks_do_not_show(posterior):
    """A pool whose mixtures fill several chunks, against brute force."""
    pool = normalize(torch.randn(24, S_ENC, generator=torch.Generator().manual_seed(1)), dim=-1).double()
    shared = RealisedFeatureMap().fit(torch.empty(0, D), torch.empty(0, D))
    found = MixtureProposer(weights=((0.6, 0.4),), max_per_parent=99).propose(pool, project, shared, posterior, 5)
    scores = brute_force(posterior, shared, 1, [(0.6, 0.4), (0.4, 0.6)], 0.5, pool)
    assert len(scores) > 512
    assert keys(found, 1) == sorted(scores, key=scores.__getitem__, reverse=True)[:5]


def test_what_was_tried_is_not_proposed_again(posterior, channel):
    proposer = MixtureProposer(max_per_parent=99)
    everything = proposer.propose(POOL, project, channel, posterior, 12)
    tried = [set(keys(everything, s)[:4]) for s in range(3)]
    tried[0].add(mixture_key((0, 1, 2), (0.4, 0.3, 0.3)))  # mixtures off the grid are no bar
    tried[0].add(mixture_key((0, 1), (0.9, 0.1)))
    rest = proposer.propose(POOL, project, channel, posterior, 8, tried=tried)
    for s in range(3):
        assert keys(rest, s) == keys(everything, s)[4:]


def test_no_parent_appears_too_often(posterior, channel):
    found = MixtureProposer(max_per_parent=2).propose(POOL, project, channel, posterior, 8)
    for s in range(3):
        assert torch.bincount(found.parents[s].flatten(), minlength=M).max() <= 2
        assert (found.score[s].diff() <= 0).all()
    plain = MixtureProposer(max_per_parent=99).propose(POOL, project, channel, posterior, 8)
    assert torch.equal(found.score[:, 0], plain.score[:, 0])  # the best is the best


def test_only_members_are_mixed_as_in_a_pool_of_their_own(posterior, channel):
    members = torch.ones(3, M, dtype=torch.bool)
    members[1, [0, 3, 4]] = False
    found = MixtureProposer().propose(POOL, project, channel, posterior, 4, members=members)
    rest = members[1].nonzero()[:, 0]
    own = MixtureProposer().propose(POOL[rest], project, channel, posterior, 4)
    assert torch.equal(found.parents[1], rest[own.parents[1]])
    assert torch.equal(found.weights[1], own.weights[1])


def test_a_campaign_in_a_batch_gets_what_it_gets_alone(posterior):
    shared = RealisedFeatureMap().fit(torch.empty(0, D), torch.empty(0, D))
    batch = MixtureProposer().propose(POOL, project, shared, posterior, 5)
    again = MixtureProposer().propose(POOL, project, shared, posterior, 5)
    assert torch.equal(batch.score, again.score)
    features, model = posterior.design[..., 1:], LogisticRewardModel(RewardPrior(0.025))
    refit = model.fit(features, torch.full((3, 10), 1500), torch.full((3, 10), 40))
    alone = model.fit(features[2], torch.full((10,), 1500), torch.full((10,), 40))
    many = MixtureProposer().propose(POOL, project, shared, refit, 5)
    one = MixtureProposer().propose(POOL, project, shared, alone, 5)
    assert one.parents.shape == (5, 2)
    assert torch.equal(many.parents[2], one.parents)
    assert torch.equal(many.weights[2], one.weights)


def test_single_precision_pools_give_the_same_mixtures(posterior, channel):
    exact = MixtureProposer().propose(POOL, project, channel, posterior, 5)
    single = MixtureProposer().propose(POOL.float().numpy(), lambda z: z @ PROJECTION.float(), channel, posterior, 5)
    assert torch.equal(single.parents, exact.parents)
    torch.testing.assert_close(single.score, exact.score, rtol=0, atol=1e-5)


def test_a_campaign_that_runs_out_says_so(posterior, channel):
    """Three texts, one weighting: three mixtures, of which one was tried."""
    found = MixtureProposer(weights=((0.5, 0.5),)).propose(
        POOL[:3], project, channel, posterior, 4, tried=[{((0, 1), (0.5, 0.5))}, set(), set()]
    )
    assert found.valid.sum(-1).tolist() == [2, 3, 3]
    assert (found.parents[~found.valid] == -1).all()
    assert (found.weights[~found.valid] == 0).all()
    assert (found.score[~found.valid] == -math.inf).all()
    lonely = MixtureProposer().propose(POOL[:1], project, channel, posterior, 2)
    assert not lonely.valid.any()


def test_parents_that_cancel_are_not_mixed(posterior, channel):
    opposite = torch.stack([POOL[0], -POOL[0]])
    found = MixtureProposer(weights=((0.5, 0.5), (0.7, 0.3))).propose(opposite, project, channel, posterior, 3)
    assert found.valid.sum(-1).tolist() == [2, 2, 2]


def test_a_weighting_is_tried_both_ways_and_once():
    proposer = MixtureProposer(weights=((0.7, 0.3), (0.5, 0.5), (0.3, 0.7)))
    assert proposer.weights == ((0.7, 0.3), (0.3, 0.7), (0.5, 0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": ((0.7, 0.2),)}, "not a pair that sums to 1"),
        ({"weights": ((0.5, 0.3, 0.2),)}, "not a pair"),
        ({"weights": ((math.nan, 0.5),)}, "not a pair"),
        ({"weights": ()}, "no weighting"),
        ({"exploration": -1}, "exploration is -1"),
        ({"max_per_parent": 0}, "max_per_parent is 0"),
    ],
)
def test_unusable_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        MixtureProposer(**options)


def test_unusable_pools_are_refused(posterior, channel):
    proposer = MixtureProposer()
    with pytest.raises(InputError, match="pool vector 0 has norm"):
        proposer.propose(2 * POOL, project, channel, posterior, 1)
    with pytest.raises(InputError, match="pool vector 0 has norm nan"):
        proposer.propose(math.nan * POOL, project, channel, posterior, 1)
    with pytest.raises(InputError, match=r"of shape \(12,\)"):
        proposer.propose(POOL[0], project, channel, posterior, 1)
    with pytest.raises(InputError, match="2 collections of tried mixtures were given for 3 campaigns"):
        proposer.propose(POOL, project, channel, posterior, 1, tried=[set(), set()])
    with pytest.raises(InputError, match="members has shape"):
        proposer.propose(POOL, project, channel, posterior, 1, members=torch.ones(3, 2, dtype=torch.bool))
    with pytest.raises(InputError, match="3 parents"):
        mixture_key((1, 2, 3), (0.5, 0.5))
