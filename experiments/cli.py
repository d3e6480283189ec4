"""The command line, ``copyloom --help``: each command prints for people, or JSON with ``--json``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from copyloom import CopyloomError, InputError, in_words
from experiments import console

DEFAULT_OUT = Path("runs")


class _Commands(TyperGroup):
    """Turns errors that people can mend into one line, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CopyloomError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            typer.echo("stopped; the same command goes on from here", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Writes new marketing copy from old, and learns from clicks what to write next.")  # fmt: skip
train = typer.Typer(no_args_is_help=True, help="Train models.")
study_app = typer.Typer(no_args_is_help=True, help="Measure.")
app.add_typer(train, name="train")
app.add_typer(study_app, name="study")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Model = Annotated[str, typer.Option(help="copyloom-tiny, a folder, or the hub id of a causal model.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, mps or neuron.")]
Subject = Annotated[Path | None, typer.Option(help="YAML record of the product that new texts are about.")]
Texts = Annotated[list[str] | None, typer.Option("--text", help="A text; give the option once for each.")]
File = Annotated[Path | None, typer.Option("--texts", help="One text a line, or a CSV or Parquet file.")]
Column = Annotated[str | None, typer.Option(help="Column of a CSV or Parquet file.")]


@app.command()
def quickstart(
    texts: File = None,
    column: Column = None,
    subject: Subject = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/quickstart, or runs/ and the file's name.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Simulated campaigns, each with a fresh taste.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Snapshots of a campaign.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all random numbers.")] = None,
    model: Annotated[str | None, typer.Option(help="copyloom-tiny, a folder, or a hub id.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, mps or neuron.")] = None,
    as_json: Json = False,
) -> None:
    """Run the main job: store texts, mix new ones, show them to simulated shoppers, learn, and report."""
    from experiments.config import RunConfig

    given: dict[str, Any] = {"texts": texts, "column": column, "subject": subject, "seeds": seeds, "rounds": rounds}
    given |= {"seed": seed, "model": model, "device": device}
    config = RunConfig.checked(**{name: value for name, value in given.items() if value is not None})
    _study(config, out or DEFAULT_OUT / (texts.stem if texts else "quickstart"), as_json)


@app.command()
def simulate(
    config: Annotated[Path, typer.Option(help="YAML settings; runs/quickstart/config.yaml shows all of them.")],
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/ and the file's name unless given.")] = None,
    as_json: Json = False,
) -> None:
    """Run the study that a YAML file describes."""
    from experiments.config import RunConfig

    _study(RunConfig.from_yaml(config), out or DEFAULT_OUT / config.stem, as_json)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Run folder.")], as_json: Json = False) -> None:
    """Draw the report of a finished run again."""
    from experiments.runs import render

    path = render(run)
    console.print_json({"report": str(path)}) if as_json else console.out.print(f"Report: {path}")


@app.command()
def invert(
    text: Texts = None,
    texts: File = None,
    column: Column = None,
    out: Annotated[Path | None, typer.Option(help="Write the embeddings to this safetensors file.")] = None,
    start: Annotated[str | None, typer.Option(help="adapter or token_mean.")] = None,
    margin: Annotated[float | None, typer.Option(help="Least lead of every token, in logits.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Optimisation steps of a text.")] = None,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Find the summary embedding of each text, and say which decode back exactly."""
    from embeddings.exchange import save_embeddings
    from embeddings.inversion import InversionConfig
    from embeddings.space import Space

    given = _given_texts(text, texts, column)
    space = Space.load(model, device)
    chosen = {
        "start": start or ("adapter" if space.adapter else "token_mean"),
        "margin": margin,
        "max_steps": max_steps,
    }
    try:
        config = InversionConfig.model_validate({name: value for name, value in chosen.items() if value is not None})
    except ValidationError as error:
        raise InputError(f"settings of the inversion: {in_words(error)}") from error
    started = time.perf_counter()
    with console.progress() as show:
        found = space.invert(given, config, lambda done, total: show("inverting", done, total))
    seconds = time.perf_counter() - started
    if out is not None:
        save_embeddings(found, out)
    not_exact = [embedding.text for embedding in found if not embedding.exact]
    exact_share = 1 - len(not_exact) / len(found)
    if as_json:
        console.print_json({"texts": len(found), "exact_share": exact_share, "seconds": round(seconds, 3),
                            "texts_per_second": round(len(found) / seconds, 3), "not_exact": not_exact,
                            "out": None if out is None else str(out)})  # fmt: skip
        return
    rows = [["yes" if e.exact else "NO", str(e.steps), f"{e.margin:.2f}", e.text] for e in found[:50]]
    console.table(f"{len(found)} texts in {space.identity}", ["exact", "steps", "margin", "text"], rows)
    if len(found) > 50:
        console.out.print(f"... and {len(found) - 50} more")
    console.out.print(f"exact {exact_share:.1%}, {len(found) / seconds:.1f} texts a second ({seconds:.1f} s)")
    if out is not None:
        console.out.print(f"Embeddings: {out}")


@app.command(context_settings={"ignore_unknown_options": True})
def mix(
    text: Texts = None,
    weights: Annotated[list[float] | None, typer.Option(help="One a text, summing to 1: --weights 0.5 0.5")] = None,
    more: Annotated[list[float] | None, typer.Argument(hidden=True)] = None,
    subject: Subject = None,
    decodes: Annotated[int, typer.Option(help="Deterministic decodes, of which the nearest is kept.", min=1)] = 9,
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Write a new text from a mixture of others."""
    from embeddings.mixing import check_weights
    from embeddings.space import Space
    from experiments.texts import rules_like
    from generator.checks import Checker
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
    mixture = space.mix(stored, chosen, record, decodes)
    reader = Reader(Grammar.load(), record) if record else None
    refusals = [
        refusal.reason for refusal in Checker(rules_like(parents, False), parents, reader).refusals(mixture.text)
    ]
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


@app.command()
def decode(
    file: Annotated[Path, typer.Argument(help="A safetensors file that `copyloom invert --out` wrote.")],
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Decode stored embeddings and say which give their text back."""
    from embeddings.exchange import load_embeddings
    from embeddings.space import Space

    stored = load_embeddings(file)
    space = Space.load(model, device)
    decoded = space.decode(stored)
    same = [found == embedding.text for found, embedding in zip(decoded, stored, strict=True)]
    if as_json:
        console.print_json({"texts": decoded, "exact_share": sum(same) / len(same), "file": str(file)})
        return
    console.table(str(file), ["exact", "text"], [["yes" if s else "NO", t] for s, t in zip(same, decoded, strict=True)])


@app.command()
def doctor(
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    database: Annotated[Path | None, typer.Option(help="A study.sqlite to look at.")] = None,
    as_json: Json = False,
) -> None:
    """Say what this machine offers: device and why, versions, model, database."""
    from experiments.doctor import examine

    found = examine(model, device, database)
    if as_json:
        console.print_json(found)
        return
    rows = [[name, value if isinstance(value, str) else ", ".join(f"{k} {v}" for k, v in value.items())]
            for name, value in found.items()]  # fmt: skip
    console.table("Copyloom on this machine", ["what", "found"], rows)


@train.command("tiny")
def train_tiny_command(
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, log and the finished model.")] = DEFAULT_OUT
    / "tiny",
    data: Annotated[Path | None, typer.Option(help="Folder of real texts; grammar alone where there is none.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML settings.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1)] = None,
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Train copyloom-tiny; the same command goes on with a run that was stopped."""
    from experiments.tiny.train import train_to_package

    with console.progress() as show:
        result = train_to_package(config, {} if steps is None else {"steps": steps}, out, data, device, show)
    if as_json:
        console.print_json(result)
        return
    console.out.print(f"Model: {result['model']} ({result['bytes']:,} bytes, {result['texts']})")


@study_app.command("tiny")
def study_tiny(
    out: Annotated[Path, typer.Option(help="Folder of the judge and the results.")] = DEFAULT_OUT / "study-tiny",
    data: Annotated[Path | None, typer.Option(help="Folder of real texts.")] = None,
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Measure the shipped model: exactness, subjects, mixtures."""
    from experiments.tiny.quality import measure

    with console.progress() as show:
        found = measure(out, data, device, show)
    if as_json:
        console.print_json(found)
        return
    console.table("copyloom-tiny", ["measure", "value"], [[k, f"{v:.4g}" if isinstance(v, float) else str(v)]
                                                          for k, v in found.items()])  # fmt: skip


def _study(config: Any, out: Path, as_json: bool) -> None:
    from experiments.runs import REPORT, run_study

    with console.progress() as show:
        data = run_study(config, out, show)
    summary = data["summary"]
    if as_json:
        console.print_json(summary)
        return
    rows = [["the loop, with mixing", console.percent(summary["ctr_loop"])],
            ["the same policy, mixing off", console.percent(summary["ctr_mixing_off"])],
            ["best stored text", console.percent(summary["ctr_best_stored"])],
            ["every stored text alike", console.percent(summary["ctr_uniform"])]]  # fmt: skip
    if summary["best_possible_ctr"] is not None:
        rows.append(["best text the grammar can write", console.percent(summary["best_possible_ctr"])])
    count = summary["seeds"]
    console.table(
        f"Expected CTR at the end, {count} simulated campaigns",
        ["shown", "CTR"],
        rows,
    )
    uplift = console.percent(summary["uplift"], signed=True)
    bounds = console.interval(summary["uplift_interval"])
    console.out.print(f"\nUplift of mixing over the last 20 % of impressions: {uplift} (95 % interval {bounds})")
    if summary["loss_where_mixing_cannot_help"] is not None:
        loss = console.percent(summary["loss_where_mixing_cannot_help"], signed=True)
        bounds = console.interval(summary["loss_where_mixing_cannot_help_interval"])
        console.out.print(f"Loss where mixing cannot help: {loss} (95 % interval {bounds})")
    console.out.print(
        f"{summary['texts_stored']} texts stored ({summary['exact_share']:.1%} exact), "
        f"{summary['texts_written']} written, {summary['texts_refused']} refused, "
        f"{summary['seconds']:.0f} s on {summary['device']}"
    )
    best = [
        [
            f"{row['share_of_impressions']:.1%}",
            row["text"],
            " + ".join(f"{p['weight']:.2f} {p['text']}" for p in row["parents"]),
        ]
        for row in data["best_new"][:5]
    ]
    console.table("\nNew texts shown most", ["shown", "text", "mixed from"], best)
    for note in summary["notes"]:
        console.out.print(f"Note: {note}", markup=False)
    console.out.print(f"\nReport: {out / REPORT}", markup=False)


def _given_texts(text: list[str] | None, file: Path | None, column: str | None) -> list[str]:
    from experiments.texts import read_lines

    given = [*(text or []), *(read_lines(file, column) if file else [])]
    if not given:
        raise InputError("no text was given; use --text '...' or --texts FILE")
    return given
