"""``copyloom models``: pretrained models by name, downloaded once."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.commands import console
from experiments.commands.options import Commands, Json

models_app = Commands(no_args_is_help=True, help="Get pretrained models by name.")
Name = Annotated[str, typer.Argument(help="A name that `copyloom models list` shows.")]


@models_app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models that can be had, and which are here."""
    from generator.models import MODELS, is_there

    found = [
        {"name": model.name, "title": model.title, "licence": model.licence, "use": model.use,
         "megabytes": round(model.size / 1e6), "here": is_there(model.name)}
        for model in MODELS.values()
    ]  # fmt: skip
    rows = [[str(row["name"]), f"{row['title']}, {row['licence']}", str(row["use"]), f"{row['megabytes']} MB",
             "here" if row["here"] else f"copyloom models get {row['name']}"] for row in found]  # fmt: skip
    columns = ["name", "what", "use", "download", "where"]
    console.deliver({"models": found}, lambda _: console.table("Pretrained models", columns, rows), as_json)


@models_app.command("get")
def get_model(name: Name, as_json: Json = False) -> None:
    """Download a model, verify it and convert it once; nothing is installed. The same command goes on if stopped."""
    from generator.models import get

    with console.progress() as show:
        path, done = get(name, show)
    found = {"name": name, "path": str(path), "done": done}
    console.deliver(found, lambda found: console.out.print(f"{found['done']}: {path}"), as_json)


@models_app.command("path")
def model_path(name: Name, as_json: Json = False) -> None:
    """Print the folder of a model that is here."""
    from generator.models import known, path_of

    path = path_of(known(name).name)
    console.deliver({"name": name, "path": str(path)}, lambda found: typer.echo(found["path"]), as_json)
