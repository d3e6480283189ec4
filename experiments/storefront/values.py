"""What may be said of an event, whoever says it: a page over HTTP, a feed, a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from copyloom import InputError

MAX_NAME = 256
"""Characters of the id of an event, a reward, a unit or a product."""
MAX_KIND = 64
MAX_CONTEXT_BYTES = 4096


def check_name(what: str, value: object, most: int = MAX_NAME, least: int = 1) -> None:
    """Raise `InputError` unless a name can be kept and found again in every database."""
    if not isinstance(value, str):
        raise InputError(f"{what} is {value!r}; give a text of {least} to {most} characters")
    if not least <= len(value) <= most:
        raise InputError(f"{what} has {len(value)} characters; give {least} to {most}")
    if "\0" in value or not _is_unicode(value):
        raise InputError(f"{what} is {value!r}; leave out NUL and halves of surrogate pairs")


def check_value(value: object) -> None:
    """Raise `InputError` unless a reward is worth that."""
    if isinstance(value, bool) or not isinstance(value, float | int) or not 0 <= value <= 1:
        raise InputError(f"a reward of {value!r} was given; pass a number from 0 to 1")


def check_moment(what: str, at: datetime | None) -> None:
    """Raise `InputError` if a time has no zone."""
    if at is not None and at.tzinfo is None:
        raise InputError(f"{what} is {at.isoformat()}, of no time zone; give one, such as UTC")


def check_context(context: Mapping[str, object]) -> None:
    """Raise `InputError` unless a context is plain JSON, and small."""
    try:
        size = len(json.dumps(dict(context), ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError:
        raise InputError("the context holds half a surrogate pair; send valid Unicode") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"the context cannot be written as JSON ({error}); send plain JSON, no NaN") from None
    if size > MAX_CONTEXT_BYTES:
        raise InputError(f"the context has {size} bytes of JSON, at most {MAX_CONTEXT_BYTES} are allowed")


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
