"""With what something was computed."""

from __future__ import annotations

import platform
from importlib.metadata import version

from copyloom import __version__

_PACKAGES = ("torch", "transformers", "numpy", "scipy", "sqlalchemy")


def packages() -> dict[str, str]:
    """Return the versions of Copyloom and of what it computes with; nothing of it is imported."""
    found = {"copyloom": __version__, "python": platform.python_version()}
    return found | {package: version(package) for package in _PACKAGES}


def versions() -> dict[str, str]:
    """Return `packages`, and the number of torch's threads."""
    import torch

    return {**packages(), "threads": str(torch.get_num_threads())}
