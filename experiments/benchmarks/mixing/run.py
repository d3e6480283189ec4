"""Run the mix benchmark: every entrant on every corpus, and what the product does with a subject."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from copyloom import Report
from embeddings.effort import Effort
from embeddings.encoder import Encoder
from embeddings.folders import replacing
from embeddings.space import Space
from embeddings.writing import STOPPED, Wording
from experiments.benchmarks.mixing.corpora import WEIGHTS, Cases, Corpus, grammar_corpus, own_corpora, real_corpora
from experiments.benchmarks.mixing.cost import cost
from experiments.benchmarks.mixing.entrants import DEFAULT, ENTRANTS, Entrant, Setting, taking_part
from experiments.benchmarks.mixing.fidelity import fidelity
from experiments.benchmarks.mixing.inventions import invented_words
from experiments.benchmarks.mixing.judge import Judge
from experiments.benchmarks.mixing.measures import (
    FAULTS,
    FluencyRule,
    drift,
    excess,
    is_concatenation,
    is_new_text,
    nearest,
)
from experiments.benchmarks.mixing.plain import plain_space
from experiments.bootstrap import interval
from experiments.corpora.real_texts import shared_data
from generator.checks import Checker, WritingRules
from generator.grammar import HELD_OUT_PRODUCT, Grammar
from generator.language_model import LanguageModel
from generator.models import SHIPPED
from generator.readability import grammar_faults
from generator.reader import GrammarReader
from generator.record import ProductRecord
from generator.settings import read_yaml

_SAMPLES, _REPEATED, _TOGETHER = 20, 24, 4


def measure(
    texts: Sequence[str] | None, pairs: int, out: Path, data: Path | None, device: str, report: Report,
    plain: bool = True, effort: Effort | None = None, drift_pairs: int = 40, judge: LanguageModel | None = None,
    model: str = SHIPPED,
) -> dict[str, Any]:  # fmt: skip
    """Return all that ``copyloom bench mix`` measures, as one JSON object.

    Parameters
    ----------
    texts : sequence of str, optional
        A person's own texts. Without them: claims of the grammar, and real texts where `data` are at hand.
    pairs : int
        Of each corpus.
    out : Path
        Keeps the model without adapter between calls; and, until all is done, what was written so far.
    data : Path, optional
        Folder of real texts.
    plain : bool
        Whether a model without adapter takes part, which is trained first: about ten minutes. Never beside a writer.
    effort : Effort, optional
        How far the product searches; as far as it does unless given.
    drift_pairs : int
        Pairs of each corpus, at most, that are mixed at all of `experiments.benchmarks.mixing.corpora.WEIGHTS`; the
        others at equal weights only.
    judge : LanguageModel, optional
        In the place of `generator.models.JUDGE`: numbers of different judges do not compare.
    model : str
        Whose space it is. A pretrained writer composes, and takes part beside its own plain decodes, the pretrained
        model with the parents in an instruction, and stored texts.
    """
    effort = effort or Effort()
    space, judged_by, folder = Space.load(model, device), Judge.load(judge), data or shared_data()
    plain = plain and not space.composes
    bare = plain_space(out / "plain", folder, space.vectors, device, report) if plain else None
    found: dict[str, Any] = {
        "default": DEFAULT, "model": model, "pairs": pairs, "drift_pairs": min(drift_pairs, pairs),
        "effort": asdict(effort), "corpora": [], "device": space.model.device.type, "threads": torch.get_num_threads(),
    }  # fmt: skip
    kept = out / "written"
    for corpus in _corpora(texts, folder, space.encoder, pairs, report):
        setting, rule = Setting(space, corpus, bare, report, effort), FluencyRule(judged_by, corpus)
        found["corpora"].append(_corpus_results(setting, rule, kept, min(drift_pairs, len(corpus.pairs)), report))
        if corpus.claims:
            found["with_subject"] = _with_subject(setting, rule)
    found["entrants"] = found["corpora"][0]["entrants"]
    shutil.rmtree(kept, ignore_errors=True)
    return found


def _corpora(
    texts: Sequence[str] | None, folder: Path | None, encoder: Encoder, pairs: int, report: Report
) -> list[Corpus]:
    if texts is not None:
        return own_corpora(texts, encoder, pairs, report)
    real = real_corpora(folder, encoder, pairs, report) if folder else []
    return [grammar_corpus(encoder, pairs, report), *real]


def _corpus_results(
    setting: Setting, rule: FluencyRule, kept: Path, drifting: int, report: Report
) -> dict[str, Any]:  # fmt: skip
    corpus, many = setting.corpus, len(WEIGHTS)
    taking = taking_part(setting)
    even: dict[str, list[str]] = {}
    rows: dict[str, Any] = {"a parent": _controls_row(setting, rule, lambda text: text)}
    rows["a parent, shuffled"] = _controls_row(setting, rule, _shuffled)
    for number, (name, way) in enumerate(taking.items()):
        report(f"{corpus.name}: {name}", number, len(taking))
        everywhere = _kept(setting, kept, name, way, corpus.everywhere(drifting))
        even[name] = everywhere[many // 2 :: many] + _kept(setting, kept, name, way, corpus.at(0.5, drifting))
        rows[name] = _measured(setting, rule, corpus.at(0.5), even[name]) | _drifts(setting, everywhere)
        rows[name]["everywhere"] = _measured(setting, rule, corpus.everywhere(drifting), everywhere, many)
        if len(corpus.triples):
            triples = _kept(setting, kept, name, way, corpus.of_three())
            rows[name]["triples"] = _measured(setting, rule, corpus.of_three(), triples)
    return {"corpus": corpus.name, "fluent_up_to_nats": rule.limit, "must_stop": rule.stops, "entrants": rows,
            "ends": _ends(setting), "repeats": _repeats(setting, even[DEFAULT]), "texts_per_second": cost(setting),
            "samples": _samples(setting, even[DEFAULT])}  # fmt: skip


def _kept(setting: Setting, folder: Path, name: str, way: Entrant, cases: Cases) -> list[str]:
    """Return what an entrant writes for `cases`, read from `folder` where a run that was stopped wrote it before."""
    corpus = setting.corpus
    key = repr((name, setting.space.identity, setting.effort, corpus.texts, corpus.stored[:1], cases.parents.tolist(),
                cases.weights.tolist()))  # fmt: skip
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        texts = way(setting, cases)
        with replacing(path) as partial:
            partial.write_text(json.dumps(texts))
    found: list[str] = json.loads(path.read_text())
    return found


def _measured(setting: Setting, rule: FluencyRule, cases: Cases, texts: Sequence[str], each: int = 1) -> dict[str, Any]:
    """Return what the texts written for `cases` are worth; of one pair there are `each`, one after the other."""
    corpus = setting.corpus
    parents = [[corpus.texts[number] for number in row] for row in cases.parents.tolist()]
    pairs = list(zip(texts, parents, strict=True))
    faults = rule.faults(texts)
    wanted = setting.wanted(cases)
    reached = (_vectors(setting, texts) * wanted).sum(1).double().numpy()
    nearer = (corpus.sentence_vectors[cases.parents] * wanted[:, None]).sum(-1).max(1).values.double().numpy()
    beside = nearest(wanted, corpus.stored_vectors).double().numpy()
    row: dict[str, Any] = {
        "texts": len(texts),
        **_share("fluent", [not found for found in faults], each),
        "nats_per_token": float(rule.losses(texts).mean()),
        "written_share": float(np.mean([bool(text) for text in texts])),
        **_excess(rule, texts, parents),
        "invented_share": float(
            np.mean([bool(invented_words(text, family)) for text, family in pairs if text] or [False])
        ),
        "grammatical_share": float(np.mean([not grammar_faults(text) for text in texts if text] or [False])),
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


def _excess(rule: FluencyRule, texts: Sequence[str], parents: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return the mean excess of bits a byte over the parents, of the cases that have a text, and its interval."""
    there = [(text, family) for text, family in zip(texts, parents, strict=True) if text]
    if not there:
        return {"excess_bits_per_byte": None, "excess_interval": None}
    found = excess(rule.judge, *zip(*there, strict=True))
    return {"excess_bits_per_byte": float(found.mean()), "excess_interval": interval(found)}


def _share(name: str, flags: Sequence[bool], each: int = 1) -> dict[str, Any]:
    """Return the share of true flags and its interval over groups of `each`."""
    values = np.array(flags, dtype=float).reshape(-1, each).mean(1)
    return {f"{name}_share": float(values.mean()), f"{name}_interval": interval(values)}


def _vectors(setting: Setting, texts: Sequence[str]) -> torch.Tensor:
    """Return the sentence vectors (B, S) of texts; zeros where there is no text."""
    there = torch.tensor([bool(text.strip()) for text in texts])
    return setting.space.encoder.encode([text or "." for text in texts]) * there[:, None]


def _drifts(setting: Setting, everywhere: Sequence[str]) -> dict[str, Any]:
    """Return how the texts of the first pairs, one at each of `WEIGHTS`, move from the first parent to the second."""
    corpus, many = setting.corpus, len(WEIGHTS)
    first, second = corpus.sentence_vectors[corpus.pairs[: len(everywhere) // many]].unbind(1)
    towards = (_vectors(setting, everywhere) * (second - first).repeat_interleave(many, 0)).sum(1).double().numpy()
    whole = (1 - (first * second).sum(1)).double().numpy()
    correlation, largest = drift(towards.reshape(-1, many), np.stack([-whole, whole], 1))
    return {"drift": float(correlation.mean()), "drift_interval": interval(correlation),
            "smooth_share": float((largest <= 0.4).mean()), "largest_step": float(np.median(largest))}  # fmt: skip


def _controls_row(setting: Setting, rule: FluencyRule, change: Callable[[str], str]) -> dict[str, Any]:
    """Return what the first parents are worth, as they are or changed: what no mixture need surpass, or must."""
    corpus = setting.corpus
    texts = [change(corpus.texts[number]) for number in corpus.pairs[:, 0].tolist()]
    return _measured(setting, rule, corpus.at(0.5), texts)


def _shuffled(text: str) -> str:
    """Return the words of a text in another order."""
    words = text.split()
    return " ".join(random.Random(text).sample(words, len(words)))


def _ends(setting: Setting) -> dict[str, float]:
    """Return the share of pairs whose ends, weights 0 and 1, give the parents back letter for letter."""
    found = {}
    for name, end, side in (("first", 0.0, 0), ("second", 1.0, 1)):
        texts = ENTRANTS[DEFAULT](setting, setting.corpus.at(end))
        wanted = [setting.corpus.texts[number] for number in setting.corpus.pairs[:, side].tolist()]
        found[name] = sum(map(str.__eq__, texts, wanted)) / len(wanted)
    return found


def _repeats(setting: Setting, texts: Sequence[str]) -> float:
    """Return the share of texts, of some pairs, that come out as `texts` did, in another order and batch size."""
    cases, device = setting.corpus.at(0.5), setting.space.model.device
    order = torch.randperm(len(cases), generator=torch.Generator().manual_seed(1))[:_REPEATED]
    some = Cases(cases.parents[order], cases.weights[order])
    if setting.space.composes:  # one shape, other mixtures beside
        several = replace(setting, effort=replace(setting.effort, together=_TOGETHER))
        turned = torch.arange(len(some)).roll(1)
        first = ENTRANTS[DEFAULT](several, some)
        again = ENTRANTS[DEFAULT](several, Cases(some.parents[turned], some.weights[turned]))
        return sum(again[place] == first[row] for place, row in enumerate(turned.tolist())) / len(again)
    setting.space.model.device = replace(device, decode_rows=max(device.decode_rows * 3 // 8, 1))
    try:
        again = ENTRANTS[DEFAULT](setting, some)
    finally:
        setting.space.model.device = device
    return sum(again[place] == texts[row] for place, row in enumerate(order.tolist())) / len(again)


def _samples(setting: Setting, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the product's texts for the first pairs, as they come."""
    corpus = setting.corpus
    return [{"parents": [corpus.texts[number] for number in row], "text": text}
            for row, text in zip(corpus.pairs[:_SAMPLES].tolist(), texts, strict=False)]  # fmt: skip


def _with_subject(setting: Setting, rule: FluencyRule) -> dict[str, Any]:
    """Return how equal mixtures about given subjects keep to their records and to their parents' styles."""
    grammar, rng = Grammar.load(), random.Random("subjects of the mix benchmark")
    held_out = [grammar.record(rng, category, HELD_OUT_PRODUCT) for category in grammar.categories]
    unseen = read_yaml(resources.files("experiments").joinpath("data/unseen_records.yaml"))
    kinds = {"held-out products": held_out, "unseen words": [ProductRecord(**record) for record in unseen]}
    return {name: _about(setting, rule, records) for name, records in kinds.items()}


def _about(setting: Setting, rule: FluencyRule, records: Sequence[ProductRecord]) -> dict[str, Any]:
    corpus, cases = setting.corpus, setting.corpus.at(0.5)
    flags: dict[str, list[bool]] = {"true": [], "style": [], "first_draft_true": []}
    texts: list[str] = []
    for number, record in enumerate(records):
        rows = [row for row in range(number, len(cases), len(records))
                if all(corpus.claims[n].record.name != record.name for n in cases.parents[row].tolist())]  # fmt: skip
        part = Cases(cases.parents[rows], cases.weights[rows])
        families = [[corpus.texts[n] for n in numbers] for numbers in part.parents.tolist()]
        parents = (*setting.of(setting.from_adapter, part), part.weights, families)
        reader = GrammarReader(Grammar.load(), record)
        checker = Checker(WritingRules(), [], reader)

        def is_true(written: Wording, checker: Checker = checker) -> bool:
            return written.fault in (None, STOPPED) and not checker.refusals(written.text, written.finished)

        drafts = setting.space.writer.write_about(record, *parents, replace(setting.effort, drafts=1))
        chosen = setting.space.writer.write_about(record, *parents, setting.effort)
        flags["first_draft_true"] += map(is_true, drafts)
        flags["true"] += map(is_true, chosen)
        for row, written in zip(rows, chosen, strict=True):
            styles = {corpus.claims[n].frame.style for n in cases.parents[row].tolist()}
            flags["style"].append(reader.read(written.text).style in styles)
        texts += ["" if written.fault else written.text for written in chosen]
    known = [phrase for record in records for phrase in record.phrases().values()]
    flags["fluent"] = [not found for found in rule.faults(texts, known)]
    shares = [_share(name, values) for name, values in flags.items()]
    return {"texts": len(texts), **{key: value for share in shares for key, value in share.items()},
            "distinct_share": len(set(texts)) / len(texts), "samples": texts[:10]}  # fmt: skip
