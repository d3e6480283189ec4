"""Written headlines beside people's, where the truth is known: what is foretold comes, and false promise is found."""

from dataclasses import replace

import numpy as np
import pytest

from bandits.rewards.pooled_rates import RatePrior
from experiments.studies.headlines.archive import Archive
from experiments.studies.stories.checking import EACH, PICKED, check, stand_ins
from experiments.studies.stories.comparing import ANY, AT_RANDOM, BY_CLICKS, BY_WORDS, compare, drawn_rates
from experiments.studies.stories.scoring import HUMAN, WRITTEN, Scored

TESTS, HUMANS, WRITTENS = 500, 4, 3


def made(seed: int = 0, exaggerated: float = 1.0) -> tuple[Scored, np.ndarray]:
    """Five hundred tests of four headlines and three that were never shown, and the true rates of all."""
    rng = np.random.default_rng(seed)
    promised = np.exp(rng.normal(0, 0.15, (TESTS, HUMANS + WRITTENS)))
    rates = 0.03 * rng.gamma(6, 1 / 6, (TESTS, 1)) * promised * rng.gamma(25, 1 / 25, promised.shape)
    shown = np.zeros(promised.shape, dtype=np.int64)
    shown[:, :HUMANS] = 3000
    clicks = rng.poisson(rates * shown)
    factors = promised**exaggerated
    places = np.repeat(np.arange(TESTS), HUMANS)

    def archive(columns: slice, size: int) -> Archive:
        return Archive(("",) * (TESTS * size), np.repeat(np.arange(TESTS), size), shown[:, columns].ravel(),
                       clicks[:, columns].ravel(), np.arange(TESTS), np.ones(TESTS, dtype=bool), {})  # fmt: skip

    own, everything = archive(slice(HUMANS), HUMANS), archive(slice(None), HUMANS + WRITTENS)
    prior = RatePrior.fit(places, own.impressions, own.clicks, promised[:, :HUMANS].ravel())
    kinds = ((HUMAN,) * HUMANS + (WRITTEN,) * WRITTENS) * TESTS
    near = np.full(TESTS * HUMANS, 0.5)
    return Scored(own, factors[:, :HUMANS].ravel(), near, (prior,), np.zeros(TESTS, dtype=np.int64), everything,
                  np.arange(TESTS), kinds, factors.ravel(), np.full(factors.size, 0.5), {}), rates  # fmt: skip


def test_what_is_foretold_of_written_headlines_is_true_of_their_rates():
    scored, rates = made()
    found = compare(scored, drawn_rates(scored, 200, 0), np.array(scored.kinds) == WRITTEN)
    assert (found["tests"], found["written"], found["human"]) == (TESTS, WRITTENS, HUMANS)
    rows = {(row["written"], row["human"]): row for row in found["rows"]}
    promised = scored.promised.reshape(TESTS, -1)
    each = np.arange(TESTS)
    best = rates[each, HUMANS + promised[:, HUMANS:].argmax(1)]
    like = rates[each, promised[:, :HUMANS].argmax(1)]
    row = rows[BY_WORDS, BY_WORDS]
    assert row["better"] == pytest.approx((best > like).mean(), abs=0.06)  # two standard errors of 500 tests: 0.045
    assert row["gain"] == pytest.approx(best.sum() / like.sum() - 1, abs=0.04)
    highest = rates[:, :HUMANS].max(1)
    assert rows[BY_WORDS, ANY]["better"] == pytest.approx((best > highest).mean(), abs=0.06)
    assert rows[ANY, ANY]["better"] == pytest.approx((rates[:, HUMANS:].max(1) > highest).mean(), abs=0.06)
    assert rows[AT_RANDOM, AT_RANDOM]["better"] == pytest.approx(0.5, abs=0.05)
    assert rows[BY_WORDS, BY_CLICKS]["gain"] < row["gain"]
    assert rows[BY_WORDS, BY_CLICKS]["gain_if_better"] > max(rows[BY_WORDS, BY_CLICKS]["gain"], 0)


def test_a_headline_alone_can_be_shown():
    scored, _ = made()
    rates, ours = drawn_rates(scored, 60, 0), np.array(scored.kinds) == WRITTEN
    first = ours & (scored.stories.tests == 3)
    assert compare(scored, rates, first)["tests"] == 1
    assert np.array_equal(rates, drawn_rates(scored, 60, 0))


def test_the_check_passes_what_is_true_and_finds_promise_that_is_exaggerated():
    true = {row["stand_ins"]: row for row in check(made()[0], 200, 0, 0.0)["rows"]}
    assert set(true) == {EACH, PICKED}  # none lies far
    assert true[EACH]["headlines"] == TESTS * HUMANS
    for row in true.values():
        low, high = row["came_more_interval"]
        assert low - 0.02 < 0 < high + 0.02
        low, high = row["gained_more_interval"]
        assert low - 0.02 < 0 < high + 0.02
    false = {row["stand_ins"]: row for row in check(made(exaggerated=3.0)[0], 200, 0, 0.0)["rows"]}
    assert false[PICKED]["gained_more_interval"][1] < -0.05
    assert false[PICKED]["came"] < false[PICKED]["foretold"]


def test_the_clicks_of_a_stand_in_are_not_told():
    scored, _ = made()
    other = scored.archive.clicks.copy()
    other[0] = 0
    changed = replace(scored, archive=replace(scored.archive, clicks=other))
    rows, told = np.arange(HUMANS), np.arange(HUMANS) > 0
    one, another = (stand_ins(found, rows, np.zeros(HUMANS, dtype=np.int64), told, 2000, 0)
                    for found in (scored, changed))  # fmt: skip
    assert another.foretold[0] == pytest.approx(one.foretold[0], abs=0.05)
    assert another.best[0] == pytest.approx(one.best[0], rel=0.02)
    assert (another.came[0], another.rates[0]) == (0, 0)


def test_parts_by_what_is_foretold_hold_what_came():
    rows = check(made()[0], 100, 0, 1.0)["bins"]
    assert [row["headlines"] for row in rows] == [TESTS * HUMANS // 5] * 5
    for row in rows:
        assert row["came_interval"][0] - 0.03 < row["foretold"] < row["came_interval"][1] + 0.03
