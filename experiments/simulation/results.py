"""What a finished study says: the numbers of ``summary.json`` and everything that the report draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from embeddings.summary import Lineage
from experiments.campaigns import phases
from experiments.campaigns.events import Draft
from experiments.reports.campaign import lineage_rows
from experiments.simulation.arms import OPEN, SATURATED, Arm, Played
from experiments.simulation.build import Simulation
from experiments.simulation.identity import contents
from experiments.versions import versions

LAST_SHARE = 0.2
"""Share of the impressions, at the end, over which CTRs are compared."""

_BEST_NEW, _EXAMPLE_TEXTS, _REFUSED, _MAP_POINTS = 12, 15, 12, 250


def report_data(study: Simulation, seconds: float) -> dict[str, Any]:
    """Return everything that the report shows; its key ``"summary"`` is what ``summary.json`` holds."""
    mixing, fixed = _played(study, OPEN)
    return {
        "summary": _summary(study, mixing, fixed, seconds),
        "curves": _curves(study, mixing, fixed),
        "uplift_by_seed": _uplifts(mixing, fixed).tolist(),
        "campaigns": [_campaign(arm) for arm in study.arms],
        "control": _control(study),
        "stored": [
            {"text": e.text, "about_subject": e.text in study.given.own, "exact": e.exact} for e in study.stored
        ],
        "best_new": _best_new(mixing),
        "refused": _refused(study),
        "map": _map(study, mixing),
        **_example(mixing, fixed),
    }


def _campaign(arm: Arm) -> dict[str, Any]:
    """Return what only the simulation knows of a campaign; all else stands in its ledger."""
    return {
        "campaign": arm.campaign.name,
        "seed": arm.seed,
        "world": arm.world,
        "policy": arm.policy.label,
        "mixing": arm.mixing,
        "expected_ctr": expected_ctr(arm.played()).tolist(),
        "true_rates": arm.feed.true_rates(arm.campaign.state.slate).tolist(),
    }


def _summary(study: Simulation, mixing: Sequence[Played], fixed: Sequence[Played], seconds: float) -> dict[str, Any]:
    loop, off = _last(mixing), _last(fixed)
    slate_rates = np.stack([arm.true_rates(study.given.own) for arm in mixing])
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
        "uplift_interval": student_interval(uplift),
        "uplift_over_best_stored": float(over_best.mean()),
        "uplift_over_best_stored_interval": student_interval(over_best),
        "loss_where_mixing_cannot_help": control.get("loss"),
        "loss_where_mixing_cannot_help_interval": control.get("loss_interval"),
        "seeds": study.config.seeds,
        "rounds": study.config.rounds,
        "impressions": study.config.rounds * study.config.impressions,
        "texts_stored": len(study.stored),
        "texts_own": len(study.given.own),
        "texts_written": len(usable),
        "texts_refused": sum(bool(draft.refusals) for draft in drafts),
        "mixtures": len({draft.lineage for draft in _drafts(study) if len(draft.lineage.parents) > 1}),
        "mixtures_without_text": sum(not draft.text for draft in _drafts(study) if len(draft.lineage.parents) > 1),
        "unreadable_share": _unreadable(mixing),
        "policies": _policies(study, loop),
        "writer": study.config.model,
        "exact_share": float(np.mean([embedding.exact for embedding in study.stored])),
        "not_exact": [embedding.text for embedding in study.stored if not embedding.exact],
        "world": study.world.name,
        "simulated": True,
        "subject": _subject(study),
        "notes": [*study.given.notes, *_trust(study)],
        "device": study.shop.writer.space.model.device.type,
        "device_reason": study.shop.writer.space.model.device.reason,
        "versions": versions(),
        "config": study.config.model_dump(mode="json"),
        "files": contents(study.config),
        "seconds": round(seconds, 1),
    }


def _played(study: Simulation, world: str) -> tuple[list[Played], list[Played]]:
    """Return the campaigns of a world, with mixing and without, both in the order of their seeds."""
    found = _arms(study, world)
    return [arm.played() for arm in found if arm.mixing], [arm.played() for arm in found if not arm.mixing]


def _arms(study: Simulation, world: str) -> list[Arm]:
    return [arm for arm in study.arms if arm.world == world and arm.policy == study.config.policy]


def _trust(study: Simulation) -> list[str]:
    """Return how what earlier texts said of new ones fared; nothing where nobody asked."""
    shop = study.shop
    if shop.rewards.opinion is None:
        return []
    mine = [arm.campaign for arm in _arms(study, OPEN) if arm.mixing]
    words = shop.rewards.trust(phases.learn(shop, mine)).in_words()
    verdicts = Counter(line.split(" (")[0].split(":")[0] for line in words)
    said = ", ".join(f"{verdict} in {count}" for verdict, count in verdicts.most_common())
    return [f"the opinion of {len(shop.past)} earlier texts was {said} of {len(mine)} campaigns"]


def _policies(study: Simulation, main: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return what each policy came to, with mixing, and the difference to the main one over the seeds; none alone."""
    if not study.config.beside:
        return []
    rows = [{"policy": study.config.policy.label, "ctr": float(main.mean()), "difference": None, "interval": None}]
    for policy in study.config.beside:
        reached = _last([arm.played() for arm in study.arms if arm.policy == policy])
        relative = reached / main - 1
        rows.append({"policy": policy.label, "ctr": float(reached.mean()), "difference": float(relative.mean()),
                     "interval": student_interval(relative)})  # fmt: skip
    return rows


def expected_ctr(arm: Played) -> NDArray[np.float64]:
    """Return the expected CTR of what each snapshot showed (rounds,); a text that cannot be read counts as no click."""
    can = arm.readable(arm.texts)
    rounds = len(arm.chances)
    moments = range(rounds) if arm.feed.drifts else [0] * rounds
    if not arm.by_segment:
        rates = {moment: np.where(can, arm.true_rates(arm.texts, moment), 0.0) for moment in set(moments)}
        return np.array([float(chances @ rates[moment][: len(chances)])
                         for chances, moment in zip(arm.chances, moments, strict=True)])  # fmt: skip
    each = {moment: np.where(can[:, None], arm.feed.probabilities(arm.texts, moment), 0.0).T  # (G, N)
            for moment in set(moments)}  # fmt: skip
    return np.array([float(arm.feed.shares @ (chances * each[moment][:, : chances.shape[1]]).sum(1))
                     for chances, moment in zip(arm.by_segment, moments, strict=True)])  # fmt: skip


def _last(arms: Sequence[Played]) -> NDArray[np.float64]:
    """Return each campaign's expected CTR over the last `LAST_SHARE` of its impressions."""
    return np.array([last_share(expected_ctr(arm)) for arm in arms])


def last_share(expected: NDArray[np.float64]) -> float:
    """Return the mean of a campaign's expected CTRs (rounds,) over the last `LAST_SHARE` of its impressions."""
    return float(expected[-max(1, round(LAST_SHARE * len(expected))) :].mean())


def _uplifts(mixing: Sequence[Played], fixed: Sequence[Played]) -> NDArray[np.float64]:
    return _last(mixing) / _last(fixed) - 1


def student_interval(values: NDArray[np.float64]) -> list[float] | None:
    """Return the 95 % Student interval of the mean over seeds; None where one seed cannot say."""
    if len(values) < 2:
        return None
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return [float(values.mean() - half), float(values.mean() + half)]


def _best_possible(study: Simulation, arms: Sequence[Played]) -> NDArray[np.float64] | None:
    """Return, for each campaign, the best CTR among the texts that the grammar can write about the subject.

    Where a policy tells segments apart: the best in each of them.
    """
    texts = study.world.writable
    if not texts:
        return None
    if study.config.policy.segments is None:
        return np.array([arm.true_rates(texts).max() for arm in arms])
    return np.array([arm.feed.probabilities(texts).max(0) @ arm.feed.shares for arm in arms])


def _regret(study: Simulation, arms: Sequence[Played], possible: NDArray[np.float64]) -> float | None:
    """Return the mean number of expected clicks lost in a campaign against the best text that can be written.

    None where tastes drift, as the best text does.
    """
    if any(arm.feed.drifts for arm in arms):
        return None
    lost = [(best - expected_ctr(arm)).sum() for arm, best in zip(arms, possible, strict=True)]
    return float(np.mean(lost) * study.config.impressions)


def _drafts(study: Simulation) -> list[Draft]:
    """Return the drafts of all lineages, in the order in which they were written."""
    found = {(draft.lineage, draft.text): draft for draft in study.library}
    for campaign in study.campaigns:
        found.update(((draft.lineage, draft.text), draft) for draft in campaign.state.drafts)
    return list(found.values())


def _mixtures(study: Simulation) -> list[Draft]:
    """Return the drafts with distinct texts, in the order in which they were written."""
    return list({draft.text: draft for draft in reversed(_drafts(study)) if draft.text}.values())[::-1]


def _unreadable(arms: Sequence[Played]) -> float:
    """Return the share of the impressions that went to texts that cannot be read."""
    shown = sum(int(arm.impressions.sum()) for arm in arms)
    lost = sum(int(arm.impressions[~arm.readable(arm.texts)].sum()) for arm in arms)
    return lost / shown


def _subject(study: Simulation) -> dict[str, Any] | None:
    if study.given.subject is None:
        return None
    attributes: dict[str, list[str]] = {}
    for slot, phrase in study.given.subject.attributes():
        attributes.setdefault(slot[1:-1].split()[0], []).append(phrase)
    return {"name": study.given.subject.name, "attributes": attributes}


def _curve(arms: Sequence[Played]) -> dict[str, list[float]]:
    values = np.stack([expected_ctr(arm) for arm in arms])
    intervals = [student_interval(column) or [float(column[0])] * 2 for column in values.T]
    return {
        "mean": values.mean(0).tolist(),
        "low": [low for low, _ in intervals],
        "high": [high for _, high in intervals],
    }


def _curves(study: Simulation, mixing: Sequence[Played], fixed: Sequence[Played]) -> dict[str, Any]:
    rates = [arm.true_rates(arm.texts) for arm in fixed]  # the stored texts: nothing joins them
    possible = _best_possible(study, mixing)
    return {
        "impressions": [study.config.impressions * (i + 1) for i in range(study.config.rounds)],
        "loop": _curve(mixing),
        "mixing_off": _curve(fixed),
        "best_stored": float(np.mean([each.max() for each in rates])),
        "uniform": float(np.mean([each.mean() for each in rates])),
        "best_possible": None if possible is None else float(possible.mean()),
    }


def _control(study: Simulation) -> dict[str, Any] | None:
    """Return the loss where the stored texts already hold the best text that can be written."""
    mixing, fixed = _played(study, SATURATED)
    if not mixing:
        return None
    loss = -_uplifts(mixing, fixed)
    return {
        "loss": float(loss.mean()),
        "loss_interval": student_interval(loss),
        "curves": _curves(study, mixing, fixed),
    }


def _wilson(clicks: int, impressions: int) -> list[float]:
    """Return the 95 % score interval of a rate (Wilson 1927)."""
    interval = stats.binomtest(int(clicks), int(impressions)).proportion_ci(0.95, "wilson")
    return [float(interval.low), float(interval.high)]


def _best_new(mixing: Sequence[Played]) -> list[dict[str, Any]]:
    """Return the written texts that were shown most, over all campaigns."""
    shown: dict[str, list[tuple[Played, int]]] = {}
    for arm in mixing:
        for position, text in enumerate(arm.texts):
            if text in arm.lineages and arm.impressions[position]:
                shown.setdefault(text, []).append((arm, position))
    total = sum(int(arm.impressions.sum()) for arm in mixing)
    rows: list[dict[str, Any]] = []
    for text, places in shown.items():
        impressions = sum(int(c.impressions[i]) for c, i in places)
        clicks = sum(int(c.clicks[i]) for c, i in places)
        clicks_expected = sum(float(c.true_rates([text])[0]) * int(c.impressions[i]) for c, i in places)
        rows.append({
            "text": text,
            "parents": lineage_rows(places[0][0].lineages[text]),
            "seeds_shown": len(places),
            "seeds": len(mixing),
            "share_of_impressions": impressions / total,
            "impressions": impressions,
            "clicks": clicks,
            "ctr_observed": clicks / impressions,
            "ctr_interval": _wilson(clicks, impressions),
            "ctr_true": None if any(c.by_segment for c, _ in places) else clicks_expected / impressions,
        })  # fmt: skip
    return sorted(rows, key=lambda row: (-row["impressions"], row["text"]))[:_BEST_NEW]


def _refused(study: Simulation) -> dict[str, Any]:
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
            examples.append({"text": draft.text, "reason": reason, "parents": lineage_rows(draft.lineage)})
    return {"counts": dict(counts.most_common()), "written": len(drafts), "examples": examples}


def _map(study: Simulation, mixing: Sequence[Played]) -> list[dict[str, Any]]:
    """Return the stored texts and the written texts shown most, on the first two principal components."""
    shown: Counter[str] = Counter()
    lineages: dict[str, Lineage] = {}
    for arm in mixing:
        for text, count in zip(arm.texts, arm.impressions, strict=True):
            shown[text] += int(count)
        lineages.update(arm.lineages)
    total = sum(shown.values()) or 1
    stored = [embedding.text for embedding in study.stored]
    written = sorted(lineages, key=lambda text: (-shown[text], text))[:_MAP_POINTS]
    texts = [*stored, *written]
    vectors = study.shop.writer.sentence_vectors(texts).double()
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
            "parents": list(lineages[text].parents) if text in lineages else [],
        }
        for i, (text, (x, y)) in enumerate(zip(texts, points, strict=True))
    ]


def _kind(study: Simulation, text: str, stored: bool) -> str:
    if not stored:
        return "written"
    return "stored, about the subject" if text in study.given.own else "stored, other"


def _example(mixing: Sequence[Played], fixed: Sequence[Played]) -> dict[str, Any]:
    """Return one campaign in detail: the one with the median uplift."""
    order = np.argsort(_uplifts(mixing, fixed), kind="stable")
    arm = mixing[int(order[(len(order) - 1) // 2])]
    rates = arm.true_rates(arm.texts)
    last = arm.chances[-1]
    rows: list[dict[str, Any]] = [
        {
            "text": text,
            "kind": "written" if text in arm.lineages else "stored",
            "impressions": int(arm.impressions[i]),
            "clicks": int(arm.clicks[i]),
            "ctr": float(arm.clicks[i] / arm.impressions[i]),
            "low": _wilson(arm.clicks[i], arm.impressions[i])[0],
            "high": _wilson(arm.clicks[i], arm.impressions[i])[1],
            "probability": float(last[i]),
            "ctr_true": None if arm.by_segment else float(rates[i]),  # as in `experiments.reports.campaign.text_rows`
        }
        for i, text in enumerate(arm.texts)
        if arm.impressions[i]
    ]
    rows.sort(key=lambda row: (-row["probability"], -row["impressions"], row["text"]))
    return {"example": {"seed": arm.seed, "texts": rows[:_EXAMPLE_TEXTS]}, "weights": _weights(arm)}


def _weights(arm: Played) -> dict[str, Any]:
    """Return each parent's weight in what was shown, round by round; with the share of stored texts they sum to 1."""
    rounds = len(arm.chances)
    by_parent: dict[str, NDArray[np.float64]] = {}
    stored = np.zeros(rounds)
    for number, shown in enumerate(arm.chances):
        for text, probability in zip(arm.texts, shown, strict=False):
            if text not in arm.lineages:
                stored[number] += probability
                continue
            lineage = arm.lineages[text]
            for parent, weight in zip(lineage.parents, lineage.weights, strict=True):
                by_parent.setdefault(parent, np.zeros(rounds))[number] += probability * weight
    largest = sorted(by_parent, key=lambda parent: (-by_parent[parent].sum(), parent))
    others = sum((by_parent[parent] for parent in largest[6:]), np.zeros(rounds))
    per_round = int(arm.impressions.sum()) // max(rounds, 1)
    return {
        "impressions": [per_round * (i + 1) for i in range(rounds)],
        "parents": [{"text": parent, "weight": by_parent[parent].tolist()} for parent in largest[:6]],
        "others": others.tolist(),
        "stored_share": stored.tolist(),
    }
