"""Training a writer: examples are what they say, a stopped run ends as one that was not, the package is the model."""

import math
import random
from pathlib import Path

import pytest
import torch

from copyloom import InputError
from embeddings.adapter import PACKED_ADAPTER, SlotAdapter, load_adapters, named_tensors, updates_beside
from embeddings.space import Space
from embeddings.training.config import read_settings
from experiments.training.editor import judged_drafts
from experiments.training.writer import corpus, train
from experiments.training.writer.config import WriterTraining
from experiments.training.writer.examples import Examples, as_pairs, parents_of
from experiments.training.writer.package import train_to_package
from experiments.training.writer.preferences import Preferences, parents_judged, preference_loss
from experiments.training.writer.train import Batches, train_writer
from experiments.training.writer.written import blends_of, free_words_of, written_blends
from generator.eight_bits import packed, unpacked
from generator.models import SHIPPED
from generator.unbacked import unbacked_claims
from generator.words import free_words

SMALL = WriterTraining(
    model=SHIPPED, vectors=3, width=16, rank=2, rows=6, steps=6, warmup=2, written_from=0, common=64, others=16,
    checkpoint_seconds=0,
)  # fmt: skip


def quiet(stage: str, done: int, total: int) -> None:
    pass


def stopped(monkeypatch, config: WriterTraining, out: Path) -> None:
    """Train, and be killed in the fifth step."""
    loss = train._Training._loss

    def stop(training, step):
        if step == 4:
            raise KeyboardInterrupt
        return loss(training, step)

    with monkeypatch.context() as patched:
        patched.setattr(train._Training, "_loss", stop)
        with pytest.raises(KeyboardInterrupt):
            train_writer(config, None, out, quiet, "cpu")


@pytest.fixture
def few(monkeypatch):
    """Few claims and few counted examples, so that a training takes seconds."""
    monkeypatch.setattr(corpus, "_CLAIMS", 200)
    monkeypatch.setattr(train, "_COUNTED", 50)
    some = written_blends()[::200]
    monkeypatch.setattr(train, "written_blends", lambda: some)
    return some


@pytest.fixture
def examples(few, tmp_path) -> Examples:
    known = corpus.load_corpus(None, tmp_path, 0, quiet)
    vectors = corpus.sentence_vectors(parents_of(few), tmp_path / "written.safetensors", quiet)
    return Examples(SMALL, known, few, as_pairs(vectors))


@pytest.fixture
def judged(monkeypatch):
    """Few judged groups."""
    some = [one for one in judged_drafts() if any(one.printable) and not all(one.printable) and not one.held_out][::60]
    monkeypatch.setattr(train, "judged_drafts", lambda: some)
    return some


@pytest.fixture
def preferences(judged, tmp_path) -> Preferences:
    vectors = corpus.sentence_vectors(parents_judged(judged), tmp_path / "judged.safetensors", quiet)
    return Preferences.of(judged, vectors)


def test_written_examples_are_whole_and_of_both_kinds():
    blends = written_blends()
    assert len(blends) >= 12_000
    assert all(len(blend.text) > 1 and 0 <= blend.weights[0] <= blend.weights[1] <= 1 for blend in blends)
    records = [blend for blend in blends if blend.record]
    assert 1000 <= len(records) <= len(blends) / 2
    backed = sum(not unbacked_claims(one.text, tuple(one.record.phrases().values())) for one in records)
    assert backed >= 0.97 * len(records)


def test_examples_of_each_kind(examples, few):
    rng = random.Random(0)
    for _ in range(40):
        claim, blend = examples.claim(rng), examples.blend(rng)
        assert claim.vector @ claim.vector == pytest.approx(1, abs=1e-5)
        assert blend.target in {one.text for one in few}
        if blend.context.startswith("About the "):
            assert any(one.record and one.record.name in blend.context for one in few)


def test_batches_are_a_function_of_the_step_alone(examples, space):
    first, second = (Batches(SMALL, space.model, lambda rng, step: [examples.draw(rng, step)]) for _ in range(2))
    second.of(9)
    one, other = first.of(3), second.of(3)
    assert torch.equal(one.ids, other.ids)
    assert torch.equal(one.vectors, other.vectors)
    for row, place, target in zip(one.rows[:9].tolist(), one.places.tolist(), one.targets.tolist(), strict=False):
        following = one.ids[row, place + 1] if place + 1 < one.ids.shape[1] else space.model.end
        assert target in (int(following), space.model.end)
        assert place >= int(one.starts[row]) + SMALL.vectors - 1


def test_a_stopped_training_ends_as_one_that_was_not(few, tmp_path, monkeypatch):
    adapter, updates, _ = train_writer(SMALL, None, tmp_path / "whole", quiet, "cpu")
    stopped(monkeypatch, SMALL, tmp_path / "stopped")
    again, others, _ = train_writer(SMALL, None, tmp_path / "stopped", quiet, "cpu")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in adapter.state_dict().items())
    assert all(torch.equal(value, others[name]) for name, value in updates.items())
    with pytest.raises(InputError, match="another configuration"):
        train_writer(SMALL.model_copy(update={"seed": 1}), None, tmp_path / "stopped", quiet, "cpu")


def test_the_log_names_each_step_once_though_a_killed_run_takes_some_again(few, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "_LOG_EVERY", 1)
    config = SMALL.model_copy(update={"checkpoint_seconds": 1000.0})
    stopped(monkeypatch, config, tmp_path)
    train_writer(config, None, tmp_path, quiet, "cpu")
    assert [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().split()] == list("123456")


def test_the_package_writes_as_what_was_trained(few, tmp_path):
    found = train_to_package(SMALL, None, tmp_path, "cpu", quiet)
    assert found["bytes"] < 2_000_000
    space = Space.load(found["writer"], "cpu")
    assert space.composes
    assert space.vectors == SMALL.vectors
    updates = updates_beside(tmp_path / "writer")
    assert {name.rpartition(".")[2] for name in updates} == {"down", "up"}
    assert PACKED_ADAPTER in {file.name for file in (tmp_path / "writer").iterdir()}
    (stored,) = space.invert(["A quiet kettle for cold days."])
    assert stored.exact


def test_a_training_goes_on_from_a_writer_of_the_same_sizes(few, tmp_path):
    first = train_to_package(SMALL, None, tmp_path / "first", "cpu", quiet)["writer"]
    still = SMALL.model_copy(update={"start_from": first, "steps": 1, "adapter_rate": 1e-12, "low_rank_rate": 1e-12})
    adapter, updates, _ = train_writer(still, None, tmp_path / "second", quiet, "cpu")
    known = load_adapters(Path(first))[0].state_dict()
    assert all(torch.allclose(value, known[name], atol=1e-6) for name, value in adapter.state_dict().items())
    assert all(torch.allclose(updates[name], value, atol=1e-6) for name, value in updates_beside(Path(first)).items())
    with pytest.raises(InputError, match="sizes"):
        train_writer(still.model_copy(update={"rank": 3}), None, tmp_path / "third", quiet, "cpu")
    with pytest.raises(InputError, match="is no writer"):
        train_writer(still.model_copy(update={"start_from": str(tmp_path)}), None, tmp_path / "fourth", quiet, "cpu")


def test_preferences_are_of_what_readers_would_print_and_what_they_would_not(preferences):
    by_prompt = {draft: one for one in preferences.judged for draft in (*one.drafts, *one.mended.values())}
    rng = random.Random(0)
    for _ in range(40):
        better, worse = preferences.draw(rng)
        one = by_prompt[better.target]
        fit = dict(zip(one.drafts, one.printable, strict=True))
        if better.target in fit:
            assert fit[better.target]
        else:
            assert better.target == one.mended[one.drafts.index(worse.target)]
        assert worse.target in one.refused or not fit[worse.target]
        assert better.context == worse.context
        assert any(parent in better.context for parent in one.parents)
        assert (better.vector == worse.vector).all()


def test_preference_loss_is_that_of_direct_preference_optimisation():
    reference = torch.tensor([-3.0, -8.0])
    assert float(preference_loss(reference, reference, 0.1)) == pytest.approx(math.log(2))
    better = reference + torch.tensor([4.0, -6.0])
    assert float(preference_loss(better, reference, 0.1)) == pytest.approx(math.log(1 + math.exp(-1)))


def test_a_training_makes_what_readers_preferred_likelier(few, judged, tmp_path, monkeypatch):
    first = train_to_package(SMALL, None, tmp_path / "first", "cpu", quiet)["writer"]
    run, margins = train._Training.run, []

    def margin(training):
        with torch.no_grad():
            better, worse = training._likely(training.pairs.of(0)).chunk(2)
        margins.append(float((better - worse).mean()))

    def watched(training):
        margin(training)
        found = run(training)
        margin(training)
        return found

    monkeypatch.setattr(train._Training, "run", watched)
    config = SMALL.model_copy(update={"start_from": first, "steps": 12, "preferred": 1.0})
    train_writer(config, None, tmp_path / "second", quiet, "cpu")
    assert margins[1] > margins[0]
    with pytest.raises(InputError, match="start_from"):
        train_writer(config.model_copy(update={"start_from": None}), None, tmp_path / "third", quiet, "cpu")


def test_a_rewrite_stands_behind_its_text_alone(examples):
    row = {"kind": "mug", "text": "Coffee, and it stays hot.", "rewrites": ["Your coffee stays hot.", "Hot coffee."]}
    blends = list(blends_of(row))
    assert [(one.parents, one.text) for one in blends] == [((row["text"],) * 2, text) for text in row["rewrites"]]
    examples.blends, examples._with_record, examples._without = blends, [0, 1], [0, 1]
    told = {examples.blend(random.Random(seed)).context for seed in range(30)}
    assert told == {"", f"- {row['text']}\n"}


def test_a_text_about_a_record_stands_behind_its_sample_and_perhaps_another(examples):
    mug = {"name": "mug", "quality": ["light"]}
    (blend,) = blends_of({"record": mug, "text": "Keep it hot.", "rewrites": ["Keep your mug light."]})
    assert blend.record.name == "mug"
    others = list(blends_of({"kind": "tea", "text": "Tea at four.", "rewrites": ["At four, tea."]}))
    examples.blends, examples._with_record, examples._without = [blend, *others], [0], [1]
    found = [examples.blend(random.Random(seed)) for seed in range(60)]
    about = [one.context for one in found if one.target == "Keep your mug light."]
    assert any("- Tea at four." in context for context in about)
    assert any("Tea" not in context and "- Keep it hot." in context for context in about)
    assert all(context.startswith("About the mug") for context in about)


def test_eight_bits_change_matrices_by_less_than_a_percent():
    torch.manual_seed(0)
    adapter = SlotAdapter(384, 2, 64, 64)
    found = unpacked(packed(named_tensors(adapter, {"layer.up": torch.randn(96, 64)})))
    for name, value in adapter.state_dict().items():
        kept = found[f"adapter.{name}"]
        assert (kept - value).norm() <= 0.01 * value.norm() + 1e-9, name
    assert found["low_rank.layer.up"].shape == (96, 64)


def test_settings_that_do_not_fit_are_named(tmp_path):
    file = tmp_path / "writer.yaml"
    file.write_text("rank: -1\n")
    with pytest.raises(InputError, match="rank"):
        read_settings(WriterTraining, file, {})
    with pytest.raises(InputError, match="no such setting"):
        read_settings(WriterTraining, None, {"ranks": 3})


def test_shipped_free_words_are_those_of_the_written_examples():
    assert free_words() == free_words_of(written_blends())
    assert {"keep", "without", "gives"} <= free_words()
    assert not {"waterproof", "cotton", "boston", "forty-two"} & free_words()
