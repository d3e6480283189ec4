"""``copyloom prior``: what past campaigns say about the next one, before its first click."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from copyloom import InputError
from experiments.commands import console
from experiments.commands.options import Json

_DATABASE = "study.sqlite"


def prior(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or databases, of campaigns that were played.")],
    features: Annotated[int, typer.Option(help="Features of the reward model, as in its settings.", min=1)] = 32,
    as_json: Json = False,
) -> None:
    """Learn the reward model's prior from past campaigns, and print it as settings."""
    from experiments.campaigns.past import prior_of

    databases = [path / _DATABASE if path.is_dir() else path for path in runs]
    if missing := [path for path in databases if not path.is_file()]:
        raise InputError(f"there is no database {missing[0]}; give a run folder such as runs/quickstart")
    console.deliver(asdict(prior_of(databases, features)), _show, as_json)


def _show(found: dict[str, Any]) -> None:
    rows = [[name, f"{found['prior'][name]:.4g}", f"{low:.3g} to {high:.3g}"]
            for name, (low, high) in found["intervals"].items()]  # fmt: skip
    console.table(f"What {found['campaigns']} campaigns say", ["prior", "value", "95 % interval"], rows)
    settings = {"prior": {name: float(f"{value:.4g}") for name, value in found["prior"].items()}}
    console.out.print(f"\nFor a file of settings:\n\n{yaml.safe_dump(settings, sort_keys=False)}")
