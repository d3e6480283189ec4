"""Where the bytes of a file come from: a path, standard input or a pipe, compressed by gzip or not."""

from __future__ import annotations

import gzip
import io
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from copyloom import InputError

STANDARD_INPUT = "-"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Source:
    """A file that can be opened as often as needed.

    Parameters
    ----------
    name : str
        What people call it.
    suffix : str
        Of its name, in lower case and without ``.gz``; "" where there is none.
    path : Path, optional
        Of a file on disk.
    data : bytes, optional
        All of it, where it comes through a pipe.
    """

    name: str
    suffix: str
    path: Path | None = None
    data: bytes | None = None

    def open(self) -> BinaryIO:
        """Return the bytes from the start, unpacked.

        Raises
        ------
        InputError
            If it is named as compressed by gzip and is not.
        OSError
            If it cannot be read.
        """
        raw = cast(BinaryIO, self.path.open("rb")) if self.path is not None else io.BytesIO(self.data or b"")
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if packed and self.path is not None:
            raw.close()
            return cast(BinaryIO, gzip.open(self.path))
        if packed:
            return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        if self.path is not None and self.path.suffix.lower() == ".gz":
            raw.close()
            raise InputError(f"{self.name} cannot be read as a table: it is named .gz and is not compressed by gzip")
        return raw


def find_source(path: Path | str) -> Source:
    """Return where the bytes of a path come from; a pipe is read to its end, once.

    Parameters
    ----------
    path : Path or str
        ``-`` is standard input.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    """
    path = Path(path)
    if str(path) == STANDARD_INPUT:
        return Source("standard input", "", data=_piped(STANDARD_INPUT))
    if not path.exists() or path.is_dir():
        raise InputError(
            f"there is no file {path}; give a text file with one text a line, or a CSV, JSON lines, Parquet or Excel "
            "file"
        )
    if not path.is_file():
        return Source(str(path), "", data=_piped(str(path)))
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return Source(str(path), plain.suffix.lower(), path)


@cache
def _piped(name: str) -> bytes:
    """All bytes of a pipe: kept, for a pipe gives them once and a command may look twice."""
    try:
        if name == STANDARD_INPUT:
            return sys.stdin.buffer.read()
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from error
