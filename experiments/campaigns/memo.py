"""What was written and inverted before, on disk, each under a hash of all that it depends on: for whoever asks next."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from copyloom import InputError, Progress, Report
from embeddings.exchange import load_embeddings, save_embeddings
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
from embeddings.summary import Lineage, SummaryEmbedding
from experiments.campaigns.events import Draft
from experiments.versions import model_files, versions
from generator.paths import expanded

_DRAFTS = TypeAdapter(tuple[Draft, ...])
_DAYS = 30
"""After which what was written is forgotten."""
_MANY = 500
"""Keys that a query asks for."""
_TABLE = "CREATE TABLE IF NOT EXISTS drafts (key TEXT PRIMARY KEY, drafts TEXT NOT NULL, at REAL NOT NULL)"


def usual_folder() -> Path | None:
    """Return where commands keep it: ``$COPYLOOM_MEMO``, or ``copyloom/memo`` in the user's cache; None if off."""
    named = os.environ.get("COPYLOOM_MEMO")
    if named is not None:
        return None if named in ("", "off") else expanded(named)
    try:
        return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "copyloom" / "memo"
    except InputError:  # no home folder
        return None


def opened(folder: Path | None, space: Space, report: Report, **settings: Any) -> Memo | None:
    """Return the memo of a folder; None without one, and, which is reported, where none can be kept.

    Raises
    ------
    InputError
        If ``$COPYLOOM_MEMO`` names a folder in which none can be kept.
    """
    try:
        return None if folder is None else Memo(folder, space, **settings)
    except InputError as error:
        if os.environ.get("COPYLOOM_MEMO"):
            raise
        report(f"nothing is kept for other runs: {error}", 0, 1)
        return None


class Memo:
    """Drafts of mixtures, and embeddings of texts that were inverted together, as one space and its settings made them.

    Nothing is found that was made by another model, other settings, versions or lines of code: what is found is what
    would be made.

    Parameters
    ----------
    folder : Path
    space : Space
    **settings
        All else that drafts depend on, as JSON holds it.
    """

    def __init__(self, folder: Path, space: Space, **settings: Any) -> None:
        self.folder = folder
        device = space.model.device
        self._space = _hash(asdict(space.identity), device.type, device.has_bfloat16, _cpu(), versions(),
                            model_files(space.model.name), _code())  # fmt: skip
        self._settings = _hash(self._space, settings)
        self._parents: dict[str, str] = {}
        with self._drafts() as connection:
            connection.execute(_TABLE)
            connection.execute("DELETE FROM drafts WHERE at < ?", (_long_ago(),))
        for file in folder.glob("*.safetensors"):
            with suppress(OSError):  # another process was sooner
                if file.stat().st_mtime < _long_ago():
                    file.unlink()

    def recall(self, lineages: Sequence[Lineage], parents: Mapping[str, SummaryEmbedding]) -> dict[Lineage, Any]:
        """Return the drafts of those lineages that were written before, from such parents."""
        by_key = {self._key(lineage, parents): lineage for lineage in lineages}
        found: dict[Lineage, tuple[Draft, ...]] = {}
        keys = list(by_key)
        with self._drafts() as connection:
            for first in range(0, len(keys), _MANY):
                some = keys[first : first + _MANY]
                query = f"SELECT key, drafts FROM drafts WHERE key IN ({', '.join('?' * len(some))})"
                for key, drafts in connection.execute(query, some):
                    with suppress(ValidationError):  # a damaged row is written again
                        found[by_key[key]] = _DRAFTS.validate_json(drafts)
        return found

    def keep(self, drafts: Mapping[Lineage, tuple[Draft, ...]], parents: Mapping[str, SummaryEmbedding]) -> None:
        """Keep the drafts of lineages."""
        rows = [(self._key(lineage, parents), _DRAFTS.dump_json(some).decode(), time.time())
                for lineage, some in drafts.items()]  # fmt: skip
        with self._drafts() as connection:
            connection.executemany("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)", rows)

    def file_of(self, texts: Sequence[str], config: InversionConfig) -> Path:
        """Return the file of the embeddings of texts that are inverted together.

        Of the same texts in the same order: vectors depend on the texts beside them in their last digits.
        """
        return self.folder / f"{_hash(self._space, config.model_dump(), list(texts))}.safetensors"

    @contextmanager
    def _drafts(self) -> Iterator[sqlite3.Connection]:
        file = self.folder / "drafts.sqlite"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(file, timeout=60)) as connection, connection:
                yield connection
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{file}, which keeps what was written before, cannot be used ({error}); delete it, or "
                             "set COPYLOOM_MEMO=off to do without") from error  # fmt: skip

    def _key(self, lineage: Lineage, parents: Mapping[str, SummaryEmbedding]) -> str:
        for text in lineage.parents:
            if text not in self._parents:
                one = parents[text]
                arrays = hashlib.sha256(one.vectors.numpy().tobytes() + one.sentence_vector.numpy().tobytes())
                self._parents[text] = arrays.hexdigest()
        return _hash(
            self._settings, lineage.parents, [self._parents[text] for text in lineage.parents], lineage.weights
        )


def inverted(
    space: Space, texts: Sequence[str], config: InversionConfig | None, memo: Memo | None,
    progress: Progress = lambda done, total: None,
) -> list[SummaryEmbedding]:  # fmt: skip
    """Return the embeddings of texts, inverted unless a memo has them."""
    file = memo and memo.file_of(texts, config or space.default_inversion)
    if file and file.exists():
        with suppress(InputError):  # a damaged file is written again
            return load_embeddings(file)
    found = space.invert(texts, config, progress)
    if file:
        save_embeddings(found, file)
    return found


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _long_ago() -> float:
    return time.time() - 86_400 * _DAYS


def _cpu() -> str:
    """Return what the processor can do, on which the last digits depend."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@cache
def _code() -> str:
    """Return a hash of the code that writes, with its word lists."""
    digest = hashlib.sha256()
    for package in ("generator", "embeddings", "experiments.campaigns"):
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.yaml"), *folder.rglob("*.txt.gz")]):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
