"""Train an ELM in two stages, as published: its adapters alone, then adapters and language model together.

Batches are a function of the seed and the step alone, so that a stopped training goes on to the bit.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import normalize

from copyloom import InputError, Report
from embeddings.adapter import AnyAdapter, load_language_model
from embeddings.training.checkpoint import RUN, check_same_run
from embeddings.training.config import Schedule
from embeddings.training.steps import put_updates_in, take_steps, trained_in
from experiments.elm.model import ElmSettings, adapters_of, pieces_of, save_elm
from experiments.elm.questions import TEXT, Question, Task
from experiments.elm.reading import Row, expected
from experiments.versions import versions
from generator import low_rank
from generator.device import Device
from generator.language_model import LanguageModel
from generator.models import WRITER

_GROUP = 8
"""Batches that are drawn together and divided by length, so that little is padding."""
_LOG_EVERY = 10
_TRIES, _DIGESTED = 50, 200


class ElmTraining(Schedule):
    """How an ELM is trained. The defaults took 80 minutes of 2 cores that did other work beside.

    Parameters
    ----------
    model : str
        The writer that it is made of.
    rank : int
        Of the low-rank updates of all linear layers.
    rows : int
        Questions of a step.
    adapter_steps, steps : int
        Of the first stage, and of the second.
    adapter_rate, low_rank_rate : float
        Peak learning rates.
    told : float
        Share of the questions that are told in words what vectors say else: what the same model knows without vectors
        is measured so.
    noise : float
        Most of the variance of a sentence vector that noise takes the place of, in half of the questions.
    longest : int
        Positions of a question and its answer; what is longer is left out.
    """

    model: str = WRITER
    rank: PositiveInt = 16
    rows: PositiveInt = 32
    adapter_steps: PositiveInt = 80
    steps: PositiveInt = 560
    warmup: PositiveInt = 20
    cooldown: float = Field(0.5, gt=0, le=1)
    adapter_rate: PositiveFloat = 1e-3
    low_rank_rate: PositiveFloat = 7e-4
    told: float = Field(0.2, ge=0, le=1)
    noise: float = Field(0.15, ge=0, lt=1)
    longest: PositiveInt = 256


@dataclass(frozen=True, eq=False)
class Questions:
    """Draws questions of all tasks, each task as often, about entities that are not held out.

    Parameters
    ----------
    tasks : sequence of (Task, sequence of int)
        With the numbers of the entities that they may be about.
    """

    tasks: Sequence[tuple[Task, Sequence[int]]]

    def draw(self, rng: random.Random) -> Question:
        """Return a question."""
        for _ in range(_TRIES):
            task, among = rng.choice(self.tasks)
            if (found := task.question(rng.choice(among), rng)) is not None:
                return found
        raise InputError(f"no task could be asked of the entities that are known, in {_TRIES} tries; give more facts")

    @cached_property
    def digest(self) -> str:
        """A hash of some questions as they are drawn: what they ask, tell, read and want answered."""
        rng, digest = random.Random("digest"), hashlib.sha256()
        for _ in range(_DIGESTED):
            one = self.draw(rng)
            told = [(name, place.kind, place.words) for name, place in one.places.items()]
            digest.update(repr((one.task, one.asked, one.target, told)).encode())
            vectors = [*(place.vector for place in one.places.values()), one.point, one.start]
            for vector in (some for some in vectors if some is not None):
                digest.update(vector.numpy().tobytes())
        return digest.hexdigest()[:16]


def train_elm(
    config: ElmTraining, questions: Questions, sizes: Mapping[str, int], out: Path, report: Report, device: str = "auto"
) -> Path:
    """Train, or go on training, in a folder; return the folder of the ELM.

    Parameters
    ----------
    config : ElmTraining
    questions : Questions
    sizes : mapping of str to int
        Numbers of a vector of each kind.
    out : Path
        Receives checkpoints and the ELM.
    report : callable
    device : str

    Raises
    ------
    InputError
        If the folder holds a training of other settings, questions or models.
    """
    out.mkdir(parents=True, exist_ok=True)
    base = load_language_model(config.model, Device.choose(device))[0]
    identity = base.identity.parameters
    check_same_run(out / RUN, {"config": config.model_dump(), "parameters": identity, "questions": questions.digest,
                               "sizes": dict(sizes), "device": base.device.type, "versions": versions()})  # fmt: skip
    adapters, updates = _Training(config, questions, sizes, base, out, report).run()
    settings = ElmSettings(base_model=config.model, base_parameters=identity, rank=config.rank, sizes=sizes)
    save_elm(out, settings, adapters, updates, {"training": config.model_dump(), "questions": questions.digest})
    return out


class _Training:
    """A training under way."""

    def __init__(
        self, config: ElmTraining, questions: Questions, sizes: Mapping[str, int], base: LanguageModel, out: Path,
        report: Report,
    ) -> None:  # fmt: skip
        self.config, self.questions, self.out, self.report, self.base = config, questions, out, report, base
        self.adapters = adapters_of(config.model, sizes, base.hidden_size, base.embedding_rms, config.seed)
        for one in self.adapters.values():
            one.to(base.device.torch)
        put_updates_in(base, config.rank, config.seed, compiled=False)
        self._group: tuple[int, list[list[Row]]] = (-1, [])

    def run(self) -> tuple[dict[str, AnyAdapter], dict[str, Tensor]]:
        """Take all steps that are left, of both stages."""
        first = self.config.adapter_steps
        self._take("adapters", first, self._adapters, 0)
        self._take("both", self.config.steps, self._every, first)
        return self.adapters, low_rank.updates_of(self.base.model)

    def _take(self, stage: str, steps: int, named: Mapping[str, nn.Parameter], first: int) -> None:
        """Take the steps of a stage, of which the first is number `first` of all."""

        def loss(step: int) -> Tensor:
            return self._loss(first + step)

        def log(step: int, mean: float) -> None:
            self._log(first + step, mean)

        for name, value in self._every.items():
            value.requires_grad_(name in named)  # or what is not trained yet would gather slopes
        (self.out / stage).mkdir(exist_ok=True)
        take_steps(self.config, steps, self.out / stage, named, self._optimiser(named), loss, log, _LOG_EVERY)

    @cached_property
    def _adapters(self) -> dict[str, nn.Parameter]:
        return {f"adapters.{name}": value for name, value in nn.ModuleDict(self.adapters).named_parameters()}

    @cached_property
    def _every(self) -> dict[str, nn.Parameter]:
        return self._adapters | trained_in(self.base.model)

    def _optimiser(self, named: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
        mine = [value for name, value in named.items() if name in self._adapters]
        rest = [value for name, value in named.items() if name not in self._adapters]
        groups = [{"params": mine, "lr": self.config.adapter_rate}, {"params": rest, "lr": self.config.low_rank_rate}]
        return torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.98), weight_decay=0.0)

    def _log(self, step: int, mean: float) -> None:
        self.report(f"training the ELM (loss {mean:.3f})", step, self.config.adapter_steps + self.config.steps)
        file = self.out / "log.csv"
        before = file.read_text().splitlines(keepends=True) if file.exists() else []
        kept = [line for line in before if int(line.split(",")[0]) < step]  # a killed run takes its last steps again
        file.write_text("".join([*kept, f"{step},{mean:.4f}\n"]))

    def _loss(self, step: int) -> Tensor:
        """Return the loss of a step, in nats a token of the answers."""
        return expected(self.base, self.adapters, self._rows(step)).loss

    def _rows(self, step: int) -> list[Row]:
        """Return the rows of a step; a function of the seed and the step alone."""
        if self._group[0] != step // _GROUP:
            self._group = (step // _GROUP, self._drawn(step // _GROUP))
        return self._group[1][step % _GROUP]

    def _drawn(self, group: int) -> list[list[Row]]:
        rng, size, found = random.Random(f"{self.config.seed} questions {group}"), self.config.rows, list[Row]()
        while len(found) < size * _GROUP:
            row = self._row(self.questions.draw(rng), rng)
            if row.length(self.adapters) <= self.config.longest:
                found.append(row)
        found.sort(key=lambda row: row.length(self.adapters))
        batches = [found[first : first + size] for first in range(0, len(found), size)]
        rng.shuffle(batches)
        return batches

    def _row(self, question: Question, rng: random.Random) -> Row:
        told = rng.random() < self.config.told
        noisy = rng.random() < 0.5
        pieces = pieces_of(self.base, question, told)
        if noisy:
            pieces = [piece if isinstance(piece, Tensor) or piece[0] != TEXT else (TEXT, self._noise(piece[1], rng))
                      for piece in pieces]  # fmt: skip
        return Row(pieces, [*self.base.tokenize(question.target), self.base.end])

    def _noise(self, vector: Tensor, rng: random.Random) -> Tensor:
        share = self.config.noise * rng.random()
        generator = torch.Generator().manual_seed(rng.getrandbits(63))
        noise = torch.randn(vector.shape, generator=generator) / len(vector) ** 0.5
        return normalize((1 - share) ** 0.5 * vector + share**0.5 * noise, dim=-1)
