"""The command line: JSON for programs, one clear line for what people got wrong, never a traceback."""

import csv
import json
import os
import sqlite3
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from embeddings.database import open_database
from experiments.commands.cli import app
from generator.threads import processors


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def fails(*arguments: str) -> str:
    """Return the error of a command that must fail with one line and no traceback."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stderr.splitlines()[-1].startswith("error: ")
    return result.stderr


def test_mix_takes_weights_in_one_option() -> None:
    pair = ("--text", "A quiet kettle for cold days.", "--text", "Hurry: free shipping on the mug.")
    small = ("--model", "copyloom-tiny", "--device", "cpu", "--json")
    result = run("mix", *pair, "--weights", "0.7", "0.3", *small)
    found = json.loads(result.stdout)
    assert found["weights"] == [0.7, 0.3]
    assert set(found) >= {"text", "parents", "weights", "semantic_consistency", "new"}
    beyond = run("mix", *pair, "--weights", "1.15", "-0.15", "--rounds", "0", *small)
    assert json.loads(beyond.stdout)["text"]


def test_mix_refuses_weights_that_do_not_fit() -> None:
    pair = ("--text", "A quiet kettle.", "--text", "A loud mug.")
    assert "pass one weight per parent" in fails("mix", *pair, "--weights", "1.0")
    assert "must sum to 1" in fails("mix", *pair, "--weights", "0.5", "0.6")
    assert "at least two" in fails("mix", "--text", "A quiet kettle.")


def test_a_misspelt_option_is_named() -> None:
    pair = ("--text", "A quiet kettle.", "--text", "A loud mug.")
    assert "'--wieghts' is no option of mix" in fails("mix", *pair, "--wieghts", "0.5", "0.5")
    assert "'half' is no weight of mix" in fails("mix", *pair, "--weights", "0.5", "half")


def test_all_options_that_are_missing_are_named_at_once(tmp_path: Path) -> None:
    assert "--impressions-per-day and --texts and --base-rate and --lift (or --logit-sd) must be given" in fails("plan")
    assert "error: --texts must be given" in fails(
        "plan", "--impressions-per-day", "9", "--base-rate", "0.1", "--lift", "1"
    )
    assert "--title and --licence must be given" in fails("dataset", "publish", "e", "--out", "d", "--source", "us")


def test_the_probability_of_plan_is_named_as_it_is_given() -> None:
    plan = ("plan", "--impressions-per-day", "10000", "--texts", "5", "--base-rate", "0.02", "--lift", "0.3")
    assert "alpha is 0.9" in fails(*plan, "--alpha", "0.9")


def test_mix_of_many_pairs(tmp_path: Path) -> None:
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.csv"
    rows = [
        {"a": "A quiet kettle for cold days.", "b": 'Hurry: free shipping on the mug, "now".', "weight": "1"},
        {"a": "A quiet kettle for cold days.", "b": "The lamp that lights every page.", "weight": ""},
    ]
    with pairs.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["a", "b", "weight"])
        writer.writeheader()
        writer.writerows(rows)
    small = ("--model", "copyloom-tiny", "--device", "cpu", "--rounds", "0")
    result = run("mix", "--pairs", str(pairs), "--out", str(out), *small)
    assert result.exit_code == 0, result.output
    with out.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["a", "b", "weight", "text", "semantic_consistency", "new", "refusals"]
    assert [row["b"] for row in found] == [row["b"] for row in rows]
    assert (found[0]["text"], found[0]["new"], found[0]["weight"]) == (rows[0]["a"], "False", "1.0")
    assert found[1]["weight"] == "0.5"
    out.write_text(out.read_text().replace(found[1]["text"], "Kept from before."))
    as_json = json.loads(run("mix", "--pairs", str(pairs), "--out", str(out), *small, "--json").stdout)
    assert [row["text"] for row in as_json["mixtures"]] == [rows[0]["a"], "Kept from before."]
    assert "something else" in fails("mix", "--pairs", str(pairs), "--out", str(pairs), *small[:2])


def test_mix_of_pairs_goes_on_beside_a_text_that_cannot_be_mixed(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"a,b\n{'word ' * 2000},A mug.\nA quiet kettle.,A loud mug.\n")
    small = ("--model", "copyloom-tiny", "--device", "cpu", "--rounds", "0", "--json")
    first, second = json.loads(run("mix", "--pairs", str(pairs), *small).stdout)["mixtures"]
    assert first["text"] == ""
    assert "shorten it" in first["refusals"][0]
    assert second["text"]


def test_mix_refuses_pairs_that_do_not_fit(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("a,c\nx,y\n")
    assert "has no column 'b'; it has a, c" in fails("mix", "--pairs", str(file))
    file.write_text("a,b,Weight\nx,y,0.5\n")
    assert "column 'Weight'" in fails("mix", "--pairs", str(file))
    file.write_text("a,b\nx,y,z\n")
    assert "more cells" in fails("mix", "--pairs", str(file))
    file.write_text("a,b,weight\nx,y,0.5\nx,,0.5\n")
    assert "row 2" in fails("mix", "--pairs", str(file))
    file.write_text("a,b,weight\nx,y,much\n")
    assert "weight 'much'" in fails("mix", "--pairs", str(file))
    file.write_text("a,b,weight\n")
    assert "is empty" in fails("mix", "--pairs", str(file))
    file.write_bytes(b"a,b\n\xff\xfe,x\n")
    assert "UTF-8" in fails("mix", "--pairs", str(file))
    assert "there is no file" in fails("mix", "--pairs", str(tmp_path / "none.csv"))
    assert "--pairs brings its own" in fails("mix", "--pairs", str(file), "--text", "A mug.")
    assert "is for --pairs" in fails("mix", "--text", "A mug.", "--text", "A kettle.", "--out", str(file))


def test_a_model_without_an_editor_is_told_before_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embeddings.space.Space.load", lambda *_, **__: pytest.fail("a model was loaded"))
    file = tmp_path / "pairs.csv"
    file.write_text("a,b\nA quiet kettle.,The lamp that lights every page.\n")
    for given in (("--pairs", str(file)), ("--text", "A quiet kettle.", "--text", "The lamp that lights every page.")):
        says = fails("mix", *given, "--printed", "0.5", "--model", "copyloom-tiny")
        assert "'copyloom-tiny' has no editor that could say how likely" in says


def test_models_that_are_not_here_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPYLOOM_MODELS", str(tmp_path))
    listed = json.loads(run("models", "list", "--json").stdout)["models"]
    assert {row["name"]: row["here"] for row in listed} == {"smollm2": False, "gemma3-270m": False}
    for arguments in (("models", "path", "smollm2"), ("invert", "--text", "a", "--model", "smollm2")):
        assert "copyloom models get smollm2" in fails(*arguments)
    assert "there are smollm2" in fails("models", "get", "gpt-9")


def test_without_the_download_the_small_model_writes_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPYLOOM_MODELS", str(tmp_path))
    pair = ("--text", "A quiet kettle for cold days.", "--text", "The lamp that lights every page.")
    result = run("mix", *pair, "--weights", "1", "0", "--device", "cpu", "--json")
    assert "copyloom models get smollm2" in result.stderr
    assert json.loads(result.stdout)["model"] == "copyloom-tiny"


def test_bad_texts(tmp_path: Path) -> None:
    empty, long, binary = tmp_path / "empty.txt", tmp_path / "long.txt", tmp_path / "binary.txt"
    empty.write_text("")
    long.write_text("word " * 2000 + "\nshort text\n")
    binary.write_bytes(os.urandom(64) + b"\xff\x00")
    assert "is empty" in fails("quickstart", "--texts", str(empty), "--out", str(tmp_path / "a"))
    assert "shorten it" in fails("quickstart", "--texts", str(long), "--out", str(tmp_path / "b"))
    assert "text file" in fails("quickstart", "--texts", str(binary), "--out", str(tmp_path / "c"))
    assert "no text was given" in fails("invert")


def test_unknown_model_and_device() -> None:
    assert "no model folder" in fails("invert", "--text", "a", "--model", "/nowhere/model")
    assert "is unknown" in fails("doctor", "--device", "abacus")
    assert "is not there" in fails("doctor", "--device", "neuron")


def test_output_folder_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    assert "cannot be written" in fails("quickstart", "--out", str(file / "run"))
    if os.geteuid() == 0:
        return  # root may write everywhere
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "cannot be written" in fails("quickstart", "--out", str(closed / "run"))


def test_database_of_another_version(tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    with sqlite3.connect(run_folder / "study.sqlite") as connection:
        connection.execute("CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)")
        connection.execute("INSERT INTO meta VALUES ('schema_version', '999')")
    assert "999" in fails("quickstart", "--out", str(run_folder))


def test_doctor_says_device_and_why() -> None:
    found = json.loads(run("doctor", "--device", "cpu", "--json").stdout)
    assert found["device"] == "cpu: asked for"
    assert "copyloom-tiny" in found["model"]


def test_doctor_takes_a_path_or_a_url_of_a_database(tmp_path: Path) -> None:
    open_database(tmp_path / "pool.sqlite").dispose()
    for given in (str(tmp_path / "pool.sqlite"), f"sqlite:///{tmp_path}/pool.sqlite"):
        found = json.loads(run("doctor", "--device", "cpu", "--database", given, "--json").stdout)["database"]
        assert found.endswith("pool.sqlite': schema version 2, 0 texts, 0 embeddings")
    failed = run("doctor", "--device", "cpu", "--database", "postgresql://me:secret@localhost:1/name", "--json")
    assert failed.exit_code == 1
    away = failed.stdout
    assert "cannot be used" in json.loads(away)["database"]
    assert "there is no database" not in away
    assert "secret" not in away


def test_report_of_nothing(tmp_path: Path) -> None:
    assert "no finished run" in fails("report", str(tmp_path))


def test_doctor_says_how_many_threads_there_are_and_how_they_wait() -> None:
    found = json.loads(run("doctor", "--device", "cpu", "--json").stdout)
    assert found["threads"].startswith(f"{torch.get_num_threads()} on {processors()} processors; they wait: ")
