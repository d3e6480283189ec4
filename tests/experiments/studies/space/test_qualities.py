"""Qualities against closed forms: spheres, lines, a dimension that decides alone."""

import numpy as np
import pytest
import torch

from copyloom import InputError
from experiments.studies.space.qualities import (
    cosines,
    dimension_contributions,
    effective_dimension,
    isoscore,
    mean_cosine,
    principal_variances,
    rogue_shares,
)


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def axes(variances: list[float]) -> torch.Tensor:
    """Vectors of mean 0 whose covariance is diagonal, with these variances exactly."""
    spread = torch.diag(torch.tensor(variances, dtype=torch.float64).sqrt())
    return torch.cat([spread, -spread])


def test_the_mean_cosine_is_that_of_all_pairs() -> None:
    values = gaussian(12, 5)
    pairs = torch.combinations(torch.arange(12))
    assert mean_cosine(values) == pytest.approx(float(cosines(values, pairs).mean()))
    assert abs(mean_cosine(gaussian(2000, 50))) < 0.005  # its standard deviation is below 0.0001 x sqrt(2)
    assert mean_cosine(torch.ones(4, 3)) == pytest.approx(1.0)


def test_contributions_sum_to_the_mean_cosine_and_a_rogue_dimension_makes_it_all() -> None:
    values = gaussian(300, 20)
    values[:, 7] += 30
    added = dimension_contributions(values)
    assert float(added.sum()) == pytest.approx(mean_cosine(values))
    assert int(added.argmax()) == 7
    shares = rogue_shares(values)
    assert shares[1] == pytest.approx(1.0, abs=0.01)
    assert shares[1] <= shares[3] <= shares[5]


def test_the_mean_cosine_knows_no_length_and_no_rotation() -> None:
    values = gaussian(40, 6) + 1
    turned = values @ torch.linalg.qr(gaussian(6, 6, seed=1))[0]
    assert mean_cosine(3 * turned) == pytest.approx(mean_cosine(values))
    assert isoscore(3 * turned + 5) == pytest.approx(isoscore(values))
    assert effective_dimension(3 * turned + 5) == pytest.approx(effective_dimension(values))


def test_the_isoscore_of_a_gaussian_is_near_1_and_of_a_line_0() -> None:
    assert isoscore(gaussian(20_000, 10)) > 0.99
    line = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None] * torch.ones(10, dtype=torch.float64)
    assert isoscore(line) == pytest.approx(0.0, abs=1e-9)
    assert effective_dimension(line) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("used", [2, 5, 9])
def test_the_isoscore_is_the_share_of_dimensions_that_are_used(used: int) -> None:
    values = axes([1.0] * used + [0.0] * (10 - used))
    assert isoscore(values) == pytest.approx((used - 1) / 9)


def test_the_isoscore_is_the_participation_ratio_of_the_variances() -> None:
    values = gaussian(60, 8) * torch.arange(1, 9)
    variances = principal_variances(values)
    ratio = float(variances.sum() ** 2 / variances.square().sum())
    assert isoscore(values) == pytest.approx((ratio - 1) / 7)


def test_the_effective_dimension_does_not_grow_with_the_number_of_texts() -> None:
    scales = torch.tensor([1.0] * 20 + [0.1] * 380, dtype=torch.float64)
    true = float(scales.square().sum() ** 2 / scales.pow(4).sum())
    for count in (40, 400):
        found = [effective_dimension(gaussian(count, 400, seed=seed) * scales) for seed in range(20)]
        assert np.mean(found) == pytest.approx(true, rel=0.08)
        plain = [principal_variances(gaussian(count, 400, seed=seed) * scales) for seed in range(3)]
        if count == 40:  # what it corrects
            assert np.mean([float(some.sum() ** 2 / some.square().sum()) for some in plain]) < 0.8 * true


def test_what_has_no_direction_or_variance_is_refused() -> None:
    with pytest.raises(InputError, match="1 vectors were given; a cosine needs two or more"):
        mean_cosine(torch.ones(1, 3))
    with pytest.raises(InputError, match="zero or not finite, so it has no direction"):
        mean_cosine(torch.zeros(3, 3))
    with pytest.raises(InputError, match="not finite"):
        mean_cosine(torch.full((3, 3), torch.nan))
    with pytest.raises(InputError, match="all vectors are the same"):
        isoscore(torch.ones(3, 3))
    with pytest.raises(InputError, match="vectors of 1 dimension have no IsoScore"):
        isoscore(gaussian(5, 1))
    with pytest.raises(InputError, match="2 vectors were given; three or more have"):
        effective_dimension(gaussian(2, 4))
