"""``copyloom dataset`` publishes what ``copyloom invert`` wrote, and finds what is wrong with a dataset."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from embeddings.dataset import load_dataset
from embeddings.exchange import load_embeddings, save_embeddings
from embeddings.job import run_shard
from embeddings.space import Space
from experiments.commands.cli import app

TEXTS = ["A quiet kettle.", "Ünïcode", "Go."]
ABOUT = ("--title", "Claims", "--licence", "CC-BY-4.0", "--source", "a test")


def run(*arguments):
    return CliRunner().invoke(app, ["dataset", *map(str, arguments)])


def fails(*arguments):
    """Return the error of a command that must fail with one line and no traceback."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stdout == ""
    return result.stderr


@pytest.fixture(autouse=True)
def loaded(space, monkeypatch):
    """The shipped model is loaded once for all commands."""
    monkeypatch.setattr(Space, "load", lambda *arguments, **named: space)


@pytest.fixture(scope="module")
def stored(space, tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "claims.safetensors"
    save_embeddings(space.invert(TEXTS), path)
    return path


def test_a_file_is_published_and_checked(stored, tmp_path):
    published = run("publish", stored, "--out", tmp_path / "out", *ABOUT, "--revision", "v3", "--json")
    found = json.loads(published.stdout)
    size = sum(file.stat().st_size for file in (tmp_path / "out").glob("[et]*"))
    assert found == {
        "folder": str(tmp_path / "out"), "texts": 3, "exact_share": 1.0, "bytes": size, "texts_included": True,
        "refused": 0,
    }  # fmt: skip
    assert load_dataset(tmp_path / "out").record.revision == "v3"
    checked = run("check", tmp_path / "out", "--json")
    found = json.loads(checked.stdout)
    assert checked.exit_code == 0
    assert (found["title"], found["licence"], found["texts"], found["exact_share"]) == ("Claims", "CC-BY-4.0", 3, 1.0)
    assert found["decoded"] == {"texts": 3, "exact": 3, "broken_rows": []}
    assert json.loads(run("check", tmp_path / "out", "--sample", 2, "--json").stdout)["decoded"]["texts"] == 2
    assert json.loads(run("check", tmp_path / "out", "--sample", 0, "--json").stdout)["decoded"] is None


def test_a_job_is_published_without_the_texts_it_refused(space, tmp_path):
    run_shard(space, [TEXTS[0], "word " * 2000, *TEXTS[1:]], tmp_path / "job")
    found = json.loads(run("publish", tmp_path / "job", "--out", tmp_path / "out", *ABOUT, "--json").stdout)
    assert (found["texts"], found["refused"]) == (3, 1)
    assert [embedding.text for embedding in load_dataset(tmp_path / "out").embeddings()] == TEXTS
    shown = run("publish", tmp_path / "job", "--out", tmp_path / "again", *ABOUT).stdout
    assert "left out, because inversion refused them: 1" in shown
    (tmp_path / "job" / "shard-0-of-1" / "done.json").unlink()
    assert "is not finished" in fails("publish", tmp_path / "job", "--out", tmp_path / "third", *ABOUT)
    assert not (tmp_path / "third").exists()


def test_a_dataset_without_texts_is_checked_all_the_same(stored, tmp_path):
    run("publish", stored, "--out", tmp_path / "out", *ABOUT, "--without-texts")
    assert "text" not in load_dataset(tmp_path / "out").table.column_names
    assert json.loads(run("check", tmp_path / "out", "--json").stdout)["decoded"]["exact"] == 3


def test_a_text_that_does_not_decode_ends_with_exit_code_1(stored, tmp_path):
    first, second, third = load_embeddings(stored)
    save_embeddings([first, replace(second, vectors=third.vectors), third], tmp_path / "broken.safetensors")
    run("publish", tmp_path / "broken.safetensors", "--out", tmp_path / "out", *ABOUT)
    checked = run("check", tmp_path / "out", "--json")
    assert checked.exit_code == 1
    assert json.loads(checked.stdout)["decoded"] == {"texts": 3, "exact": 2, "broken_rows": [1]}
    shown = run("check", tmp_path / "out")
    assert shown.exit_code == 1
    assert "row 1 is marked exact and decodes to something else" in shown.stdout


def test_what_cannot_be_published_or_checked_is_said_in_one_line(stored, tmp_path):
    assert "there is no file" in fails("publish", tmp_path / "nothing", "--out", tmp_path / "out", *ABOUT)
    assert "holds no job" in fails("publish", tmp_path, "--out", tmp_path / "out", *ABOUT)
    assert "licence of the texts is blank" in fails(
        "publish", stored, "--out", tmp_path / "out", *ABOUT, "--licence", ""
    )
    run("publish", stored, "--out", tmp_path / "out", *ABOUT)
    assert "is there already" in fails("publish", stored, "--out", tmp_path / "out", *ABOUT)
    assert "it has no dataset.json" in fails("check", tmp_path)
    (tmp_path / "out" / "texts.parquet").write_text("")
    assert "is damaged or of another dataset" in fails("check", tmp_path / "out")
    unlicensed = run("publish", stored, "--out", tmp_path / "new", "--title", "a", "--source", "b")
    assert unlicensed.exit_code == 2
    assert "--licence" in unlicensed.stderr
