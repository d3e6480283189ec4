"""``copyloom mix``: write a new text from a mixture of others."""

from __future__ import annotations

from typing import Annotated

import typer

from copyloom import InputError
from embeddings.effort import Effort
from experiments import console
from experiments.options import DeviceName, Json, Model, Subject, Texts


def mix(
    text: Texts = None,
    weights: Annotated[list[float] | None, typer.Option(help="One a text, summing to 1: --weights 0.5 0.5")] = None,
    more: Annotated[list[float] | None, typer.Argument(hidden=True)] = None,
    subject: Subject = None,
    drafts: Annotated[int, typer.Option(help="Decodes around the mixture to begin with.", min=1)] = Effort.drafts,
    rounds: Annotated[int, typer.Option(help="Of changing the best texts; 0 is fastest.", min=0)] = Effort.rounds,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Write a new text from a mixture of others."""
    from embeddings.mixing import check_weights
    from embeddings.space import Space
    from generator.checks import BrandRules, Checker
    from generator.grammar import Grammar
    from generator.reader import Reader
    from generator.record import ProductRecord

    parents = text or []
    if len(parents) < 2:
        raise InputError(f"{len(parents)} texts were given; a mixture needs at least two: --text '...' --text '...'")
    chosen = [*(weights or []), *(more or [])] or [1 / len(parents)] * len(parents)
    check_weights(chosen, len(parents))
    record = ProductRecord.from_yaml(subject) if subject else None
    space = Space.load(model, device)
    with console.progress() as show:
        stored = space.invert(parents, None, lambda done, total: show("inverting", done, total))
    mixture = space.mix(stored, chosen, record, Effort(drafts, rounds))
    reader = Reader(Grammar.load(), record) if record else None
    refusals = [refusal.reason for refusal in Checker(BrandRules.like(parents), parents, reader).refusals(mixture.text)]
    if as_json:
        console.print_json({"text": mixture.text, "parents": list(mixture.lineage.parents), "weights": chosen,
                            "semantic_consistency": mixture.semantic_consistency, "new": mixture.new,
                            "refusals": refusals,
                "parents_exact": [embedding.exact for embedding in stored]})  # fmt: skip
        return
    for parent, weight in zip(stored, chosen, strict=True):
        console.out.print(f"{weight:+.2f}  {parent.text}", markup=False)
    console.out.print(f"   ->  {mixture.text}", markup=False)
    new = "new text" if mixture.new else "not new: a parent's text"
    console.out.print(f"semantic consistency {mixture.semantic_consistency:.2f}, {new}")
    for reason in refusals:
        console.out.print(f"a study would refuse it: {reason}", markup=False)
