"""Train an adapter for any causal language model: alone with the model frozen, then together with it.

The method is ELM's (Tennenholtz et al., ICLR 2024, section 3): two stages of plain cross-entropy, and no other loss
that could pull against it. Same seed, texts and machine give the same parameters bit for bit, stopped and resumed or
not.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from copyloom import InputError, Report, __version__
from embeddings.adapter import (
    ADAPTER_FILE,
    ADAPTER_SETTINGS,
    AdapterSettings,
    AnyAdapter,
    load_language_model,
    load_settings,
)
from embeddings.any_encoder import AnyEncoder, load_encoder
from embeddings.encoder import ENCODER_ID, Encoder, SentenceEncoder
from embeddings.folders import held, replacing
from embeddings.inversion import resolve_precision
from embeddings.inversion_config import InversionConfig
from embeddings.rows import unit_rows
from embeddings.training import lora
from embeddings.training.checkpoint import (
    CHECKPOINT,
    RUN,
    Looked,
    TrainingState,
    check_same_run,
    load_checkpoint,
    save_checkpoint,
)
from embeddings.training.config import AdapterTraining, Stage, share_of_rate
from embeddings.training.examples import Examples, fit_texts, split
from embeddings.training.loss import token_losses
from embeddings.training.quality import Quality, measure
from generator.device import Device
from generator.models import SHIPPED
from generator.paths import expanded

MODEL = "model"
"""Folder of the result, inside that of the training."""
_VECTORS = "vectors.safetensors"
_CHUNK = 4096
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Parameters
    ----------
    folder : Path
        For `Space.load` and every ``--model``.
    looks : tuple of Looked
        At the held-out texts, in order.
    held_out_loss : float
        Of what was kept, in nats a token.
    quality : Quality
        Over all held-out texts.
    held_out : tuple of str
    trained_on, left_out : int
        Texts; those left out cannot be written with the model.
    reason : str
        Why the first of those was left out.
    """

    folder: Path
    looks: tuple[Looked, ...]
    held_out_loss: float
    quality: Quality
    held_out: tuple[str, ...]
    trained_on: int
    left_out: int
    reason: str


def train_adapter(
    config: AdapterTraining, texts: Sequence[str], out: Path, vectors: Tensor | None = None, vectors_of: str = "",
    device: str = "auto", report: Report = lambda stage, done, total: None,
) -> Trained:  # fmt: skip
    """Train an adapter, or go on training it, in the folder `out`; the result lies in ``out / "model"``.

    Parameters
    ----------
    config : AdapterTraining
    texts : sequence of str
        Each once.
    out : Path
        Receives vectors, checkpoints, ``log.csv`` and the result.
    vectors : Tensor of shape (texts, S), optional
        Behavioural vectors, such as factorised ratings: one a text, of any length but 0. Without them `config.encoder`
        makes sentence vectors.
    vectors_of : str
        What those vectors are, for messages.
    device : str
    report : Report

    Raises
    ------
    InputError
        If texts or vectors do not fit, a model is not there, or `out` holds a training of another configuration.
    """
    if vectors is not None and len(vectors) != len(texts):
        raise InputError(f"{len(vectors)} rows of vectors were given for {len(texts)} texts; give one row a text")
    if config.stage == "lora":
        lora.check_installed()
    given = None if vectors is None else unit_rows(vectors)
    chosen, what = Device.choose(device), vectors_of or "unnamed vectors"
    with held(out, "training", "--out"):
        return _Training(config, texts, out, given, what, chosen, report).run()


class _Training:
    """One training: the model, the adapter, the texts, and where it stands."""

    def __init__(
        self, config: AdapterTraining, texts: Sequence[str], out: Path, vectors: Tensor | None, vectors_of: str,
        device: Device, report: Report,
    ) -> None:  # fmt: skip
        self.config, self.out, self.report = config, out, report
        self.model, _ = load_language_model(config.model, device, config.trust_remote_code)
        self.fit = fit_texts(self.model, texts, config)
        kept = [texts[row] for row in self.fit.rows]
        self.encoder: Encoder = SentenceEncoder(device.torch) if vectors is not None else load_encoder(
            config.encoder, device.torch, config.trust_remote_code)  # fmt: skip
        self.settings = self._settings(vectors, vectors_of)
        precision = resolve_precision(self.model, InversionConfig(precision=config.precision)).precision
        run: dict[str, Any] = {
            "config": config.model_dump(),
            "texts": _hash(kept),
            "vectors": self.encoder.name if vectors is None else hashlib.sha256(vectors.numpy().data).hexdigest()[:16],
            "parameters": self.settings.base_parameters,
            "precision": precision,
            "device": device.type,
            "versions": {"copyloom": __version__, "torch": torch.__version__, "transformers": transformers.__version__,
                         "threads": torch.get_num_threads()},
        }  # fmt: skip
        self.dtype = _DTYPES[check_same_run(out / RUN, run)["precision"]]
        rows = self._sentence_vectors(kept, run["texts"]) if vectors is None else vectors[self.fit.rows]
        training, held_out = split(kept, config)
        self.training = Examples(self.model, [kept[i] for i in training], rows[training])
        self.held_out = Examples(self.model, [kept[i] for i in held_out], rows[held_out])
        self._meanings = rows[held_out] if vectors is None else self.encoder.encode(self.held_out.texts)
        self.adapter = self._untrained()
        self.low_rank: Any = None
        self.state, self._parameters, self._optimiser_state = load_checkpoint(out / CHECKPOINT)
        self._saved_at = time.monotonic()

    def run(self) -> Trained:
        """Go through the stages that are left, and write the result."""
        for number, (stage, steps) in enumerate(self.config.stages):
            self._enter(stage)
            self._load(self._parameters)
            if number == self.state.stage:
                self._train(stage, steps)
                self.state.stage, self.state.step, self.state.lowest, self.state.waited = number + 1, 0, None, 0
                self._save(None)
        if self.low_rank is not None:
            self.low_rank.merge_and_unload()
        folder = self.out / MODEL
        self._write(folder)
        self.report("decoding the held-out texts", 0, 1)
        return Trained(
            folder, tuple(self.state.looks), self._held_out_loss(), self._quality(None), tuple(self.held_out.texts),
            len(self.training.texts), self.fit.left_out, self.fit.reason,
        )  # fmt: skip

    def _settings(self, vectors: Tensor | None, vectors_of: str) -> AdapterSettings:
        config = self.config
        named = load_settings(expanded(config.model))
        base = (named.base_model if named else "") or config.model
        folder = expanded(base)
        encoder = self.encoder
        return AdapterSettings(
            sentence_size=encoder.size if vectors is None else vectors.shape[1],
            vectors=config.per_text,
            hidden_size=self.model.hidden_size,
            width=config.width,
            encoder=None if vectors is not None else getattr(encoder, "source", ENCODER_ID),
            encoder_parameters=encoder.parameters if isinstance(encoder, AnyEncoder) else "",
            vectors_of="" if vectors is None else vectors_of,
            base_model=str(folder.resolve()) if base != SHIPPED and folder.is_dir() else base,
            base_parameters=self.model.identity.parameters,
        )

    def _sentence_vectors(self, texts: Sequence[str], digest: str) -> Tensor:
        """Return the sentence vectors of all texts, kept in the folder."""
        path = self.out / _VECTORS
        key = f"{digest} by {self.encoder.name}"
        if path.exists() and key in (tensors := load_file(path)):
            return tensors[key]
        parts = []
        for first in range(0, len(texts), _CHUNK):
            parts.append(self.encoder.encode(texts[first : first + _CHUNK]))
            self.report("sentence vectors", min(first + _CHUNK, len(texts)), len(texts))
        with replacing(path) as partial:
            save_file({key: torch.cat(parts)}, partial)
        return torch.cat(parts)

    def _untrained(self) -> AnyAdapter:
        """Return an adapter whose output is as large as the model's token embeddings."""
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            adapter = self.settings.adapter()
        with torch.no_grad():
            size = adapter(self.training.vectors[:1024]).square().mean().sqrt()
            for parameter in adapter.outer.parameters():
                parameter.mul_(self.model.embedding_rms / size)
        return adapter.to(self.model.device.torch)

    def _enter(self, stage: Stage) -> None:
        """Let train in the model what the stage trains."""
        if stage == "model":
            self.model.model.requires_grad_(True)
        elif stage == "lora":
            self.low_rank = lora.put_in(self.model, self.config.lora_rank, self.config.seed)

    def _trained(self) -> dict[str, nn.Parameter]:
        """Return the parameters that are trained now, by name."""
        mine = {f"adapter.{name}": value for name, value in self.adapter.named_parameters()}
        theirs = {f"model.{name}": value for name, value in self.model.model.named_parameters() if value.requires_grad}
        return mine | theirs

    @torch.no_grad()
    def _load(self, parameters: dict[str, Tensor]) -> None:
        for name, value in self._trained().items():
            if name in parameters:
                value.copy_(parameters[name])

    def _train(self, stage: Stage, steps: int) -> None:
        """Take the steps of a stage that are left, and keep the best of its parameters."""
        state, optimiser, patience = self.state, self._optimiser(stage), self.config.patience
        if not state.step:
            self._look(stage, steps)
        while state.step < steps and (patience is None or state.waited < patience):
            share = share_of_rate(state.step, steps, self.config.warmup, self.config.cooldown)
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * share
            state.losses.append(self._step(stage, optimiser))
            state.step += 1
            if state.step % self.config.evaluate_every == 0 or state.step == steps:
                self._look(stage, steps)
            if time.monotonic() - self._saved_at > self.config.checkpoint_seconds:
                self._save(optimiser)
        if patience is not None:
            self._load(load_checkpoint(self._best(stage))[1])

    def _optimiser(self, stage: Stage) -> torch.optim.Optimizer:
        config, trained = self.config, self._trained()
        rates = {"adapter": config.adapter_rate, "model": config.model_rate, "lora": config.lora_rate}
        mine = [value for name, value in trained.items() if name.startswith("adapter.")]
        theirs = [value for name, value in trained.items() if not name.startswith("adapter.")]
        own = config.adapter_rate if stage == "adapter" else config.joint_adapter_rate
        groups = [{"params": mine, "lr": own}, {"params": theirs, "lr": rates[stage]}]
        optimiser = torch.optim.AdamW(groups[: 1 + bool(theirs)], betas=(0.9, 0.98), weight_decay=0.0)
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
        if self._optimiser_state:  # of the checkpoint, for the stage that it was taken in
            optimiser.load_state_dict({**optimiser.state_dict(), "state": self._optimiser_state})
            self._optimiser_state = {}
        return optimiser

    def _step(self, stage: Stage, optimiser: torch.optim.Optimizer) -> float:
        batch = self.training.drawn(self.config, stage, self.state.step)
        loss = token_losses(self.model, self.adapter, batch, self.dtype).mean()
        loss.backward()
        clip_grad_norm_(self._trained().values(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        return float(loss.detach())

    def _look(self, stage: Stage, steps: int) -> None:
        """Measure the held-out texts, say what was found, and keep parameters that are better than all before."""
        state, held_out_loss = self.state, self._held_out_loss()
        if not math.isfinite(held_out_loss):
            raise InputError(
                f"the held-out loss is {held_out_loss} after {state.step} steps of stage {stage!r}; train into an "
                "empty folder with lower learning rates"
            )
        quality = self._quality(self.config.judged)
        loss = sum(state.losses) / len(state.losses) if state.losses else None
        state.losses = []
        state.looks.append(Looked(stage, state.step, loss, held_out_loss, quality.consistency, quality.exact))
        alone = "adapter alone" if stage == "adapter" else f"adapter with {'LoRA' if stage == 'lora' else 'the model'}"
        self.report(
            f"{alone} (held-out loss {held_out_loss:.3f}, consistency {quality.consistency:.3f}, "
            f"exact {quality.exact:.1%})", state.step, steps,
        )  # fmt: skip
        if state.lowest is None or held_out_loss < state.lowest:
            state.lowest, state.waited = held_out_loss, 0
            if self.config.patience is not None:
                save_checkpoint(self._best(stage), TrainingState(), self._trained(), None)
        else:
            state.waited += 1
        self._log()

    def _quality(self, count: int | None) -> Quality:
        """Return how well the first held-out texts come back, or all of them."""
        texts, vectors, meanings = self.held_out.texts, self.held_out.vectors, self._meanings
        return measure(
            self.model, self.adapter, texts[:count], vectors[:count], meanings[:count], self.encoder
        )  # fmt: skip

    @torch.no_grad()
    def _held_out_loss(self) -> float:
        """Return the mean cross-entropy of a token of the held-out texts, in nats, without noise."""
        batches = self.held_out.in_order(self.config.rows)
        return float(torch.cat([token_losses(self.model, self.adapter, batch, self.dtype) for batch in batches]).mean())

    def _best(self, stage: Stage) -> Path:
        return self.out / f"best-{stage}.safetensors"

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        self._parameters = {}
        save_checkpoint(self.out / CHECKPOINT, self.state, self._trained(), optimiser)
        self._saved_at = time.monotonic()

    def _log(self) -> None:
        """Write all looks so far to ``log.csv``."""
        with replacing(self.out / "log.csv") as partial:
            lines = [",".join("" if value is None else str(value) for value in asdict(look).values())
                     for look in self.state.looks]  # fmt: skip
            partial.write_text("\n".join([",".join(Looked.__dataclass_fields__), *lines]) + "\n")

    def _write(self, folder: Path) -> None:
        """Write the result: the adapter, and the model beside it if it was trained; the settings last."""
        settings = self.settings
        if self.config.stage != "adapter":
            self.model.model.save_pretrained(folder)
            self.model.tokenizer.save_pretrained(folder)
            settings = settings.model_copy(update={"base_model": "", "base_parameters": ""})
        tensors = {f"adapter.{name}": value.detach().cpu().contiguous()
                   for name, value in self.adapter.state_dict().items()}  # fmt: skip
        with replacing(folder / ADAPTER_FILE) as partial:
            save_file(tensors, partial, {"format": "pt"})
        with replacing(folder / ADAPTER_SETTINGS) as partial:
            training = {"training": self.config.model_dump()}
            partial.write_text(json.dumps(settings.model_dump() | training, indent=2) + "\n")


def _hash(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:16]
