"""``copyloom study preferences``: design choices of claims and clicks, as a conjoint analyst reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from copyloom import InputError, Report
from experiments.studies.preferences.coding import Coded, Coding, code
from experiments.studies.preferences.log import Log
from experiments.studies.preferences.model import Cells, Posterior, fit
from experiments.studies.preferences.part_worths import (
    RARE,
    Basis,
    contrasts,
    design_of,
    holm,
    on_rates,
    part_worths,
    verdict,
)

CAVEAT = (
    "Texts differ in more than the choices that are coded here, and nobody assigned the choices by lot: read a "
    "difference as what goes with a choice, not as what the choice does. A test of two texts that differ in nothing "
    "else tells that."
)
COMPARISONS = "Intervals are of one comparison each; verdicts hold at 5 % for all attributes together (Holm)."


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A campaign's cells that can tell, and what they say."""

    cells: Cells
    posterior: Posterior


def measure(log: Log, coding: Coding, names: Sequence[str], report: Report, seed: int = 0) -> dict[str, Any]:
    """Return all that the command prints.

    Parameters
    ----------
    log : Log
    coding : {"auto", "rules", "styles"}
    names : sequence of str
        Brands and products.
    report : callable
    seed : int
        Of draws from the posterior.

    Raises
    ------
    InputError
        If nothing can be compared.
    """
    report("reading texts", 0, len(log.texts))
    everything = code(log.texts, coding, names).beside(log.own)
    report("reading texts", len(log.texts), len(log.texts))
    telling = {name: cells.telling() for name, cells in log.cells.items()}
    telling = {name: cells for name, cells in telling.items() if len(cells.texts)}
    if not telling:
        raise InputError(f"{log.source} has no {log.compared} with two texts and a click, so nothing can be compared")
    shown = np.unique(np.concatenate([cells.texts for cells in telling.values()]))
    coded, alike = everything.seen(shown)
    basis = design_of(coded)
    fitted = []
    for number, cells in enumerate(telling.values()):
        report("fitting", number, len(telling))
        fitted.append(_Fitted(cells, fit(cells, basis.design, seed)))
    report("fitting", len(telling), len(telling))
    whole = _joined(list(telling.values()))
    if len(fitted) == 1:
        posterior = fitted[0].posterior
        attributes = contrasts(posterior, coded, basis, whole)
        levels = part_worths(posterior, coded, basis, whole)
        by_campaign: list[dict[str, Any]] = []
    else:
        attributes, levels, by_campaign = _averaged(list(telling), fitted, coded, basis, whole)
    segments = _segments(log, coded, basis, seed) if len(fitted) == 1 else []
    everyone = sum(int(cells.impressions.sum()) for cells in log.cells.values())
    return {
        "source": log.source, "simulated": log.simulated, "compared_within": log.compared,
        "coded_by": coded.by, "texts": len(shown),
        "impressions": int(whole.impressions.sum()), "clicks": int(whole.clicks.sum()), "base_rate": whole.rate,
        "strata": sum(len(np.unique(cells.strata)) for cells in telling.values()),
        "impressions_that_cannot_tell": everyone - int(whole.impressions.sum()),
        "campaigns": len(fitted), "groups": sum(one.posterior.groups for one in fitted),
        "robust": all(one.posterior.robust for one in fitted),
        "text_sd": float(np.mean([one.posterior.spread for one in fitted])), "length_cuts": list(coded.cuts),
        "attributes": attributes, "part_worths": levels, "segments": segments, "by_campaign": by_campaign,
        "left_out": [{"attribute": name, "why": "all texts are alike in it"} for name in alike],
        "notes": [*log.notes, *_english(coded)], "caveat": CAVEAT, "comparisons": COMPARISONS, "ratings": None,
    }  # fmt: skip


def _english(coded: Coded) -> list[str]:
    if coded.english >= 0.5:
        return []
    return [f"Only {coded.english:.0%} of the texts have an English word that is known here: the rules read English, "
            "so code the choices by hand in columns of the log, and name these with --attribute."]  # fmt: skip


def _joined(cells: Sequence[Cells]) -> Cells:
    """Return cells of campaigns together, to count them."""
    return Cells(*(np.concatenate([getattr(one, name) for one in cells])
                   for name in ("texts", "strata", "impressions", "clicks")))  # fmt: skip


def _segments(log: Log, coded: Coded, basis: Basis, seed: int) -> list[dict[str, Any]]:
    """Return the differences of each segment that can tell."""
    rows = []
    for name, cells in log.segments.items():
        telling = cells.telling()
        if len(telling.texts):
            found = contrasts(fit(telling, basis.design, seed), coded, basis, telling)
            rows += [{"segment": name, "impressions": int(telling.impressions.sum()), "base_rate": telling.rate, **row}
                     for row in found]  # fmt: skip
    return rows


def _averaged(
    names: Sequence[str], fitted: Sequence[_Fitted], coded: Coded, basis: Basis, whole: Cells
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return differences and part-worths averaged over campaigns, with Student intervals, and those of each campaign.

    A campaign counts for an attribute if it has enough texts of each level that is compared.
    """
    each = [contrasts(one.posterior, coded, basis, one.cells) for one in fitted]
    levels = [part_worths(one.posterior, coded, basis, one.cells) for one in fitted]
    rows: list[dict[str, Any]] = []
    kept = []
    for number, attribute in enumerate(coded.attributes):
        chosen = [place for place, some in enumerate(each) if some[number]["texts"] >= RARE]
        kept.append(chosen)
        own = [each[place][number] for place in chosen]
        difference, low, high, p = _student([row["difference"] for row in own])
        importance, least, most, _ = _student([row["importance"] for row in own])
        inflation = float(np.median([row["vif"] for row in own])) if own else 1.0
        tied = [row["tied_with"] for row in own if row["tied_with"]]
        rows.append({
            "attribute": attribute.name, "contrast": list(attribute.contrast), "rule": attribute.rule,
            "difference": difference, "low": low, "high": high,
            **on_rates((difference, low, high), whole.rate),
            "importance": importance,
            "importance_interval": None if least is None or most is None else [max(least, 0.0), min(most, 1.0)],
            "importance_by_chance": float(np.mean([row["importance_by_chance"] for row in own])) if own else None,
            "p": p, "vif": inflation, "tied_with": tied[0] if 2 * len(tied) > len(own) else None,
            "texts": min((row["texts"] for row in own), default=0), "campaigns": len(own),
            "sd_between": float(np.std([row["difference"] for row in own], ddof=1)) if len(own) > 1 else None,
        })  # fmt: skip
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
        row["verdict"] = verdict(row)
    averaged: list[dict[str, Any]] = []
    counted = part_worths(fitted[0].posterior, coded, basis, whole)
    places = {attribute.name: number for number, attribute in enumerate(coded.attributes)}
    for number, total in enumerate(counted):
        some = [levels[place][number]["part_worth"] for place in kept[places[total["attribute"]]]]
        value, low, high, _ = _student(some)
        averaged.append(total | {"part_worth": value, "low": low, "high": high,
                                 **on_rates((value, low, high), whole.rate)})  # fmt: skip
    by_campaign = [{"campaign": name, **row} for name, some in zip(names, each, strict=True) for row in some]
    return rows, averaged, by_campaign


def _student(values: Sequence[float]) -> tuple[float | None, float | None, float | None, float]:
    """Return the mean, the 95 % Student interval, and the level at which the mean is not 0."""
    many = len(values)
    if many == 0:
        return None, None, None, 1.0
    mean = float(np.mean(values))
    if many == 1:
        return mean, None, None, 1.0
    error = float(np.std(values, ddof=1) / np.sqrt(many)) or 1e-12
    width = float(student.ppf(0.975, many - 1)) * error
    return mean, mean - width, mean + width, float(2 * student.sf(abs(mean) / error, many - 1))
