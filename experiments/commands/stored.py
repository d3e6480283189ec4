"""Whether what a command was given is, or holds, a database of campaigns and embeddings."""

from __future__ import annotations

from pathlib import Path

from copyloom import InputError
from generator.paths import expanded

_SQLITE = b"SQLite format 3\x00"


def database_of(source: str) -> str | Path | None:
    """Return the database that a source is, or holds: a path or URL; None where it is a file of another kind.

    Raises
    ------
    InputError
        If it is a folder that holds no run.
    """
    from experiments.simulation.runs import DATABASE

    if "://" in source:
        return source
    path = expanded(source)
    if path.is_dir():
        if not (path / DATABASE).is_file():
            raise InputError(f"{path} holds no run ({DATABASE} is missing); give a folder such as runs/quickstart, or "
                             "a file of texts")  # fmt: skip
        return path / DATABASE
    if path.is_file():
        with path.open("rb") as file:
            return path if file.read(len(_SQLITE)) == _SQLITE else None
    return None
