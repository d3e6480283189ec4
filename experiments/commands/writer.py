"""``copyloom train writer`` and ``train editor``: what makes a writer of a pretrained model, and its editor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands import console
from experiments.commands.options import DeviceName, Json


def train_writer_command(
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, log and the writer.")] = Path("runs") / "writer",
    data: Annotated[Path | None, typer.Option(help="Folder of real texts; there are others in the package.")] = None,
    model: Annotated[str | None, typer.Option(help="smollm2, a folder, or the hub id of a Llama-class model.")] = None,
    start_from: Annotated[str | None, typer.Option(help="A writer to go on from: smollm2, or a folder.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML settings.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1)] = None,
    rows: Annotated[int | None, typer.Option(help="Texts of a step.", min=1)] = None,
    device: DeviceName = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile first: needs a C++ compiler.")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Train a writer: adapter and low-rank updates of a pretrained model; the same command goes on if stopped."""
    from embeddings.folders import held
    from embeddings.training.config import read_settings
    from experiments.corpora.real_texts import shared_data
    from experiments.training.writer.config import WriterTraining
    from experiments.training.writer.package import train_to_package

    given = {"model": model, "start_from": start_from, "steps": steps, "rows": rows}
    settings = read_settings(WriterTraining, config, given)
    with held(out, "training", "--out"), console.progress() as show:
        found = train_to_package(settings, data or shared_data(), out, device, show, compiled)
    console.deliver(found, lambda found: console.out.print(
        f"Writer: {found['writer']} ({found['bytes']:,} bytes, {found['texts']:,} real texts); "
        f"use it with --model {found['writer']}"), as_json)  # fmt: skip


def train_editor_command(
    out: Annotated[Path, typer.Option(help="Folder of checkpoints and the editor.")] = Path("runs") / "editor",
    model: Annotated[str | None, typer.Option(help="The writer that it begins as: smollm2, or a folder.")] = None,
    start_from: Annotated[str | None, typer.Option(help="A writer whose editor to go on from.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML settings.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1)] = None,
    device: DeviceName = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile first: needs a C++ compiler.")] = False,
    as_json: Json = False,
) -> None:
    """Train an editor: what says whether a draft may be printed; the same command goes on if stopped."""
    from embeddings.folders import held
    from embeddings.training.config import read_settings
    from experiments.training.editor import EditorTraining, train_editor

    settings = read_settings(EditorTraining, config, {"model": model, "start_from": start_from, "steps": steps})
    with held(out, "training", "--out"), console.progress() as show:
        found = train_editor(settings, out, show, device, compiled)
    console.deliver(found, lambda found: console.out.print(
        f"Editor: {found['editor']} ({found['bytes']:,} bytes). Of {found['groups']} held-out groups of drafts it "
        f"chooses one that readers would print and that belongs in {found['chosen']:.0%} (a draft at random: "
        f"{found['drafts']:.0%}; there is one in {found['best']:.0%}); AUC {found['auc']:.2f}. "
        "It belongs beside a writer's adapter."), as_json)  # fmt: skip
