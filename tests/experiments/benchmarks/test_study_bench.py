"""The benchmark of studies: what it counts, and a law that is known."""

import pytest

from experiments.benchmarks import study
from experiments.benchmarks.study import exponent, measure


def test_growth_is_the_power_of_the_sizes() -> None:
    assert exponent([5, 10, 20], [3 * n**1.5 for n in (5, 10, 20)]) == pytest.approx(1.5)


@pytest.mark.slow
def test_all_policies_play_and_what_was_decoded_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "POLICIES", ("thompson", "ucb"))
    found = measure(2, 2, 400, "copyloom-tiny", lambda *_: None)
    assert [(row["seeds"], row["rounds"]) for row in found["rows"]] == [(1, 2), (2, 2), (2, 1)]
    for row in found["rows"]:
        assert row["campaigns"] == row["seeds"] * (4 + 1)
    assert set(found["exponents"]) == {"seeds", "rounds"}
