"""How often PyTorch/XLA compiles for inversion: ``make check-xla``, in an environment of its own, on the CPU.

Sets of short texts, in the same buckets but of other words and ever longer, go through slots and decoder. What was
compiled for the first set should serve the others: on devices that compile, a compilation can cost minutes.

XLA runs in two ways. Eager, it compiles each operation for its shapes and numbers. Lazy, it gathers operations into a
graph and compiles each graph that it has not seen, be it for another order of the same operations. The library knows
nothing of XLA, so the check itself cuts the graphs, before each pass through the model; else they would grow for ever.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from embeddings.adapter import load_adapters
from embeddings.encoder import SentenceEncoder
from embeddings.inversion_config import InversionConfig
from embeddings.space import Space
from generator.device import Device
from generator.language_model import SHIPPED_FOLDER, LanguageModel

_ROWS, _STEPS, _SETS, _TEXTS = 8, 20, 3, 20
_SENTENCE = "a quiet kettle pours warm tea for two old friends who read all the evening in a small light room"
_SHARE = 0.05
"""Of the first set's compilations, the most that another set may need: rare orders of events come late."""


class XlaDevice(Device):
    """PyTorch/XLA's device, of which the library knows no more than that it compiles."""

    @property
    def compiles_shapes(self) -> bool:
        """Whether each new shape of a tensor costs a compilation: it does."""
        return True


def main() -> int:
    """Print what each set of texts compiles, either way; return 1 if the later ones need much."""
    return int(any([_check(eager) for eager in (True, False)]))


def _check(eager: bool) -> bool:
    """Print what each set of texts compiles, and return whether the later ones need much."""
    import torch_xla.experimental  # only where the check runs, in an environment of its own

    torch_xla.experimental.eager_mode(eager)
    space = _space()
    compiled = _count(space.model, (lambda: None) if eager else torch_xla.sync)
    totals = []
    for number in range(_SETS):
        began = time.perf_counter()
        found = space.invert(_texts(number), InversionConfig(rows=_ROWS, max_steps=_STEPS))
        parts = compiled()
        totals.append(sum(parts.values()))
        print(
            f"{'eager' if eager else 'lazy'}, set {number + 1}: {len(found)} texts, {sum(one.exact for one in found)} "
            f"exact, {sum(one.steps for one in found)} steps; compilations: "
            f"{', '.join(f'{part} {parts[part]}' for part in ('starts', 'slots', 'decoder'))}; "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )
    return max(totals[1:]) > _SHARE * totals[0]


def _space() -> Space:
    """Return the shipped model's space, all of it on XLA's device."""
    device = XlaDevice("xla", "to count compilations", _ROWS)
    adapter, _ = load_adapters(SHIPPED_FOLDER)
    return Space(LanguageModel.load(device=device), SentenceEncoder(device.torch), adapter.to(device.torch).eval())


def _texts(number: int) -> list[str]:
    """Return the texts of a set: up to 16 words, later 18 and 20, from another place in the sentence for each."""
    words = _SENTENCE.split()
    return [
        " ".join(words[(5 * number + index + place) % len(words)] for place in range(1 + index % (16 + 2 * number)))
        for index in range(_TEXTS)
    ]


def _count(model: LanguageModel, cut: Callable[[], Any]) -> Callable[[], Counter[str]]:
    """Return a function that returns how much each part has compiled since it was last called.

    A pass through the model ends what belongs to the part before it and begins what belongs to its own.
    """
    part, seen, counts = "starts", _compilations(), Counter[str]()

    def turn_to(following: str) -> None:
        nonlocal part, seen
        cut()
        counts[part] += _compilations() - seen
        part, seen = following, _compilations()

    def before_pass(_: Any, args: Any, given: dict[str, Any]) -> None:
        turn_to("decoder" if given["use_cache"] else "slots")

    def since() -> Counter[str]:
        turn_to("starts")
        taken = counts.copy()
        counts.clear()
        return taken

    model.model.base_model.register_forward_pre_hook(before_pass, with_kwargs=True)
    return since


def _compilations() -> int:
    from torch_xla.debug import metrics

    return int(metrics.counter_value("UncachedCompile") or 0)


if __name__ == "__main__":
    sys.exit(main())
