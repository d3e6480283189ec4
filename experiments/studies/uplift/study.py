"""Does mixing pay, how often, and what does it cost where it cannot? Campaigns in drawn worlds, and the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from copyloom import Report
from experiments.engines import Engine
from experiments.reports.tables import write_rows, write_table
from experiments.simulation.arms import OPEN, SATURATED
from experiments.simulation.results import last_share, student_interval
from experiments.simulation.runs import run_study
from experiments.studies.uplift.settings import Part, UpliftStudy, parts, run_config
from experiments.versions import versions

GAINS = 0.01
"""A campaign gains where it ends with an expected CTR that is higher by more than this share."""
CAPTION = "Mixing against the same bandit on stored texts alone: expected click rate over the last fifth"
COLUMNS = ["world", "impressions", "stored texts", "uplift", "95 %", "gain over 1 %", "lost where it cannot help"]
_SCHEMA = pa.schema([
    ("world", pa.string()), ("impressions", pa.int64()), ("pool", pa.int64()), ("subject", pa.int64()),
    ("seed", pa.int64()), ("campaigns", pa.string()), ("ctr_mix", pa.float64()), ("ctr_stored", pa.float64()),
    ("ctr_best_stored", pa.float64()), ("ctr_uniform", pa.float64()), ("uplift", pa.float64()),
    ("uplift_whole", pa.float64()), ("texts_mix", pa.int64()),
])  # fmt: skip


def measure(
    settings: UpliftStudy, folder: Path, report: Report, engine: Engine | None = None, memo: Path | None = None
) -> dict[str, Any]:
    """Play what is not in `folder` yet, and return what mixing brings, by world, traffic and pool.

    Returns
    -------
    dict
        ``uplift``, ``uplift_interval``, ``gaining_share`` and ``loss_where_mixing_cannot_help`` over all campaigns,
        and the same by ``groups``. Uplift is that of the expected CTR over the last fifth of the impressions against
        the same policy on stored texts alone, which met the same shoppers: the geometric mean over campaigns, as the
        mean of ratios is above 1 where nothing is gained. Intervals are Student's over subjects: the tastes of a
        subject share its stored texts.
    """
    every = list(parts(settings))
    rows: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    played: dict[Part, dict[str, Any]] = {}
    report("playing campaigns", 0, len(every))
    for part, found in (engine or Engine(processes=1)).spread(_played, (settings, folder, memo), every):
        played[part] = found
        report("playing campaigns", len(played), len(every))
    for part in every:
        rows += _rows(part, played[part]["campaigns"])
        runs.append({"part": part, **played[part]["summary"]})
    found = {**_answers(rows), "groups": list(_groups(rows, runs)), "settings": settings.model_dump(mode="json"),
             "versions": versions()}  # fmt: skip
    write_rows(rows, folder / "campaigns", _SCHEMA)
    _write_table(found["groups"], folder / "table")
    return found


def _played(shared: tuple[UpliftStudy, Path, Path | None], part: Part) -> dict[str, Any]:
    """Play what of a part is not in the folder yet, and return what came of it."""
    settings, folder, memo = shared
    data = run_study(run_config(settings, part, folder), folder / part.name, lambda *_: None, memo=memo)
    return {name: data[name] for name in ("campaigns", "summary")}


def _rows(part: Part, campaigns: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield one row for each pair of campaigns that met the same shoppers."""
    places = {(one["world"], one["seed"], one["mixing"]): one for one in campaigns}
    for (world, seed, mixing), loop in places.items():
        if not mixing:
            continue
        off = places[world, seed, False]
        mix, stored = (np.array(one["expected_ctr"]) for one in (loop, off))
        yield {"world": part.world, "impressions": part.impressions, "pool": part.pool, "subject": part.subject,
               "seed": seed, "campaigns": world, "ctr_mix": last_share(mix), "ctr_stored": last_share(stored),
               "ctr_best_stored": max(off["true_rates"]), "ctr_uniform": float(np.mean(off["true_rates"])),
               "uplift": last_share(mix) / last_share(stored) - 1, "uplift_whole": float(mix.sum() / stored.sum() - 1),
               "texts_mix": len(loop["true_rates"])}  # fmt: skip


def _answers(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the study's answers from rows of campaigns."""
    mine = [row for row in rows if row["campaigns"] == OPEN]
    held = [row for row in rows if row["campaigns"] == SATURATED]
    uplift = np.array([row["uplift"] for row in mine])
    lost = _mean(held, "uplift") if held else None
    return {
        "campaigns": len(mine),
        "uplift": _mean(mine, "uplift"),
        "uplift_interval": _interval(mine, "uplift"),
        "gaining_share": float((uplift > GAINS).mean()),
        "gaining_share_interval": _by_subject(mine, lambda row: row["uplift"] > GAINS),
        "losing_share": float((uplift < -GAINS).mean()),
        "uplift_whole": _mean(mine, "uplift_whole"),
        "uplift_whole_interval": _interval(mine, "uplift_whole"),
        "loss_where_mixing_cannot_help": None if lost is None else -lost,
        "loss_interval": [-bound for bound in reversed(_interval(held, "uplift") or [])] or None,
        **{name: float(np.mean([row[name] for row in mine]))
           for name in ("ctr_mix", "ctr_stored", "ctr_best_stored", "ctr_uniform", "texts_mix")},
    }  # fmt: skip


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the geometric mean of uplifts."""
    return float(np.expm1(np.mean([np.log1p(row[name]) for row in rows])))


def _interval(rows: Sequence[Mapping[str, Any]], name: str) -> list[float] | None:
    """Return the 95 % interval of the geometric mean of uplifts."""
    found = _by_subject(rows, lambda row: np.log1p(row[name]))
    return None if found is None else np.expm1(found).tolist()


def _by_subject(rows: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], float]) -> list[float] | None:
    """Return the 95 % Student interval of a mean over subjects; over seeds where there is one subject."""
    values: dict[int, list[float]] = {}
    for row in rows:
        values.setdefault(row["subject"], []).append(float(value(row)))
    means = next(iter(values.values())) if len(values) == 1 else [np.mean(some) for some in values.values()]
    return student_interval(np.array(means))


def _groups(rows: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    def key(row: Mapping[str, Any]) -> tuple[str, int, int]:
        return row["world"], row["impressions"], row["pool"]

    for (world, impressions, pool), mine in groupby(sorted(rows, key=key), key):
        own = [run for run in runs if key(vars(run["part"])) == (world, impressions, pool)]
        written, refused = (sum(run[name] for run in own) for name in ("texts_written", "texts_refused"))
        yield {"world": world, "impressions": impressions, "pool": pool, **_answers(list(mine)),
               "texts_written": written / len(own), "refused_share": refused / (written + refused),
               "unreadable_share": float(np.mean([run["unreadable_share"] for run in own]))}  # fmt: skip


def _write_table(groups: Sequence[Mapping[str, Any]], path: Path) -> None:
    write_table(COLUMNS, [in_words(group) for group in groups], path, CAPTION)


def in_words(group: Mapping[str, Any]) -> list[str]:
    """Return a group as a row of a table, in the order of `COLUMNS`."""
    bounds, lost = group["uplift_interval"], group["loss_where_mixing_cannot_help"]
    return [group["world"], f"{group['impressions']:,}", str(group["pool"]), f"{group['uplift']:+.1%}",
            "–" if bounds is None else "{:+.1%} to {:+.1%}".format(*bounds), f"{group['gaining_share']:.0%}",
            "–" if lost is None else f"{lost:+.1%}"]  # fmt: skip
