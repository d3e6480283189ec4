"""A cosine is trusted as far as it agrees with what texts share, and an adjustment where it surely does better."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from copyloom import InputError
from experiments.bootstrap import bounds, drawn_counts
from experiments.held_out import is_held_out
from experiments.studies.space import trust
from experiments.studies.space.qualities import isoscore, mean_cosine
from experiments.studies.space.resampling import (
    ResampledPairs,
    mean_cosine_samples,
    rank_correlation,
    variance_intervals,
)
from experiments.studies.space.samples import (
    Sample,
    drawn_claims,
    own_texts,
    random_pairs,
    relatedness,
    shared,
    telling_pairs,
)
from experiments.studies.space.trust import AS_IT_IS, adjustments, trust_of

WORDS = ["red", "blue", "warm", "cold", "lamp", "mug", "desk", "tea", "soft", "loud", "new", "old"]


@pytest.fixture(scope="module")
def own() -> Sample:
    rng = np.random.default_rng(0)
    return own_texts([" ".join(rng.choice(WORDS, 4, replace=False)) for _ in range(200)], 60)


@pytest.fixture(scope="module")
def claims() -> Sample:
    return drawn_claims(36)


def counted(sample: Sample) -> torch.Tensor:
    """Which words each text holds, (n, words): its cosines are what texts share."""
    return torch.tensor([[float(word in text.split()) for word in WORDS] for text in sample.texts])


def test_claims_are_held_out_distinct_and_some_share_a_product(claims: Sample) -> None:
    assert len(set(claims.texts)) == 36
    assert all(map(is_held_out, claims.texts))
    assert drawn_claims(36).texts == claims.texts
    assert drawn_claims(36, seed=1).texts != claims.texts
    assert 9 <= len(set(claims.groups.tolist())) <= 16
    pairs = telling_pairs(claims, range(36))
    product, style = shared(claims, pairs)
    assert product.sum() >= 30
    assert (~product & ~style).sum() <= 2 * product.sum()


def test_what_claims_share_is_counted(claims: Sample) -> None:
    wanted = relatedness(claims)
    assert np.allclose(wanted, wanted.T)
    one, other = claims.claims[0], claims.claims[1]
    assert one.record.name == other.record.name
    assert 1 <= wanted[0, 1] <= 3
    assert (wanted[0, 1] >= 2) == (one.frame.style == other.frame.style)


def test_halves_share_no_product(claims: Sample) -> None:
    first, second = claims.halves()
    assert sorted([*first, *second]) == list(range(36))
    assert not set(claims.groups[first]) & set(claims.groups[second])


def test_an_isotropic_space_of_the_words_is_trusted_as_it_is(own: Sample) -> None:
    found = trust_of(counted(own), own)
    assert found.plain.value == pytest.approx(1.0, abs=0.01)  # cosine and Jaccard order alike: all texts have 4 words
    assert found.advice == AS_IT_IS
    assert "nothing that was tried is surely better" in found.answer


def test_a_dimension_of_noise_is_to_be_standardised_away(own: Sample) -> None:
    noise = torch.randn(len(own.texts), 1, generator=torch.Generator().manual_seed(0))
    found = trust_of(torch.cat([counted(own), 50 * noise], 1), own)
    assert found.plain.value < 0.3
    assert found.advice == "standardised"
    assert found.chosen.gain_low > 0.3
    assert found.answer.startswith("Better standardised")


def test_the_half_that_is_reported_does_not_choose(own: Sample) -> None:
    values, (_, second) = counted(own), own.halves()
    noise = torch.zeros(len(own.texts), 1)
    noise[second] = 50 * torch.randn(len(second), 1, generator=torch.Generator().manual_seed(0))
    found = trust_of(torch.cat([values, noise], 1), own)
    assert found.chosen.adjustment == AS_IT_IS
    assert found.plain.value < 0.3
    assert max(row.value for row in found.rows) > 0.5


def test_adjustments_are_fitted_on_the_other_half(own: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []

    def noted(values: torch.Tensor) -> dict[str, trust.Adjustment]:
        fitted.append(len(values))
        return adjustments(values)

    monkeypatch.setattr(trust, "adjustments", noted)
    part = own.only(range(59))
    first, second = map(len, part.halves())
    trust_of(counted(part), part)
    assert fitted == [second, first]
    assert first != second


@pytest.mark.parametrize(("low", "advice"), [(-0.01, AS_IT_IS), (0.01, "centred")])
def test_what_is_not_surely_better_is_not_advised(low: float, advice: str) -> None:
    plain = trust.Agreement(AS_IT_IS, 0.3, 0.3, 0.1, 0.5, 0.0, 0.0, 0.0)
    other = trust.Agreement("centred", 0.4, 0.4, 0.2, 0.6, 0.1, low, 0.2)
    assert trust.Trust((plain, other), other).advice == advice


def test_noise_is_not_trusted(own: Sample) -> None:
    found = trust_of(torch.randn(len(own.texts), 40, generator=torch.Generator().manual_seed(1)), own)
    assert found.plain.low < 0 < found.plain.high
    assert found.answer.startswith("No:")


def test_whitening_needs_twice_as_many_texts_as_it_keeps() -> None:
    some = torch.randn(40, 30, generator=torch.Generator().manual_seed(0))
    found = adjustments(some)
    assert list(found) == [AS_IT_IS, "centred", "standardised", "whitened to 8", "whitened to 16"]
    assert torch.allclose(found["centred"](some).mean(0), torch.zeros(30).double(), atol=1e-6)
    assert torch.allclose(found["standardised"](some).std(0), torch.ones(30).double())
    assert torch.allclose(torch.cov(found["whitened to 8"](some).T), torch.eye(8).double(), atol=1e-6)


def test_an_interval_of_the_mean_cosine_holds_the_truth() -> None:
    """At 95 %, of 40 worlds fewer than 33 with probability 0.002."""
    held = 0
    truth = mean_cosine(torch.randn(4000, 6, generator=torch.Generator().manual_seed(99)) + 0.5)
    for seed in range(40):
        values = torch.randn(60, 6, generator=torch.Generator().manual_seed(seed)) + 0.5
        low, high = bounds(mean_cosine_samples(values, np.arange(60)))
        held += low <= truth <= high
    assert held >= 33


def test_intervals_of_the_dimensions_hold_the_truth_where_texts_come_in_groups() -> None:
    """At 95 %, of 40 worlds fewer than 33 with probability 0.002; the IsoScore's is that of its ratio."""
    scales = torch.arange(1, 201, dtype=torch.float64) ** -0.5
    truth, held = float(scales.square().sum() ** 2 / scales.pow(4).sum()), 0
    for seed in range(40):
        noise = torch.randn(2, 120, 200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        groups = np.repeat(np.arange(40), 3)
        found = variance_intervals((0.6 * noise[0, groups] + 0.8 * noise[1]) * scales, groups)
        low, high = found["effective_dimension"]
        held += low <= truth <= high
    assert held >= 33
    values = noise[0] * scales
    low, high = variance_intervals(values, np.arange(120))["isoscore"]
    assert low < isoscore(values) < high
    assert isoscore(values) == pytest.approx((low * high) ** 0.5)  # as many standard errors of its logarithm


def test_a_group_that_is_drawn_twice_is_no_pair_with_itself() -> None:
    values = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    groups = np.array([0, 0, 0, 1, 1, 1])
    samples, counts = mean_cosine_samples(values, groups), drawn_counts(groups)
    once = np.flatnonzero((counts == 1).all(1))[0]
    assert samples[once] == pytest.approx(mean_cosine(values))
    alone = np.flatnonzero(counts[:, 0] == 2)[0]
    assert samples[alone] == pytest.approx(mean_cosine(values[:3]))


def test_correlations_of_pairs_are_spearmans() -> None:
    rng = np.random.default_rng(0)
    pairs = random_pairs(40)
    one = rng.normal(size=len(pairs))
    other = one + rng.normal(size=len(pairs))
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(one, np.ones(len(pairs))) == 0
    low, high = bounds(ResampledPairs(np.arange(40), pairs).correlations(one, other))
    assert low < rank_correlation(one, other) < high


def test_pairs_of_a_group_are_drawn_together() -> None:
    groups, pairs = np.repeat(np.arange(12), 5), random_pairs(60)
    level = np.random.default_rng(0).normal(size=(12, 2))[groups]
    one, other = (level[pairs[:, 0], column] + level[pairs[:, 1], column] for column in (0, 1))
    grouped, alone = (
        np.ptp(bounds(ResampledPairs(some, pairs).correlations(one, other))) for some in (groups, np.arange(60))
    )
    assert grouped > 1.5 * alone
    mask = one > np.median(one)
    value, (low, high) = ResampledPairs(groups, pairs).higher(other, mask, ~mask)
    assert low < value < high


def test_which_pairs_are_higher_is_told() -> None:
    values = np.array([3.0, 4.0, 1.0, 2.0, 2.0])
    some = np.array([True, True, False, False, False])
    pairs = np.array([[0, 1], [2, 3], [0, 4], [1, 5], [2, 5]])
    resampled = ResampledPairs(np.arange(6), pairs)
    assert resampled.higher(values, some, ~some)[0] == 1.0
    assert resampled.higher(np.ones(5), some, ~some)[0] == 0.5


def test_too_few_texts_are_refused() -> None:
    with pytest.raises(InputError, match="12 distinct texts were given; give 30 or more"):
        own_texts(WORDS, 100)
    with pytest.raises(InputError, match="5 distinct texts were asked for; ask for 30 or more"):
        drawn_claims(5)
