"""``copyloom study radius``, ``vectors``, ``transfer``, ``inversion``: what suits a model, and what choices bring."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError
from embeddings.folders import keep_result
from experiments.commands import console
from experiments.commands.inversion import given_texts
from experiments.commands.options import After, Before, Column, DeviceName, File, Model, Texts, Trust, output
from experiments.commands.studying import Studied

_Start = Annotated[str | None, typer.Option(help="adapter, token_mean or random.")]


def radius(
    text: Texts = None,
    texts: File = None,
    column: Column = None,
    start: _Start = None,
    sample: Annotated[int, typer.Option(help="Texts to try, drawn from those given.", min=1)] = 24,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
) -> Studied:
    """Find the longest step with which inversion is fastest; what it moves is the price in mixing."""
    from embeddings.probe import probe_radius

    given = given_texts(text, texts, column)
    space, config = _space_and_config(model, device, start, trust_remote_code)
    with console.progress() as show:
        found = probe_radius(space, given, config, sample=sample, progress=lambda *done: show("radius", *done))

    def tell(_: dict[str, Any]) -> None:
        rows = [[f"{t.radius:g}", f"{t.exact_share:.1%}", f"{t.steps:.1f}", f"{t.moved:.2f}"] for t in found.trials]
        console.table(f"Inversion from {config.start}", ["radius", "exact", "steps", "moved"], rows)
        console.out.print(f"fewest steps: copyloom invert --radius {found.radius:g}")

    return Studied(asdict(found), tell)


def vectors(
    model: Annotated[str, typer.Option(help="A folder or hub id of a causal model without adapter.")],
    text: Texts = None,
    texts: File = None,
    column: Column = None,
    limit: Annotated[int, typer.Option(help="Most vectors to try.", min=1)] = 64,
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
) -> Studied:
    """Find the fewest vectors a text with which all texts of a pool are exact."""
    from embeddings.probe import smallest_vectors

    given = given_texts(text, texts, column)
    space, _ = _space_and_config(model, device, None, trust_remote_code)
    with console.progress() as show:
        found = smallest_vectors(space, given, limit=limit, progress=lambda *done: show("vectors", *done))

    def tell(_: dict[str, Any]) -> None:
        rows = [[str(t.vectors), f"{t.exact_share:.1%}", f"{t.steps:.1f}"] for t in found.trials]
        console.table(f"Inversion of {len(given)} texts", ["vectors", "exact", "steps"], rows)
        smallest = "more vectors than the limit are needed" if found.vectors is None else f"--vectors {found.vectors}"
        console.out.print(f"copyloom invert: {smallest}")

    return Studied(asdict(found), tell)


def transfer(
    file: Annotated[Path, typer.Argument(help="Embeddings of the old version, from `copyloom invert --out`.")],
    model: Annotated[str, typer.Option(help="The new version: a folder or hub id.")],
    out: Annotated[Path | None, output("Write the embeddings of the new version to this file.")] = None,
    before: Before = "",
    after: After = "",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
) -> Studied:
    """Carry embeddings over to another version of their model, and say how well that went."""
    from embeddings.exchange import load_embeddings, save_embeddings
    from embeddings.space import Space
    from embeddings.transfer import carry_over

    stored = load_embeddings(file)
    space = Space.load(model, device, stored[0].space.vectors, (before, after), trust_remote_code=trust_remote_code)
    with console.progress() as show:
        carried, report = carry_over(space, stored, progress=lambda *done: show("carrying over", *done))
    if out is not None:
        keep_result(out, lambda path: save_embeddings(carried, path))

    def tell(_: dict[str, Any]) -> None:
        rows = [["as they are", f"{report.exact_unchanged:.1%}", "0", "1.000"],
                ["from the old vectors", f"{report.exact_carried:.1%}", f"{report.steps_carried:.1f}",
                 f"{report.cosine_carried:.3f}"],
                [f"afresh ({report.compared} texts)", f"{report.exact_afresh:.1%}", f"{report.steps_afresh:.1f}",
                 f"{report.cosine_afresh:.3f}"]]  # fmt: skip
        columns = ["vectors", "exact", "steps", "cosine to the old vectors"]
        console.table(f"{report.texts} texts from {stored[0].space.model} to {model}", columns, rows)
        if out is not None:
            console.out.print(f"Embeddings: {out}")

    return Studied({**asdict(report), "out": None if out is None else str(out)}, tell)


def inversion(
    data: Annotated[Path | None, typer.Option(help="Folder of real texts; grammar claims where there is none.")] = None,
    out: Annotated[Path | None, output("Write the numbers to this JSON file.")] = None,
    device: DeviceName = "auto",
) -> Studied:
    """Measure what each setting of inversion costs and brings, with copyloom-tiny."""
    from experiments.studies.inversion.choices import choices

    with console.progress() as show:
        found = choices(data, device, show)
    return Studied(found, _show_choices, out)


def _show_choices(found: dict[str, Any]) -> None:
    for name, rows in found.items():
        if isinstance(rows, list):
            columns = [key.replace("_", " ") for key in rows[0]]
            console.table(f"{name}: {found['texts']}", columns, [[_shown(v) for v in row.values()] for row in rows])


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _space_and_config(model: str, device: str, start: str | None, trust_remote_code: bool) -> tuple[Any, Any]:
    from embeddings.inversion_config import InversionConfig
    from embeddings.space import Space

    if start not in (None, "adapter", "token_mean", "random"):
        raise InputError(f"start {start!r} is unknown; use adapter, token_mean or random")
    space = Space.load(model, device, trust_remote_code=trust_remote_code)
    config = space.default_inversion if start is None else InversionConfig(start=start)
    return space, config.model_copy(update={"max_steps": 100, "precision": "auto"})
