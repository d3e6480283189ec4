"""Measure copyloom-tiny: what ``copyloom study tiny`` prints and the model card holds."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from copyloom import Report
from embeddings.effort import Effort
from embeddings.folders import check_output, replacing
from embeddings.mixing import adapt, is_new, mix
from embeddings.space import Space
from embeddings.summary import SummaryEmbedding
from embeddings.writing import STOPPED, Wording
from experiments.corpora.real_texts import real_texts, shared_data
from experiments.held_out import held_out_claims, is_held_out
from experiments.texts import shipped_claims
from experiments.training.tiny.bleu import bleu
from experiments.training.tiny.card import model_card
from generator.checks import Checker, WritingRules
from generator.decoding import decode
from generator.grammar import Claim, Grammar
from generator.reader import GrammarReader
from generator.record import ProductRecord
from generator.settings import read_yaml

HELD_OUT, MIXTURES = 500, 200


def measure(out: Path, data: Path | None, device: str, report: Report) -> dict[str, Any]:
    """Return the model's numbers, also written to ``quality.json`` and ``model_card.md`` in `out`.

    Parameters
    ----------
    data : Path, optional
        Folder of real texts; without it their numbers are None.
    """
    check_output(out / "quality.json")
    space = Space.load(device=device)
    claims = held_out_claims(Grammar.load(), HELD_OUT)
    texts = held_out_real_texts(data)
    parameters = sum(parameter.numel() for parameter in space.model.model.parameters())
    found: dict[str, Any] = {"device": space.model.device.type, "parameters": parameters}
    found |= _exactness("shipped", space, shipped_claims()[0], report)[0]
    exactness, stored = _exactness("grammar", space, [claim.text for claim in claims], report)
    found |= exactness
    found |= _exactness("real", space, texts, report)[0] if texts else {"real_exact_share": None}
    report("mixtures", 0, 1)
    found |= subject_mixtures(space, claims, stored)
    found |= plain_mixtures(space, stored)
    for name, text in (("quality.json", json.dumps(found, indent=2) + "\n"), ("model_card.md", model_card(found))):
        with replacing(out / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return found


def held_out_real_texts(data: Path | None) -> list[str]:
    """Return held-out real texts of 12 to 100 characters; none where the data are absent."""
    folder = data or shared_data()
    if folder is None:
        return []
    texts = [text for text in real_texts(folder) if is_held_out(text) and len(text) <= 100]
    return random.Random("held out").sample(texts, HELD_OUT)


def _exactness(
    name: str, space: Space, texts: Sequence[str], report: Report
) -> tuple[dict[str, Any], list[SummaryEmbedding]]:
    """Return how many texts are exact, straight from the adapter and refined, at which cost; and the embeddings."""
    started = time.perf_counter()
    found = space.invert(texts, None, lambda done, total: report(f"inverting {name} texts", done, total))
    seconds = time.perf_counter() - started
    assert space.adapter is not None  # the shipped model has one
    vectors = adapt(space.adapter, torch.stack([embedding.sentence_vector for embedding in found]))
    straight = [decoded.text for decoded in decode(space.model, vectors)]
    reached = (space.encoder.encode(straight) * torch.stack([one.sentence_vector for one in found])).sum(1)
    steps = sorted(embedding.steps for embedding in found)
    numbers = {
        f"{name}_texts": len(texts),
        f"{name}_exact_share": sum(embedding.exact for embedding in found) / len(texts),
        f"{name}_exact_from_adapter": sum(map(str.__eq__, straight, texts)) / len(texts),
        f"{name}_bleu_from_adapter": bleu(straight, texts),
        f"{name}_cosine_from_adapter": float(reached.mean()),
        f"{name}_median_steps": steps[len(steps) // 2],
        f"{name}_texts_per_second": round(len(texts) / seconds, 2),
    }
    return numbers, found


def subject_mixtures(space: Space, claims: Sequence[Claim], stored: Sequence[SummaryEmbedding]) -> dict[str, Any]:
    """Return how many equal mixtures of claims about other products are about the subject and true to its record."""
    grammar, rng = Grammar.load(), random.Random("subjects")
    known = [grammar.record(rng) for _ in range(10)]
    data = read_yaml(resources.files("experiments").joinpath("data/unseen_records.yaml"))
    found: dict[str, Any] = {}
    for name, records in (("known", known), ("unseen", [ProductRecord(**record) for record in data])):
        texts: list[str] = []
        true = 0
        for record in records:
            checker = Checker(WritingRules(), [], GrammarReader(grammar, record))
            for written in _pairs(space, rng, claims, stored, record, MIXTURES // len(records)):
                is_whole = written.fault in (None, STOPPED)  # which says nothing of truth
                true += is_whole and not checker.refusals(written.text, written.finished)
                texts.append(written.text)
        found[f"{name}_subject_mixtures"] = len(texts)
        found[f"{name}_subject_true_share"] = true / len(texts)
        found[f"{name}_subject_distinct"] = len(set(texts))
    return found


def _pairs(
    space: Space, rng: random.Random, claims: Sequence[Claim], stored: Sequence[SummaryEmbedding], record:
    ProductRecord, count: int,
) -> list[Wording]:  # fmt: skip
    """Return what equal mixtures of random pairs of claims about other products than `record`'s say about it."""
    others = [e for claim, e in zip(claims, stored, strict=True) if claim.record.name != record.name]
    pairs = [rng.sample(others, 2) for _ in range(count)]
    texts = [[parent.text for parent in pair] for pair in pairs]
    return space.writer.write_about(record, *_stacked(pairs), texts, Effort())


def plain_mixtures(space: Space, stored: Sequence[SummaryEmbedding]) -> dict[str, Any]:
    """Return how many equal mixtures of random pairs of claims are new, no subject given."""
    shuffled = random.Random("pairs").sample(stored, 2 * MIXTURES)
    pairs = [shuffled[2 * i : 2 * i + 2] for i in range(MIXTURES)]
    mixed = mix(*_stacked(pairs), space.adapter)
    texts = [written.text for written in space.writer.write(mixed)]
    new = [is_new(text, [parent.text for parent in pair]) for text, pair in zip(texts, pairs, strict=True)]
    return {"mixtures": len(texts), "mixtures_new_share": sum(new) / len(texts)}


def _stacked(pairs: Sequence[Sequence[SummaryEmbedding]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return vectors (B, 2, P, D), sentence vectors (B, 2, S) and equal weights (B, 2) of pairs."""
    vectors = torch.stack([torch.stack([parent.vectors for parent in pair]) for pair in pairs])
    sentence_vectors = torch.stack([torch.stack([parent.sentence_vector for parent in pair]) for pair in pairs])
    return vectors, sentence_vectors, torch.full((len(pairs), 2), 0.5)
