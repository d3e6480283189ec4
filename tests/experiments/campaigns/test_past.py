"""The prior that past campaigns teach: what they were drawn from comes back."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from bandits.rewards.empirical_bayes import LearnedPrior
from copyloom import InputError
from embeddings.database import open_database
from embeddings.encoded import EncodedOnce
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Closed, Happening, Opened, Published
from experiments.campaigns.ledger import Ledger
from experiments.campaigns.past import prior_of
from tests.experiments.commands.test_cli import fails, run

TEXTS = tuple(f"claim {number}" for number in range(12))


class Drawn:
    """An encoder of random vectors."""

    name, size = "drawn", 4

    def encode(self, texts: list[str]) -> torch.Tensor:
        stream = torch.Generator().manual_seed(len(texts))
        return normalize(torch.randn(len(texts), 4, generator=stream), dim=-1)


def database(path: Path, campaigns: int, seed: int, encoded: bool = True) -> Path:
    """Write campaigns whose base rates are drawn around 5 % with a standard deviation of 0.6 logits."""
    ledger, rng = Ledger(open_database(path), "config"), np.random.default_rng(seed)
    for number in range(campaigns):
        rate = 1 / (1 + np.exp(-(-2.94 + 0.6 * rng.normal())))
        clicks = rng.binomial(2000, rate, len(TEXTS))
        counts = tuple((place, 0, 2000, int(count)) for place, count in enumerate(clicks))
        happened: list[Happening] = [
            Opened(slate=TEXTS, parents=TEXTS, segments=("all",)),
            Published(snapshot=0, probabilities=(1 / 12,) * 12, impressions=24_000),
            Closed(id="0", snapshot=0, counts=counts),
        ]
        with ledger.step([Campaign(str(number), (0,))], EncodedOnceKeeper() if encoded else None) as record:
            record([happened])
    return path


class EncodedOnceKeeper:
    """Keeps the vectors of the slate, as a writer does."""

    def __call__(self, connection: object, happened: object) -> None:
        EncodedOnce(Drawn()).keep(connection, list(TEXTS))  # type: ignore[arg-type]


def test_what_campaigns_were_drawn_from_comes_back(tmp_path: Path) -> None:
    """Of 120 campaigns in two databases: base rate and spread within their 95 % intervals, widened by a half."""
    paths = [database(tmp_path / f"{seed}.sqlite", 60, seed) for seed in range(2)]
    found: LearnedPrior = prior_of(paths, 3)
    assert found.campaigns == 120
    assert 0.045 < found.prior.base_rate < 0.056
    assert 0.5 < found.prior.intercept_sd < 0.7
    assert found.prior.logit_sd < 0.15
    printed = json.loads(run("prior", *map(str, paths), "--features", "3", "--json").stdout)
    assert printed["prior"]["base_rate"] == pytest.approx(found.prior.base_rate)
    assert "prior:\n  base_rate: " in run("prior", str(paths[0]), "--features", "3").stdout


def test_what_teaches_nothing_is_refused(tmp_path: Path) -> None:
    open_database(tmp_path / "empty.sqlite").dispose()
    with pytest.raises(InputError, match="no campaign with outcomes"):
        prior_of([tmp_path / "empty.sqlite"], 3)
    with pytest.raises(InputError, match="no sentence vector of 'claim 0'"):
        prior_of([database(tmp_path / "bare.sqlite", 1, 0, encoded=False)], 3)
    assert "there is no database" in fails("prior", str(tmp_path))
