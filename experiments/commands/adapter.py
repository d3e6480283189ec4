"""``copyloom train adapter``: an adapter for any language model, from sentence vectors or vectors of your own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError
from copyloom.tables import Reading
from embeddings.training.config import AdapterTraining, read_settings
from experiments.commands import console
from experiments.commands.options import Column, DeviceName, Json, Trust, reads
from experiments.commands.settings import takes

_SHOWN = 5
_ASKED: dict[str, Any] = dict.fromkeys(
    ("model", "encoder", "stage", "per_text", "adapter_steps", "joint_steps", "rows", "patience", "precision", "seed")
)
"""Without defaults: what is not asked for stands as in --config."""


@takes(AdapterTraining, *_ASKED, panel="How it is trained; --config has the rest", **_ASKED)
@reads("delimiter", "encoding", "sheet", "header", "html")
def train_adapter_command(
    texts: Annotated[
        Path, typer.Option(help="One text a line, CSV, JSON lines, Parquet or Excel; - is standard input.")
    ],
    column: Column = None,
    vectors: Annotated[
        Path | None, typer.Option(help="In place of an encoder's: one row a text, .npy, .safetensors or .parquet.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, log and result.")] = Path("runs") / "adapter",
    config: Annotated[Path | None, typer.Option(help="YAML settings.")] = None,
    *,
    asked: dict[str, Any],
    reading: Reading,
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Train an adapter for any model; the same command goes on with a run that was stopped."""
    from embeddings.rows import read_rows
    from embeddings.training.train import train_adapter

    if vectors is not None and "encoder" in asked:
        raise InputError("--vectors stands in the place of an encoder's; give --encoder or --vectors, not both")
    settings = read_settings(AdapterTraining, config, asked | {"trust_remote_code": trust_remote_code or None})
    given = None if vectors is None else read_rows(vectors)
    lines = _lines(texts, column, reading, whole=given is not None)
    with console.progress() as show:
        found = train_adapter(settings, lines, out, given, vectors.name if vectors else "", device, show)
    console.deliver(_as_json(found), lambda _: _show(found), as_json)


def _lines(path: Path, column: str | None, reading: Reading, whole: bool) -> list[str]:
    """Return the texts of a file: each once, or if `whole` every one, so that they stay beside their rows."""
    from embeddings.sources import stream_texts
    from experiments.texts import read_lines

    if not whole:
        return list(dict.fromkeys(read_lines(path, column, reading)))
    texts = list(stream_texts(path, column or "text", reading))
    if empty := [number for number, text in enumerate(texts, start=1) if not text.strip()]:
        raise InputError(f"text {empty[0]} of {path} is empty; remove it, and its row of the vectors")
    return texts


def _as_json(found: Any) -> dict[str, Any]:
    quality = asdict(found.quality)
    quality["written"] = quality["written"][:_SHOWN]
    return {"model": str(found.folder), "held_out_loss": found.held_out_loss, "held_out": found.held_out[:_SHOWN],
            **quality, "trained_on": found.trained_on, "left_out": found.left_out, "reason": found.reason,
            "looks": [asdict(look) for look in found.looks]}  # fmt: skip


def _show(found: Any) -> None:
    rows = [[look.stage, str(look.step), f"{look.held_out_loss:.3f}", f"{look.consistency:.3f}", f"{look.exact:.1%}"]
            for look in found.looks]  # fmt: skip
    ends = [row for i, row in enumerate(rows) if i in (0, len(rows) - 1) or row[0] != rows[i + 1][0] or row[1] == "0"]
    console.table("Held-out texts", ["stage", "step", "loss", "consistency", "exact"], ends)
    quality = found.quality
    console.out.print(
        f"\nkept: loss {found.held_out_loss:.3f}; {quality.texts} texts decoded from their vectors alone: consistency "
        f"{quality.consistency:.3f} (unrelated texts {quality.unrelated:.3f}), exact {quality.exact:.1%}"
    )
    pairs = [list(pair) for pair in zip(found.held_out, quality.written, strict=True)][:_SHOWN]
    console.table("\nFor instance", ["held-out text", "decoded"], pairs)
    if found.left_out:
        console.out.print(f"{found.left_out} texts were left out; {found.reason}")
    console.out.print(f"\nModel: {found.folder} (trained on {found.trained_on:,} texts)")
