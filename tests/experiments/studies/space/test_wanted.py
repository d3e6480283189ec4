"""What people want of a space: rewards that can be learned, true mixtures, and what goes with them."""

import numpy as np
import pytest
import torch

from experiments.bootstrap import bounds
from experiments.studies.space.correlations import QUALITIES, WANTED, clustered_samples, correlations
from experiments.studies.space.samples import drawn_claims
from experiments.studies.space.tastes import attributes_of, learnability, rewards
from experiments.studies.space.wanted import Share, grammar_verdict, pairs_of
from generator.decoding import Decoded


@pytest.fixture(scope="module")
def sample():
    return drawn_claims(45)


def test_rewards_are_learned_from_what_they_are_made_of_and_not_from_noise():
    rng = np.random.default_rng(0)
    attributes, groups = rng.normal(size=(150, 8)), np.repeat(np.arange(50), 3)
    wanted = rewards(attributes, 20, 0, pairwise=False)
    assert np.allclose([wanted.mean(), wanted.var(0).mean()], [0, 1])
    own, noise = torch.from_numpy(attributes), torch.from_numpy(rng.normal(size=(150, 40)))
    assert learnability(torch.cat([20 * own, noise], 1), wanted, groups).low > 0.95
    assert learnability(noise, wanted, groups).high < 0.05
    assert learnability(own, rewards(attributes, 20, 0, pairwise=True), groups).value < 0.3


def test_rewards_of_products_are_not_learned_from_the_same_product():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 3)
    codes = torch.from_numpy(rng.normal(size=(50, 16))[groups])
    assert learnability(codes, rng.normal(size=(50, 20))[groups], groups).value < 0.05


def test_tastes_are_about_style_attributes_and_length(sample):
    attributes = attributes_of(sample)
    assert attributes.shape[0] == 45
    assert np.allclose(attributes.mean(0), 0)
    assert np.allclose(attributes.std(0), 1)
    assert np.array_equal(rewards(attributes, 4, 3, True), rewards(attributes, 4, 3, True))
    assert not np.array_equal(rewards(attributes, 4, 3, True), rewards(attributes, 4, 4, True))


def test_the_grammar_reads_its_own_claims_as_true_and_no_others(sample):
    verdict = grammar_verdict(sample.claims)

    def judged(text, finished=True):
        return verdict(Decoded(text, (), finished, 1.0), 0, 44)

    assert judged(sample.texts[0]) == judged(sample.texts[44]) == 1
    assert judged(sample.texts[20]) == 0  # of another product
    assert judged(sample.texts[0], finished=False) == 0
    assert judged(f"{sample.texts[0]} {sample.texts[0][:9]} frobnicates 77.") == 0
    assert judged("") == 0


def test_mixed_texts_are_of_different_products(sample):
    pairs = pairs_of(sample, 40)
    assert len(pairs) == 40
    assert all(sample.groups[one] != sample.groups[other] for one, other in pairs)


def test_a_share_of_all_has_an_interval():
    share = Share.of([True] * 24)
    assert (share.value, share.high) == (1.0, pytest.approx(1.0))
    assert share.low == pytest.approx(24 / (24 + 1.959964**2))
    assert Share.of([0.2, 0.4]).low == pytest.approx(0.2)


def test_correlations_say_what_they_are_of_and_nothing_of_too_few():
    rows = [{"model": f"run {number // 2}", "space": "summary embeddings" if number % 2 else "adapter's output",
             "mean_cosine": number, "isoscore": -number, "effective_dimension": float(number == 3),
             "learned_linear": number**3, "exact_straight": number,
             "mixtures_true": number if number < 4 else None} for number in range(12)]  # fmt: skip
    found = {(row["over"], row["quality"], row["wanted"]): row for row in correlations(rows)}
    assert len(found) == 3 * len(QUALITIES) * len(WANTED)
    whole = found["all spaces", "mean_cosine", "learned_linear"]
    assert (whole["correlation"], whole["spaces"], whole["models"]) == (pytest.approx(1.0), 12, 6)
    assert (whole["low"], whole["least"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found["all spaces", "isoscore", "learned_linear"]["most"] == pytest.approx(-1.0)
    assert found["all spaces", "effective_dimension", "learned_linear"]["correlation"] is None  # one differs
    assert found["all spaces", "mean_cosine", "mixtures_true"]["correlation"] is None  # two models
    assert found["all spaces", "rank_agreement", "learned_linear"]["spaces"] == 0
    assert found["all spaces", "mean_cosine", "exact_straight"]["spaces"] == 6  # refined ones are so by construction
    assert found["adapter's output", "mean_cosine", "learned_linear"]["spaces"] == 6
    assert found["summary embeddings", "mean_cosine", "exact_straight"]["spaces"] == 0


def test_the_same_sentence_embeddings_count_once():
    same = {"space": "sentence embeddings", "mean_cosine": 0.1, "isoscore": 0.2, "learned_linear": 0.3}
    other = {**same, "isoscore": 0.3}
    rows = [{"model": f"model {number}", **some} for number, some in enumerate((same, same, other))]
    assert {row["spaces"] for row in correlations(rows) if row["over"] == "all spaces"} == {0, 2}


def test_models_are_drawn_whole():
    values = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    samples = clustered_samples(values, np.array([0, 0, 0, 1, 1, 1]))
    assert {round(value, 6) for value in samples.tolist()} == {-1.0, 0.0, 1.0}


def test_a_difference_between_kinds_is_not_told_from_0_by_many_models():
    rng = np.random.default_rng(1)
    kinds, models = np.tile(np.arange(5), 8), np.repeat(np.arange(8), 5)
    values = np.array([[0, 2], [1, 0], [2, 1], [3, 4], [4, 3]])[kinds] + 0.1 * rng.normal(size=(40, 2))
    assert bounds(clustered_samples(values, models))[0] > 0.4
    assert bounds(clustered_samples(values, models, kinds))[0] <= 0


def test_samples_that_draw_no_row_are_left_out():
    values, own = np.arange(12.0).reshape(6, 2), np.arange(6)
    samples = clustered_samples(values, own, own)
    assert len(samples) < len(clustered_samples(values, own))
    assert np.isfinite(samples).all()


def test_a_kind_that_decides_alone_is_left_out_once():
    rows = [{"model": f"model {number % 6}", "space": f"kind {number // 6}", "mean_cosine": float(number),
             "learned_linear": 100.0 if number >= 12 else -float(number)} for number in range(18)]  # fmt: skip
    whole = {(row["over"], row["quality"], row["wanted"]): row for row in correlations(rows)}
    found = whole["all spaces", "mean_cosine", "learned_linear"]
    assert found["least"] == pytest.approx(-1.0)
    assert found["correlation"] > -0.5


def test_the_mean_of_tokens_counts_once():
    rows = [{"model": "one", "space": kind, "mean_cosine": 0.4, "learned_linear": 0.1}
            for kind in ("token-mean start", "mean of token embeddings")]  # fmt: skip
    assert {row["spaces"] for row in correlations(rows) if row["over"] == "all spaces"} == {0, 1}
    assert {row["spaces"] for row in correlations(rows[1:]) if row["over"] == "all spaces"} == {0, 1}
