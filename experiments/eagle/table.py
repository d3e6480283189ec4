"""The table of what texts become by actions, with vectors and utilities: it grows as it is asked, and counts calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from copyloom import InputError
from experiments.eagle.actions import STOP, Action
from experiments.eagle.components import Components
from experiments.eagle.environments import Environment
from experiments.eagle.memo import Memo
from experiments.eagle.utility import Guard, Utility


class Table:
    """What one method knows of an environment.

    Each method has a table of its own, over an environment that all share: `calls` is then what the method would have
    asked of the environment alone, whatever others asked before.

    Parameters
    ----------
    environment : Environment
    actions : sequence of Action
        A of them. `STOP` is added as the last.
    encode : callable
        From texts to sentence vectors (n, S).
    utility : Utility
    guard : Guard, optional
    most_calls : int, optional
        When so many changes have been asked for, only known ones remain open.

    Attributes
    ----------
    vectors, utilities : callable
        From texts to sentence vectors (n, S), and to utilities (n,), float64.
    """

    def __init__(
        self, environment: Environment, actions: Sequence[Action], encode: Callable[[Sequence[str]], Tensor],
        utility: Utility, guard: Guard | None = None, most_calls: int | None = None,
    ) -> None:  # fmt: skip
        if not actions or len({action.name for action in actions}) < len(actions):
            raise InputError(f"{len(actions)} actions were given; give one or more, each with a name of its own")
        self.actions = (*actions, STOP)
        self.guard, self.most_calls = guard, most_calls
        self.vectors = Memo(encode)
        self.utilities = Memo(lambda texts: utility(self.vectors(texts)).double())
        self._nats = None if guard is None else Memo(guard.nats)
        self._environment = environment
        self._changed: dict[tuple[str, int], str] = {}

    @property
    def calls(self) -> int:
        """How many different changes were asked of the environment."""
        return len(self._changed)

    @property
    def stop(self) -> int:
        """The number of the action that ends a trajectory."""
        return len(self.actions) - 1

    def changed(self, texts: Sequence[str], choices: Sequence[int]) -> list[str]:
        """Return what each text becomes by the action of that number.

        Raises
        ------
        InputError
            If that takes more calls than are allowed.
        """
        wanted = dict.fromkeys((text, a) for text, a in zip(texts, choices, strict=True) if a != self.stop)
        fresh = [pair for pair in wanted if pair not in self._changed]
        if self.most_calls is not None and self.calls + len(fresh) > self.most_calls:
            raise InputError(
                f"{len(fresh)} changes are asked for after {self.calls}, but {self.most_calls} are allowed; allow "
                "more, or give fewer texts or actions"
            )
        if fresh:
            came = self._environment.changed([text for text, _ in fresh], [self.actions[a] for _, a in fresh])
            self._changed.update(zip(fresh, came, strict=True))
        return [text if a == self.stop else self._changed[text, a] for text, a in zip(texts, choices, strict=True)]

    def open(self, texts: Sequence[str]) -> Tensor:
        """Return which actions may be taken on each text: Tensor of shape (n, A + 1), bool.

        `STOP` always. Others unless they are known to leave the text as it is. Actions whose change is not known are
        open to as many of the texts, the first ones, as there are calls left.
        """
        opened = torch.ones(len(texts), len(self.actions), dtype=torch.bool)
        if self.most_calls is not None:
            opened[self.most_calls - self.calls :, : self.stop] = False
        for row, text in enumerate(texts):
            for a in range(self.stop):
                if came := self._changed.get((text, a)):
                    opened[row, a] = came != text
        return opened

    def realised(self, texts: Sequence[str]) -> list[list[str]]:
        """Return what each text becomes by each action, `STOP` among them: A calls for each text that is new here."""
        pairs = [(text, a) for text in texts for a in range(len(self.actions))]
        came = iter(self.changed([text for text, _ in pairs], [a for _, a in pairs]))
        return [[next(came) for _ in self.actions] for _ in texts]

    def gains(self, starts: Sequence[str], ends: Sequence[str]) -> Tensor:
        """Return what going from each start to its end is worth (n,): utility gained, less what the guard takes."""
        gained = self.utilities(ends) - self.utilities(starts)
        if self.guard is None or self._nats is None:
            return gained
        stranger = self._nats(ends).double() - self._nats(starts).double() - self.guard.slack
        return gained - self.guard.price * stranger.clamp(min=0)

    def mean_changes(self, components: Components) -> Tensor:
        """Return how far each action moved the components of texts, in the mean over what is known: (A + 1, d).

        Zero for an action of which nothing is known.
        """
        found = torch.zeros(len(self.actions), components.columns.shape[1], dtype=torch.float64)
        for a in range(len(self.actions)):
            if known := [(text, came) for (text, number), came in self._changed.items() if number == a]:
                before, after = (self.vectors(texts) for texts in zip(*known, strict=True))
                found[a] = (components(after) - components(before)).mean(0)
        return found
