"""Environments: what changes texts as actions ask, every change kept on disk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from copyloom import InputError
from experiments.eagle.actions import Action


class Environment(Protocol):
    """Changes texts: the agent's world."""

    def changed(self, texts: Sequence[str], actions: Sequence[Action]) -> list[str]:
        """Return what each text becomes by its action; a text that could not be changed, as it was."""
        ...


@dataclass(frozen=True)
class Change:
    """What came of an action.

    Parameters
    ----------
    text : str
        As it is now.
    fault : str
        Why it is as it was before; empty where it was changed.
    lasting : bool
        Whether the same would come of it another time: not where a server was down.
    """

    text: str
    fault: str = ""
    lasting: bool = True


class Changer(Protocol):
    """Does what actions say, and says what went wrong."""

    @property
    def name(self) -> str:
        """What tells it, its model and its settings from all others."""
        ...

    def changes(self, texts: Sequence[str], actions: Sequence[Action], seed: int) -> Iterator[Change]:
        """Yield what came of each action on its text, in their order."""
        ...


@dataclass(eq=False)
class Remembered:
    """An environment that keeps every change on disk, as it comes: nothing is asked twice, by any method, in any run.

    A change is known by what changed it (`Changer.name`), the text, what was done (`Action.key`) and the seed. One run
    at a time may write to a file.

    Parameters
    ----------
    changer : Changer
    file : Path
        A line of JSON for each change.
    seed : int
    """

    changer: Changer
    file: Path
    seed: int = 0
    _known: dict[tuple[str, str], Change] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what is kept of this changer and seed; a last line that a kill cut short counts for nothing."""
        if not self.file.exists():
            return
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                kept = json.loads(line)
            except json.JSONDecodeError:
                continue
            if (kept["environment"], kept["seed"]) == (self.changer.name, self.seed):
                self._known[kept["text"], kept["action"]] = Change(kept["changed"], kept["fault"])

    @property
    def faults(self) -> Counter[str]:
        """How many of the changes failed, in this run or one before, by what went wrong."""
        return Counter(change.fault for change in self._known.values() if change.fault)

    @property
    def calls(self) -> int:
        """How many different changes were asked for, in this run or one before."""
        return len(self._known)

    def changed(self, texts: Sequence[str], actions: Sequence[Action]) -> list[str]:
        """Return what each text becomes by its action; see `Environment`.

        Raises
        ------
        InputError
            If there is not one action a text; and what the changer raises. All changes up to then are kept.
        """
        if len(texts) != len(actions):
            raise InputError(f"{len(texts)} texts and {len(actions)} actions were given; pass one action a text")
        pairs = [(text, action.key) for text, action in zip(texts, actions, strict=True)]
        fresh = {pair: action for pair, action in zip(pairs, actions, strict=True) if pair not in self._known}
        came = self.changer.changes([text for text, _ in fresh], list(fresh.values()), self.seed)
        for pair, change in zip(fresh, came, strict=True):
            self._known[pair] = change
            if change.lasting:
                self._keep(pair, change)
        return [self._known[pair].text for pair in pairs]

    def _keep(self, pair: tuple[str, str], change: Change) -> None:
        text, action = pair
        kept = {"environment": self.changer.name, "seed": self.seed, "text": text, "action": action}
        said = asdict(change)
        kept |= {"changed": said["text"], "fault": said["fault"]}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                torn = file.read(1) != b"\n"
            else:
                torn = False
            file.write(b"\n" * torn + json.dumps(kept, ensure_ascii=False).encode() + b"\n")
