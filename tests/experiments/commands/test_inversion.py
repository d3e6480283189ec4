"""``copyloom invert``, ``merge`` and ``decode``: every text is inverted or refused with a reason, none is lost."""

import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from copyloom import InputError
from embeddings.database import open_database
from embeddings.exchange import load_embeddings
from embeddings.pool import Pool
from tests.experiments.commands.test_cli import fails, run

TEXTS = ["A quiet kettle.", "Ünïcode 😀 tea", "word " * 2000, "A leak-proof mug for early risers."]
FIT = [TEXTS[0], TEXTS[1], TEXTS[3]]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS))
    return str(path)


def data(*arguments: str) -> dict:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_invert_and_decode(file: str, tmp_path: Path) -> None:
    out = str(tmp_path / "e.safetensors")
    found = data("invert", "--texts", file, "--out", out, "--device", "cpu")
    assert (found["texts"], found["exact_share"], found["not_exact"]) == (3, 1.0, [])
    assert [row["text"] for row in found["refused"]] == [3]
    assert "shorten it" in found["refused"][0]["reason"]
    assert data("decode", out, "--device", "cpu")["texts"] == FIT


def test_a_job_in_shards_is_resumed_merged_and_put_into_a_pool(file: str, tmp_path: Path) -> None:
    folder, out, database = (str(tmp_path / name) for name in ("job", "e.safetensors", "pool.sqlite"))
    command = ("invert", "--texts", file, "--run", folder, "--device", "cpu", "--database", database)
    first = data(*command, "--shard", "1/2")
    assert (first["texts"], first["resumed"], first["exact_share"]) == (2, 0, 1.0)
    assert data(*command, "--shard", "1/2")["resumed"] == 2
    assert "shard-0-of-2 of the job" in fails("merge", folder)
    assert [row["text"] for row in data(*command, "--shard", "0/2")["refused"]] == [3]
    merged = data("merge", folder, "--out", out, "--database", database, "--pool", "all")
    assert (merged["texts"], merged["exact_share"], len(merged["refused"])) == (3, 1.0, 1)
    stored = load_embeddings(Path(out))
    assert [embedding.text for embedding in stored] == FIT
    engine = open_database(database)
    assert {e.text for e in Pool(engine, "texts", stored[0].space).members()} == set(FIT)
    assert [e.text for e in Pool(engine, "all", stored[0].space).members()] == FIT


def test_a_context_belongs_to_the_space(tmp_path: Path) -> None:
    out = str(tmp_path / "e.safetensors")
    given = ("--before", "About tea: ", "--device", "cpu")
    assert data("invert", "--text", "A quiet kettle.", "--out", out, *given)["exact_share"] == 1.0
    assert data("decode", out, *given)["texts"] == ["A quiet kettle."]
    assert "between 'About tea: ' and ''" in fails("decode", out, "--device", "cpu")


def test_mistakes_have_a_clear_error(file: str, tmp_path: Path) -> None:
    assert "no text was given" in fails("invert")
    assert "shorten it" in fails("invert", "--text", TEXTS[2])
    assert "write i/n with i from 0 to n - 1" in fails(
        "invert", "--texts", file, "--run", str(tmp_path), "--shard", "2/2"
    )
    assert "radius" in fails("invert", "--text", "a", "--radius", "-1")
    assert "Input should be 'adapter', 'token_mean'" in fails("invert", "--text", "a", "--start", "nowhere")
    assert "--shard needs --run" in fails("invert", "--texts", file, "--shard", "0/2")
    assert "leave --out to" in fails("invert", "--texts", file, "--run", str(tmp_path), "--out", "e.safetensors")
    assert "is for Python" in fails("invert", "--text", "a", "--start", "given")
    assert "begin one" in fails("merge", str(tmp_path / "nothing"))


def test_the_radius_with_the_fewest_steps_is_found() -> None:
    found = data("study", "radius", "--text", TEXTS[0], "--text", TEXTS[3], "--device", "cpu")
    best = min(found["trials"], key=lambda trial: (-trial["exact_share"], trial["steps"], trial["radius"]))
    assert found["radius"] == best["radius"]
    assert "start 'given' is unknown" in fails("study", "radius", "--text", "a", "--start", "given")


def test_the_number_of_vectors_is_the_adapters(tmp_path: Path) -> None:
    assert "adapter" in fails("study", "vectors", "--model", "copyloom-tiny", "--text", "a", "--device", "cpu")


def test_embeddings_carry_over_to_the_same_model_unchanged(tmp_path: Path) -> None:
    out = str(tmp_path / "e.safetensors")
    data("invert", "--text", TEXTS[0], "--text", TEXTS[3], "--out", out, "--device", "cpu")
    found = data("study", "transfer", out, "--model", "copyloom-tiny", "--device", "cpu")
    assert (found["exact_unchanged"], found["exact_carried"], found["steps_carried"]) == (1.0, 1.0, 0.0)


def test_a_long_job_runs_on_a_local_ray_cluster_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    texts, folder = tmp_path / "texts.txt", tmp_path / "job"
    texts.write_text("A quiet kettle.\nTea that wakes you.\nword " + "word " * 3000 + "\nGo.\n")
    command = ["invert", "--engine", "ray", "--texts", str(texts), "--run", str(folder), "--device", "cpu", "--json"]
    first = json.loads(run(*command).stdout)
    assert (first["texts"], first["exact"], first["refused"], first["resumed"]) == (4, 3, 1, 0)
    assert sum(pq.read_table(file).num_rows for file in (folder / "parquet").glob("*.parquet")) == 4
    assert json.loads(run(*command).stdout)["resumed"] == 3


def test_what_a_cluster_needs_is_said(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("A quiet kettle.\n")
    assert "needs --texts FILE and --run FOLDER" in fails("invert", "--engine", "ray", "--texts", str(texts))
    assert "unknown; use local or ray" in fails("invert", "--engine", "spark", "--texts", str(texts))
    given = ["invert", "--engine", "ray", "--texts", str(texts), "--run", str(tmp_path / "job"), "--address"]
    assert "no Ray cluster answers at 127.0.0.1:1" in fails(*given, "127.0.0.1:1")


def test_an_output_that_cannot_be_written_is_known_before_the_inversion(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path, tmp_path / "file" / "e.safetensors"):
        found = fails("invert", "--text", "A quiet kettle.", "--out", str(out), "--device", "cpu")
        assert "cannot be written" in found
        assert "inverting" not in found


def test_a_database_that_cannot_take_the_texts_is_known_before_the_inversion(tmp_path: Path) -> None:
    database = str(tmp_path / "pool.sqlite")
    command = ("invert", "--text", "A quiet kettle.", "--device", "cpu", "--database", database)
    data(*command)
    found = fails(*command, "--before", "Of tea: ")
    assert "texts" in found
    assert "inverting" not in found


def test_embeddings_that_a_pool_refuses_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise InputError("the database is locked")

    monkeypatch.setattr(Pool, "add", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command = ("invert", "--text", "A quiet kettle.", "--device", "cpu", "--database", str(tmp_path / "pool.sqlite"))
    assert "nothing is lost" in fails(*command)
    (kept,) = tmp_path.glob("copyloom-*/embeddings.safetensors")
    assert [embedding.text for embedding in load_embeddings(kept)] == ["A quiet kettle."]
    out = tmp_path / "mine.safetensors"
    assert str(out) in fails(*command, "--out", str(out))
    assert len(load_embeddings(out)) == 1


def test_a_device_given_as_output_stays_a_device() -> None:
    assert data("invert", "--text", "A quiet kettle.", "--out", "/dev/null", "--device", "cpu")["texts"] == 1
    assert Path("/dev/null").is_char_device()
