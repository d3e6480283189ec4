"""Sheets on which people rate texts without knowing how these are coded, and what they say once they come back."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from copyloom import InputError
from experiments.bootstrap import bounds
from experiments.raters.agreement import agreement
from experiments.raters.answers import Answers, read_answers
from experiments.raters.checks import checks_for
from experiments.raters.crossed import Crossed
from experiments.raters.key import Key, Line
from experiments.raters.questions import Question
from experiments.raters.sheet import Block, check_ending
from experiments.raters.sheet import write_sheets as write_files
from experiments.raters.units import Unit
from experiments.studies.preferences.coding import STYLE, Coded

Array = NDArray[np.float64]
QUESTIONS = tuple(
    Question(name, words)
    for name, words in {
        "emotional": "How much does it speak to feelings?",
        "factual": "How much does it tell facts that one could check?",
        "concrete": "How much is it about things that one can see, touch or count?",
        "appealing": "How much would you like to read on?",
    }.items()
)
INSTRUCTIONS = (
    "Please rate each line by itself, from 1 (not at all) to 7 (very much). There is no right answer: go by your first "
    "impression, use the whole scale, and do not go back to compare. Some lines only check that the sheet is read: "
    "they say what to mark."
)
CHECKS = checks_for(QUESTIONS, "text")
_PAIRS = (("emotional", "appeal", "emotional", "factual"), ("factual", "appeal", "factual", "emotional"),
          ("concrete", "wording", "concrete", "abstract"))  # fmt: skip
"""What a coding should show on the sheet: a question, an attribute, and the level that should be rated higher."""
_FACTUAL_STYLES = {"factual", "technical"}
_RESAMPLES = 500
_VERDICTS = {1: "perceived so", -1: "perceived the other way round", 0: "not enough evidence yet"}
_UNKNOWN = "there is no text {} in this log; give the log that the sheet was made of, with the same settings"


def sheet_id(text: str) -> str:
    """Return by what a text is known on a sheet: seven letters that say nothing of it, the same on every sheet."""
    digest = sha256(f"rater sheet {text}".encode()).digest()
    return "".join(
        chr(ord("A") + byte % 26) for byte in digest[:7]
    )  # no figures, or spreadsheets would make numbers of them


def write_sheets(
    texts: Sequence[str], coded: Coded, path: Path, raters: int = 1, many: int = 45, seed: int = 0
) -> list[Path]:
    """Write a sheet a rater, CSV or HTML by the ending, each in an order of its own, and return the files.

    As many texts as there are of each intended appeal; no sheet says how a text is coded.

    Parameters
    ----------
    texts : sequence of str
    coded : Coded
    path : Path
        ``sheet.html`` becomes ``sheet-1.html`` and so on where there are many raters.
    raters : int
    many : int
        Texts on a sheet.
    seed : int

    Raises
    ------
    InputError
        If the ending is another, or there are too few texts.
    """
    check_ending(path)
    chosen = [texts[number] for number in balanced(intended(coded), many, random.Random(seed))]
    if len(chosen) < 2:
        raise InputError(f"a sheet of {len(chosen)} texts says nothing; give a log with more texts")
    lines = [*chosen, *(check.texts[0] for check in CHECKS)]
    sheets = [[Block(sheet_id(text), (text,), QUESTIONS)
               for text in random.Random(seed * 1000 + rater + 1).sample(lines, len(lines))]
              for rater in range(raters)]  # fmt: skip
    return write_files(sheets, QUESTIONS, INSTRUCTIONS, path)


def intended(coded: Coded) -> list[str]:
    """Return whether each text is meant to be emotional, factual or neither: by its style, or by the rules."""
    if coded.by == "rules":
        return coded.level("appeal")
    return ["factual" if style in _FACTUAL_STYLES else "emotional" if style == "emotional" else "neither"
            for style in coded.level(STYLE.name)]  # fmt: skip


def balanced(kinds: Sequence[str], many: int, rng: random.Random) -> list[int]:
    """Return the numbers of some of those that have kinds, as many of each as can be."""
    groups = defaultdict(list)
    for number in rng.sample(range(len(kinds)), len(kinds)):
        groups[kinds[number]].append(number)
    found: list[int] = []
    while len(found) < min(many, len(kinds)):
        for kind in sorted(groups):
            if groups[kind] and len(found) < many:
                found.append(groups[kind].pop())
    return found


def read_ratings(files: Sequence[Path], texts: Sequence[str]) -> Answers:
    """Return what raters said of the texts that the sheets were made of; see `experiments.raters.answers`.

    Raises
    ------
    InputError
        If an id is unknown or there twice, a mark is not on the scale, or nobody is left who counts.
    """
    lines = [Line(sheet_id(text), number) for number, text in enumerate(texts)]
    lines += [Line(sheet_id(check.texts[0]), None, expected=check.expected) for check in CHECKS]
    units = tuple(Unit(text, "", (text,), ((),)) for text in texts)
    return read_answers(files, Key(QUESTIONS, units, tuple(lines)), _UNKNOWN)


def compare(answers: Answers, coded: Coded, seed: int = 0) -> dict[str, Any]:
    """Return how far raters agree, and whether texts are perceived as they are coded.

    Agreement is Krippendorff's alpha for interval scales, its interval by resampling texts. Differences of mean ratings
    come with intervals by resampling raters and texts.

    Parameters
    ----------
    answers : Answers
    coded : Coded
        Of all texts of the log.
    seed : int
    """
    rng = np.random.default_rng(seed)
    texts = answers.answered
    marks = {name: own[:, texts] for name, own in answers.marks.items()}
    kinds = {"appeal": intended(coded)}
    if any(one.name == "wording" for one in coded.attributes):
        kinds["wording"] = coded.level("wording")
    levels = {name: np.array([own[number] for number in texts]) for name, own in kinds.items()}
    crossed = Crossed(len(answers.raters), range(len(texts)), seed)
    perceived = [_perceived(marks[pair[0]], pair, levels[pair[1]], crossed) for pair in _PAIRS if pair[1] in levels]
    return {
        "raters": len(answers.raters), "texts": len(texts), "unrated": sum(answers.missing.values()),
        "left_out": answers.left_out,
        "agreement": [{"question": name, **agreement(own, rng), "mean": float(np.nanmean(own))}
                      for name, own in marks.items() if np.isfinite(own).any()],
        "perceived": [row for row in perceived if row],
        "rank_correlation": _correlation(marks["emotional"], coded.emotion[texts], rng),
    }  # fmt: skip


def _perceived(
    marks: Array, pair: tuple[str, str, str, str], levels: NDArray[np.str_], crossed: Crossed
) -> dict[str, Any] | None:
    """Return by how much texts of one level are rated above those of another; None where there are fewer than two."""
    question, attribute, high, low = pair
    units = [levels == level for level in (high, low)]
    many = [int((np.isfinite(marks).any(0) & own).sum()) for own in units]
    if min(many) < 2 or (found := crossed.difference(marks, *units)) is None:
        return None
    means = [float(np.nanmean(marks[:, own])) for own in units]
    return {"question": question, "attribute": attribute, "high": high, "low": low, "texts": many, "means": means,
            "difference": found.value, "interval": found.interval, "verdict": _VERDICTS[found.beyond(0)]}  # fmt: skip


def _correlation(marks: Array, emotion: Array, rng: np.random.Generator) -> dict[str, Any] | None:
    """Return the rank correlation of how emotional texts are coded and how emotional they are found."""
    rated = np.flatnonzero(np.isfinite(marks).any(0))
    if len(rated) < 3 or len(np.unique(emotion[rated])) < 2:
        return None
    means = np.nanmean(marks[:, rated], axis=0)
    if len(np.unique(means)) < 2:
        return None
    samples = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(len(rated), size=len(rated))
        if min(len(np.unique(means[drawn])), len(np.unique(emotion[rated][drawn]))) > 1:
            samples.append(float(spearmanr(means[drawn], emotion[rated][drawn]).statistic))
    return {"value": float(spearmanr(means, emotion[rated]).statistic), "interval": bounds(np.array(samples)),
            "texts": len(rated)}  # fmt: skip
