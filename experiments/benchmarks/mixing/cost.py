"""What writing a mixture costs, beside plain decoding and beside Transformers' own on the same model."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from embeddings.mixing import mix
from embeddings.search import CASES
from experiments.benchmarks.mixing.corpora import Cases
from experiments.benchmarks.mixing.entrants import Setting, nearest_draft, product
from generator.decoding import MAX_TOKENS

_TEXTS = 64


def cost(setting: Setting) -> dict[str, float]:
    """Return texts a second from mixed vectors: the product's way, one decode each, and `generate` of Transformers.

    The product's are the first few that it searches together: more take as long each.
    """
    every, space = setting.corpus.at(0.5), setting.space
    cases, few = (Cases(every.parents[:count], every.weights[:count]) for count in (_TEXTS, CASES))
    vectors = mix(*setting.of(setting.from_adapter, cases), cases.weights, space.adapter)
    ways: dict[str, Callable[[], object]] = {
        "nearest draft": lambda: nearest_draft(setting, cases),
        "one decode": lambda: space.writer.write(vectors),
        "generate of Transformers": lambda: _generate(setting, vectors),
    }
    if space.composes:  # it takes no drafts around a mixture, and a second for each
        del ways["nearest draft"]
    rates = {name: len(cases) / _seconds(way) for name, way in ways.items()}
    return {"the product": len(few) / _seconds(lambda: product(setting, few)), **rates}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@torch.inference_mode()
def _generate(setting: Setting, vectors: Tensor) -> None:
    """Decode with `generate`, as many rows at a time as our decoder takes."""
    model = setting.space.model
    rows = model.device.decode_rows
    for first in range(0, len(vectors), rows):
        inputs = vectors[first : first + rows].to(model.device.torch)
        mask = torch.ones(inputs.shape[:2], dtype=torch.long, device=inputs.device)
        model.model.generate(
            inputs_embeds=inputs, attention_mask=mask, max_new_tokens=MAX_TOKENS, do_sample=False,
            eos_token_id=model.end, pad_token_id=model.end,
        )  # fmt: skip
