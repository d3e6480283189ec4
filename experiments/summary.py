"""What a finished study says: the numbers of ``summary.json`` and everything that the report draws."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from copyloom import __version__
from experiments.campaign import Campaign
from experiments.study import OPEN, SATURATED, Study
from experiments.writer import Draft, Recipe

LAST_SHARE = 0.2
"""Share of the impressions, at the end, over which CTRs are compared."""

_BEST_NEW, _EXAMPLE_TEXTS, _REFUSED, _MAP_POINTS = 12, 15, 12, 250
_PACKAGES = ("torch", "transformers", "numpy", "scipy", "sqlalchemy")


def report_data(study: Study, seconds: float) -> dict[str, Any]:
    """Return everything that the report shows; its key ``"summary"`` is what ``summary.json`` holds."""
    mixing, fixed = _campaigns(study, OPEN)
    return {
        "summary": _summary(study, mixing, fixed, seconds),
        "curves": _curves(study, mixing, fixed),
        "uplift_by_seed": _uplifts(mixing, fixed).tolist(),
        "control": _control(study),
        "stored": [{"text": e.text, "about_subject": e.text in study.slate, "exact": e.exact} for e in study.stored],
        "best_new": _best_new(mixing),
        "refused": _refused(study),
        "map": _map(study, mixing),
        **_example(mixing, fixed),
    }


def _summary(study: Study, mixing: Sequence[Campaign], fixed: Sequence[Campaign], seconds: float) -> dict[str, Any]:
    loop, off = _last(mixing), _last(fixed)
    slate_rates = np.stack([campaign.true_rates(study.slate) for campaign in mixing])
    best_stored, uniform = slate_rates.max(1), slate_rates.mean(1)
    possible = _best_possible(study, mixing)
    uplift, over_best = loop / off - 1, loop / best_stored - 1
    control = _control(study) or {}
    drafts = _mixtures(study)
    usable = {draft.text for draft in drafts if not draft.refusals}
    return {
        "ctr_loop": float(loop.mean()),
        "ctr_mixing_off": float(off.mean()),
        "ctr_best_stored": float(best_stored.mean()),
        "ctr_uniform": float(uniform.mean()),
        "best_possible_ctr": None if possible is None else float(possible.mean()),
        "share_of_gap": None if possible is None else float(((loop - uniform) / (possible - uniform)).mean()),
        "regret_clicks": None if possible is None else _regret(study, mixing, possible),
        "regret_clicks_mixing_off": None if possible is None else _regret(study, fixed, possible),
        "uplift": float(uplift.mean()),
        "uplift_interval": _interval(uplift),
        "uplift_over_best_stored": float(over_best.mean()),
        "uplift_over_best_stored_interval": _interval(over_best),
        "loss_where_mixing_cannot_help": control.get("loss"),
        "loss_where_mixing_cannot_help_interval": control.get("loss_interval"),
        "seeds": study.config.seeds,
        "rounds": study.config.rounds,
        "impressions": study.config.rounds * study.config.impressions,
        "texts_stored": len(study.stored),
        "texts_own": len(study.slate),
        "texts_written": len(usable),
        "texts_refused": sum(bool(draft.refusals) for draft in drafts),
        "mixtures": len({draft.recipe for draft in _drafts(study) if len(draft.recipe.parents) > 1}),
        "mixtures_without_text": sum(not draft.text for draft in _drafts(study) if len(draft.recipe.parents) > 1),
        "unreadable_share": _unreadable(mixing),
        "writer": study.config.model,
        "exact_share": float(np.mean([embedding.exact for embedding in study.stored])),
        "not_exact": [embedding.text for embedding in study.stored if not embedding.exact],
        "world": study.world.name,
        "simulated": True,
        "subject": _subject(study),
        "notes": study.notes,
        "device": study.space.model.device.type,
        "device_reason": study.space.model.device.reason,
        "versions": versions(),
        "config": study.config.model_dump(mode="json"),
        "seconds": round(seconds, 1),
    }


def versions() -> dict[str, str]:
    """Return the versions of Copyloom and of what it computes with, and the number of threads."""
    found = {"copyloom": __version__, "python": platform.python_version()}
    found.update((package, version(package)) for package in _PACKAGES)
    return {**found, "threads": str(torch.get_num_threads())}


def _campaigns(study: Study, world: str) -> tuple[list[Campaign], list[Campaign]]:
    """Return the campaigns of a world, with mixing and without, both in the order of their seeds."""
    found = [campaign for campaign in study.campaigns if campaign.world == world]
    return [c for c in found if c.mixing], [c for c in found if not c.mixing]


def _expected(campaign: Campaign) -> NDArray[np.float64]:
    """Return the expected CTR of what each snapshot showed (rounds,); a text that cannot be read counts as no click."""
    rates = np.where(campaign.readable(campaign.texts), campaign.true_rates(campaign.texts), 0.0)
    return np.array([float(shown @ rates[: len(shown)]) for shown in campaign.shown])


def _last(campaigns: Sequence[Campaign]) -> NDArray[np.float64]:
    """Return each campaign's expected CTR over the last `LAST_SHARE` of its impressions."""
    values = np.stack([_expected(campaign) for campaign in campaigns])
    return values[:, -max(1, round(LAST_SHARE * values.shape[1])) :].mean(1)


def _uplifts(mixing: Sequence[Campaign], fixed: Sequence[Campaign]) -> NDArray[np.float64]:
    return _last(mixing) / _last(fixed) - 1


def _interval(values: NDArray[np.float64]) -> list[float] | None:
    """Return the 95 % Student interval of the mean over seeds; None where one seed cannot say."""
    if len(values) < 2:
        return None
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return [float(values.mean() - half), float(values.mean() + half)]


def _best_possible(study: Study, campaigns: Sequence[Campaign]) -> NDArray[np.float64] | None:
    """Return, for each campaign, the best CTR among the texts that the grammar can write about the subject."""
    if not study.world.writable:
        return None
    return np.array([campaign.true_rates(study.world.writable).max() for campaign in campaigns])


def _regret(study: Study, campaigns: Sequence[Campaign], possible: NDArray[np.float64]) -> float:
    """Return the mean number of expected clicks lost in a campaign against the best text that can be written."""
    lost = [(best - _expected(campaign)).sum() for campaign, best in zip(campaigns, possible, strict=True)]
    return float(np.mean(lost) * study.config.impressions)


def _drafts(study: Study) -> list[Draft]:
    """Return the drafts of all recipes, in the order in which they were written."""
    found = {(draft.recipe, draft.text): draft for draft in study.library}
    for campaign in study.campaigns:
        found.update(((draft.recipe, draft.text), draft) for draft in campaign.drafts)
    return list(found.values())


def _mixtures(study: Study) -> list[Draft]:
    """Return the drafts with distinct texts, in the order in which they were written."""
    return list({draft.text: draft for draft in reversed(_drafts(study)) if draft.text}.values())[::-1]


def _unreadable(campaigns: Sequence[Campaign]) -> float:
    """Return the share of the impressions that went to texts that cannot be read."""
    shown = sum(int(campaign.impressions.sum()) for campaign in campaigns)
    lost = sum(int(campaign.impressions[~campaign.readable(campaign.texts)].sum()) for campaign in campaigns)
    return lost / shown


def _subject(study: Study) -> dict[str, Any] | None:
    if study.subject is None:
        return None
    attributes: dict[str, list[str]] = {}
    for slot, phrase in study.subject.attributes():
        attributes.setdefault(slot[1:-1].split()[0], []).append(phrase)
    return {"name": study.subject.name, "attributes": attributes}


def _curve(campaigns: Sequence[Campaign]) -> dict[str, list[float]]:
    values = np.stack([_expected(campaign) for campaign in campaigns])
    intervals = [_interval(column) or [float(column[0])] * 2 for column in values.T]
    return {
        "mean": values.mean(0).tolist(),
        "low": [low for low, _ in intervals],
        "high": [high for _, high in intervals],
    }


def _curves(study: Study, mixing: Sequence[Campaign], fixed: Sequence[Campaign]) -> dict[str, Any]:
    rates = [campaign.true_rates(campaign.texts) for campaign in fixed]  # the stored texts: nothing joins them
    possible = _best_possible(study, mixing)
    return {
        "impressions": [study.config.impressions * (i + 1) for i in range(study.config.rounds)],
        "loop": _curve(mixing),
        "mixing_off": _curve(fixed),
        "best_stored": float(np.mean([each.max() for each in rates])),
        "uniform": float(np.mean([each.mean() for each in rates])),
        "best_possible": None if possible is None else float(possible.mean()),
    }


def _control(study: Study) -> dict[str, Any] | None:
    """Return the loss where the stored texts already hold the best text that can be written."""
    mixing, fixed = _campaigns(study, SATURATED)
    if not mixing:
        return None
    loss = -_uplifts(mixing, fixed)
    return {
        "loss": float(loss.mean()),
        "loss_interval": _interval(loss),
        "curves": _curves(study, mixing, fixed),
    }


def _parents(recipe: Recipe) -> list[dict[str, Any]]:
    pairs = sorted(zip(recipe.parents, recipe.weights, strict=True), key=lambda pair: -pair[1])
    return [{"text": text, "weight": weight} for text, weight in pairs]


def _wilson(clicks: int, impressions: int) -> list[float]:
    """Return the 95 % score interval of a rate (Wilson 1927)."""
    interval = stats.binomtest(int(clicks), int(impressions)).proportion_ci(0.95, "wilson")
    return [float(interval.low), float(interval.high)]


def _best_new(mixing: Sequence[Campaign]) -> list[dict[str, Any]]:
    """Return the written texts that were shown most, over all campaigns."""
    shown: dict[str, list[tuple[Campaign, int]]] = {}
    for campaign in mixing:
        for position, text in enumerate(campaign.texts):
            if text in campaign.recipes and campaign.impressions[position]:
                shown.setdefault(text, []).append((campaign, position))
    total = sum(int(campaign.impressions.sum()) for campaign in mixing)
    rows: list[dict[str, Any]] = []
    for text, places in shown.items():
        impressions = sum(int(c.impressions[i]) for c, i in places)
        clicks = sum(int(c.clicks[i]) for c, i in places)
        clicks_expected = sum(float(c.true_rates([text])[0]) * int(c.impressions[i]) for c, i in places)
        rows.append({
            "text": text,
            "parents": _parents(places[0][0].recipes[text]),
            "seeds_shown": len(places),
            "seeds": len(mixing),
            "share_of_impressions": impressions / total,
            "impressions": impressions,
            "clicks": clicks,
            "ctr_observed": clicks / impressions,
            "ctr_interval": _wilson(clicks, impressions),
            "ctr_true": clicks_expected / impressions,
        })  # fmt: skip
    return sorted(rows, key=lambda row: (-row["impressions"], row["text"]))[:_BEST_NEW]


def _refused(study: Study) -> dict[str, Any]:
    drafts = _mixtures(study)
    refused = [draft for draft in drafts if draft.refusals]
    counts = Counter(code for draft in refused for code in sorted({refusal.code for refusal in draft.refusals}))
    examples: list[dict[str, Any]] = []
    seen = Counter[str]()
    for draft in refused:
        code = draft.refusals[0].code
        seen[code] += 1
        if seen[code] <= 3 and len(examples) < _REFUSED:
            reason = "; ".join(refusal.reason for refusal in draft.refusals)
            examples.append({"text": draft.text, "reason": reason, "parents": _parents(draft.recipe)})
    return {"counts": dict(counts.most_common()), "written": len(drafts), "examples": examples}


def _map(study: Study, mixing: Sequence[Campaign]) -> list[dict[str, Any]]:
    """Return the stored texts and the written texts shown most, on the first two principal components."""
    shown: Counter[str] = Counter()
    recipes: dict[str, Recipe] = {}
    for campaign in mixing:
        for text, count in zip(campaign.texts, campaign.impressions, strict=True):
            shown[text] += int(count)
        recipes.update(campaign.recipes)
    total = sum(shown.values()) or 1
    stored = [embedding.text for embedding in study.stored]
    written = sorted(recipes, key=lambda text: (-shown[text], text))[:_MAP_POINTS]
    texts = [*stored, *written]
    vectors = study.writer.sentence_vectors(texts).double()
    centred = vectors - vectors.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    points = (centred @ directions[:2].T).tolist()
    return [
        {
            "x": round(x, 4),
            "y": round(y, 4),
            "kind": _kind(study, text, i < len(stored)),
            "text": text,
            "shown": shown[text] / total,
            "parents": list(recipes[text].parents) if text in recipes else [],
        }
        for i, (text, (x, y)) in enumerate(zip(texts, points, strict=True))
    ]


def _kind(study: Study, text: str, stored: bool) -> str:
    if not stored:
        return "written"
    return "stored, about the subject" if text in study.slate else "stored, other"


def _example(mixing: Sequence[Campaign], fixed: Sequence[Campaign]) -> dict[str, Any]:
    """Return one campaign in detail: the one with the median uplift."""
    order = np.argsort(_uplifts(mixing, fixed), kind="stable")
    campaign = mixing[int(order[(len(order) - 1) // 2])]
    rates = campaign.true_rates(campaign.texts)
    last = campaign.shown[-1]
    rows: list[dict[str, Any]] = [
        {
            "text": text,
            "kind": "written" if text in campaign.recipes else "stored",
            "impressions": int(campaign.impressions[i]),
            "clicks": int(campaign.clicks[i]),
            "ctr": float(campaign.clicks[i] / campaign.impressions[i]),
            "low": _wilson(campaign.clicks[i], campaign.impressions[i])[0],
            "high": _wilson(campaign.clicks[i], campaign.impressions[i])[1],
            "probability": float(last[i]),
            "ctr_true": float(rates[i]),
        }
        for i, text in enumerate(campaign.texts)
        if campaign.impressions[i]
    ]
    rows.sort(key=lambda row: (-row["probability"], -row["impressions"], row["text"]))
    return {"example": {"seed": campaign.seed, "texts": rows[:_EXAMPLE_TEXTS]}, "weights": _weights(campaign)}


def _weights(campaign: Campaign) -> dict[str, Any]:
    """Return each parent's weight in what was shown, round by round; with the share of stored texts they sum to 1."""
    rounds = len(campaign.shown)
    by_parent: dict[str, NDArray[np.float64]] = {}
    stored = np.zeros(rounds)
    for number, shown in enumerate(campaign.shown):
        for text, probability in zip(campaign.texts, shown, strict=False):
            if text not in campaign.recipes:
                stored[number] += probability
                continue
            recipe = campaign.recipes[text]
            for parent, weight in zip(recipe.parents, recipe.weights, strict=True):
                by_parent.setdefault(parent, np.zeros(rounds))[number] += probability * weight
    largest = sorted(by_parent, key=lambda parent: (-by_parent[parent].sum(), parent))
    others = sum((by_parent[parent] for parent in largest[6:]), np.zeros(rounds))
    per_round = int(campaign.impressions.sum()) // max(rounds, 1)
    return {
        "impressions": [per_round * (i + 1) for i in range(rounds)],
        "parents": [{"text": parent, "weight": by_parent[parent].tolist()} for parent in largest[:6]],
        "others": others.tolist(),
        "stored_share": stored.tolist(),
    }
