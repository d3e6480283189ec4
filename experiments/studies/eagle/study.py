"""``copyloom study eagle``: agents edit films for audiences, beside their reference policies and what costs as much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from copyloom import Report
from embeddings.folders import held
from experiments.studies.eagle.audiences import Audience
from experiments.studies.eagle.gaps import gaps_of
from experiments.studies.eagle.methods import (
    BEST_OF,
    EXISTING,
    READS,
    REFERENCES,
    BestOfN,
    Edited,
    Learnt,
    best_known,
    learnt_and_edited,
    read_by_elm,
)
from experiments.studies.eagle.scores import compared, rows_of, score, spread
from experiments.studies.eagle.settings import EagleStudy
from experiments.studies.eagle.stage import Stage

OWN = "the film's own"
_SAMPLES = 4
"""Films of each audience whose texts are shown: the first ones, with the first seed."""


def measure(
    settings: EagleStudy, data: Path, folder: Path, device: str, elm: Path | None, report: Report
) -> dict[str, Any]:
    """Return all that the command prints; what the environment changed and what was played are kept in `folder`.

    Parameters
    ----------
    settings : EagleStudy
    data : Path
        Holds the films: see `experiments.domains.films`.
    folder : Path
    device : str
    elm : Path, optional
        Folder of an ELM, which then writes too.
    report : callable

    Raises
    ------
    InputError
        If data are lacking, there is no such audience, or the instruct model is down: what came before is kept.
    """
    with held(folder, "study", "--folder"):
        stage = Stage.of(settings, data, folder, device, report)
        edited, learnt = dict[str, dict[str, list[Edited]]](), list[dict[str, Any]]()
        for audience in stage.audiences:
            stage.actions(audience)  # what is refused is refused before anything is asked
        for audience in stage.audiences:
            edited[audience.name], more = _played(stage, audience, folder, elm, report)
            learnt += more
        report("judging", 0, 1)
        scored = {
            audience.name: {
                method: {name: spread(values, settings.seeds) for name, values in score(stage, audience, some).items()}
                for method, some in edited[audience.name].items()
            }
            for audience in stage.audiences
        }
        report("judging", 1, 1)
        gaps = gaps_of(stage, stage.audiences[0], elm, report)
        return {
            "settings": settings.model_dump(), "device": stage.reader.device.type,
            "asked": stage.environment.changer.name, "films": len(stage.plots.entities),
            "held_out": len(stage.plots.held_out), "foretold": stage.foretold,
            "audiences": [{"audience": one.name, "people": one.people, "tags": ", ".join(one.tags),
                           "actions": len(stage.actions(one))} for one in stage.audiences],
            "edited": rows_of(scored), "compared": compared(scored), "learning": learnt,
            "changes": _changes(stage), "gaps": gaps,
            "samples": [row for one in stage.audiences for row in _samples(stage, one, edited[one.name])],
        }  # fmt: skip


def _played(
    stage: Stage, audience: Audience, folder: Path, elm: Path | None, report: Report
) -> tuple[dict[str, list[Edited]], list[dict[str, Any]]]:
    """Return what each method made, by seed, and how agents learnt."""
    made: dict[str, list[Edited]] = {}
    learnt = list[dict[str, Any]]()
    seeds = range(stage.settings.seeds)
    for seed in seeds:
        for reference in REFERENCES:

            def said(stage: str, done: int, total: int, seed: int = seed, reference: str = reference) -> None:
                report(f"{audience.name}, seed {seed + 1} of {len(seeds)}, {reference}: {stage}", done, total)

            found, how = learnt_and_edited(stage, audience, reference, seed, folder, said)
            for method, one in found.items():
                made.setdefault(method, []).append(one)
            learnt += _curve(audience, reference, seed, how)
    prompts = BestOfN(stage, audience)
    made[BEST_OF] = [prompts.edited(seed, folder, report) for seed in seeds]
    if elm is not None:
        made[READS] = [read_by_elm(stage, audience, elm)]
    made[EXISTING] = [best_known(stage, audience)]
    return made, learnt


def _curve(audience: Audience, reference: str, seed: int, how: Learnt) -> list[dict[str, Any]]:
    about = {"audience": audience.name, "reference": reference, "seed": seed, "calls": how.calls,
             "certificate": how.certificate}  # fmt: skip
    return [{**about, "iteration": number, "reward": reward, "divergence": apart}
            for number, (reward, apart) in enumerate(zip(how.rewards, how.divergences, strict=True))]  # fmt: skip


def _changes(stage: Stage) -> list[dict[str, Any]]:
    """Return how many changes were asked for, and how many failed, by what went wrong."""
    faults = stage.environment.faults
    every = [("asked for", stage.environment.calls), *sorted(faults.items(), key=lambda one: -one[1])]
    return [{"what": name, "changes": count} for name, count in every]


def _samples(stage: Stage, audience: Audience, edited: dict[str, list[Edited]]) -> list[dict[str, Any]]:
    rows = []
    for place, number in enumerate(stage.edited[:_SAMPLES]):
        texts = {OWN: stage.starts[place], **{method: some[0].texts[place] for method, some in edited.items()}}
        stars = stage.stars(audience, list(texts.values())).tolist()
        rows += [{"audience": audience.name, "film": stage.plots.entities[number].name, "method": method, "text": text,
                  "stars": star} for (method, text), star in zip(texts.items(), stars, strict=True)]  # fmt: skip
    return rows
