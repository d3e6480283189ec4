"""``copyloom study space``: qualities of spaces, whether their cosine can be trusted, and what people want of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from copyloom import InputError, Report
from embeddings.folders import held, replacing
from embeddings.space import Space
from experiments.bootstrap import bounds
from experiments.studies.space import correlations, qualities, samples, spaces, tastes, trust, wanted
from experiments.studies.space.resampling import (
    Array,
    Groups,
    ResampledPairs,
    mean_cosine_samples,
    rank_correlation,
    variance_intervals,
)
from experiments.studies.space.runs import RUNS, train_all
from experiments.studies.space.samples import (
    Sample,
    drawn_claims,
    own_texts,
    random_pairs,
    shared,
    telling_pairs,
)
from experiments.studies.space.settings import FEWEST, SpaceStudy
from experiments.versions import packages, source_hash
from generator.models import SHIPPED

RUNS_FOLDER = "training-runs"
_WITH_INTERVALS = ("mean_cosine", "isoscore", "effective_dimension", "rank_agreement", "agreement", "follows_product",
                   "follows_style")  # fmt: skip
_TOLD = ("size", "texts", *(f"{name}{end}" for name in _WITH_INTERVALS for end in ("", "_low", "_high")),
         *(f"top_{top}" for top in qualities.TOP), "advice", "answer")  # fmt: skip
"""What of a space's row counts as its qualities."""
_HIGH = 0.3
"""Mean cosine of random pairs from which on the size of a cosine misleads."""


def measure(settings: SpaceStudy, texts: Sequence[str] | None, folder: Path, report: Report) -> dict[str, Any]:
    """Return all that the command prints; what was measured of a model, and trained, is kept in `folder`.

    Parameters
    ----------
    settings : SpaceStudy
    texts : sequence of str, optional
        Own ones; held-out claims of the grammar unless given.
    folder : Path
    report : Report

    Raises
    ------
    InputError
        If there are too few texts, or a model cannot be used or store one of them.
    """
    report("drawing texts", 0, 1)
    count, seed = settings.count, settings.seed
    sample = drawn_claims(count, seed) if texts is None else own_texts(texts, count, seed)
    report("drawing texts", 1, 1)
    with held(folder, "study", "--out"):
        rows: list[dict[str, Any]] = []
        advice: list[dict[str, Any]] = []
        device = ""
        for name, place in _models(settings, folder, report).items():
            found = _kept(settings, sample, name, place, folder, report)
            rows, advice, device = rows + found["spaces"], advice + found["advice"], found["device"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    return {
        "texts": len(sample.texts), "products": len(set(sample.groups.tolist())) if sample.claims else None,
        "source": "held-out claims of the grammar" if texts is None else "own texts", "models": models,
        "device": device, "settings": _as_asked(settings), "qualities": _by_model(rows), "spaces": rows,
        "advice": advice,
        "correlations": correlations.correlations(rows) if len(models) > 1 else [],
        "notes": _notes(settings, sample, rows),
    }  # fmt: skip


def _as_asked(settings: SpaceStudy) -> dict[str, Any]:
    """Return the settings by the names of the command's options."""
    found = asdict(settings)
    return {"model": list(found.pop("models")), **found}


def _models(settings: SpaceStudy, folder: Path, report: Report) -> dict[str, str]:
    """Return the models, those of training runs last, and where each is."""
    found = {name: name for name in settings.models}
    if settings.runs and SHIPPED in settings.models:
        trained = train_all(folder / RUNS_FOLDER, settings.device, report)
        found |= {name: str(place) for name, place in trained.items()}
    return found


def _kept(settings: SpaceStudy, sample: Sample, name: str, place: str, folder: Path, report: Report) -> dict[str, Any]:
    """Return what is measured of a model, as an earlier call did, if all that it depends on is the same."""
    report("loading the model", 0, 1)
    space = Space.load(place, settings.device, trust_remote_code=settings.trust_remote_code)
    report("loading the model", 1, 1)
    about = [asdict(settings) | {"models": name, "runs": None}, sample.texts, asdict(space.identity), packages(),
             source_hash(qualities.isoscore, samples.Sample, spaces.make, tastes.rewards, trust.trust_of,
                         wanted.exactness, mean_cosine_samples, measure)]  # fmt: skip
    file = folder / f"measured-{sha256(json.dumps(about).encode()).hexdigest()[:16]}.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found
    found = measure_model(space, name, name != place, sample, settings, folder, report)
    with replacing(file) as partial:
        partial.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return found


def measure_model(
    space: Space, name: str, is_run: bool, sample: Sample, settings: SpaceStudy, folder: Path, report: Report
) -> dict[str, Any]:
    """Return a row for each kind of vectors of a model, and the agreement of each with each adjustment.

    Of a training run only the kinds that depend on its adapter are measured: the others are those of its language
    model.
    """
    refine = settings.refine_mean and not space.composes
    made = spaces.make(space, sample.texts, refine, not is_run, folder, report)
    exact = wanted.exactness(space, made, settings.mixtures, report)
    mixed = wanted.mixtures(space, made, sample, settings.mixtures, _verdict(space, sample), report, settings.seed)
    attributes = tastes.attributes_of(sample) if sample.claims else None
    rows, advice = [], []
    for number, (kind, values) in enumerate(made.values.items()):
        report("measuring spaces", number, len(made.values))
        row: dict[str, Any] = {"model": name, "training_run": is_run, "space": kind, "size": values.shape[1]}
        quality, trusted = quality_of(values, sample)
        row |= quality | _wants(space, exact.get(kind), mixed.get(kind))
        row |= _learned(values, attributes, sample, settings)
        rows.append(row)
        advice += [{"model": name, "space": kind, **asdict(one)} for one in (trusted.rows if trusted else ())]
    report("measuring spaces", 1, 1)
    return {"spaces": rows, "advice": advice, "device": space.model.device.type}


def quality_of(values: Tensor, sample: Sample) -> tuple[dict[str, Any], trust.Trust | None]:
    """Return the qualities of vectors (n, size) of a sample's texts, and whether their cosine can be trusted.

    Vectors that are zero, such as residuals of texts that needed no refinement, have no direction and are left out;
    where fewer than 30 are left, the qualities are None.

    Raises
    ------
    InputError
        If vectors are not finite.
    """
    kept = _directed(values)
    if len(kept) < FEWEST:
        return {"texts": len(kept)} | dict.fromkeys(_TOLD[2:]), None
    values, sample = values[kept].double(), sample.only(kept)
    low, high = bounds(mean_cosine_samples(values, sample.groups))
    tops = qualities.rogue_shares(values) if low > 0 else dict.fromkeys(qualities.TOP)
    found: dict[str, Any] = {
        "texts": len(kept), "mean_cosine": qualities.mean_cosine(values), "mean_cosine_low": low,
        "mean_cosine_high": high, **_dimensions(values, sample.groups),
        **{f"top_{top}": share for top, share in tops.items()}, **_rank_agreement(values, sample),
    }  # fmt: skip
    trusted = trust.trust_of(values, sample)
    plain = trusted.plain
    found |= {"agreement": plain.value, "agreement_low": plain.low, "agreement_high": plain.high,
              "advice": trusted.advice, "answer": _answer(found["mean_cosine"], trusted)}  # fmt: skip
    found |= _follows(values, sample)
    return found, trusted


def _dimensions(values: Tensor, groups: Groups) -> dict[str, float]:
    """Return how many dimensions are used, by both measures."""
    found = {"isoscore": qualities.isoscore(values), "effective_dimension": qualities.effective_dimension(values)}
    for name, (low, high) in variance_intervals(values, groups).items():
        found |= {f"{name}_low": low, f"{name}_high": high}
    return found


def _directed(values: Tensor) -> list[int]:
    """Return the numbers of the vectors (n, size) that are not zero, or raise `InputError` if some are not finite."""
    if lost := int((~values.isfinite().all(1)).sum()):
        raise InputError(f"vectors of {lost} texts are not finite; use float32 or another model")
    return torch.nonzero(values.norm(dim=1) > 0)[:, 0].tolist()


def _follows(values: Tensor, sample: Sample) -> dict[str, float | None]:
    """Return how likely claims of one product, and of one style alone, have a higher cosine than those of neither."""
    if not sample.claims:
        return _flat("follows_product", None) | _flat("follows_style", None)
    pairs = telling_pairs(sample, range(len(values)))
    product, style = shared(sample, pairs)
    between, resampled = (
        qualities.cosines(values, torch.from_numpy(pairs)).numpy(),
        ResampledPairs(sample.groups, pairs),
    )
    found: dict[str, float | None] = {}
    for name, mask in (("follows_product", product), ("follows_style", style & ~product)):
        value, (low, high) = resampled.higher(between, mask, ~product & ~style)
        found |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return found


def _answer(mean_cosine: float, trusted: trust.Trust) -> str:
    """Return whether the cosine can be trusted, and what its size says where it is high for any two texts."""
    if mean_cosine < _HIGH:
        return trusted.answer
    return f"{trusted.answer} Any two texts have {mean_cosine:.2f}: its order says something, its size little."


def _rank_agreement(values: Tensor, sample: Sample) -> dict[str, float]:
    """Return Spearman's correlation of cosines before and after standardising, over random pairs."""
    pairs = random_pairs(len(values))
    places = torch.from_numpy(pairs)
    before = qualities.cosines(values, places).numpy()
    after = qualities.cosines(trust.adjustments(values)["standardised"](values), places).numpy()
    low, high = bounds(ResampledPairs(sample.groups, pairs).correlations(before, after))
    return {"rank_agreement": rank_correlation(before, after), "rank_agreement_low": low, "rank_agreement_high": high}


def _verdict(space: Space, sample: Sample) -> wanted.Verdict | None:
    if space.composes:
        return wanted.editor_verdict(space, sample.texts)
    return wanted.grammar_verdict(sample.claims) if sample.claims else None


def _wants(
    space: Space, exact: dict[str, wanted.Share | None] | None, mixed: dict[str, wanted.Share] | None
) -> dict[str, float | None]:
    """Return exactness and mixtures of a kind, None for what it lacks."""
    shares = {f"exact_{name}" if name != "reached" else "reached_straight": (exact or {}).get(name)
              for name in ("straight", "refined", "reached")}  # fmt: skip
    good = (mixed or {}).get("good")
    shares |= {"mixtures_true": None if space.composes else good, "mixtures_printed": good if space.composes else None,
               "mixtures_new": (mixed or {}).get("new")}  # fmt: skip
    return {key: value for name, share in shares.items() for key, value in _flat(name, share).items()}


def _learned(values: Tensor, attributes: Array | None, sample: Sample, settings: SpaceStudy) -> dict[str, float | None]:
    """Return how much of simulated rewards is learned, from the same texts that the qualities are of."""
    found: dict[str, float | None] = {}
    kept = _directed(values)
    for name, pairwise in (("learned_linear", False), ("learned_pairwise", True)):
        learned = None
        if attributes is not None and len(kept) >= FEWEST:
            rewards = tastes.rewards(attributes, settings.tastes, settings.seed, pairwise)
            learned = tastes.learnability(values[kept], rewards[kept], sample.groups[kept])
        found |= _flat(name, learned)
    return found


def _flat(name: str, share: wanted.Share | tastes.Learned | None) -> dict[str, float | None]:
    if share is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}


def _by_model(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the qualities of each space of each model."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["model"], {})[row["space"]] = {name: row[name] for name in _TOLD}
    return found


def _notes(settings: SpaceStudy, sample: Sample, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what was not measured, and how few spaces there are."""
    models = {row["model"] for row in rows}
    found = []
    if not sample.claims:
        found.append("Own texts: what the grammar reads (true mixtures) and tastes on its attributes are not measured.")
    if any(row["mixtures_printed"] is not None for row in rows):
        found.append("Where a pretrained writer has an editor, its probability to print stands in place of the "
                     "grammar's reading; the two are not compared.")  # fmt: skip
    few = [f"{row['space']} of {row['model']} ({row['texts']})" for row in rows if row["mean_cosine"] is None]
    if few:
        found.append(f"Too few vectors that are not zero: {', '.join(few)}.")
    if len(models) > 1:
        alike = len(RUNS) + 1 if any(row["training_run"] for row in rows) else 0
        found.append(
            f"Correlations are over {len(rows)} spaces at most, of {len(models)} models and training runs; {alike} of "
            "these share one language model, and all share texts and encoder. So few tell strong connections alone; "
            "intervals draw models and kinds whole, and about one in ten leaves 0 out by chance."
        )
    return found
