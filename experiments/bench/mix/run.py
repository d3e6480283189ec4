"""Run the mix benchmark: every entrant on every corpus, and what the product does with a subject."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from embeddings.effort import Effort
from embeddings.encoder import Encoder
from embeddings.space import Space
from experiments.bench.mix.corpora import WEIGHTS, Cases, Corpus, grammar_corpus, own_corpora, real_corpora
from experiments.bench.mix.cost import cost
from experiments.bench.mix.entrants import DEFAULT, ENTRANTS, Entrant, Setting, as_first_stated
from experiments.bench.mix.fidelity import fidelity
from experiments.bench.mix.judge import Judge
from experiments.bench.mix.measures import (
    FAULTS,
    FluencyRule,
    drift,
    interval,
    is_concatenation,
    is_new_text,
    nearest,
)
from experiments.bench.mix.plain import plain_space
from experiments.tiny.real_texts import shared_data
from generator.checks import BrandRules, Checker
from generator.grammar import HELD_OUT_PRODUCT, Grammar
from generator.reader import Reader
from generator.record import ProductRecord

Report = Callable[[str, int, int], None]
_SAMPLES = 20


def measure(
    texts: Sequence[str] | None, pairs: int, out: Path, data: Path | None, device: str, report: Report,
    plain: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Return all that ``copyloom bench mix`` measures, as one JSON object.

    Parameters
    ----------
    texts : sequence of str, optional
        A person's own texts. Without them: claims of the grammar, and real texts where `data` are at hand.
    pairs : int
        Of each corpus.
    out : Path
        Keeps the model without adapter between calls.
    data : Path, optional
        Folder of real texts.
    device : str
    report : callable
    plain : bool
        Whether a model without adapter takes part, which is trained first: about ten minutes.
    """
    space, judge, folder = Space.load(device=device), Judge.load(), data or shared_data()
    bare = plain_space(out / "plain", folder, space.vectors, device, report) if plain else None
    found: dict[str, Any] = {
        "default": DEFAULT, "pairs": pairs, "effort": asdict(Effort()), "corpora": [],
        "device": space.model.device.type, "threads": torch.get_num_threads(),
    }  # fmt: skip
    for corpus in _corpora(texts, folder, space.encoder, pairs, report):
        setting, rule = Setting(space, corpus, bare, report), FluencyRule(judge, corpus)
        found["corpora"].append(_corpus_results(setting, rule, report))
        if corpus.claims:
            found["with_subject"] = _with_subject(setting, rule)
    found["entrants"] = found["corpora"][0]["entrants"]
    return found


def _corpora(
    texts: Sequence[str] | None, folder: Path | None, encoder: Encoder, pairs: int, report: Report
) -> list[Corpus]:
    if texts is not None:
        return own_corpora(texts, encoder, pairs, report)
    real = real_corpora(folder, encoder, pairs, report) if folder else []
    return [grammar_corpus(encoder, pairs, report), *real]


def _corpus_results(setting: Setting, rule: FluencyRule, report: Report) -> dict[str, Any]:
    corpus = setting.corpus
    taking = {name: way for name, way in ENTRANTS.items() if setting.plain is not None or way is not as_first_stated}
    rows: dict[str, Any] = {"a parent": _parents_row(setting, rule)}
    for number, (name, way) in enumerate(taking.items()):
        report(f"{corpus.name}: {name}", number, len(taking))
        rows[name] = _entrant(setting, rule, way)
    return {"corpus": corpus.name, "fluent_up_to_nats": rule.limit, "must_stop": rule.stops, "entrants": rows,
            "ends": _ends(setting), "repeats": _repeats(setting), "texts_per_second": cost(setting),
            "samples": _samples(setting)}  # fmt: skip


def _entrant(setting: Setting, rule: FluencyRule, way: Entrant) -> dict[str, Any]:
    corpus, many = setting.corpus, len(WEIGHTS)
    everywhere = way(setting, corpus.everywhere())
    row = {
        **_measured(setting, rule, corpus.at(0.5), everywhere[many // 2 :: many]),
        **_drifts(setting, everywhere),
        "everywhere": _measured(setting, rule, corpus.everywhere(), everywhere, many),
    }
    if len(corpus.triples):
        row["triples"] = _measured(setting, rule, corpus.of_three(), way(setting, corpus.of_three()))
    return row


def _measured(setting: Setting, rule: FluencyRule, cases: Cases, texts: Sequence[str], each: int = 1) -> dict[str, Any]:
    """Return what the texts written for `cases` are worth; of one pair there are `each`, one after the other."""
    corpus = setting.corpus
    parents = [[corpus.texts[number] for number in row] for row in cases.parents.tolist()]
    pairs = list(zip(texts, parents, strict=True))
    faults = rule.faults(texts)
    wanted = setting.wanted(cases)
    reached = _cosines(setting, texts, wanted)
    nearer = (corpus.sentence_vectors[cases.parents] * wanted[:, None]).sum(-1).max(1).values.double().numpy()
    beside = nearest(wanted, corpus.stored_vectors).double().numpy()
    row: dict[str, Any] = {
        "texts": len(texts),
        **_share("fluent", [not found for found in faults], each),
        **_share(
            "new", [bool(text) and is_new_text(text, family, corpus.stored_words) for text, family in pairs], each
        ),
        **_share("concatenation", [is_concatenation(text, family) for text, family in pairs], each),
        "semantic_consistency": float(reached.mean()),
        "nearer_parent": float(nearer.mean()),
        "nearest_stored": float(beside.mean()),
        "difference": float((reached - nearer).mean()),
        "difference_interval": interval((reached - nearer).reshape(-1, each).mean(1)),
        "difference_to_stored": float((reached - beside).mean()),
        "difference_to_stored_interval": interval((reached - beside).reshape(-1, each).mean(1)),
        "distinct_share": len(set(texts)) / len(texts),
        "faults": {name: sum(name in found for found in faults) / len(faults) for name in FAULTS},
    }
    if corpus.claims:
        families = [[corpus.claims[number] for number in numbers] for numbers in cases.parents.tolist()]
        kept = [fidelity(text, family) for text, family in zip(texts, families, strict=True)]
        row |= _share("attribute_fidelity", [one.kept for one in kept], each)
        for part in ("product", "style", "facts"):
            row[f"{part}_kept"] = sum(getattr(one, part) for one in kept) / len(kept)
    return row


def _share(name: str, flags: Sequence[bool], each: int = 1) -> dict[str, Any]:
    """Return the share of true flags and its interval over groups of `each`."""
    values = np.array(flags, dtype=float).reshape(-1, each).mean(1)
    return {f"{name}_share": float(values.mean()), f"{name}_interval": interval(values)}


def _cosines(setting: Setting, texts: Sequence[str], points: torch.Tensor) -> NDArray[np.float64]:
    """Return the cosine of each text to its point (B, S); 0 where there is no text."""
    vectors = setting.space.encoder.encode([text or "." for text in texts])
    there = torch.tensor([bool(text.strip()) for text in texts])
    return torch.where(there, (vectors * points).sum(1), 0.0).double().numpy()


def _drifts(setting: Setting, texts: Sequence[str]) -> dict[str, Any]:
    """Return how the texts of each pair move from the first parent to the second as the weight does."""
    corpus, many = setting.corpus, len(WEIGHTS)
    first, second = corpus.sentence_vectors[corpus.pairs].unbind(1)
    towards = [_cosines(setting, texts, side.repeat_interleave(many, 0)) for side in (first, second)]
    whole = (1 - (first * second).sum(1)).double().numpy()
    correlation, largest = drift((towards[1] - towards[0]).reshape(-1, many), np.stack([-whole, whole], 1))
    return {"drift": float(correlation.mean()), "drift_interval": interval(correlation),
            "smooth_share": float((largest <= 0.4).mean()), "largest_step": float(np.median(largest))}  # fmt: skip


def _parents_row(setting: Setting, rule: FluencyRule) -> dict[str, Any]:
    """Return what the first parents themselves are worth: what no mixture need surpass in fluency."""
    corpus = setting.corpus
    return _measured(setting, rule, corpus.at(0.5), [corpus.texts[number] for number in corpus.pairs[:, 0].tolist()])


def _ends(setting: Setting) -> dict[str, float]:
    """Return the share of pairs whose ends, weights 0 and 1, give the parents back letter for letter."""
    found = {}
    for name, end, side in (("first", 0.0, 0), ("second", 1.0, 1)):
        texts = ENTRANTS[DEFAULT](setting, setting.corpus.at(end))
        wanted = [setting.corpus.texts[number] for number in setting.corpus.pairs[:, side].tolist()]
        found[name] = sum(map(str.__eq__, texts, wanted)) / len(wanted)
    return found


def _repeats(setting: Setting) -> float:
    """Return the share of texts that come out the same in another order and batch size."""
    cases, device = setting.corpus.at(0.5), setting.space.model.device
    texts = ENTRANTS[DEFAULT](setting, cases)
    order = torch.randperm(len(cases), generator=torch.Generator().manual_seed(1))
    setting.space.model.device = replace(device, decode_rows=max(device.decode_rows * 3 // 8, 1))
    try:
        again = ENTRANTS[DEFAULT](setting, Cases(cases.parents[order], cases.weights[order]))
    finally:
        setting.space.model.device = device
    return sum(again[place] == texts[row] for place, row in enumerate(order.tolist())) / len(texts)


def _samples(setting: Setting) -> list[dict[str, Any]]:
    """Return the product's texts for the first pairs, as they come."""
    corpus = setting.corpus
    cases = Cases(corpus.pairs[:_SAMPLES], torch.full((min(_SAMPLES, len(corpus.pairs)), 2), 0.5))
    texts = ENTRANTS[DEFAULT](setting, cases)
    return [{"parents": [corpus.texts[number] for number in row], "text": text}
            for row, text in zip(cases.parents.tolist(), texts, strict=True)]  # fmt: skip


def _with_subject(setting: Setting, rule: FluencyRule) -> dict[str, Any]:
    """Return how equal mixtures about given subjects keep to their records and to their parents' styles."""
    grammar, rng = Grammar.load(), random.Random("subjects of the mix benchmark")
    held_out = [grammar.record(rng, category, HELD_OUT_PRODUCT) for category in grammar.categories]
    unseen = yaml.safe_load(
        resources.files("experiments").joinpath("data/unseen_records.yaml").read_text(encoding="utf-8")
    )
    kinds = {"held-out products": held_out, "unseen words": [ProductRecord(**record) for record in unseen]}
    return {name: _about(setting, rule, records) for name, records in kinds.items()}


def _about(setting: Setting, rule: FluencyRule, records: Sequence[ProductRecord]) -> dict[str, Any]:
    corpus = setting.corpus
    true: list[bool] = []
    styled: list[bool] = []
    texts: list[str] = []
    cases = corpus.at(0.5)
    for number, record in enumerate(records):
        rows = [row for row in range(number, len(cases), len(records))
                if all(corpus.claims[n].record.name != record.name for n in cases.parents[row].tolist())]  # fmt: skip
        part = Cases(cases.parents[rows], cases.weights[rows])
        vectors = setting.space.mix_many(*setting.of(setting.from_adapter, part), part.weights)
        reader = Reader(Grammar.load(), record)
        checker = Checker(BrandRules(), [], reader)
        for row, written in zip(rows, setting.space.write(vectors, record, setting.wanted(part)), strict=True):
            text = "" if written.fault else written.text
            styles = {corpus.claims[n].frame.style for n in cases.parents[row].tolist()}
            true.append(bool(text) and not checker.refusals(text, written.finished))
            styled.append(reader.read(text).style in styles)
            texts.append(text)
    known = [phrase for record in records for phrase in record.phrases().values()]
    fluent = [not found for found in rule.faults(texts, known)]
    return {"texts": len(texts), **_share("true", true), **_share("style", styled), **_share("fluent", fluent),
            "distinct_share": len(set(texts)) / len(texts), "samples": texts[:10]}  # fmt: skip
