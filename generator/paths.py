"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from copyloom import InputError


def expanded(path: str | Path) -> Path:
    """Return a path with its ``~``, or ``~user``, spelt out.

    Raises
    ------
    InputError
        If it is empty, or nobody knows that home folder.

    Examples
    --------
    >>> expanded("runs/a").as_posix()
    'runs/a'
    >>> expanded("")
    Traceback (most recent call last):
    ...
    copyloom.InputError: '' is no path; give the path of a file or folder
    """
    if not str(path):
        raise InputError("'' is no path; give the path of a file or folder")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{str(path)!r} begins with a home folder that is not known here; spell it out") from error
