"""``copyloom study registers``: what the texts that a model learns from do to its space and to what it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from copyloom import Report
from embeddings.folders import held, replacing
from embeddings.mixing import adapt
from embeddings.space import Space
from embeddings.steering import adapter_of
from experiments.studies.registers import measuring, scores, wishes
from experiments.studies.registers.comparing import compared, matrix
from experiments.studies.registers.measuring import Made
from experiments.studies.registers.scores import Judge
from experiments.studies.registers.settings import RegisterStudy
from experiments.studies.registers.training import Split, Training, split, tokenizer_of, train_all
from experiments.studies.registers.wishes import wishes_of
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
        If a register has too few texts, or `folder` holds models of other settings.
    """
    with held(folder, "study", "--out"):
        tokenizer = tokenizer_of(texts, settings.vocabulary)
        parts = split(texts, settings, tokenizer)
        judge_model = LanguageModel.load(settings.judge, Device.choose(device))
        models = train_all(parts, settings, tokenizer, folder / TRAINED, device, report)
        found = {one: _kept(settings, parts, one, place, judge_model, folder, device, report)
                 for one, place in models.items()}  # fmt: skip
    registers = list(parts.held_out)
    values = {measure: {register: np.array([[found[Training(model, number)]["scores"][register][measure]
                                             for number in range(settings.trainings)]
                                            for model in parts.training]) for register in registers}
              for measure in scores.MEASURES}  # fmt: skip
    names = list(parts.training)
    return {
        "registers": registers, "models": names, "tokens": parts.tokens,
        "texts": {name: len(some) for name, some in parts.training.items()},
        "parameters": next(iter(found.values()))["parameters"],
        "device": next(iter(found.values()))["device"], "judge": settings.judge, "settings": settings.model_dump(),
        "wishes": next(iter(found.values()))["wishes"],
        "matrix": [row for name in values for row in matrix(name, values[name], names)],
        "compared": [row for name in values for row in compared(name, values[name], names)],
        "qualities": [{"model": one.register, "training": one.number, **row}
                      for one, some in found.items() for row in some["qualities"]],
        "samples": [{"model": one.register, **row} for one, some in found.items() if not one.number
                    for row in some["samples"]],
    }  # fmt: skip


def _kept(
    settings: RegisterStudy, parts: Split, one: Training, place: Path, judge_model: LanguageModel, folder: Path,
    device: str, report: Report,
) -> dict[str, Any]:  # fmt: skip
    """Return what is measured of a model, as an earlier call did, if all that it depends on is the same."""
    space = Space.load(str(place), device)
    about = [settings.model_dump(exclude={"trainings"}), parts.held_out, asdict(space.identity), packages(),
             source_hash(measure, measuring.make, scores.Judge, wishes.wishes_of, quality_of)]  # fmt: skip
    file = folder / f"measured-{one.name}-{sha256(json.dumps(about).encode()).hexdigest()[:16]}.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def said(stage: str, done: int, total: int) -> None:
        report(f"measuring {one.register}, {stage}", done, total)

    found = _measured(space, settings, parts, Judge(judge_model, space.encoder, parts.training), said)
    with replacing(file) as partial:
        partial.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return found


def _measured(space: Space, settings: RegisterStudy, parts: Split, judge: Judge, report: Report) -> dict[str, Any]:
    made, values, asked, samples = {}, {}, dict[str, list[str]](), []
    for register, texts in parts.held_out.items():
        report(f"examples of wishes, {register}", 0, 1)
        some = wishes_of(parts.training[register], space.encoder)
        made[register] = make_ = measuring.make(
            space, texts, some, settings.inversion_steps,
            lambda stage, done, total, register=register: report(f"{stage} {register}", done, total),  # type: ignore[misc]
        )  # fmt: skip
        values[register] = judge.scores(register, make_)
        asked[register] = [wish.name for wish in some]
        samples += _samples(register, make_, values[register])
    return {
        "scores": values, "qualities": qualities(space, made), "samples": samples, "wishes": asked,
        "parameters": sum(one.numel() for part in (space.model.model, adapter_of(space)) for one in part.parameters()),
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
    """Return the qualities of a model's spaces on equal parts of all registers, and how well they keep those apart.

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
