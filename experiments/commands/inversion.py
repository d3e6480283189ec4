"""``copyloom invert``, ``merge`` and ``decode``: from texts to summary embeddings and back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import CopyloomError, InputError
from copyloom.tables import Reading
from embeddings.folders import keep_result, spare_result
from embeddings.inversion_config import InversionConfig
from experiments.commands import console
from experiments.commands.options import (
    AROUND,
    After,
    Before,
    Column,
    Database,
    DeviceName,
    File,
    Json,
    Model,
    PoolName,
    Texts,
    Trust,
    output,
    reads,
)
from experiments.commands.settings import takes
from generator.settings import validated

if TYPE_CHECKING:
    from embeddings.summary import SpaceIdentity

_SHOWN = 50
_PART = 512
_CLUSTER = {"rich_help_panel": "On a cluster"}
_SEARCH = "How hard to try"

Keep = Callable[[Sequence[Any]], object]


@takes(
    InversionConfig, "start", "margin", "max_steps", "steps_per_nat", "radius", "rows", "precision",
    panel=_SEARCH, start=None, precision="auto",
)  # fmt: skip
@reads("delimiter", "encoding", "sheet", "header", "html")
def invert(
    text: Texts = None,
    texts: File = None,
    column: Column = None,
    out: Annotated[Path | None, output("Write the embeddings to this safetensors file.")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of a long job; the same command goes on with it.")] = None,
    shard: Annotated[str, typer.Option(help="With --run: part i/n of the texts, i from 0 to n - 1.")] = "0/1",
    engine: Annotated[str, typer.Option(help="local, or ray: on a cluster, with --run.", **_CLUSTER)] = "local",
    address: Annotated[str | None, typer.Option(help="host:port; without, one is started here.", **_CLUSTER)] = None,
    workers: Annotated[int, typer.Option(help="That each hold the model.", min=1, **_CLUSTER)] = 1,
    database: Database = None,
    pool: PoolName = "texts",
    *,
    asked: dict[str, Any],
    reading: Reading,
    compiled: Annotated[
        bool, typer.Option("--compile", help="For many thousand texts.", rich_help_panel=_SEARCH)
    ] = False,
    vectors: Annotated[int, typer.Option(help="Vectors a text, without adapter.", min=1, **AROUND)] = 4,
    before: Before = "",
    after: After = "",
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Find the summary embedding of each text, and say which decode back exactly."""
    from embeddings.job import Shard
    from embeddings.space import Space

    if run is not None and out is not None:
        raise InputError("--run writes to its folder; leave --out to `copyloom merge FOLDER --out FILE`")
    if run is None and shard != "0/1":
        raise InputError("--shard needs --run FOLDER, which all shards share")
    if asked.get("start") == "given":
        raise InputError("start 'given' is for Python; use adapter, token_mean or random")
    if engine not in ("local", "ray"):
        raise InputError(f"engine {engine!r} is unknown; use local or ray")
    part = Shard.parse(shard)
    given = given_texts(text, texts, column, reading)
    space = Space.load(model, device, vectors, (before, after), trust_remote_code=trust_remote_code)
    usual = space.default_inversion.model_dump()
    config = validated(InversionConfig, usual | asked | {"compiled": compiled}, "settings of the inversion")
    if engine == "ray":
        from experiments.commands.cluster import invert_on_ray

        source = {"texts": texts, "column": column, "reading": reading, "run": run}
        around = {"model": model, "device": device, "vectors": vectors, "context": (before, after), "config": config,
                  "trust_remote_code": trust_remote_code}  # fmt: skip
        invert_on_ray(source, around, address, workers, as_json)
    elif run is None:
        _invert_now(space, given, config, _keep(database, pool, space.identity), out, as_json)
    else:
        _invert_job(space, given, config, run, part, _keep(database, pool, space.identity), as_json)


def merge(
    run: Annotated[Path, typer.Argument(help="Folder of a job whose shards are all finished.")],
    out: Annotated[Path | None, output("Write the embeddings to this safetensors file.")] = None,
    database: Database = None,
    pool: PoolName = "texts",
    as_json: Json = False,
) -> None:
    """Check that a job lost no text and doubled none, and put its shards together."""
    from embeddings.exchange import save_embeddings
    from embeddings.job import merge as merged

    keep, found, refused, texts, exact = _keep(database, pool), [], [], 0, 0
    parts = merged(run)
    while part := list(islice(parts, _PART)):
        embeddings, unfit = _parted(result for _, result in part)
        keep(embeddings)
        texts += len(embeddings)
        exact += sum(embedding.exact for embedding in embeddings)
        refused += unfit
        found += embeddings if out is not None else []
    exact_share = exact / max(texts, 1)
    if out is not None:
        keep_result(out, lambda path: save_embeddings(found, path))
    if as_json:
        console.print_json({"texts": texts, "exact_share": exact_share, "refused": _refusals(refused),
                            "out": None if out is None else str(out)})  # fmt: skip
        return
    console.out.print(f"{texts:,} texts, each once; exact {exact_share:.2%}")
    _show_refused(refused)
    if out is not None:
        console.out.print(f"Embeddings: {out}")


def decode(
    file: Annotated[Path, typer.Argument(help="A safetensors file that `copyloom invert --out` wrote.")],
    model: Model = "copyloom-tiny",
    before: Before = "",
    after: After = "",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Decode stored embeddings and say which give their text back."""
    from embeddings.exchange import load_embeddings
    from embeddings.space import Space

    stored = load_embeddings(file)
    space = Space.load(model, device, stored[0].space.vectors, (before, after), trust_remote_code=trust_remote_code)
    decoded = space.decode(stored)
    same = [found == embedding.text for found, embedding in zip(decoded, stored, strict=True)]
    if as_json:
        console.print_json({"texts": decoded, "exact_share": sum(same) / len(same), "file": str(file)})
        return
    console.table(str(file), ["exact", "text"], [["yes" if s else "NO", t] for s, t in zip(same, decoded, strict=True)])


def given_texts(
    text: list[str] | None, file: Path | None, column: str | None, reading: Reading | None = None
) -> list[str]:
    """Return the texts of ``--text`` and ``--texts``.

    Raises
    ------
    InputError
        If there are none.
    """
    from experiments.texts import read_lines

    given = [*(text or []), *(read_lines(file, column, reading) if file else [])]
    if not given:
        raise InputError("no text was given; use --text '...' or --texts FILE")
    return given


def _invert_now(
    space: Any, texts: Sequence[str], config: Any, keep: Keep, out: Path | None, as_json: bool
) -> None:  # fmt: skip
    """Invert with all results in memory, and show each."""
    from embeddings.exchange import save_embeddings
    from embeddings.inversion import resolve_precision
    from embeddings.inverting import stream

    config = resolve_precision(space.model, config)
    began, results = time.perf_counter(), {}
    with console.progress() as show:
        for number, result in stream(space, texts, config):
            results[number] = result
            show("inverting", len(results), len(texts))
    seconds = time.perf_counter() - began
    found, refused = _parted(results[number] for number in range(len(texts)))
    if not found:
        raise InputError(f"text {refused[0].index + 1} {refused[0].reason}")
    if out is not None:
        keep_result(out, lambda path: save_embeddings(found, path))
    try:
        keep(found)
    except CopyloomError as error:
        saved = out or spare_result("embeddings.safetensors", lambda path: save_embeddings(found, path))
        raise type(error)(f"{error}; nothing is lost: the embeddings are in {saved}") from error
    not_exact = [embedding.text for embedding in found if not embedding.exact]
    exact_share = 1 - len(not_exact) / len(found)
    if as_json:
        console.print_json({"texts": len(found), "exact_share": exact_share, "seconds": round(seconds, 3),
                            "texts_per_second": round(len(found) / seconds, 3), "precision": config.precision,
                            "not_exact": not_exact,
                            "refused": _refusals(refused), "out": None if out is None else str(out)})  # fmt: skip
        return
    rows = [["yes" if e.exact else "NO", str(e.steps), f"{e.margin:.2f}", e.text] for e in found[:_SHOWN]]
    console.table(f"{len(found)} texts in {space.identity}", ["exact", "steps", "margin", "text"], rows)
    if len(found) > _SHOWN:
        console.out.print(f"... and {len(found) - _SHOWN} more")
    console.out.print(
        f"exact {exact_share:.1%}, {len(found) / seconds:.1f} texts a second ({seconds:.1f} s, {config.precision})"
    )
    _show_refused(refused)
    if out is not None:
        console.out.print(f"Embeddings: {out}")


def _invert_job(
    space: Any, texts: Sequence[str], config: Any, folder: Path, part: Any, keep: Keep, as_json: bool
) -> None:  # fmt: skip
    """Invert a shard into a folder from which the same command goes on."""
    from embeddings.job import run_shard

    total = len(range(part.index, len(texts), part.count))
    with console.progress() as show:
        done = run_shard(
            space, texts, folder, config, part, lambda finished: show(f"inverting {part}", finished, total), keep
        )
    new = done.finished - done.resumed
    found = {"texts": done.finished, "exact_share": done.exact / max(done.finished, 1), "resumed": done.resumed,
             "seconds": round(done.seconds, 3), "texts_per_second": round(new / done.seconds, 3),
             "precision": done.precision}  # fmt: skip
    if as_json:
        console.print_json(
            {**found, "refused": _refusals(done.refused), "run": str(folder), "shard": f"{part.index}/{part.count}"}
        )
        return
    console.out.print(
        f"{done.finished:,} texts, exact {found['exact_share']:.2%}; {new:,} of them now, "
        f"{found['texts_per_second']:.1f} a second ({done.seconds:.0f} s, {done.precision})"
    )
    _show_refused(done.refused)
    console.out.print(f"Folder: {folder}; `copyloom merge {folder}` checks it and puts shards together")


def _keep(database: str | None, pool: str, space: SpaceIdentity | None = None) -> Keep:
    """Return a function that adds embeddings to a pool, or one that does nothing.

    Raises
    ------
    CopyloomError
        If they cannot be added: that is known before there are any.
    """
    from embeddings.database import open_database, writing
    from embeddings.pool import Pool

    if database is None:
        return lambda embeddings: None
    engine = open_database(database)
    with writing(engine):
        pass
    if space is not None:
        Pool(engine, pool, space)

    def add(embeddings: Sequence[Any]) -> None:
        if embeddings:
            Pool(engine, pool, embeddings[0].space).add(embeddings, "inverted")

    return add


def _parted(results: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Return the embeddings among `results`, and the refusals."""
    from embeddings.inversion import Refused

    found: list[Any] = []
    refused: list[Any] = []
    for result in results:
        (refused if isinstance(result, Refused) else found).append(result)
    return found, refused


def _refusals(refused: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"text": row.index + 1, "reason": row.reason} for row in refused]


def _show_refused(refused: Sequence[Any]) -> None:
    for row in refused[:10]:
        console.out.print(f"not inverted: text {row.index + 1} {row.reason}")
    if len(refused) > 10:
        console.out.print(f"... and {len(refused) - 10} more; --json names all")
