"""``copyloom explore``: what a point of the space means, and a page of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import InputError, Report
from copyloom.tables import Reading
from embeddings.folders import check_output, keep_result
from experiments.commands import console
from experiments.commands.options import DeviceName, Json, Trust, Writer, note_scripts, reads, writer_for
from experiments.commands.steering import direction_named

if TYPE_CHECKING:
    from embeddings.directions import Direction
    from embeddings.space import Space
    from experiments.explorer.point import Point
    from experiments.explorer.sense import Shelf


_SEEDS = 2**63 - 1


@reads("delimiter", "encoding", "sheet", "header")
def explore(
    text: Annotated[str | None, typer.Option(help="A text, whose summary embedding is explored.")] = None,
    mix: Annotated[list[str] | None, typer.Option(help="A text of a mixture; give the option once for each.")] = None,
    weights: Annotated[
        list[float] | None, typer.Option("--weight", help="Of each --mix, in order; alike unless given.")
    ] = None,
    vector: Annotated[
        Path | None, typer.Option(help="A .npy or safetensors file with P x D numbers, or with a sentence vector.")
    ] = None,
    draw: Annotated[int | None, typer.Option(min=0, max=_SEEDS, help="A random point of this seed.")] = None,
    towards: Annotated[str | None, typer.Option(help="With --text: a step towards a style, as steer takes it.")] = None,
    strength: Annotated[float | None, typer.Option(help="Of the step of --towards, -1 to 1; 1 unless given.")] = None,
    stored: Annotated[
        Path | None,
        typer.Option(help="Texts to lay it beside: a table, or what invert wrote; the shipped claims unless given."),
    ] = None,
    directions: Annotated[int, typer.Option(min=8, max=1024, help="Random ways along which it is moved.")] = 32,
    seed: Annotated[int, typer.Option(min=0, max=_SEEDS, help="Of these.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the page and the numbers.")] = Path("runs/explore"),
    *,
    reading: Reading,
    model: Writer = None,
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Say what a point of the space means: what it decodes to, how surely, and what lies around it."""
    from embeddings.mixing import whole_weights
    from embeddings.space import Space
    from experiments.explorer.exploring import explore as explored
    from experiments.explorer.page import PAGE, verdict, write
    from experiments.styles import LENGTH, style_directions
    from generator.grammar import Grammar

    if sum((text is not None, bool(mix), vector is not None, draw is not None)) != 1:
        raise InputError("say which point: one of --text, --mix (twice or more), --vector and --draw")
    if towards is not None and text is None:
        raise InputError("--towards is a step from a text; give --text with it")
    if strength is not None and towards is None:
        raise InputError("--strength is of a step; give --towards with it")
    if weights and not mix:
        raise InputError("--weight is of a text of a mixture; give --mix once for each")
    if mix and len(mix) < 2:
        raise InputError("a mixture needs two texts or more; give --mix once for each")
    if mix:
        whole_weights(weights or [1 / len(mix)] * len(mix), len(mix))
    step = None if towards is None else direction_named((*Grammar.load().styles, LENGTH), towards)
    check_output(out / PAGE)
    name = writer_for(model)
    note_scripts(name, [*([text] if text else []), *(mix or [])])
    with console.progress() as show:
        show("loading", 0, 1)
        space = Space.load(name, device, trust_remote_code=trust_remote_code)
        shelf, styles = _shelf(space, stored, reading), style_directions(space.encoder)
        show("loading", 1, 1)
        point = _point(space, text, mix, weights, vector, draw, step and _step(styles, step, strength), show)
        found = explored(space, point, shelf, show, styles, directions, seed)
    found["page"] = str(out / PAGE)
    keep_result(out / PAGE, lambda path: write(found, path))
    keep_result(out / "point.json", lambda path: console.write_json(found, path))
    console.print_json(found) if as_json else _show(found, verdict(found))


def _step(styles: Sequence[Direction], named: tuple[str, float], strength: float | None) -> tuple[Direction, float]:
    (direction,) = (one for one in styles if one.name == named[0])
    return direction, named[1] * (1.0 if strength is None else strength)


def _point(
    space: Space, text: str | None, mix: list[str] | None, weights: list[float] | None, vector: Path | None,
    draw: int | None, step: tuple[Direction, float] | None, show: Report,
) -> Point:  # fmt: skip
    from experiments.explorer.point import Point

    def progress(done: int, total: int) -> None:
        show("inverting", done, total)

    if step is not None and text is not None:
        return Point.of_step(space, text, *step, progress=progress)
    if text is not None:
        return Point.of_text(space, text, progress)
    if mix:
        return Point.of_mixture(space, mix, weights, progress)
    if vector is not None:
        return Point.of_file(space, vector)
    assert draw is not None
    return Point.drawn(space, draw)


def _shelf(space: Space, path: Path | None, reading: Reading) -> Shelf:
    from embeddings.exchange import load_embeddings
    from experiments.explorer.sense import Shelf
    from experiments.texts import read_texts, shipped_claims

    if path is None:
        return Shelf.of_texts(space, shipped_claims()[0])
    if path.suffix == ".safetensors":
        stored = load_embeddings(path)
        space.check_mine(stored)
        return Shelf.of_stored(stored)
    return Shelf.of_texts(space, read_texts(path, reading=reading))


def _show(found: dict[str, Any], verdict: str) -> None:
    console.out.print(verdict)
    console.table(
        "Nearest stored texts",
        ["text", "meaning", "vectors"],
        [[near["text"], f"{near['meaning']:.2f}", f"{near['vectors']:.2f}"] for near in found["nearest"][:5]],
    )
    if changes := found["basins"][0]["changes"]:
        console.table(
            "Just beyond it says",
            ["text", "ways", "likeness"],
            [[row["text"], str(row["directions"]), f"{row['cosine']:.2f}"] for row in changes[:5]],
        )
    for reason in found["left_out"]:
        console.out.print(f"Note: {reason}")
    console.out.print(f"Page: {found['page']}")
