"""An adapter for any model: it learns, leaves frozen what must be, goes on where it stopped, and its folder loads."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from copyloom import InputError
from embeddings.inversion_config import InversionConfig
from embeddings.mixing import mix
from embeddings.space import Space
from embeddings.training.config import share_of_rate
from embeddings.training.train import train_adapter
from generator.decoding import decode
from generator.device import Device
from generator.language_model import LanguageModel

ARCHITECTURES = ["GPT2Config", "LlamaConfig", "GPTNeoXConfig"]


def parameters(folder):
    model = LanguageModel.load(str(folder), Device.choose("cpu"))
    return {name: value.clone() for name, value in model.model.state_dict().items()}


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix == ".safetensors"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_adapter_learns_while_the_model_stays_frozen(save_model, config, texts, tmp_path, architecture):
    folder = save_model(tmp_path / "base", architecture)
    before = parameters(folder)
    trained = train_adapter(config.model_copy(update={"model": folder}), texts, tmp_path / "run", device="cpu")
    assert trained.looks[0].step == 0
    assert trained.held_out_loss < 0.8 * trained.looks[0].held_out_loss
    assert trained.held_out_loss == pytest.approx(min(look.held_out_loss for look in trained.looks), abs=1e-6)
    assert not set(trained.held_out) - set(texts)
    assert len(trained.held_out) + trained.trained_on == len(texts)

    space = Space.load(str(trained.folder), "cpu")
    assert {file.name for file in trained.folder.iterdir()} == {"adapter.json", "adapter.safetensors"}
    after = space.model.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert parameters(folder).keys() == before.keys()
    assert space.identity.encoder.startswith("small-encoder (parameters ")
    assert space.identity.model == str(trained.folder)
    if architecture == "LlamaConfig":
        found = space.invert([*trained.held_out[:2], "½ ☕"])
        assert [(embedding.start, embedding.exact) for embedding in found] == [("adapter", True)] * 3
        assert space.decode(found) == [*trained.held_out[:2], "½ ☕"]


def test_stage_one_trains_no_parameter_of_the_model_in_memory(config, texts, tmp_path, monkeypatch):
    """Nor does it compute gradients for one."""
    kept = {}

    def remember(name, device, trust_remote_code=False):
        kept["model"], reference = load(name, device)
        kept["before"] = {key: value.clone() for key, value in kept["model"].model.state_dict().items()}
        return kept["model"], reference

    from embeddings.training.train import load_language_model as load

    monkeypatch.setattr("embeddings.training.train.load_language_model", remember)
    train_adapter(config, texts, tmp_path, device="cpu")
    assert all(torch.equal(value, kept["before"][key]) for key, value in kept["model"].model.state_dict().items())
    assert all(parameter.grad is None for parameter in kept["model"].model.parameters())


@pytest.mark.parametrize("architecture", ["GPT2Config", "LlamaConfig"])
def test_low_rank_updates_alone_are_trained_and_the_merged_model_says_the_same(
    save_model, config, texts, tmp_path, monkeypatch, architecture
):
    pytest.importorskip("peft", reason="PEFT is an optional extra")
    from embeddings.training import lora

    folder = save_model(tmp_path / "base", architecture)
    kept, inputs = {}, torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0))

    def remember(model, rank, seed):
        kept["before"] = {name: value.detach().clone() for name, value in model.model.named_parameters()}
        low_rank, kept["model"] = put_in(model, rank, seed), model
        merge = low_rank.merge_and_unload

        def merged(*arguments, **options):
            with torch.no_grad():
                kept["logits"] = model.logits(inputs)
            kept["after"] = {name: value.detach().clone() for name, value in model.model.named_parameters()}
            return merge(*arguments, **options)

        low_rank.merge_and_unload = merged
        return low_rank

    put_in = lora.put_in
    monkeypatch.setattr(lora, "put_in", remember)
    changes = {"model": folder, "stage": "lora", "patience": None}
    trained = train_adapter(config.model_copy(update=changes), texts, tmp_path / "run", device="cpu")
    frozen = {name.replace(".base_layer", ""): value for name, value in kept["after"].items() if "lora_" not in name}
    assert frozen.keys() == kept["before"].keys()
    assert all(torch.equal(frozen[name], value) for name, value in kept["before"].items())
    updates = [value for name, value in kept["after"].items() if "lora_B" in name]
    assert updates
    assert all(float(value.abs().max()) > 0 for value in updates)

    loaded = LanguageModel.load(str(trained.folder), Device.choose("cpu"))
    with torch.no_grad():
        torch.testing.assert_close(loaded.logits(inputs), kept["logits"], rtol=1e-4, atol=1e-4)
    assert not any("lora" in name for name in load_file(trained.folder / "model.safetensors"))
    assert any(not torch.equal(value, parameters(folder)[name]) for name, value in loaded.model.state_dict().items())


@pytest.mark.parametrize("stage", ["model", "lora"])
def test_stopped_and_resumed_is_the_same_bit_for_bit(config, texts, tmp_path, monkeypatch, stage):
    if stage == "lora":
        pytest.importorskip("peft", reason="PEFT is an optional extra")
    config = config.model_copy(update={"stage": stage, "checkpoint_seconds": 0.0})
    whole = train_adapter(config, texts, tmp_path / "whole", device="cpu")
    for stop in (7, 37):  # in the first stage, then in the second: a run is asked for its rate once a step
        monkeypatch.setattr("embeddings.training.train.share_of_rate", stop_after(stop))
        with pytest.raises(KeyboardInterrupt):
            train_adapter(config, texts, tmp_path / "broken", device="cpu")
        monkeypatch.undo()
    resumed = train_adapter(config, texts, tmp_path / "broken", device="cpu")
    assert resumed.looks == whole.looks
    assert [look.stage for look in resumed.looks] == ["adapter"] * 3 + [stage] * 3
    assert files(resumed.folder) == files(whole.folder)
    assert (tmp_path / "broken" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    again = train_adapter(config, texts, tmp_path / "broken", device="cpu")
    assert (again.held_out_loss, again.quality) == (whole.held_out_loss, whole.quality)
    with pytest.raises(InputError, match=r"another configuration \(rows: 16 there, 8 now\)"):
        train_adapter(config.model_copy(update={"rows": 8}), texts, tmp_path / "broken", device="cpu")
    with pytest.raises(InputError, match="another configuration"):
        train_adapter(config, texts[1:], tmp_path / "broken", device="cpu")


def stop_after(calls):
    """Return a schedule that is interrupted after so many steps."""
    taken = []

    def schedule(step, steps, warmup, cooldown):
        taken.append(step)
        if len(taken) > calls:
            raise KeyboardInterrupt
        return share_of_rate(step, steps, warmup, cooldown)

    return schedule


def test_a_stage_stops_early_and_keeps_the_best(config, texts, tmp_path):
    """At a rate so high that the held-out loss soon rises."""
    changes = {"stage": "model", "model_rate": 1.0, "patience": 2, "evaluate_every": 1, "adapter_steps": 0}
    trained = train_adapter(config.model_copy(update=changes), texts, tmp_path, device="cpu")
    losses = [look.held_out_loss for look in trained.looks if look.stage == "model"]
    assert 3 <= len(losses) < 20 < 1 + config.joint_steps
    assert min(losses) == losses[-3]
    assert trained.held_out_loss == pytest.approx(losses[-3], abs=1e-6)


def test_both_stages_make_a_folder_that_stands_alone(config, texts, tmp_path, base):
    """The model is beside the adapter, so the base may go; inversion and mixing work."""
    trained = train_adapter(config.model_copy(update={"stage": "model"}), texts, tmp_path, device="cpu")
    alone = [look.held_out_loss for look in trained.looks if look.stage == "adapter"]
    assert trained.held_out_loss < min(alone)
    settings = json.loads((trained.folder / "adapter.json").read_text())
    assert settings["base_model"] == ""
    space = Space.load(str(trained.folder), "cpu")
    assert space.model.identity.parameters != LanguageModel.load(base, Device.choose("cpu")).identity.parameters
    parents = space.invert(texts[:2])
    assert all(parent.exact for parent in parents)
    ends = mix(
        torch.stack([p.vectors for p in parents])[None],
        torch.stack([p.sentence_vector for p in parents])[None],
        torch.tensor([[1.0, 0.0]]),
        space.adapter,
    )
    assert decode(space.model, ends)[0].text == texts[0]


def test_an_adapter_that_was_trained_for_another_version_is_refused(save_model, config, texts, tmp_path):
    folder = save_model(tmp_path / "base")
    short = config.model_copy(update={"model": folder, "adapter_steps": 1})
    trained = train_adapter(short, texts, tmp_path / "run", device="cpu")
    second = train_adapter(
        short.model_copy(update={"model": str(trained.folder)}), texts, tmp_path / "second", device="cpu"
    )
    assert json.loads((second.folder / "adapter.json").read_text())["base_model"] == folder
    save_model(tmp_path / "base", "GPT2Config")
    with pytest.raises(InputError, match="train the adapter again"):
        Space.load(str(trained.folder), "cpu")


def test_behavioural_vectors_recover_their_texts(config, texts, ratings, tmp_path, quick_judge):
    changes = {"stage": "model", "adapter_steps": 20, "joint_steps": 250, "patience": None, "evaluate_every": 250,
               "noise": 0.0, "held_out": 0.1}  # fmt: skip
    trained = train_adapter(config.model_copy(update=changes), texts, tmp_path, 3 * ratings, "ratings", "cpu")
    space = Space.load(str(trained.folder), "cpu")
    seen = [row for row, text in enumerate(texts) if text not in trained.held_out]
    assert [written.text for written in space.writer.write_from(ratings[seen])] == [texts[row] for row in seen]
    assert 0 <= trained.quality.consistency <= 1
    assert space.identity.encoder == "none: vectors of ratings"
    with pytest.raises(InputError, match=r"no encoder makes of a text.*space\.writer\.write_from"):
        space.invert(texts[:1])
    with pytest.raises(InputError, match=r"shape \(2, 5\); give \(texts, 6\)"):
        space.writer.write_from(ratings[:2, :5])


def test_texts_and_vectors_that_do_not_fit(config, texts, ratings, tmp_path):
    def refused(match, texts=texts, vectors=None, **changes):
        with pytest.raises(InputError, match=match):
            train_adapter(config.model_copy(update=changes), texts, tmp_path / "run", vectors, device="cpu")

    refused("text 25 is text 1 again", texts=[*texts, texts[0]])
    refused("7 of 7 texts can be trained on; give 8 or more", texts=texts[:7])
    refused("0 of 24 texts.*has 6 characters", max_tokens=2)
    refused("23 rows of vectors were given for 24 texts", vectors=ratings[1:])
    refused(r"shape \(24,\)", vectors=ratings[:, 0])
    broken = ratings.clone()
    broken[[3, 5]] = torch.tensor([[float("nan")], [0.0]])
    refused("NaN or infinite values in 1 of its rows \\(number 4\\)", vectors=broken)
    refused("zero in 1 of its rows \\(number 6\\)", vectors=torch.where(broken.isnan(), 1.0, broken))
    refused("no model folder", model="./nowhere")
    refused("no encoder folder", encoder="./nowhere")
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_missing_package_is_named_before_anything_is_trained(config, texts, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(InputError, match=r"needs the package PEFT: pip install 'copyloom\[adapters\]'"):
        train_adapter(config.model_copy(update={"stage": "lora"}), texts, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_says_so(config, texts, tmp_path):
    changes = {"stage": "model", "model_rate": 1e30, "adapter_steps": 0, "evaluate_every": 1}
    with pytest.raises(InputError, match=r"held-out loss is nan after \d steps of stage 'model'.*lower"):
        train_adapter(config.model_copy(update=changes), texts, tmp_path, device="cpu")


def test_texts_that_the_model_cannot_write_are_left_out_and_counted(config, texts, ratings, tmp_path, quick_judge):
    long = [*texts[:10], "A tea " * 30, *texts[10:]]
    vectors = torch.cat([ratings[:10], torch.ones(1, 6), ratings[10:]])
    short = config.model_copy(update={"adapter_steps": 1})
    trained = train_adapter(short, long, tmp_path / "long", vectors, "ratings", "cpu")
    assert trained.left_out == 1
    assert trained.reason.startswith("text 11 ")
    same = train_adapter(short, texts, tmp_path / "short", ratings, "ratings", "cpu")
    assert files(trained.folder) == files(same.folder)  # so texts and rows did not shift against one another


def test_the_factors_of_real_ratings_make_an_adapter(shared_data, config, tmp_path):
    """Factorised ratings of films: the loss falls, and the folder decodes from vectors of films."""
    folder = shared_data / "movielens-latest-small"
    if not folder.is_dir():
        pytest.skip("no MovieLens ratings beside the repository: they are not part of it")
    import pyarrow.csv as pacsv

    ratings = pacsv.read_csv(folder / "ratings.csv").to_pandas()
    titles = dict(zip(*pacsv.read_csv(folder / "movies.csv").select(["movieId", "title"]), strict=True))
    titles = {film.as_py(): title.as_py() for film, title in titles.items()}
    often = ratings.movieId.value_counts().head(120).index
    table = ratings[ratings.movieId.isin(often)].pivot_table(index="userId", columns="movieId", values="rating")
    centred = torch.tensor((table - table.mean()).fillna(0).to_numpy())
    _, scales, items = torch.linalg.svd(centred, full_matrices=False)
    factors, names = (items[:8] * scales[:8, None]).T, [titles[film] for film in table.columns]
    trained = train_adapter(
        config.model_copy(update={"evaluate_every": 30}), names, tmp_path, factors, "MovieLens ratings", "cpu"
    )
    assert trained.held_out_loss < trained.looks[0].held_out_loss
    space = Space.load(str(trained.folder), "cpu")
    assert len(space.writer.write_from(factors[:3])) == 3


def test_a_foreign_model_gets_an_adapter(shared_data, config, texts, tmp_path):
    """A third-party Llama with a tokenizer of its own."""
    changes = {"model": str(shared_data / "lm-tinystories-656k"), "adapter_rate": 1e-3}
    trained = train_adapter(config.model_copy(update=changes), texts, tmp_path, device="cpu")
    assert trained.held_out_loss < trained.looks[0].held_out_loss
    space = Space.load(str(trained.folder), "cpu")
    (embedding,) = space.invert([trained.held_out[0]], InversionConfig())
    assert (embedding.exact, embedding.start) == (True, "adapter")
