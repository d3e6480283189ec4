"""Train the editor of a writer from drafts that readers judged; see `generator.editor`.

It learns by cross-entropy what readers said of each draft, and beside that which of the drafts of a group they would
rather print, pair by pair (Burges et al., ICML 2005): it is there to choose among them. All drafts of a group are read
beside each other (`generator.branches`), so that their sources cost once.

The drafts are the writer's own, about parents that were written for the project and that it had not been trained with.
Readers said how each reads, from 0 for nonsense to 3 for what may be printed as it stands, and whether it belongs. They
knew its sources, and so what it means; others read what they had passed alone, as shoppers do, and stopped one in five.
What was written by hand between the same parents is shown to the editor as what may be printed.
"""

from __future__ import annotations

import json
import lzma
import random
import zlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear, logsigmoid

from copyloom import InputError, Report
from embeddings.adapter import folder_of, load_language_model
from embeddings.folders import replacing
from embeddings.prompt import prompt
from embeddings.training.checkpoint import RUN, check_same_run
from embeddings.training.config import Schedule
from embeddings.training.steps import put_updates_in, take_steps, trained_in
from experiments.training.writer.corpus import hash_of_texts
from experiments.versions import versions
from generator import low_rank
from generator.branches import Branches, check_branches
from generator.device import Device
from generator.editor import EDITOR_FILE, HEAD, VERDICTS, WRITER_OF, Editor, as_read, read_editor
from generator.eight_bits import packed, unpacked
from generator.language_model import LanguageModel
from generator.models import WRITER
from generator.record import ProductRecord

FILE = "judged.jsonl.xz"
_PRINTED = (0.0, 0.1, 0.45, 1.0)
"""What each grade of reading says of being printed."""
_NOT_ALONE = 0.2
"""And what it says where a second reader, who saw the draft without its sources, would not print it."""
_BATCHES = 8
"""Steps whose groups are drawn together and divided by length."""
_MOST, _BY_HAND = 8, 0.3
"""Drafts of a group that are read, at most, and how many that were written by hand are read beside each of them."""
_PAIRS = 0.6
"""Weight of the order of a group's drafts."""
_HELD_OUT = 10
"""One in so many groups is kept for measuring."""
_LOG_EVERY = 10


class EditorTraining(Schedule):
    """How an editor is trained. The defaults take half an hour on 2 cores with bfloat16 units.

    Parameters
    ----------
    model : str
        The writer whose drafts it is to judge, in a folder or by name: it begins as that writer.
    start_from : str, optional
        A writer whose editor, of the same rank, it goes on from, in a folder or by name: one of an earlier state.
    rank : int
        Of the low-rank updates.
    groups : int
        Groups of drafts of a step.
    steps : int
        Of the training.
    rate : float
        Peak learning rate.
    """

    model: str = WRITER
    start_from: str | None = None
    rank: PositiveInt = 8
    groups: PositiveInt = 8
    steps: PositiveInt = 1250
    warmup: PositiveInt = 30
    cooldown: float = Field(0.6, gt=0, le=1)
    rate: PositiveFloat = 1e-3
    checkpoint_seconds: NonNegativeFloat = 60.0


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
    not_alone : tuple of int
        Places of drafts that the reader passed, and another, who saw them without their sources, did not.
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
    not_alone: tuple[int, ...]
    by_hand: tuple[str, ...]
    mended: dict[int, str]
    refused: tuple[str, ...]

    @property
    def printable(self) -> tuple[bool, ...]:
        """Whether each draft may be printed as it stands, and belongs."""
        return tuple(printed == 1 and bool(belongs)
                     for printed, belongs in zip(self.printed, self.belongs, strict=True))  # fmt: skip

    @property
    def printed(self) -> tuple[float, ...]:
        """How likely each draft is printed, by what readers said."""
        return tuple(
            _NOT_ALONE if place in self.not_alone else _PRINTED[grade] for place, grade in enumerate(self.read)
        )

    @property
    def held_out(self) -> bool:
        """Whether it is measured with, and not trained on."""
        return zlib.crc32(" ".join(sorted(self.parents)).encode()) % _HELD_OUT == 0

    def sources(self, rng: random.Random) -> str:
        """Return what stands before a draft, the parents in an order drawn."""
        return prompt(rng.sample(self.parents, len(self.parents)), self.record)


def judged_drafts() -> list[Judged]:
    """Return the judged drafts that the package ships."""
    raw = lzma.decompress(resources.files("experiments.training").joinpath(FILE).read_bytes()).decode()
    return [_judged(json.loads(line)) for line in raw.splitlines()]


def _judged(row: dict[str, Any]) -> Judged:
    mended = {int(place): str(text) for place, text in row.get("mended", {}).items()}
    return Judged(
        tuple(row["parents"]), ProductRecord.model_validate(row["record"]) if "record" in row else None,
        tuple(row["drafts"]), tuple(row["read"]), tuple(row["belongs"]),
        tuple(row.get("not_alone", ())),
        (*row.get("by_hand", ()), *mended.values()), mended, tuple(row.get("refused", ())),
    )  # fmt: skip


def train_editor(
    config: EditorTraining, out: Path, report: Report, device: str = "auto",
    compiled: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train an editor, or go on training it, in a folder; write it there and return how it does on held-out drafts."""
    out.mkdir(parents=True, exist_ok=True)
    judged, chosen = judged_drafts(), Device.choose(device)
    if compiled:
        chosen.check_compiles()
    model, _ = load_language_model(config.model, chosen)
    check_branches(model)
    writer = model.identity.parameters
    check_same_run(out / RUN, {
        "config": config.model_dump(), "parameters": writer, "compiled": compiled,
        "judged": hash_of_texts(map(repr, judged)), "device": model.device.type, "versions": versions(),
    })  # fmt: skip
    tensors = _Training(config, model, [one for one in judged if not one.held_out], out, report, compiled).run()
    with replacing(out / EDITOR_FILE) as partial:
        save_file(packed(tensors), partial, {"format": "pt", WRITER_OF: writer})
    editor = Editor.of(load_language_model(config.model, Device.choose(device))[0], unpacked(packed(tensors)))
    found = measure(editor, [one for one in judged if one.held_out])
    return {"editor": str(out / EDITOR_FILE), "bytes": (out / EDITOR_FILE).stat().st_size, **found}


def measure(editor: Editor, judged: list[Judged]) -> dict[str, float]:
    """Return how well an editor tells drafts that may be printed and belong from others, and what it would choose."""
    rng, good, bad, mean, chosen, best = random.Random(0), list[float](), list[float](), 0.0, 0, 0
    for one in judged:
        sources = one.sources(rng)
        scores = logsigmoid(editor.verdicts(sources, one.drafts)).sum(1).tolist()
        for score, right in zip(scores, one.printable, strict=True):
            (good if right else bad).append(score)
        mean, best = mean + sum(one.printable) / len(one.printable), best + any(one.printable)
        chosen += one.printable[scores.index(max(scores))]
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
        report: Report, compiled: bool,
    ) -> None:  # fmt: skip
        self.config, self.judged, self.out, self.report, self.reader = config, judged, out, report, model
        self.head = nn.Linear(model.hidden_size, len(VERDICTS)).to(model.device.torch)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        put_updates_in(model, config.rank, config.seed, compiled)
        if config.start_from:
            self._take_over(folder_of(config.start_from) / EDITOR_FILE)
        self.body = model.model.base_model
        self._drawn: tuple[int, list[list[_Group]]] = (-1, [])
        self._order: tuple[int, list[int]] = (-1, [])

    def run(self) -> dict[str, Tensor]:
        """Take all steps that are left; return the updates and the head by name."""
        config, named = self.config, self._parameters()
        optimiser = torch.optim.AdamW(named.values(), lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01)
        take_steps(config, config.steps, self.out, named, optimiser, self._loss, self._log, _LOG_EVERY)
        return low_rank.updates_of(self.reader.model) | {
            f"{HEAD}.weight": self.head.weight.detach(), f"{HEAD}.bias": self.head.bias.detach()
        }  # fmt: skip

    def _take_over(self, path: Path) -> None:
        """Begin as another editor, whichever writer it is of."""
        if not path.exists():
            raise InputError(f"there is no editor to go on from: no {path}; name a folder that holds one")
        tensors, _ = read_editor(path)
        self.head.load_state_dict({name: tensors.pop(f"{HEAD}.{name}") for name in ("weight", "bias")})
        low_rank.restore(self.reader.model, tensors)

    def _parameters(self) -> dict[str, nn.Parameter]:
        mine = {f"{HEAD}.{name}": value for name, value in self.head.named_parameters()}
        return mine | trained_in(self.reader.model)

    def _log(self, step: int, mean: float) -> None:
        self.report(f"training the editor (loss {mean:.3f})", step, self.config.steps)

    def _loss(self, step: int) -> Tensor:
        batch = self._batch(step)
        read = Branches.of([(one.sources, one.texts) for one in batch], self.reader.end)
        states = read.last_states(self.body)
        said = linear(states.float(), self.head.weight, self.head.bias)
        wanted = torch.tensor([verdict for one in batch for verdict in one.verdicts], device=said.device)
        sizes = [len(one.texts) for one in batch]
        groups = zip(logsigmoid(said).sum(1).split(sizes), wanted.prod(1).split(sizes), strict=True)
        order = torch.stack([_order(*group) for group in groups]).mean()
        return binary_cross_entropy_with_logits(said, wanted) + _PAIRS * order

    def _batch(self, step: int) -> list[_Group]:
        """Return groups of drafts; a function of the seed and the step alone. All come once before any comes twice."""
        pool = step // _BATCHES
        if self._drawn[0] != pool:
            rng, size = random.Random(f"{self.config.seed} pool {pool}"), self.config.groups
            first = pool * size * _BATCHES
            drawn = [self._read(self._in_turn(number), rng) for number in range(first, first + size * _BATCHES)]
            drawn.sort(key=lambda group: group.tokens)
            batches = [drawn[number : number + size] for number in range(0, len(drawn), size)]
            rng.shuffle(batches)
            self._drawn = (pool, batches)
        return self._drawn[1][step % _BATCHES]

    def _in_turn(self, number: int) -> Judged:
        """Return the group that is read as number so many, in an order that is drawn anew for each time through."""
        time, place = divmod(number, len(self.judged))
        if self._order[0] != time:
            rng = random.Random(f"{self.config.seed} time {time}")
            self._order = (time, rng.sample(range(len(self.judged)), len(self.judged)))
        return self.judged[self._order[1][place]]

    def _read(self, one: Judged, rng: random.Random) -> _Group:
        """Return the drafts of a group, at most `_MOST`, and some texts that were written by hand."""
        places = rng.sample(range(len(one.drafts)), min(_MOST, len(one.drafts)))
        by_hand = rng.sample(one.by_hand, min(len(one.by_hand), max(1, round(_BY_HAND * len(places)))))
        verdicts = [(one.printed[place], float(one.belongs[place])) for place in places]
        texts = [one.drafts[place] for place in places] + by_hand
        sources, branches = as_read(self.reader, one.sources(rng), texts)
        return _Group(sources, branches, [*verdicts, *[(1.0, 1.0)] * len(by_hand)])


@dataclass(frozen=True)
class _Group:
    """The tokens of sources and of texts that were made of them, and what readers said of each: printed, belongs."""

    sources: list[int]
    texts: list[list[int]]
    verdicts: list[tuple[float, float]]

    @property
    def tokens(self) -> int:
        """Tokens that are read."""
        return len(self.sources) + sum(map(len, self.texts))


def _order(likely: Tensor, worth: Tensor) -> Tensor:
    """Return what the order of a group's K drafts costs each, by log-probability (K,), where readers' worth differs."""
    lead = worth[:, None] - worth
    return (lead.clamp_min(0) * -logsigmoid(likely[:, None] - likely)).sum() / len(worth)
