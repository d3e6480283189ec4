"""``copyloom dataset``: publish summary embeddings as a folder of data with a card, and check one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.options import NEEDED, After, Before, Commands, DeviceName, Json, Model, Trust, check_given

if TYPE_CHECKING:
    from embeddings.inversion import Refused
    from embeddings.summary import SummaryEmbedding

dataset_app = Commands(no_args_is_help=True, help="Publish summary embeddings as a dataset, and check one.")


@dataset_app.command("publish")
def publish_command(
    stored: Annotated[Path, typer.Argument(help="File of `copyloom invert --out`, or folder of `invert --run`.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset, a new one; needed.")] = NEEDED,
    title: Annotated[str, typer.Option(help="What the texts are; needed.")] = NEEDED,
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="Of the texts, such as CC-BY-4.0; needed.")
    ] = NEEDED,
    source: Annotated[str, typer.Option(help="Where the texts come from, and whose they are; needed.")] = NEEDED,
    revision: Annotated[str | None, typer.Option(help="Of the language model, such as a commit of the hub.")] = None,
    without_texts: Annotated[bool, typer.Option("--without-texts", help="Write only the texts' SHA-256.")] = False,
    as_json: Json = False,
) -> None:
    """Write embeddings as a folder: safetensors, Parquet and a card."""
    from embeddings.publishing import publish

    check_given(out=out, title=title, licence=licence, source=source)
    refused: list[Refused] = []
    record = publish(
        _read(stored, refused), out, title=title, licence=licence, source=source, revision=revision,
        texts_included=not without_texts,
    )  # fmt: skip
    size = sum((out / name).stat().st_size for name in record.files)
    share = record.exact / record.rows
    if as_json:
        console.print_json({"folder": str(out), "texts": record.rows, "exact_share": share, "bytes": size,
                            "texts_included": record.texts_included, "refused": len(refused)})  # fmt: skip
        return
    console.out.print(f"{record.rows:,} texts, {share:.1%} exact, in {record.space}")
    if refused:
        console.out.print(f"left out, because inversion refused them: {len(refused):,}")
    console.out.print(f"Dataset: {out} ({size:,} bytes); read its README.md before you share it")


@dataset_app.command("check")
def check_command(
    folder: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    sample: Annotated[int, typer.Option(help="Texts to decode, drawn at random; 0 decodes none.", min=0)] = 100,
    seed: Annotated[int, typer.Option(help="Of the sample.", min=0)] = 0,
    model: Model = "copyloom-tiny",
    before: Before = "",
    after: After = "",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Check files, hashes, shapes and values, and decode a sample; exit 1 if a text marked exact does not decode."""
    from embeddings.dataset import load_dataset
    from embeddings.space import Space

    dataset = load_dataset(folder)
    record = dataset.record
    decoded = None
    if sample:
        space = Space.load(model, device, record.space.vectors, (before, after), trust_remote_code=trust_remote_code)
        decoded = dataset.verify(space, sample, seed)
    if as_json:
        console.print_json({
            "folder": str(folder), "title": record.title, "licence": record.licence, "texts": record.rows,
            "exact_share": record.exact / record.rows, "space": str(record.space),
            "decoded": decoded and {"texts": decoded.decoded, "exact": decoded.exact, "broken_rows": decoded.broken},
        })  # fmt: skip
    else:
        console.out.print(f"{record.title} ({record.licence}): {record.rows:,} texts in {record.space}")
        console.out.print(f"files, hashes, shapes and values are sound; {record.exact:,} are marked exact")
        _show_decoded(decoded)
    if decoded and decoded.broken:
        raise typer.Exit(1)


def _read(stored: Path, refused: list[Refused]) -> Iterator[SummaryEmbedding]:
    """Yield the embeddings of a file, or of a finished job; what its inversion refused goes to `refused`."""
    from embeddings.exchange import load_embeddings
    from embeddings.inversion import Refused
    from embeddings.job import merge

    if not stored.is_dir():
        yield from load_embeddings(stored)
        return
    for _, found in merge(stored):
        if isinstance(found, Refused):
            refused.append(found)
        else:
            yield found


def _show_decoded(decoded: Any) -> None:
    if decoded is None:
        console.out.print("nothing was decoded; --sample 100 decodes a hundred")
        return
    console.out.print(f"{decoded.decoded:,} decoded again: {decoded.exact:,} gave their text back")
    for row in decoded.broken[:10]:
        console.out.print(f"row {row} is marked exact and decodes to something else")
