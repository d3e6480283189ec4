"""The proposer finds what brute force finds, once each, and spreads its bets."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import normalize

from bandits import LogisticRewardModel, MixtureProposer, RealisedFeatureMap, RewardPrior
from bandits.mixtures.proposals import mixture_key
from bandits.mixtures.region import MixtureRegion
from bandits.rewards.features import QuadraticFeatures
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


class TestSearch:
    """Three parents, or a pool too large for all pairs."""

    REGION = MixtureRegion(most_parents=3, negative=0.15, nearest=0.5, apart=0.97)
    POOL = normalize(torch.randn(500, S_ENC, generator=torch.Generator().manual_seed(8), dtype=torch.float64), dim=-1)

    def points(self, proposals, s):
        parents, weights = proposals.parents[s], proposals.weights[s]
        return normalize((weights[..., None] * self.POOL[parents.clamp(min=0)]).sum(-2), dim=-1)

    def test_its_first_beats_every_listed_pair(self, posterior, channel):
        """Weights are free and a third parent is allowed, so nothing on the list can be better."""
        few = self.POOL[:30]
        searched = MixtureProposer(region=self.REGION).propose(few, project, channel, posterior, 1)
        listed = MixtureProposer().propose(few, project, channel, posterior, 1)
        assert (searched.score >= listed.score - 1e-9).all()

    def test_a_batch_keeps_apart_and_spreads_its_bets(self, posterior, channel):
        found = MixtureProposer(region=self.REGION, max_per_parent=2).propose(self.POOL, project, channel, posterior, 6)
        assert found.valid.all()
        assert found.parents.shape == found.weights.shape == (3, 6, 3)
        torch.testing.assert_close(found.weights.sum(-1), torch.ones(3, 6, dtype=torch.float64))
        assert (found.score.diff() <= 0).all()
        for s in range(3):
            cosines = self.points(found, s) @ self.points(found, s).T
            assert cosines.fill_diagonal_(0).max() <= 0.97 + 1e-9
            parents = found.parents[s][found.parents[s] >= 0]
            assert torch.bincount(parents).max() <= 2

    def test_it_keeps_apart_from_what_was_tried(self, posterior, channel):
        proposer = MixtureProposer(region=self.REGION)
        first = proposer.propose(self.POOL, project, channel, posterior, 2)
        tried = [set(keys(first, s)) for s in range(3)]
        tried[0].add(((3, 700), (0.5, 0.5)))  # of a text that is gone
        second = proposer.propose(self.POOL, project, channel, posterior, 2, tried=tried)
        for s in range(3):
            assert (self.points(first, s) @ self.points(second, s).T).max() <= 0.97 + 1e-6
            assert second.score[s, 0] < first.score[s, 0]

    def test_only_members_are_mixed(self, posterior, channel):
        members = torch.zeros(3, 500, dtype=torch.bool)
        members[:, ::9] = True
        members[1] = False
        found = MixtureProposer(region=self.REGION).propose(self.POOL, project, channel, posterior, 2, members=members)
        assert (found.parents[found.parents >= 0] % 9 == 0).all()
        assert found.valid.sum(-1).tolist() == [2, 0, 2]

    def test_a_campaign_in_a_batch_gets_what_it_gets_alone(self, posterior):
        shared = RealisedFeatureMap().fit(torch.empty(0, D), torch.empty(0, D))
        features, model = posterior.design[..., 1:], LogisticRewardModel(RewardPrior(0.025))
        many = model.fit(features, torch.full((3, 10), 1500), torch.full((3, 10), 40))
        alone = model.fit(features[2], torch.full((10,), 1500), torch.full((10,), 40))
        proposer = MixtureProposer(region=self.REGION)
        batch = proposer.propose(self.POOL, project, shared, many, 2)
        one = proposer.propose(self.POOL, project, shared, alone, 2)
        assert torch.equal(batch.parents[2], one.parents)
        torch.testing.assert_close(batch.weights[2], one.weights, atol=1e-6, rtol=0)

    def test_curvature_finds_a_peak_between_texts(self):
        """Clicks peak at the origin of features; a linear reward cannot say that, the quadratic one finds it."""
        curve = QuadraticFeatures(D, share=0.9)
        shown = 1.5 * torch.randn(1, 60, D, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
        rates = torch.sigmoid(-1.5 - 0.5 * shown.square().sum(-1))
        clicks = (2000 * rates).round()
        posterior = LogisticRewardModel(RewardPrior(0.05, logit_sd=1.5)).fit(
            curve(shown), torch.full((1, 60), 2000), clicks
        )
        exact = RealisedFeatureMap(strength=1e6, residual_variance=1e-4, residual_strength=1e6)
        exact = exact.fit(torch.empty(0, D), torch.empty(0, D))
        found = MixtureProposer(region=self.REGION, exploration=0).propose(
            self.POOL, project, exact, posterior, 1, feature_map=curve
        )
        wanted = project(self.points(found, 0))[0]
        assert wanted.norm() < 0.3 * project(self.POOL).norm(dim=-1).median()

    def test_what_cannot_be_searched_is_refused(self, posterior, channel):
        with pytest.raises(InputError, match="reduce is not affine"):
            MixtureProposer().propose(self.POOL, lambda z: project(z).square(), channel, posterior, 1)
        with pytest.raises(InputError, match="allows single texts; pass most_parents of at least 2"):
            MixtureProposer(region=MixtureRegion(most_parents=3))

    def test_half_precision_pools_of_any_scale_are_searched(self, posterior, channel):
        exact = MixtureProposer(region=self.REGION).propose(self.POOL, project, channel, posterior, 1)
        half = normalize(self.POOL, dim=-1).half()
        found = MixtureProposer(region=self.REGION).propose(half, lambda z: project(z.double()), channel, posterior, 1)
        torch.testing.assert_close(found.score, exact.score, rtol=0, atol=0.01)

    def test_what_does_not_fit_together_is_named(self, posterior, channel):
        proposer = MixtureProposer(region=self.REGION)
        narrow = RealisedFeatureMap().fit(torch.empty(0, 3), torch.empty(0, 3))
        with pytest.raises(InputError, match="gives 3 features but the posterior knows 4; pass the feature_map"):
            proposer.propose(self.POOL, project, narrow, posterior, 1)
        with pytest.raises(InputError, match="the feature map gives 14 features; the posterior was fitted on 4"):
            proposer.propose(self.POOL, project, channel, posterior, 1, feature_map=QuadraticFeatures(D))
        two = RealisedFeatureMap().fit(torch.empty(2, 0, D), torch.empty(2, 0, D))
        with pytest.raises(InputError, match=r"the channel is for campaigns \(2,\) but the posterior for \(3,\)"):
            proposer.propose(self.POOL, project, two, posterior, 1)
        with pytest.raises(InputError, match="what reduce gave holds"):
            proposer.propose(self.POOL, lambda z: math.nan * project(z), channel, posterior, 1)
        with pytest.raises(InputError, match="pool_vectors is empty"):
            proposer.propose(self.POOL[:0], project, channel, posterior, 1)
