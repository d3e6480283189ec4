"""``copyloom mix``: write a new text from a mixture of others, or many from a file of pairs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import InputError, Report
from copyloom.tables import Reading
from embeddings.effort import Effort
from embeddings.folders import is_special, keep_result, replacing
from experiments.commands import console
from experiments.commands.options import (
    DeviceName,
    Json,
    Subject,
    Texts,
    Trust,
    Writer,
    note_scripts,
    output,
    reads,
    writer_for,
)
from experiments.commands.settings import takes
from experiments.texts import read_cells

if TYPE_CHECKING:
    from embeddings.space import Space
    from generator.record import ProductRecord

COLUMNS = ("a", "b", "weight", "text", "semantic_consistency", "new", "refusals")
"""Of what ``--pairs`` writes."""
Pair = tuple[str, str, float]
"""Two texts and the weight of the first."""
_BETWEEN = "; "
_ROWS = 4
"""Texts that are inverted at a time, at least: as many rows are computed, whether they hold a text or not."""


@takes(Effort, "drafts", "rounds", "turns", "printed", panel="How hard to try", into="effort")
@reads("delimiter", "encoding", "sheet")
def mix(
    text: Texts = None,
    weights: Annotated[list[float] | None, typer.Option(help="One a text, summing to 1: --weights 0.5 0.5")] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Instead: a table with columns a, b and, of a, weight (0.5 unless given).")
    ] = None,
    out: Annotated[Path | None, output("With --pairs: write a CSV file.")] = None,
    subject: Subject = None,
    *,
    effort: Effort,
    reading: Reading,
    model: Writer = None,
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    as_json: Json = False,
) -> None:
    """Write a new text from a mixture of others."""
    from embeddings.mixing import whole_weights
    from generator.record import ProductRecord

    record = ProductRecord.from_yaml(subject) if subject else None
    if pairs is not None:
        if text or weights or more:
            raise InputError("--pairs brings its own texts and weights; give --pairs, or --text and --weights")
        rows = _read_pairs(pairs, reading)
        _mix_pairs(rows, record, effort, writer_for(model), device, trust_remote_code, out, as_json)
        return
    if out is not None:
        raise InputError("--out is for --pairs; one text is printed")
    parents = text or []
    if len(parents) < 2:
        raise InputError(f"{len(parents)} texts were given; a mixture needs at least two: --text '...' --text '...'")
    chosen = [*(weights or []), *map(_weight, more or [])] or [1 / len(parents)] * len(parents)
    chosen = whole_weights(chosen, len(parents))
    _mix_one(parents, chosen, record, effort, writer_for(model), device, trust_remote_code, as_json)


def _weight(given: str) -> float:
    try:
        return float(given)
    except ValueError:
        kind = "option" if given.startswith("-") else "weight"
        raise InputError(f"{given!r} is no {kind} of mix; copyloom mix --help lists what can be given") from None


def _mix_one(
    parents: list[str], weights: list[float], record: ProductRecord | None, effort: Effort, model: str, device: str,
    trust_remote_code: bool, as_json: bool,
) -> None:  # fmt: skip
    from embeddings.inversion import check_texts

    note_scripts(model, parents + _phrases(record))
    space = _loaded(model, device, trust_remote_code, effort)
    check_texts(space.model, parents, space.default_inversion, space.prefix)
    ends = [] if record else [text for text, weight in zip(parents, weights, strict=True) if weight == 1]
    with console.progress() as show:
        loose, exact = _stored(space, parents, ends, max(len(parents), _ROWS), show)
    stored = [(exact if text in ends else loose)[text] for text in parents]
    mixture = space.mix(stored, weights, record, effort)
    refusals = study_refusals(mixture.text, parents, record)
    if as_json:
        console.print_json({"text": mixture.text, "parents": list(mixture.lineage.parents), "weights": weights,
                            "semantic_consistency": mixture.semantic_consistency, "new": mixture.new,
                            "printed": mixture.printed, "refusals": refusals, "model": model,
                            "parents_exact": [one.exact if text in exact else None
                                              for text, one in zip(parents, stored, strict=True)]})  # fmt: skip
        return
    for parent, weight in zip(stored, weights, strict=True):
        console.out.print(f"{weight:+.2f}  {parent.text}")
    console.out.print(f"   ->  {mixture.text}")
    new = "new text" if mixture.new else "not new: a parent's text"
    likely = "" if mixture.printed is None else f", printed as it stands with probability {mixture.printed:.2f}"
    console.out.print(f"semantic consistency {mixture.semantic_consistency:.2f}, {new}{likely}")
    for reason in refusals:
        console.out.print(f"a study would refuse it: {reason}")


def _phrases(record: ProductRecord | None) -> list[str]:
    return list(record.phrases().values()) if record else []


def _stored(
    space: Space, texts: Sequence[str], ends: Sequence[str], rows: int, show: Report
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the embedding of each text, and of each of `ends`, which is to come back as it is; or why there is none.

    A pretrained writer that composes reads the texts themselves, so that only the embeddings of ends need be exact.
    Elsewhere all are refined.
    """
    from embeddings.inverting import stream, unrefined

    loose = dict(zip(texts, unrefined(space, texts), strict=True)) if space.composes else {}
    refined, exact = list(dict.fromkeys(ends if loose else texts)), dict[str, Any]()
    config = space.default_inversion.model_copy(update={"rows": rows})
    for number, embedding in stream(space, refined, config) if refined else ():
        exact[refined[number]] = embedding
        show("inverting", len(exact), len(refined))
    return loose or exact, exact


def _loaded(model: str, device: str, trust_remote_code: bool, effort: Effort) -> Space:
    """Return the space of a model, with all that writes in it.

    Raises
    ------
    InputError
        If texts are to be so likely printed, and the model has no editor; before it is loaded. Or if it or its editor
        cannot be used.
    """
    from embeddings.adapter import folder_of
    from embeddings.space import Space
    from generator.editor import EDITOR_FILE

    if effort.printed != Effort.printed and not (folder_of(model) / EDITOR_FILE).exists():
        raise InputError(
            f"--printed is {effort.printed:g}, but {model!r} has no editor that could say how likely a text is "
            "printed; leave it out, or train one with `copyloom train editor`"
        )
    space = Space.load(model, device, trust_remote_code=trust_remote_code)
    _ = space.writer.composer  # a damaged editor is found before texts are inverted
    return space


def study_refusals(text: str, parents: Sequence[str], record: ProductRecord | None) -> list[str]:
    """Return why a study would refuse a text, by the rules that its parents keep and by the record."""
    from generator.checks import Checker, WritingRules
    from generator.grammar import Grammar
    from generator.reader import GrammarReader

    reader = GrammarReader(Grammar.load(), record) if record else None
    return [one.reason for one in Checker(WritingRules.like(parents), parents, reader).refusals(text)]


def _mix_pairs(
    rows: list[Pair], record: ProductRecord | None, effort: Effort, model: str, device: str,
    trust_remote_code: bool, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Mix all pairs; after each the file is written anew, and what it holds already is not mixed again."""
    from embeddings.summary import SummaryEmbedding

    known = _written(out) if out is not None else {}
    if kept := sum(pair in known for pair in rows):
        console.notes.print(
            f"{kept} of {len(rows)} pairs are in {out} already and stay as they are; delete a row to mix it again",
        )
    note_scripts(model, [text for a, b, _ in rows for text in (a, b)] + _phrases(record))
    space = _loaded(model, device, trust_remote_code, effort)
    new = [pair for pair in rows if pair not in known]
    texts = list(dict.fromkeys(text for pair in new for text in pair[:2]))
    ends = [] if record else [a if weight == 1 else b for a, b, weight in new if weight in (0, 1)]
    found: list[dict[str, Any]] = []
    with console.progress() as show:
        loose, exact = _stored(space, texts, ends, space.default_inversion.rows, show)
        for number, pair in enumerate(rows):
            show("mixing", number, len(rows))
            a, b, weight = pair
            line: dict[str, Any] = {"a": a, "b": b, "weight": weight}
            nothing = {"text": "", "semantic_consistency": None, "new": False, "printed": None}
            if pair in known:
                found.append(known[pair])
                continue
            stored = [(exact if whole and not record else loose)[text]
                      for text, whole in ((a, weight == 1), (b, weight == 0))]  # fmt: skip
            if unfit := [one for one in stored if not isinstance(one, SummaryEmbedding)]:
                line |= nothing | {"refusals": [f"{unfit[0].text[:30]!r} {unfit[0].reason}"]}
            else:
                try:
                    mixture = space.mix(stored, [weight, 1 - weight], record, effort)
                    line |= {"text": mixture.text, "semantic_consistency": round(mixture.semantic_consistency, 4),
                             "new": mixture.new, "printed": mixture.printed,
                             "refusals": study_refusals(mixture.text, (a, b), record)}  # fmt: skip
                except InputError as error:
                    line |= nothing | {"refusals": [str(error)]}
            found.append(line)
            if out is not None and not is_special(out):
                _write(out, found)
        show("mixing", len(rows), len(rows))
    if out is not None and is_special(out):  # what is written to a pipe cannot be written anew
        keep_result(out, lambda path: _write(path, found))
    if as_json:
        console.print_json({"model": model, "mixtures": found})
        return
    for row in found if out is None else []:
        console.out.print(f"{row['a']}  +  {row['b']}\n   ->  {row['text'] or row['refusals'][0]}")
    written = sum(bool(row["text"]) for row in found)
    console.out.print(f"{written} of {len(found)} mixtures written{f' to {out}' if out else ''}")


def _write(path: Path, found: Sequence[dict[str, Any]]) -> None:
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "refusals": _BETWEEN.join(row["refusals"])} for row in found)


def _written(path: Path) -> dict[Pair, dict[str, Any]]:
    """Return the rows that an earlier call wrote to a file, by pair.

    Raises
    ------
    InputError
        If it cannot be read, or holds something else.
    """
    if not path.exists() or is_special(path):
        return {}
    columns, lines = read_cells(path, (), "another --out", optional=COLUMNS)
    if tuple(columns) != COLUMNS:
        raise InputError(f"{path} is there and holds something else than mixtures; choose another --out")
    return {
        (line["a"], line["b"], float(line["weight"])): {
            "a": line["a"], "b": line["b"], "weight": float(line["weight"]), "text": line["text"],
            "semantic_consistency": float(line["semantic_consistency"]) if line["semantic_consistency"] else None,
            "new": line["new"] == "True", "printed": None,
            "refusals": [r for r in line["refusals"].split(_BETWEEN) if r],
        }
        for line in lines
    }  # fmt: skip


def _read_pairs(path: Path, reading: Reading) -> list[Pair]:
    """Return the pairs of a table and the weight of each first text.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or a row lacks a text or has a weight that is none.
    """
    columns, lines = read_cells(path, ("a", "b"), "a, b and weight", ["weight"], reading)
    if more := [name for name in columns if name not in ("a", "b", "weight")]:
        raise InputError(f"{path} has the column {more[0]!r}; there may be a, b and weight, and nothing else")
    rows = []
    for number, line in enumerate(lines, start=1):
        a, b = (" ".join(line[name].split()) for name in ("a", "b"))
        try:
            weight = float(line.get("weight") or 0.5)
        except ValueError:
            weight = float("nan")
        if not a or not b or not -0.5 <= weight <= 1.5:
            raise InputError(
                f"row {number} of {path} has {a[:30]!r}, {b[:30]!r} and weight {line.get('weight')!r}; give two texts "
                "and a weight between -0.5 and 1.5"
            )
        rows.append((a, b, weight))
    if not rows:
        raise InputError(f"{path} is empty; write one pair a row")
    return rows
