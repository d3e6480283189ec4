"""What ``copyloom study stories`` says for people: tables, a sentence on what to believe, and a page with texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from experiments.reports.report import embedded, environment, write_page
from experiments.studies.stories.comparing import BY_CLICKS, BY_WORDS
from experiments.studies.stories.plot import draw
from experiments.studies.stories.study import SAMPLES

COMPARED = ["written", "human", "better", "95 %", "clicks", "95 %", "if better", "likelier in"]
CHECKED = ["stand-ins", "tests", "foretold", "came", "off by, 95 %", "clicks foretold", "came", "off by, 95 %"]
_STORIES = 12
"""Stories whose texts stand on the page."""


def compared(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of one comparison."""
    return [row["written"], row["human"], f"{row['better']:.0%}", _span(row["better_interval"]),
            f"{row['gain']:+.1%}", _change(row["gain_interval"]), f"{row['gain_if_better']:+.1%}",
            f"{row['tests_better']:.0%}"]  # fmt: skip


def checked(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of one check."""
    return [row["stand_ins"], f"{row['tests']:,}", f"{row['foretold']:.1%}", f"{row['came']:.1%}",
            _change(row["came_more_interval"]), f"{row['gain_foretold']:+.1%}", f"{row['gain']:+.1%}",
            _change(row["gained_more_interval"])]  # fmt: skip


def of_the_texts(found: Mapping[str, Any]) -> str:
    """Return what was written, how likely it is printed, how new it is, and whether spoilt text fools the words."""
    said, near = found["written"], found["nearest"]
    parts = [f"{said['texts']} headlines written from {said['mixtures']} mixtures of the headlines of "
             f"{found['stories']} stories; {said['stories_with_a_text']} stories have one or more."]  # fmt: skip
    if said["printed"] is not None:
        parts.append(f"The editor gives them {said['printed']:.2f} to be printed in the mean, and "
                     f"{said['surely_printed_share']:.0%} of them 0.8 or more.")  # fmt: skip
    if said["likeness"] is not None:
        parts.append(f"{said['likeness']:.0%} of their words stand in the same order in the story's nearest headline "
                     f"(people's among themselves: {said['human_likeness']:.0%}).")  # fmt: skip
        parts.append("Their cosine to the nearest headline of other folds is {:.2f} (people's: {:.2f}).".format(
            *(near[kind][1] for kind in ("written", "human"))))  # fmt: skip
    promised = [
        f"{row['kind']} {row['promised']:+.1%} ({_change(row['promised_interval'])})" for row in found["spoilt"]
    ]
    parts.append(f"What words promise beside people's headlines of the story: {'; '.join(promised)}.")
    return " ".join(parts)


def believed(found: Mapping[str, Any]) -> str:
    """Return in words whether what was foretold of people's headlines came, so that the comparison can be believed."""
    off = [row for row in found["check"]["rows"]
           if not _holds(row["came_more_interval"]) or not _holds(row["gained_more_interval"])]  # fmt: skip
    surest = found["check"]["bins"][-1]
    said = f"Of those that were likeliest better {surest['foretold']:.0%} were to be, and {surest['came']:.0%} were."
    if not off:
        return f"What was foretold of people's headlines came, as far as clicks can tell. {said}"
    wrong = "; ".join(f"{row['stand_ins']}: {row['foretold']:.1%} and {row['gain_foretold']:+.1%} were foretold, "
                      f"{row['came']:.1%} and {row['gain']:+.1%} came" for row in off)  # fmt: skip
    return f"What was foretold of people's headlines did not quite come ({wrong}). {said}"


def write(found: Mapping[str, Any], folder: Path, path: Path) -> None:
    """Write the page of what `experiments.studies.stories.study.measure` returned and wrote into `folder`."""
    with TemporaryDirectory() as place:
        draw(found, picture := Path(place) / "plot.svg")
        figure = embedded(picture)
    rows = pq.read_table(folder / f"{SAMPLES}.parquet").to_pylist()
    stories = [list(some) for _, some in groupby(rows, key=lambda row: row["story"])]
    shown = [some for some in stories if any(row["kind"] == "written" for row in some)][:_STORIES]
    page = environment().get_template("stories.html.j2").render(
        found, figure=figure, verdict=verdict(found), believed=believed(found), of_the_texts=of_the_texts(found),
        parts=[(part, list(map(compared, part["rows"]))) for part in found["comparisons"]], columns=COMPARED,
        checks=CHECKED, cells=list(map(checked, found["check"]["rows"])), samples=shown,
    )  # fmt: skip
    write_page(page, path)


def verdict(found: Mapping[str, Any]) -> str:
    """Return the answer in a sentence."""
    rows = {(row["written"], row["human"]): row for part in found["comparisons"][:1] for row in part["rows"]}
    if not rows:
        return "Nothing was written that may be shown."
    like, winner = rows[BY_WORDS, BY_WORDS], rows[BY_WORDS, BY_CLICKS]
    return (f"The best written headline by words is better than the best human one by words with probability "
            f"{like['better']:.0%} ({_span(like['better_interval'])}), and than the one that clicks put first with "
            f"{winner['better']:.0%} ({_span(winner['better_interval'])}).")  # fmt: skip


def _holds(interval: Sequence[float]) -> bool:
    return interval[0] <= 0 <= interval[1]


def _span(interval: Sequence[float]) -> str:
    return "{:.0%} to {:.0%}".format(*interval)


def _change(interval: Sequence[float]) -> str:
    return "{:+.1%} to {:+.1%}".format(*interval)
