"""Train a writer: an adapter and low-rank updates of a pretrained language model, together, by plain cross-entropy.

Runs unattended and goes on where it was stopped, to the bit: batches are a function of the seed and the step alone.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from copyloom import InputError, Report
from embeddings.adapter import ADAPTER_SETTINGS, SlotAdapter, folder_of, load_adapters, load_settings, updates_beside
from embeddings.training.checkpoint import RUN, check_same_run
from embeddings.training.steps import put_updates_in, take_steps, trained_in
from experiments.training.editor import judged_drafts
from experiments.training.writer.config import WriterTraining
from experiments.training.writer.corpus import hash_of_texts, load_corpus, sentence_vectors
from experiments.training.writer.examples import Example, Examples, as_pairs, parents_of
from experiments.training.writer.preferences import Preferences, parents_judged, preference_loss
from experiments.training.writer.written import written_blends
from experiments.versions import versions
from generator import low_rank
from generator.device import Device
from generator.language_model import LanguageModel

_GROUP = 8
"""Batches that are drawn together and divided by length, so that little is padding."""
_LENGTHS = 16
"""Batches are padded to a multiple of this: few shapes to compile."""
_LOG_EVERY = 20
_COUNTED = 20_000
"""Examples in which tokens are counted, to know the common ones."""


@dataclass(frozen=True)
class Batch:
    """Tensors of one step.

    Parameters
    ----------
    ids : Tensor of shape (B, T)
        Context, room for P vectors, target and end-of-text, then padding.
    starts : Tensor of shape (B,)
        Where the vectors go.
    vectors : Tensor of shape (B, S)
    rows, places : Tensor of shape (N,)
        Of the hidden states after which a target token comes.
    targets : Tensor of shape (N,)
    """

    ids: Tensor
    starts: Tensor
    vectors: Tensor
    rows: Tensor
    places: Tensor
    targets: Tensor


class Batches:
    """The batches of a training; each a function of the seed and the step alone.

    Parameters
    ----------
    config : WriterTraining
    model : LanguageModel
    draw : callable
        From random numbers and the step to examples that stay together.
    together : int
        How many examples that is.
    """

    def __init__(
        self, config: WriterTraining, model: LanguageModel,
        draw: Callable[[random.Random, int], Sequence[Example]], together: int = 1,
    ) -> None:  # fmt: skip
        self.config, self.model, self.draw, self.together = config, model, draw, together
        self._ids: dict[str, list[int]] = {}
        self._group: tuple[int, list[Batch]] = (-1, [])

    def of(self, step: int) -> Batch:
        """Return the batch of a step."""
        if self._group[0] != step // _GROUP:
            self._group = (step // _GROUP, self._drawn(step // _GROUP))
        return self._group[1][step % _GROUP]

    def _drawn(self, group: int) -> list[Batch]:
        rng, rows = random.Random(f"{self.config.seed} group {group}"), max(self.config.rows // self.together, 1)
        found: list[list[tuple[Example, list[int], list[int]]]] = []
        while len(found) < rows * _GROUP:
            drawn = [
                (example, self._tokens(example.context), [*self._tokens(example.target), self.model.end])
                for example in self.draw(rng, group * _GROUP)
            ]
            if max(map(_length, drawn)) + self.config.vectors <= self.config.longest:
                found.append(drawn)
        found.sort(key=lambda drawn: max(map(_length, drawn)))
        batches = [
            self._batch([one for place in zip(*found[first : first + rows], strict=True) for one in place])
            for first in range(0, len(found), rows)
        ]
        rng.shuffle(batches)
        return batches

    def _tokens(self, text: str) -> list[int]:
        if text not in self._ids:
            self._ids[text] = self.model.tokenize(text) if text else []
        return self._ids[text]

    def _batch(self, found: list[tuple[Example, list[int], list[int]]]) -> Batch:
        P = self.config.vectors
        longest = max(len(context) + P + len(target) for _, context, target in found) - 1  # the last is read by none
        ids = torch.full((len(found), -(-longest // _LENGTHS) * _LENGTHS), self.model.end)
        rows: list[int] = []
        places: list[int] = []
        targets: list[int] = []
        for row, (_, context, target) in enumerate(found):
            first = len(context) + P
            ids[row, : len(context)] = torch.tensor(context, dtype=torch.long)
            ids[row, first : first + len(target) - 1] = torch.tensor(target[:-1], dtype=torch.long)
            rows += [row] * len(target)
            places += range(first - 1, first - 1 + len(target))
            targets += target
        starts = torch.tensor([len(context) for _, context, _ in found])
        vectors = torch.stack([torch.from_numpy(example.vector) for example, _, _ in found])
        return Batch(ids, starts, vectors, *(torch.tensor(values) for values in (rows, places, targets)))


def _length(drawn: tuple[Example, list[int], list[int]]) -> int:
    """Return the tokens of a context and a target, the last of which is read by none."""
    return len(drawn[1]) + len(drawn[2]) - 1


class Compared:
    """The tokens that the loss of a step compares: the common ones, the step's own, and others drawn for it."""

    def __init__(self, config: WriterTraining, model: LanguageModel, examples: Examples) -> None:
        self.config, self.size = config, len(model.model.get_output_embeddings().weight)
        rng, counts = random.Random(f"{config.seed} common"), Counter[int]([model.end])
        for _ in range(_COUNTED):
            counts.update(model.tokenize(examples.draw(rng, config.steps).target))
        self.common = torch.tensor(sorted(token for token, _ in counts.most_common(config.common)))

    def of(self, step: int, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens (C,), ascending, and the places (N,) of the targets among them."""
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
        others = torch.randint(self.size, (self.config.others,), generator=generator)
        tokens = torch.cat([self.common, others, targets]).unique()
        return tokens, torch.searchsorted(tokens, targets)


def train_writer(
    config: WriterTraining, data: Path | None, out: Path, report: Report, device: str = "auto", compiled: bool = False
) -> tuple[SlotAdapter, dict[str, Tensor], int]:
    """Train, or go on training, in a folder; return the adapter, the low-rank updates, and the number of real texts.

    Parameters
    ----------
    data : Path, optional
        Folder of real texts; without it the writer learns from the grammar and the hand-written examples alone.
    out : Path
        Receives vectors, neighbours, checkpoints and ``log.csv``.
    report : callable
        Hears of a stage, the steps done and those in all.
    compiled : bool
        Whether the model's layers are compiled first: minutes of work that make a long training a third shorter.
    """
    if config.preferred and not config.start_from:
        raise InputError("preferred needs start_from: only a writer that can write learns from what readers preferred")
    out.mkdir(parents=True, exist_ok=True)
    chosen = Device.choose(device)
    if compiled:
        chosen.check_compiles()
    model = LanguageModel.load(config.model, chosen)
    blends = written_blends()
    judged = [one for one in judged_drafts() if not one.held_out] if config.preferred else []
    corpus = load_corpus(data, out, config.seed, report)
    check_same_run(out / RUN, {
        "config": config.model_dump(), "parameters": model.identity.parameters, "compiled": compiled,
        "texts": hash_of_texts([*corpus.texts, *(claim.text for claim in corpus.claims)]),
        "written": hash_of_texts([blend.text for blend in blends]), "judged": hash_of_texts(map(repr, judged)),
        "device": model.device.type, "versions": versions(),
    })  # fmt: skip
    vectors = sentence_vectors(parents_of(blends), out / "written.safetensors", report)
    examples = Examples(config, corpus, blends, as_pairs(vectors))
    preferences = Preferences([], {})
    if judged:
        known = sentence_vectors(parents_judged(judged), out / "judged.safetensors", report)
        preferences = Preferences.of(judged, known)
    return *_Training(config, model, examples, preferences, out, report, compiled).run(), len(corpus.texts)


class _Training:
    """A training under way."""

    def __init__(
        self, config: WriterTraining, model: LanguageModel, examples: Examples, preferences: Preferences, out: Path,
        report: Report, compiled: bool,
    ) -> None:  # fmt: skip
        self.config, self.out, self.report = config, out, report
        self.device = model.device
        self.batches = Batches(config, model, lambda rng, step: [examples.draw(rng, step)])
        self.pairs = Batches(config, model, lambda rng, _: preferences.draw(rng), together=2)
        self.compared = Compared(config, model, examples)
        torch.manual_seed(config.seed)
        size = examples.corpus.claim_vectors.shape[1]
        self.adapter = SlotAdapter(size, config.vectors, model.hidden_size, config.width)
        nn.init.constant_(self.adapter.length, model.embedding_rms)
        self.adapter.to(model.device.torch)
        if model.linear_head is None or model.linear_head.bias is not None:
            raise InputError(f"model {model.name!r} has more than a matrix as its head; choose a Llama-class model")
        put_updates_in(model, config.rank, config.seed, compiled)
        self.head = model.model.get_output_embeddings().weight.detach()
        self.embed, self.body = model.model.get_input_embeddings(), model.model.base_model
        self.model = model.model
        if config.start_from:
            self._take_over(config.start_from, model.identity.parameters)
        self.reference = self._values() if config.preferred else {}

    def run(self) -> tuple[SlotAdapter, dict[str, Tensor]]:
        """Take all steps that are left."""
        config, named = self.config, self._parameters()
        optimiser = torch.optim.AdamW(
            [{"params": list(self.adapter.parameters()), "lr": config.adapter_rate},
             {"params": [p for name, p in named.items() if not name.startswith("adapter.")],
              "lr": config.low_rank_rate}],
            betas=(0.9, 0.98), weight_decay=0.0,
        )  # fmt: skip
        take_steps(config, config.steps, self.out, named, optimiser, self._loss, self._log, _LOG_EVERY)
        return self.adapter, low_rank.updates_of(self.model)

    def _take_over(self, writer: str, parameters: str) -> None:
        """Take the parameters of a writer of the same sizes and of the same language model."""
        settings = load_settings(folder := folder_of(writer))
        if settings is None:
            raise InputError(
                f"{writer!r} is no writer: there is no {ADAPTER_SETTINGS} in {folder}; name one to start from"
            )
        mine = (self.adapter.sentence_size, self.config.vectors, self.config.width, self.config.rank, parameters)
        its = (settings.sentence_size, settings.vectors, settings.width, settings.rank, settings.base_parameters)
        if settings.kind != "slots" or its != mine:
            raise InputError(
                f"the writer {writer!r} has sizes (sentence, vectors, width, rank) and language model {its}, this "
                f"training {mine}; give the same settings, or start from nothing"
            )
        self.adapter.load_state_dict(load_adapters(folder)[0].state_dict())
        low_rank.restore(self.model, updates_beside(folder))

    def _parameters(self) -> dict[str, nn.Parameter]:
        mine = {f"adapter.{name}": value for name, value in self.adapter.named_parameters()}
        return mine | trained_in(self.model)

    def _loss(self, step: int) -> Tensor:
        """Return the loss of a step, in nats: of a target token in the mean, or of a preference."""
        if random.Random(f"{self.config.seed} kind of {step}").random() < self.config.preferred:
            return self._preference_loss(self.pairs.of(step))
        batch, where = self.batches.of(step), self.device.torch
        tokens, targets = self.compared.of(step, batch.targets)
        said = linear(self._states(batch), self.head[tokens.to(where)]).float()
        return cross_entropy(said, targets.to(where))

    def _preference_loss(self, batch: Batch) -> Tensor:
        """Return the loss of pairs of texts, and what keeps the better one's tokens likely."""
        values = self._values()
        with torch.no_grad():
            self._put(self.reference)
            reference = self._likely(batch)
            self._put(values)
        policy = self._likely(batch)
        better, _ = policy.chunk(2)
        tokens = (batch.rows < len(better)).sum()
        loss = preference_loss(policy, reference, self.config.beta)
        return loss - self.config.anchor * better.sum() / tokens

    def _values(self) -> dict[str, Tensor]:
        """Return copies of all that is trained."""
        return {name: value.detach().clone() for name, value in self._parameters().items()}

    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, value in self._parameters().items():
            value.copy_(values[name])

    def _likely(self, batch: Batch) -> Tensor:
        """Return the log-probability of each row's target (B,), in nats."""
        said = linear(self._states(batch), self.head).float()
        each = -cross_entropy(said, batch.targets.to(said.device), reduction="none")
        return each.new_zeros(len(batch.ids)).index_add(0, batch.rows.to(said.device), each)

    def _states(self, batch: Batch) -> Tensor:
        """Return the hidden states (N, D) after which the target tokens come."""
        where = self.device.torch
        inputs = self.embed(batch.ids.to(where))
        places = batch.starts[:, None] + torch.arange(self.config.vectors)
        adapted = self.adapter(batch.vectors.to(where)).to(inputs.dtype)
        inputs = inputs.scatter(1, places.to(where)[..., None].expand_as(adapted), adapted)
        states: Tensor = self.body(inputs_embeds=inputs, use_cache=False)[0]
        return states[batch.rows.to(where), batch.places.to(where)]

    def _log(self, step: int, mean: float) -> None:
        self.report(f"training (loss {mean:.3f})", step, self.config.steps)
        file = self.out / "log.csv"
        before = file.read_text().splitlines(keepends=True) if file.exists() else []
        kept = [line for line in before if int(line.split(",")[0]) < step]  # a killed run takes its last steps again
        file.write_text("".join([*kept, f"{step},{mean:.4f}\n"]))
