"""Folders that runs write to: held by one run at a time, and each file in them whole or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from copyloom import InputError


@contextmanager
def held(folder: Path, runner: str, other: str) -> Iterator[None]:
    """Make a folder and hold it for one run at a time.

    Parameters
    ----------
    folder : Path
    runner, other : str
        What holds it, and what to choose instead, for the message: "another *run* writes to ...; choose another
        *--out*".

    Raises
    ------
    InputError
        If another holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise InputError(f"another {runner} is writing to {folder}; wait for it, or choose another {other}") from error
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be written ({error.strerror}); choose another {other}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` for a new file, which takes its place once it is whole.

    The folder is made. Who may read the file is decided by the user's mask, whatever the library that writes it thinks.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error}); free some space, or choose another place") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
