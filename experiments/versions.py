"""With what something was computed."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch

from copyloom import __version__

_PACKAGES = ("torch", "transformers", "numpy", "scipy", "sqlalchemy")


def versions() -> dict[str, str]:
    """Return the versions of Copyloom and of what it computes with, and the number of threads."""
    found = {"copyloom": __version__, "python": platform.python_version()}
    found.update((package, version(package)) for package in _PACKAGES)
    return {**found, "threads": str(torch.get_num_threads())}
