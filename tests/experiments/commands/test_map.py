"""``copyloom map``: numbers for programs, a page and a table for people, clear errors."""

import json
from pathlib import Path
from typing import Any

import pytest

from embeddings.database import open_database
from embeddings.exchange import save_embeddings
from embeddings.pool import Pool
from tests.experiments.commands.test_cli import fails, run

TEXTS = ["This quiet kettle is made of steel.", "A lamp for late readers.", "A mug that keeps cocoa hot."]
TINY = ("--model", "copyloom-tiny")
JSON = ("--device", "cpu", "--json")


def found_in(folder: Path, *arguments: str) -> dict[str, Any]:
    result = run("map", *arguments, "--out", str(folder), *JSON)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert json.loads((folder / "map.json").read_text(encoding="utf-8")) == found
    return found


def test_the_shipped_claims_make_the_same_map_twice(tmp_path: Path) -> None:
    first, again = (found_in(tmp_path / name, *TINY) for name in ("first", "again"))
    assert (first["texts"], first["method"], first["dimensions"]) == (60, "pca", 384)
    assert 0 < first["by_chance"] < first["kept"] < first["trustworthiness"] < 1
    assert 0 < first["variance"][1] < first["variance"][0] < 0.5
    assert sum(first["styles"].values()) == 60
    assert first["opens"].startswith("embedding-atlas ")
    for file in ("map.html", "map.parquet"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    assert {**again, "page": "", "table": "", "opens": ""} == {**first, "page": "", "table": "", "opens": ""}


def test_one_text_files_of_embeddings_and_databases_are_mapped(tmp_path: Path, space: Any) -> None:
    (tmp_path / "texts.txt").write_text(TEXTS[0])
    assert found_in(tmp_path, str(tmp_path / "texts.txt"), *TINY)["kept"] is None
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    assert found_in(tmp_path, str(tmp_path / "texts.txt"), *TINY, "--of", "vectors")["dimensions"] == 8 * 256
    stored = space.invert(TEXTS)
    save_embeddings(stored, tmp_path / "stored.safetensors")
    engine = open_database(tmp_path / "pool.db")
    Pool(engine, "texts", space.identity).add(stored)
    engine.dispose()
    for source in ("stored.safetensors", "pool.db"):
        for of in ("meaning", "vectors"):
            found = found_in(tmp_path, str(tmp_path / source), "--of", of)
            assert (found["texts"], found["kinds"]) == (3, {"stored": 3})
        for option in (TINY, ("--column", "text")):
            refused = fails("map", str(tmp_path / source), *option, "--out", str(tmp_path))
            assert "--column and --model are of a table of texts" in refused
    refused = fails("map", str(tmp_path / "pool.db"), "--campaign", "one", "--out", str(tmp_path))
    assert "there is no campaign 'one' among 0; there are none\n" in refused


@pytest.mark.parametrize(("arguments", "message"), [
    (("none.csv",), "there is no file none.csv"),
    (("none.safetensors",), "there is no file none.safetensors"),
    ((".",), "holds no run"),
    (("--of", "sound"), "--of 'sound' is unknown; map the meaning"),
    (("--method", "tsne"), "--method 'tsne' is unknown; use pca"),
    (("--campaign", "one"), "--campaign is of a run"),
    (("--column", "text"), "--column is of a table of texts; name its file"),
    (("sqlite:///none.db",), "none.db"),
])  # fmt: skip
def test_what_is_asked_wrongly_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails("map", *arguments, "--out", str(tmp_path / "out"), *JSON)


def test_a_place_that_is_none_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert "cannot be written" in fails("map", "none.csv", "--out", str(tmp_path / "file"), *JSON)
