"""``copyloom map``: texts on a plane, as a page and as a table for embedding-atlas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import InputError, Report
from copyloom.tables import Reading
from embeddings.folders import check_output, keep_result
from experiments.commands import console
from experiments.commands.options import Column, DeviceName, Json, Trust, Writer, note_scripts, reads, writer_for
from experiments.commands.stored import database_of
from generator.paths import expanded

if TYPE_CHECKING:
    from torch import Tensor

    from experiments.explorer.maps.collection import Collection, Of

_PART, _STYLES = 512, 12
"""Texts between two signs of progress; styles that are printed."""


@reads("delimiter", "encoding", "sheet", "header", "html")
def map(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Run folder, database, what invert --out wrote, or a table; the shipped claims unless given."
        ),
    ] = None,
    of: Annotated[str, typer.Option(help="meaning: sentence vectors; vectors: summary embeddings.")] = "meaning",
    method: Annotated[str, typer.Option(help="pca, or umap, which takes the extra maps.")] = "pca",
    seed: Annotated[int, typer.Option(help="Of UMAP.", min=0, max=2**32 - 1)] = 0,
    campaign: Annotated[str | None, typer.Option(help="Of a run, this one alone; all together unless given.")] = None,
    column: Column = None,
    out: Annotated[Path, typer.Option(help="Folder for page, table and numbers.")] = Path("runs/map"),
    *,
    reading: Reading,
    model: Writer = None,
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Draw a map of texts: near each other where they mean the same; a page to click in, and a table."""
    from experiments.explorer.maps.atlas import command_line, write_atlas
    from experiments.explorer.maps.collection import check_of
    from experiments.explorer.maps.mapping import map_of
    from experiments.explorer.maps.page import PAGE, TABLE, verdict, write
    from experiments.explorer.maps.projection import check_method

    what = check_of(of)
    check_method(method)
    for name in (PAGE, TABLE, "map.json"):
        check_output(out / name)
    with console.progress() as show:
        show("reading texts", 0, 1)
        collection = _collection(source, what, campaign, column, reading, (model, device, trust_remote_code), show)
        show("reading texts", 1, 1)
        drawn = map_of(collection, method, seed, show)
        show("writing", 0, 1)
        keep_result(out / TABLE, lambda path: write_atlas(drawn, path))
        keep_result(out / PAGE, lambda path: write(drawn, path))
        show("writing", 1, 1)
    found = drawn.summary() | {"page": str(out / PAGE), "table": str(out / TABLE), "opens": command_line(out / TABLE)}
    keep_result(out / "map.json", lambda path: console.write_json(found, path))
    console.print_json(found) if as_json else _show(found, verdict(found))


def _collection(
    source: str | None, of: Of, campaign: str | None, column: str | None, reading: Reading,
    loading: tuple[str | None, str, bool], report: Report,
) -> Collection:  # fmt: skip
    """Return the texts of a source, whatever it is."""
    from experiments.explorer.maps.sources import of_embeddings, of_texts
    from experiments.explorer.maps.tables import of_table
    from experiments.texts import shipped_claims

    database = None if source is None else database_of(source)
    if campaign is not None and database is None:
        raise InputError("--campaign is of a run or a database; give its folder, such as runs/quickstart")
    stored = database is not None or (source or "").endswith(".safetensors")
    if stored and (column is not None or loading[0] is not None):
        raise InputError("--column and --model are of a table of texts; a run, a database or embeddings hold theirs")
    if database is not None:
        return _of_database(database, of, campaign)
    if source is not None and source.endswith(".safetensors"):
        return of_embeddings(expanded(source), of)

    def vectors(texts: Sequence[str]) -> Tensor:
        return _vectors(texts, of, *loading, report)

    if source is None and column is not None:
        raise InputError("--column is of a table of texts; name its file")
    if source is None:
        return of_texts(shipped_claims()[0], vectors, of)
    return of_table(expanded(source), column, reading, vectors, of)


def _of_database(database: str | Path, of: Of, campaign: str | None) -> Collection:
    from embeddings.database import open_database
    from experiments.explorer.maps.sources import of_database

    engine = open_database(database, create=False)
    try:
        return of_database(engine, of, campaign)
    finally:
        engine.dispose()


def _vectors(
    texts: Sequence[str], of: Of, model: str | None, device: str, trust_remote_code: bool, report: Report
) -> Tensor:
    """Return sentence vectors (N, S), or summary embeddings (N, P, D): the adapter's, or inverted without one."""
    import torch

    from embeddings.adapter import folder_of, load_settings
    from embeddings.any_encoder import encoder_of
    from embeddings.encoder import SentenceEncoder
    from embeddings.space import Space
    from experiments.explorer.sense import Shelf
    from generator.device import Device

    name = writer_for(model)
    if of == "vectors":
        note_scripts(name, texts)
        return Shelf.of_texts(Space.load(name, device, trust_remote_code=trust_remote_code), texts).vectors
    settings, chosen = load_settings(folder_of(name)), Device.choose(device).torch
    encoder = SentenceEncoder(chosen) if settings is None else encoder_of(settings, chosen, trust_remote_code)
    found = []
    for start in range(0, len(texts), _PART):
        report("encoding", start, len(texts))
        found.append(encoder.encode(texts[start : start + _PART]))
    report("encoding", len(texts), len(texts))
    return torch.cat(found)


def _show(found: dict[str, Any], verdict: str) -> None:
    console.out.print(verdict)
    if found["variance"]:
        across, up = (console.percent(share) for share in found["variance"])
        console.out.print(f"The axes hold {across} and {up} of how the texts differ.")
    rows = [[name, str(count)] for name, count in list(found["styles"].items())[:_STYLES]]
    console.table("Styles", ["style", "texts"], rows)
    console.out.print(f"Page: {found['page']}\nTable: {found['table']}, for embedding-atlas: {found['opens']}")
