"""Options that settings make: names, kinds, defaults and meaning are those of the settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import typer
from pydantic import BaseModel, PositiveInt
from typer.testing import CliRunner

from experiments.commands.settings import takes


class Base(BaseModel):
    """What all have.

    Parameters
    ----------
    seed : int
        Of all `random` numbers. Another sentence.
    """

    seed: int = 3


class Study(Base):
    """A study.

    Parameters
    ----------
    file, other : Path, optional
        What is read
        first.
    rows : int
        Of a step.
    start : {"near", "far"}
        Where it begins.
    """

    file: Path | None = None
    other: Path | None = None
    rows: PositiveInt = 8
    start: Literal["near", "far"] = "near"


@dataclass(frozen=True)
class Small:
    """Small.

    Parameters
    ----------
    share : float
        Of all.
    """

    share: float = 0.5


def called(kind: type, names: tuple[str, ...], arguments: list[str], **instead: Any) -> tuple[dict[str, Any], str]:
    found: dict[str, Any] = {}
    app = typer.Typer()

    @app.command()
    @takes(kind, *names, **instead)
    def run(first: str = "x", *, asked: dict[str, Any], last: bool = False) -> None:
        """Run it."""
        found.update(asked, first=first, last=last)

    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return found, " ".join(result.output.replace("│", " ").split())


def test_values_come_by_name_those_that_are_none_left_out() -> None:
    names = ("seed", "file", "rows", "start")
    found, _ = called(Study, names, ["--rows", "2", "--first", "y"])
    assert found == {"seed": 3, "rows": 2, "start": "near", "first": "y", "last": False}
    found, _ = called(Study, names, ["--file", "a/b.csv", "--last"], start=None, rows=1)
    assert found == {"seed": 3, "file": Path("a/b.csv"), "rows": 1, "first": "x", "last": True}
    assert called(Small, ("share",), ["--share", "0.25"])[0]["share"] == 0.25


def test_help_says_what_the_docstring_says() -> None:
    _, said = called(Study, ("seed", "other", "rows", "start"), ["--help"])
    for part in ("Of all random numbers. [default: 3]", "What is read first.", "[default: 8]",
                 "Where it begins. One of near, far. [default: near]"):  # fmt: skip
        assert part in said
    assert "Another sentence" not in said


def test_settings_without_docstrings_have_options_too() -> None:
    bare = dataclass(frozen=True)(
        type("Bare", (), {"__annotations__": {"share": float}, "share": 0.5, "__doc__": None})
    )
    assert called(bare, ("share",), [])[0]["share"] == 0.5


def test_a_field_of_no_settings_is_refused() -> None:
    with pytest.raises(KeyError, match="colour"):
        called(Study, ("colour",), [])
