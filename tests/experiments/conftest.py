"""The shipped model loaded once for the studies and commands that ask for it; tests/embeddings tests the loading."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest


@pytest.fixture(scope="session")
def loading(space: Any) -> Callable[..., Any]:
    """What stands in for `Space.load`: the shipped model's space on the CPU is there already, all others are loaded."""
    from embeddings.space import DEFAULT_VECTORS, Space
    from generator.device import Device
    from generator.models import SHIPPED

    load = Space.load

    def loaded(name: str = SHIPPED, device: str = "auto", vectors: int = DEFAULT_VECTORS,
               context: tuple[str, str] = ("", ""), trust_remote_code: bool = False) -> Space:  # fmt: skip
        if name == SHIPPED and Device.choose(device).type == "cpu":
            return replace(space, context=context) if any(context) else space
        return load(name, device, vectors, context, trust_remote_code)

    return loaded


@pytest.fixture(scope="package", autouse=True)
def loaded_once(loading: Callable[..., Any]) -> Iterator[None]:
    from embeddings.space import Space

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Space, "load", staticmethod(loading))
        yield
