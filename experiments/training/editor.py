"""Train the editor of a writer from drafts that readers judged; see `generator.editor`.

It learns by cross-entropy what readers said of each draft, and beside that which of the drafts of a group they would
rather print, pair by pair (Burges et al., ICML 2005): it is there to choose among them.

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
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear, logsigmoid

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
_TOGETHER, _PAIRS = 4, 0.3
"""Drafts of a group that are read together, and the weight of their order."""
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
    rows : int
        Drafts of a step, a multiple of four.
    steps, warmup : int
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
    rows: PositiveInt = Field(32, multiple_of=_TOGETHER)
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
        self._group: tuple[int, list[list[_Example]]] = (-1, [])

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
        rows = [one.tokens for one in batch]
        states = last_states(self.body, rows, self.reader.end, self.reader.device.torch)
        said = linear(states.float(), self.head.weight, self.head.bias)
        wanted = torch.tensor([[one.printed, one.belongs] for one in batch], device=said.device)
        likely = logsigmoid(said).sum(1).view(-1, _TOGETHER)
        return binary_cross_entropy_with_logits(said, wanted) + _PAIRS * _pairs(likely, wanted.prod(1).view_as(likely))

    def _batch(self, step: int) -> list[_Example]:
        """Return drafts, `_TOGETHER` of each group; a function of the seed and the step alone."""
        if self._group[0] != step // _GROUP:
            rng, groups = random.Random(f"{self.config.seed} group {step // _GROUP}"), self.config.rows // _TOGETHER
            drawn = [self._drawn(rng) for _ in range(groups * _GROUP)]
            drawn.sort(key=lambda drafts: max(len(one.tokens) for one in drafts))
            batches = [[*chain(*drawn[first : first + groups])] for first in range(0, len(drawn), groups)]
            rng.shuffle(batches)
            self._group = (step // _GROUP, batches)
        return self._group[1][step % _GROUP]

    def _drawn(self, rng: random.Random) -> list[_Example]:
        """Return `_TOGETHER` drafts of a group, some by hand; of groups that have fewer, some twice."""
        one, count = rng.choice(self.judged), _TOGETHER
        places = rng.sample(range(len(one.drafts)), min(count, len(one.drafts)))
        places += rng.choices(range(len(one.drafts)), k=count - len(places))
        sources, found = one.sources(rng), []
        for place in places:
            if one.by_hand and rng.random() < _BY_HAND:
                found.append(_Example(as_read(self.reader, sources, rng.choice(one.by_hand)), 1.0, 1.0))
            else:
                tokens = as_read(self.reader, sources, one.drafts[place])
                found.append(_Example(tokens, _PRINTED[one.read[place]], float(one.belongs[place])))
        return found


@dataclass(frozen=True)
class _Example:
    """The tokens of sources and a draft, and what readers said of it."""

    tokens: list[int]
    printed: float
    belongs: float


def _pairs(likely: Tensor, worth: Tensor) -> Tensor:
    """Return what the order of drafts (groups, K) costs a group, by log-probability, where readers' differs."""
    lead = worth[:, :, None] - worth[:, None]
    return (lead.clamp_min(0) * -logsigmoid(likely[:, :, None] - likely[:, None])).sum() / len(worth)
