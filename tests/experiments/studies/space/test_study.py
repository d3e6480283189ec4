"""The study goes from texts to answers, keeps what it measured, and makes each kind of vectors as it says."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from typer.testing import CliRunner

from copyloom import InputError
from embeddings.mixing import adapt
from embeddings.starts import token_mean_start
from experiments.commands.cli import app
from experiments.held_out import is_held_out
from experiments.studies.space import spaces, study, wanted
from experiments.studies.space.runs import RUNS, training_claims
from experiments.studies.space.samples import Sample, drawn_claims
from experiments.studies.space.settings import SpaceStudy
from experiments.studies.space.study import measure, measure_model, quality_of

SETTINGS = SpaceStudy(("copyloom-tiny",), count=30, mixtures=8, tastes=8, refine_mean=False, runs=False, device="cpu")


def quiet(*_):
    """Hear of progress and say nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("space")


@pytest.fixture(scope="module")
def found(folder, space):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.studies.space.study.Space.load", lambda *_, **__: space)
        return measure(SETTINGS, None, folder, quiet)


def test_all_kinds_are_measured_and_what_cannot_be_is_none(found):
    rows = {row["space"]: row for row in found["spaces"]}
    assert set(rows) == set(spaces.SPACES) - {spaces.REFINED_MEAN}
    assert found["models"] == ["copyloom-tiny"]
    assert rows[spaces.SUMMARY]["exact_straight"] == rows[spaces.SUMMARY]["exact_refined"] == 1
    assert rows[spaces.TOKEN_MEAN]["exact_straight"] == 0
    assert rows[spaces.TOKENS]["exact_straight"] is None
    assert rows[spaces.TOKEN_MEAN]["mean_cosine"] == pytest.approx(rows[spaces.TOKENS]["mean_cosine"], abs=1e-6)
    assert rows[spaces.SENTENCE]["agreement"] > 0
    assert rows[spaces.SUMMARY]["reached_straight"] > 0.99
    assert all(row["rank_agreement"] < 1 for row in rows.values() if row["rank_agreement"] is not None)
    qualities = found["qualities"]["copyloom-tiny"]
    assert set(qualities) == set(rows)
    assert qualities[spaces.SENTENCE]["mean_cosine"] == rows[spaces.SENTENCE]["mean_cosine"]
    json.dumps(found, allow_nan=False)


def test_what_was_measured_is_kept(found, folder, space, monkeypatch):
    monkeypatch.setattr("experiments.studies.space.study.Space.load", lambda *_, **__: space)
    monkeypatch.setattr(study, "measure_model", lambda *_: pytest.fail("measured again"))
    again = measure(SETTINGS, None, folder, quiet)
    assert again == found


def test_kinds_are_what_they_are_called(space, folder):
    texts = drawn_claims(30).texts[:2]
    made = spaces.make(space, texts, True, True, None, quiet)
    sentence = made.values[spaces.SENTENCE]
    assert torch.equal(sentence, torch.stack([one.sentence_vector for one in made.stored]))
    straight = adapt(space.adapter, sentence).flatten(1)
    assert torch.equal(made.values[spaces.ADAPTER], straight)
    assert torch.allclose(made.values[spaces.RESIDUALS] + straight, made.values[spaces.SUMMARY], atol=1e-3)
    start = token_mean_start(space.model, texts[0], space.vectors)
    assert torch.allclose(made.values[spaces.TOKEN_MEAN][0], start.flatten())
    mixed = wanted._mixed(space, made, [(0, 1)])[spaces.ADAPTER][0]
    middle = made.vectors(spaces.ADAPTER, space.model.hidden_size)[:2].mean(0)
    assert torch.allclose(normalize(mixed, dim=1), normalize(middle, dim=1), atol=1e-5)  # lengths are mixed apart
    assert [one.start for one in made.from_mean] == ["token_mean"] * 2
    assert not torch.allclose(made.values[spaces.REFINED_MEAN], made.values[spaces.SUMMARY])


def test_hidden_states_do_not_depend_on_what_is_read_beside(random_model):
    model = random_model()
    together = spaces.hidden_means(model, ["A mug.", "A lamp that is far longer."])
    for place, text in enumerate(("A mug.", "A lamp that is far longer.")):
        for name, alone in spaces.hidden_means(model, [text]).items():
            assert torch.allclose(together[name][place], alone[0], atol=1e-5)
    ids = torch.tensor([[model.beginning, *model.tokenize("A mug.")]])
    last = model.hidden(model.embed(ids))[0, 1:].mean(0)
    assert torch.allclose(together[spaces.LAST][0], last, atol=1e-5)


def test_vectors_without_direction_are_left_out():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(40, 6)))
    sample = Sample(tuple(f"word{number} here" for number in range(40)), np.arange(40))
    values[:5] = 0
    assert quality_of(values, sample)[0]["texts"] == 35
    values[:15] = 0
    quality, trusted = quality_of(values, sample)
    assert (quality["texts"], quality["mean_cosine"], trusted) == (25, None, None)


def test_vectors_that_are_not_finite_are_no_zeros():
    values = torch.ones(40, 6)
    values[3, 2] = torch.nan
    sample = Sample(tuple(f"word{number} here" for number in range(40)), np.arange(40))
    with pytest.raises(InputError, match="vectors of 1 texts are not finite; use float32 or another model"):
        quality_of(values, sample)


def test_what_is_learned_is_of_the_texts_that_qualities_are_of(monkeypatch):
    sample, seen = drawn_claims(36), []
    values = torch.randn(36, 20, generator=torch.Generator().manual_seed(0))
    values[:3] = 0
    monkeypatch.setattr(study.tastes, "learnability", lambda *given: seen.append([len(some) for some in given]))
    study._learned(values, study.tastes.attributes_of(sample), sample, SETTINGS)
    assert seen == [[33, 33, 33]] * 2


def test_a_seed_draws_own_texts_and_pairs(monkeypatch, tmp_path, space, folder):
    drawn, mixed = [], []
    texts = [f"Lamp {number} is warm." for number in range(60)]
    monkeypatch.setattr(study, "_models", lambda *_: {"a model": "a model"})
    monkeypatch.setattr(study, "_kept", lambda _, sample, *__: drawn.append(sample.texts) or
                        {"spaces": [], "advice": [], "device": ""})  # fmt: skip
    for seed in (0, 1, 1):
        measure(replace(SETTINGS, seed=seed), texts, tmp_path, quiet)
    assert drawn[0] != drawn[1] == drawn[2]
    sample = drawn_claims(30)
    monkeypatch.setattr(wanted, "exactness", lambda *_: {})
    monkeypatch.setattr(wanted, "_mixed", lambda _, __, pairs: mixed.append(pairs) or {})
    for seed in (0, 1, 1):
        measure_model(space, "a run", True, sample, replace(SETTINGS, seed=seed), folder, quiet)
    assert mixed[0] != mixed[1] == mixed[2]


def test_a_training_run_is_measured_by_what_its_adapter_changes(found, space, folder):
    measured = measure_model(space, "a run", True, drawn_claims(30), SETTINGS, folder, quiet)
    assert [row["space"] for row in measured["spaces"]] == list(spaces.OF_ADAPTER)
    whole = {row["space"]: row for row in found["spaces"]}
    for row in measured["spaces"]:
        assert row == whole[row["space"]] | {"model": "a run", "training_run": True}


def test_runs_differ_in_one_setting_and_never_see_what_is_held_out():
    assert len({run.name for run in RUNS}) == len(RUNS)
    for run in RUNS[1:]:
        assert sum(getattr(run, name) != getattr(RUNS[0], name) for name in ("per_text", "noise", "steps")) == 1
        assert run.training.stage == "adapter"
    texts = training_claims(60)
    assert len(set(texts)) == 60
    assert not any(map(is_held_out, texts))


def test_own_texts_are_judged_by_their_words(tmp_path, space, monkeypatch):
    monkeypatch.setattr("experiments.studies.space.study.Space.load", lambda *_, **__: space)
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(f"Lamp {number} is {word}." for number in range(16) for word in ("warm", "cold")))
    arguments = ["study", "space", "--quick", "--texts", str(file), "--mixtures", "8", "--json", "--device", "cpu"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "study")])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["source"] == "own texts"
    assert found["qualities"]["copyloom-tiny"][spaces.SENTENCE]["follows_product"] is None
    assert "Own texts" in found["notes"][0]
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert "Can the cosine be trusted?" in page
    assert "http" not in page.split("<main>")[1].split("src=")[0]
    assert {Path(file).name for file in found["files"]} >= {"study.json", "spaces.parquet", "advice.csv", "report.html"}


@pytest.mark.parametrize(("options", "message"), [
    (("--count", "12"), "12 texts, 24 mixtures"),
    (("--tastes", "1"), "give texts from 30, mixtures and tastes from 8"),
    (("--model", "copyloom-tiny", "--model", "copyloom-tiny"), "give one or more, each once"),
])  # fmt: skip
def test_bad_settings_are_named(tmp_path, options, message):
    result = CliRunner().invoke(app, ["study", "space", "--quick", "--out", str(tmp_path / "x"), *options])
    assert result.exit_code == 2
    assert message in result.output


def test_a_column_needs_texts(tmp_path):
    result = CliRunner().invoke(app, ["study", "space", "--quick", "--column", "text", "--out", str(tmp_path / "x")])
    assert result.exit_code == 2
    assert "give it with --texts" in result.output


def test_no_model_is_an_error():
    with pytest.raises(InputError, match="models none were given"):
        SpaceStudy(())
