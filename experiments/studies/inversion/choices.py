"""What the defaults of inversion were chosen by: ``copyloom study inversion``."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import normalize

from copyloom import Report
from embeddings.documents import invert_documents, read_documents
from embeddings.inversion import Inverter
from embeddings.inversion_config import InversionConfig
from embeddings.mixing import mix, wanted_point
from embeddings.probe import probe_radius
from embeddings.space import Space
from embeddings.starts import starts_of, token_mean_start
from embeddings.summary import SummaryEmbedding, exact_share, mean_steps
from embeddings.transfer import carry_over
from experiments.benchmarks.inversion.run import bench_texts
from experiments.corpora.real_texts import shared_data
from generator.language_model import LanguageModel

_TEXTS, _PAIRS = 128, 256
_RADII = (0.1, 0.5, 2.0, 5.0)
_WEIGHTS = (0.0, 100.0, 1000.0, 3000.0)
_NOISES = (0.03, 0.1, 0.3)
_SPANS = (20, 40, 60, 80)
_CHARACTERS = 5000


def choices(data: Path | None, device: str, report: Report) -> dict[str, Any]:
    """Return tables of what each setting of inversion costs and brings, with copyloom-tiny in float32.

    Parameters
    ----------
    data : Path, optional
        Folder of the Upworthy archive; without one, texts are claims of the project's own grammar.
    """
    space = Space.load(device=device)
    texts, source = bench_texts(data or shared_data())
    tables = {
        "radius": lambda: list(_radius(space, texts)),
        "mixtures": lambda: list(_mixtures(space, texts)),
        "relational": lambda: list(_relational(space, texts)),
        "transfer": lambda: list(_transfer(space, texts)),
        "surprisal": lambda: list(_surprisal(space, texts)),
        "spans": lambda: list(_spans(space, " ".join(texts))),
    }
    found: dict[str, Any] = {"texts": source}
    for number, (name, table) in enumerate(tables.items()):
        report(name, number, len(tables))
        found[name] = table()
    return found


def _radius(space: Space, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield exactness, steps and distance moved with each longest step, from both starts."""
    for config in (InversionConfig(max_steps=100), InversionConfig(start="token_mean", max_steps=100)):
        for trial in probe_radius(space, texts[:200], config).trials:
            yield {"start": config.start, **asdict(trial)}


def _mixtures(space: Space, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield how near equal mixtures of pairs come to the wanted point, mixed without adapter, for each longest step."""
    sample, bare = texts[:_TEXTS], Space(space.model, space.encoder, vectors=space.vectors)
    rng = random.Random(0)
    pairs = torch.tensor([rng.sample(range(len(sample)), 2) for _ in range(_PAIRS)])
    weights = torch.full((len(pairs), 2), 0.5)
    for radius in _RADII:
        found = bare.invert(sample, InversionConfig(start="token_mean", radius=radius))
        vectors, sentence_vectors = _stacked(found)
        drafts = bare.writer.write(mix(vectors[pairs], sentence_vectors[pairs], weights, None))
        written = space.encoder.encode([draft.text if draft.text.strip() else "." for draft in drafts])
        cosines = (written * wanted_point(sentence_vectors[pairs], weights)).sum(1)
        yield {"radius": radius, "steps": mean_steps(found), "semantic_consistency": float(cosines.mean()),
               "standard_error": float(cosines.std() / len(pairs) ** 0.5)}  # fmt: skip


def _relational(space: Space, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rank correlation of cosines between vectors and between meanings, for each relational weight."""
    for weight in _WEIGHTS:
        found = space.invert(texts[:_TEXTS], InversionConfig(start="token_mean", relational_weight=weight))
        vectors, sentence_vectors = _stacked(found)
        correlation = spearmanr(_cosines(vectors.flatten(1)), _cosines(sentence_vectors)).statistic
        yield {"weight": weight, "exact_share": exact_share(found), "steps": mean_steps(found),
               "rank_correlation": float(correlation)}  # fmt: skip


def _transfer(space: Space, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield how embeddings carry over to the model with noise on its matrices, as a share of their deviation."""
    stored = space.invert(texts[:48])
    for noise in _NOISES:
        _, carried = carry_over(_with_noise(space, noise), stored, sample=len(stored))
        names = ("exact_unchanged", "exact_carried", "steps_carried", "cosine_carried", "steps_afresh", "cosine_afresh")
        yield {"noise": noise, **{name: getattr(carried, name) for name in names}}


def _with_noise(space: Space, noise: float) -> Space:
    module, generator = deepcopy(space.model.model).cpu(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 2:
                parameter += noise * parameter.std() * torch.randn(parameter.shape, generator=generator)
    model = LanguageModel(module, space.model.tokenizer, f"{space.model.name} with noise {noise}", space.model.device)
    return Space(model, space.encoder, space.adapter, space.subject_adapter)


def _surprisal(space: Space, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield how well the surprisal at the start ranks texts by the steps that they need."""
    sample = texts[: 2 * _TEXTS]
    starts = {
        "token_mean": torch.stack([token_mean_start(space.model, text, space.vectors) for text in sample]),
        "adapter": starts_of(space, sample, space.encoder.encode(sample), "adapter"),
    }
    for name in ("token_mean", "adapter"):
        config = InversionConfig.model_validate({"start": name})
        found = Inverter(space.model, config).invert(sample, starts[name])
        correlation = spearmanr([row.surprisal for row in found], [row.steps for row in found]).statistic
        yield {"start": name, "texts": len(sample), "rank_correlation": float(correlation)}


def _spans(space: Space, text: str) -> Iterator[dict[str, Any]]:
    """Yield exactness and steps of a document of some thousand characters in spans of each length."""
    for most in _SPANS:
        (document,) = invert_documents(space, [text[:_CHARACTERS]], most=most)
        (read,) = read_documents(space, [document])
        yield {"tokens": most, "spans": len(document.embeddings), "wrong_spans": len(read.wrong_spans),
               "steps": mean_steps(document.embeddings)}  # fmt: skip


def _stacked(found: Sequence[SummaryEmbedding]) -> tuple[Tensor, Tensor]:
    return torch.stack([row.vectors for row in found]), torch.stack([row.sentence_vector for row in found])


def _cosines(rows: Tensor) -> Tensor:
    """Return the cosine of each pair of rows (N, ...), as a vector."""
    directions = normalize(rows, dim=1)
    first, second = torch.triu_indices(len(rows), len(rows), 1)
    return (directions @ directions.T)[first, second]
