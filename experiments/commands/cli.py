"""The command line, ``copyloom --help``: each command prints for people, or JSON with ``--json``."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from copyloom import CopyloomError, __version__
from copyloom.tables import Reading
from embeddings.folders import check_output
from experiments.commands import console
from experiments.commands.adapter import train_adapter_command
from experiments.commands.bandit import bench_bandits
from experiments.commands.basins import basins
from experiments.commands.bench_study import bench_study
from experiments.commands.brand import brand_app
from experiments.commands.calibration import calibration, check_click_model
from experiments.commands.catalogue import catalogue_app
from experiments.commands.dataset import dataset_app
from experiments.commands.document import document_app
from experiments.commands.eagle import eagle
from experiments.commands.elm import elm
from experiments.commands.evaluate import evaluate
from experiments.commands.explore import explore
from experiments.commands.feed import feed
from experiments.commands.headlines import headlines
from experiments.commands.importing import import_results
from experiments.commands.interventions import interventions
from experiments.commands.inversion import decode, invert, merge
from experiments.commands.keys import keys_app
from experiments.commands.ledger import ledger_app
from experiments.commands.load import bench_load
from experiments.commands.map import map as draw_map
from experiments.commands.mix import mix
from experiments.commands.models import models_app
from experiments.commands.options import (
    Column,
    Commands,
    DeviceName,
    File,
    Json,
    Model,
    Track,
    Trust,
    Writer,
    output,
    reads,
    writer_for,
)
from experiments.commands.plan import plan
from experiments.commands.preferences import preferences
from experiments.commands.prior import prior
from experiments.commands.probe import inversion, radius, transfer, vectors
from experiments.commands.raters import raters_app
from experiments.commands.read import read
from experiments.commands.registers import registers
from experiments.commands.runs import compare, export
from experiments.commands.serving import serve, work
from experiments.commands.settings import takes
from experiments.commands.shop_study import study_storefront
from experiments.commands.slots import slots_app
from experiments.commands.space_study import study_space
from experiments.commands.steering import steer, steering, styles
from experiments.commands.stories import stories
from experiments.commands.studying import STUDY, Studied, Studies
from experiments.commands.uplift import uplift
from experiments.commands.writer import train_editor_command, train_writer_command
from experiments.simulation.config import RunConfig
from generator.threads import choose_threads

DEFAULT_OUT = Path("runs")
_FROM_SOURCE = (
    "this command trains or measures what Copyloom ships, and comes with its source alone; in a checkout: "
    "make install, then .venv/bin/copyloom with the same options"
)
"""Said where `pyproject.toml` leaves the command's modules out of the wheel."""
OwnModel = Annotated[
    str | None, typer.Option("--click-model", help="Shoppers of your own: shoppers.py:ShortTexts, or module:Class.")
]
Force = Annotated[bool, typer.Option("--force", help="Play a study anew that the run folder holds already.")]

# torch's CPU kernels keep code for each of the last 1,024 shapes: a gigabyte in a long inversion. They read this once.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
choose_threads()


class _OneLineErrors(TyperGroup):
    """Turns errors that people can mend into one line, without a traceback."""

    def main(self, *arguments: Any, **settings: Any) -> Any:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # what a terminal cannot show is no reason to fail
        return super().main(*arguments, **settings)

    def invoke(self, ctx: Any) -> Any:
        console.hear()
        try:
            return super().invoke(ctx)
        except CopyloomError as error:
            typer.echo(f"error: {error}", err=True)
            _drop_output()
            raise typer.Exit(2) from error
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            typer.echo(f"error: something cannot be read or written ({error}); mend that, and give the command again",
                       err=True)  # fmt: skip
            _drop_output()
            raise typer.Exit(2) from error
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "experiments":
                raise
            typer.echo(f"error: {_FROM_SOURCE}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt:
            serving = ctx.invoked_subcommand in ("serve", "worker")
            more = "" if serving else "; what has a run folder goes on from here with the same command"
            typer.echo(f"stopped{more}", err=True)
            raise typer.Exit(130) from None


def _drop_output() -> None:
    """Forget what standard output did not take, or the interpreter would try again, and complain, when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


app = Commands(cls=_OneLineErrors, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Writes new marketing copy from old, and learns from clicks what to write next.")  # fmt: skip
train = Commands(no_args_is_help=True, help="Train models.")
study_app = Studies(no_args_is_help=True, help="Measure.")
app.add_typer(train, name="train")
bench_app = Commands(no_args_is_help=True, help="Measure speed, beside a baseline in the same run.")
app.add_typer(study_app, name="study")
app.add_typer(dataset_app, name="dataset")
app.add_typer(document_app, name="document")
app.add_typer(bench_app, name="bench")
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")
app.add_typer(slots_app, name="slots")
app.add_typer(brand_app, name="brand")
app.add_typer(ledger_app, name="ledger")
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(raters_app, name="raters")


@app.callback()
def every_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Take what all commands take."""


@app.command()
@takes(RunConfig, "texts", "column", "subject", "own", "seeds", "rounds", "seed", "device")
@reads("delimiter", "encoding", "sheet", "header", "html")
def quickstart(
    *,
    asked: dict[str, Any],
    reading: Reading,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/quickstart, or runs/ and the file's name.")] = None,
    model: Writer = None,
    trust_remote_code: Trust = False,
    click_model: OwnModel = None,
    force: Force = False,
    track: Track = None,
    as_json: Json = False,
) -> None:
    """Run the main job: store texts, mix new ones, show them to simulated shoppers, learn, and report."""
    asked |= {} if click_model is None else {"click_model": click_model}
    config = RunConfig.checked(**asked, reading=reading, model=writer_for(model), trust_remote_code=trust_remote_code)
    name = config.texts.stem if config.texts and config.texts.is_file() else "quickstart"
    _study(config, out or DEFAULT_OUT / name, as_json, force, track)


@app.command()
def simulate(
    config: Annotated[Path, typer.Option(help="YAML settings; runs/quickstart/config.yaml shows all of them.")],
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/ and the file's name unless given.")] = None,
    click_model: OwnModel = None,
    force: Force = False,
    track: Track = None,
    as_json: Json = False,
) -> None:
    """Run the study that a YAML file describes."""
    changes = {} if click_model is None else {"click_model": click_model}
    _study(RunConfig.from_yaml(config, **changes), out or DEFAULT_OUT / config.stem, as_json, force, track)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    campaign: Annotated[
        str | None, typer.Option(help="Report on one of its campaigns, finished or not: by its ledger alone.")
    ] = None,
    out: Annotated[Path | None, output("Page of the campaign; campaign.html in the run folder.")] = None,
    as_json: Json = False,
) -> None:
    """Draw the report of a finished run again, or of one of its campaigns."""
    from experiments.simulation.runs import render, render_campaign

    path = render(run) if campaign is None else render_campaign(run, campaign, out)
    console.print_json({"report": str(path)}) if as_json else console.out.print(f"Report: {path}")


app.command()(invert)
app.command()(merge)
app.command()(decode)
app.command(context_settings={"ignore_unknown_options": True})(mix)
app.command()(evaluate)
app.command()(plan)
app.command()(prior)
app.command()(export)
app.command()(compare)
app.command()(read)
app.command("check-click-model")(check_click_model)
app.command()(steer)
app.command()(explore)
app.command("map")(draw_map)
app.command()(serve)
app.command()(feed)
app.command("worker")(work)
app.command("import")(import_results)


@app.command()
def doctor(
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    trust_remote_code: Trust = False,
    database: Annotated[str | None, typer.Option(help="A study.sqlite to look at, or a database's URL.")] = None,
    as_json: Json = False,
) -> None:
    """Say what this machine offers: device and why, versions, model, database; exit status 1 if that is unusable."""
    from experiments.commands.doctor import UNUSABLE, examine

    found, known = examine(model, device, database, trust_remote_code), dict[str, Any]()
    if as_json:
        known = {name: value for facts in found for name, value in facts.items()}
        console.print_json(known)
    else:
        for title, facts in zip(("Copyloom on this machine", "\nWhat it computes with"), found, strict=True):
            known |= facts
            rows = [[name, value if isinstance(value, str) else ", ".join(f"{k} {v}" for k, v in value.items())]
                    for name, value in facts.items()]  # fmt: skip
            console.table(title, ["what", "found"], rows)
    if known["database"].startswith(UNUSABLE):
        raise typer.Exit(1)


@train.command("tiny")
def train_tiny_command(
    out: Annotated[Path, typer.Option(help="Folder of checkpoints, log and the finished model.")] = DEFAULT_OUT
    / "tiny",
    data: Annotated[Path | None, typer.Option(help="Folder of real texts; grammar alone where there is none.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML settings.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1)] = None,
    device: DeviceName = "auto",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile first: needs a C++ compiler.")] = False,
    as_json: Json = False,
) -> None:
    """Train copyloom-tiny; the same command goes on with a run that was stopped."""
    from experiments.training.tiny.train import train_to_package

    with console.progress() as show:
        result = train_to_package(config, {"steps": steps}, out, data, device, show, compiled)
    console.deliver(result, lambda found: console.out.print(
        f"Model: {found['model']} ({found['bytes']:,} bytes, {found['texts']})"), as_json)  # fmt: skip


train.command("adapter")(train_adapter_command)
train.command("writer")(train_writer_command)
train.command("editor")(train_editor_command)


@train.command("critic")
def train_critic_command(
    data: Annotated[Path | None, typer.Option(help="Folder of real texts; without, the grammar's are all.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the critic.")] = DEFAULT_OUT / "critic",
    as_json: Json = False,
) -> None:
    """Train the critic that comes with copyloom-tiny: how likely texts are on their own. Twenty minutes."""
    from experiments.training.tiny.critic import train_critic

    with console.progress() as show:
        result = train_critic(data, out, show)
    console.deliver(
        result, lambda found: console.out.print(f"Critic: {found['critic']} ({found['bytes']:,} bytes)"), as_json
    )


@study_app.command("tiny")
def study_tiny(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = DEFAULT_OUT / "study-tiny",
    data: Annotated[Path | None, typer.Option(help="Folder of real texts.")] = None,
    device: DeviceName = "auto",
) -> Studied:
    """Measure the shipped model: exactness, subjects, mixtures."""
    from experiments.studies.tiny.quality import measure

    with console.progress() as show:
        found = measure(out, data, device, show)
    rows = [[name, f"{value:.4g}" if isinstance(value, float) else str(value)] for name, value in found.items()]
    return Studied(found, lambda _: console.table("copyloom-tiny", ["measure", "value"], rows), out / STUDY)


study_app.command()(headlines)
study_app.command()(stories)
study_app.command()(uplift)
study_app.command()(preferences)
study_app.command()(basins)
study_app.command()(calibration)
study_app.command()(radius)
study_app.command()(vectors)
study_app.command()(transfer)
study_app.command()(inversion)
study_app.command()(steering)
study_app.command()(interventions)
study_app.command()(registers)
study_app.command()(elm)
study_app.command()(eagle)
study_app.command()(styles)
study_app.command("storefront")(study_storefront)
study_app.command("space")(study_space)


bench_app.command("bandits")(bench_bandits)
bench_app.command("load")(bench_load)
bench_app.command("study")(bench_study)


@bench_app.command("inversion")
def bench_inversion(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer texts: within 10 minutes on 2 cores.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of real texts; grammar claims where there is none.")] = None,
    out: Annotated[Path | None, output("Write the numbers to this JSON file.")] = None,
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Measure inversion: exactness, texts a second, one text at a time, where the time goes, memory."""
    from experiments.benchmarks.inversion.run import measure
    from experiments.benchmarks.inversion.tables import show

    with console.progress() as report:
        found = measure(quick, data, device, report)
    console.deliver(found, show, as_json, out)


@bench_app.command("mix")
@reads("delimiter", "encoding", "sheet", "header", "html")
def bench_mix(
    texts: File = None,
    column: Column = None,
    *,
    reading: Reading,
    pairs: Annotated[int, typer.Option(help="Pairs of texts in each corpus.", min=4)] = 200,
    drift_pairs: Annotated[
        int, typer.Option(help="Pairs that are mixed at all weights, the others evenly.", min=1)
    ] = 40,
    plain: Annotated[bool, typer.Option(help="Also train and try a model without adapter: ten minutes.")] = True,
    data: Annotated[Path | None, typer.Option(help="Folder of real texts.")] = None,
    written: Annotated[
        list[Path] | None, typer.Option(help="Only measure the texts of a file that `mix --pairs --out` wrote.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the model without adapter and the numbers.")] = DEFAULT_OUT
    / "bench-mix",
    model: Model = "copyloom-tiny",
    device: DeviceName = "auto",
    as_json: Json = False,
) -> None:
    """Measure mixing: fluent, new, where the weights asked for; beside other ways and stored texts."""
    from experiments.benchmarks.mixing.run import measure
    from experiments.benchmarks.mixing.tables import show, show_written
    from experiments.benchmarks.mixing.written import measure_written
    from experiments.texts import read_texts

    if written:
        with console.progress() as report:
            found = measure_written(written, report)
        console.deliver(found, show_written, as_json, out / "written.json")
        return
    check_output(out / "mix.json")
    given = None if texts is None else read_texts(texts, column, reading)
    with console.progress() as report:
        found = measure(
            given, pairs, out, data, device, report, plain and texts is None, drift_pairs=drift_pairs, model=model
        )
    console.deliver(found, show, as_json, out / "mix.json")


def _study(config: Any, out: Path, as_json: bool, force: bool, track: str | None) -> None:
    from experiments.campaigns.memo import usual_folder
    from experiments.simulation.runs import REPORT, record_of, run_study
    from experiments.tracking import Tracker

    tracker = None if track is None else Tracker.of(track)
    with console.progress() as show:
        data = run_study(config, out, show, force, usual_folder())
    if tracker is not None:
        console.notes.print(f"Tracked: {tracker.track(record_of(data, out))}")
    summary = data["summary"]
    if as_json:
        console.print_json(summary)
        return
    best = [
        [
            f"{row['share_of_impressions']:.1%}",
            row["text"],
            " + ".join(f"{p['weight']:.2f} {p['text']}" for p in row["parents"]),
        ]
        for row in data["best_new"][:5]
    ]
    console.table("New texts shown most", ["shown", "text", "mixed from"], best)
    console.out.print()
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
    if summary["policies"]:
        compared = [[row["policy"], console.percent(row["ctr"]),
                     "" if row["interval"] is None else f"{console.percent(row['difference'], signed=True)} "
                     f"({console.interval(row['interval'])})"] for row in summary["policies"]]  # fmt: skip
        console.table("Policies with mixing, expected CTR at the end", ["policy", "CTR", "beside the first"], compared)
    uplift = console.percent(summary["uplift"], signed=True)
    bounds = console.interval(summary["uplift_interval"])
    console.out.print(
        f"\nUplift of mixing over the last 20 % of impressions: {uplift} (95 % interval {bounds}), beside "
        f"{summary['texts_own']} stored texts without"
    )
    if summary["loss_where_mixing_cannot_help"] is not None:
        loss = console.percent(summary["loss_where_mixing_cannot_help"], signed=True)
        bounds = console.interval(summary["loss_where_mixing_cannot_help_interval"])
        console.out.print(f"Loss where mixing cannot help: {loss} (95 % interval {bounds})")
    console.out.print(
        f"{summary['texts_stored']} texts stored ({summary['exact_share']:.1%} exact), "
        f"{summary['texts_written'] + summary['texts_refused']} written by {summary['writer']}, "
        f"{summary['texts_refused']} refused, "
        f"{summary['mixtures_without_text']} of {summary['mixtures']} mixtures without a text fit to print, "
        f"{summary['seconds']:.0f} s on {summary['device']}"
    )
    for note in summary["notes"]:
        console.out.print(f"Note: {note}")
    console.out.print(f"\nReport: {out / REPORT}")
