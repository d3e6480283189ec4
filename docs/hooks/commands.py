"""Writes the page of every command from the command line itself, whenever the site is built."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from experiments.commands.cli import app

PAGE = "commands.md"
_INTRODUCTION = """# Commands

Every command and option, as `copyloom COMMAND --help` has them; this page is written from the command line itself. Each
command prints for people, and with `--json` one JSON object on standard output. Exit status 2 means that something
was asked that cannot be; the message says what is allowed. `bench`, `study tiny` and `inversion`, `train tiny`,
`critic`, `writer` and `editor` train or measure what Copyloom ships: they need a source checkout, and say so elsewhere.
"""
_WORDS = {int: "whole number", float: "number", str: "text", Path: "path", bool: "true or false"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *map(_section, commands())])


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its name, such as ``copyloom study radius``, groups before what they hold."""
    yield from _below("copyloom", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    if name != "copyloom":
        yield name, command
    for word, each in inner.items():
        yield from _below(f"{name} {word}", each)


def _section(named: tuple[str, Any]) -> str:
    name, command = named
    if hasattr(command, "commands"):
        return f"## {name}\n\n{command.help}\n"
    level = "##" if name.count(" ") == 1 else "###"
    shown = [each for each in command.params if not each.hidden]
    arguments = [each.name.upper() for each in shown if each.param_type_name == "argument"]
    usage = f"```text\n{' '.join([name, *arguments])} [OPTIONS]\n```\n"
    head = ["| option | takes | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"{level} {name}\n", f"{command.help}\n", usage, *head, *map(_row, shown), ""])


def _row(parameter: Any) -> str:
    argument, flag = parameter.param_type_name == "argument", getattr(parameter, "is_flag", False)
    name = parameter.name.upper() if argument else ", ".join([*parameter.opts, *parameter.secondary_opts])
    cells = [f"`{name}`", "" if flag else _takes(parameter), _default(parameter), parameter.help or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _takes(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    inner = next(iter(typing.get_args(annotation)), annotation)  # a list's kind is that of its items
    kind = f"one of {', '.join(typing.get_args(annotation))}" if isinstance(inner, str) else _WORDS[inner]
    bounds = [f"{sign} {bound:g}" for sign, bound in (("≥", parameter.min), ("≤", parameter.max)) if bound is not None]
    many = ["many times" if parameter.param_type_name == "option" else "one or more"] if _many(parameter) else []
    return ", ".join([kind, *bounds, *many])


def _many(parameter: Any) -> bool:
    return getattr(parameter, "multiple", False) or parameter.nargs == -1


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    if parameter.default is None or parameter.default in ("", False):
        return ""
    return f"`{str(parameter.default).lower() if parameter.default is True else parameter.default}`"
