"""``copyloom evaluate``: what another policy would have earned, from a log of shown texts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from copyloom import InputError, Report
from copyloom.columns import plain_name
from copyloom.tables import Reading, TableFile, say
from experiments.commands import console
from experiments.commands.options import File, Json, reads

if TYPE_CHECKING:
    from bandits.evaluation import Evaluation, LogTable, Row

_COLUMNS = {"rich_help_panel": "Columns of the log"}
_ENCODED = 256  # texts embedded at a time
_USUAL = {
    "text": {
        "texts",
        "headline",
        "claim",
        "copy",
        "variant",
        "arm",
        "action",
        "item",
        "item id",
        "text id",
        "ad",
        "creative",
    },
    "reward": {"rewards", "click", "clicks", "clicked", "conversion", "converted", "outcome", "is click"},
    "propensity": {"propensities", "propensity score", "pscore", "probability", "prob", "action prob", "p shown"},
}
"""Other names of the columns that a log must have, as `plain_name` writes them."""
_SETTINGS = {"threshold": "Switch-DR: threshold", "shrinkage": "DRos: shrinkage", "bandwidth": "kernel: bandwidth"}


@reads("delimiter", "encoding", "sheet")
def evaluate(
    log: Annotated[
        Path, typer.Argument(help="CSV, JSON lines, Parquet or Excel: one shown text a row; - is standard input.")
    ],
    target: Annotated[str, typer.Option(help="uniform, or a file of text and probability.")] = "uniform",
    texts: File = None,
    text: Annotated[str | None, typer.Option(help="The text that was shown, or its id.", **_COLUMNS)] = None,
    reward: Annotated[str | None, typer.Option(help="What it earned.", **_COLUMNS)] = None,
    propensity: Annotated[str | None, typer.Option(help="Probability of showing it.", **_COLUMNS)] = None,
    position: Annotated[str | None, typer.Option(help="Place on the page.", **_COLUMNS)] = None,
    decision: Annotated[str | None, typer.Option(help="Id: each once, or once a position.", **_COLUMNS)] = None,
    cluster: Annotated[str | None, typer.Option(help="Kind of text, for MIPS.", **_COLUMNS)] = None,
    feature: Annotated[list[str] | None, typer.Option(help="Known before; once for each.", **_COLUMNS)] = None,
    visitor: Annotated[str | None, typer.Option(help="Who saw it: rounds of one hang together.", **_COLUMNS)] = None,
    target_column: Annotated[
        str | None, typer.Option(help="The target's probability of the text shown; replaces --target.", **_COLUMNS)
    ] = None,
    embed: Annotated[bool, typer.Option("--embed", help="Judge texts never shown by shown ones like them.")] = False,
    bandwidth: Annotated[float | None, typer.Option(help="Of --embed: distance at which likeness fades.")] = None,
    least: Annotated[float, typer.Option(help="Least that a reward can be.")] = 0.0,
    most: Annotated[float, typer.Option(help="Most that a reward can be.")] = 1.0,
    normal: Annotated[bool, typer.Option("--normal", help="Normal intervals instead of bootstrap ones.")] = False,
    seed: Annotated[int, typer.Option(help="Of folds and bootstrap.", min=0)] = 0,
    check: Annotated[bool, typer.Option("--check", help="Only look for rows that cannot be used.")] = False,
    *,
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Say from a log what another policy would have earned, and whether the log can tell."""
    from bandits.evaluation import Columns, read_log
    from bandits.evaluation import evaluate as evaluated
    from bandits.evaluation.tables import open_log

    if target != "uniform" and target_column is not None:
        raise InputError("--target and --target-column both name the policy; give one of them")
    if bandwidth is not None and not embed:
        raise InputError("--bandwidth is the kernel's; give --embed with it")
    if check and target != "uniform":
        raise InputError("--check looks at the log alone; leave --target out")
    features = tuple(feature or ())
    main = {"text": text, "reward": reward, "propensity": propensity}
    more = [name for name in (position, decision, cluster, target_column, visitor, *features) if name is not None]
    file = open_log(log, [*filter(None, main.values()), *more], reading)
    names = _main_columns(file, main)
    columns = Columns(names[0], names[1], names[2], position, decision, cluster, target_column, features, visitor)
    known = None if texts is None else _known(texts, columns.text)
    if check:
        _show_check(read_log(file, columns, reward_range=(least, most), texts=known), as_json)
        return
    with console.progress() as show:
        found = evaluated(
            file, target, columns=columns, texts=known, reward_range=(least, most), bandwidth=bandwidth,
            embed=_embed(show) if embed else None, interval="normal" if normal else "bootstrap", seed=seed,
        )  # fmt: skip
    console.deliver(found.to_dict(), lambda _: _show(found, is_rate=(least, most) == (0, 1)), as_json)


def _known(path: Path, column: str) -> list[str]:
    """All texts there are: a column of a table, or the lines of a file."""
    from bandits.evaluation.tables import ColumnReader, read_table
    from copyloom.tables import open_table
    from experiments.texts import read_lines

    file = open_table(path, wanted=[column])
    if file.format == "text":
        return read_lines(path)
    return list(ColumnReader(read_table(file, [column])).labels(column).drop_null().to_pylist())


def _main_columns(file: TableFile, given: Mapping[str, str | None]) -> list[str]:
    """The columns of texts, rewards and propensities: those that are named, or have a usual name, which is said."""
    found, missing = [], []
    for role, name in given.items():
        usual = [one for one in file.columns if plain_name(one) in _USUAL[role]]
        if name is None and role not in file.columns and len(usual) == 1:
            say(f"{role}: column {usual[0]!r} of {file.name}; --{role} names another")
            name = usual[0]
        if name is None and role not in file.columns:
            missing.append((role, usual))
        found.append(name or role)
    if missing:
        lacks = "; ".join(f"column {role!r}" + (f", it could be {' or '.join(usual)}" if usual else "")
                          for role, usual in missing)  # fmt: skip
        options = " and ".join(f"--{role}" for role, _ in missing)
        raise InputError(f"the log has no {lacks}; it has {', '.join(file.columns)}: say which is which with {options}")
    return found


def _embed(show: Report) -> Callable[[Sequence[str]], Any]:
    """A function from texts to sentence vectors that says how far it is."""
    import numpy as np

    from embeddings.encoder import SentenceEncoder

    encoder = SentenceEncoder()

    def encode(texts: Sequence[str]) -> Any:
        parts = []
        for start in range(0, len(texts), _ENCODED):
            parts.append(encoder.encode(texts[start : start + _ENCODED]).numpy())
            show("embedding", min(start + _ENCODED, len(texts)), len(texts))
        return np.concatenate(parts)

    return encode


def _show(found: Evaluation, is_rate: bool) -> None:
    support, kernel = found.support, found.kernel_support

    def amount(value: float) -> str:
        return "-" if math.isnan(value) else f"{value:.3%}" if is_rate else f"{value:.5g}"

    def cells(row: Row) -> list[str]:
        return [row.estimator, *map(amount, (row.value, row.standard_error, row.low, row.high))]

    console.table(
        f"{support.rounds:,} rounds, {found.texts:,} texts: mean reward of a round, 95 % intervals ({found.interval})",
        ["estimator", "mean reward", "standard error", "low", "high"],
        [cells(found.logger), *map(cells, found.estimates)],
    )
    for row in found.estimates:
        if row.caveat:
            console.out.print(f"{row.estimator}: {row.caveat}")
    missing = "not known" if support.unsupported is None else f"{support.unsupported:.2%}"
    rows = [
        ["effective rounds", f"{support.effective_rounds:,.0f} of {support.rounds:,}"],
        ["effective rewarded rounds", f"{support.effective_rewards:,.0f}"],
        ["effective rounds without the greatest reward", f"{support.effective_misses:,.0f}"],
        ["greatest weight", f"{support.greatest_weight:.4g}"],
        ["share of weight in the top 1 % of rounds", f"{support.share_of_top_percent:.1%}"],
        ["target probability on texts not shown", missing],
        ["mean weight", f"{support.mean_weight:.3f} (p = {support.mean_weight_p:.2g})"],
        *([["kernel: effective rounds", f"{kernel.effective_rounds:,.0f}"]] if kernel else []),
        *([_SETTINGS[name], f"{value:.4g}"] for name, value in found.settings.items()),
    ]  # fmt: skip
    console.out.print()
    console.table("How much the log can say", ["measure", "value"], rows)
    console.out.print(f"\nVerdict: {support.verdict}")
    for reason in support.reasons:
        console.out.print(f"- {reason}")


def _show_check(log: LogTable, as_json: bool) -> None:
    """Print what is wrong with a log; exit 1 if anything is."""
    data = {"rounds": len(log.rewards), "texts": len(log.names), "positions": len(log.position_names),
            "problems": [asdict(problem) for problem in log.problems]}  # fmt: skip
    if as_json:
        console.print_json(data)
    else:
        console.out.print(f"rounds {data['rounds']:,}, texts {data['texts']:,}, positions {data['positions']:,}")
        for problem in log.problems:
            console.out.print(str(problem))
        if not log.problems:
            console.out.print("every row can be used")
    if log.problems:
        raise typer.Exit(1)
