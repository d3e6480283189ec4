"""``copyloom study stories``: headlines written for real stories, and how likely they are better than people's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from copyloom import InputError, Report
from copyloom.tables import Reading
from embeddings.refusals import likeness
from experiments.reports.tables import write_rows
from experiments.studies.headlines.archive import Archive, read_whole
from experiments.studies.headlines.words import Array
from experiments.studies.stories.checking import check
from experiments.studies.stories.comparing import compare, drawn_rates, spoilt
from experiments.studies.stories.scoring import HUMAN, WRITTEN, Scored, score
from experiments.studies.stories.settings import LEAST, SURE, StoryStudy
from experiments.studies.stories.writing import EFFORT, Story, Written, write_all
from experiments.versions import versions

SAMPLES = "samples"
"""The file with all texts of the stories, for reading."""
_SCHEMA = pa.schema([
    ("story", pa.int64()), ("kind", pa.string()), ("text", pa.string()), ("promised", pa.float64()),
    ("rate", pa.float64()), ("better_than_people", pa.float64()), ("impressions", pa.int64()), ("clicks", pa.int64()),
    ("printed", pa.float64()), ("nearest", pa.float64()), ("parents", pa.list_(pa.string())),
    ("weights", pa.list_(pa.float64())),
])  # fmt: skip


def measure(
    path: Path | str, settings: StoryStudy, folder: Path, report: Report, reading: Reading | None = None
) -> dict[str, Any]:
    """Return all that the command prints, and write all texts with what is believed of them into `folder`.

    What was written is kept in `folder` story by story, so that a study that was stopped goes on.

    Parameters
    ----------
    path : Path or str
        The archive.
    settings : StoryStudy
    folder : Path
    report : callable
    reading : Reading, optional

    Raises
    ------
    InputError
        If the archive cannot be used, or has too few tests.
    """
    everything = read_whole(path, reading, settings.keep_faulty)
    drawn = chosen(everything, settings)
    found = write_all([everything.only([story]).headlines for story in drawn], settings, folder, report)
    order = drawn.argsort()
    stories, written = drawn[order], [found[place] for place in order]
    shown = [one for some in written for one in some if one.text]
    scored = score(everything, stories, [[one.text for one in some if one.text] for some in written],
                   settings.folds, folder, report)  # fmt: skip
    report("comparing", 0, 1)
    rates = drawn_rates(scored, settings.draws, settings.seed)
    ours = np.array(scored.kinds) == WRITTEN
    printed = np.full(len(ours), np.nan)
    printed[ours] = [np.nan if one.printed is None else one.printed for one in shown]
    write_rows(_samples(scored, rates, printed, shown), folder / SAMPLES, _SCHEMA)
    nearest = {kind: _quantiles(scored.stories_near[np.array(scored.kinds) == kind]) for kind in (HUMAN, WRITTEN)}
    parts = {"all that a campaign may show": ours, f"printed from {SURE:g} on": printed >= SURE}
    return {
        "stories": len(stories), "tests": scored.archive.count, "headlines": len(scored.archive.headlines),
        "left_out": everything.left_out, "settings": asdict(settings), "words": scored.words,
        "written": _about([everything.only([story]).headlines for story in stories], written),
        "comparisons": [{"texts": name, **compare(scored, rates, part)} for name, part in parts.items() if part.any()],
        "check": check(scored, settings.draws, settings.seed, nearest[WRITTEN][1] if nearest[WRITTEN] else None),
        "spoilt": spoilt(scored), "nearest": nearest, "versions": versions(),
    }  # fmt: skip


def chosen(everything: Archive, settings: StoryStudy) -> NDArray[np.int64]:
    """Return which sound tests are judged, in the order in which they are drawn.

    Raises
    ------
    InputError
        If there are too few.
    """
    able = np.flatnonzero(everything.sound & (everything.arms >= LEAST))
    groups = len(np.unique(everything.groups[everything.sound]))
    if not able.size or groups < 2 * settings.folds:
        raise InputError(
            f"the archive has {able.size} sound tests with {LEAST} headlines or more, and {groups} sound ones that "
            f"share nothing; give one with more of them, or fewer than {settings.folds} folds"
        )
    return np.random.default_rng(settings.seed).permutation(able)[: settings.tests]


def _about(own: Sequence[Story], written: Sequence[Sequence[Written]]) -> dict[str, Any]:
    """Return how much was written and refused, how likely it is printed, and how new it is."""
    every = [one for some in written for one in some]
    shown = [(one, story) for some, story in zip(written, own, strict=True) for one in some if one.text]
    printed = [one.printed for one, _ in shown if one.printed is not None]
    alike = [max(likeness(one.text, headline) for headline in story) for one, story in shown]
    theirs = [max(likeness(one, other) for other in story if other != one) for story in own for one in story]
    return {
        "mixtures": len(every), "texts": len(shown), "stories_with_a_text": len({story for _, story in shown}),
        "shown_from": EFFORT.printed, "printed": float(np.mean(printed)) if printed else None,
        "surely_printed_share": float(np.mean(np.array(printed) >= SURE)) if printed else None,
        "likeness": float(np.mean(alike)) if alike else None, "human_likeness": float(np.mean(theirs)),
    }  # fmt: skip


def _quantiles(values: Array) -> list[float]:
    """Return the 5 %, 50 % and 95 % quantiles, none of nothing."""
    return [float(one) for one in np.quantile(values, (0.05, 0.5, 0.95))] if values.size else []


def _samples(scored: Scored, rates: Array, printed: Array, written: Sequence[Written]) -> list[dict[str, Any]]:
    """Return a row for each human and written text of the stories: those that are believed best first, by story."""
    kinds, of_mixtures, rows = np.array(scored.kinds), iter(written), list[dict[str, Any]]()
    for place, (kind, text) in enumerate(zip(kinds.tolist(), scored.stories.headlines, strict=True)):
        if kind not in (HUMAN, WRITTEN):
            continue
        story = scored.stories.tests[place]
        people = rates[:, (scored.stories.tests == story) & (kinds == HUMAN)]
        mixture = next(of_mixtures) if kind == WRITTEN else None
        rows.append({
            "story": int(story), "kind": kind, "text": text, "promised": float(scored.promised[place]),
            "rate": float(rates[:, place].mean()),
            "better_than_people": float((rates[:, place] > people.max(1)).mean()) if mixture else None,
            "impressions": int(scored.stories.impressions[place]), "clicks": int(scored.stories.clicks[place]),
            "printed": None if np.isnan(printed[place]) else float(printed[place]),
            "nearest": float(scored.stories_near[place]),
            "parents": list(mixture.parents) if mixture else [], "weights": list(mixture.weights) if mixture else [],
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["story"], -row["rate"]))
