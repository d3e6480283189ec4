"""A world whose closed forms are known: texts are points, actions add fixed steps to them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.eagle.actions import Action, Rewrite


class Steps:
    """An environment in which an action adds its step to a point; it counts what it is asked."""

    def __init__(self, steps: dict[str, Sequence[float]]) -> None:
        self.steps, self.asked = steps, 0

    @property
    def actions(self) -> list[Action]:
        return [Action(name, "generic", operations=(Rewrite(),)) for name in self.steps]

    def changed(self, texts: Sequence[str], actions: Sequence[Action]) -> list[str]:
        self.asked += len(texts)
        moved = encode(texts) + torch.tensor([self.steps[action.name] for action in actions])
        return [said(point) for point in moved.tolist()]


def said(point: Sequence[float]) -> str:
    return " ".join(f"{number:g}" for number in point)


def encode(texts: Sequence[str]) -> Tensor:
    return torch.tensor([[float(number) for number in text.split()] for text in texts])
