"""``copyloom train adapter``: its folder is a model for every command, and what does not fit is said in one line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments.commands.cli import app

TEXTS = [f"{verb} the {noun}." for verb in ("Buy", "Love", "See") for noun in ("mug", "pan", "hat")]
SETTINGS = "width: 16\nadapter_steps: 4\nevaluate_every: 2\nrows: 4\nwarmup: 1\njudged: 2\n"


def run(*arguments):
    return CliRunner().invoke(app, ["train", "adapter", *map(str, arguments), "--device", "cpu"])


def fails(*arguments):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr.splitlines()[-1]


@pytest.fixture
def given(tmp_path, random_model):
    """Options of a training of a random model on a few texts, and the folder they lie in."""
    model = random_model("GPT2Config", max_position_embeddings=128)
    model.model.save_pretrained(tmp_path / "base")
    model.tokenizer.save_pretrained(tmp_path / "base")
    (tmp_path / "texts.txt").write_text("\n".join([*TEXTS, TEXTS[0], ""]))
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    options = {"--model": "base", "--texts": "texts.txt", "--config": "settings.yaml", "--out": "run"}
    return tmp_path, [part for key, name in options.items() for part in (key, tmp_path / name)]


def test_a_training_makes_a_model_for_every_command(given, small_encoder):
    _, options = given
    options += ["--stage", "adapter", "--per-text", 2]
    result = run(*options, "--encoder", small_encoder, "--json")
    found = json.loads(result.stdout)
    assert (found["trained_on"], found["texts"], found["left_out"]) == (7, 2, 0)
    assert [(look["stage"], look["step"]) for look in found["looks"]] == [
        ("adapter", 0),
        ("adapter", 2),
        ("adapter", 4),
    ]
    assert "held-out loss" in result.stderr
    doctor = CliRunner().invoke(app, ["doctor", "--model", found["model"], "--device", "cpu", "--json"])
    assert "P=2, D=16" in json.loads(doctor.stdout)["model"]
    assert "with an adapter" in json.loads(doctor.stdout)["model"]
    again = run(*options, "--encoder", small_encoder)
    assert "For instance" in again.stdout
    assert "another configuration (seed: 0 there, 1 now)" in fails(*options, "--encoder", small_encoder, "--seed", 1)


def test_vectors_of_a_file(given, quick_judge):
    folder, options = given
    options += ["--stage", "adapter", "--vectors", folder / "ratings.npy"]
    assert "there are no vectors at" in fails(*options)
    np.save(folder / "ratings.npy", np.eye(10, 5) + 1)
    assert "text 10 is text 1 again" in fails(*options)
    (folder / "texts.txt").write_text("\n".join([*TEXTS, ""]))
    assert "10 rows of vectors were given for 9 texts" in fails(*options)
    assert "not both" in fails(*options, "--encoder", "any")
    (folder / "texts.txt").write_text("\n".join([TEXTS[0], "", *TEXTS[1:]]))
    assert "text 2 of" in fails(*options)
    (folder / "texts.txt").write_text("\n".join([*TEXTS, "A pen."]))
    assert run(*options).exit_code == 0
    trained = str(folder / "run" / "model")
    refused = CliRunner().invoke(app, ["invert", "--text", "A hat.", "--model", trained, "--device", "cpu"])
    assert refused.exit_code == 2
    assert "vectors of ratings.npy, which no encoder makes of a text" in refused.stderr


def test_settings_that_do_not_fit(given):
    _, options = given
    assert "stage" in fails(*options, "--stage", "all")
    assert "rows" in fails(*options, "--rows", 0)
    assert "no model folder" in fails(*options, "--model", "./nowhere")
