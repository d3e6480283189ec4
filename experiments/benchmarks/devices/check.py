"""The check of an accelerator: ``make check-gpu``, ``make check-neuron``; on the CPU it checks itself.

It says whether the device agrees with the CPU (exactness, and the texts of mixtures, which are exact nowhere), and how
fast it is: inversion, optimisation steps beside the machine's own rate of matrix products, decoding, bandit rounds.
It needs torch, transformers and what comes with them, pydantic, scipy and PyYAML; nothing is downloaded, no sentence
encoder is needed, and only copyloom-tiny and models of random parameters are run. Each part is written down as soon as
it is measured; a part that fails, or for which no time is left, is named and the others go on.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from copyloom import CopyloomError
from embeddings.context import decode_texts
from embeddings.inversion import Inverter
from embeddings.inversion_config import InversionConfig, Precision
from embeddings.objective import InversionObjective
from embeddings.starts import token_mean_start
from experiments.benchmarks.bandits import throughput
from experiments.benchmarks.inversion.arithmetic import NoTokenizer, rate, seconds_of
from generator.decoding import decode
from generator.device import Device
from generator.grammar import Grammar
from generator.language_model import LanguageModel

VECTORS = 8
"""P, of copyloom-tiny."""
_SMOLLM2: dict[str, Any] = {"vocab_size": 49152, "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
            "num_key_value_heads": 3, "intermediate_size": 1536, "max_position_embeddings": 2048}  # fmt: skip
_TINY = {"num_hidden_layers": 1, "vocab_size": 512}
Row = dict[str, Any]


class Check:
    """The parts of the check on one device.

    Parameters
    ----------
    device : str
    quick : bool
        Small sizes, for a CPU: half a minute.
    """

    def __init__(self, device: str, quick: bool) -> None:
        self.device, self.quick = Device.choose(device), quick
        self.texts = _texts(24 if quick else 2048)
        self.seconds = 0.2 if quick else 3.0
        self.model = LanguageModel.load(device=self.device)
        self.on_cpu = self.model if self.device.type == "cpu" else LanguageModel.load(device=Device.choose("cpu"))

    @property
    def parts(self) -> dict[str, Callable[[], list[Row]]]:
        """The parts by name, the most important first."""
        return {
            "agreement with the CPU": self.agreement,
            "matrix products": self.products,
            "inversion": self.inversion,
            "optimisation steps": self.steps,
            "graphs": self.graphs,
            "decoding": self.decoding,
            "bandit": self.bandit,
        }

    def agreement(self) -> list[Row]:
        """Return which share of texts is exact, by the device's decoder and by the CPU's, and of mixtures equal.

        Raises
        ------
        CopyloomError
            If a text that is exact on the device is another on the CPU, or too few are exact.
        """
        some = self.texts[: 8 if self.quick else 128]
        vectors, exact = self._inverted(self.model, some, InversionConfig(start="token_mean"))
        again = [decode_texts(model, list(vectors), some) for model in (self.model, self.on_cpu)]
        mixtures = list((vectors + vectors.roll(1, 0)) / 2)
        mixed = [decode_texts(model, mixtures, some) for model in (self.model, self.on_cpu)]
        row = {
            "texts": len(some),
            "exact": float(np.mean(exact)),
            "exact on the CPU": _share(again[1], some, exact),
            "decoded twice alike": _share(again[0], some, exact),
            "mixtures equal to the CPU's": float(np.mean([one == other for one, other in zip(*mixed, strict=True)])),
        }
        if row["exact"] < 0.95 or row["exact on the CPU"] < 1 or row["decoded twice alike"] < 1:
            raise CopyloomError(f"the device does not agree with the CPU: {row}")
        return [row]

    def products(self) -> list[Row]:
        """Return the machine's own rate of matrix products, in 10^12 operations a second."""
        return [{"dtype": _name(dtype), "tera-operations a second": self.device.matmul_rate(dtype) / 1e12}
                for dtype in self._dtypes]  # fmt: skip

    def inversion(self) -> list[Row]:
        """Return texts a second from the token mean, decoding included: rows at a time, precision, compiled or not."""
        rows: list[Row] = []
        sizes = (8,) if self.quick else (64, 256, 1024)
        for compiled in (False, True) if self._compiles else (False,):
            for precision in self._precisions:
                for size in sizes[-1:] if compiled else sizes:
                    config = InversionConfig(start="token_mean", rows=size, precision=precision, compiled=compiled)
                    if compiled:
                        self._inverted(self.model, self.texts[:size], config)  # the compiler's share, untimed
                    began = time.perf_counter()
                    _, exact = self._inverted(self.model, self.texts, config)
                    taken = time.perf_counter() - began
                    rows.append({"rows": size, "precision": precision, "compiled": compiled, "texts": len(exact),
                                 "exact": float(np.mean(exact)), "texts a second": len(exact) / taken})  # fmt: skip
        return rows

    def steps(self) -> list[Row]:
        """Return optimisation steps a second in GPT-2 small's shape, 32 tokens, and the share of the machine's rate."""
        shape = GPT2Config(n_layer=1, n_embd=64, n_head=2, vocab_size=512) if self.quick else GPT2Config()
        rows = []
        for compiled in (False, True) if self._compiles and not self.quick else (False,):
            for dtype in self._dtypes:
                for size in (8,) if self.quick else (64, 512):
                    found = rate(shape, dtype, compiled, self.device, size, self.seconds)
                    rows.append({"rows": size, "dtype": _name(dtype), "compiled": compiled,
                                 "steps a second": found["steps_per_second"],
                                 "share of the machine's rate": found["share"]})  # fmt: skip
        return rows

    def graphs(self) -> list[Row]:
        """Return what a CUDA graph of an optimisation step brings in GPT-2 small's shape: one launch for many."""
        if self.device.type != "cuda":
            return []
        rows = []
        for dtype, size in ((torch.bfloat16, 8), (torch.bfloat16, 64), (torch.float32, 64)):
            step = _step(GPT2Config(), dtype, size)
            eager = seconds_of(step, self.device, self.seconds)
            replayed = seconds_of(_captured(step).replay, self.device, self.seconds)
            rows.append({"rows": size, "dtype": _name(dtype), "steps a second, eager": size / eager,
                         "steps a second, graph": size / replayed})  # fmt: skip
        return rows

    def decoding(self) -> list[Row]:
        """Return texts a second of copyloom-tiny, and of a model of random parameters in SmolLM2-135M's shape."""
        some = self.texts[: 8 if self.quick else 1024]
        starts = torch.stack([token_mean_start(self.model, text, VECTORS) for text in some])
        rows = [self._decoded("copyloom-tiny", self.model, starts)]
        shape = LlamaConfig(**(_SMOLLM2 | (_TINY if self.quick else {})))
        torch.manual_seed(0)
        module = AutoModelForCausalLM.from_config(shape).eval().to(self.device.torch)
        for dtype in self._dtypes:
            if dtype == torch.float16:
                continue
            model = LanguageModel(module.to(dtype), NoTokenizer(), "random", self.device)
            vectors = torch.randn(len(some), VECTORS, shape.hidden_size)
            rows.append(self._decoded(f"SmolLM2-135M's shape, random, {_name(dtype)}", model, vectors))
        return rows

    def bandit(self) -> list[Row]:
        """Return rounds a second of 256 replicates side by side, on the device and on the CPU."""
        rows = []
        for device in dict.fromkeys((self.device.type, "cpu")):
            found = throughput.measure(self.seconds, device)["rounds_per_second"]
            rows.append({"device": device} | {f"rounds a second, {key}": value for key, value in found.items()})
        return rows

    def _decoded(self, name: str, model: LanguageModel, vectors: torch.Tensor) -> Row:
        tokens = 16 if self.quick else 32
        decode(model, vectors[:8], max_tokens=4)
        began = time.perf_counter()
        found = decode(model, vectors, max_tokens=tokens)
        taken = time.perf_counter() - began
        return {"model": name, "texts": len(found), "tokens at most": tokens, "texts a second": len(found) / taken}

    def _inverted(
        self, model: LanguageModel, texts: Sequence[str], config: InversionConfig
    ) -> tuple[torch.Tensor, list[bool]]:
        starts = torch.stack([token_mean_start(model, text, VECTORS) for text in texts])
        found = Inverter(model, config).invert(texts, starts)
        return torch.stack([one.vectors for one in found]), [one.exact for one in found]

    @property
    def _compiles(self) -> bool:
        return any(shutil.which(compiler) for compiler in ("c++", "g++", "clang++")) and not self.quick

    @property
    def _dtypes(self) -> tuple[torch.dtype, ...]:
        """Of the parameters; float16 where a GPU has units for it."""
        wide = (torch.float32, torch.bfloat16)
        return (*wide, torch.float16) if self.device.type == "cuda" else wide

    @property
    def _precisions(self) -> tuple[Precision, ...]:
        return ("float32", "bfloat16") if self.device.has_bfloat16 else ("float32",)


class FixedShapes(Device):
    """A device for which every step has one shape, so that a graph of it can be replayed."""

    @property
    def compiles_shapes(self) -> bool:
        """Whether each new shape costs something: here it does."""
        return True


def _step(shape: Any, dtype: torch.dtype, size: int) -> Callable[[], object]:
    """Return an optimisation step of `size` texts of 28 tokens and 4 vectors, whose tensors stay where they are."""
    torch.manual_seed(0)
    device = FixedShapes("cuda", "for graphs", size)
    model = LanguageModel(AutoModelForCausalLM.from_config(shape), NoTokenizer(), "random", device)
    objective = InversionObjective(model, dtype)
    targets = torch.randint(0, shape.vocab_size, (size, 28), device=device.torch)
    vectors = torch.randn(size, 4, model.hidden_size, device=device.torch)
    margins = torch.ones(size, device=device.torch)
    return lambda: objective(vectors, targets, margins)


def _captured(step: Callable[[], object]) -> Any:
    """Return a CUDA graph of a step, after a warm-up in a stream of its own, as PyTorch's notes on CUDA graphs ask."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph


def run(check: Check, out: Path, seconds: float, report: Callable[[str], None]) -> dict[str, Any]:
    """Run the parts of a check within about `seconds`, and return what they found, or why there is nothing.

    Each part is written to ``check.json`` and ``check.md`` in `out` as soon as it is there.
    """
    began = time.perf_counter()
    found: dict[str, Any] = {"machine": _machine(check.device), "quick": check.quick, "parts": {}}
    out.mkdir(parents=True, exist_ok=True)
    for name, part in check.parts.items():
        started = time.perf_counter()
        if started - began > seconds:
            found["parts"][name] = {"skipped": "no time was left"}
            continue
        report(name)
        try:
            rows = part()
            found["parts"][name] = {"rows": rows} if rows else {"skipped": f"not for {check.device.type}"}
        except Exception as error:  # whatever fails on a device nobody has seen, the other parts are worth having
            found["parts"][name] = {"failed": f"{type(error).__name__}: {error}"[:2000]}
        found["parts"][name]["seconds"] = time.perf_counter() - started
        (out / "check.json").write_text(json.dumps(found, indent=2) + "\n")
        (out / "check.md").write_text(as_markdown(found))
    return found


def as_markdown(found: dict[str, Any]) -> str:
    """Return what a check found as Markdown tables."""
    lines = ["# Device check", "", *(f"- {key}: {value}" for key, value in found["machine"].items()), ""]
    for name, part in found["parts"].items():
        lines += [f"## {name}", ""]
        for key in ("failed", "skipped"):
            if key in part:
                lines += [f"**{key}**: {part[key]}", ""]
        rows = part.get("rows", [])
        for row in rows[:1]:
            lines += [f"| {' | '.join(row)} |", f"|{'---|' * len(row)}"]
        lines += [f"| {' | '.join(map(_shown, row.values()))} |" for row in rows] + ([""] if rows else [])
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check; return 1 if a part failed."""
    parser = argparse.ArgumentParser(description="Check an accelerator: agreement with the CPU, and speed.")
    parser.add_argument("--device", default="cuda", help="cuda, neuron, mps or cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/check-gpu"), help="folder of check.json and check.md")
    parser.add_argument("--seconds", type=float, default=420.0, help="after which no further part begins")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a CPU")
    given = parser.parse_args(arguments)
    check = Check(given.device, given.quick)
    found = run(check, given.out, given.seconds, lambda name: print(f"{name} ...", flush=True))
    print((given.out / "check.md").read_text())
    return int(any("failed" in part for part in found["parts"].values()))


def _machine(device: Device) -> dict[str, str]:
    what = {"device": device.type, "torch": torch.__version__, "threads": str(torch.get_num_threads())}
    if device.type == "cuda":
        what |= {"name": torch.cuda.get_device_name(), "CUDA": str(torch.version.cuda)}
    return what


def _texts(count: int) -> list[str]:
    grammar, rng = Grammar.load(), random.Random(3)
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(grammar.claim(rng, grammar.record(rng)).text)
    return list(found)


def _share(decoded: Sequence[str], texts: Sequence[str], exact: Sequence[bool]) -> float:
    """Return how many of the exact texts come back."""
    return float(np.mean([one == text for one, text, is_exact in zip(decoded, texts, exact, strict=True) if is_exact]))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
