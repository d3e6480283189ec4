"""``copyloom document``: invert texts of any length, and read them back from their vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from copyloom import InputError
from copyloom.encodings import find_encoding, named
from copyloom.sources import find_source
from copyloom.tables import Reading, say
from embeddings.folders import keep_result
from experiments.commands import console
from experiments.commands.options import Commands, DeviceName, Json, Model, Trust, output, reads

document_app = Commands(no_args_is_help=True, help="Invert and read texts of any length.")


@document_app.command("invert")
@reads("encoding")
def invert_command(
    files: Annotated[list[Path], typer.Argument(help="Text files, one document each; - is standard input.")],
    out: Annotated[Path | None, output("Write the documents to this safetensors file.")] = None,
    span_tokens: Annotated[int | None, typer.Option(help="Most tokens of a span; 40 unless given.", min=1)] = None,
    *,
    reading: Reading,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Cut long texts into spans, find the summary embeddings of all, and say which documents are exact."""
    from embeddings.documents import invert_documents, save_documents
    from embeddings.space import Space

    texts = [read_document_file(file, reading.encoding) for file in files]
    space = Space.load(model, device, trust_remote_code=trust_remote_code)
    with console.progress() as show:
        found = invert_documents(
            space, texts, progress=lambda done, total: show("inverting spans", done, total), most=span_tokens
        )
    if out is not None:
        keep_result(out, lambda path: save_documents(found, path))
    if as_json:
        rows = [
            {"file": str(file), "characters": len(document), "spans": len(document.embeddings), "exact": document.exact}
            for file, document in zip(files, found, strict=True)
        ]
        console.print_json({"documents": rows, "out": None if out is None else str(out)})
        return
    cells = [
        [str(file), str(len(document)), str(len(document.embeddings)), "yes" if document.exact else "NO"]
        for file, document in zip(files, found, strict=True)
    ]
    console.table(f"Documents in {space.identity}", ["file", "characters", "spans", "exact"], cells)
    if out is not None:
        console.out.print(f"Documents: {out}")


@document_app.command("read")
def read_command(
    file: Annotated[Path, typer.Argument(help="A safetensors file that `copyloom document invert --out` wrote.")],
    out: Annotated[Path | None, typer.Option(help="Write what is decoded to 1.txt, 2.txt, ... in this folder.")] = None,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Decode documents from their vectors, and say which are exact or where each first goes wrong."""
    from embeddings.documents import load_documents, read_documents
    from embeddings.space import Space

    documents = load_documents(file)
    found = read_documents(Space.load(model, device, trust_remote_code=trust_remote_code), documents)
    if out is not None:
        _write_texts([read.text for read in found], out)
    if as_json:
        rows = [
            {"exact": read.exact, "first_wrong": read.first_wrong, "wrong_spans": read.wrong_spans, "text": read.text}
            for read in found
        ]
        console.print_json({"documents": rows, "file": str(file), "out": None if out is None else str(out)})
        return
    cells = [
        [str(number), str(len(document)), "yes" if read.exact else f"NO, from character {read.first_wrong}"]
        for number, (document, read) in enumerate(zip(documents, found, strict=True), start=1)
    ]
    console.table(str(file), ["document", "characters", "exact"], cells)
    if out is not None:
        console.out.print(f"Texts: {out}")


def read_document_file(path: Path, encoding: str | None = None) -> str:
    """Return the text of a file letter for letter, line ends and, in UTF-8, byte-order mark as they are.

    Parameters
    ----------
    path : Path
    encoding : str, optional
        Found out unless given; see `copyloom.encodings.find_encoding`.

    Raises
    ------
    InputError
        If it cannot be read, is no text, or is blank.
    """
    source = find_source(path)
    try:
        encoding = find_encoding(source, encoding)
        with source.open() as file:
            text = file.read().decode(encoding)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; give a text file") from error
    if encoding != "utf-8":
        say(f"read {source.name}, {named(encoding)}")
        text = text.removeprefix("\ufeff")
    if not text.strip():
        raise InputError(f"{path} is empty; give a file with words in it")
    return text


def _write_texts(texts: list[str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts, start=1):
            (folder / f"{number}.txt").write_bytes(text.encode())
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error}); choose another --out") from error
