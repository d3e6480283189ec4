"""The shipped writer as environment: its own edits (steer, mix, rewrite), checked as everything that it writes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from copyloom import InputError
from embeddings.directions import Direction
from embeddings.effort import Effort
from embeddings.mixed import Mixed
from embeddings.mixing import adapt, is_new
from embeddings.refusals import refusals_of
from embeddings.search import CASES
from embeddings.space import Space
from embeddings.steering import adapter_of, objections, steer, towards
from embeddings.summary import SummaryEmbedding
from experiments.eagle.actions import Action, Mix, Operation, Steer
from experiments.eagle.environments import Change
from generator.checks import STRAYS

NOTHING, UNFIT = "nothing was found", "not fit to print"


@dataclass(eq=False)
class WriterEdits:
    """Changes texts by the operations of actions, in groups; a text for which nothing fit is written stays as it was.

    Texts are stored as their adapter's vectors, without the steps of inversion: an edit is to leave the text anyway.
    The writer draws nothing at random, so a seed does not matter.

    Parameters
    ----------
    space : Space
        With an adapter.
    directions : sequence of Direction
        That actions may name.
    effort : Effort
        See `embeddings.steering.steer`.
    """

    space: Space
    directions: Sequence[Direction]
    effort: Effort = field(default_factory=lambda: Effort(drafts=5, rounds=1))

    def __post_init__(self) -> None:
        """Raise where the model has no adapter."""
        adapter_of(self.space)

    @cached_property
    def name(self) -> str:
        """The space's, with what bears on its edits."""
        digest = hashlib.sha256(b"".join(one.normal.numpy().tobytes() for one in self.directions)).hexdigest()[:16]
        names = ", ".join(direction.name for direction in self.directions)
        identity = self.space.identity
        return f"{identity}, adapter {identity.adapter}, directions {names} ({digest}), {self.effort}"

    def changes(self, texts: Sequence[str], actions: Sequence[Action], seed: int) -> Iterator[Change]:
        """Yield what came of each action; see `Changer`.

        Raises
        ------
        InputError
            If an action has no operations, or a direction is not known.
        """
        self._check(actions)
        for first in range(0, len(texts), CASES):
            part = slice(first, first + CASES)
            yield from self._together(texts[part], [action.operations for action in actions[part]])

    def _check(self, actions: Sequence[Action]) -> None:
        known = {direction.name for direction in self.directions}
        for action in actions:
            if not action.operations:
                raise InputError(f"action {action.name!r} is in words; the writer's own edits need operations")
            for one in action.operations:
                if isinstance(one, Steer) and one.direction not in known:
                    raise InputError(f"there is no direction {one.direction!r}; there are {', '.join(sorted(known))}")

    def _together(self, texts: Sequence[str], operations: Sequence[tuple[Operation, ...]]) -> list[Change]:
        """Return what came of the operations of some texts: the first of each, then the second where there is one."""
        now, faults = list(texts), [""] * len(texts)
        for stage in range(max(map(len, operations))):
            rows = [row for row, mine in enumerate(operations) if stage < len(mine)]
            for mixes in (False, True):
                some = [row for row in rows if isinstance(operations[row][stage], Mix) == mixes]
                done = (self._mixed if mixes else self._moved)(
                    [now[row] for row in some], [operations[row][stage] for row in some]
                )
                for row, change in zip(some, done, strict=True):
                    now[row], faults[row] = change.text, change.fault or faults[row]
        return [Change(text, fault if text == before else "")
                for text, fault, before in zip(now, faults, texts, strict=True)]  # fmt: skip

    def _stored(self, texts: Sequence[str]) -> list[SummaryEmbedding]:
        points = self.space.encoder.encode(texts)
        vectors = adapt(adapter_of(self.space), points)
        return [SummaryEmbedding(*row, self.space.identity, False, 0.0, 0, "adapter")
                for row in zip(texts, vectors, points, strict=True)]  # fmt: skip

    def _moved(self, texts: Sequence[str], operations: Sequence[Operation]) -> list[Change]:
        """Return what is written at the texts' points, steered where they are to be."""
        if not texts:
            return []
        stored = self._stored(texts)
        points = torch.cat([self._point(one, what) for one, what in zip(stored, operations, strict=True)])
        found = steer(self.space, stored, points, self.effort)
        asked = [one.direction if isinstance(one, Steer) and one.strength > 0 else "" for one in operations]
        fit = [one and not objections(one, asked=style, critic=self.space.critic)
               for one, style in zip(found, asked, strict=True)]  # fmt: skip
        return [
            Change(text, NOTHING) if one is None else Change(one.text) if good else Change(text, UNFIT)
            for text, one, good in zip(texts, found, fit, strict=True)
        ]

    def _point(self, stored: SummaryEmbedding, operation: Operation) -> Tensor:
        if not isinstance(operation, Steer):
            return stored.sentence_vector[None]
        direction = next(one for one in self.directions if one.name == operation.direction)
        return towards([stored], direction, operation.strength)

    def _mixed(self, texts: Sequence[str], operations: Sequence[Operation]) -> list[Change]:
        """Return mixtures of each text with its operation's other one."""
        mixes = [one for one in operations if isinstance(one, Mix)]
        if not mixes:
            return []
        stored = [self._stored([text, mix.other]) for text, mix in zip(texts, mixes, strict=True)]
        vectors, points = (
            torch.stack([torch.stack([getattr(one, kind) for one in pair]) for pair in stored])
            for kind in ("vectors", "sentence_vector")
        )
        weights = torch.tensor([[1 - mix.weight, mix.weight] for mix in mixes])
        families = [(text, mix.other) for text, mix in zip(texts, mixes, strict=True)]
        written = self.space.writer.write_nearest(vectors, points, weights, families, self.effort)
        return [
            Change(family[0], NOTHING) if not wording.is_usable
            else Change(wording.text) if self._fits(wording.text, family) else Change(family[0], UNFIT)
            for (wording, _), family in zip(written, families, strict=True)
        ]  # fmt: skip

    def _fits(self, text: str, family: tuple[str, str]) -> bool:
        """Say whether a mixture is new and breaks no rule, but that it may stray: the next edit goes further."""
        nothing = torch.empty(0)
        refused = refusals_of(Mixed(nothing, nothing, family), [text], uncounted=False)[0]
        return is_new(text, family) and {refusal.code for refusal in refused} <= STRAYS
