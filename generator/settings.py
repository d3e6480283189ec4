"""From YAML to settings: the one way in which files of a person, and of the package, become typed values."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from copyloom import InputError, in_words

Settings = TypeVar("Settings", bound=BaseModel)


def read_yaml(file: Traversable | Path) -> Any:
    """Return what a YAML file holds; by the safe loader of libyaml, many times as fast, where there is one."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text(encoding="utf-8"), Loader=loader)


def read_mapping(path: Path, wanted: str, empty: bool = False) -> dict[str, Any]:
    """Return the mapping in a YAML file; one without an entry where it may be `empty`.

    Raises
    ------
    InputError
        If it cannot be read, or holds something else than what is `wanted`.
    """
    try:
        data = read_yaml(path)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not a readable YAML file: {error}") from error
    if data is None and empty:
        return {}
    if not isinstance(data, dict):
        raise InputError(f"{path} must hold {wanted}")
    return data


def validated(kind: type[Settings], values: Mapping[str, Any], what: str) -> Settings:
    """Return settings of a kind.

    Raises
    ------
    InputError
        If a value does not fit, or a key is unknown; the message says `what` they are.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(f"{what}: {in_words(error)}. Allowed: {', '.join(kind.model_fields)}") from error


def meanings(kind: type) -> dict[str, str]:
    """Return what the docstring of settings, and of those that they extend, says of each parameter.

    Examples
    --------
    >>> class Settings:
    ...     '''Some.
    ...
    ...     Parameters
    ...     ----------
    ...     rounds, turns : int
    ...         At most,
    ...         of each.
    ...     '''
    >>> meanings(Settings)
    {'rounds': 'At most, of each.', 'turns': 'At most, of each.'}
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        told = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition("Parameters\n----------\n")[2]
        for names, text in re.findall(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", told + "\n", re.MULTILINE):
            found.update(dict.fromkeys(names.split(", "), " ".join(text.split())))
    return found
