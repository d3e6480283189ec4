"""What was written before comes back as it was, and only where it would be written so again."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copyloom import InputError
from embeddings.database import open_database
from embeddings.space import Space
from embeddings.summary import Lineage
from embeddings.writing import MixtureWriter
from experiments.campaigns import memo
from experiments.campaigns.config import CampaignConfig
from experiments.campaigns.given import Given
from experiments.campaigns.workshop import hired
from experiments.campaigns.writer import Writer
from experiments.texts import shipped_claims

CLAIMS, PRODUCT = shipped_claims()
MIXTURES = [Lineage((CLAIMS[0], CLAIMS[3]), (0.5, 0.5)), Lineage((CLAIMS[1],), (1.0,))]


@pytest.fixture(scope="module")
def folder(space: Space, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder in which one run has written; the model is loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Space, "load", lambda *_, **__: space)
        found = tmp_path_factory.mktemp("memo")
        writer(found, "first").write(MIXTURES)
        yield found


def writer(folder: Path, run: str, texts: int = 5, **settings: Any) -> Writer:
    """Return the writer of a run of its own, which shares what lies in `folder`."""
    given = Given(CLAIMS[:texts], PRODUCT, CLAIMS[:2], [])
    engine = open_database(folder / f"{run}.sqlite")
    return hired(CampaignConfig(device="cpu", **settings), given, engine, lambda *_: None, memo=folder / "memo")[1]


def test_another_run_writes_and_inverts_nothing_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = writer(folder, "first")
    drafts = first.write(MIXTURES)
    first.embed({drafts[0][0].text: MIXTURES[0]})
    monkeypatch.setattr(MixtureWriter, "write_about", lambda *_: pytest.fail("written again"))
    monkeypatch.setattr(Space, "invert", lambda *_: pytest.fail("inverted again"))
    again = writer(folder, "again")
    assert again.write([MIXTURES[1], MIXTURES[0]]) == [drafts[1], drafts[0]]
    again.embed({drafts[0][0].text: MIXTURES[0]})
    for text, embedding in first.embeddings.items():
        assert again.embeddings[text].vectors.equal(embedding.vectors)
        assert again.embeddings[text].sentence_vector.equal(embedding.sentence_vector)
        assert again.embeddings[text].lineage == embedding.lineage


@pytest.mark.parametrize(
    "changes",
    [{"texts": 6}, {"rules": {"max_characters": 90}}, {"proposer": {"effort": {"drafts": 3}}},
     {"inversion": {"margin": 2.0}}],
)  # fmt: skip
def test_other_texts_rules_effort_or_inversions_are_written_anew(changes: Any, folder: Path) -> None:
    first, other = writer(folder, "first"), writer(folder, str(changes), **changes)
    assert found(first) == set(MIXTURES)
    assert not found(other)


def test_other_code_writes_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_code", lambda: "changed")
    assert not found(writer(folder, "first"))


def test_what_is_old_is_forgotten_and_what_is_damaged_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = memo.time.time() + 86_400 * 31
    monkeypatch.setattr(memo.time, "time", lambda: later)
    assert not found(writer(folder, "first"))
    (folder / "memo" / "drafts.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"drafts\.sqlite.* delete it, or set COPYLOOM_MEMO=off"):
        writer(folder, "last")


def found(one: Writer) -> set[Lineage]:
    assert one.memo is not None
    return set(one.memo.recall(MIXTURES, one.embeddings))


def test_commands_keep_it_in_the_cache_unless_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COPYLOOM_MEMO", "off")
    assert memo.usual_folder() is None
    monkeypatch.setenv("COPYLOOM_MEMO", str(tmp_path))
    assert memo.usual_folder() == tmp_path
    monkeypatch.delenv("COPYLOOM_MEMO")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert memo.usual_folder() == tmp_path / "copyloom" / "memo"


@pytest.mark.usefixtures("folder")
def test_what_is_damaged_is_written_and_inverted_again(tmp_path: Path) -> None:
    first = writer(tmp_path, "first", texts=2)
    drafts = first.write(MIXTURES[1:])
    for file in (tmp_path / "memo").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:100])
    with sqlite3.connect(tmp_path / "memo" / "drafts.sqlite") as connection:
        connection.execute("UPDATE drafts SET drafts = '[{'")
    again = writer(tmp_path, "again", texts=2)
    assert again.write(MIXTURES[1:]) == drafts
    assert again.embeddings.keys() == first.embeddings.keys()
    assert all(file.stat().st_size > 100 for file in (tmp_path / "memo").glob("*.safetensors"))


def test_where_nothing_can_be_kept_it_is_said_and_a_folder_that_is_named_refused(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, said = tmp_path / "a file", list[str]()
    place.write_text("")
    monkeypatch.delenv("COPYLOOM_MEMO")
    assert memo.opened(place / "memo", space, lambda what, *_: said.append(what)) is None
    assert said[0].startswith("nothing is kept for other runs: ")
    monkeypatch.setenv("COPYLOOM_MEMO", str(place / "memo"))
    with pytest.raises(InputError, match="COPYLOOM_MEMO=off"):
        memo.opened(place / "memo", space, lambda *_: None)


def test_what_is_old_is_forgotten(space: Space, tmp_path: Path) -> None:
    old, young = tmp_path / "old.safetensors", tmp_path / "young.safetensors"
    for file in (old, young):
        file.write_bytes(b"")
    os.utime(old, (0, 0))
    memo.Memo(tmp_path, space)
    assert not old.exists()
    assert young.exists()
