"""What was decoded and measured, kept on disk way by way, so that a study that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from experiments.studies.interventions.measuring import Outcome
from experiments.studies.interventions.ways import Way


class Kept:
    """Outcomes by part, way and wish, in a file of one line each.

    Parameters
    ----------
    folder : Path
    identity : str
        Of all that outcomes depend on, but for the way: another one has a file of its own.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"outcomes-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.jsonl"
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        self._known: dict[str, list[Outcome]] = {}
        for line in lines:
            try:
                key, rows = json.loads(line)
            except ValueError:  # the study was stopped while it wrote this line
                continue
            self._known[key] = [Outcome(**row) for row in rows]

    def get(self, part: str, way: Way, wish: str, measure: Callable[[], Sequence[Outcome]]) -> list[Outcome]:
        """Return what is known of a way, or measure it and keep it."""
        key = json.dumps([part, asdict(way), wish])
        if key not in self._known:
            self._known[key] = list(measure())
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" * (self._torn()) + json.dumps([key, [one.row for one in self._known[key]]]) + "\n")
        return self._known[key]

    def _torn(self) -> bool:
        """Say whether the file ends in the middle of a line."""
        if not self._path.exists() or not self._path.stat().st_size:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b"\n"
