"""``copyloom study registers``: what the texts that a model learns from do to its space and to what it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from copyloom import Report
from embeddings.encoder import SentenceEncoder
from embeddings.folders import held, replacing
from embeddings.inversion import resolve_precision
from embeddings.inversion_config import InversionConfig
from embeddings.mixing import adapt
from embeddings.space import Space
from embeddings.steering import adapter_of
from experiments.studies.registers import measuring, scores, wishes
from experiments.studies.registers.comparing import compared, matrix
from experiments.studies.registers.measuring import Made
from experiments.studies.registers.scores import MEASURES, Judge
from experiments.studies.registers.settings import RegisterStudy
from experiments.studies.registers.split import Split, split, tokenizer_of
from experiments.studies.registers.training import Training, steps_of, train_all
from experiments.studies.registers.wishes import Wish, wishes_of
from experiments.studies.space.qualities import cosines
from experiments.studies.space.resampling import ResampledPairs
from experiments.studies.space.samples import Sample, random_pairs
from experiments.studies.space.spaces import ADAPTER, LAST, SUMMARY, TOKENS, hidden_means, token_means
from experiments.studies.space.study import quality_of
from experiments.versions import packages, source_hash
from generator.device import Device
from generator.language_model import LanguageModel

TRAINED = "trained"
SHOWN = 6
"""Samples of each model and register."""


@dataclass(frozen=True)
class _Bench:
    """All that models are measured with; what takes a while is made when a first model needs it.

    Parameters
    ----------
    settings : RegisterStudy
    parts : Split
    judge_model : LanguageModel
    folder : Path
    device : str
    """

    settings: RegisterStudy
    parts: Split
    judge_model: LanguageModel
    folder: Path
    device: str

    @cached_property
    def encoder(self) -> SentenceEncoder:
        """The encoder of all models."""
        return SentenceEncoder(Device.choose(self.device).torch)

    @cached_property
    def judge(self) -> Judge:
        """Who knows what is readable."""
        return Judge(self.judge_model, self.encoder, self.parts.training)

    @cached_property
    def wishes(self) -> dict[str, list[Wish]]:
        """What texts of each register are asked for."""
        return {name: wishes_of(self.parts.training[name], self.encoder) for name in self.parts.held_out}

    def measured(self, one: Training, place: Path, report: Report) -> dict[str, Any]:
        """Return what is measured of a model, as an earlier call did, if all that it depends on is the same."""
        space = Space.load(str(place), self.device)
        about = [one.register, asdict(self.parts), self.settings.inversion_steps, asdict(self.judge_model.identity),
                 asdict(space.identity), packages(),
                 source_hash(_measured, measuring.make, scores.Judge, wishes.wishes_of, quality_of)]  # fmt: skip
        file = self.folder / f"measured-{one.name}-{sha256(json.dumps(about).encode()).hexdigest()[:16]}.json"
        if not file.exists():
            found = _measured(space, self, one.register, report)
            with replacing(file) as partial:
                partial.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
        kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return kept


def measure(
    settings: RegisterStudy, texts: Mapping[str, Sequence[str]], folder: Path, device: str, report: Report
) -> dict[str, Any]:
    """Return all that the command prints; models and what was measured of each are kept in `folder`.

    Parameters
    ----------
    settings : RegisterStudy
    texts : mapping of str to sequence of str
        Of each register, two or more; in random order, as the first ones are used where there are too many.
    folder : Path
    device : str
    report : callable

    Raises
    ------
    InputError
        If a register has too few texts, or `folder` holds models of other settings or texts.
    """
    with held(folder, "study", "--folder"):
        report("dividing texts", 0, 1)
        given = {name: some[: settings.texts] for name, some in texts.items()}
        tokenizer = tokenizer_of(given, settings.vocabulary)
        parts = split(given, settings, tokenizer)
        judge_model = _fast(LanguageModel.load(settings.judge, Device.choose(device)))
        report("dividing texts", 1, 1)
        models = train_all(parts, settings, tokenizer, folder / TRAINED, device, report)
        bench = _Bench(settings, parts, judge_model, folder, device)
        found = {one: bench.measured(one, place, report) for one, place in models.items()}
    return _told(settings, parts, found)


def _fast(model: LanguageModel) -> LanguageModel:
    """Return a model in bfloat16 where that is faster: what it judges, and its limits, are read in the same one."""
    resolved = resolve_precision(model, InversionConfig(precision="auto"))
    return model.in_bfloat16() if resolved.precision == "bfloat16" else model


def _told(settings: RegisterStudy, parts: Split, found: Mapping[Training, dict[str, Any]]) -> dict[str, Any]:
    """Return what the command prints of what was measured of each model."""
    names, one = list(parts.training), next(iter(found.values()))
    values = {name: _values(name, settings, parts, found) for name in MEASURES}
    return {
        "registers": list(parts.held_out), "models": names, "parameters": one["parameters"], "device": one["device"],
        "tokens": parts.tokens, "steps": steps_of(parts.training, settings), "settings": settings.model_dump(),
        "texts": [{"register": name, "learnt_from": len(some), "measured": len(parts.held_out.get(name, ())),
                   "near_copies": parts.near.get(name, 0), "wishes": ", ".join(one["wishes"].get(name, ()))}
                  for name, some in parts.training.items()],
        "matrix": [row for name in values for row in matrix(name, values[name], names)],
        "compared": [row for name in values for row in compared(name, values[name], names)],
        "qualities": [{"model": model.register, "training": model.number, **row}
                      for model, some in found.items() for row in some["qualities"]],
        "samples": [{"model": model.register, **row} for model, some in found.items() if not model.number
                    for row in some["samples"]],
    }  # fmt: skip


def _values(
    name: str, settings: RegisterStudy, parts: Split, found: Mapping[Training, dict[str, Any]]
) -> dict[str, scores.Array]:
    """Return a measure by register, (models, trainings, N)."""
    return {register: np.array([[found[Training(model, number)]["scores"][register][name]
                                 for number in range(settings.trainings)] for model in parts.training], np.float64)
            for register in parts.held_out}  # fmt: skip


def _measured(space: Space, bench: _Bench, model: str, report: Report) -> dict[str, Any]:
    made, values, samples = {}, {}, []
    for register, texts in bench.parts.held_out.items():

        def said(stage: str, done: int, total: int, register: str = register) -> None:
            report(f"measuring {model} on {register}, {stage}", done, total)

        own = measuring.make(space, texts, bench.wishes[register], bench.settings.inversion_steps, said)
        made[register], values[register] = own, bench.judge.scores(model, register, own)
        samples += _samples(register, own, values[register])
    parts = (space.model.model, adapter_of(space))
    return {
        "scores": values, "qualities": qualities(space, made), "samples": samples,
        "wishes": {register: [wish.name for wish in some] for register, some in bench.wishes.items()},
        "parameters": sum(one.numel() for part in parts for one in part.parameters()),
        "device": space.model.device.type,
    }  # fmt: skip


def _samples(register: str, made: Made, values: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Return the first texts, with what each comes back as, mixes to with another and is steered to."""
    found = []
    for row, one in enumerate(made.stored[:SHOWN]):
        steered = next((some for some in made.steered if some.sources == (one.text,)), None)
        found.append({"register": register, "text": one.text, "straight": made.straight[row], "exact": one.exact,
                      "other": made.mixed[row].sources[1], "mixture": made.mixed[row].text,
                      "good": bool(values["mixed_good"][row]), "wish": steered.wish if steered else "",
                      "steered": steered.text if steered else ""})  # fmt: skip
    return found


def qualities(space: Space, made: Mapping[str, Made]) -> list[dict[str, Any]]:
    """Return the qualities of a model's spaces on all held-out texts, and how well they keep registers apart.

    Parameters
    ----------
    space : Space
    made : mapping of str to Made
        By register.
    """
    stored = [one for some in made.values() for one in some.stored]
    of = np.repeat(np.arange(len(made)), [len(some.stored) for some in made.values()])
    texts = [one.text for one in stored]
    sample = Sample(tuple(texts), np.arange(len(texts)))
    points = torch.stack([one.sentence_vector for one in stored])
    kinds = {
        SUMMARY: torch.stack([one.vectors for one in stored]).flatten(1),
        ADAPTER: adapt(adapter_of(space), points).flatten(1),
        TOKENS: token_means(space.model, texts), LAST: hidden_means(space.model, texts)[LAST],
    }  # fmt: skip
    pairs = random_pairs(len(texts))
    same = of[pairs[:, 0]] == of[pairs[:, 1]]
    found = []
    for kind, values in kinds.items():
        between = cosines(values, torch.from_numpy(pairs)).numpy()
        apart, (low, high) = ResampledPairs(sample.groups, pairs).higher(between, same, ~same)
        found.append({"space": kind, "size": values.shape[1], **quality_of(values, sample)[0],
                      "apart": apart, "apart_low": low, "apart_high": high})  # fmt: skip
    return found
