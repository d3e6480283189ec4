"""Options that settings make: their names, kinds, defaults and meaning are those of the model that checks them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel

from generator.settings import meanings

Command = Callable[..., Any]
ASKED = "asked"
"""The parameter of a command that takes the values of its settings, by name; those that are None are left out."""


def takes(
    kind: type, *names: str, panel: str | None = None, into: str = ASKED, **instead: Any
) -> Callable[[Command], Command]:
    """Give a command an option for each named field of settings; their values come to it as ``asked``.

    Values are checked by the settings themselves, so that a YAML file and the command line refuse the same.

    Parameters
    ----------
    kind : type
        A pydantic model or a dataclass whose docstring says what each field means.
    *names : str
    panel : str, optional
        Heading under which ``--help`` lists them.
    into : str
        Another parameter takes the settings themselves, made of these values.
    **instead
        Defaults of a command where it has others than the settings.
    """
    said, defaults, hints = meanings(kind), _defaults(kind), get_type_hints(kind)
    options = [_option(name, hints[name], said.get(name, ""), instead.get(name, defaults[name]), panel)
               for name in names]  # fmt: skip

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = list(signature.parameters.values())
        place = next(number for number, one in enumerate(own) if one.name == into)
        parameters = [*own[:place], *options, *own[place + 1 :]]

        @wraps(command)
        def called(**given: Any) -> Any:
            asked = {name: value for name in names if (value := given.pop(name)) is not None}
            return command(**given, **{into: asked if into == ASKED else kind(**asked)})

        called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        return called

    return decorate


def _option(name: str, hint: Any, meaning: str, default: Any, panel: str | None) -> inspect.Parameter:
    kinds = [one for one in get_args(hint) if one is not NoneType] if NoneType in get_args(hint) else [hint]
    kind, choices = _plain(kinds[0])
    sentence = re.split(r"(?<=\.)\s", meaning)[0].replace("`", "")
    said = " ".join(filter(None, [sentence, f"One of {', '.join(choices)}." if choices else ""]))
    annotation = Annotated[kind | None, typer.Option(help=said, rich_help_panel=panel)]  # type: ignore[valid-type]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _plain(hint: Any) -> tuple[Any, tuple[str, ...]]:
    """Return what a value is on the command line, and the names among which it is chosen."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    return (str, get_args(hint)) if get_origin(hint) is Literal else (hint, ())


def _defaults(kind: type) -> dict[str, Any]:
    if is_dataclass(kind):
        return {field.name: None if field.default is MISSING else field.default for field in fields(kind)}
    assert issubclass(kind, BaseModel)
    return {name: None if field.is_required() else field.default for name, field in kind.model_fields.items()}
