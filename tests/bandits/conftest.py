"""One thread: the arrays here are small, and threads that wait for a busy core cost more than they bring."""

from collections.abc import Iterator

import pytest
import torch

from generator.threads import threads


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    with threads(1):
        yield


@pytest.fixture
def counts() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features (3, 7, 2), impressions (3, 7) and clicks (3, 7) of three campaigns at shop traffic."""
    stream = torch.Generator().manual_seed(5)
    features = torch.randn(3, 7, 2, generator=stream, dtype=torch.float64)
    impressions = torch.randint(0, 3000, (3, 7), generator=stream).double()
    clicks = torch.binomial(impressions, torch.full((3, 7), 0.03, dtype=torch.float64), generator=stream)
    return features, impressions, clicks
