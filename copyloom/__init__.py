"""Copyloom's version, the root of its errors, its reader of files, and who hears of progress: for every package."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

__version__ = "0.1.0"

Progress = Callable[[int, int], None]
"""Called with what is done of a work and with all of it, in steps or texts."""
Report = Callable[[str, int, int], None]
"""Called with a stage in words, and with what is done of it and all of it."""


class CopyloomError(Exception):
    """Any error raised on purpose; its message says what was given, what is allowed, what to do."""


class InputError(CopyloomError):
    """A text, file, option or array that cannot be used as given."""


class SpaceError(CopyloomError):
    """Embeddings, models or databases that do not belong together."""


class DeviceError(CopyloomError):
    """A device that was asked for and is not there."""


def in_words(error: ValidationError) -> str:
    """Return what does not fit in one line: each setting with what was given and what is allowed."""
    found = []
    for problem in error.errors():
        where, context = ".".join(map(str, problem["loc"])), problem.get("ctx", {})
        what = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "too_long":
            many = context["actual_length"] or len(problem["input"])  # of mappings it is not said
            what = f"{many} were given, at most {context['max_length']} are allowed"
        elif problem["type"] == "tuple_type":
            what = "give a list, such as [leak-proof, light]"
        elif problem["type"] == "extra_forbidden":
            what = "there is no such setting"
        elif problem["type"] in ("string_type", "path_type", "invalid_key"):
            what = (
                f"{problem['input']!r} is no text; put it in quotes, for without them YAML reads words such as no and "
                "1:30 as truth values and numbers"
            )
        found.append(f"{where}: {what}" if where else what)
    return "; ".join(found)
