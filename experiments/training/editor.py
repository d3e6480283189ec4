"""Train the editor of a writer by plain cross-entropy from drafts that readers judged; see `generator.editor`.

The drafts are the writer's own, about parents that were written for the project and that it had not been trained with.
Readers said how each reads, from 0 for nonsense to 3 for what may be printed as it stands, and whether it belongs. What
was written by hand between the same parents is shown to the editor as what may be printed.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from embeddings.folders import replacing
from embeddings.prompt import prompt
from embeddings.training.checkpoint import RUN, check_same_run
from experiments.summary import versions
from experiments.training.steps import take_steps
from experiments.training.writer.corpus import hash_of_texts
from generator import low_rank
from generator.device import Device
from generator.editor import EDITOR_FILE, HEAD, VERDICTS, Editor, as_read, last_states
from generator.eight_bits import packed, unpacked
from generator.language_model import LanguageModel
from generator.models import WRITER
from generator.record import ProductRecord

FILE = "judged.jsonl.gz"
_PRINTED = (0.0, 0.1, 0.45, 1.0)
"""What each grade of reading says of being printed."""
_GROUP = 8
"""Batches that are drawn together and divided by length."""
_BY_HAND = 0.25
"""Share of examples that were written by hand."""
_HELD_OUT = 5
"""One in so many groups is kept for measuring."""
_LOG_EVERY = 10


class EditorTraining(BaseModel):
    """How an editor is trained. The defaults take eleven minutes on 2 cores with bfloat16 units.

    Parameters
    ----------
    seed : int
    model : str
        A model of the registry, a folder, or a hub id.
    rank : int
        Of the low-rank updates.
    rows, steps, warmup : int
    cooldown : float
        Share of the steps over which the rate falls.
    rate : float
        Peak learning rate.
    checkpoint_seconds : float
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: NonNegativeInt = 0
    model: str = WRITER
    rank: PositiveInt = 4
    rows: PositiveInt = 32
    steps: PositiveInt = 450
    warmup: PositiveInt = 20
    cooldown: float = 0.6
    rate: PositiveFloat = 1e-3
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True)
class Judged:
    """Drafts of one pair of parents, and what a reader said of each.

    Parameters
    ----------
    parents : tuple of str
    record : ProductRecord, optional
    drafts : tuple of str
    read : tuple of int
        0 to 3; 3 is printed as it stands.
    belongs : tuple of int
        0 or 1.
    by_hand : tuple of str
        Texts of the same parents that were written by hand, the mended ones among them.
    mended : dict of int to str
        What a reader made of some drafts, by their place, to print them.
    refused : tuple of str
        Drafts that broke a rule: no reader saw them.
    """

    parents: tuple[str, ...]
    record: ProductRecord | None
    drafts: tuple[str, ...]
    read: tuple[int, ...]
    belongs: tuple[int, ...]
    by_hand: tuple[str, ...]
    mended: dict[int, str]
    refused: tuple[str, ...]

    @property
    def fit(self) -> tuple[bool, ...]:
        """Whether each draft may be printed as it stands, and belongs."""
        return tuple(grade == len(_PRINTED) - 1 and bool(belongs)
                     for grade, belongs in zip(self.read, self.belongs, strict=True))  # fmt: skip

    @property
    def held_out(self) -> bool:
        """Whether it is measured with, and not trained on."""
        return zlib.crc32(" ".join(sorted(self.parents)).encode()) % _HELD_OUT == 0

    def sources(self, rng: random.Random) -> str:
        """Return what stands before a draft, the parents in an order drawn."""
        return prompt(rng.sample(self.parents, len(self.parents)), self.record)


def judged_drafts() -> list[Judged]:
    """Return the judged drafts that the package ships."""
    raw = gzip.decompress(resources.files("experiments.training").joinpath(FILE).read_bytes()).decode()
    return [_judged(json.loads(line)) for line in raw.splitlines()]


def _judged(row: dict[str, Any]) -> Judged:
    mended = {int(place): str(text) for place, text in row.get("mended", {}).items()}
    return Judged(
        tuple(row["parents"]), ProductRecord.model_validate(row["record"]) if "record" in row else None,
        tuple(row["drafts"]), tuple(row["read"]), tuple(row["belongs"]),
        (*row.get("by_hand", ()), *mended.values()), mended, tuple(row.get("refused", ())),
    )  # fmt: skip


def train_editor(
    config: EditorTraining, out: Path, report: Callable[[str, int, int], None], device: str = "auto",
    compiled: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train an editor, or go on training it, in a folder; write it there and return how it does on held-out drafts."""
    out.mkdir(parents=True, exist_ok=True)
    judged = judged_drafts()
    model = LanguageModel.load(config.model, Device.choose(device))
    check_same_run(out / RUN, {
        "config": config.model_dump(), "parameters": model.identity.parameters, "compiled": compiled,
        "judged": hash_of_texts(map(repr, judged)), "device": model.device.type, "versions": versions(),
    })  # fmt: skip
    tensors = _Training(config, model, [one for one in judged if not one.held_out], out, report, compiled).run()
    with replacing(out / EDITOR_FILE) as partial:
        save_file(packed(tensors), partial, {"format": "pt"})
    editor = Editor.of(LanguageModel.load(config.model, Device.choose(device)), unpacked(packed(tensors)))
    found = measure(editor, [one for one in judged if one.held_out])
    return {"editor": str(out / EDITOR_FILE), "bytes": (out / EDITOR_FILE).stat().st_size, **found}


def measure(editor: Editor, judged: list[Judged]) -> dict[str, float]:
    """Return how well an editor tells drafts that may be printed and belong from others, and what it would choose."""
    rng, good, bad, mean, chosen, best = random.Random(0), list[float](), list[float](), 0.0, 0, 0
    for one in judged:
        sources = one.sources(rng)
        scores = editor.verdicts([(sources, draft) for draft in one.drafts]).sum(1).tolist()
        for score, right in zip(scores, one.fit, strict=True):
            (good if right else bad).append(score)
        mean, best = mean + sum(one.fit) / len(one.fit), best + any(one.fit)
        chosen += one.fit[scores.index(max(scores))]
    wins = sum((g > b) + 0.5 * (g == b) for g in good for b in bad)
    count = max(len(judged), 1)
    return {
        "auc": wins / max(len(good) * len(bad), 1), "drafts": mean / count, "chosen": chosen / count,
        "best": best / count, "groups": len(judged),
    }  # fmt: skip


class _Training:
    """A training under way."""

    def __init__(
        self, config: EditorTraining, model: LanguageModel, judged: list[Judged], out: Path,
        report: Callable[[str, int, int], None], compiled: bool,
    ) -> None:  # fmt: skip
        self.config, self.judged, self.out, self.report, self.reader = config, judged, out, report, model
        torch.manual_seed(config.seed)
        self.head = nn.Linear(model.hidden_size, len(VERDICTS)).to(model.device.torch)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if model.device.has_bfloat16:
            model.model.bfloat16()
        low_rank.put_in(model.model, config.rank, config.seed)
        self.body = model.model.base_model
        model.model.set_attn_implementation("eager")
        torch._dynamo.config.recompile_limit = 64
        for layer in self.body.layers if compiled else ():
            layer.compile(dynamic=False)
        self._group: tuple[int, list[list[tuple[list[int], float, float]]]] = (-1, [])

    def run(self) -> dict[str, Tensor]:
        """Take all steps that are left; return the updates and the head by name."""
        config, named = self.config, self._parameters()
        optimiser = torch.optim.AdamW(named.values(), lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01)
        take_steps(config, self.out, named, optimiser, self._loss, self._log, _LOG_EVERY)
        return low_rank.updates_of(self.reader.model) | {
            f"{HEAD}.weight": self.head.weight.detach(), f"{HEAD}.bias": self.head.bias.detach()
        }  # fmt: skip

    def _parameters(self) -> dict[str, nn.Parameter]:
        theirs = {name.replace("_orig_mod.", ""): value for name, value in self.reader.model.named_parameters()
                  if value.requires_grad}  # fmt: skip
        return {f"{HEAD}.{name}": value for name, value in self.head.named_parameters()} | theirs

    def _log(self, step: int, mean: float) -> None:
        self.report(f"training the editor (loss {mean:.3f})", step, self.config.steps)

    def _loss(self, step: int) -> Tensor:
        batch = self._batch(step)
        rows = [tokens for tokens, _, _ in batch]
        states = last_states(self.body, rows, self.reader.end, self.reader.device.torch)
        said = linear(states.float(), self.head.weight, self.head.bias)
        wanted = torch.tensor([[printed, belongs] for _, printed, belongs in batch], device=said.device)
        return binary_cross_entropy_with_logits(said, wanted)

    def _batch(self, step: int) -> list[tuple[list[int], float, float]]:
        """Return tokens, and whether they are printed and belong; a function of the seed and the step alone."""
        if self._group[0] != step // _GROUP:
            rng, rows = random.Random(f"{self.config.seed} group {step // _GROUP}"), self.config.rows
            drawn = sorted((self._drawn(rng) for _ in range(rows * _GROUP)), key=lambda one: len(one[0]))
            batches = [drawn[first : first + rows] for first in range(0, len(drawn), rows)]
            rng.shuffle(batches)
            self._group = (step // _GROUP, batches)
        return self._group[1][step % _GROUP]

    def _drawn(self, rng: random.Random) -> tuple[list[int], float, float]:
        one = rng.choice(self.judged)
        if one.by_hand and rng.random() < _BY_HAND:
            return as_read(self.reader, one.sources(rng), rng.choice(one.by_hand)), 1.0, 1.0
        place = rng.randrange(len(one.drafts))
        tokens = as_read(self.reader, one.sources(rng), one.drafts[place])
        return tokens, _PRINTED[one.read[place]], float(one.belongs[place])
