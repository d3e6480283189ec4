"""How fast and how exact inversion is, beside one text at a time as published."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import Tensor

from copyloom import Report
from embeddings.context import decode_texts
from embeddings.inversion import Inverted, Inverter, resolve_precision
from embeddings.inversion_config import InversionConfig, Precision
from embeddings.inverting import stream
from embeddings.space import Space
from embeddings.starts import SCALE, random_start, token_mean_start
from embeddings.summary import SummaryEmbedding
from experiments.benchmarks.inversion.arithmetic import flop_rates
from experiments.benchmarks.inversion.one_at_a_time import PUBLISHED_RATE, best_rate, invert_one
from experiments.corpora.real_texts import shared_data
from experiments.held_out import is_held_out
from generator.grammar import Grammar
from generator.language_model import LanguageModel

AUTO = InversionConfig(precision="auto")
_WARM_UP = [f"Number {'one ' * count}of {count}." for count in range(40)]
"""Short and longer texts, after which a compiler has seen what it needs to."""


def measure(quick: bool, data: Path | None, device: str, report: Report) -> dict[str, Any]:
    """Return all that ``copyloom bench inversion`` measures, as one JSON object.

    Parameters
    ----------
    quick : bool
        Fewer texts: within 10 minutes on 2 cores.
    data : Path, optional
        Folder of the Upworthy archive; without one, texts are claims of the project's own grammar.
    """
    space = Space.load(device=device)
    texts, source = bench_texts(data or shared_data())
    many, few, alone, ladder = (1000, 200, 60, 96) if quick else (10_000, 500, 500, 256)
    compiled = any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++"))
    memory = _memory(space, texts, 1000 if quick else 5000, report)
    ways = {"eager": _from_token_mean(space, texts[:few], False, report)}
    if compiled:
        ways["compiled"] = _from_token_mean(space, texts[:few], True, report)
    mean = max(ways.values(), key=itemgetter("texts_per_second"))
    baseline = _one_at_a_time(space.model, texts[:alone], space.vectors, report)
    adapter, embeddings = _from_adapter(space, texts[:many], compiled, report)
    rates = flop_rates(space.model.device, compiled and not quick, report)
    return {
        "exact_share": mean["exact_share"],
        "texts_per_second": mean["texts_per_second"],
        "one_at_a_time_texts_per_second": baseline["published"]["texts_per_second"],
        "speedup": mean["texts_per_second"] / baseline["published"]["texts_per_second"],
        "flop_rate_share": max(row["share"] for row in rates if row["dtype"] == "float32"),
        "from_token_mean": ways,
        "from_adapter": adapter,
        "one_at_a_time": baseline,
        "ratios": [
            {"baseline": name, "way": way, **_ratios(row, adapter, single)}
            for name, single in baseline.items()
            for way, row in ways.items()
        ],
        "false_exact": _false_exact(space, embeddings, report),
        "ladder": _ladder(space, texts[:ladder], report),
        "flop_rates": rates,
        "memory": memory,
        "texts": source,
        "precision": resolve_precision(space.model, AUTO).precision,
        "threads": torch.get_num_threads(),
        "device": space.model.device.type,
        "quick": quick,
    }


def bench_texts(data: Path | None) -> tuple[list[str], str]:
    """Return distinct texts in a random order of fixed seed, and what they are."""
    path = data / "upworthy" / "exploratory.parquet" if data else Path()
    if path.is_file():
        rows = pq.read_table(path, columns=["headline"])["headline"].to_pylist()
        texts = sorted({row.strip() for row in rows if row and row.strip()})
        source = "headlines of the Upworthy archive"
    else:
        grammar, rng = Grammar.load(), random.Random(1)
        texts = sorted({grammar.claim(rng, grammar.record(rng)).text for _ in range(12_000)})
        source = "claims of the project's grammar"
    random.Random(0).shuffle(texts)
    return texts, source


def _mean_starts(model: LanguageModel, texts: Sequence[str], vectors: int, scale: float | None = SCALE) -> Tensor:
    return torch.stack([token_mean_start(model, text, vectors, scale) for text in texts])


def _from_token_mean(space: Space, texts: Sequence[str], compiled: bool, report: Report) -> dict[str, Any]:
    """Time from texts to vectors whose exactness is known, decoding included; compilation is timed apart."""
    model, vectors = space.model, space.vectors
    inverter = Inverter(model, InversionConfig(start="token_mean", precision="auto", compiled=compiled))
    began = time.perf_counter()
    if compiled:
        inverter.invert(_WARM_UP, _mean_starts(model, _WARM_UP, vectors))
    warm_up, began = time.perf_counter() - began, time.perf_counter()
    starts = _mean_starts(model, texts, vectors)
    found = inverter.invert(texts, starts, lambda done, total: report("from the token mean", done, total))
    return {**_row(found, time.perf_counter() - began), "warm_up_seconds": warm_up}


def _run(
    model: LanguageModel, texts: Sequence[str], config: InversionConfig, vectors: int, scale: float | None = SCALE,
    **more: Any,
) -> list[Inverted]:  # fmt: skip
    return Inverter(model, config, **more).invert(texts, _mean_starts(model, texts, vectors, scale))


def _row(found: Sequence[Inverted | SummaryEmbedding], seconds: float) -> dict[str, Any]:
    steps = sorted(result.steps for result in found)
    return {
        "texts": len(found),
        "exact_share": sum(result.exact for result in found) / len(found),
        "seconds": seconds,
        "texts_per_second": len(found) / seconds,
        "steps": sum(steps) / len(steps),
        "steps_median": steps[len(steps) // 2],
        "steps_most": steps[-1],
        "seconds_per_step": seconds / max(sum(steps), 1),
    }


def _one_at_a_time(model: LanguageModel, texts: Sequence[str], vectors: int, report: Report) -> dict[str, Any]:
    """Time the baseline as published, at its best learning rate, and from our start.

    Decoding, which says whether a text is exact, is not counted here, in the baseline's favour.
    """
    plain, scaled = (_mean_starts(model, texts, vectors, scale) for scale in (None, SCALE))
    cases = {
        "published": (plain, PUBLISHED_RATE),
        "best rate": (plain, best_rate(model, texts[:12], plain[:12])),
        "best rate, scaled start": (scaled, best_rate(model, texts[:12], scaled[:12])),
    }
    rows = {}
    for name, (starts, rate) in cases.items():
        began, solved = time.perf_counter(), []
        for text, start in zip(texts, starts, strict=True):
            solved.append(invert_one(model, text, start, rate))
            report(f"one at a time: {name}", len(solved), len(texts))
        seconds = time.perf_counter() - began
        decoded = decode_texts(model, [row.vectors for row in solved], texts)
        found = [Inverted(i, row.vectors, 0.0, row.steps, 0.0, decoded[i] == texts[i]) for i, row in enumerate(solved)]
        rows[name] = {"rate": rate, **_row(found, seconds)}
    return rows


def _ratios(mean: dict[str, Any], adapter: dict[str, Any], baseline: dict[str, Any]) -> dict[str, float]:
    """Return how many times the baseline's speed, split into the cost of a text's step and the number of steps."""
    return {
        "token_mean": mean["texts_per_second"] / baseline["texts_per_second"],
        "cost_per_step": baseline["seconds_per_step"] / mean["seconds_per_step"],
        "number_of_steps": baseline["steps"] / mean["steps"],
        "adapter": adapter["texts_per_second"] / baseline["texts_per_second"],
    }


def _from_adapter(
    space: Space, texts: Sequence[str], compiled: bool, report: Report
) -> tuple[dict[str, Any], list[SummaryEmbedding]]:
    """Time the whole way from texts to summary embeddings, sentence encoder and compilation included."""
    config = InversionConfig(precision="auto", compiled=compiled)
    began = time.perf_counter()
    found = space.invert(texts, config, lambda done, total: report("from the adapter", done, total))
    row = _row(found, time.perf_counter() - began)
    held_out = [embedding for embedding in found if is_held_out(embedding.text)]
    row["held_out_texts"] = len(held_out)
    row["held_out_exact_share"] = sum(embedding.exact for embedding in held_out) / max(len(held_out), 1)
    return row, found


def _false_exact(space: Space, embeddings: Sequence[SummaryEmbedding], report: Report) -> int:
    """Return how many texts called exact do not come back when decoded in another order and batch size."""
    exact = [embedding for embedding in embeddings if embedding.exact]
    random.Random(2).shuffle(exact)
    device = space.model.device
    space.model.device = replace(device, decode_rows=max(device.decode_rows * 3 // 8, 1))
    try:
        wrong = 0
        for first in range(0, len(exact), 500):
            part = exact[first : first + 500]
            wrong += sum(text != e.text for text, e in zip(space.decode(part), part, strict=True))
            report("decoding again", first + len(part), len(exact))
        return wrong
    finally:
        space.model.device = device


def _ladder(space: Space, texts: Sequence[str], report: Report) -> list[dict[str, Any]]:
    """Return the rate of the whole, and without each of its parts alone, from the token mean."""
    model = space.model
    config = resolve_precision(model, AUTO.model_copy(update={"start": "token_mean"}))
    precision: Precision = config.precision
    other: Precision = "float32" if precision == "bfloat16" else "bfloat16"
    longest = max(len(model.tokenize(text)) for text in texts) + 1
    sample = texts[: len(texts) // 8]

    def alone(**changes: Any) -> InversionConfig:
        return config.model_copy(update=changes)

    def in_groups() -> list[Inverted]:
        groups = [texts[first : first + config.rows] for first in range(0, len(texts), config.rows)]
        return list(chain.from_iterable(_run(model, group, config, space.vectors) for group in groups))

    def at_random() -> list[Inverted]:
        starts = torch.stack([random_start(model, index, space.vectors) for index in range(len(texts))])
        return Inverter(model, alone(start="random")).invert(texts, starts)

    cases: list[tuple[str, int, Callable[[], Sequence[Inverted | SummaryEmbedding]]]] = [
        ("all of it", len(texts), lambda: _run(model, texts, config, space.vectors)),
        ("one slot instead of 64", len(sample), lambda: _run(model, sample, alone(rows=1), space.vectors)),
        ("groups of 64 instead of refill", len(texts), in_groups),
        ("with parameter gradients", len(texts),
         lambda: _run(model, texts, config, space.vectors, parameter_gradients=True)),
        ("all padded to the longest", len(texts),
         lambda: _run(model, texts, config, space.vectors, lengths=(longest,))),
        (f"{other} instead of {precision}", len(texts),
         lambda: _run(model, texts, alone(precision=other), space.vectors)),
        ("the mean as it is, not scaled", len(texts), lambda: _run(model, texts, config, space.vectors, None)),
        ("random start", len(texts), at_random),
        ("from the adapter, radius 0.1", len(texts), lambda: space.invert(texts, InversionConfig(precision=precision))),
        ("from the adapter, radius 0.4", len(texts),
         lambda: space.invert(texts, InversionConfig(precision=precision, radius=0.4))),
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for number, (name, count, run) in enumerate(cases):
        began = time.perf_counter()
        row = _row(run(), time.perf_counter() - began)
        first = rows[0]["texts_per_second"] if rows else row["texts_per_second"]
        rows.append({"case": name, **row, "texts": count, "factor": first / row["texts_per_second"]})
        report("ladder", number + 1, len(cases))
    return rows


def _memory(space: Space, texts: Sequence[str], finish: int, report: Report) -> dict[str, Any]:
    """Return the resident size while the first texts of 100,000 in the queue are finished."""
    queued = (f"{text}{'' if turn == 0 else f' ({turn})'}" for turn in range(100) for text in texts)
    sizes: list[float] = []
    for number, _ in enumerate(islice(stream(space, islice(queued, 100_000), AUTO), finish), start=1):
        if number % (finish // 10) == 0:
            sizes.append(_resident_mib())
            report("memory", number, finish)
    return {"queued": 100_000, "finished": finish, "resident_mib": sizes, "growth_mib": sizes[-1] - sizes[1]}


def _resident_mib() -> float:
    """Return the resident size of this process; 0 outside Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)
