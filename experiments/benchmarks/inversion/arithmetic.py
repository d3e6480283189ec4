"""The share of a machine's matrix-product rate that inversion reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from copyloom import Report
from embeddings.objective import InversionObjective
from generator.device import Device
from generator.language_model import LanguageModel

_LLAMA: dict[str, Any] = {"vocab_size": 16384, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
          "intermediate_size": 2048, "max_position_embeddings": 512}  # fmt: skip
_SHAPES = {"GPT-2 small": GPT2Config(), "Llama, 98 million": LlamaConfig(**_LLAMA)}
_ROWS, _VECTORS, _TOKENS = 64, 4, 28


def flop_rates(device: Device, compiled: bool, report: Report) -> list[dict[str, Any]]:
    """Return, for models of random parameters and each precision, the rate reached and the machine's own.

    Counted are 4 operations a parameter of blocks and head, times positions that are not padding: the forward pass and
    the backward pass to the vectors. The head works on text positions only. Attention and norms count nothing.
    """
    rows: list[dict[str, Any]] = []
    ways = (False, True) if compiled else (False,)
    cases = list(product(_SHAPES.items(), (torch.float32, torch.bfloat16), ways))
    for (name, config), dtype, way in cases:
        case = {"shape": name, "dtype": str(dtype).removeprefix("torch."), "compiled": way}
        rows.append({**case, **rate(config, dtype, way, device)})
        report("floating-point rate", len(rows), len(cases))
    return rows


def rate(
    config: Any, dtype: torch.dtype, compiled: bool, device: Device, count: int = _ROWS, seconds: float = 3.0
) -> dict[str, float]:
    """Return what optimisation steps of `count` texts at a time reach in a model of random parameters."""
    torch.manual_seed(0)
    module = AutoModelForCausalLM.from_config(config)
    table = module.get_input_embeddings().weight.numel()
    blocks = sum(p.numel() for p in module.base_model.parameters() if p.ndim == 2) - table
    if config.model_type == "gpt2":
        blocks -= module.base_model.wpe.weight.numel()
    model = LanguageModel(module, NoTokenizer(), "random", device)
    objective = InversionObjective(model, dtype, compiled=compiled)
    targets = torch.randint(0, config.vocab_size, (count, _TOKENS), device=device.torch)
    vectors = torch.randn(count, _VECTORS, model.hidden_size, device=device.torch)
    margins = torch.ones(count, device=device.torch)
    taken = seconds_of(lambda: objective(vectors, targets, margins), device, seconds)
    operations = 4 * count * (blocks * (_VECTORS + _TOKENS - 1) + table * _TOKENS)
    machine = device.matmul_rate(dtype)
    return {"parameters": blocks + table, "rate": operations / taken, "machine_rate": machine,
            "share": operations / taken / machine, "steps_per_second": count / taken}  # fmt: skip


def seconds_of(work: Callable[[], object], device: Device, least: float = 3.0) -> float:
    """Return how long one call takes, on average over `least` seconds after a warm-up."""
    work()
    calls, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < least:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        calls += 1
    return passed / calls


class NoTokenizer:
    """Of a model of random parameters, which reads no text."""

    eos_token_id = 0

    def decode(self, ids: Any, **how: Any) -> str:
        """Return no text."""
        return ""
