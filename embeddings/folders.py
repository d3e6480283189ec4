"""Folders that runs write to: held by one run at a time, and each file in them whole or not there at all."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from copyloom import InputError

_STALE_SECONDS = 86_400


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
    """Yield a place for a new file, which takes the place of `path` once it is whole.

    A link stays, and what it points at is replaced. A device or a pipe stays too, and the whole file is written into
    it. The folder is made. Who may read the file is decided by the user's mask, whatever the library that writes it
    thinks.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        with _partial(path) as partial:
            mode = partial.stat().st_mode
            yield partial
            if is_special(path):
                with partial.open("rb") as whole, path.open("wb") as special:
                    shutil.copyfileobj(whole, special)
            else:
                partial.chmod(mode)
                os.replace(partial, os.path.realpath(path))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error}); free some space, or choose another place") from error


def check_output(path: Path) -> None:
    """Raise `InputError` unless a file can be written to `path` now: asked before the work whose result it takes."""
    target = Path(os.path.realpath(path))
    there = next(folder for folder in target.parents if folder.exists())  # others are made when the file is written
    try:
        with _partial(path if target.exists() else there / target.name):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error}); choose another place") from error


def keep_result(path: Path, write: Callable[[Path], object]) -> None:
    """Write what took long to find to `path` with `write`; where that fails, to a temporary folder, which is named.

    Raises
    ------
    InputError
        If `path` cannot be written; the message says where the result is now.
    """
    try:
        write(path)
    except InputError as error:
        if error.__cause__ is None:  # the result is refused, not the place
            raise
        raise InputError(f"{error}; the result is in {spare_result(path.name, write)}") from error


def spare_result(name: str, write: Callable[[Path], object]) -> Path:
    """Write what has no other place to a new temporary folder with `write`, and return the file."""
    spare = Path(tempfile.mkdtemp(prefix="copyloom-"), name)
    write(spare)
    return spare


def is_special(path: Path) -> bool:
    """Say whether a device, pipe or socket is there, which must not be replaced by a file."""
    return path.exists() and not path.is_file()


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Yield a new empty file from which `path` is to be made, beside it where it is a file; it is removed at the end.

    Its name is its own, so that two processes may write to one path. What killed ones left is removed after a day.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; give the path of a file")
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise PermissionError("no permission to write into it")
        with tempfile.TemporaryDirectory() as folder:
            (partial := Path(folder, "partial")).touch()
            yield partial
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{target.name[:40]}"
    for left in target.parent.glob(f"{glob.escape(stem)}.*.partial"):
        with suppress(OSError):  # another process may have removed it
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                left.unlink()
    partial = target.with_name(f"{stem}.{secrets.token_hex(4)}.partial")
    try:
        partial.touch(exist_ok=False)
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
