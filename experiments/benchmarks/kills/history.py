"""What clients asked and what they were told, on disk before it counts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class History:
    """A file of JSON lines: what is sent, and what is acknowledged.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def sent(self, operation: str, arguments: dict[str, Any]) -> None:
        """Note what is about to be asked."""
        self._write({"sent": operation, **arguments}, durable=operation == "approve")

    def acknowledged(self, operation: str, arguments: dict[str, Any], answer: tuple[str, Any]) -> None:
        """Note what was answered; it is on disk afterwards."""
        self._write({"acknowledged": operation, **arguments, "answer": list(answer)}, durable=True)

    def close(self) -> None:
        """Write what waits."""
        self._file.close()

    def _write(self, line: dict[str, Any], durable: bool) -> None:
        with self._lock:
            self._file.write(json.dumps(line) + "\n")
            if durable:
                self._file.flush()
                os.fsync(self._file.fileno())


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a history."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
