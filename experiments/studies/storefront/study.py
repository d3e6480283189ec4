"""What is true of the statistics of a shop: alarms, estimates from its log, and whether mixing pays, over real HTTP.

Each campaign has a service of its own (uvicorn on loopback, SQLite), the real worker, and shoppers who ask over several
connections. The clock is turned by hand, so that days pass in seconds. What was played is kept, campaign by campaign.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy import stats

from copyloom import Report
from embeddings.folders import held
from experiments.campaigns.given import Given, given_texts
from experiments.simulation.results import student_interval
from experiments.storefront.config import SlotConfig
from experiments.storefront.overview import ALARM, ALPHA
from experiments.studies.storefront import mixing, watched
from experiments.studies.storefront.shop import prepare
from experiments.studies.storefront.watched import Scene

_PLAYED = "campaigns.jsonl"
_STATED = dict.fromkeys(watched.ALARMS, ALPHA) | {name: ALARM for name in watched.ALARMS if name.startswith("sample")}


@dataclass(frozen=True)
class _Campaign:
    """A campaign before it is played.

    Parameters
    ----------
    identity : dict
        All that makes it this one.
    config : SlotConfig
    given : Given
    write : bool
        Whether anything is written before it begins.
    play : callable
        Plays it in a copied database.
    """

    identity: dict[str, Any]
    config: SlotConfig
    given: Given
    write: bool
    play: Callable[[Path], dict[str, Any]]


def run(
    out: Path, alike: int, counted: int, unlike: int, harm: int, pairs: int, report: Report,
    rounds: int = mixing.ROUNDS, visits: int = mixing.VISITS,
) -> dict[str, Any]:  # fmt: skip
    """Play the campaigns that were not played yet, and return what all of them say.

    Parameters
    ----------
    out : Path
        Folder of what was played.
    alike, counted, unlike, harm : int
        Campaigns of each scene whose texts are equally good; more of these, where nothing is learned, that are counted
        without HTTP; of which some are better; where something is wrong.
    pairs : int
        Campaigns with mixing, and as many without.
    report : callable
    rounds, visits : int
        Snapshots of the campaigns of a pair, and visits from one to the next.

    Raises
    ------
    InputError
        If the folder cannot be written, or another study is writing to it.
    """
    with held(out, "study", "--out"):
        known = _known(out)
        every = [*_watched(watched.ALIKE, alike), *_counted(counted),
                 *_watched(watched.UNLIKE, unlike), *_watched(watched.HARM, harm),
                 *_pairs(pairs, rounds, visits)]  # fmt: skip
        results = []
        for number, campaign in enumerate(every):
            report("campaigns", number, len(every))
            name = _name(campaign.identity)
            if name not in known:
                known[name] = _played(out, campaign, report)
                with (out / _PLAYED).open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"campaign": campaign.identity, "result": known[name]}) + "\n")
            results.append((campaign.identity, known[name]))
        report("campaigns", len(every), len(every))
    return summary(results)


def summary(results: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """Return what campaigns say together."""
    scenes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    sides: dict[bool, dict[int, dict[str, Any]]] = {True: {}, False: {}}
    for identity, result in results:
        if "scene" in identity:
            scenes[identity["scene"]["name"]].append({**result, "visits": identity["scene"]["visits"]})
        else:
            sides[identity["mixing"]][identity["seed"]] = result
    return {
        "campaigns": len(results),
        "faults": sum(result["faults"] for _, result in results),
        "alarms": [row for name, some in scenes.items() for row in _alarms(name, some)],
        "estimates": [row for name, some in scenes.items() for row in _estimates(name, some)],
        "mixing": _compared([(sides[True][seed], sides[False][seed]) for seed in sorted(sides[True])]),
    }


def _watched(scenes: Sequence[Scene], many: int) -> Iterator[_Campaign]:
    for scene in scenes:
        for seed in range(many):
            yield _Campaign({"scene": asdict(scene), "seed": seed}, watched.CONFIG, watched.given(), not scene.frozen,
                            lambda database, scene=scene, seed=seed: watched.play(scene, seed, database))  # type: ignore[misc]  # fmt: skip


def _counted(many: int) -> Iterator[_Campaign]:
    for alike in watched.ALIKE:
        scene = replace(alike, name=f"{alike.name}, counted", frozen=True)
        for seed in range(many):
            yield _Campaign({"scene": asdict(scene), "seed": seed}, watched.CONFIG, watched.given(), False,
                            lambda database, scene=scene, seed=seed: watched.count(scene, seed, database))  # type: ignore[misc]  # fmt: skip


def _pairs(many: int, rounds: int, visits: int) -> Iterator[_Campaign]:
    for seed in range(many):
        for mixes in (True, False):
            config = mixing.config(rounds, visits)
            yield _Campaign(
                {"mixing": mixes, "seed": seed, "rounds": rounds, "visits": visits}, config, given_texts(config), True,
                lambda database, mixes=mixes, seed=seed: mixing.play(mixes, rounds, visits, seed, database))  # type: ignore[misc]  # fmt: skip


def _played(out: Path, campaign: _Campaign, report: Report) -> dict[str, Any]:
    """Play a campaign on a copy of what all of its kind begin with, which is written once."""
    digest = sha256(f"{campaign.config.model_dump_json()} {campaign.write}".encode()).hexdigest()[:8]
    pattern = out / f"beginning-{digest}.db"
    with TemporaryDirectory(prefix="copyloom-study-") as folder:
        copy = Path(folder) / "shop.db"
        if not pattern.exists():
            prepare(copy, campaign.given, campaign.config, campaign.write, report)
            shutil.copy(copy, pattern.with_suffix(".part"))
            pattern.with_suffix(".part").rename(pattern)
        shutil.copy(pattern, copy)
        return campaign.play(copy)


def _known(out: Path) -> dict[str, dict[str, Any]]:
    """Return the campaigns that were played; a last line that was cut off is none."""
    found = {}
    path = out / _PLAYED
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else ():
        if line.endswith("\n"):
            played = json.loads(line)
            found[_name(played["campaign"])] = played["result"]
    return found


def _name(identity: dict[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def _alarms(scene: str, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return in how many campaigns of a scene each alarm ever rang, and after how many visits."""
    rows = []
    for name in watched.ALARMS:
        rang = [result["rang"][name] * result["visits"] for result in results if result["rang"][name]]
        bounds = stats.binomtest(len(rang), len(results)).proportion_ci(0.95, "exact")
        rows.append({"scene": scene, "alarm": name, "stated": _STATED[name], "campaigns": len(results),
                     "rang": len(rang), "interval": [float(bounds.low), float(bounds.high)],
                     "visits": float(np.median(rang)) if rang else None})  # fmt: skip
    return rows


def _estimates(scene: str, results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how estimates of a scene's campaigns stand to the truth: all, and those that the log can tell."""
    groups: dict[tuple[str, str, bool], list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        for one in result["estimates"]:
            groups[one["target"], one["estimator"], False].append(one)
            if one["verdict"] == "enough evidence":
                groups[one["target"], one["estimator"], True].append(one)
    rows = []
    for (target, estimator, told), some in groups.items():
        errors = np.array([one["value"] - one["truth"] for one in some])
        right = sum(one["low"] <= one["truth"] <= one["high"] for one in some)
        bounds = stats.binomtest(right, len(some)).proportion_ci(0.95, "exact")
        rows.append({"scene": scene, "target": target, "estimator": estimator, "enough_evidence": told,
                     "campaigns": len(some), "truth": float(np.mean([one["truth"] for one in some])),
                     "mean": float(np.mean([one["value"] for one in some])),
                     "bias": float(errors.mean()), "bias_interval": student_interval(errors),
                     "held": right, "interval": [float(bounds.low), float(bounds.high)],
                     "width": float(np.median([one["high"] - one["low"] for one in some]))})  # fmt: skip
    return rows


def _compared(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any] | None:
    """Return what mixing brings, over the whole run and at its end, as a share of what the same shop earns without."""
    if not pairs:
        return None
    found: dict[str, Any] = {"pairs": len(pairs)}
    for name, last in (("whole", 1.0), ("end", mixing.LAST_SHARE)):
        rates = np.array([[np.mean(side["rates"][-max(1, round(last * len(side["rates"]))) :]) for side in pair]
                          for pair in pairs])  # fmt: skip
        relative = rates[:, 0] / rates[:, 1] - 1
        found[name] = {"with": float(rates[:, 0].mean()), "without": float(rates[:, 1].mean()),
                       "difference": float((rates[:, 0] - rates[:, 1]).mean()),
                       "difference_interval": student_interval(rates[:, 0] - rates[:, 1]),
                       "uplift": float(relative.mean()), "uplift_interval": student_interval(relative),
                       "by_seed": relative.tolist()}  # fmt: skip
    with_, visits = [pair[0] for pair in pairs], sum(pair[0]["bandit"] for pair in pairs)
    found |= {
        "best_stored": float(np.mean([one["best_stored"] for one in with_])),
        "uniform": float(np.mean([one["uniform"] for one in with_])),
        "best_on_slate": float(np.mean([one["best"] for one in with_])),
        "written": sum(one["written"] for one in with_),
        "refused": sum(one["refused"] for one in with_),
        "rewritten": sum(one["rewritten"] for one in with_),
        "rewritten_refused": sum(one["rewritten_refused"] for one in with_),
        "written_shown": sum(one["written_shown"] for one in with_) / visits,
        "unreadable_shown": sum(one["unreadable"] for one in with_) / visits,
        "turned_off": sum(side["off"] for pair in pairs for side in pair),
        "best_texts": [one["best_text"] for one in with_],
    }
    return found
