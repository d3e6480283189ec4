"""What holds for every policy; a new one joins the list and is held to it."""

import math

import pytest
import torch

from bandits import (
    EpsilonGreedy,
    Holdout,
    LogisticRewardModel,
    OptimalDesign,
    Policy,
    Posterior,
    RewardPrior,
    ThompsonSampling,
    TopTwoThompson,
    Uniform,
    UpperConfidenceBound,
    seeded_generators,
)
from bandits.policies.policy import Allocation
from copyloom import InputError

POLICIES: list[Policy] = [
    Uniform(),
    UpperConfidenceBound(),
    UpperConfidenceBound(scale=0, floor=0.05),
    ThompsonSampling(draws=200),
    ThompsonSampling(scale=1, draws=64, floor=0.05),
    EpsilonGreedy(epsilon=0),
    EpsilonGreedy(epsilon=0.2, floor=0.05),
    TopTwoThompson(draws=200),
    TopTwoThompson(lead=0.8, draws=64, floor=0.05),
]
STARTS: list[Policy] = [OptimalDesign(), OptimalDesign(floor=0.05)]  # whatever the clicks say
WITH_FLOOR = [policy for policy in [*POLICIES, *STARTS] if getattr(policy, "floor", 0) > 0]
MODEL = LogisticRewardModel(RewardPrior(0.025))

every_policy = pytest.mark.parametrize("policy", [*POLICIES, *STARTS], ids=repr)
every_learner = pytest.mark.parametrize("policy", POLICIES, ids=repr)


@pytest.fixture
def slate() -> torch.Tensor:
    """Ragged slates of three campaigns: 7, 4 and 1 texts."""
    present = torch.arange(7) < torch.tensor([[7], [4], [1]])
    present[1, 0] = False
    present[1, 6] = True
    return present


@pytest.fixture
def posterior(counts, slate) -> Posterior:
    return MODEL.fit(*counts, present=slate)


@every_policy
def test_probabilities_sum_to_one_over_present_texts(policy, posterior, slate):
    allocation = policy.allocate(posterior, slate, seeded_generators(0, 3))
    assert allocation.probabilities.dtype == torch.float64
    assert allocation.probabilities.shape == allocation.standard_error.shape == (3, 7)
    torch.testing.assert_close(allocation.probabilities.sum(-1), torch.ones(3, dtype=torch.float64))
    assert (allocation.probabilities >= 0).all()
    assert (allocation.probabilities[~slate] == 0).all()
    assert (allocation.standard_error[~slate] == 0).all()


@every_policy
def test_exact_means_no_standard_error(policy, posterior, slate):
    allocation = policy.allocate(posterior, slate, seeded_generators(0, 3))
    assert allocation.exact == bool((allocation.standard_error == 0).all())


@every_policy
def test_same_inputs_and_seed_give_the_same_bits(policy, posterior, slate):
    first = policy.allocate(posterior, slate, seeded_generators(0, 3))
    again = policy.allocate(posterior, slate, seeded_generators(0, 3))
    assert torch.equal(first.probabilities, again.probabilities)


@every_policy
def test_a_campaign_in_a_batch_gets_what_it_gets_alone_bit_for_bit(policy, counts, slate):
    batch = policy.allocate(MODEL.fit(*counts, present=slate), slate, seeded_generators(0, 3))
    for s in range(3):
        data = [array[s] for array in counts]
        alone = policy.allocate(
            MODEL.fit(*data, present=slate[s]), slate[s], [seeded_generators(0, 3)[s]]
        )  # a list of one generator, and no leading dimension
        assert torch.equal(batch.probabilities[s], alone.probabilities)
        assert torch.equal(batch.standard_error[s], alone.standard_error)


@every_policy
def test_padding_changes_nothing(policy, counts):
    features, impressions, clicks = (array[0] for array in counts)
    short = MODEL.fit(features[:4], impressions[:4], clicks[:4])
    padded = MODEL.fit(features, impressions, clicks, present=torch.arange(7) < 4)
    ours = policy.allocate(short, None, seeded_generators(0, 1))
    theirs = policy.allocate(padded, None, seeded_generators(0, 1))
    assert torch.equal(ours.probabilities, theirs.probabilities[:4])


@every_policy
def test_present_defaults_to_all_that_the_posterior_knows(policy, posterior, slate):
    default = policy.allocate(posterior, None, seeded_generators(0, 3))
    named = policy.allocate(posterior, slate, seeded_generators(0, 3))
    assert torch.equal(default.probabilities, named.probabilities)


@every_policy
def test_a_retired_text_is_not_shown_though_its_clicks_count(policy, counts):
    posterior = MODEL.fit(*counts)
    present = torch.ones(3, 7, dtype=torch.bool)
    present[:, 2] = False
    allocation = policy.allocate(posterior, present, seeded_generators(0, 3))
    assert (allocation.probabilities[:, 2] == 0).all()
    torch.testing.assert_close(allocation.probabilities.sum(-1), torch.ones(3, dtype=torch.float64))


@every_learner
def test_a_clear_winner_is_shown_at_least_as_often_as_any(policy):
    posterior = MODEL.fit(torch.eye(3), [50_000] * 3, [1000, 2000, 900])
    probabilities = policy.allocate(posterior, None, torch.Generator()).probabilities
    assert probabilities[1] == probabilities.max()


@every_policy
def test_unusable_slates_are_refused(policy, posterior, slate):
    streams = seeded_generators(0, 3)
    with pytest.raises(InputError, match="no present text"):
        policy.allocate(posterior, torch.zeros(3, 7, dtype=torch.bool), streams)
    with pytest.raises(InputError, match=r"text \(1, 0\) is present but was absent from the fit"):
        policy.allocate(posterior, torch.ones(3, 7, dtype=torch.bool), streams)
    with pytest.raises(InputError, match=r"present has shape \(3, 6\)"):
        policy.allocate(posterior, slate[:, :6], streams)


@every_policy
def test_policies_have_a_name_and_are_values(policy):
    assert policy.name == policy.name.lower()
    assert policy == eval(repr(policy))  # repr is the configuration


@pytest.mark.parametrize("policy", WITH_FLOOR, ids=repr)
def test_every_present_text_gets_the_floor(policy, posterior, slate):
    probabilities = policy.allocate(posterior, slate, seeded_generators(0, 3)).probabilities
    assert (probabilities[slate] >= 0.05 - 1e-15).all()


@pytest.mark.parametrize("policy", [p for p in POLICIES if not isinstance(p, Uniform)], ids=repr)
def test_the_better_of_two_texts_is_shown_more(policy):
    posterior = MODEL.fit(torch.eye(2), [9000, 9000], [150, 350])
    worse, better = policy.allocate(posterior, None, torch.Generator()).probabilities.tolist()
    assert worse < better or (worse == better == 0.5 and isinstance(policy, TopTwoThompson))


def test_the_control_keeps_its_share_and_the_policy_plays_the_rest(posterior, slate):
    streams = seeded_generators(0, 3), seeded_generators(0, 3)
    plain = ThompsonSampling(draws=200).allocate(posterior, slate, streams[0])
    with pytest.raises(InputError, match="not in every slate"):
        Holdout(policy=ThompsonSampling(draws=200), text=1).allocate(posterior, slate, streams[1])
    held = Holdout(policy=ThompsonSampling(draws=200), text=2, share=0.25)
    everyone = MODEL.fit(torch.eye(3), [900, 900, 900], [9, 30, 12])
    plain = ThompsonSampling(draws=200).allocate(everyone, None, seeded_generators(0, 1))
    found = held.allocate(everyone, None, seeded_generators(0, 1))
    control = torch.tensor([0, 0, 0.25], dtype=torch.float64)
    torch.testing.assert_close(found.probabilities, 0.75 * plain.probabilities + control)
    torch.testing.assert_close(found.standard_error, 0.75 * plain.standard_error)
    assert held.name == "thompson with holdout"


@pytest.mark.parametrize("kind", [UpperConfidenceBound, ThompsonSampling, EpsilonGreedy, TopTwoThompson, OptimalDesign])
def test_the_highest_floor_is_uniform_and_a_higher_one_is_refused(kind, counts):
    posterior = MODEL.fit(*counts)
    allocation = kind(floor=1 / 7).allocate(posterior, None, seeded_generators(0, 3))
    torch.testing.assert_close(allocation.probabilities, torch.full((3, 7), 1 / 7, dtype=torch.float64))
    with pytest.raises(InputError, match=r"pass at most 0\.1429"):
        kind(floor=0.15).allocate(posterior, None, seeded_generators(0, 3))


@pytest.mark.parametrize("kind", [UpperConfidenceBound, ThompsonSampling])
@pytest.mark.parametrize(
    "options", [{"scale": -1}, {"scale": math.nan}, {"floor": -0.1}, {"floor": 1.5}, {"scale": "half"}]
)
def test_unusable_options_are_refused(kind, options):
    with pytest.raises(InputError, match=next(iter(options))):
        kind(**options)


def test_an_allocation_that_is_no_distribution_is_refused():
    half = torch.tensor([0.5, 0.25])
    with pytest.raises(InputError, match="do not sum to 1"):
        Allocation(half, torch.zeros(2), exact=True)
    with pytest.raises(InputError, match="negative"):
        Allocation(torch.tensor([1.5, -0.5]), torch.zeros(2), exact=True)
    with pytest.raises(InputError, match="standard errors"):
        Allocation(torch.tensor([0.5, 0.5]), torch.zeros(3), exact=True)


@pytest.mark.parametrize("kind", [ThompsonSampling, TopTwoThompson])
def test_a_refused_floor_leaves_the_generator_as_it_was(kind):
    posterior = MODEL.fit(torch.eye(3), [9] * 3, [1] * 3)
    generators = seeded_generators(0, 1)
    before = generators[0].get_state()
    with pytest.raises(InputError, match="floor"):
        kind(floor=0.5).allocate(posterior, None, generators)
    assert torch.equal(generators[0].get_state(), before)
