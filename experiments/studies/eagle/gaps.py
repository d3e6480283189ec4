"""Content gaps among films: where much is wanted and little is told, and what fills them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from copyloom import Report
from experiments.eagle.gaps import Gap, content_gaps
from experiments.eagle.reference import Uniform
from experiments.eagle.rollout import best_of
from experiments.eagle.table import Table
from experiments.eagle.utility import Linear
from experiments.elm.film_tasks import FilmTasks
from experiments.elm.model import Elm
from experiments.studies.eagle.audiences import Audience
from experiments.studies.eagle.stage import Stage


def gaps_of(stage: Stage, audience: Audience, elm: Path | None, report: Report) -> list[dict[str, Any]]:
    """Return the gaps of an audience's demand among known films, each with what edits of its nearest film reach.

    Of the edits' texts, and of what an ELM tells at the gap, the cosine to the gap and the rating foretold.
    """
    settings, known = stage.settings, list(stage.plots.known)
    if not settings.gaps:
        return []
    report("looking for gaps", 0, 1)
    existing = stage.plots.semantic[known]
    found = content_gaps(existing, audience.stars, count=settings.gaps)
    told = _told(stage, elm, found) if elm is not None else [""] * len(found)
    rows = []
    for number, (gap, said) in enumerate(zip(found, told, strict=True)):
        report("filling gaps", number, len(found))
        nearest = [stage.plots.entities[known[place]] for place in gap.nearest]
        start = nearest[0].text
        table = Table(stage.environment, stage.actions(audience), stage.encode, Linear(gap.point))
        filled = best_of(table, Uniform(table), [start], settings.calls, settings.horizon, number)[0].texts[-1]
        row = {"gap": number + 1, "demand": gap.demand, "supply": gap.supply,
               "nearest": "; ".join(one.name for one in nearest[:2]), "start": start, "filled": filled, "told": said,
               "stars_at_gap": float(audience.stars(gap.point[None])[0])}  # fmt: skip
        for name, text in (("start", start), ("filled", filled), ("told", said)):
            vector = stage.encode([text or "."])
            row |= {f"{name}_cosine": float(vector[0] @ gap.point) if text else None,
                    f"{name}_stars": float(audience.stars(vector)[0]) if text else None}  # fmt: skip
        rows.append(row)
    report("filling gaps", len(found), len(found))
    return rows


def _told(stage: Stage, folder: Path, gaps: list[Gap]) -> list[str]:
    """Return what an ELM says of gaps."""
    task = next(one for one in FilmTasks.of(stage.films).tasks if one.name == "describe")
    asked = next(found for n in stage.edited if (found := task.question(n, random.Random(0))) is not None)
    elm = Elm.load(folder, stage.reader.device)
    return elm.answers([asked.at(film=gap.point) for gap in gaps], max_tokens=stage.settings.tokens)
