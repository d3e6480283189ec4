"""``copyloom steer``, ``study steering``, ``study styles``: one text moved along directions, and how well that goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import InputError
from copyloom.tables import Reading
from embeddings.effort import Effort
from embeddings.folders import keep_result
from experiments.commands import console
from experiments.commands.mix import study_refusals
from experiments.commands.options import (
    DeviceName,
    Json,
    Model,
    Subject,
    Trust,
    note_scripts,
    output,
    reads,
)
from experiments.commands.settings import takes
from experiments.commands.studying import Studied

if TYPE_CHECKING:
    from embeddings.directions import Direction
    from embeddings.space import Space
    from embeddings.steering import Steered

_Out = Annotated[Path | None, output("Write the numbers to this JSON file.")]


_LEAST_WORDS, _LEAST_LONGER = 2, 0.15
"""By how many words, and by what share of them, a text must be longer or shorter to count as such."""


@dataclass(frozen=True)
class _Move:
    """What is asked of a text: one of the three."""

    towards: str | None
    remove: str | None
    like: tuple[str, ...]


@takes(Effort, "drafts", "rounds", into="effort")
@reads("delimiter", "encoding", "sheet", "header")
def steer(
    text: Annotated[str, typer.Option(help="The text to rewrite.")],
    towards: Annotated[str | None, typer.Option(help="A style, longer, shorter, or a label of your examples.")] = None,
    remove: Annotated[str | None, typer.Option(help="A style or label to take out.")] = None,
    like: Annotated[list[str] | None, typer.Option(help="A text whose style to take; better, several.")] = None,
    strength: Annotated[float, typer.Option(help="Share of the trust region, -1 to 1; with --like and --remove 1 is "
                                                 "the other's style exactly, and up to 5 exaggerates.")] = 1.0,
    trust: Annotated[float, typer.Option(help="The most that the text's point may turn, in degrees.")] = 60.0,
    examples: Annotated[Path | None, typer.Option(help="Table of your own labelled texts.")] = None,
    column: Annotated[str, typer.Option(help="Its column of texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="Its column of labels, or of numbers.")] = "label",
    directions: Annotated[Path | None, typer.Option(help="Directions from an earlier --save.")] = None,
    save: Annotated[Path | None, output("Write the directions to this file.")] = None,
    subject: Subject = None,
    *,
    effort: Effort,
    reading: Reading,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Rewrite a text: more emotional, shorter, in the style of another, or without a style."""
    from embeddings.directions import save_directions
    from embeddings.space import Space
    from embeddings.steering import adapter_of, angles_between, check_move, objections, share_reached
    from embeddings.steering import steer as write
    from generator.record import ProductRecord

    move = _Move(towards, remove, tuple(like or ()))
    if sum(map(bool, (towards, remove, like))) != 1:
        raise InputError("say where to: one of --towards, --remove and --like")
    if examples and directions:
        raise InputError("directions come from --examples or from --directions; give one of them")
    check_move(strength, trust, along=bool(towards))
    given = _Given.read(examples, (column, label_column), reading, directions)
    if name := towards or remove:
        direction_named(given.names, name)
    record = ProductRecord.from_yaml(subject) if subject else None
    note_scripts(model, [text, *(record.phrases().values() if record else ())])
    space = Space.load(model, device, trust_remote_code=trust_remote_code)
    adapter_of(space)
    with console.progress() as show:
        show("finding directions", 0, 1)
        known = given.directions(space)
        if save is not None:
            save_directions(known, save)
        stored = space.invert([text], None, lambda done, total: show("inverting", done, total))
        points, used = _moved(space, stored, move, known, strength, trust)
        (found,) = write(space, stored, points, effort, record)
    if found is None:
        raise InputError("no acceptable text was found at the moved point; try another strength, or more --rounds")
    own_words = record is not None and not space.composes
    against = objections(found, record, towards or "", own_words, space.critic)
    if own_words:  # the record's truth is then the grammar's to check
        against += study_refusals(found.text, [text], record)
    if against:
        raise InputError(
            f"no text fit to print was found at the moved point: of the nearest, {'; '.join(against)}; try another "
            "strength, more --rounds, or another model"
        )
    here = stored[0].sentence_vector
    along = {d.name: [float(v @ d.normal) for v in (here, points[0], found.sentence_vector)] for d in used}
    data = {
        "text": found.text, "parent": text, "strength": strength, "degrees": float(angles_between(points, here[None])),
        "semantic_consistency": found.semantic_consistency, "cosine_kept": found.cosine_kept, "new": found.new,
        "along": along, "share_reached": (reached := share_reached(found, here, used)),
        "failed": _failed(found, reached, used, strength, towards), "directions": [d.description for d in used],
        "saved": None if save is None else str(save),
    }  # fmt: skip
    console.print_json(data) if as_json else _show_steered(data)


def _failed(found: Steered, reached: float, used: Sequence[Direction], strength: float, towards: str | None) -> bool:
    """Say whether a text hardly went the way that was asked; of length words tell, for its direction is a weak one."""
    from embeddings.steering import LEAST_REACHED
    from experiments.styles import LENGTH, OPPOSITES
    from generator.reader import words_of

    if [direction.name for direction in used] != [LENGTH] or towards not in OPPOSITES:
        return reached < LEAST_REACHED
    words = len(words_of(found.parent))
    more = (len(words_of(found.text)) - words) * OPPOSITES[towards][1] * (1 if strength > 0 else -1)
    return strength != 0 and more < max(_LEAST_WORDS, _LEAST_LONGER * words)


def _show_steered(data: dict[str, Any]) -> None:
    console.out.print(f"      {data['parent']}\n  ->  {data['text']}")
    console.out.print(
        f"point turned by {data['degrees']:.0f} degrees; cosine of the new text to it "
        f"{data['semantic_consistency']:.2f}, to the old text {data['cosine_kept']:.2f}"
    )
    if data["failed"]:
        console.out.print("steering failed: the new text says hardly more of what was asked for than the old one")
    rows = [
        [d["name"], f"{d['score']:.2f} {d['measure']}", *(f"{value:+.2f}" for value in data["along"][d["name"]])]
        for d in data["directions"]
    ]
    console.table("Along the directions", ["direction", "cross-validated", "old text", "point", "new text"], rows)
    if data["saved"] is not None:
        console.out.print(f"Directions: {data['saved']}")


@takes(Effort, "drafts", "rounds", into="effort", drafts=5, rounds=1)
def steering(
    claims: Annotated[int, typer.Option(help="Held-out claims to steer.", min=2)] = 8,
    strength: Annotated[list[float] | None, typer.Option(help="Give the option once for each strength.")] = None,
    library: Annotated[int, typer.Option(help="Products of the stored texts that are compared with.", min=1)] = 200,
    *,
    effort: Effort,
    out: _Out = None,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
) -> Studied:
    """Measure steering on held-out claims, beside a random direction and the nearest stored text."""
    from experiments.studies.steering.study import STRENGTHS, measure

    with console.progress() as show:
        found = measure(claims, strength or STRENGTHS, effort, library, model, device, show)
    return Studied(found, _show_steering, out)


def styles(
    first: Annotated[str, typer.Option(help="A style of the grammar.")] = "factual",
    second: Annotated[str, typer.Option(help="Another.")] = "emotional",
    products: Annotated[int, typer.Option(help="Products; one held-out claim in each style about each.")] = 100,
    plot: Annotated[Path, output("Where to write the plot, a PNG.")] = Path("runs/study-styles.png"),
    out: _Out = None,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
) -> Studied:
    """Measure and draw whether claims of two styles lie apart, with labels and without."""
    from experiments.studies.styles.plot import draw
    from experiments.studies.styles.study import measure

    with console.progress() as show:
        found, points = measure((first, second), products, model, device, show)
    keep_result(plot, lambda path: draw(found, points, path))
    found["plot"] = str(plot)
    return Studied(found, _show_styles, out, (plot,))


@dataclass(frozen=True)
class _Given:
    """Where directions come from: a person's examples, an earlier run, or, of neither, what comes with Copyloom.

    Parameters
    ----------
    names : sequence of str
        Of the directions, known before a model is loaded.
    texts, labels : sequence
        Of the examples.
    saved : sequence of Direction, optional
    """

    names: Sequence[str]
    texts: Sequence[str] = ()
    labels: Sequence[str] | Sequence[float] = ()
    saved: Sequence[Direction] | None = None

    @classmethod
    def read(cls, examples: Path | None, columns: tuple[str, str], reading: Reading, file: Path | None) -> _Given:
        """Read the files that were given."""
        from embeddings.directions import load_directions
        from experiments.styles import LENGTH
        from experiments.texts import read_labelled
        from generator.grammar import Grammar

        if file is not None:
            saved = load_directions(file)
            return cls([direction.name for direction in saved], saved=saved)
        if examples is None:
            return cls([*Grammar.load().styles, LENGTH])
        texts, labels = read_labelled(examples, *columns, reading)
        numbers = any(isinstance(label, float) for label in labels)
        return cls([columns[1]] if numbers else sorted(set(map(str, labels))), texts, labels)

    def directions(self, space: Space) -> Sequence[Direction]:
        """Return the directions."""
        from embeddings.directions import label_directions, number_direction
        from experiments.styles import style_directions

        if self.saved is not None:
            return self.saved
        if not self.texts:
            return style_directions(space.encoder)
        vectors = space.encoder.encode(self.texts)
        numbers = [label for label in self.labels if isinstance(label, float)]
        if numbers:
            return [number_direction(vectors, numbers, self.names[0], encoder=space.encoder.name)]
        return label_directions(vectors, [str(label) for label in self.labels], encoder=space.encoder.name)


def _moved(
    space: Space, stored: Sequence[Any], move: _Move, known: Sequence[Direction], strength: float, trust: float
) -> tuple[Any, list[Direction]]:
    """Return the moved point (1, S) and the directions that it was moved in."""
    from embeddings import steering

    if move.like:
        others, labels = space.invert(move.like), [d for d in known if d.against] or list(known)
        return steering.like(stored, others, labels, strength, trust), labels
    by_name = {direction.name: direction for direction in known}
    wanted, sign = direction_named(list(by_name), str(move.towards or move.remove))
    direction = by_name[wanted]
    if move.remove:
        return steering.without(stored, [direction], strength, trust), [direction]
    return steering.towards(stored, direction, sign * strength, trust), [direction]


def direction_named(names: Sequence[str], asked: str) -> tuple[str, float]:
    """Return the name of the direction that is asked for, and which way along it.

    Raises
    ------
    InputError
        If there is none.
    """
    from experiments.styles import OPPOSITES

    wanted, sign = OPPOSITES.get(asked, (asked, 1.0)) if asked not in names else (asked, 1.0)
    if wanted not in names:
        raise InputError(f"there is no direction {asked!r}; there are {', '.join(names)}")
    return wanted, sign


def _show_steering(found: dict[str, Any]) -> None:
    names = [[row["way"], f"{row['strength']:g}"] for row in found["rows"]]
    title = f"{found['claims']} held-out claims, {found['model']}"
    columns = ["way", "strength", "turned", "to point", "kept", "new", "finished"]
    console.table(f"{title}: points", columns, [
        [*name, f"{row['degrees']:.0f}", _number(row["semantic_consistency"]), _number(row["cosine_kept"]),
         _share(row["new_share"]), _share(row["finished_share"])]
        for name, row in zip(names, found["rows"], strict=True)
    ])  # fmt: skip
    console.out.print(
        "Turned: degrees. To point, kept: cosine to the moved point and to the old text. New: not\n"
        "in the library of stored texts either.\n"
    )
    columns = ["way", "strength", "style", "95 %", "product", "true", "words"]
    console.table(f"{title}: texts", columns, [
        [*name, _share(row["style_as_asked_share"]), _bounds(row["style_as_asked_interval"]),
         _share(row["product_share"]), _share(row["true_share"]),
         "-" if row["more_words"] is None else f"{row['more_words']:+.1f}"]
        for name, row in zip(names, found["rows"], strict=True)
    ])  # fmt: skip
    console.out.print(
        "Style: as asked, as the grammar reads it; with length the claim's own, with removal any other. Product:\n"
        "still named. True: and no foreign attribute. Words: more than before.\n"
    )
    for dose in found["dose"]:
        low, high = dose["interval"]
        console.out.print(f"rank correlation of strength and effect, {dose['way']}: {dose['rank_correlation']:.2f} "
                          f"({low:.2f} to {high:.2f})")  # fmt: skip
    for sample in found["samples"][:4]:
        console.out.print(f"\n{sample['text']}")
        console.out.print(f"    {sample['wanted_style']} -> {sample['towards a style']}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _bounds(values: Sequence[float] | None) -> str:
    return "-" if values is None else "{:.0%} to {:.0%}".format(*values)


def _show_styles(found: dict[str, Any]) -> None:
    rows, (first, second) = found["rows"], found["styles"]
    title = f"{found['claims']} held-out claims, {first} and {second}, about the same {found['products']} products"
    console.table(title, ["space", "labels", "k-means", "95 %", "over seeds", "Rand"], [
        [row["space"], _share(row["linear_accuracy"]), _share(row["kmeans_accuracy"]), _bounds(row["kmeans_interval"]),
         _bounds(row["kmeans_range"]), _number(row["adjusted_rand_index"])] for row in rows
    ])  # fmt: skip
    console.out.print(
        "Shares told right; one half is chance. Labels: by a linear classifier that learnt from labels, on frames\n"
        "that it never saw; the other columns see no label. Rand: adjusted Rand index of k-means, 0 is chance.\n"
    )
    console.table("Also", ["space", "size", "silhouette", "1st component", "products out"], [
        [row["space"], str(row["size"]), f"{row['silhouette']:.3f}", _share(row["first_component_accuracy"]),
         _share(row["within_products"]["kmeans_accuracy"])] for row in rows
    ])  # fmt: skip
    console.out.print(
        "Silhouette: of the true styles. 1st component: share told right by its sign. Products out: k-means, each\n"
        "point less the mean of its product's two."
    )
    console.out.print(f"Plot: {found['plot']}")
