"""Train copyloom-tiny: tokenizer, language model, adapter and subject adapter together, by plain cross-entropy.

Runs unattended and resumes where it was stopped. ``copyloom train tiny --out FOLDER`` is its command.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch
from pydantic import PositiveInt
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from copyloom import InputError, Report
from embeddings.adapter import Adapter
from embeddings.encoder import SentenceEncoder
from embeddings.folders import replacing
from embeddings.subject import SubjectAdapter, present_slots
from embeddings.training.config import Schedule, read_settings, share_of_rate
from embeddings.training.examples import noisy
from experiments.corpora.real_texts import real_texts, sentences, shared_data, training_share
from experiments.held_out import is_held_out
from experiments.training.tiny import checkpoints
from experiments.training.tiny.examples import Claims, Example, phrases_of
from experiments.training.tiny.mixtures import mixture_targets, neighbour_pairs
from experiments.training.tiny.tokenizer import train_tokenizer
from generator.device import Device
from generator.grammar import Claim, Grammar

_FORM_SHARES = {"claim": 0.65, "headline": 0.2, "description": 0.15}
_NEAR_ENOUGH = 0.6
"""Cosine of a real text to the mixture of its neighbours from which on it is a target of that."""
_LENGTHS = 8
"""Batches are padded to a multiple of this."""


class TinyConfig(Schedule):
    """What copyloom-tiny is and how it is trained. The defaults take about two hours on 2 cores.

    A run in which the learning rate does not fall yet may go on with another number of steps.

    Parameters
    ----------
    vocabulary : int
        Tokens.
    hidden_size, layers, heads : int
        Of the language model.
    feed_forward : int
        Width of its layers' inner part.
    vectors : int
        Of a text, P.
    adapter_width : int
        Of the adapter's hidden layer.
    grammar_texts : int
        Texts of the grammar to train on.
    mixed_pairs : int
        Pairs of them whose mixtures have a target.
    steps : int
        Of the training.
    real_rows : int
        Real texts of a step.
    neighbour_share : float
        Share of these that come from a mixture of their neighbours, where that is near enough.
    plain_rows, mixture_rows : int
        Texts of the grammar of a step, each from its own vector, and targets of mixtures.
    subject_rows, subject_mixture_rows : int
        The same, to be written about a subject.
    descriptions_every : int
        One step in so many is of descriptions alone.
    noise : float
        Most that is added to the unit vectors, as a share of their length.
    matrix_rate, other_rate : float
        Peak learning rates of the matrices of the layers (Muon), and of all else (AdamW).
    """

    vocabulary: PositiveInt = 4096
    hidden_size: PositiveInt = 256
    layers: PositiveInt = 6
    heads: PositiveInt = 4
    feed_forward: PositiveInt = 704
    vectors: PositiveInt = 8
    adapter_width: PositiveInt = 1536
    grammar_texts: PositiveInt = 100_000
    mixed_pairs: PositiveInt = 6000
    steps: PositiveInt = 3200
    real_rows: int = 128
    neighbour_share: float = 0.25
    plain_rows: int = 32
    mixture_rows: int = 24
    subject_rows: int = 24
    subject_mixture_rows: int = 24
    descriptions_every: PositiveInt = 6
    noise: float = 0.25
    matrix_rate: float = 0.01
    other_rate: float = 0.003


class TinyModel(nn.Module):
    """The three trained parts side by side, so that one optimiser and one checkpoint hold them."""

    def __init__(self, config: TinyConfig, tokenizer: PreTrainedTokenizerFast, sentence_size: int) -> None:
        super().__init__()
        self.language_model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=config.hidden_size,
                intermediate_size=config.feed_forward,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.heads,
                max_position_embeddings=512,
                tie_word_embeddings=True,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        self.adapter = Adapter(sentence_size, config.vectors, config.hidden_size, config.adapter_width)
        self.subject = SubjectAdapter(sentence_size, config.hidden_size)
        nn.init.normal_(self.subject.slot.weight, std=0.1)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy over the target tokens, end-of-text included."""
        embeds = [self.adapter(batch.vectors)]
        mask = [torch.ones(embeds[0].shape[:2], dtype=torch.bool)]
        if batch.subject is not None and batch.present is not None:
            embeds.insert(0, self.subject(batch.subject))
            mask.insert(0, batch.present)
        prefix = sum(part.shape[1] for part in embeds)
        embeds.append(self.language_model.get_input_embeddings()(batch.tokens))
        mask.append(torch.ones(batch.tokens.shape, dtype=torch.bool))  # padding comes last and is never a target
        states = self.language_model.model(
            inputs_embeds=torch.cat([e.float() for e in embeds], 1), attention_mask=torch.cat(mask, 1)
        ).last_hidden_state
        states = states[:, prefix - 1 : -1]
        chosen = batch.targets != -100
        return cross_entropy(self.language_model.lm_head(states[chosen]).float(), batch.targets[chosen])


@dataclass(frozen=True)
class Batch:
    """Tensors of one step: sentence vectors (B, S), tokens and targets (B, L), subject (B, slots, S) or None."""

    vectors: Tensor
    tokens: Tensor
    targets: Tensor
    subject: Tensor | None
    present: Tensor | None


class Corpus:
    """All texts with their sentence vectors, and the batches drawn from them.

    Parameters
    ----------
    config : TinyConfig
    out : Path
        Where sentence vectors and targets are kept, so that a resumed run does not encode again.
    data : Path, optional
        Folder of real texts; without it the model trains on the grammar alone.
    report : Report
    """

    def __init__(self, config: TinyConfig, out: Path, data: Path | None, report: Report) -> None:
        self.config = config
        self.real = training_texts(data) if data else []
        grammar = Grammar.load()
        claims = training_claims(config, grammar)
        texts = [claim.text for claim in claims]
        phrases = phrases_of(grammar, claims)
        vectors = _sentence_vectors([*self.real, *texts, *phrases], out / "vectors", report)
        self.real_vectors, claim_vectors, phrase_vectors = vectors.split([len(self.real), len(claims), len(phrases)])
        of_phrase = dict(zip(phrases, phrase_vectors, strict=True))
        mixed = mixture_targets(
            grammar, claims, claim_vectors, of_phrase, config.mixed_pairs, config.seed,
            _Encoder(), out / "mixtures", report,
        )  # fmt: skip
        every = Claims(grammar, claims, claim_vectors, of_phrase, mixed)
        self.short = every.of_forms("claim", "headline")
        self.long = every.of_forms("description")
        self.tokenizer = train_tokenizer([*self.real, *texts[:30_000]], config.vocabulary)
        self._tokens: dict[str, list[int]] = {}
        self._by_length = sorted(range(len(self.real)), key=lambda i: len(self.real[i]))
        if self.real:
            self._neighbours, self._reached = neighbour_pairs(self.real_vectors, report)

    def batches(self, step: int) -> tuple[Batch, Batch]:
        """Return the batches of one step, without and with a subject; a pure function of the seed and the step.

        Descriptions are long: they have steps of their own.
        """
        rng = random.Random(f"{self.config.seed} step {step}")
        noise = torch.Generator().manual_seed(rng.getrandbits(63))
        config, long = self.config, (step + 1) % self.config.descriptions_every == 0
        claims = self.long if long else self.short
        plain = self._real(rng, config.real_rows) if self.real and config.real_rows and not long else []
        plain += [claims.plain(rng) for _ in range(config.plain_rows)]
        plain += [claims.mixture(rng) for _ in range(config.mixture_rows)]
        subject = [claims.about_subject(rng) for _ in range(config.subject_rows)]
        subject += [claims.mixture_about_subject(rng) for _ in range(config.subject_mixture_rows)]
        return self._batch(plain, noise), self._batch(subject, noise)

    def _real(self, rng: random.Random, rows: int) -> list[Example]:
        """Return neighbours in length, so that little of a batch is padding; some from a mixture of their neighbours.

        A text is the target of the mixture of two others where that comes near to it.
        """
        width = rows * 40
        start = rng.randrange(-width + rows, len(self.real))
        window = self._by_length[max(start, 0) : start + width]
        drawn = rng.sample(window, min(rows, len(window)))
        return [Example(self._real_vector(rng, i), self.real[i]) for i in drawn]

    def _real_vector(self, rng: random.Random, number: int) -> Tensor:
        if rng.random() >= self.config.neighbour_share or self._reached[number] < _NEAR_ENOUGH:
            return self.real_vectors[number]
        first, second = self.real_vectors[self._neighbours[number]]
        weight = rng.uniform(0.35, 0.65)
        return normalize(weight * first + (1 - weight) * second, dim=0)

    def _batch(self, examples: Sequence[Example], noise: torch.Generator) -> Batch:
        vectors = torch.stack([example.vector for example in examples])
        vectors = noisy(vectors, self.config.noise, noise)
        rows = [[*self._encode(example.target), self.tokenizer.eos_token_id] for example in examples]
        length = -(-max(map(len, rows)) // _LENGTHS) * _LENGTHS
        tokens = torch.full((len(rows), length), self.tokenizer.pad_token_id)
        targets = torch.full((len(rows), length), -100)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = targets[i, : len(row)] = torch.tensor(row)
        records = [example.subject for example in examples if example.subject is not None]
        if not records:
            return Batch(vectors, tokens, targets, None, None)
        subject = torch.stack([self.short.subject_vectors(record) for record in records])
        return Batch(vectors, tokens, targets, subject, present_slots(records))

    def _encode(self, text: str) -> list[int]:
        if text not in self._tokens:
            self._tokens[text] = self.tokenizer(text)["input_ids"]
        return self._tokens[text]


class _Encoder:
    """The sentence encoder, loaded when it is first asked."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return self.loaded.encode(texts)

    @cached_property
    def loaded(self) -> SentenceEncoder:
        return SentenceEncoder(dtype=torch.bfloat16)


def training_texts(data: Path) -> list[str]:
    """Return the real texts that training sees: short ones and sentences, neither held out nor the judge's."""
    short = real_texts(data)
    known = set(short)
    return training_share(short) + [text for text in sentences(data) if text not in known and not is_held_out(text)]


def training_claims(config: TinyConfig, grammar: Grammar) -> list[Claim]:
    """Return the grammar's texts that a training of `config` sees: claims, headlines, descriptions, none held out."""
    rng = random.Random(f"{config.seed} claims")
    forms = rng.choices(tuple(_FORM_SHARES), tuple(_FORM_SHARES.values()), k=2 * config.grammar_texts)
    drawn = (grammar.claim(rng, grammar.record(rng), form=form) for form in forms)
    return list(islice((claim for claim in drawn if not is_held_out(claim.text)), config.grammar_texts))


def train_tiny(
    config: TinyConfig, out: Path, data: Path | None, report: Report, device: torch.device | str = "cpu",
    compiled: bool = False,
) -> tuple[TinyModel, Corpus]:  # fmt: skip
    """Train, or go on training, in the folder `out`, and return the model and what it was trained on.

    Parameters
    ----------
    out : Path
        Receives sentence vectors, checkpoints, ``log.csv`` and the finished model.
    data : Path, optional
        Folder of real texts.
    report : Report
        Hears of the progress.
    compiled : bool
        Whether the model's layers are compiled first, a minute's work that makes long trainings a third shorter.
    """
    if compiled:
        Device(torch.device(device).type, "asked for", 1).check_compiles()
    out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(config, out, data, report)
    torch.manual_seed(config.seed)
    model = TinyModel(config, corpus.tokenizer, SentenceEncoder.size).to(device)
    model.language_model.set_attn_implementation("eager")  # for short texts faster than fused attention
    if compiled:
        model.language_model.model.compile(dynamic=True)
    optimisers = muon_and_adamw(model.language_model.model.layers, model, config.matrix_rate, config.other_rate)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    step = _resume(out / "checkpoint.safetensors", model, optimisers, config)
    saved_at, losses = time.monotonic(), []
    while step < config.steps:
        share = share_of_rate(step, config.steps, config.warmup, config.cooldown)
        for optimiser, rate in zip(optimisers, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * share
        losses.append([_backward(model, batch, device) for batch in corpus.batches(step)])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        step += 1
        if step == _cooling_from(config):  # from here, a longer run can go on
            checkpoints.save(out / "level.safetensors", model, optimisers, config.model_dump_json(), step)
        if step % 25 == 0 or step == config.steps:
            plain, subject = torch.tensor(losses).mean(0).tolist()
            report(f"training (loss {plain:.3f}, with subject {subject:.3f})", step, config.steps)
            with (out / "log.csv").open("a") as log:
                log.write(f"{step},{plain:.4f},{subject:.4f}\n")
            losses = []
        if time.monotonic() - saved_at > config.checkpoint_seconds or step == config.steps:
            checkpoints.save(out / "checkpoint.safetensors", model, optimisers, config.model_dump_json(), step)
            saved_at = time.monotonic()
    return model, corpus


def _backward(model: TinyModel, batch: Batch, device: torch.device | str) -> float:
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        loss = model.loss(_to(batch, device))
    loss.backward()
    return loss.item()


def _to(batch: Batch, device: torch.device | str) -> Batch:
    subject = None if batch.subject is None else batch.subject.to(device)
    present = None if batch.present is None else batch.present.to(device)
    return Batch(batch.vectors.to(device), batch.tokens.to(device), batch.targets.to(device), subject, present)


def muon_and_adamw(
    layers: nn.Module, model: nn.Module, matrix_rate: float, other_rate: float
) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside `layers` and AdamW for all else of `model` (Jordan et al. 2024)."""
    matrices = [p for p in layers.parameters() if p.ndim == 2]
    inside = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in inside]
    return [
        torch.optim.Muon(matrices, lr=matrix_rate, weight_decay=0.01, adjust_lr_fn="original"),
        torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _resume(path: Path, model: TinyModel, optimisers: Sequence[torch.optim.Optimizer], config: TinyConfig) -> int:
    """Load a checkpoint of the same configuration, if there is one, and return the step it was taken at."""
    if not path.exists():
        return 0
    step, described = checkpoints.described(path)
    theirs = TinyConfig.model_validate_json(described)
    level = step <= min(_cooling_from(theirs), _cooling_from(config))
    if theirs != config and not (level and theirs.model_copy(update={"steps": config.steps}) == config):
        raise InputError(f"{path} is of another configuration; train into an empty folder, or with that one")
    checkpoints.load(path, model, optimisers)
    model.language_model.tie_weights()
    return step


def _cooling_from(config: TinyConfig) -> int:
    """Return the first step at which the learning rate falls."""
    return math.ceil(config.steps * (1 - config.cooldown))


def _sentence_vectors(texts: Sequence[str], folder: Path, report: Report) -> Tensor:
    """Return the sentence vectors of `texts`, kept in parts in `folder` under a hash of the texts."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder, parts, size = None, [], 8192
    for start in range(0, len(texts), size):
        chunk = texts[start : start + size]
        digest = hashlib.sha256("\n".join(chunk).encode()).hexdigest()[:24]
        path = folder / f"{digest}.safetensors"
        if not path.exists():
            encoder = encoder or SentenceEncoder(dtype=torch.bfloat16)
            with replacing(path) as partial:
                save_file({"vectors": encoder.encode(chunk).half()}, partial)
        parts.append(load_file(path)["vectors"].float())
        report("sentence vectors", min(start + size, len(texts)), len(texts))
    return torch.cat(parts)


def train_to_package(
    path: Path | None, changes: dict[str, object], out: Path, data: Path | None, device: str, report: Report,
    compiled: bool = False,
) -> dict[str, object]:  # fmt: skip
    """Train with the settings at `path` and write the finished model to ``out / "model"``; return what was made.

    Raises
    ------
    InputError
        If the settings cannot be read or do not fit, or `out` holds a training of other settings.
    """
    from experiments.training.tiny.package import write_package

    config = read_settings(TinyConfig, path, changes)
    folder = data or shared_data()
    model, corpus = train_tiny(config, out, folder, report, Device.choose(device).torch, compiled)
    size = write_package(model, corpus.tokenizer, config, out / "model", len(corpus.real))
    texts = f"{len(corpus.real):,} real texts and {config.grammar_texts:,} grammar texts"
    if not corpus.real:
        texts = f"{config.grammar_texts:,} grammar texts alone: no folder of real texts was found"
    return {"model": str(out / "model"), "bytes": size, "steps": config.steps, "texts": texts}
